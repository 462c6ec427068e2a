//! What changes under an address that is running: links, parameters, connections, neighbours.

use std::fs;
use std::thread;

use crate::call::{Call, bare, v4};
use crate::script;
use crate::sockets::{connect, listen};
use crate::world::{DIR, VIP, ip, is_at, pause, places, sh, until};

const LOCAL: &str = "fe80::55";

fn local(nic: &str) -> Call {
    bare("node1", "").set("ip", LOCAL).set("nic", nic).set("cidr_netmask", "64").set("nodad", "true")
}

pub fn a_link_local_address_is_stopped_on_a_renamed_link() {
    let call = local("eth0");
    call.action("start").run().is(0);
    ip("node1", "link set eth0 down");
    ip("node1", "link set eth0 name lan0");
    ip("node1", "link set lan0 up");
    // Linux takes it away with the link; the administrator puts it back.
    if places("node1", LOCAL).is_empty() {
        ip("node1", &format!("addr add {LOCAL}/64 dev lan0 nodad"));
    }
    call.action("monitor").run().is(1).says(&["lan0"]);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", LOCAL), [""; 0]);
}

/// The parameter was changed while nobody looked.
pub fn a_link_local_address_of_another_nic_is_not_forgotten() {
    ip("node1", "link set eth1 up");
    local("eth0").action("start").run().is(0);
    local("eth1").action("probe").run().is(1).says(&[LOCAL]);
    local("eth1").action("start").run().is(0);
    assert!(is_at("node1", LOCAL, "eth1 64") && places("node1", LOCAL).len() == 1);
    local("eth1").action("stop").run().is(0);
    assert_eq!(places("node1", LOCAL), [""; 0]);
}

pub fn a_renamed_link_is_no_failure_where_no_nic_is_named() {
    let call = v4("node1", "").without("nic").without("cidr_netmask");
    call.action("start").run().is(0);
    ip("node1", "link set eth0 down");
    ip("node1", "link set eth0 name lan0");
    ip("node1", "link set lan0 up");
    until("a carrier", 5, || !ip("node1", "link show lan0").contains("NO-CARRIER"));
    call.action("monitor").run().is(0);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

/// It serves all the same, and goes with it.
pub fn a_second_copy_is_worth_a_look() {
    let call = v4("node1", "");
    call.action("start").run().is(0);
    ip("node1", &format!("addr add {VIP}/32 dev eth0"));
    call.action("monitor").run().is(190).says(&["ip address del", "/32", "eth0"]);
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

/// A start with `run_arping` on the other node asks as `arping -D` does.
pub fn who_only_asks_for_an_address_does_not_have_it() {
    let call = v4("node1", "").set("monitor_on_duplicate", "fail");
    call.action("start").run().is(0);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            for _ in 0..4 {
                v4("node2", "start").set("run_arping", "true").run().is(1);
            }
        });
        while !asking.is_finished() {
            call.action("monitor").level(10).run().is(0);
        }
    });
}

/// A port that negotiates anew.
pub fn a_carrier_that_comes_back_is_no_failure() {
    v4("node1", "start").run().is(0);
    ip("client", "link set p1 down");
    until("no carrier", 5, || ip("node1", "link show eth0").contains("NO-CARRIER"));
    let cable = thread::spawn(|| {
        pause(600);
        ip("client", "link set p1 up");
    });
    v4("node1", "monitor").run().is(0);
    cable.join().unwrap();
}

fn sync_script(text: &str) -> String {
    let path = format!("{DIR}/sync");
    script::write(&path, &format!("#!/bin/sh\n{text}\n"));
    path
}

fn dir(name: &str) -> String {
    let path = format!("{DIR}/{name}");
    fs::create_dir_all(&path).unwrap();
    path
}

fn lines(dir: &str) -> usize {
    fs::read_to_string(format!("{dir}/{VIP}")).map_or(usize::MAX, |text| text.lines().count())
}

/// After a save that failed nobody knows what the other node has.
pub fn a_list_that_changed_back_is_saved_again() {
    let dir = dir("tickle");
    let call = v4("node1", "").set("tickle_dir", &dir).set("sync_script", &sync_script("exit 0"));
    call.action("start").run().is(0);
    until("the empty list is saved", 8, || {
        call.action("monitor").run().is(0);
        lines(&dir) == 0
    });
    sync_script("exit 1");
    let listener = listen("node1", "0.0.0.0", 3260);
    let pair = connect(&listener, VIP);
    until("the failure is known", 8, || call.action("monitor").run().code == 190 && lines(&dir) == 1);
    drop(pair);
    until("the connection has gone", 8, || !sh("ip netns exec node1 ss -Htn state established").1.contains(VIP));
    sync_script("exit 0");
    // What is saved first may be the list with the connection, tried again.
    until("all is well, and the list is empty", 8, || call.action("monitor").run().code == 0 && lines(&dir) == 0);
}

pub fn a_reload_during_a_save_reaches_the_new_directory() {
    let (old, new) = (dir("old"), dir("new"));
    let call = v4("node1", "").set("tickle_dir", &old).set("sync_script", &sync_script("sleep 2"));
    call.action("start").run().is(0);
    call.action("monitor").run().is(0);
    until("it is being saved", 5, || lines(&old) == 0);
    let call = call.set("tickle_dir", &new);
    call.action("reload-agent").run().is(0);
    until("the new directory has it", 10, || {
        call.action("monitor").run();
        lines(&new) == 0
    });
}

/// A cluster that moves over from IPaddr2.
pub fn an_address_that_another_agent_started_is_looked_after() {
    ip("node1", &format!("addr add {VIP}/24 brd + dev eth0"));
    let dir = dir("tickle");
    let call = v4("node1", "").set("tickle_dir", &dir);
    call.action("start").run().is(0);
    let listener = listen("node1", "0.0.0.0", 3260);
    let _pair = connect(&listener, VIP);
    until("the connection is saved", 8, || {
        call.action("monitor").run().is(0);
        lines(&dir) == 1
    });
    call.action("stop").run().is(0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

pub fn a_sync_script_leaves_no_children() {
    let sync = sync_script("sleep 4077 & wait");
    let call = v4("node1", "").set("tickle_dir", &dir("tickle")).set("sync_script", &sync);
    let sleeps = || sh("pgrep -f '^sleep 4077'").1;
    call.action("start").run().is(0);
    assert!(is_at("node1", VIP, "eth0 24"));
    call.action("monitor").run().is(0);
    until("the script runs", 5, || !sleeps().is_empty());
    call.action("stop").run().is(0);
    // The stop's own is there now, and ends with the next action.
    until("the script runs again", 5, || !sleeps().is_empty());
    call.action("start").run().is(0);
    pause(300);
    assert_eq!(sleeps(), "");
}
