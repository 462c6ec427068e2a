//! The sockets that an address leaves behind when it goes.
//!
//! Shared with the tickle: a server that listens on a node, and clients of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::call::{v4, v6};
use crate::world::{VIP, VIP6, inside, ip, places, until};

/// Both ends of a connection.
pub struct Pair {
    pub client: TcpStream,
    pub server: TcpStream,
}

/// Listens on a node. `[::]` takes IPv4 clients too, as LIO's portals do.
pub fn listen(node: &str, address: &str, port: u16) -> TcpListener {
    let address: IpAddr = address.parse().unwrap();
    inside(node, || TcpListener::bind((address, port)).unwrap())
}

/// Connects the client, which then is idle.
pub fn connect(listener: &TcpListener, address: &str) -> Pair {
    let to = SocketAddr::new(address.parse().unwrap(), listener.local_addr().unwrap().port());
    let client = inside("client", || TcpStream::connect_timeout(&to, Duration::from_secs(10)).unwrap());
    let (server, _) = listener.accept().unwrap();
    let pair = Pair { client, server };
    pair.works();
    pair
}

impl Pair {
    /// Says something there and back.
    #[track_caller]
    pub fn works(&self) {
        (&self.client).write_all(b"x").unwrap();
        self.server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut one = [0];
        (&self.server).read_exact(&mut one).unwrap();
        (&self.server).write_all(b"y").unwrap();
        self.client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        (&self.client).read_exact(&mut one).unwrap();
    }
}

/// What a stream that only listens hears within a while: the kind of error, or nothing, and after how long.
pub fn hears(mut stream: &TcpStream, seconds: u64) -> (Option<ErrorKind>, Duration) {
    stream.set_read_timeout(Some(Duration::from_secs(seconds))).unwrap();
    let since = Instant::now();
    match stream.read(&mut [0]) {
        Err(error)
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && since.elapsed().as_secs() >= seconds =>
        {
            (None, since.elapsed())
        }
        Err(error) => (Some(error.kind()), since.elapsed()),
        Ok(count) => panic!("{count} bytes"),
    }
}

/// The established connections of an address on a node.
pub fn established(node: &str, address: &str) -> usize {
    let (_, text) = crate::world::sh(&format!("ip netns exec {node} ss -Htn state established"));
    text.lines().filter(|line| line.split_whitespace().nth(2).is_some_and(|local| local.contains(address))).count()
}

/// The server's end ends at once; the client hears nothing, because it shall not come back to a node that is going away.
pub fn a_stop_ends_the_sockets_of_the_address_and_no_others() {
    v4("node1", "start").run().is(0);
    let listener = listen("node1", "0.0.0.0", 3260);
    let (ours, other) = (connect(&listener, VIP), connect(&listener, "192.168.7.1"));
    v4("node1", "stop").run().is(0);
    assert_eq!(established("node1", VIP), 0);
    let (heard, took) = hears(&ours.server, 3);
    assert!(heard.is_some() && took < Duration::from_secs(2), "{heard:?} after {took:?}");
    assert_eq!(hears(&ours.client, 2).0, None);
    other.works();
}

pub fn a_stop_ends_v4_mapped_and_v6_sockets() {
    v4("node1", "start").run().is(0);
    v6("node1", "start").set("nodad", "true").named("p_six").run().is(0);
    let listener = listen("node1", "::", 3260);
    let (mapped, six, other) = (connect(&listener, VIP), connect(&listener, VIP6), connect(&listener, "fd00:7::1"));
    v4("node1", "stop").run().is(0);
    assert!(hears(&mapped.server, 3).0.is_some());
    assert_eq!(hears(&mapped.client, 1).0, None);
    six.works();
    other.works();
    v6("node1", "stop").named("p_six").run().is(0);
    assert!(hears(&six.server, 3).0.is_some());
    // The kernel's reset still leaves: sending, IPv6 does not ask whether the source address is its own.
    println!("the IPv6 client heard {:?}", hears(&six.client, 1).0);
    other.works();
}

pub fn a_stop_of_one_address_leaves_those_of_another() {
    let second = |action: &str| v4("node1", action).set("ip", "192.168.7.5").named("p_second");
    v4("node1", "start").run().is(0);
    second("start").run().is(0);
    let listener = listen("node1", "0.0.0.0", 80);
    let (first, other) = (connect(&listener, VIP), connect(&listener, "192.168.7.5"));
    second("stop").run().is(0);
    first.works();
    assert!(hears(&other.server, 3).0.is_some());
    // A listener that is bound to the address goes on; it belongs to somebody else.
    let bound = listen("node1", VIP, 8080);
    let pair = connect(&bound, VIP);
    v4("node1", "stop").run().is(0);
    assert!(hears(&pair.server, 3).0.is_some());
    ip("node1", &format!("addr add {VIP}/24 dev eth0"));
    until("the address is back", 2, || !places("node1", VIP).is_empty());
    connect(&bound, VIP).works();
}
