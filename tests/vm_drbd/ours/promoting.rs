//! Which volumes a promotion needs, and what is written of the score while a role changes.

use std::fs;

use crate::shell::sh;
use crate::world::{End, World, counting};

/// Takes the second volume out of the near end's configuration; what was in it.
fn without_second_volume(world: &World) -> String {
    let text = fs::read_to_string(world.config()).unwrap();
    let first: String = text.split_inclusive('\n').filter(|line| !line.trim().starts_with("volume 1 ")).collect();
    assert_ne!(text, first);
    fs::write(world.config(), first).unwrap();
    text
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_volume_that_was_taken_out_of_the_configuration_is_not_needed_and_one_that_is_only_gone_is() {
    let world = World::connected(2);
    world.call("monitor").run().is(0);
    world.admin(End::Near, "disconnect");
    sh(&format!("drbdsetup detach {0} && drbdsetup del-minor {0}", world.minor + 1)).ok();
    world.call("promote").within(10).run().is(1);
    assert_eq!(world.role(), "Secondary");
    without_second_volume(&world);
    world.call("promote").run().is(0);
    assert_eq!(world.role(), "Primary");
}

/// It syncs for hours, perhaps, and the node that it came from is gone now.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_volume_that_is_being_added_is_not_needed() {
    let world = World::down(2);
    let both = without_second_volume(&world);
    world.admin(End::Near, "up");
    world.call("monitor").run().is(0);
    fs::write(world.config(), both).unwrap();
    sh(&format!("drbdadm create-md --force {}/1 </dev/null", world.resource)).ok();
    world.admin(End::Near, "adjust");
    let added = crate::kernel::minor(world.minor + 1).unwrap();
    assert!(added.ds.starts_with("Inconsistent"), "{added:?}");
    world.call("promote").run().is(0);
    assert_eq!(world.role(), "Primary");
    assert!(crate::kernel::minor(world.minor + 1).unwrap().ro.starts_with("Secondary"));
    world.call("monitor").run().is(8);
    world.call("demote").run().is(0);
}

/// Each writing of a score is one of Pacemaker's tools, for which the whole group waits.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_score_that_is_what_it_was_costs_a_change_of_roles_nothing() {
    let _counting = counting();
    let world = World::connected(1);
    world.call("monitor").run().is(0);
    world.call("promote").run().is(0);
    world.call("notify").of("post", "promote").run().is(0);
    world.call("notify").of("pre", "demote").run().is(0);
    world.call("demote").run().is(0);
    world.call("notify").of("post", "demote").run().is(0);
    assert_eq!(world.crm_calls().len(), 1, "{:?}", world.crm_calls());
    world.call("notify").of("post", "start").run().is(0);
    assert_eq!(world.crm_calls().len(), 2, "{:?}", world.crm_calls());
}
