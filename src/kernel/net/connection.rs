//! The TCP connections of an address: listed and destroyed over `NETLINK_SOCK_DIAG`, and kept as lines of text (`sock_diag(7)`).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags};
use netlink_packet_sock_diag::{AF_INET, AF_INET6, IPPROTO_TCP, SockDiagDestroy, SockDiagMessage, TCP_FIN_WAIT2};

use super::netlink::{Netlink, Replies};
use crate::kernel::error::{KernelError, Result};

/// A TCP connection. Addresses of IPv4 are plain ones, also where an IPv6 socket has them; scopes are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}", self.local, self.peer)
    }
}

/// A line that is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAConnection;

impl fmt::Display for NotAConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not two addresses with ports")
    }
}

impl std::error::Error for NotAConnection {}

impl FromStr for Connection {
    type Err = NotAConnection;

    /// Also reads what the shell agent portblock writes: `ss` separates by blanks and may leave out the brackets of IPv6.
    fn from_str(line: &str) -> std::result::Result<Self, NotAConnection> {
        let mut ends = line.split_whitespace().map(end);
        match (ends.next(), ends.next(), ends.next()) {
            (Some(Some(local)), Some(Some(peer)), None) if local.is_ipv4() == peer.is_ipv4() => Ok(Self { local, peer }),
            _ => Err(NotAConnection),
        }
    }
}

fn end(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.rsplit_once(':')?;
    let ip = ip.strip_prefix('[').map_or(Some(ip), |ip| ip.strip_suffix(']'))?;
    // Digits only: std's parser takes a sign.
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then_some(port)?;
    Some(SocketAddr::new(ip.parse::<IpAddr>().ok()?.to_canonical(), port.parse().ok()?))
}

/// The established connections with the local address `ip` and one of these local ports, or any when there are none; sorted.
///
/// # Errors
/// The kernel does not show them; `ENOENT` when it lacks the module for that.
pub fn established(ip: IpAddr, ports: &[u16]) -> Result<Vec<Connection>> {
    // The kernel can leave out all but one port.
    let port = if let [port] = ports { *port } else { 0 };
    let mut netlink = Netlink::sock_diag()?;
    let mut connections = Vec::new();
    for socket in sockets(&mut netlink, ip, port, &StateFlags::ESTABLISHED)? {
        let connection = connection(&socket.socket_id);
        if ports.is_empty() || ports.contains(&connection.local.port()) {
            connections.push(connection);
        }
    }
    connections.sort_unstable();
    connections.dedup();
    Ok(connections)
}

/// Ends every TCP connection with the local address `ip`, in whatever state, and says how many there were: its owner reads
/// `ECONNABORTED`. The peer is told by a reset; over IPv4 only as long as the address is here, over IPv6 even afterwards. Who listens
/// goes on, and `TIME_WAIT` is left alone.
///
/// # Errors
/// The kernel does not show them (`ENOENT`), can not do it (`EOPNOTSUPP`), or it is not allowed (`CAP_NET_ADMIN`). The others are
/// destroyed all the same.
pub fn destroy(ip: IpAddr) -> Result<usize> {
    let states = StateFlags::all() - StateFlags::LISTEN - StateFlags::CLOSE - StateFlags::TIME_WAIT;
    let mut netlink = Netlink::sock_diag()?;
    let (mut destroyed, mut wrong) = (0, None);
    for socket in sockets(&mut netlink, ip, 0, &states)? {
        let what = connection(&socket.socket_id);
        // Half closed and without an owner, the kernel keeps no more of it than in TIME_WAIT, and some can not destroy that.
        let is_remnant = socket.state == TCP_FIN_WAIT2 && socket.inode == 0;
        let request = SockDiagMessage::InetRequest(request(socket.family, socket.socket_id, &states));
        let done: Result<Replies<SockDiagMessage>> =
            netlink.call(SockDiagDestroy::new(request), 0, "destroy", format!("connection {what}"));
        match done.as_ref().map_err(KernelError::errno) {
            Ok(_) => destroyed += 1,
            Err(Some(libc::ENOENT)) => {}
            Err(Some(libc::EOPNOTSUPP)) if is_remnant => {}
            Err(_) => wrong = wrong.or(done.err()),
        }
    }
    wrong.map_or(Ok(destroyed), Err)
}

/// The sockets of both families: one of IPv6 can have an address of IPv4.
fn sockets(netlink: &mut Netlink, ip: IpAddr, port: u16, states: &StateFlags) -> Result<Vec<InetResponseHeader>> {
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        if family == AF_INET && ip.to_canonical().is_ipv6() {
            continue;
        }
        let any = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
        let id = SocketId { source_port: port, ..any };
        let what = "tcp connections";
        let replies = netlink.dump(&SockDiagMessage::InetRequest(request(family, id, states)), what)?;
        if let Some(why) = replies.unread {
            return Err(KernelError::new("list", what, io::Error::other(why)));
        }
        found.extend(replies.items.into_iter().filter_map(|item| match item {
            SockDiagMessage::InetResponse(response) => Some(response.header),
            _ => None,
        }));
    }
    found.retain(|socket| socket.socket_id.source_address.to_canonical() == ip.to_canonical());
    Ok(found)
}

fn request(family: u8, socket_id: SocketId, states: &StateFlags) -> InetRequest {
    InetRequest { family, protocol: IPPROTO_TCP, extensions: ExtensionFlags::empty(), states: states.clone(), socket_id }
}

fn connection(id: &SocketId) -> Connection {
    let end = |ip: IpAddr, port| SocketAddr::new(ip.to_canonical(), port);
    Connection { local: end(id.source_address, id.source_port), peer: end(id.destination_address, id.destination_port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<String> {
        line.parse::<Connection>().ok().map(|connection| connection.to_string())
    }

    #[test]
    fn a_connection_is_read_as_it_is_written() {
        for line in ["192.0.2.7:3260\t192.0.2.99:40000", "[2001:db8::1]:3260\t[2001:db8::2]:40000"] {
            assert_eq!(read(line).as_deref(), Some(line));
        }
    }

    #[test]
    fn what_the_shell_agent_wrote_is_read_too() {
        let v4 = Some("192.0.2.7:3260\t192.0.2.99:40000".to_owned());
        assert_eq!(read("  192.0.2.7:3260   192.0.2.99:40000  \n"), v4);
        assert_eq!(read("[::ffff:192.0.2.7]:3260 [::ffff:192.0.2.99]:40000"), v4);
        assert_eq!(read("::ffff:192.0.2.7:3260 192.0.2.99:40000"), v4);
        assert_eq!(read("2001:db8::1:3260 2001:db8::2:40000"), Some("[2001:db8::1]:3260\t[2001:db8::2]:40000".to_owned()));
    }

    #[test]
    fn what_is_no_connection_is_refused_and_nothing_panics() {
        let good = "[2001:db8::1]:3260\t192.0.2.99:40000";
        for line in [
            "",
            "192.0.2.7:3260",
            good,
            "192.0.2.7 192.0.2.99",
            "192.0.2.7:3260 192.0.2.99:70000",
            "192.0.2.7:+3260 192.0.2.99:40000",
            "192.0.2.7:3260 192.0.2.99:",
            "192.0.2.7:3260 192.0.2.99:40000 192.0.2.99:40000",
            "[2001:db8::1:3260 [2001:db8::2]:40000",
            "node1:3260 node2:40000",
            "\u{fc}:1 \u{fc}:2",
        ] {
            assert_eq!(read(line), None, "{line:?}");
        }
        for length in 0..good.len() {
            assert_eq!(read(&good[..length]), None);
        }
    }
}
