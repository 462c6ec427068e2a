//! Clients that are told at once that their connection is gone, and what is kept to tell them.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use crate::call::{Call, v4, v6};
use crate::script;
use crate::sockets::{Pair, connect, established, hears, listen};
use crate::wire::{What, Wire};
use crate::world::{DIR, STATE, VIP, VIP6, ip, pause, quiet, sh, until};

/// Seen by both nodes, as a small replicated file system would be.
fn shared() -> String {
    let path = format!("{DIR}/tickle");
    fs::create_dir_all(&path).unwrap();
    path
}

fn with_tickle(call: &Call) -> Call {
    call.clone().set("tickle_dir", &shared())
}

fn record(address: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("{}/{address}", shared())).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Stops on node1, starts on node2 and says what the client hears of it.
fn move_over(stop: &Call, start: &Call, pair: &Pair) -> Option<ErrorKind> {
    stop.run().is(0);
    start.run().is(0);
    let (heard, took) = hears(&pair.client, 4);
    println!("after the move the client heard {heard:?} after {took:?}");
    heard
}

pub fn an_idle_client_is_reset_after_a_move() {
    let [start, stop, other] = [v4("node1", "start"), v4("node1", "stop"), v4("node2", "start")].map(|call| with_tickle(&call));
    start.run().is(0);
    let listener = listen("node1", "0.0.0.0", 3260);
    let pair = connect(&listener, VIP);
    stop.action("monitor").run().is(0);
    let line = format!("{VIP}:3260\t{}", pair.client.local_addr().unwrap());
    until("the connection is recorded", 5, || record(VIP) == [line.clone()]);
    assert_eq!(move_over(&stop, &other, &pair), Some(ErrorKind::ConnectionReset));
}

pub fn without_a_directory_the_client_hears_nothing() {
    v4("node1", "start").run().is(0);
    let listener = listen("node1", "0.0.0.0", 3260);
    let pair = connect(&listener, VIP);
    v4("node1", "monitor").run().is(0);
    assert_eq!(move_over(&v4("node1", "stop"), &v4("node2", "start"), &pair), None);
}

/// By a crash, because a stop resets IPv6 clients already.
pub fn a_v6_client_is_reset_after_a_crash() {
    let call = |node: &str, action: &str| with_tickle(&v6(node, action)).set("nodad", "true");
    call("node1", "start").run().is(0);
    let listener = listen("node1", "::", 3260);
    let pair = connect(&listener, VIP6);
    call("node1", "monitor").run().is(0);
    let line = format!("[{VIP6}]:3260\t{}", pair.client.local_addr().unwrap());
    until("the connection is recorded", 5, || record(VIP6) == [line.clone()]);
    ip("client", "link set p1 down");
    call("node2", "start").run().is(0);
    assert_eq!(hears(&pair.client, 4).0, Some(ErrorKind::ConnectionReset));
}

/// Which is how most servers listen. A dump of IPv4 sockets does not show it.
pub fn a_v4_client_of_a_v6_listener_is_reset_after_a_move() {
    let call = |node: &str, action: &str| with_tickle(&v4(node, action));
    call("node1", "start").run().is(0);
    let listener = listen("node1", "::", 3260);
    let pair = connect(&listener, VIP);
    // Without any monitor: a stop records too.
    let heard = move_over(&call("node1", "stop"), &call("node2", "start"), &pair);
    assert_eq!(heard, Some(ErrorKind::ConnectionReset));
    assert_eq!(record(VIP).len(), 1);
}

pub fn a_crash_of_the_first_node_is_tickled_from_the_last_monitor() {
    let call = |node: &str, action: &str| with_tickle(&v4(node, action));
    call("node1", "start").run().is(0);
    let listener = listen("node1", "0.0.0.0", 3260);
    let pair = connect(&listener, VIP);
    call("node1", "monitor").run().is(0);
    until("the connection is recorded", 5, || record(VIP).len() == 1);
    ip("client", "link set p1 down");
    let wire = Wire::at("client", "br0");
    call("node2", "start").run().is(0);
    assert_eq!(hears(&pair.client, 4).0, Some(ErrorKind::ConnectionReset));
    pause(2500);
    let port = pair.client.local_addr().unwrap().port();
    let acks: Vec<Duration> = wire
        .frames()
        .iter()
        .filter(|frame| matches!(&frame.what, What::Tcp { flags: 0x10, from_port: 3260, to_port, .. } if *to_port == port))
        .map(|frame| frame.at)
        .collect();
    println!("tickled at {acks:?}");
    // Not back to back: the peer's kernel answers at most one in half a second.
    assert_eq!(acks.len(), 3, "{acks:?}");
    assert!(acks.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) > Duration::from_millis(400)), "{acks:?}");
}

pub fn only_the_ports_asked_for_are_recorded() {
    let call = with_tickle(&v4("node1", "")).set("tickle_ports", "3261, 3262");
    call.action("start").run().is(0);
    let listeners = [3260, 3261, 3262].map(|port| listen("node1", "0.0.0.0", port));
    let pairs: Vec<Pair> = listeners.iter().map(|listener| connect(listener, VIP)).collect();
    let _not_the_address = connect(&listeners[1], "192.168.7.1");
    call.action("monitor").run().is(0);
    until("two connections are recorded", 5, || record(VIP).len() == 2);
    let lines = record(VIP).join("\n");
    assert!(lines.contains(":3261\t") && lines.contains(":3262\t"), "{lines}");
    drop(pairs);
    until("the connections end", 5, || established("node1", VIP) == 0);
    call.action("monitor").run().is(0);
    until("none is recorded", 5, || record(VIP).is_empty());
}

/// A record of another life must not hurt who is connected now.
pub fn connections_made_anew_outlive_a_stale_record() {
    let call = with_tickle(&v4("node1", ""));
    call.action("start").run().is(0);
    let listener = listen("node1", "0.0.0.0", 3260);
    let pair = connect(&listener, VIP);
    call.action("monitor").run().is(0);
    until("the connection is recorded", 5, || record(VIP).len() == 1);
    call.action("start").run().is(0);
    assert_eq!(hears(&pair.client, 3).0, None);
    pair.works();
}

/// It is called when the set has changed, with the file.
pub fn the_sync_script_gets_the_file() {
    let script = format!("{DIR}/sync");
    script::write(&script, &format!("#!/bin/sh\necho \"$# $1\" >>{DIR}/synced\n"));
    let synced = || fs::read_to_string(format!("{DIR}/synced")).unwrap_or_default();
    let call = with_tickle(&v4("node1", "")).set("sync_script", &script);
    call.action("start").run().is(0);
    let listener = listen("node1", "0.0.0.0", 3260);
    let _pair = connect(&listener, VIP);
    call.action("monitor").run().is(0);
    let line = format!("1 {}/{VIP}\n", shared());
    until("the script is called", 5, || synced().ends_with(&line));
    quiet();
    // Soon after a start the node that had the address may still be carrying over its own list.
    let calls = synced().lines().count();
    call.action("monitor").run().is(0);
    quiet();
    assert_eq!(synced().lines().count(), calls + 1);
    let aged = format!("sed -i 's/\"since\":[0-9]*/\"since\":0/' {STATE}/node1/ocf-san.VIP-p_vip.record");
    assert_eq!(sh(&aged).0, 0);
    let calls = synced().lines().count();
    call.action("monitor").run().is(0);
    quiet();
    assert_eq!(synced().lines().count(), calls, "nothing has changed, so nothing is synced");
    assert_eq!(sh(&format!("ls -A {}", shared())).1, VIP, "no temporary file stays");
}
