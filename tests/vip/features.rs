//! What a parameter brings about.

use std::fs;

use crate::call::{bare, peer, v4, v6};
use crate::wire::Wire;
use crate::world::{STATE, VIP, VIP6, assert_as_before, ip, is_at, log, places, sysctl, traces, until};

pub fn label_is_set() {
    let call = v4("node1", "").set("iflabel", "1");
    call.action("start").run().is(0);
    assert!(places("node1", VIP)[0].contains(" eth0:1\\"), "{:?}", places("node1", VIP));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

pub fn deprecated_nic_with_a_label_is_understood() {
    let call = v4("node1", "").set("nic", "eth0:7");
    call.action("start").run().is(0);
    assert!(is_at("node1", VIP, "eth0 24"));
    assert!(places("node1", VIP)[0].contains(" eth0:7\\"), "{:?}", places("node1", VIP));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

pub fn noprefixroute_adds_no_route() {
    let call = v4("node1", "").set("ip", "10.4.4.4").set("noprefixroute", "true");
    call.action("start").run().is(0);
    assert!(is_at("node1", "10.4.4.4", "eth0 24"));
    assert!(!ip("node1", "route").contains("10.4.4.0/24"));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    let call = call.set("noprefixroute", "false");
    call.action("start").run().is(0);
    assert!(ip("node1", "route").contains("10.4.4.0/24"));
}

/// By an address label, so that nobody speaks from the address who did not bind to it. In 4.12 only when asked for.
pub fn v6_is_no_source_address() {
    let call = v6("node1", "").set("nodad", "true");
    let call = if peer() { call.set("lvs_ipv6_addrlabel", "true") } else { call };
    let before = ip("node1", "addrlabel");
    call.action("start").run().is(0);
    let labels = ip("node1", "addrlabel");
    assert!(labels.lines().any(|line| line.contains("fd00:7::50/128") && line.contains("label 99")), "{labels}");
    assert!(ip("node1", "route get fd00:7::2").contains("src fd00:7::1 "));
    call.action("stop").run().is(0);
    assert_eq!(ip("node1", "addrlabel"), before);
    call.clone().set("lvs_ipv6_addrlabel_value", "77").action("start").run().is(0);
    assert!(ip("node1", "addrlabel").contains("label 77"));
    call.set("lvs_ipv6_addrlabel_value", "77").action("stop").run().is(0);
    assert_eq!(ip("node1", "addrlabel"), before);
}

pub fn preferred_lft_is_set() {
    let call = v6("node1", "").set("preferred_lft", "0").set("nodad", "true");
    call.action("start").run().is(0);
    assert!(places("node1", VIP6)[0].contains("deprecated"), "{:?}", places("node1", VIP6));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    let call = v6("node1", "").set("preferred_lft", "500").set("nodad", "true");
    call.action("start").run().is(0);
    let found = places("node1", VIP6).concat();
    assert!(found.contains("preferred_lft 500sec") || found.contains("preferred_lft 499sec"), "{found}");
    call.action("monitor").run().is(0);
}

pub fn another_spelling_of_a_v6_address_is_the_same_address() {
    let call = v6("node1", "").set("ip", "FD00:0007:0::0:50").set("nodad", "true");
    call.action("start").run().is(0);
    assert!(is_at("node1", VIP6, "eth0 64"));
    call.action("monitor").run().is(0);
    v6("node1", "monitor").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP6), [""; 0]);
}

