//! What hangs elsewhere hangs nobody, and nothing piles up.

use std::fs;
use std::time::Duration;

use crate::call::{Call, v4};
use crate::script;
use crate::sockets::{connect, listen};
use crate::world::{DIR, VIP, assert_as_before, is_at, places, quiet, sh, traces, until};

/// Each of these answers at once, whatever its directory does.
fn all_answer(call: &Call) {
    let limit = Duration::from_secs(8);
    let listener = listen("node1", "0.0.0.0", 3260);
    for action in ["start", "monitor"] {
        let answer = call.action(action).run().is(0);
        assert!(answer.took < limit, "{action}: {:?}", answer.took);
    }
    let pair = connect(&listener, VIP);
    for action in ["monitor", "monitor", "stop"] {
        let answer = call.action(action).run().is(0);
        assert!(answer.took < limit, "{action}: {:?}", answer.took);
    }
    assert_eq!(places("node1", VIP), [""; 0]);
    drop(pair);
}

/// Opening a FIFO that nobody writes to waits for ever, as does a file system that is frozen.
pub fn a_tickle_file_that_hangs_hangs_nobody() {
    let dir = format!("{DIR}/fifos");
    fs::create_dir_all(&dir).unwrap();
    assert_eq!(sh(&format!("mkfifo {dir}/{VIP}")).0, 0);
    all_answer(&v4("node1", "").set("tickle_dir", &dir));
}

pub fn a_sync_script_that_sleeps_hangs_nobody() {
    let (dir, script) = (format!("{DIR}/tickle"), format!("{DIR}/slow"));
    fs::create_dir_all(&dir).unwrap();
    script::write(&script, &format!("#!/bin/sh\ntouch {DIR}/called\nexec sleep 60\n"));
    all_answer(&v4("node1", "").set("tickle_dir", &dir).set("sync_script", &script));
    until("the script was called", 5, || fs::exists(format!("{DIR}/called")).unwrap());
}

pub fn a_tickle_directory_that_is_gone_fails_no_stop() {
    let call = v4("node1", "").set("tickle_dir", &format!("{DIR}/nowhere"));
    call.action("start").run().is(0);
    assert!(is_at("node1", VIP, "eth0 24"));
    let listener = listen("node1", "0.0.0.0", 3260);
    let _pair = connect(&listener, VIP);
    assert_eq!(call.action("stop").run().is(0).reasons.len(), 0);
    assert_eq!(places("node1", VIP), [""; 0]);
}

pub fn twenty_moves_leave_nothing_behind() {
    let dir = format!("{DIR}/tickle");
    fs::create_dir_all(&dir).unwrap();
    let before = [traces("node1"), traces("node2")];
    for round in 0..20 {
        let node = if round % 2 == 0 { "node1" } else { "node2" };
        let call = v4(node, "").set("tickle_dir", &dir);
        call.action("start").run().is(0);
        assert!(is_at(node, VIP, "eth0 24"));
        call.action("monitor").run().is(0);
        call.action("stop").run().is(0);
    }
    quiet();
    for (node, before) in ["node1", "node2"].iter().zip(before) {
        assert_as_before(node, &before);
    }
}
