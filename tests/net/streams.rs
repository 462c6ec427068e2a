//! The connections of an address: seen, destroyed, woken up.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, connect, listen, setsockopt, socket, sockopt::TcpRepair,
};
use ocf_san::kernel::net::connection::{Connection, destroy, established};
use ocf_san::kernel::net::tickle::Tickler;

use super::links::*;

fn loopback() {
    ip("link set lo up");
    for addresses in [[VIP4, PEER4], [VIP6, PEER6]] {
        for one in addresses {
            // Without this it is tentative at first and can not be bound.
            let nodad = if address(one).is_ipv6() { "nodad" } else { "" };
            ip(&format!("addr add {one} dev lo {nodad}"));
        }
    }
    // Even so there is no way to an IPv6 address before the kernel comes round to making one.
    let limit = soon();
    while [VIP6, PEER6].iter().any(|one| !ip("-6 route show table local").contains(&format!("local {one} "))) {
        assert!(!limit.is_past());
    }
}

/// A connection, its server's socket, its client's.
fn connected(listener: &TcpListener, from: &str, to: &str) -> (Connection, TcpStream, TcpStream) {
    let to = SocketAddr::new(address(to), listener.local_addr().unwrap().port());
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let client = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(client.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address(from), 0))).unwrap();
    connect(client.as_raw_fd(), &SockaddrStorage::from(to)).unwrap();
    let client = TcpStream::from(client);
    let server = listener.accept().unwrap().0;
    for end in [&client, &server] {
        end.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    }
    (Connection { local: to, peer: client.local_addr().unwrap() }, server, client)
}

/// Of IPv6, and of IPv4 too.
fn dual_stack(port: u16) -> TcpListener {
    let listener = socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address("::"), port))).unwrap();
    listen(&listener, Backlog::new(8).unwrap()).unwrap();
    listener.into()
}

fn how_it_ends(mut stream: &TcpStream) -> Option<ErrorKind> {
    stream.read(&mut [0; 8]).err().map(|e| e.kind())
}

pub fn connections_are_listed_by_address_and_port_of_both_families() {
    loopback();
    let (plain, dual) = (TcpListener::bind((VIP4, 3260)).unwrap(), dual_stack(3261));
    let (a, b, mapped) = (connected(&plain, PEER4, VIP4), connected(&plain, PEER4, VIP4), connected(&dual, PEER4, VIP4));
    let six = connected(&dual, PEER6, VIP6);
    let mut plain_ones = [a.0, b.0];
    plain_ones.sort();
    assert_eq!(established(address(VIP4), &[3260]).unwrap(), plain_ones);
    assert_eq!(established(address(VIP4), &[3261]).unwrap(), [mapped.0]);
    assert!(mapped.0.local.is_ipv4() && mapped.0.peer.is_ipv4());
    let all = [&plain_ones[..], &[mapped.0]].concat();
    assert_eq!(established(address(VIP4), &[3261, 3260]).unwrap(), all);
    assert_eq!(established(address(VIP4), &[]).unwrap(), all);
    assert_eq!(established(address(VIP6), &[3260, 3261]).unwrap(), [six.0]);
    assert_eq!(established(address(VIP4), &[80]).unwrap(), []);
    assert_eq!(established(address("10.9.0.3"), &[]).unwrap(), []);
    let other_end = Connection { local: six.0.peer, peer: six.0.local };
    assert_eq!(established(address(PEER6), &[]).unwrap(), [other_end]);
    for connection in all {
        assert_eq!(connection.to_string().parse(), Ok(connection));
    }
}

