//! Cables that are pulled, links that are down, and bonds.

use std::thread;
use std::time::Duration;

use crate::call::v4;
use crate::world::{VIP, assert_as_before, ip, is_at, pause, places, quiet, traces, until};

fn pull() {
    ip("client", "link set p1 down");
    until("no carrier", 5, || ip("node1", "link show eth0").contains("NO-CARRIER"));
}

/// 4.12 does not look.
pub fn a_pulled_cable_is_seen() {
    v4("node1", "start").run().is(0);
    v4("node1", "monitor").run().is(0);
    pull();
    v4("node1", "monitor").run().differs(1, 0).says(&["eth0", "carrier"]);
    v4("node1", "probe").run().differs(1, 0);
    ip("client", "link set p1 up");
    until("a carrier", 5, || !ip("node1", "link show eth0").contains("NO-CARRIER"));
    v4("node1", "monitor").run().is(0);
    pull();
    v4("node1", "stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

pub fn a_link_set_down_is_seen() {
    v4("node1", "start").run().is(0);
    ip("node1", "link set eth0 down");
    v4("node1", "monitor").run().differs(1, 0).says(&["eth0"]);
    v4("node1", "stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

pub fn a_pulled_cable_is_nobodys_business_when_so_told() {
    pull();
    let call = v4("node1", "").set("check_link_status", "false").set("carrier_wait", "0");
    let answer = call.action("start").run().is(0);
    assert!(answer.took < Duration::from_secs(4), "{:?}", answer.took);
    call.action("monitor").run().is(0);
    assert!(is_at("node1", VIP, "eth0 24"));
}

pub fn start_waits_for_a_carrier_and_gives_up() {
    pull();
    let before = traces("node1");
    let answer = v4("node1", "start").set("carrier_wait", "2").run().is(1).says(&["eth0", "carrier"]);
    assert!(answer.took >= Duration::from_millis(1900) && answer.took < Duration::from_secs(6), "{:?}", answer.took);
    quiet();
    assert_as_before("node1", &before);
}

pub fn start_waits_for_a_carrier_that_comes() {
    pull();
    let cable = thread::spawn(|| {
        pause(1500);
        ip("client", "link set p1 up");
    });
    let answer = v4("node1", "start").run().is(0);
    cable.join().unwrap();
    println!("the carrier came after 1.5 s, start took {:?}", answer.took);
    assert!(answer.took >= Duration::from_millis(1400), "{:?}", answer.took);
    v4("node1", "monitor").run().is(0);
}

/// An address that is reached by the last cable is to be kept, and told of.
pub fn a_bond_that_lost_a_slave_is_degraded() {
    ip("node1", "addr flush dev eth0");
    ip("node1", "link add bond0 type bond mode active-backup miimon 50");
    for nic in ["eth0", "eth1"] {
        ip("node1", &format!("link set {nic} down"));
        ip("node1", &format!("link set {nic} master bond0"));
    }
    ip("client", "link set q1 master br0");
    ip("node1", "link set bond0 up");
    until("both slaves are up", 10, || ip("node1", "-d -o link show master bond0").matches("mii_status UP").count() == 2);
    let call = v4("node1", "").set("nic", "bond0");
    call.action("start").run().is(0);
    call.action("monitor").run().is(0);
    ip("client", "link set q1 down");
    until("a slave is down", 10, || ip("node1", "-d -o link show eth1").contains("mii_status DOWN"));
    call.action("monitor").run().is(190).says(&["bond0", "eth1"]);
    ip("client", "link set p1 down");
    until("the other is down", 10, || ip("node1", "-o link show bond0").contains("NO-CARRIER"));
    call.action("monitor").run().is(1).says(&["bond0"]);
    ip("client", "link set q1 up");
    ip("client", "link set p1 up");
    until("both are up again", 10, || ip("node1", "-d -o link show master bond0").matches("mii_status UP").count() == 2);
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}
