//! Wakes the peers of connections that have moved here: each is sent an acknowledgement of nothing, answers it, and learns by the reset
//! which follows that its connection is gone, instead of waiting for its time-outs.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, sendto, socket};

use super::connection::Connection;
use super::packet::acknowledgement;
use crate::kernel::error::{KernelError, Result};

/// Sends such acknowledgements from one address.
#[derive(Debug)]
pub struct Tickler {
    socket: OwnedFd,
}

impl Tickler {
    /// Opens a socket (raw(7)), to which `IPPROTO_RAW` says that packets bring their IP header along.
    ///
    /// # Errors
    /// No privilege (`CAP_NET_RAW`).
    pub fn open(ip: IpAddr) -> Result<Self> {
        let ip = ip.to_canonical();
        let family = if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)
            .map_err(|e| KernelError::new("open raw socket for", ip.to_string(), e.into()))?;
        // So that rules which route by source address see it. Without such rules it does not matter, and an address that is not fully
        // there yet can not be bound.
        let _ = bind(socket.as_raw_fd(), &without_port(ip));
        Ok(Self { socket })
    }

    /// Sends one to the peer of a connection.
    ///
    /// # Errors
    /// There is no way there, or the connection is of another family than the address.
    pub fn tickle(&self, connection: &Connection) -> Result<()> {
        let wrong = |e| KernelError::new("tickle", connection.peer.to_string(), e);
        let packet = acknowledgement(connection.local, connection.peer).map_err(wrong)?;
        let to = without_port(connection.peer.ip());
        let sent = sendto(self.socket.as_raw_fd(), &packet, &to, MsgFlags::MSG_DONTWAIT);
        sent.map(drop).map_err(|e| wrong(e.into()))
    }
}

/// For raw sockets a port is a protocol.
fn without_port(ip: IpAddr) -> SockaddrStorage {
    SockaddrStorage::from(SocketAddr::new(ip, 0))
}