pub fn every_connection_of_an_address_is_destroyed_and_who_listens_goes_on() {
    loopback();
    let (plain, dual) = (TcpListener::bind((VIP4, 3260)).unwrap(), dual_stack(3261));
    let four = [connected(&plain, PEER4, VIP4), connected(&plain, PEER4, VIP4), connected(&dual, PEER4, VIP4)];
    let six = [connected(&dual, PEER6, VIP6)];
    assert_eq!(destroy(address("10.9.0.3")).unwrap(), 0);
    assert_eq!(destroy(address(VIP4)).unwrap(), 3);
    assert_eq!(established(address(VIP4), &[]).unwrap(), []);
    assert_eq!(established(address(VIP6), &[]).unwrap(), [six[0].0], "another address");
    assert_eq!(destroy(address(VIP6)).unwrap(), 1);
    for (connection, server, client) in four.iter().chain(&six) {
        assert_eq!(how_it_ends(server), Some(ErrorKind::ConnectionAborted), "{connection}");
        assert_eq!(how_it_ends(client), Some(ErrorKind::ConnectionReset), "{connection}");
    }
    assert_eq!(destroy(address(VIP4)).unwrap(), 0);
    connected(&plain, PEER4, VIP4);
    connected(&dual, PEER6, VIP6);
}

pub fn a_connection_half_way_to_its_end_is_destroyed_too() {
    loopback();
    let listener = TcpListener::bind((VIP4, 3260)).unwrap();
    let (_, closing, client) = connected(&listener, PEER4, VIP4);
    closing.shutdown(Shutdown::Write).unwrap();
    assert_eq!(how_it_ends(&client), None, "the end of the stream");
    assert_eq!(established(address(VIP4), &[]).unwrap(), []);
    assert_eq!(destroy(address(VIP4)).unwrap(), 1);
    assert_eq!(how_it_ends(&closing), Some(ErrorKind::ConnectionAborted));

    // Nobody has this one any more, and the kernel keeps little of it: whether it can destroy that is its business.
    let (_, orphan, client) = connected(&listener, PEER4, VIP4);
    drop(orphan);
    assert_eq!(how_it_ends(&client), None, "the end of the stream");
    assert!(destroy(address(VIP4)).unwrap() <= 1);
}

pub fn a_peer_that_waits_for_a_vanished_socket_is_woken_up() {
    loopback();
    let (plain, dual) = (TcpListener::bind((VIP4, 3260)).unwrap(), dual_stack(3261));
    for (vip, peer, listener) in [(VIP4, PEER4, &plain), (VIP4, PEER4, &dual), (VIP6, PEER6, &dual)] {
        let (connection, server, client) = connected(listener, peer, vip);
        // As when a node dies: a socket that is being repaired is closed without a word.
        setsockopt(&server, TcpRepair, &1).unwrap();
        drop(server);
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert_eq!(how_it_ends(&client), Some(ErrorKind::WouldBlock), "{connection}: it knows of nothing");
        assert_eq!(established(address(vip), &[]).unwrap(), []);
        assert_eq!(established(address(peer), &[]).unwrap().len(), 1, "{connection}");

        client.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        Tickler::open(address(vip)).unwrap().tickle(&connection).unwrap();
        assert_eq!(how_it_ends(&client), Some(ErrorKind::ConnectionReset), "{connection}");
    }
    let away = Connection { local: "10.9.0.1:3260".parse().unwrap(), peer: "192.0.2.1:1".parse().unwrap() };
    let error = Tickler::open(address(VIP4)).unwrap().tickle(&away).unwrap_err();
    assert_eq!(
        (error.errno(), error.to_string().as_str()),
        (Some(libc::ENETUNREACH), "tickle 192.0.2.1:1: network is unreachable")
    );
}

pub fn a_peer_that_can_be_told_nothing_when_its_sockets_are_destroyed_is_woken_up_later() {
    loopback();
    let listener = TcpListener::bind((VIP4, 3260)).unwrap();
    let (connection, server, client) = connected(&listener, PEER4, VIP4);
    ip(&format!("addr del {VIP4}/32 dev lo"));
    assert_eq!(destroy(address(VIP4)).unwrap(), 1);
    assert_eq!(how_it_ends(&server), Some(ErrorKind::ConnectionAborted));
    ip(&format!("addr add {VIP4}/32 dev lo"));
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(how_it_ends(&client), Some(ErrorKind::WouldBlock), "without its address no reset was sent");
    client.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    Tickler::open(address(VIP4)).unwrap().tickle(&connection).unwrap();
    assert_eq!(how_it_ends(&client), Some(ErrorKind::ConnectionReset));
}
