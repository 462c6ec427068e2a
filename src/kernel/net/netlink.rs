//! Requests to the kernel over a netlink socket, and its replies: one request at a time, synchronous.
//!
//! The kernel does the work before `send` returns, which no time-out of ours bounds: like everything in a worker it is the supervisor's to
//! give up. Its replies are there then.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use netlink_packet_core::{
    DoneMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt::ReceiveTimeout};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::deadline::Deadline;
use crate::kernel::error::{KernelError, Result};

/// What no single message of the kernel is longer than: it fills its buffers to 32 KiB (`NLMSG_GOODSIZE`, `netlink_dump`).
const BUFFER: usize = 64 << 10;
/// How long a reply may take.
const PATIENCE: i64 = 2;
/// How often a dump is begun anew because what it shows changed meanwhile.
const TRIES: usize = 8;
/// Bytes of a message header.
const HEADER: usize = 16;

/// A netlink socket.
pub struct Netlink {
    socket: Socket,
    buffer: Vec<u8>,
    sequence: u32,
}

/// What came back: what could be read, and what could not.
#[derive(Debug)]
pub struct Replies<T> {
    /// The messages.
    pub items: Vec<T>,
    /// Why one of them could not be read, if so. What is missing from the others may be in it.
    pub unread: Option<String>,
    /// Whether the kernel changed what it was showing meanwhile.
    pub is_torn: bool,
}

impl<T> Default for Replies<T> {
    fn default() -> Self {
        Self { items: Vec::new(), unread: None, is_torn: false }
    }
}

/// What one datagram held.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// More follows.
    More,
    /// All of it is there.
    Complete,
    /// It refused, with this error number.
    Refused(i32),
}

impl Netlink {
    /// A socket for `NETLINK_ROUTE`, with strict checks of requests, so that the kernel filters dumps (Linux 4.20; before that it shows
    /// everything, so callers look again).
    ///
    /// # Errors
    /// No further socket.
    pub fn route() -> Result<Self> {
        let netlink = Self::open(netlink_sys::protocols::NETLINK_ROUTE)?;
        let _ = netlink.socket.set_netlink_get_strict_chk(true);
        Ok(netlink)
    }

    /// A socket for `NETLINK_SOCK_DIAG`.
    ///
    /// # Errors
    /// No further socket, or a kernel without it.
    pub fn sock_diag() -> Result<Self> {
        Self::open(netlink_sys::protocols::NETLINK_SOCK_DIAG)
    }

    /// A socket for `NETLINK_GENERIC`, whose replies are waited for until the deadline.
    ///
    /// # Errors
    /// No further socket.
    pub fn generic(deadline: Deadline) -> Result<Self> {
        let netlink = Self::open(netlink_sys::protocols::NETLINK_GENERIC)?;
        let patience = TimeVal::milliseconds(i64::from(deadline.poll_millis().max(1)));
        setsockopt(&netlink.socket, ReceiveTimeout, &patience)
            .map_err(|e| KernelError::new("open", "netlink socket", e.into()))?;
        Ok(netlink)
    }

    fn open(protocol: isize) -> Result<Self> {
        let wrong = |e: io::Error| KernelError::new("open", "netlink socket", e);
        let socket = Socket::new(protocol).map_err(wrong)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(PATIENCE)).map_err(|e| wrong(e.into()))?;
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER), sequence: 0 })
    }

    /// Hears of what happens to a group (`RTNLGRP_…`) from now on.
    ///
    /// # Errors
    /// There is no such group.
    pub fn join(&mut self, group: u32) -> Result<()> {
        let wrong = |e: io::Error| KernelError::new("join", format!("netlink group {group}"), e);
        self.socket.bind(&SocketAddr::new(0, 0)).map_err(wrong)?;
        self.socket.add_membership(group).map_err(wrong)
    }

    /// Waits until something happens to a group that was [joined](Self::join), at most for `patience`. What it was has to be asked for:
    /// messages of this kind get lost.
    ///
    /// # Errors
    /// The socket fails.
    pub fn listen(&mut self, patience: Duration) -> Result<()> {
        let wrong = |e: io::Error| KernelError::new("read", "netlink socket", e);
        let micros = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX).max(1);
        setsockopt(&self.socket, ReceiveTimeout, &TimeVal::microseconds(micros)).map_err(|e| wrong(e.into()))?;
        match self.receive() {
            Err(e) if !matches!(e.raw_os_error(), Some(libc::ETIMEDOUT | libc::ENOBUFS)) => Err(wrong(e)),
            _ => Ok(()),
        }
    }

    /// Asks for everything of a kind. `what` it was is for the error. What changes all the time is shown as it was last, as
    /// [unread](Replies::unread).
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub fn dump<Q, T>(&mut self, request: &Q, what: impl Display) -> Result<Replies<T>>
    where
        Q: NetlinkSerializable + Clone,
        T: NetlinkDeserializable,
    {
        let wrong = |e| KernelError::new("list", PathBuf::from(what.to_string()), e);
        let mut tries = 0;
        loop {
            tries += 1;
            let mut replies = Replies::default();
            self.send(request.clone(), NLM_F_DUMP).map_err(wrong)?;
            match self.receive_all(&mut replies).map_err(wrong)? {
                Progress::Refused(errno) => return Err(wrong(io::Error::from_raw_os_error(errno))),
                _ if replies.is_torn && tries < TRIES => {}
                _ if replies.is_torn => {
                    replies.unread.get_or_insert_with(|| "it changes all the time".to_owned());
                    return Ok(replies);
                }
                _ => return Ok(replies),
            }
        }
    }

    /// Has something done, or one thing shown. `doing` it to `what` is for the error.
    ///
    /// # Errors
    /// The kernel refuses, or does not answer.
    pub fn call<Q, T>(&mut self, request: Q, flags: u16, doing: &'static str, what: impl Display) -> Result<Replies<T>>
    where
        Q: NetlinkSerializable,
        T: NetlinkDeserializable,
    {
        let wrong = |e| KernelError::new(doing, PathBuf::from(what.to_string()), e);
        let mut replies = Replies::default();
        self.send(request, NLM_F_ACK | flags).map_err(wrong)?;
        match self.receive_all(&mut replies).map_err(wrong)? {
            Progress::Refused(errno) => Err(wrong(io::Error::from_raw_os_error(errno))),
            _ => Ok(replies),
        }
    }

    fn send<Q: NetlinkSerializable>(&mut self, request: Q, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).map(drop)
    }

    fn receive_all<T: NetlinkDeserializable>(&mut self, replies: &mut Replies<T>) -> io::Result<Progress> {
        loop {
            self.receive()?;
            match decode(&self.buffer, Some(self.sequence), replies) {
                Progress::More => {}
                end => return Ok(end),
            }
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, libc::MSG_TRUNC) {
                Ok(length) if length > self.buffer.len() => return Err(io::Error::other("a netlink message is too long")),
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
                Err(e) => return Err(e),
            }
        }
    }
}

