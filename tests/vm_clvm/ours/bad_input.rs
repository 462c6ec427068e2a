//! Values that only ours knows, and what a stop makes of them.

use crate::shell::sh;
use crate::world::World;

#[test]
#[ignore = "vm: activates volumes"]
fn a_parameter_that_makes_no_sense_is_named_and_stops_no_stop() {
    let world = World::with(1, &["one"]);
    for (parameter, value) in [
        ("activation_mode", "shared"),
        ("tag", "a b"),
        ("exclusive", "perhaps"),
        ("partial_activation", "perhaps"),
        ("release_system_id", "2"),
        ("pool_warn", "lots"),
        ("pool_warn", "101"),
        ("read_timeout", "-1"),
        ("on_stop_hang", "pray"),
        ("devices", "relative/path"),
    ] {
        world.call("start").set(parameter, value).run().is(6).says(&[parameter]);
        world.call("validate-all").set(parameter, value).run().is(6).says(&[parameter]);
        world.has(&[]);
    }
    world.start();
    for (parameter, value) in [("pool_warn", "lots"), ("devices", "relative/path"), ("lvname", "a/b"), ("tag", "a b")] {
        world.start();
        world.call("stop").set(parameter, value).run().is(0);
        world.has(&[]);
    }
}

#[test]
#[ignore = "vm: hides lvm"]
fn level_10_of_validate_all_looks_at_the_machine_and_level_0_does_not() {
    let world = World::with(1, &["one"]);
    world.call("validate-all").level(10).run().is(0);
    world.hide_lvm();
    world.call("validate-all").run().is(0);
    world.call("validate-all").level(10).run().is(5).says(&["lvm2"]);
    sh("umount /usr/sbin; mount -t tmpfs none /dev/mapper").ok();
    world.call("validate-all").level(10).run().is(1).says(&["/dev/mapper/control"]);
    sh("umount /dev/mapper").ok();
}

/// DRBD is not attached, so LVM sees the volume group on the disk below: what is written there, the other node never gets.
#[test]
#[ignore = "vm: makes a volume group"]
fn a_disk_below_drbd_is_not_activated_past_drbd() {
    let world = World::with(1, &["one"]);
    sh("mkdir -p /etc/drbd.d; mount -t tmpfs none /etc/drbd.d").ok();
    let resource = format!("resource r0 {{ device /dev/drbd0; disk {}; }}", world.disk(0));
    std::fs::write("/etc/drbd.d/r0.res", resource).unwrap();
    world.call("start").run().is(1).says(&[&world.disk(0), "DRBD", "devices"]);
    world.has(&[]);
    sh("umount /etc/drbd.d").ok();
    world.start();
    world.has(&["one"]);
}
