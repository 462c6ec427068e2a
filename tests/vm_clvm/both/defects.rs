//! Where the peer says that all is well, and it is not.

use crate::call::peer;
use crate::shell::{sh, until};
use crate::world::World;

#[test]
#[ignore = "vm: activates volumes"]
fn a_start_that_activates_nothing_has_failed() {
    let world = World::with(1, &["one"]);
    world.lvm("lvchange -qy --setactivationskip y VG/one");
    world.call("start").set("lvname", "one").run().expect(1, 0).says(&["one"]);
    world.has(&[]);
    world.call("start").run().expect(1, 0).says(&[&world.vg]);
    world.has(&[]);
}

#[test]
#[ignore = "vm: activates volumes"]
fn one_volume_of_two_is_not_the_volume_group() {
    let world = World::with(1, &["one", "two"]);
    world.start();
    sh(&format!("dmsetup remove {}", world.dm("two"))).ok();
    world.call("monitor").run().expect(1, 0).says(&["two"]);
    world.call("probe").run().expect(1, 0).says(&["two"]);
    world.start();
    if peer() {
        world.has(&["one"]);
    } else {
        world.has(&["one", "two"]);
        world.call("monitor").run().is(0);
    }
    world.stop();
    world.has(&[]);
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_activated_by_hand_does_not_make_the_start_of_the_rest_needless() {
    let world = World::with(1, &["one", "two"]);
    world.activate(&["one"]);
    world.start();
    if peer() {
        world.has(&["one"]);
    } else {
        world.has(&["one", "two"]);
    }
}

/// As a command that was killed between two steps leaves it.
#[test]
#[ignore = "vm: makes a device"]
fn a_device_that_is_only_internal_is_no_volume() {
    let world = World::with(1, &["one"]);
    let ids = world.lvm("lvs --noheadings -o vg_uuid,lv_uuid VG/one").replace(['-', ' '], "");
    let real = format!("{}-real", world.dm("one"));
    sh(&format!("dmsetup create {real} --uuid LVM-{}-real --table '0 8192 zero'", ids.trim())).ok();
    for call in [world.call("monitor"), world.call("probe"), world.call("monitor").set("lvname", "one")] {
        call.run().expect(1, 0).says(&["one-real"]);
    }
    world.call("stop").run().expect(0, 1);
    assert_eq!(world.active(), if peer() { vec![real] } else { Vec::new() });
}

/// As without memory to fork, or with a library that does not fit.
#[test]
#[ignore = "vm: breaks dmsetup"]
fn a_dmsetup_that_fails_is_no_proof_that_nothing_is_active() {
    let world = World::with(1, &["one"]);
    world.start();
    sh("mount --bind /bin/false /sbin/dmsetup").ok();
    world.call("monitor").run().expect(0, 1);
    world.call("probe").run().expect(0, 7);
    world.call("stop").run().is(0);
    sh("umount /sbin/dmsetup").ok();
    world.has(if peer() { &["one"] } else { &[] });
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_stop_in_a_mode_that_there_is_not_stops_all_the_same() {
    for mode in ["no-such", ""] {
        let world = World::with(1, &["one"]);
        world.start();
        world.call("stop").set("vg_access_mode", mode).run().is(0);
        world.has(if peer() { &["one"] } else { &[] });
    }
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_stop_is_not_kept_from_its_work_by_another_parameter() {
    let world = World::with(1, &["one"]);
    world.start();
    world.call("stop").set("activation_mode", "no-such").run().expect(0, 6);
    world.has(if peer() { &["one"] } else { &[] });
}

#[test]
#[ignore = "vm: suspends a volume"]
fn a_suspended_volume_is_no_running_one() {
    let world = World::with(1, &["one"]);
    world.start();
    world.suspend(&world.dm("one"));
    if peer() {
        world.call("monitor").run().is(0);
    } else {
        until("the monitor fails", 40, || world.call("monitor").run().code() == 1);
        world.call("monitor").run().is(1).says(&["suspended", "dmsetup resume", &world.dm("one")]);
        world.resume(&world.dm("one"));
        world.call("monitor").run().is(0);
    }
}

/// The peer's level 10 reads the first volume of the volume group, whatever `lvname` says.
#[test]
#[ignore = "vm: makes a volume fail"]
fn level_10_reads_the_volume_that_is_asked_for() {
    let world = World::with(1, &["one", "two"]);
    world.start();
    let two = world.dm("two");
    sh(&format!("dmsetup load {two} --table '0 8192 error' && dmsetup suspend {two} && dmsetup resume {two}")).ok();
    let of = |volume: &str| world.call("monitor").set("lvname", volume).named(&format!("p_{volume}")).level(10);
    of("two").run().expect(1, 0).says(&["two"]);
    of("one").run().is(0);
}

/// No udev to make the link, as in many a container: LVM itself says 0. Here /dev is a copy that udev does not know.
#[test]
#[ignore = "vm: hides /dev"]
fn a_start_without_the_device_node_has_failed() {
    let world = World::with(1, &["one"]);
    let copy = world.dir.join("dev");
    sh(&format!(
        "mkdir {0} && mount -t tmpfs none {0} && cd {0} && cp -a /dev/null /dev/zero /dev/urandom /dev/vdb . && mkdir mapper &&
         cp -a /dev/mapper/control mapper/ && cp -aL {1} mapper/ && mount --bind {0} /dev",
        copy.display(),
        world.disk(0),
    ))
    .ok();
    world.call("start").run().expect(1, 0).says(&[&format!("/dev/{}/one", world.vg)]);
    world.has(if peer() { &["one"] } else { &[] });
    sh("umount -l /dev").ok();
}

/// pcs asks on whatever node it runs on.
#[test]
#[ignore = "vm: calls the agent"]
fn parameters_are_valid_where_the_storage_is_not() {
    let world = World::bare(0);
    world.call("validate-all").run().expect(0, 1);
}
