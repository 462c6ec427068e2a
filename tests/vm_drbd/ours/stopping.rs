//! A stop needs the name, and hardly anything else: whatever is missing around it, the resource is gone afterwards.

use std::fs;

use crate::shell::sh;
use crate::world::{End, World};

/// Running and Primary, with this done to the machine.
#[track_caller]
fn is_stopped_with(damage: impl FnOnce(&World)) {
    let world = World::connected(1);
    world.admin(End::Near, "primary");
    damage(&world);
    // What is not needed is looked at all the same by whoever asks whether it runs.
    world.call("monitor").run().is(8);
    world.stop();
    assert_eq!(world.sees(End::Near), None);
    world.call("probe").run().is(7);
    world.stop();
}

#[test]
#[ignore = "vm: breaks a configuration"]
fn a_configuration_that_does_not_parse() {
    is_stopped_with(|world| fs::write(world.config(), "resource {{{").unwrap());
}

#[test]
#[ignore = "vm: takes a configuration away"]
fn a_configuration_without_the_resource() {
    is_stopped_with(|world| fs::remove_file(world.config()).unwrap());
}

#[test]
#[ignore = "vm: takes a configuration away"]
fn a_directory_of_configurations_that_is_empty() {
    is_stopped_with(|_| drop(sh("mount -t tmpfs none /etc/drbd.d").ok()));
}

#[test]
#[ignore = "vm: takes a configuration away"]
fn no_configuration_at_all() {
    is_stopped_with(|_| drop(sh("mount --bind /dev/null /etc/drbd.conf && mount -t tmpfs none /etc/drbd.d").ok()));
}

#[test]
#[ignore = "vm: hides drbd-utils"]
fn drbd_utils_moved_away() {
    is_stopped_with(World::hide_utils);
}

#[test]
#[ignore = "vm: hides Pacemaker's tools"]
fn tools_of_pacemaker_moved_away() {
    is_stopped_with(|world| world.hide(&["crm_attribute", "crm_master", "crm_resource"]));
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn parameters_that_make_no_sense() {
    for (name, value) in
        [("promotion_scores", "high low"), ("guard", "perhaps"), ("drbdconf", "relative"), ("wfc_timeout", "soon")]
    {
        let world = World::connected(1);
        world.call("start").set(name, value).run().is(6).says(&[name]);
        world.call("stop").set(name, value).run().is(0);
        assert_eq!(world.sees(End::Near), None, "{name}");
    }
}

/// The disk below answers nothing: `down` waits for it in the kernel.
#[test]
#[ignore = "vm: suspends a disk"]
fn a_disk_that_hangs_is_told_within_the_time_out() {
    let world = World::alone(1);
    world.admin(End::Near, "up");
    world.admin(End::Near, "primary");
    world.hang();
    sh(&format!(
        "dd if=/dev/zero of={} bs=4k count=1 oflag=direct conv=notrunc </dev/null >/dev/null 2>&1 & sleep 0.5",
        world.device()
    ))
    .ok();
    world.call("monitor").seconds(10).run().is(8);
    let answer = world.call("stop").seconds(15).run();
    let code = answer.code();
    world.unhang();
    assert!(code == 1, "{answer:?}");
    crate::shell::until("it can be stopped", 40, || world.call("stop").run().code() == 0);
}
