//! Every parameter with a wrong value, what is missing on this node, and who may not: one reason, the right code, nothing left behind.

use crate::call::{Call, bare, v4, v6};
use crate::world::{STATE, VIP, VIP6, assert_as_before, ip, is_at, places, quiet, sysctl, traces, until};

/// Calls, compares code and reason, and finds nothing changed.
#[track_caller]
fn in_vain(call: &Call, code: i32, words: &[&str]) {
    let before = traces("node1");
    call.run().is(code).says(words);
    quiet();
    assert_as_before("node1", &before);
}

/// A value per parameter and way to be wrong, and what the reason names.
const WRONG: &[(&str, &str)] = &[
    ("ip", ""),
    ("ip", "192.168.7.500"),
    ("ip", "192.168.7"),
    ("ip", "192.168.7.50/24"),
    ("ip", "vip.example.org"),
    ("ip", "fd00:7::50::1"),
    ("ip", "fd00:7::50%eth0"),
    ("ip", "0.0.0.0"),
    ("ip", "::"),
    ("ip", "224.0.0.1"),
    ("ip", "255.255.255.255"),
    ("ip", "ff02::1"),
    ("nic", "a/b"),
    ("nic", "two words"),
    ("cidr_netmask", "33"),
    ("cidr_netmask", "-1"),
    ("cidr_netmask", "x"),
    ("cidr_netmask", "255.0.255.0"),
    ("broadcast", "x"),
    ("broadcast", "192.168.7.500"),
    ("iflabel", "much-too-long"),
    ("lvs_ipv6_addrlabel", "perhaps"),
    ("lvs_ipv6_addrlabel_value", "x"),
    ("lvs_ipv6_addrlabel_value", "-1"),
    ("arp_interval", "0"),
    ("arp_interval", "x"),
    ("arp_count", "0"),
    ("arp_count", "-1"),
    ("arp_count", "x"),
    ("arp_count_refresh", "-1"),
    ("arp_count_refresh", "x"),
    ("arp_bg", "perhaps"),
    ("run_arping", "perhaps"),
    ("nodad", "perhaps"),
    ("noprefixroute", "perhaps"),
    ("preferred_lft", "soon"),
    ("preferred_lft", "-1"),
    ("network_namespace", "a/b"),
    ("network_namespace", ".."),
    ("check_link_status", "perhaps"),
    ("metric", "x"),
    ("metric", "-1"),
    ("carrier_wait", "x"),
    ("carrier_wait", "-1"),
    ("tickle_ports", "x"),
    ("tickle_ports", "0"),
    ("tickle_ports", "3260,70000"),
    ("tickle_dir", "relative/path"),
    ("sync_script", "relative"),
    ("monitor_on_duplicate", "perhaps"),
];

