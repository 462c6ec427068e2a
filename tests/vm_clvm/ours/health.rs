//! Level 10: what still serves, and will not for long. All of it is 190, with what is wrong.

use crate::shell::{sh, until};
use crate::world::World;

fn mirrored() -> World {
    let world = World::with(2, &[]);
    world.lvm("lvcreate -qy -an --type raid1 -m1 --nosync -Wn -Zn -l 4 -n mirror VG");
    world
}

/// A thin pool of 8 MiB with a thin volume of 16 MiB.
fn thin() -> World {
    let world = World::with(1, &[]);
    world.lvm("lvcreate -qy -an -Zn --type thin-pool -l 8 --poolmetadatasize 2m -n pool VG");
    world.lvm("lvcreate -qy -an --type thin -V 16m --thinpool pool -n thin VG");
    world
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_mirror_is_well_until_a_leg_fails_and_that_is_named() {
    let world = mirrored();
    world.start();
    world.call("monitor").level(10).run().is(0);
    world.fail(1);
    sh(&format!("dd if=/dev/zero of=/dev/{}/mirror bs=4k count=16 oflag=direct conv=notrunc", world.vg)).ok();
    world.call("monitor").run().is(0);
    until("the kernel notices", 20, || world.call("monitor").level(10).run().code() == 190);
    world.call("monitor").level(10).run().is(190).says(&["mirror"]);
    world.stop();
    world.has(&[]);
}

/// The sites of a mirror part: its leg is lost and the other one takes it over, at the same time.
#[test]
#[ignore = "vm: activates volumes"]
fn a_mirror_that_is_degraded_and_taken_over_is_a_failure() {
    let world = mirrored();
    world.conf("global/system_id_source = \"uname\"");
    let of = |action: &str| world.call(action).set("vg_access_mode", "system_id");
    of("start").run().is(0);
    world.behind_its_back("vgchange --systemid elsewhere VG");
    world.fail(1);
    sh(&format!("dd if=/dev/zero of=/dev/{}/mirror bs=4k count=16 oflag=direct conv=notrunc", world.vg)).ok();
    until("the kernel notices", 20, || sh(&format!("dmsetup status {}", world.dm("mirror"))).ok().contains('D'));
    of("monitor").level(10).run().is(2).says(&["elsewhere"]);
    of("stop").run().is(0);
}

#[test]
#[ignore = "vm: pulls a disk out"]
fn a_mirror_that_misses_a_leg_is_started_when_degraded_is_allowed() {
    let mut world = World::with(1, &[]);
    let second = world.plug_in();
    world.lvm(&format!("vgextend -qy VG {second}"));
    world.lvm("lvcreate -qy -an --type raid1 -m1 --nosync -Wn -Zn -l 4 -n mirror VG");
    // The first time writes what the second needs to know which leg is missing.
    world.start();
    world.stop();
    world.pull_out();
    world.call("start").run().is(1).says(&[&world.vg]);
    world.has(&[]);
    let of = |action: &str| world.call(action).set("degraded_activation", "true");
    of("start").run().is(0);
    of("monitor").run().is(0);
    of("monitor").level(10).run().is(190).says(&["mirror"]);
    of("stop").run().is(0);
    world.has(&[]);
}

/// A leg that was left out must be resynced, so a disk that is only late is waited for.
#[test]
#[ignore = "vm: takes a disk away"]
fn a_mirror_whose_disk_comes_late_is_started_whole() {
    let world = mirrored();
    world.start();
    world.stop();
    let late = world.disk(1).replace("/dev/mapper/", "");
    let table = sh(&format!("dmsetup table {late} && dmsetup remove --retry {late}")).ok();
    sh(&format!("(sleep 2 && dmsetup create {late} --table '{}') >/dev/null 2>&1 &", table.trim())).ok();
    let of = |action: &str| world.call(action).set("degraded_activation", "true");
    of("start").run().is(0);
    of("monitor").level(10).run().is(0);
    of("stop").run().is(0);
}

/// Linear volumes with holes are what `degraded` does not allow, and `partial` does.
#[test]
#[ignore = "vm: pulls a disk out"]
fn degraded_is_not_partial() {
    let mut world = World::with(1, &["one"]);
    let second = world.plug_in();
    world.lvm(&format!("vgextend -qy VG {second}"));
    world.lvm(&format!("lvcreate -qy -an -Wn -Zn -l 4 -n two VG {second}"));
    world.pull_out();
    world.call("start").set("degraded_activation", "true").run().is(1).says(&["two"]);
    world.has(&[]);
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_thin_volume_starts_with_its_pool_and_stops_with_it() {
    let world = thin();
    world.call("start").set("lvname", "thin").run().is(0);
    assert!(world.active().contains(&world.dm("thin")), "{:?}", world.active());
    world.call("monitor").set("lvname", "thin").run().is(0);
    world.call("monitor").set("lvname", "thin").level(10).run().is(0);
    world.call("stop").set("lvname", "thin").run().is(0);
    assert!(!world.active().contains(&world.dm("thin")), "{:?}", world.active());
    world.start();
    world.call("monitor").level(10).run().is(0);
    world.stop();
    world.has(&[]);
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_thin_pool_that_is_almost_full_is_told() {
    let world = thin();
    world.start();
    sh(&format!("dd if=/dev/zero of=/dev/{}/thin bs=64k count=64 oflag=direct conv=notrunc", world.vg)).ok();
    world.call("monitor").level(10).run().is(0);
    world.call("monitor").level(10).set("pool_warn", "40").run().is(190).says(&["pool"]);
    sh(&format!("dd if=/dev/zero of=/dev/{}/thin bs=64k count=124 oflag=direct conv=notrunc", world.vg)).ok();
    world.call("monitor").run().is(0);
    world.call("monitor").level(10).run().is(190).says(&["pool"]);
    world.call("reload-agent").set("pool_warn", "99").run().is(0);
    world.call("monitor").level(10).set("pool_warn", "99").run().is(0);
    world.stop();
    world.has(&[]);
}

/// The ioctl that asks a pool hangs with its metadata's disk, although nothing is read or written.
#[test]
#[ignore = "vm: suspends a disk"]
fn a_thin_pool_on_a_disk_that_hangs_is_told_in_time() {
    let world = thin();
    world.start();
    world.hang(0);
    let writer = format!("dd if=/dev/zero of=/dev/{}/thin bs=64k count=8 oflag=direct conv=notrunc", world.vg);
    sh(&format!("{writer} </dev/null >/dev/null 2>&1 & sleep 1")).ok();
    world.call("monitor").seconds(20).run().is(0);
    world.call("monitor").level(10).set("read_timeout", "2").seconds(20).run().is(1);
    world.call("stop").seconds(20).run().is(1);
    world.unhang(0);
    until("it can be stopped", 60, || world.call("stop").run().code() == 0);
    world.has(&[]);
}

/// Made by hand, because a full snapshot is dropped at once, and then there is nothing to be told before.
#[test]
#[ignore = "vm: activates volumes"]
fn a_snapshot_that_is_almost_full_and_one_that_is_invalid_are_told() {
    let world = World::with(1, &["one"]);
    world.activate(&["one"]);
    world.lvm("lvcreate -qy -s -l 2 -c 4k -n snap VG/one");
    world.lvm("lvchange -qy -an VG/one");
    world.start();
    world.call("monitor").level(10).run().is(0);
    let write = |count: u32| format!("dd if=/dev/zero of=/dev/{}/one bs=4k count={count} oflag=direct conv=notrunc", world.vg);
    sh(&write(300)).ok();
    world.call("monitor").level(10).set("pool_warn", "40").run().is(190).says(&["snap"]);
    sh(&write(700)).ok();
    world.call("monitor").level(10).run().is(190).says(&["snap", "invalid"]);
    world.stop();
    world.has(&[]);
}
