//! A demotion, or a stop, of a device that somebody uses: it fails in time, says who, and works when they are gone.

use std::time::{Duration, Instant};

use crate::shell::sh;
use crate::world::{End, World};

/// Fails with these words in its reason while it is held; and then it works.
#[track_caller]
fn is_held(hold: &str, release: &str, words: &[&str]) {
    let world = World::connected(1);
    world.admin(End::Near, "primary");
    let number = world.resource.trim_start_matches('r');
    let fill = |text: &str| {
        text.replace("NODE", &world.device())
            .replace("DIR", world.dir.to_str().unwrap())
            .replace("OVER", &format!("over{number}"))
    };
    sh(&fill(hold)).ok();
    let words: Vec<String> = words.iter().map(|word| fill(word)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for action in ["demote", "stop"] {
        let since = Instant::now();
        world.call(action).seconds(15).run().is(1).says(&words).says(&[&world.resource]);
        assert!(since.elapsed() < Duration::from_secs(15), "{action}: {:?}", since.elapsed());
        assert_eq!(world.role(), "Primary");
    }
    sh(&fill(release)).ok();
    world.call("demote").run().is(0);
    world.stop();
}

#[test]
#[ignore = "vm: mounts"]
fn a_file_system() {
    is_held("mkdir DIR/mnt && mkfs.ext4 -q NODE && mount NODE DIR/mnt", "umount DIR/mnt", &["DIR/mnt"]);
}

#[test]
#[ignore = "vm: makes a device"]
fn a_device_above_it() {
    is_held("dmsetup create OVER --table \"0 8192 linear NODE 0\"", "dmsetup remove OVER", &["OVER"]);
}

#[test]
#[ignore = "vm: opens a device"]
fn a_process_that_has_it_open() {
    is_held("(exec sleep 600) <NODE >/dev/null 2>&1 & echo $! >DIR/holder", "kill -9 $(cat DIR/holder); sleep 0.3", &["sleep"]);
}

#[test]
#[ignore = "vm: swaps"]
fn swap() {
    is_held("mkswap NODE >/dev/null && swapon NODE", "swapoff NODE", &["swap"]);
}