/// All of it is the same on every node, so start, validate-all and a recurring monitor say 6; a stop does its work.
pub fn each_wrong_parameter_is_refused_everywhere() {
    let mut wrong = Vec::new();
    for (name, value) in WRONG {
        let call = v4("node1", "").set(name, value);
        for action in ["start", "validate-all", "monitor"] {
            let call = call.action(action);
            let before = traces("node1");
            let answer = call.run();
            quiet();
            // What is there has no label to be too long yet.
            if (*name, action) == ("iflabel", "monitor") {
                continue;
            }
            if answer.code != 6 || answer.reasons.len() != 1 || !answer.reasons[0].contains(name) || traces("node1") != before {
                wrong.push(format!("{name}='{value}' {action}: {} {:?}", answer.code, answer.reasons));
            }
            call.action("stop").run();
        }
        let answer = call.action("stop").run();
        if answer.code != 0 || !answer.reasons.is_empty() {
            wrong.push(format!("{name}='{value}' stop: {} {:?}", answer.code, answer.reasons));
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    in_vain(&bare("node1", "start").set("nic", "eth0"), 6, &["ip"]);
    in_vain(&bare("node1", "validate-all"), 6, &["ip"]);
    in_vain(&v6("node1", "start").set("cidr_netmask", "129"), 6, &["cidr_netmask"]);
    in_vain(&v6("node1", "start").set("cidr_netmask", "255.255.255.0"), 6, &["cidr_netmask"]);
    in_vain(&v4("node1", "start").set("sync_script", "/bin/true"), 6, &["tickle_dir"]);
    bare("node1", "stop").run().is(0);
}

/// Of this node only, so that another may be tried.
pub fn each_local_fault_is_found_by_start_and_a_deep_validation() {
    let no_nic = v4("node1", "").set("nic", "eth7");
    let no_space = v4("node1", "").set("network_namespace", "nowhere");
    let no_route = bare("node1", "").set("ip", "10.1.2.3");
    for (call, word) in [(no_nic, "eth7"), (no_space, "nowhere"), (no_route, "10.1.2.3")] {
        in_vain(&call.action("start"), 5, &[word]);
        in_vain(&call.action("validate-all").level(10), 5, &[word]);
        in_vain(&call.action("validate-all"), 0, &[]);
        in_vain(&call.action("probe"), 7, &[]);
        in_vain(&call.action("monitor"), 7, &[]);
        in_vain(&call.action("stop"), 0, &[]);
    }
    in_vain(&v4("node1", "validate-all").level(10), 0, &[]);
}

pub fn without_privilege_nothing_happens() {
    in_vain(&v4("node1", "start").by_nobody(), 4, &[]);
    in_vain(&v6("node1", "start").by_nobody(), 4, &[]);
    ip("node1", &format!("addr add {VIP}/24 brd + dev eth0"));
    let answer = v4("node1", "stop").by_nobody().run();
    assert!([1, 4].contains(&answer.code) && answer.reasons.len() == 1, "{answer:?}");
    assert!(is_at("node1", VIP, "eth0 24"));
    in_vain(&v4("node1", "monitor").by_nobody(), 0, &[]);
}

/// Start says where it is and what to type, and moves nothing: it may be somebody else's.
pub fn an_address_on_another_nic_is_not_moved() {
    ip("node1", &format!("addr add {VIP}/24 dev eth1"));
    in_vain(&v4("node1", "start"), 1, &["eth1", VIP, "ip address del"]);
    in_vain(&v4("node1", "monitor"), 1, &["eth1"]);
    in_vain(&v4("node1", "probe"), 1, &["eth1"]);
    // It serves where it should be, and elsewhere too.
    ip("node1", &format!("addr add {VIP}/24 dev eth0"));
    in_vain(&v4("node1", "monitor"), 190, &["eth1"]);
    v4("node1", "stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
    ip("node1", &format!("addr add {VIP6}/64 dev eth1 nodad"));
    in_vain(&v6("node1", "start"), 1, &["eth1", VIP6, "ip"]);
    v6("node1", "stop").run().is(0);
    assert_eq!(places("node1", VIP6), [""; 0]);
}

pub fn an_address_with_another_prefix_is_not_replaced() {
    ip("node1", &format!("addr add {VIP}/16 dev eth0"));
    in_vain(&v4("node1", "start"), 1, &["16", VIP]);
    in_vain(&v4("node1", "monitor"), 1, &["16"]);
    ip("node1", &format!("addr add {VIP}/32 dev eth1"));
    v4("node1", "stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

/// A parameter that was changed for the worse must not make a stop fail, nor leave the address.
pub fn an_unparsable_address_is_stopped_by_the_record() {
    v4("node1", "start").run().is(0);
    v4("node1", "stop").set("ip", "192.168.7.500").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
    v4("node1", "stop").set("ip", "192.168.7.500").run().is(0);
    v4("node1", "start").run().is(0);
    v4("node1", "stop").without("ip").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
    // A record that is damaged is none.
    v4("node1", "start").run().is(0);
    for entry in std::fs::read_dir(format!("{STATE}/node1")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::write(path, "\0garbage\n").unwrap();
        }
    }
    v4("node1", "monitor").run().is(0);
    v4("node1", "stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

/// Everything is taken back, the address label of IPv6 too.
pub fn a_failed_start_names_its_cause_once() {
    sysctl("node1", "net/ipv6/conf/eth0/accept_dad", "1");
    ip("node2", &format!("addr add {VIP6}/64 dev eth0 nodad"));
    in_vain(&v6("node1", "start"), 1, &[VIP6]);
    ip("client", "link set p1 down");
    until("no carrier", 5, || ip("node1", "link show eth0").contains("NO-CARRIER"));
    in_vain(&v4("node1", "start").set("carrier_wait", "0"), 1, &["eth0", "carrier"]);
    ip("client", "link set p1 up");
    until("a carrier", 5, || !ip("node1", "link show eth0").contains("NO-CARRIER"));
    sysctl("node1", "net/ipv6/conf/eth0/disable_ipv6", "1");
    // The kernel refuses it as it does to somebody without privilege.
    in_vain(&v6("node1", "start").set("ip", "fd00:7::60"), 5, &["eth0", "disable_ipv6"]);
}
