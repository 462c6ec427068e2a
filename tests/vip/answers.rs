//! What probe, monitor, start and stop answer in each situation that a node can be in. Each answer is asked for in a fresh world.
//!
//! Where the two numbers of a pair differ, ours differs from `IPaddr2` on purpose: what is there is found, said and taken away.

use crate::call::{Call, peer, v4, v6};
use crate::world::{VIP, VIP6, build, ip, is_at, places, quiet, sysctl, until};

/// (ours, peer) for probe, monitor, start and stop.
type Cells = [(i32, i32); 4];

const ACTIONS: [&str; 4] = ["probe", "monitor", "start", "stop"];

/// Brings about the situation, calls, compares, and looks at what is there afterwards.
fn row(prepare: impl Fn(), call: &Call, cells: Cells, after: impl Fn(&str)) {
    for (action, (ours, peer)) in ACTIONS.into_iter().zip(cells) {
        build();
        prepare();
        call.action(action).run().differs(ours, peer);
        after(action);
        if !self::peer() {
            call.action("stop").run();
            quiet();
        }
    }
}

/// Whoever stops ours finds the address gone, wherever it was.
fn gone_after_our_stop(address: &'static str) -> impl Fn(&str) {
    move |action| {
        if action == "stop" && !peer() {
            assert_eq!(places("node1", address), [""; 0]);
        }
    }
}

pub fn address_there_and_right() {
    let there = || drop(ip("node1", &format!("addr add {VIP}/24 brd + dev eth0")));
    row(there, &v4("node1", ""), [(0, 0), (0, 0), (0, 0), (0, 0)], |action| {
        assert_eq!(is_at("node1", VIP, "eth0 24"), action != "stop");
    });
}

pub fn address_absent() {
    row(
        || (),
        &v4("node1", ""),
        [(7, 7), (7, 7), (0, 0), (0, 0)],
        |action| {
            assert_eq!(is_at("node1", VIP, "eth0 24"), action == "start");
        },
    );
}

pub fn nic_missing() {
    let call = v4("node1", "").set("nic", "eth7");
    row(|| (), &call, [(7, 7), (7, 7), (5, 6), (0, 0)], |_| assert_eq!(places("node1", VIP), [""; 0]));
}

pub fn no_route_to_find_the_nic_from() {
    let call = v4("node1", "").without("nic").without("cidr_netmask");
    let prepare = || drop(ip("node1", "addr flush dev eth0"));
    row(prepare, &call, [(7, 7), (7, 1), (5, 1), (0, 0)], |_| assert_eq!(places("node1", VIP), [""; 0]));
}

/// The check of the link came with resource-agents 4.13: 4.12 answers 0 where later versions answer 7 and 5.
pub fn link_down_with_the_address() {
    let prepare = || {
        ip("node1", &format!("addr add {VIP}/24 dev eth0"));
        ip("node1", "link set eth0 down");
    };
    row(prepare, &v4("node1", ""), [(1, 0), (1, 0), (0, 0), (0, 0)], gone_after_our_stop(VIP));
}

/// The cable is pulled, so setting the link up does not help.
pub fn link_down_without_the_address() {
    let prepare = || {
        ip("client", "link set p1 down");
        ip("node1", "link set eth0 down");
    };
    let call = v4("node1", "").set("carrier_wait", "1");
    row(prepare, &call, [(7, 7), (7, 7), (1, 0), (0, 0)], |action| {
        if !peer() {
            assert_eq!(places("node1", VIP), [""; 0], "{action}");
        }
    });
}

/// Later versions than 4.12 answer 1 as well, but to stop.
pub fn label_other_than_asked_for() {
    let prepare = || drop(ip("node1", &format!("addr add {VIP}/24 dev eth0 label eth0:x")));
    let call = v4("node1", "").set("iflabel", "1");
    row(prepare, &call, [(1, 0), (1, 0), (1, 0), (0, 0)], |action| {
        assert_eq!(places("node1", VIP).is_empty(), action == "stop");
    });
}

pub fn address_with_another_prefix() {
    let prepare = || drop(ip("node1", &format!("addr add {VIP}/16 dev eth0")));
    row(prepare, &v4("node1", ""), [(1, 7), (1, 7), (1, 0), (0, 0)], |action| {
        let copies = match (action, peer()) {
            ("start", true) => 2,
            ("stop", false) => 0,
            _ => 1,
        };
        assert_eq!(places("node1", VIP).len(), copies, "{action}");
    });
}

