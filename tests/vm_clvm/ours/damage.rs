//! Volumes that are there and not what they were.

use std::time::Duration;

use crate::shell::{processes, sh, until};
use crate::world::World;

fn running(disks: u8, volumes: &[&str]) -> World {
    let world = World::with(disks, volumes);
    world.start();
    world
}

#[test]
#[ignore = "vm: pulls a disk out"]
fn the_disk_that_is_gone_is_named() {
    let mut world = World::with(1, &["one"]);
    let second = world.plug_in();
    world.lvm(&format!("vgextend -qy VG {second}"));
    world.lvm(&format!("lvcreate -qy -an -Wn -Zn -l 4 -n two VG {second}"));
    world.start();
    world.pull_out();
    let name = second.trim_start_matches("/dev/");
    world.call("monitor").run().is(1).says(&["two", name, "gone"]);
    world.call("monitor").set("lvname", "one").named("p_one").run().is(0);
    world.stop();
    world.has(&[]);
}

#[test]
#[ignore = "vm: makes a volume read-only"]
fn a_volume_that_has_become_read_only_is_not_what_was_started() {
    let world = running(1, &["one"]);
    let one = world.dm("one");
    sh(&format!("dmsetup table {one} | dmsetup load -r {one} && dmsetup suspend {one} && dmsetup resume {one}")).ok();
    world.call("monitor").run().is(1).says(&["one", "read-only"]);
    world.stop();
    world.lvm("lvchange -qy -pr VG/one");
    world.start();
    world.call("monitor").level(10).run().is(0);
}

#[test]
#[ignore = "vm: takes a table away"]
fn a_volume_without_a_table_is_not_running() {
    let world = running(1, &["one"]);
    let one = world.dm("one");
    let uuid = sh(&format!("dmsetup info -c --noheadings -o uuid {one}")).ok();
    sh(&format!("dmsetup remove {one} && dmsetup create {one} --notable --uuid {uuid}")).ok();
    world.call("monitor").run().is(1).says(&["one", "table"]);
    world.call("probe").run().is(1);
    world.stop();
    world.has(&[]);
}

#[test]
#[ignore = "vm: makes a disk fail"]
fn a_read_that_fails_is_told_by_level_10() {
    let world = running(1, &["one", "two"]);
    world.fail(0);
    world.call("monitor").run().is(0);
    world.call("monitor").level(10).run().is(1).says(&["read"]);
    world.stop();
    world.has(&[]);
}

/// Whoever reads a disk that hangs can not be ended; a second one beside it would be a third with the next monitor.
#[test]
#[ignore = "vm: suspends a disk"]
fn a_reader_that_hangs_is_not_doubled() {
    let world = running(1, &["one"]);
    world.hang(0);
    let level_10 = world.call("monitor").level(10).set("read_timeout", "2").set("crm_feature_set", "3.16.1").seconds(20);
    level_10.run().is(1).says(&["one"]);
    // A process whose first thread has ended is hard to count, and each reader has the volume open once.
    let readers = || sh(&format!("dmsetup info -c --noheadings -o open {}", world.dm("one"))).ok();
    assert_eq!(readers(), "1");
    for _ in 0..3 {
        level_10.run().is(1).says(&["stuck", "one"]);
        assert_eq!(readers(), "1");
    }
    // Pacemaker would take a degraded answer for the newest failure, and forget the one before.
    world.call("monitor").set("crm_feature_set", "3.16.1").run().is(0);
    world.call("monitor").run().is(190).says(&["stuck", "one"]);
    assert_eq!(readers(), "1");
    world.unhang(0);
    until("the reader ends", 20, || readers() == "0" && level_10.run().code() == 0);
}

/// LVM's own command waits for the disk and can not be ended.
#[test]
#[ignore = "vm: suspends a disk"]
fn a_program_that_a_start_has_left_hanging_is_known_and_keeps_nobody_from_another_try() {
    let world = World::with(1, &["one"]);
    world.hang(0);
    let start = || world.call("start").seconds(20).run();
    start().is(1);
    let known = || sh("cat /run/resource-agents/ocf-san.cLVM-p_lvm.deep-monitor 2>/dev/null").text;
    assert!(known().contains(" start"), "{}", known());
    world.call("probe").run().is(7);
    start().is(1);
    world.call("stop").seconds(20).run().is(0);
    world.unhang(0);
    until("what hung has ended and is forgotten", 20, || world.call("monitor").run().code() == 7 && known().is_empty());
    world.start();
    world.stop();
}

/// What waits for the disk keeps the volume open, so that nothing can remove it: the answer comes in time all the same.
#[test]
#[ignore = "vm: suspends a disk"]
fn a_stop_with_a_writer_that_hangs_answers_within_the_time_out_and_ends_well_later() {
    let world = running(1, &["one"]);
    world.hang(0);
    let writer = format!("dd if=/dev/zero of=/dev/{}/one bs=4k count=1 oflag=direct conv=notrunc", world.vg);
    sh(&format!("{writer} </dev/null >/dev/null 2>&1 & sleep 1")).ok();
    world.call("stop").seconds(20).run().is(1).says(&["one"]);
    world.unhang(0);
    until("the writer ends", 20, || !processes().iter().any(|(_, name)| name == "dd"));
    world.stop();
    world.has(&[]);
}

#[test]
#[ignore = "vm: suspends a volume"]
fn a_volume_that_is_suspended_for_a_moment_is_no_fault() {
    let world = running(1, &["one"]);
    let one = world.dm("one");
    let other = one.clone();
    let blink = std::thread::spawn(move || {
        for _ in 0..8 {
            sh(&format!("dmsetup suspend {other} && dmsetup resume {other}"));
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    while !blink.is_finished() {
        world.call("monitor").run().is(0);
    }
    blink.join().unwrap();
}

#[test]
#[ignore = "vm: suspends a volume"]
fn a_suspended_volume_is_stopped() {
    let world = running(1, &["one", "two"]);
    world.suspend(&world.dm("one"));
    world.call("stop").seconds(40).run().is(0);
    world.has(&[]);
}

/// What was started is stopped, also when the volume group has another name, is exported, or does not exist any more.
#[test]
#[ignore = "vm: activates volumes"]
fn a_record_outlives_the_metadata() {
    let world = running(1, &["one", "two"]);
    sh(&format!("dd if=/dev/zero of={} bs=64k count=16 oflag=direct conv=notrunc", world.disk(0))).ok();
    assert_ne!(world.try_lvm("vgs VG").code, 0);
    world.call("monitor").run().is(0);
    world.stop();
    world.has(&[]);
    world.call("probe").run().is(7);
}
