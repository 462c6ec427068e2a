//! A stop while somebody holds a volume: it fails, says who, and works when they are gone.

use crate::shell::sh;
use crate::world::World;

/// Fails with these words in its reason while it is held; and then it works.
#[track_caller]
fn is_held(hold: &str, release: &str, words: &[&str]) {
    let world = World::with(1, &["one"]);
    world.start();
    let number: String = world.vg.trim_start_matches("san-").to_owned();
    let fill = |text: &str| {
        let node = format!("/dev/{}/one", world.vg);
        text.replace("NODE", &node).replace("DIR", world.dir.to_str().unwrap()).replace("NUMBER", &number)
    };
    sh(&fill(hold)).ok();
    let words: Vec<String> = words.iter().map(|word| fill(word)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    world.call("stop").seconds(20).run().is(1).says(&["one"]).says(&words);
    world.has(&["one"]);
    world.call("monitor").run().is(0);
    sh(&fill(release)).ok();
    world.stop();
    world.has(&[]);
}

#[test]
#[ignore = "vm: opens a volume"]
fn a_process() {
    is_held("(exec sleep 600) <NODE >/dev/null 2>&1 & echo $! >DIR/pid", "kill $(cat DIR/pid)", &["sleep"]);
}

#[test]
#[ignore = "vm: opens a volume"]
fn swap_space() {
    is_held("mkswap -q NODE >/dev/null && swapon NODE", "swapoff NODE", &["swap"]);
}

#[test]
#[ignore = "vm: makes a device"]
fn a_device_on_top() {
    is_held("dmsetup create topNUMBER --table '0 8192 linear NODE 0'", "dmsetup remove topNUMBER", &["topNUMBER"]);
}

#[test]
#[ignore = "vm: builds a backstore"]
fn a_backstore_of_lio() {
    let dir = "/sys/kernel/config/target/core/iblock_7NUMBER";
    let hold = "modprobe -a target_core_mod target_core_iblock && mkdir -p CORE/dNUMBER &&
                echo udev_path=NODE,readonly=0 >CORE/dNUMBER/control && echo NODE >CORE/dNUMBER/udev_path && echo 1 >CORE/dNUMBER/enable";
    is_held(&hold.replace("CORE", dir), &format!("rmdir {dir}/dNUMBER {dir}"), &["dNUMBER"]);
}

/// Of a volume that is open for a moment only, as udev does it, nobody hears.
#[test]
#[ignore = "vm: opens a volume"]
fn somebody_who_goes_is_waited_for() {
    let world = World::with(1, &["one"]);
    world.start();
    sh(&format!("(exec sleep 4) </dev/{}/one >/dev/null 2>&1 &", world.vg)).ok();
    world.stop();
    world.has(&[]);
}

/// All or nothing: what cannot be stopped as a whole goes on as a whole, for as long as the cluster leaves it.
#[test]
#[ignore = "vm: opens a volume"]
fn a_stop_that_fails_takes_nothing_away() {
    let world = World::with(1, &["one", "two"]);
    world.start();
    sh(&format!("(exec sleep 600) </dev/{}/one >/dev/null 2>&1 & echo $! >{}/pid", world.vg, world.dir.display())).ok();
    world.call("stop").seconds(20).run().is(1).says(&["one", "sleep"]);
    world.has(&["one", "two"]);
    world.call("monitor").run().is(0);
    sh(&format!("kill $(cat {}/pid)", world.dir.display())).ok();
    world.stop();
    world.has(&[]);
}