pub fn address_on_another_nic() {
    let prepare = || drop(ip("node1", &format!("addr add {VIP}/24 dev eth1")));
    row(prepare, &v4("node1", ""), [(1, 7), (1, 7), (1, 0), (0, 0)], |action| {
        let copies = match (action, peer()) {
            ("start", true) => 2,
            ("stop", false) => 0,
            _ => 1,
        };
        assert_eq!(places("node1", VIP).len(), copies, "{action}");
    });
}

/// A stop that answers 255 has failed.
pub fn namespace_missing() {
    let call = v4("node1", "").without("nic").without("cidr_netmask").set("network_namespace", "nowhere");
    row(|| (), &call, [(7, 255), (7, 255), (5, 255), (0, 255)], gone_after_our_stop(VIP));
}

pub fn namespace_missing_although_nic_and_mask_are_given() {
    let call = v4("node1", "").set("network_namespace", "nowhere");
    row(|| (), &call, [(7, 255), (7, 255), (5, 255), (0, 255)], gone_after_our_stop(VIP));
}

/// What is wrong on every node is no "not running", to a probe either; a stop needs none of it.
/// `looks` is what a probe and a monitor of ours say of an address that is not there.
fn wrong_everywhere(call: &Call, looks: i32, peer: i32) {
    row(|| (), call, [(looks, peer), (looks, peer), (6, peer), (0, peer)], |_| assert_eq!(places("node1", VIP), [""; 0]));
    let there = || drop(ip("node1", &format!("addr add {VIP}/24 dev eth0")));
    call.action("stop").run().differs(0, peer);
    build();
    there();
    call.action("stop").run().differs(0, peer);
    gone_after_our_stop(VIP)("stop");
}

pub fn label_too_long() {
    // Whether it is depends on the link's own name, so a monitor of ours says what is there.
    wrong_everywhere(&v4("node1", "").set("iflabel", "much-too-long"), 7, 6);
}

pub fn arp_count_zero() {
    wrong_everywhere(&v4("node1", "").set("arp_count", "0"), 6, 6);
}

pub fn arp_interval_zero() {
    wrong_everywhere(&v4("node1", "").set("arp_interval", "0"), 6, 6);
}

/// To ours a parameter that is empty is one that is not given.
pub fn preferred_lft_empty() {
    let call = v4("node1", "").set("preferred_lft", "");
    row(
        || (),
        &call,
        [(7, 6), (7, 6), (0, 6), (0, 6)],
        |action| {
            assert_eq!(is_at("node1", VIP, "eth0 24"), action == "start" && !peer());
        },
    );
}

pub fn address_that_is_none() {
    let call = v4("node1", "").set("ip", "192.168.7.500");
    row(|| (), &call, [(7, 7), (6, 7), (6, 6), (0, 0)], |_| ());
}

fn another_host_has_it() {
    ip("node2", &format!("addr add {VIP6}/64 dev eth0 nodad"));
}

/// A first start finds out by the kernel's own detection and takes the address back.
pub fn v6_duplicate_of_another_host() {
    row(another_host_has_it, &v6("node1", ""), [(7, 7), (7, 7), (1, 1), (0, 0)], |action| {
        assert_eq!(places("node1", VIP6), [""; 0], "{action}");
    });
}

pub fn v6_duplicate_that_is_already_there() {
    let prepare = || {
        another_host_has_it();
        sysctl("node1", "net/ipv6/conf/eth0/accept_dad", "1");
        ip("node1", &format!("addr add {VIP6}/64 dev eth0"));
        until("the kernel finds the duplicate", 10, || places("node1", VIP6)[0].contains("dadfailed"));
    };
    row(prepare, &v6("node1", ""), [(1, 0), (1, 0), (1, 0), (0, 0)], gone_after_our_stop(VIP6));
}

pub fn v4_duplicate_of_another_host() {
    let prepare = || drop(ip("node2", &format!("addr add {VIP}/24 dev eth0")));
    let call = v4("node1", "").set("run_arping", "true");
    row(prepare, &call, [(7, 7), (7, 7), (1, 1), (0, 0)], |action| {
        assert_eq!(places("node1", VIP), [""; 0], "{action}");
    });
}