pub fn altname_is_a_name_and_announces() {
    ip("node1", "link property add dev eth0 altname enp9s0");
    let wire = Wire::at("client", "br0");
    let call = v4("node1", "").set("nic", "enp9s0");
    call.action("start").run().is(0);
    assert!(is_at("node1", VIP, "eth0 24"));
    until("it is announced", 5, || !wire.claims(VIP).is_empty());
    call.action("monitor").run().is(0);
    v4("node1", "monitor").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

pub fn nodad_does_not_wait() {
    // Five seconds of asking, for those who ask.
    sysctl("node1", "net/ipv6/conf/eth0/dad_transmits", "5");
    let answer = v6("node1", "start").set("nodad", "true").run().is(0);
    assert!(answer.took.as_millis() < 3000, "{:?}", answer.took);
    assert!(!places("node1", VIP6)[0].contains("tentative"));
    v6("node1", "monitor").set("nodad", "true").run().is(0);
}

pub fn metric_is_that_of_the_route() {
    for (call, family) in
        [(v4("node1", "").set("ip", "10.4.4.4"), "-4"), (v6("node1", "").set("ip", "fd00:8::4").set("nodad", "1"), "-6")]
    {
        let call = call.set("metric", "321");
        call.action("start").run().is(0);
        let routes = ip("node1", &format!("{family} route show dev eth0"));
        assert!(routes.lines().any(|line| line.contains("metric 321")), "{routes}");
        call.action("monitor").run().is(0);
        call.action("stop").run().is(0);
        assert!(!ip("node1", &format!("{family} route show dev eth0")).contains("metric 321"));
    }
}

/// Called on node2, working on node1.
pub fn another_namespace_is_entered() {
    let before = traces("node2");
    let wire = Wire::at("client", "br0");
    let call = v4("node2", "").set("network_namespace", "node1");
    call.action("probe").run().is(7);
    call.action("start").run().is(0);
    assert!(is_at("node1", VIP, "eth0 24"));
    assert_eq!(places("node2", VIP), [""; 0]);
    until("it is announced", 5, || !wire.claims(VIP).is_empty());
    call.action("monitor").run().is(0);
    v4("node1", "monitor").run().is(0);
    v4("node2", "monitor").named("another").run().is(7);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
    call.without("nic").without("cidr_netmask").action("start").run().is(0);
    assert!(is_at("node1", VIP, "eth0 24"));
    v4("node2", "stop").set("network_namespace", "node1").run().is(0);
    assert_as_before("node2", &before);
}

pub fn netmask_is_an_alias() {
    let call = bare("node1", "").set("ip", VIP).set("nic", "eth0").set("netmask", "28");
    call.action("start").run().is(0);
    assert!(is_at("node1", VIP, "eth0 28"));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

pub fn obsolete_parameters_are_accepted_with_a_warning() {
    for (name, value) in [
        ("lvs_support", "true"),
        ("mac", "01:00:5e:7f:00:01"),
        ("clusterip_firewall", "nft"),
        ("clusterip_hash_seed", "x"),
        ("clusterip_table", "mangle"),
        ("clusterip_chain", "INPUT"),
        ("clusterip_mac_mangle", "true"),
        ("unique_clone_address", "true"),
        ("arp_sender", "libnet_arping"),
        ("flush_routes", "true"),
    ] {
        let call = v4("node1", "").set(name, value);
        let warnings = || log().lines().filter(|line| line.contains(name)).count();
        let before = warnings();
        call.action("validate-all").run().is(0);
        assert_eq!(warnings(), before + 1, "{name}: {}", log());
        call.action("start").run().is(0);
        assert_eq!(warnings(), before + 2, "{name}: {}", log());
        call.action("monitor").run().is(0);
        call.action("stop").run().is(0);
        assert_eq!(warnings(), before + 2, "{name}: {}", log());
    }
}

pub fn start_brings_the_link_up() {
    ip("node1", "link set eth1 down");
    let call = v4("node1", "").set("nic", "eth1");
    call.action("start").run().is(0);
    assert!(ip("node1", "-o link show eth1").contains(",UP"));
    call.action("monitor").run().is(0);
}

pub fn the_state_is_private_to_the_instance() {
    v4("node1", "start").run().is(0);
    v4("node1", "start").set("ip", "192.168.7.51").named("p_second").run().is(0);
    let files: Vec<String> =
        fs::read_dir(format!("{STATE}/node1")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for instance in ["ocf-san.VIP-p_vip", "ocf-san.VIP-p_second"] {
        assert!(files.iter().any(|name| name.starts_with(instance)), "{files:?}");
    }
    assert!(files.iter().all(|name| name.starts_with("ocf-san.VIP-p_")), "{files:?}");
}

pub fn what_may_change_is_reloadable() {
    let text = bare("node1", "meta-data").run().is(0).text;
    for name in [
        "arp_interval",
        "arp_count",
        "arp_count_refresh",
        "check_link_status",
        "tickle_ports",
        "tickle_dir",
        "sync_script",
        "monitor_on_duplicate",
        "run_arping",
        "carrier_wait",
    ] {
        let begin = text.find(&format!("<parameter name=\"{name}\"")).unwrap_or_else(|| panic!("no {name}: {text}"));
        assert!(text[begin..].lines().next().unwrap().contains("reloadable=\"1\""), "{name}");
    }
    for name in ["ip", "nic", "cidr_netmask", "network_namespace"] {
        let begin = text.find(&format!("<parameter name=\"{name}\"")).unwrap();
        assert!(!text[begin..].lines().next().unwrap().contains("reloadable=\"1\""), "{name}");
    }
}

pub fn reload_agent_leaves_the_address_alone() {
    v4("node1", "start").run().is(0);
    let before = ip("node1", "-o addr");
    v4("node1", "reload-agent").set("arp_count", "9").set("check_link_status", "false").run().is(0);
    assert_eq!(ip("node1", "-o addr"), before);
    v4("node1", "monitor").set("arp_count", "9").run().is(0);
    v4("node1", "reload-agent").set("arp_count", "0").run().is(6).says(&["arp_count"]);
    assert_eq!(ip("node1", "-o addr"), before);
}

/// One address at several hosts makes no sense for a disk; whatever is there can still be looked at and taken away.
pub fn a_clone_is_refused_by_start_alone() {
    let call = v4("node1", "").env("OCF_RESKEY_CRM_meta_clone_max", "2").env("OCF_RESKEY_CRM_meta_clone", "0");
    call.action("start").run().is(6).says(&["clone"]);
    call.action("validate-all").run().is(6).says(&["clone"]);
    assert_eq!(places("node1", VIP), [""; 0]);
    ip("node1", &format!("addr add {VIP}/24 brd + dev eth0"));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}
