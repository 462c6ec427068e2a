//! Another host that has the address: found before it is taken, and later by whoever looks.

use crate::call::{v4, v6};
use crate::wire::{What, Wire};
use crate::world::{VIP, VIP6, assert_as_before, ip, places, quiet, sysctl, traces, until};

const NODE2: &str = "02:00:00:00:02:00";

fn node2_has_it() {
    ip("node2", &format!("addr add {VIP}/24 dev eth0"));
}

pub fn a_duplicate_stops_the_start_and_is_named() {
    node2_has_it();
    let before = traces("node1");
    let wire = Wire::at("client", "br0");
    let answer = v4("node1", "start").set("run_arping", "true").run().is(1).says(&[VIP, NODE2]);
    println!("a duplicate was found after {:?}", answer.took);
    quiet();
    assert_as_before("node1", &before);
    assert_eq!(wire.claims(VIP).len(), 0, "nothing is claimed that is another's");
    // Without the check nobody asks, as with the peer.
    v4("node1", "start").run().is(0);
}

/// RFC 5227: the probe claims nothing, so nobody's cache is touched by it.
pub fn a_free_address_costs_half_a_second() {
    let wire = Wire::at("client", "br0");
    let answer = v4("node1", "start").set("run_arping", "true").run().is(0);
    println!("start with a duplicate check took {:?}", answer.took);
    until("the probes are seen", 5, || {
        let probe = |what: &What| matches!(what, What::Arp { reply: false, sender, target, .. } if sender.is_unspecified() && target.to_string() == VIP);
        wire.frames().iter().any(|frame| probe(&frame.what))
    });
}

pub fn a_deep_monitor_finds_a_duplicate() {
    v4("node1", "start").set("arp_count", "1").run().is(0);
    v4("node1", "monitor").level(10).run().is(0);
    node2_has_it();
    v4("node1", "monitor").level(10).run().is(190).says(&[NODE2]);
    v4("node1", "monitor").level(10).set("monitor_on_duplicate", "fail").run().is(1).says(&[NODE2]);
    ip("node2", &format!("addr del {VIP}/24 dev eth0"));
    v4("node1", "monitor").level(10).run().is(0);
}

pub fn a_cheap_monitor_asks_nobody() {
    v4("node1", "start").set("arp_count", "1").run().is(0);
    quiet();
    node2_has_it();
    let wire = Wire::at("client", "br0");
    v4("node1", "monitor").set("monitor_on_duplicate", "fail").run().is(0);
    v4("node1", "probe").run().is(0);
    let asked = wire.frames().iter().filter(|frame| matches!(frame.what, What::Arp { .. })).count();
    assert_eq!(asked, 0);
}

/// The kernel's own detection, at start and afterwards.
pub fn a_dadfailed_address_has_failed() {
    ip("node2", &format!("addr add {VIP6}/64 dev eth0 nodad"));
    let before = traces("node1");
    v6("node1", "start").run().is(1).says(&[VIP6]);
    quiet();
    assert_as_before("node1", &before);
    sysctl("node1", "net/ipv6/conf/eth0/accept_dad", "1");
    ip("node1", &format!("addr add {VIP6}/64 dev eth0"));
    until("the kernel finds the duplicate", 10, || places("node1", VIP6)[0].contains("dadfailed"));
    v6("node1", "monitor").run().is(1).says(&["duplicate", VIP6]);
    v6("node1", "probe").run().is(1);
    v6("node1", "stop").run().is(0);
    assert_eq!(places("node1", VIP6), [""; 0]);
}
