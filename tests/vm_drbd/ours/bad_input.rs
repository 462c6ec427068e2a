//! Values that only ours knows, what it says of a machine that is not prepared, and names nobody should give a resource.

use crate::shell::sh;
use crate::world::{End, World};

#[test]
#[ignore = "vm: calls the agent"]
fn a_parameter_that_makes_no_sense_is_named() {
    let world = World::down(1);
    for (parameter, value) in [
        ("promotion_scores", "1 2 3"),
        ("promotion_scores", "4 3 2 1"),
        ("adjust_master_score", "many"),
        ("guard", "perhaps"),
        ("cold_start_wait", "-1"),
        ("frozen_io", "melt"),
        ("frozen_io_grace", "long"),
        ("degraded_codes", "maybe"),
        ("reconnect_policy", "never"),
        ("peer_primary_policy", "greet"),
        ("wfc_timeout", "soon"),
        ("require_drbd_module_version_ge", "nine"),
        ("on_stop_hang", "pray"),
        ("drbdconf", "relative/path"),
    ] {
        world.call("validate-all").set(parameter, value).run().is(6).says(&[parameter]);
    }
    world.call("start").set("guard", "perhaps").run().is(6).says(&["guard"]);
    assert_eq!(world.sees(End::Near), None);
}

#[test]
#[ignore = "vm: hides drbd-utils"]
fn level_10_of_validate_all_looks_at_the_machine_and_level_0_does_not() {
    let world = World::down(1);
    world.call("validate-all").level(10).run().is(0);
    world.hide_utils();
    world.call("validate-all").run().is(0);
    world.call("validate-all").level(10).run().is(5).says(&["drbd-utils"]);
}

/// The kernel then logs "helper broken", and with resource-and-stonith I/O stays frozen for ever.
#[test]
#[ignore = "vm: changes what the kernel calls"]
fn a_usermode_helper_that_is_no_program() {
    let world = World::alone(1);
    let set = |text: &str| sh(&format!("printf '{text}' >/sys/module/drbd/parameters/usermode_helper")).ok();
    let was = sh("cat /sys/module/drbd/parameters/usermode_helper").ok();
    set("/usr/sbin/no-such");
    world.call("validate-all").level(10).run().is(5).says(&["usermode_helper", "/usr/sbin/no-such"]);
    set(was.trim());
    world.call("validate-all").level(10).run().is(0);
}

/// `echo` leaves a newline in the parameter, and the kernel looks for a program of that name.
#[test]
#[ignore = "vm: changes what the kernel calls"]
fn a_usermode_helper_with_a_newline() {
    let world = World::alone(1);
    let set = |text: &str| sh(&format!("printf '{text}' >/sys/module/drbd/parameters/usermode_helper")).ok();
    let was = sh("cat /sys/module/drbd/parameters/usermode_helper").ok();
    set(&format!("{}\\n", was.trim()));
    world.call("validate-all").level(10).run().is(5).says(&["usermode_helper", "newline", "printf"]);
    set(was.trim());
    world.call("validate-all").level(10).run().is(0);
}

#[test]
#[ignore = "vm: calls the agent"]
fn two_promoted_where_the_configuration_allows_one_is_told_by_level_10() {
    let world = World::down(1);
    let two = world.call("validate-all").level(10).env("OCF_RESKEY_CRM_meta_promoted_max", "2");
    two.run().is(6).says(&["allow-two-primaries"]);
}

/// A start that fails half-way leaves nothing of what it has made.
#[test]
#[ignore = "vm: takes a disk away"]
fn a_start_whose_disk_is_missing_leaves_nothing() {
    let world = World::down(2);
    let disk = world.disk(End::Near, 1);
    sh(&format!("dmsetup remove {disk}")).ok();
    world.call("start").seconds(30).run().is(1).says(&[&world.resource]);
    assert_eq!(world.sees(End::Near), None);
    world.call("probe").run().is(7);
}
