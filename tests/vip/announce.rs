//! What really passes on the wire when an address comes, stays and goes.

use std::time::Duration;

use crate::call::{peer, v4, v6};
use crate::wire::{Frame, What, Wire};
use crate::world::{VIP, VIP6, ip, pause, quiet, until};

const NODE1: [u8; 6] = [2, 0, 0, 0, 1, 0];
const EVERYBODY: [u8; 6] = [0xff; 6];

/// How far apart things may be on a machine that is busy.
const SLACK: Duration = Duration::from_millis(1500);

fn replies(frames: &[Frame]) -> usize {
    frames.iter().filter(|frame| matches!(frame.what, What::Arp { reply: true, .. })).count()
}

/// Some switches and firewalls learn from the one form only, some from the other. The second burst is for those that forgot.
pub fn requests_and_replies_in_two_bursts() {
    let wire = Wire::at("client", "br0");
    v4("node1", "start").set("arp_count", "3").set("arp_interval", "300").run().is(0);
    let answered = wire.now();
    until("two bursts of three rounds", 20, || wire.claims(VIP).len() >= 12);
    quiet();
    let claims = wire.claims(VIP);
    assert_eq!(claims.len(), 12, "{claims:?}");
    assert_eq!(replies(&claims), 6);
    for Frame { what, .. } in &claims {
        let What::Arp { reply, to, sender_mac, target_mac, .. } = what else { unreachable!() };
        assert_eq!((*to, *sender_mac), (EVERYBODY, NODE1));
        assert!(!reply || *target_mac == EVERYBODY || *target_mac == NODE1, "{what:?}");
    }
    // Rounds of two, in their order.
    for round in claims.chunks(2) {
        assert_eq!(replies(round), 1, "{claims:?}");
    }
    let gap = |a: usize, b: usize| claims[b].at.checked_sub(claims[a].at).unwrap();
    assert!(claims[0].at < answered + SLACK, "{claims:?}");
    // A round that was late is not made up for by the next.
    for (a, b) in [(0, 2), (2, 4), (6, 8), (8, 10)] {
        assert!(gap(a, b) >= Duration::from_millis(100) && gap(a, b) < Duration::from_millis(300) + SLACK, "{claims:?}");
    }
    assert!(gap(0, 6) >= Duration::from_millis(4500) && gap(0, 6) < Duration::from_secs(7) + SLACK, "{claims:?}");
}

pub fn a_stop_ends_the_announcing() {
    let wire = Wire::at("client", "br0");
    let call = v4("node1", "start").set("arp_count", "10").set("arp_interval", "300");
    call.run().is(0);
    until("it is announced", 5, || wire.claims(VIP).len() >= 2);
    call.action("stop").run().is(0);
    let stopped = wire.now() + Duration::from_millis(50);
    quiet();
    assert!(wire.now() < stopped + Duration::from_secs(2));
    pause(6000);
    let late: Vec<_> = wire.claims(VIP).into_iter().filter(|frame| frame.at > stopped).collect();
    assert!(late.is_empty(), "{late:?}");
}

pub fn an_address_deleted_by_hand_ends_the_announcing() {
    let wire = Wire::at("client", "br0");
    v4("node1", "start").set("arp_count", "10").set("arp_interval", "300").run().is(0);
    until("it is announced", 5, || wire.claims(VIP).len() >= 2);
    ip("node1", &format!("addr del {VIP}/24 dev eth0"));
    let deleted = wire.now() + Duration::from_millis(50);
    pause(6000);
    let late: Vec<_> = wire.claims(VIP).into_iter().filter(|frame| frame.at > deleted).collect();
    assert!(late.is_empty(), "{late:?}");
    quiet();
}

/// A start that finds the address right repeats what a switch may have missed.
pub fn a_second_start_announces_again() {
    ip("node1", &format!("addr add {VIP}/24 brd + dev eth0"));
    let wire = Wire::at("client", "br0");
    v4("node1", "start").set("arp_count", "2").run().is(0);
    until("it is announced", 8, || wire.claims(VIP).len() >= 4);
}

pub fn a_monitor_announces_when_told_to() {
    v4("node1", "start").set("arp_count", "1").run().is(0);
    quiet();
    let wire = Wire::at("client", "br0");
    v4("node1", "monitor").run().is(0);
    pause(1500);
    assert_eq!(wire.claims(VIP).len(), 0);
    v4("node1", "monitor").set("arp_count_refresh", "2").run().is(0);
    until("it is announced", 5, || wire.claims(VIP).len() >= 4);
    quiet();
    assert_eq!(wire.claims(VIP).len(), 4);
}

/// RFC 4861 7.2.6: to all nodes, hop limit 255, override, with the link-layer address.
pub fn v6_is_announced_by_advertisements() {
    let wire = Wire::at("client", "br0");
    v6("node1", "start").set("arp_count", "3").set("arp_interval", "300").run().is(0);
    until("it is announced twice", 20, || wire.advertisements(VIP6).len() >= 6);
    quiet();
    let frames = wire.advertisements(VIP6);
    assert_eq!(frames.len(), 6, "{frames:?}");
    for Frame { what, .. } in &frames {
        let What::Advertisement { source, to, hops, flags, options, .. } = what else { unreachable!() };
        assert_eq!((source.to_string(), to.to_string(), *hops), (VIP6.to_owned(), "ff02::1".to_owned(), 255));
        assert_eq!(flags & 0x60, 0x20, "override, unsolicited");
        assert_eq!(options[..], [2, 1, 2, 0, 0, 0, 1, 0]);
    }
}

/// For those who ask for it by `arp_bg=false`: when start answers, the first burst is over.
pub fn the_foreground_is_waited_for() {
    let wire = Wire::at("client", "br0");
    let call = v4("node1", "start").set("arp_count", "3").set("arp_interval", "300").set("arp_bg", "false");
    let answer = call.run().is(0);
    assert!(wire.claims(VIP).len() >= 6, "{:?} {:?}", answer.took, wire.claims(VIP));
}

pub fn the_first_packet_comes_soon() {
    let wire = Wire::at("client", "br0");
    let answer = v4("node1", "start").run().is(0);
    until("it is announced", 8, || !wire.claims(VIP).is_empty());
    let first = wire.claims(VIP)[0].at;
    println!("start took {:?}, first packet after {first:?}", answer.took);
    assert!(peer() || first < answer.took + SLACK);
    let answer = v6("node1", "start").run().is(0);
    until("it is announced", 20, || !wire.advertisements(VIP6).is_empty());
    println!("start of IPv6 took {:?}", answer.took);
}
