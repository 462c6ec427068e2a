//! Nic, mask and broadcast: given, or found from the routes. The situations are those of the peer's own test lists (`IPaddr2v4`, `IPaddr2v6`).

use crate::call::{Call, bare, peer, v4, v6};
use crate::world::{VIP, VIP6, ip, is_at, places};

fn v4_of(parameters: &[(&str, &str)]) -> Call {
    parameters.iter().fold(bare("node1", "start").set("ip", VIP), |call, (name, value)| call.set(name, value))
}

fn v6_of(parameters: &[(&str, &str)]) -> Call {
    parameters.iter().fold(bare("node1", "start").set("ip", VIP6), |call, (name, value)| call.set(name, value))
}

/// Starts, finds the address at `place`, monitors, stops, and finds it gone.
fn lives(call: &Call, address: &str, place: &str) {
    call.action("start").run().is(0);
    assert!(is_at("node1", address, place), "{:?}", places("node1", address));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", address), [""; 0]);
}

/// Starts in vain, and nothing is there.
fn fails(call: &Call, address: &str, ours: i32, peer: i32) {
    call.action("start").run().differs(ours, peer);
    assert_eq!(places("node1", address), [""; 0]);
}

pub fn v4_normal_life() {
    let call = v4_of(&[]);
    call.action("monitor").run().is(7);
    call.action("stop").run().is(0);
    call.action("start").run().is(0);
    call.action("start").run().is(0);
    assert!(is_at("node1", VIP, "eth0 24"));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    call.action("stop").run().is(0);
    call.action("monitor").run().is(7);
    assert_eq!(places("node1", VIP), [""; 0]);
}

pub fn v6_normal_life() {
    let call = v6_of(&[]);
    call.action("monitor").run().is(7);
    call.action("stop").run().is(0);
    call.action("start").run().is(0);
    call.action("start").run().is(0);
    assert!(is_at("node1", VIP6, "eth0 64"));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    call.action("stop").run().is(0);
    call.action("monitor").run().is(7);
    assert_eq!(places("node1", VIP6), [""; 0]);
}

pub fn v4_nic_without_mask() {
    lives(&v4_of(&[("nic", "eth0")]), VIP, "eth0 24");
}

pub fn v4_nic_and_mask() {
    lives(&v4("node1", ""), VIP, "eth0 24");
}

pub fn v4_mask_without_nic() {
    lives(&v4_of(&[("cidr_netmask", "24")]), VIP, "eth0 24");
}

pub fn v4_no_network_fits() {
    fails(&v4_of(&[("ip", "192.168.120.1")]), "192.168.120.1", 5, 1);
}

pub fn v4_nic_without_a_network() {
    fails(&v4_of(&[("nic", "eth1")]), VIP, 5, 1);
}

/// A route that holds the address says which nic; the mask that was given is the one that is used.
pub fn v4_shorter_mask_than_the_network_and_no_nic() {
    let call = v4_of(&[("cidr_netmask", "16")]);
    if peer() {
        fails(&call, VIP, 5, 1);
    } else {
        lives(&call, VIP, "eth0 16");
    }
}

pub fn v4_nic_and_mask_by_force() {
    for mask in ["16", "28"] {
        lives(&v4_of(&[("nic", "eth1"), ("cidr_netmask", mask)]), VIP, &format!("eth1 {mask}"));
    }
    ip("node1", "addr flush dev eth0");
    lives(&v4_of(&[("nic", "eth1"), ("cidr_netmask", "28")]), VIP, "eth1 28");
    let broadcast = v4_of(&[("nic", "eth1"), ("cidr_netmask", "16"), ("broadcast", "192.168.255.255")]);
    broadcast.run().is(0);
    assert!(places("node1", VIP)[0].contains("brd 192.168.255.255"));
    broadcast.action("stop").run().is(0);
}

pub fn v4_longer_mask_and_no_nic() {
    lives(&v4_of(&[("cidr_netmask", "28")]), VIP, "eth0 28");
}

pub fn v4_no_base_address() {
    ip("node1", "addr flush dev eth0");
    fails(&v4_of(&[("nic", "eth0")]), VIP, 5, 1);
    fails(&v4_of(&[("cidr_netmask", "24")]), VIP, 5, 1);
    fails(&v4_of(&[("broadcast", "192.168.255.255")]), VIP, 5, 1);
}

pub fn v6_no_network_fits() {
    fails(&v6_of(&[("ip", "2001:db8:5678::2")]), "2001:db8:5678::2", 5, 1);
}

pub fn v6_link_local_without_nic() {
    fails(&v6_of(&[("ip", "fe80::2")]), "fe80::2", 6, 6);
}

/// The mask of a link-local address comes from the route of the nic's own.
pub fn v6_link_local_with_nic() {
    ip("node1", "addr add fe80::1/64 dev eth0 nodad");
    lives(&v6_of(&[("ip", "fe80::2"), ("nic", "eth0")]), "fe80::2", "eth0 64");
}

