//! What each action answers where nothing is wrong.

use crate::call::peer;
use crate::shell::sh;
use crate::world::{End, World};

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_resource_goes_through_its_life_and_each_step_may_be_asked_twice() {
    let world = World::down(1);
    world.admin(End::Far, "up");
    world.call("probe").run().is(7);
    world.stop();
    world.start();
    world.settles("Connected", "UpToDate/UpToDate");
    world.start();
    world.call("monitor").run().is(0);
    world.scored("10000", "10000");
    world.call("promote").run().is(0);
    assert_eq!(world.role(), "Primary");
    world.call("promote").run().is(0);
    world.call("monitor").run().is(8);
    world.call("probe").run().is(8);
    world.scored("10000", "10000");
    world.call("demote").run().is(0);
    assert_eq!(world.role(), "Secondary");
    world.call("demote").run().is(0);
    world.call("probe").run().is(0);
    world.stop();
    assert_eq!(world.sees(End::Near), None);
    world.scored("", "");
    world.stop();
    world.call("monitor").run().is(7);
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_stop_of_a_primary_demotes_it_first() {
    let world = World::connected(1);
    world.admin(End::Near, "primary");
    world.stop();
    assert_eq!(world.sees(End::Near), None);
}

/// Pacemaker promotes only what it has started as a Secondary.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_start_of_a_primary_leaves_a_secondary() {
    let world = World::connected(1);
    world.admin(End::Near, "primary");
    world.start();
    assert_eq!(world.role(), "Secondary");
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn two_volumes_are_one_resource() {
    let world = World::down(2);
    world.admin(End::Far, "up");
    world.start();
    world.call("promote").run().is(0);
    let roles = sh(&format!("grep -cE '^ *({}|{}): .*ro:Primary' /proc/drbd", world.minor, world.minor + 1));
    assert_eq!(roles.text, "2");
    world.call("monitor").run().is(8);
    world.scored("10000", "10000");
    world.call("demote").run().is(0);
    world.stop();
    assert_eq!(sh(&format!("grep -cE '^ *({}|{}): ' /proc/drbd", world.minor, world.minor + 1)).text, "0");
}

/// /proc/drbd pads a minor of one figure with a space, and some look only at one figure.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_minor_of_one_figure_and_one_of_seven_are_alike() {
    for minor in [3, 1_048_575] {
        let world = World::on_minor(minor);
        world.start();
        world.call("promote").run().is(0);
        world.call("monitor").run().is(8);
        world.stop();
        world.call("probe").run().is(7);
    }
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_notification_rescores_and_is_answered_with_success() {
    let world = World::connected(1);
    for (kind, operation) in [("pre", "start"), ("post", "start"), ("pre", "promote"), ("post", "promote"), ("post", "stop")] {
        world.call("notify").of(kind, operation).run().is(0);
    }
    world.scored("10000", "10000");
}

/// The peer does it at each notification as well; ours when it is told to, for it may connect what somebody has disconnected.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_reload_brings_a_changed_configuration_into_the_kernel() {
    let world = World::connected(1);
    world.configure("ping-timeout 17;", "");
    world.call(if peer() { "reload" } else { "reload-agent" }).run().is(0);
    let shown = sh(&format!("drbdsetup show {}", world.resource)).ok();
    assert!(shown.contains("17"), "{shown}");
}

#[test]
#[ignore = "vm: calls the agent"]
fn meta_data_needs_nothing_and_an_unknown_action_is_refused() {
    let world = World::down(1);
    world.call("no-such").run().is(3);
    let shown = world.call("meta-data").without("drbd_resource").without_pacemaker().command().output().unwrap();
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && text.contains("drbd_resource"), "{text}");
    assert_eq!(text.contains("<version>1.1</version>"), !peer());
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn without_the_peer_a_start_ends_and_the_promotion_is_no_problem() {
    let world = World::down(1);
    world.start();
    world.call("monitor").run().is(0);
    world.scored("1000", "1000");
    world.call("promote").run().is(0);
    world.call("monitor").run().is(8);
    world.scored("10000", "10000");
    world.call("demote").run().is(0);
    world.stop();
}
