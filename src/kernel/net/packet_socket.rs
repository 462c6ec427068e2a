//! A packet socket on one link (packet(7)): sends and receives from the network header on, with hardware addresses of up to 20 bytes.
//!
//! Closing one waits some 10 ms for the kernel to forget it, so a monitor opens none.
#![allow(unsafe_code)]

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::from_ref;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::hw::{HwAddr, HwLink};
use crate::deadline::Deadline;
use crate::kernel::process::wait_readable;

/// Bytes of the longest hardware address that a link has (InfiniBand).
const LONGEST: usize = 20;
/// Bytes of the longest packet that we want to understand.
const BUFFER: usize = 2048;

/// `sockaddr_ll` (`linux/if_packet.h`), with more room for the hardware address than libc's eight bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct LinkAddress {
    family: u16,
    /// In network byte order.
    protocol: u16,
    index: i32,
    kind: u16,
    packet_type: u8,
    length: u8,
    address: [u8; LONGEST],
}

const SIZE: libc::socklen_t = 32;
const _: () = assert!(size_of::<LinkAddress>() == SIZE as usize);
const _: () = assert!(offset_of!(LinkAddress, address) == offset_of!(libc::sockaddr_ll, sll_addr));

/// Which packets a socket hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hears {
    /// None; it only sends.
    Nothing,
    /// ARP.
    Arp,
    /// IPv6 neighbour solicitations and advertisements.
    Neighbors,
}

/// A packet that came in.
#[derive(Debug)]
pub struct Received {
    /// From the network header on.
    pub bytes: Vec<u8>,
    /// Where it came from; empty where the link does not tell.
    pub from: HwAddr,
    /// Whether it went to everybody.
    pub is_broadcast: bool,
}

/// A packet socket on one link.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    address: LinkAddress,
}

impl PacketSocket {
    /// Opens one.
    ///
    /// # Errors
    /// No privilege (`CAP_NET_RAW`), no such link, or it is down (`Hears::Nothing` does not look).
    pub fn open(link: &HwLink, hears: Hears) -> io::Result<Self> {
        // Protocol 0: it hears nothing until it is bound, and then only what its filter lets pass.
        let fd = socket(AddressFamily::Packet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        let index = i32::try_from(link.index).map_err(|_| Errno::ENODEV)?;
        let family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        let address =
            LinkAddress { family, protocol: 0, index, kind: link.kind, packet_type: 0, length: 0, address: [0; LONGEST] };
        let socket = Self { fd, address };
        match hears {
            Hears::Nothing => {}
            Hears::Arp => socket.bind(libc::ETH_P_ARP)?,
            Hears::Neighbors => {
                socket.filter_neighbors()?;
                socket.bind(libc::ETH_P_IPV6)?;
            }
        }
        Ok(socket)
    }

    /// Sends a packet of a protocol (`ETH_P_…`) to a hardware address.
    ///
    /// # Errors
    /// The link is down or gone, its queue is full, or the address does not fit it.
    pub fn send(&self, packet: &[u8], protocol: i32, to: &HwAddr) -> io::Result<()> {
        let mut address = LinkAddress { protocol: network_order(protocol)?, ..self.address };
        address.address.get_mut(..to.0.len()).ok_or(Errno::EINVAL)?.copy_from_slice(&to.0);
        address.length = u8::try_from(to.0.len()).map_err(|_| Errno::EINVAL)?;
        let (fd, flags) = (self.fd.as_raw_fd(), libc::MSG_DONTWAIT);
        let name = from_ref(&address).cast::<libc::sockaddr>();
        // SAFETY: both pointers are to live values of the lengths given, and the kernel only reads them.
        let sent = unsafe { libc::sendto(fd, packet.as_ptr().cast(), packet.len(), flags, name, SIZE) };
        Ok(Errno::result(sent).map(drop)?)
    }

    /// The next packet from outside, if there is one by then.
    ///
    /// # Errors
    /// The link went down.
    pub fn receive(&self, until: Deadline) -> io::Result<Option<Received>> {
        while wait_readable(self.fd.as_fd(), until)? {
            let mut bytes = vec![0; BUFFER];
            let (mut address, mut size) = (self.address, SIZE);
            let (fd, flags) = (self.fd.as_raw_fd(), libc::MSG_DONTWAIT);
            let name = (&raw mut address).cast::<libc::sockaddr>();
            // SAFETY: the pointers are to live values of the lengths given, which the kernel keeps to; any bytes make a LinkAddress.
            let read = unsafe { libc::recvfrom(fd, bytes.as_mut_ptr().cast(), bytes.len(), flags, name, &raw mut size) };
            match Errno::result(read) {
                Ok(length) => bytes.truncate(usize::try_from(length).unwrap_or(0)),
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(e) => return Err(e.into()),
            }
            if address.packet_type == libc::PACKET_OUTGOING {
                continue;
            }
            let from = address.address.get(..usize::from(address.length)).unwrap_or_default();
            let is_broadcast = address.packet_type == libc::PACKET_BROADCAST;
            return Ok(Some(Received { bytes, from: HwAddr(from.to_vec()), is_broadcast }));
        }
        Ok(None)
    }

    fn bind(&self, protocol: i32) -> io::Result<()> {
        let address = LinkAddress { protocol: network_order(protocol)?, ..self.address };
        let name = from_ref(&address).cast::<libc::sockaddr>();
        // SAFETY: the pointer is to a live value of the length given, and the kernel only reads it.
        let result = unsafe { libc::bind(self.fd.as_raw_fd(), name, SIZE) };
        Ok(Errno::result(result).map(drop)?)
    }

    /// Only what we look for, or the packets of a busy storage network would crowd it out.
    fn filter_neighbors(&self) -> io::Result<()> {
        const LOAD_BYTE: u16 = 0x30;
        const IF_EQUAL: u16 = 0x15;
        const IF_AT_LEAST: u16 = 0x35;
        const IF_ABOVE: u16 = 0x25;
        const RETURN: u16 = 0x06;
        let op = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
        let mut program = [
            op(LOAD_BYTE, 0, 0, 6),     // the next header
            op(IF_EQUAL, 0, 4, 58),     // is ICMPv6
            op(LOAD_BYTE, 0, 0, 40),    // and its type
            op(IF_AT_LEAST, 0, 2, 135), // is solicitation
            op(IF_ABOVE, 1, 0, 136),    // or advertisement
            op(RETURN, 0, 0, u32::MAX),
            op(RETURN, 0, 0, 0),
        ];
        let length = u16::try_from(program.len()).map_err(io::Error::other)?;
        let filter = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
        let size = libc::socklen_t::try_from(size_of_val(&filter)).map_err(io::Error::other)?;
        let (fd, value) = (self.fd.as_raw_fd(), from_ref(&filter).cast());
        // SAFETY: the pointer is to a live sock_fprog, and that one's to a live program of the length given; the kernel copies both.
        let result = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, value, size) };
        Ok(Errno::result(result).map(drop)?)
    }
}

fn network_order(protocol: i32) -> io::Result<u16> {
    Ok(u16::try_from(protocol).map_err(|_| Errno::EINVAL)?.to_be())
}
