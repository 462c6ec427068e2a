//! Storage that hangs or is gone.

use crate::call::{NEVER, peer};
use crate::shell::{sh, until};
use crate::world::World;

#[test]
#[ignore = "vm: pulls a disk out"]
fn a_volume_whose_disk_is_gone_is_not_running_and_can_be_stopped() {
    let world = World::on_scsi(&["one"]);
    world.start();
    world.call("monitor").level(10).run().is(0);
    world.pull_out();
    world.call("monitor").run().expect(1, 0).says(&["one"]);
    world.call("monitor").level(10).run().is(1);
    world.call("stop").run().expect(0, 1);
    world.has(if peer() { &["one"] } else { &[] });
}

#[test]
#[ignore = "vm: suspends a disk"]
fn a_disk_that_hangs_is_told_within_the_time_out() {
    let world = World::with(1, &["one"]);
    world.start();
    world.hang(0);
    let level_10 = world.call("monitor").level(10).seconds(15);
    let level_10 = if peer() { level_10 } else { level_10.set("read_timeout", "2") };
    world.call("monitor").seconds(15).run().is(0);
    level_10.run().expect(1, NEVER).says(&["one"]);
    // It still hangs, which needs no second reader to be said.
    level_10.run().expect(1, NEVER).says(&["stuck", "one"]);
    world.unhang(0);
    if !peer() {
        until("the reader has ended", 20, || level_10.run().code() == 0);
    }
}

#[test]
#[ignore = "vm: suspends a disk"]
fn a_stop_on_a_disk_that_hangs_is_done_without_lvm() {
    let world = World::with(1, &["one"]);
    world.start();
    world.hang(0);
    world.call("stop").seconds(25).run().expect(0, NEVER);
    world.has(if peer() { &["one"] } else { &[] });
}

/// Whoever has to read the disk can not say anything, but says so in time.
#[test]
#[ignore = "vm: suspends a disk"]
fn a_start_on_a_disk_that_hangs_fails_within_the_time_out() {
    let world = World::with(1, &["one"]);
    world.hang(0);
    world.call("start").seconds(20).run().expect(1, NEVER);
    world.call("probe").seconds(20).run().is(7);
    world.call("stop").seconds(20).run().is(0);
    world.unhang(0);
    world.has(&[]);
}

#[test]
#[ignore = "vm: pulls a disk out"]
fn a_volume_group_that_misses_a_disk_is_not_started_unless_that_is_asked_for() {
    let mut world = World::with(1, &["one"]);
    let second = world.plug_in();
    world.lvm(&format!("vgextend -qy VG {second}"));
    world.lvm(&format!("lvcreate -qy -an -Wn -Zn -l 4 -n two VG {second}"));
    world.pull_out();
    world.call("start").run().is(1).says(&[&world.vg]);
    world.has(&[]);
    world.call("start").set("partial_activation", "true").run().expect(0, 0);
    assert!(world.active().contains(&world.dm("one")), "{:?}", world.active());
    world.call("monitor").set("partial_activation", "true").run().is(0);
    world.call("stop").set("partial_activation", "true").run().is(0);
    assert_eq!(world.active(), [""; 0], "with what stood for the missing part");
}

/// With a mount on it: nobody can stop that, and whoever says so at once leaves the cluster its time.
#[test]
#[ignore = "vm: mounts"]
fn a_stop_with_a_file_system_on_it_fails_and_names_it() {
    let world = World::with(1, &["one"]);
    world.start();
    let (node, mnt) = (format!("/dev/{}/one", world.vg), world.dir.join("mnt"));
    sh(&format!("mkdir {0} && mkfs.ext4 -q {node} && mount {node} {0}", mnt.display())).ok();
    world.call("monitor").level(10).run().is(0);
    world.call("stop").seconds(25).run().is(1).says(&[mnt.to_str().unwrap()]);
    world.has(&["one"]);
    world.call("monitor").run().is(0);
    sh(&format!("umount {}", mnt.display())).ok();
    world.stop();
    world.has(&[]);
}
