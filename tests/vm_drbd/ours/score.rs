//! When the promotion score is written, and that nothing depends on it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::shell::sh;
use crate::world::{End, World, counting};

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn it_is_written_when_it_changes_and_again_after_what_pacemaker_may_not_know_of() {
    let _counting = counting();
    let world = World::connected(1);
    let monitor = || world.call("monitor").run().is(0);
    let writes = || world.crm_calls().len();
    monitor();
    monitor();
    assert_eq!(writes(), 1, "{:?}", world.crm_calls());
    world.admin(End::Far, "down");
    world.settles("WFConnection", "UpToDate/DUnknown");
    monitor();
    monitor();
    assert_eq!((writes(), world.score().as_deref()), (2, Some("1000")));
    for (count, call) in [world.call("probe"), world.call("notify").of("post", "start"), world.call("start")].iter().enumerate() {
        call.run().is(0);
        assert!(writes() >= 3 + count, "{:?}", world.crm_calls());
    }
    let all = world.crm_calls();
    assert!(all.iter().all(|call| call.starts_with("crm_attribute ") && call.contains("reboot")), "{all:?}");
}

/// A node that stood still and goes on deletes the other one's scores from the CIB; what Pacemaker demotes may have lost its own.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn it_is_written_into_the_cib_too_after_a_peer_has_come_back_and_after_a_demotion() {
    let _counting = counting();
    let world = World::connected(1);
    let refreshes = || world.crm_calls().iter().filter(|call| *call == "attrd_updater --refresh").count();
    world.call("monitor").run().is(0);
    world.call("monitor").run().is(0);
    assert_eq!(refreshes(), 0, "{:?}", world.crm_calls());
    world.call("promote").run().is(0);
    world.call("monitor").run().is(8);
    world.call("demote").run().is(0);
    assert_eq!(refreshes(), 0, "neither waits for that: {:?}", world.crm_calls());
    world.call("monitor").run().is(0);
    assert_eq!(refreshes(), 1, "{:?}", world.crm_calls());
    world.stop();
    world.start();
    world.admin(End::Far, "down");
    world.settles("WFConnection", "UpToDate/DUnknown");
    world.call("monitor").run().is(0);
    assert_eq!(refreshes(), 1, "{:?}", world.crm_calls());
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.call("monitor").run().is(0);
    assert_eq!(refreshes(), 1, "another score comes into the CIB by itself: {:?}", world.crm_calls());
    world.call("monitor").run().is(0);
    world.call("monitor").run().is(0);
    assert_eq!(refreshes(), 3, "for a while: {:?}", world.crm_calls());
}

/// Whoever keeps the attributes has forgotten them when it is another process.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn it_is_written_again_when_pacemaker_s_attribute_manager_is_another_one() {
    let _counting = counting();
    let world = World::connected(1);
    let manager = world.dir.join("pacemaker-attrd");
    fs::copy("/usr/bin/sleep", &manager).unwrap();
    let begin =
        || sh(&format!("({} 300) >/dev/null 2>&1 & echo $! >{}/manager; sleep 0.3", manager.display(), world.dir.display())).ok();
    begin();
    world.call("monitor").run().is(0);
    world.call("monitor").run().is(0);
    assert_eq!(world.crm_calls().len(), 1);
    sh(&format!("kill -9 $(cat {}/manager); sleep 0.3", world.dir.display())).ok();
    begin();
    world.call("monitor").run().is(0);
    assert_eq!(world.crm_calls().len(), 2, "{:?}", world.crm_calls());
    world.call("monitor").run().is(0);
    assert_eq!(world.crm_calls().len(), 2);
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn no_action_fails_because_it_can_not_be_written() {
    let world = World::connected(1);
    let stand_in = world.dir.join("crm");
    let works = fs::read_to_string(&stand_in).unwrap();
    fs::write(
        &stand_in,
        format!("#!/bin/sh\necho tried >>{}/crm.log\necho 'not connected' >&2\nexit 102\n", world.dir.display()),
    )
    .unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    world.call("monitor").run().is(0);
    world.call("promote").run().is(0);
    world.call("demote").run().is(0);
    let tried = world.crm_calls().len();
    world.call("monitor").run().is(0);
    assert!(world.crm_calls().len() > tried, "it is tried again");
    fs::write(&stand_in, works).unwrap();
    world.call("monitor").run().is(0);
    assert_eq!(world.score().as_deref(), Some("10000"));
}

#[test]
#[ignore = "vm: hides Pacemaker's tools"]
fn no_action_fails_without_pacemaker_s_tools() {
    let world = World::connected(1);
    world.hide(&["crm_attribute", "crm_master", "crm_resource"]);
    world.call("monitor").run().is(0);
    world.call("promote").run().is(0);
    world.call("monitor").run().is(8);
    world.call("demote").run().is(0);
    world.call("notify").of("post", "start").run().is(0);
    world.stop();
    world.start();
}

/// As the OCF wrapper of drbd-reactor calls: no CRM variables, no notifications, no scores.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn without_pacemaker_there_is_no_score_and_all_works() {
    let world = World::down(1);
    let of = |action: &str| world.call(action).without_pacemaker();
    world.admin(End::Far, "up");
    of("monitor").run().is(7);
    of("start").run().is(0);
    of("monitor").run().is(0);
    of("promote").run().is(0);
    of("monitor").run().is(8);
    of("demote").run().is(0);
    of("stop").run().is(0);
    assert_eq!(world.crm_calls(), [""; 0]);
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn the_four_scores_may_be_others_by_either_name() {
    let world = World::connected(1);
    for name in ["promotion_scores", "adjust_master_score"] {
        world.call("monitor").set(name, "1 20 300 4000").run().is(0);
        assert_eq!(world.score().as_deref(), Some("4000"), "{name}");
        world.call("monitor").run().is(0);
    }
    world.admin(End::Far, "down");
    world.settles("WFConnection", "UpToDate/DUnknown");
    world.call("monitor").set("promotion_scores", "1 20 300 4000").run().is(0);
    assert_eq!(world.score().as_deref(), Some("300"));
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_primary_peer_takes_the_score_where_that_is_asked_for() {
    let world = World::connected(1);
    world.admin(End::Far, "primary");
    world.call("monitor").run().is(0);
    assert_eq!(world.score().as_deref(), Some("10000"));
    world.call("monitor").set("peer_primary_policy", "remove").run().is(0);
    assert_eq!(world.score(), None);
    world.call("monitor").set("remove_master_score_if_peer_primary", "true").run().is(0);
    assert_eq!(world.score(), None);
}