/// Reads one datagram; with a `sequence`, only what answers that request.
pub fn decode<T: NetlinkDeserializable>(mut bytes: &[u8], sequence: Option<u32>, replies: &mut Replies<T>) -> Progress {
    while bytes.len() >= HEADER {
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (length, flags, number) = (word(0) as usize, u16::from_ne_bytes([bytes[6], bytes[7]]), word(8));
        if length < HEADER || length > bytes.len() {
            replies.unread.get_or_insert_with(|| "a netlink message is torn".to_owned());
            return Progress::More;
        }
        let message = &bytes[..length];
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
        if sequence.is_some_and(|sequence| sequence != number) {
            continue;
        }
        replies.is_torn |= flags & NLM_F_DUMP_INTR != 0;
        match NetlinkMessage::<T>::deserialize(message).map(|m| m.payload) {
            Ok(NetlinkPayload::InnerMessage(item)) => replies.items.push(item),
            Ok(NetlinkPayload::Error(e)) if e.raw_code() != 0 => return Progress::Refused(e.raw_code().saturating_abs()),
            Ok(NetlinkPayload::Done(DoneMessage { code, .. })) if code < 0 => return Progress::Refused(code.saturating_abs()),
            Ok(NetlinkPayload::Error(_) | NetlinkPayload::Done(_)) => return Progress::Complete,
            Ok(_) => {}
            Err(e) => {
                replies.unread.get_or_insert_with(|| e.to_string());
            }
        }
    }
    Progress::More
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    #[test]
    fn the_kernel_shows_the_loopback_link_and_refuses_what_is_not_there() {
        let mut netlink = Netlink::route().unwrap();
        let get = |index| {
            let mut link = LinkMessage::default();
            link.header.index = index;
            RouteNetlinkMessage::GetLink(link)
        };
        let all: Replies<RouteNetlinkMessage> = netlink.dump(&get(0), "links").unwrap();
        assert!(!all.items.is_empty() && all.unread.is_none(), "{all:?}");
        let one: Replies<RouteNetlinkMessage> = netlink.call(get(1), 0, "show", "link 1").unwrap();
        assert_eq!(one.items.len(), 1);
        let none = netlink.call::<_, RouteNetlinkMessage>(get(0x7fff_fff0), 0, "show", "link 2147483632").unwrap_err();
        assert_eq!((none.errno(), none.to_string().as_str()), (Some(libc::ENODEV), "show link 2147483632: no such device"));
    }

    #[test]
    fn what_is_torn_or_answers_someone_else_is_no_message() {
        let message = |number: u32, length: u32| {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend(3u16.to_ne_bytes());
            bytes.extend(0u16.to_ne_bytes());
            bytes.extend(number.to_ne_bytes());
            bytes.extend([0; 8]);
            bytes
        };
        let read = |bytes: &[u8]| {
            let mut replies = Replies::<RouteNetlinkMessage>::default();
            (decode(bytes, Some(7), &mut replies), replies.unread.is_some())
        };
        assert_eq!(read(&message(7, 20)), (Progress::Complete, false));
        assert_eq!(read(&message(6, 20)), (Progress::More, false), "the answer to another request");
        assert_eq!(read(&message(7, 40)), (Progress::More, true), "longer than what there is");
        assert_eq!(read(&message(7, 3)), (Progress::More, true), "shorter than its header");
        assert_eq!(read(&[1, 2, 3]), (Progress::More, false));
    }
}
