//! What is whose: addresses of several resources on one node, of earlier starts, of the administrator.

use std::fs;
use std::thread;

use crate::call::{bare, v4, v6};
use crate::script;
use crate::sockets::{connect, listen};
use crate::wire::{What, Wire};
use crate::world::{DIR, VIP, ip, is_at, pause, places, sysctl, until};

const SIBLING: &str = "192.168.9.51";
const PRIMARY: &str = "192.168.9.50";

/// Whichever stops first, neither brings the other back.
pub fn siblings_that_stop_together_stay_stopped() {
    for promotes in ["0", "1"] {
        for _ in 0..15 {
            sysctl("node1", "net/ipv4/conf/eth0/promote_secondaries", promotes);
            let calls = [(PRIMARY, "p_one"), (SIBLING, "p_two")].map(|(address, instance)| {
                bare("node1", "").set("ip", address).set("nic", "eth0").set("cidr_netmask", "24").named(instance)
            });
            for call in &calls {
                call.action("start").run().is(0);
            }
            thread::scope(|scope| calls.iter().for_each(|call| drop(scope.spawn(|| call.action("stop").run().is(0)))));
            assert_eq!(places("node1", PRIMARY), [""; 0]);
            assert_eq!(places("node1", SIBLING), [""; 0]);
        }
    }
}

/// The parameter was changed while nobody looked, so no stop was called with the old one.
pub fn an_address_that_was_changed_without_a_stop_is_found_and_goes() {
    let other = v4("node1", "").set("ip", "192.168.7.60");
    for first in ["start", "stop"] {
        v4("node1", "start").run().is(0);
        other.action("probe").run().is(1).says(&[VIP]);
        other.action(first).run().is(0);
        assert_eq!(places("node1", VIP), [""; 0], "after {first}");
        other.action("stop").run().is(0);
        assert_eq!(places("node1", "192.168.7.60"), [""; 0]);
        other.action("probe").run().is(7);
    }
}

/// Half of an `ip netns add` leaves a plain file.
pub fn what_is_no_namespace_is_a_missing_one() {
    fs::write("/run/netns/half", "").unwrap();
    let call = v4("node1", "").set("network_namespace", "half");
    call.action("probe").run().is(7);
    call.action("monitor").run().is(7);
    call.action("start").run().is(5).says(&["network_namespace", "half"]);
    call.action("stop").run().is(0);
}

pub fn a_deep_monitor_that_can_not_ask_is_no_failure() {
    let call = v4("node1", "").set("check_link_status", "false").set("carrier_wait", "0");
    call.action("start").run().is(0);
    ip("node1", "link set eth0 down");
    call.action("monitor").level(10).run().is(0);
}

/// A bond takes that of another link when one is lost.
pub fn a_new_hardware_address_is_in_the_second_burst() {
    let wire = Wire::at("client", "br0");
    v4("node1", "start").set("arp_count", "1").run().is(0);
    until("the first burst", 3, || !wire.claims(VIP).is_empty());
    let before = wire.claims(VIP).len();
    ip("node1", "link set eth0 address 02:00:00:00:00:77");
    until("the second burst", 8, || wire.claims(VIP).len() > before);
    pause(300);
    let late = wire.claims(VIP).split_off(before);
    let is_new = |what: &What| matches!(what, What::Arp { sender_mac: [2, 0, 0, 0, 0, 0x77], .. });
    assert!(late.iter().all(|frame| is_new(&frame.what)), "{late:?}");
}

/// Each link can have the same one.
pub fn a_link_local_address_belongs_to_its_link() {
    let call = |nic: &str, instance: &str| {
        let call = bare("node1", "").set("ip", "fe80::50").set("nic", nic).set("cidr_netmask", "64").set("nodad", "true");
        call.named(instance)
    };
    let (one, two) = (call("eth0", "p_one"), call("eth1", "p_two"));
    ip("node1", "link set eth1 up");
    one.action("start").run().is(0);
    two.action("start").run().is(0);
    one.action("monitor").run().is(0);
    two.action("monitor").run().is(0);
    one.action("stop").run().is(0);
    assert!(is_at("node1", "fe80::50", "eth1 64"));
    two.action("monitor").run().is(0);
    two.action("stop").run().is(0);
    assert_eq!(places("node1", "fe80::50"), [""; 0]);
}

/// Not only while nobody is trying.
pub fn a_failure_to_save_is_known_until_it_works() {
    let (dir, script) = (format!("{DIR}/tickle"), format!("{DIR}/sync"));
    fs::create_dir_all(&dir).unwrap();
    let write = |text: &str| script::write(&script, &format!("#!/bin/sh\n{text}\n"));
    write("sleep 1; exit 1");
    let call = v4("node1", "").set("tickle_dir", &dir).set("sync_script", &script);
    call.action("start").run().is(0);
    call.action("monitor").run().is(0);
    until("the failure is known", 5, || call.action("monitor").run().code == 190);
    for _ in 0..8 {
        call.action("monitor").run().is(190).says(&["sync"]);
        pause(250);
    }
    write("exit 0");
    until("it has worked", 5, || call.action("monitor").run().code == 0);
    call.action("stop").run().is(0);
}

/// The list is the other node's by then.
pub fn a_stop_that_comes_late_leaves_the_list_alone() {
    let dir = format!("{DIR}/tickle");
    fs::create_dir_all(&dir).unwrap();
    let call = v4("node1", "").set("tickle_dir", &dir);
    call.action("start").run().is(0);
    let listener = listen("node1", "0.0.0.0", 3260);
    let _pair = connect(&listener, VIP);
    call.action("monitor").run().is(0);
    let list = || fs::read_to_string(format!("{dir}/{VIP}")).unwrap_or_default();
    until("it is saved", 5, || list().contains(VIP));
    // By hand, and then the stop.
    ip("node1", &format!("addr del {VIP}/24 dev eth0"));
    call.action("stop").run().is(0);
    pause(500);
    assert!(list().contains(VIP), "{}", list());
    // One that never started here.
    ip("node2", &format!("addr add {VIP}/24 dev eth0"));
    v4("node2", "stop").set("tickle_dir", &dir).run().is(0);
    pause(500);
    assert!(list().contains(VIP), "{}", list());
}

pub fn the_administrators_address_label_stays() {
    let labels =
        || ip("node1", "addrlabel").lines().filter(|line| line.contains("fd00:7::60")).map(str::to_owned).collect::<Vec<_>>();
    ip("node1", "addrlabel add prefix fd00:7::60/128 label 42");
    let before = labels();
    assert_eq!(before.len(), 1);
    let call = v6("node1", "").set("ip", "fd00:7::60").set("nodad", "true");
    call.action("start").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(labels(), before);
}

/// Another address may be on its way to it.
pub fn a_link_brought_up_stays_up() {
    ip("node2", &format!("addr add {VIP}/24 dev eth0"));
    ip("node1", "link set eth0 down");
    v4("node1", "start").set("run_arping", "true").run().is(1);
    assert!(ip("node1", "link show eth0").contains(",UP"));
    assert_eq!(places("node1", VIP), [""; 0]);
}