pub fn v6_nic_without_a_network() {
    fails(&v6_of(&[("nic", "eth1")]), VIP6, 5, 1);
    ip("node1", "-6 addr flush dev eth0");
    fails(&v6_of(&[("nic", "eth0")]), VIP6, 5, 1);
    fails(&v6_of(&[("cidr_netmask", "64")]), VIP6, 5, 1);
}

/// As with IPv4, a mask that was given is the one that is used.
pub fn v6_other_masks_without_nic() {
    lives(&v6_of(&[("cidr_netmask", "64")]), VIP6, "eth0 64");
    lives(&v6_of(&[("cidr_netmask", "80")]), VIP6, "eth0 80");
    let call = v6_of(&[("cidr_netmask", "48")]);
    if peer() {
        fails(&call, VIP6, 5, 1);
    } else {
        lives(&call, VIP6, "eth0 48");
    }
}

pub fn v6_nic_and_mask_by_force() {
    lives(&v6("node1", ""), VIP6, "eth0 64");
    for mask in ["80", "48"] {
        lives(&v6_of(&[("nic", "eth1"), ("cidr_netmask", mask)]), VIP6, &format!("eth1 {mask}"));
    }
    ip("node1", "-6 addr flush dev eth0");
    lives(&v6_of(&[("nic", "eth1"), ("cidr_netmask", "48")]), VIP6, "eth1 48");
}

pub fn unknown_action() {
    v4("node1", "no_cmd").run().is(3);
    assert_eq!(places("node1", VIP), [""; 0]);
}

/// As 4.12 does; later versions take the least metric first.
pub fn the_longest_prefix_is_taken_before_the_metric() {
    ip("node1", "route add 192.168.7.48/28 dev eth1 scope link metric 500 src 192.168.7.1");
    let call = v4_of(&[]);
    call.run().is(0);
    assert!(is_at("node1", VIP, "eth1 28"), "{:?}", places("node1", VIP));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
}

/// 4.12 takes the last that is listed.
pub fn of_equal_prefixes_the_least_metric_is_taken() {
    ip("node1", "addr flush dev eth0");
    ip("node1", "addr add 192.168.7.1/24 dev eth0 noprefixroute");
    ip("node1", "addr add 192.168.7.9/24 dev eth1 noprefixroute");
    ip("node1", "route add 192.168.7.0/24 dev eth0 scope link src 192.168.7.1 metric 200");
    ip("node1", "route add 192.168.7.0/24 dev eth1 scope link src 192.168.7.9 metric 100");
    lives(&v4_of(&[]), VIP, if peer() { "eth0 24" } else { "eth1 24" });
}

pub fn a_default_route_says_nothing() {
    ip("node1", "route add default dev eth0 scope link");
    ip("node1", "-6 route add default dev eth0");
    fails(&v4_of(&[("ip", "10.9.8.7")]), "10.9.8.7", 5, 1);
    fails(&v6_of(&[("ip", "2001:db8::7")]), "2001:db8::7", 5, 1);
    ip("node1", "route add unreachable 10.9.0.0/16");
    fails(&v4_of(&[("ip", "10.9.8.7")]), "10.9.8.7", 5, 1);
}

/// 4.12 has no `proto`.
pub fn a_route_of_another_protocol_is_passed_over() {
    ip("node1", "route add 192.168.7.32/27 dev eth1 scope link proto static src 192.168.7.1");
    if peer() {
        lives(&v4_of(&[("proto", "kernel")]), VIP, "eth1 27");
    } else {
        lives(&v4_of(&[("proto", "kernel")]), VIP, "eth0 24");
        lives(&v4_of(&[("proto", "static")]), VIP, "eth1 27");
    }
}

pub fn a_dotted_mask_is_a_mask() {
    lives(&v4_of(&[("nic", "eth0"), ("cidr_netmask", "255.255.255.0")]), VIP, "eth0 24");
}

/// Not given, it is that of the network.
pub fn broadcast_in_every_form() {
    for (given, found) in [
        ("+", "brd 192.168.7.255 "),
        ("-", "brd 192.168.7.0 "),
        ("192.168.7.99", "brd 192.168.7.99 "),
        ("", "brd 192.168.7.255 "),
    ] {
        let call = v4("node1", "").set("broadcast", given);
        call.action("start").run().is(0);
        assert!(places("node1", VIP)[0].contains(found), "broadcast={given}: {:?}", places("node1", VIP));
        call.action("stop").run().is(0);
    }
    let call = v4("node1", "");
    call.action("start").run().is(0);
    assert!(places("node1", VIP)[0].contains("brd 192.168.7.255 "), "{:?}", places("node1", VIP));
    call.action("stop").run().is(0);
    let call = v4_of(&[("proto", "kernel")]);
    call.run().is(0);
    assert!(places("node1", VIP)[0].contains("brd 192.168.7.255 "), "{:?}", places("node1", VIP));
}
