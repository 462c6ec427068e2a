//! What is asked for and can not be had: the code, one reason, nothing left behind.

use crate::call::peer;
use crate::shell::sh;
use crate::world::World;

/// Each of these calls, and all that was there is as before.
#[track_caller]
fn leaves_no_trace(world: &World, calls: impl FnOnce()) {
    let before = world.traces();
    calls();
    assert_eq!(world.traces(), before);
}

#[test]
#[ignore = "vm: makes a volume group"]
fn a_volume_group_that_is_not_there() {
    let world = World::bare(1);
    leaves_no_trace(&world, || {
        world.call("start").run().expect(1, 1).says(&[&world.vg]);
        world.call("probe").run().is(7);
        world.call("monitor").run().expect(7, 1);
        world.call("stop").run().is(0);
    });
}

#[test]
#[ignore = "vm: makes a volume group"]
fn a_volume_that_is_not_in_the_volume_group() {
    let world = World::with(1, &["one"]);
    leaves_no_trace(&world, || {
        world.call("start").set("lvname", "three").run().expect(1, 6).says(&["three"]);
        world.call("probe").set("lvname", "three").run().is(7);
        world.call("stop").set("lvname", "three").run().is(0);
    });
}

#[test]
#[ignore = "vm: makes a volume group"]
fn a_volume_group_without_volumes() {
    let world = World::with(1, &[]);
    leaves_no_trace(&world, || {
        world.call("start").run().expect(1, 6).says(&[&world.vg]);
        world.call("probe").run().is(7);
    });
}

/// The peer takes every device that is no volume for one of the volume group without a name: here the disk.
#[test]
#[ignore = "vm: calls the agent"]
fn no_name_of_a_volume_group() {
    let world = World::bare(1);
    leaves_no_trace(&world, || {
        for name in [None, Some("")] {
            let of = |action: &str| match name {
                None => world.call(action).without("vgname"),
                Some(name) => world.call(action).set("vgname", name),
            };
            of("start").run().is(6).says(&["vgname"]);
            of("validate-all").run().is(6).says(&["vgname"]);
            of("monitor").run().expect(6, 0).says(&["vgname"]);
            of("probe").run().expect(6, 0);
            // A stop that fails is a node that is fenced.
            of("stop").run().expect(0, 6);
        }
    });
}

#[test]
#[ignore = "vm: calls the agent"]
fn a_name_that_no_volume_group_can_have() {
    let world = World::bare(0);
    leaves_no_trace(&world, || {
        for name in ["vm/one", "a b", "..", "-vg", "a;touch /tmp/x", "vg*"] {
            world.call("start").set("vgname", name).run().expect(6, 1).says(&["vgname"]);
            world.call("probe").set("vgname", name).run().is(7);
            world.call("stop").set("vgname", name).run().is(0);
        }
    });
}

#[test]
#[ignore = "vm: makes a volume group"]
fn a_mode_that_there_is_not() {
    let world = World::with(1, &["one"]);
    leaves_no_trace(&world, || {
        let of = |action: &str| world.call(action).set("vg_access_mode", "no-such");
        of("start").run().is(6).says(&["vg_access_mode"]);
        of("validate-all").run().is(6).says(&["vg_access_mode"]);
        of("probe").run().is(7);
        of("monitor").run().expect(6, 1).says(&["vg_access_mode"]);
        of("stop").run().is(0);
    });
}

#[test]
#[ignore = "vm: makes a volume group"]
fn a_mode_of_activation_that_there_is_not() {
    let world = World::with(1, &["one"]);
    leaves_no_trace(&world, || {
        let of = |action: &str| world.call(action).set("activation_mode", "no-such");
        of("start").run().is(6).says(&["activation_mode"]);
        of("probe").run().expect(6, 7);
    });
}

/// It is gone from LVM since 2.03, and what came instead has another name.
#[test]
#[ignore = "vm: makes a volume group"]
fn clvmd() {
    let world = World::with(1, &["one"]);
    leaves_no_trace(&world, || {
        world.call("start").set("vg_access_mode", "clvmd").run().is(6).says(&["clvmd", "lvmlockd"]);
        world.call("stop").set("vg_access_mode", "clvmd").run().is(0);
    });
}

#[test]
#[ignore = "vm: makes a volume group"]
fn lvmlockd_without_the_daemon() {
    let world = World::with(1, &["one"]);
    leaves_no_trace(&world, || {
        let of = |action: &str| world.call(action).set("vg_access_mode", "lvmlockd");
        of("start").run().expect(1, 6).says(&["lvmlockd"]);
        of("probe").run().is(7);
        of("stop").run().is(0);
    });
}

#[test]
#[ignore = "vm: runs as nobody"]
fn without_privilege() {
    let world = World::with(1, &["one"]);
    sh(&format!("chmod 777 {0}; touch {0}/ha.log; chmod 666 {0}/ha.log", world.dir.display())).ok();
    let before = world.active();
    let answer = world.call("start").by_nobody().run();
    answer.expect(4, 1);
    world.start();
    world.call("probe").by_nobody().run().expect(4, 7);
    world.call("stop").by_nobody().run().expect(4, 0);
    world.has(&["one"]);
    world.stop();
    assert_eq!(world.active(), before);
}

/// The node is hidden and the disks of the test are mapped: that is no proof that nothing of the volume group is.
#[test]
#[ignore = "vm: hides device-mapper"]
fn a_device_mapper_whose_node_is_missing() {
    let world = World::with(1, &["one"]);
    sh("mount -t tmpfs none /dev/mapper").ok();
    world.call("probe").run().expect(1, 7);
    world.call("monitor").run().is(1);
    world.call("stop").run().expect(1, 0);
    if !peer() {
        // The peer's dmsetup makes the node again, and so starts with disks that it can not see.
        world.call("start").run().is(1).says(&["/dev/mapper/control"]);
    }
    sh("umount /dev/mapper").ok();
    world.has(&[]);
}

/// Neither its node nor a device: a kernel without the module.
#[test]
#[ignore = "vm: hides device-mapper"]
fn a_kernel_without_device_mapper() {
    let world = World::with(1, &["one"]);
    sh("mount -t tmpfs none /dev/mapper && mount -t tmpfs none /sys/block").ok();
    world.call("probe").run().is(7);
    if !peer() {
        world.call("monitor").run().is(7);
        world.call("start").run().is(5).says(&["/dev/mapper/control"]);
        world.call("stop").run().is(0);
    }
    sh("umount /dev/mapper /sys/block").ok();
    world.has(&[]);
}

/// The peer looks for its tools before it looks at the machine.
#[test]
#[ignore = "vm: hides lvm"]
fn a_machine_without_lvm() {
    let world = World::with(1, &["one"]);
    world.hide_lvm();
    world.call("start").run().is(5);
    world.call("probe").run().is(7);
    world.call("monitor").run().expect(7, 1);
    world.call("stop").run().is(0);
    world.has(&[]);
}
