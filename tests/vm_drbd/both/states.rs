//! The states that DRBD can be in beside the good one: codes, and the score by which Pacemaker chooses whom to promote.

use crate::call::peer;
use crate::shell::sh;
use crate::world::{End, World};

/// With its score before and after a promotion, ours and the peer's.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_peer_that_is_gone_makes_the_score_of_a_secondary_smaller() {
    let world = World::connected(1);
    world.admin(End::Far, "down");
    world.settles("WFConnection", "UpToDate/DUnknown");
    world.call("monitor").run().is(0);
    world.scored("1000", "1000");
    world.admin(End::Near, "primary");
    world.call("monitor").run().is(8);
    world.scored("10000", "10000");
}

/// Somebody has said `disconnect`: no sign of anything bad.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn an_operator_s_disconnect_is_no_split_brain() {
    let world = World::connected(1);
    world.admin(End::Near, "disconnect");
    world.settles("StandAlone", "UpToDate/DUnknown");
    world.call("monitor").run().is(0);
    world.scored("1000", "1000");
    world.call("promote").run().is(0);
    world.call("monitor").run().is(8);
    world.call("demote").run().is(0);
}

#[test]
#[ignore = "vm: resyncs"]
fn the_target_of_a_resync_scores_low_and_its_source_as_before() {
    let world = World::down(1);
    world.configure("", "c-plan-ahead 0; resync-rate 200k;");
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.admin(End::Near, "invalidate");
    world.settles("SyncTarget", "Inconsistent/UpToDate");
    world.call("monitor").run().is(0);
    world.scored("10", "10");
    // Reads what it lacks from the peer.
    world.call("promote").run().is(0);
    world.call("monitor").run().is(8);
    world.call("demote").run().is(0);
    world.admin(End::Near, "disconnect");
    world.admin(End::Near, "connect");
    world.settles("SyncTarget", "Inconsistent/UpToDate");
    world.call("stop").run().is(0);
}

#[test]
#[ignore = "vm: resyncs"]
fn the_source_of_a_resync_scores_best() {
    let world = World::down(1);
    world.configure("", "c-plan-ahead 0; resync-rate 200k;");
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.admin(End::Far, "invalidate");
    world.settles("SyncSource", "UpToDate/Inconsistent");
    world.call("monitor").run().is(0);
    world.scored("10000", "10000");
    world.call("promote").run().is(0);
    world.call("monitor").run().is(8);
    world.scored("10000", "10000");
}

#[test]
#[ignore = "vm: resyncs"]
fn what_a_resync_left_half_done_has_no_score_and_is_not_promoted() {
    let world = World::down(1);
    world.configure("", "c-plan-ahead 0; resync-rate 200k;");
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.admin(End::Near, "invalidate");
    world.settles("SyncTarget", "Inconsistent/UpToDate");
    world.admin(End::Far, "down");
    world.settles("WFConnection", "Inconsistent/DUnknown");
    world.call("monitor").run().is(0);
    world.scored("", "");
    world.call("promote").within(30).run().is(1).says(&["UpToDate"]);
    assert_eq!(world.role(), "Secondary");
}

/// Two disks that have never been in use: nobody is right, and somebody has to say who is.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn disks_that_were_never_in_use_are_started_and_not_promoted() {
    let world = World::fresh();
    world.admin(End::Far, "up");
    world.start();
    world.settles("Connected", "Inconsistent/Inconsistent");
    world.call("monitor").run().is(0);
    world.scored("", "");
    world.call("promote").within(30).run().is(1);
    world.stop();
}

#[test]
#[ignore = "vm: detaches a disk"]
fn a_primary_without_a_disk_goes_on_with_the_peer_s() {
    let world = World::connected(1);
    world.admin(End::Near, "primary");
    world.admin(End::Near, "detach");
    world.settles("Connected", "Diskless/UpToDate");
    world.call("monitor").run().is(8);
    world.scored("9999", "10");
    world.call("demote").run().is(0);
    world.call("monitor").run().is(0);
    world.scored("10", "10");
    world.stop();
}

#[test]
#[ignore = "vm: detaches a disk"]
fn a_secondary_without_a_disk_or_a_peer_is_of_no_use() {
    let world = World::connected(1);
    world.admin(End::Far, "down");
    world.admin(End::Near, "detach");
    world.settles("WFConnection", "Diskless/DUnknown");
    world.call("monitor").run().expect(1, 0);
    world.scored("", "");
    world.call("promote").within(30).run().is(1);
    world.stop();
    assert_eq!(world.sees(End::Near), None);
}

/// `new-resource` only: no device, no minor.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_resource_without_a_volume_is_not_running_and_is_taken_away_by_a_stop() {
    let world = World::down(1);
    sh(&format!("drbdsetup new-resource {}", world.resource)).ok();
    let probe = world.call("probe").run();
    assert!(probe.code() == 7 || (!peer() && probe.code() == 1), "{probe:?}");
    world.stop();
    assert!(!sh("drbdsetup status").text.lines().any(|line| line.starts_with(&format!("{} ", world.resource))));
    sh(&format!("drbdsetup new-resource {}", world.resource)).ok();
    world.start();
    world.call("monitor").run().is(0);
}

/// A start that was killed after `new-minor`: the kernel calls it Unconfigured.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_minor_without_disk_and_connection_is_finished_by_a_start_and_taken_away_by_a_stop() {
    let world = World::down(1);
    let half = format!("drbdsetup new-resource {0} && drbdsetup new-minor {0} {1} 0", world.resource, world.minor);
    sh(&half).ok();
    assert_eq!(world.sees(End::Near).unwrap().cs, "Unconfigured");
    let probe = world.call("probe").run();
    assert!(probe.code() == 7 || (!peer() && probe.code() == 1), "{probe:?}");
    world.stop();
    assert_eq!(world.sees(End::Near), None);
    sh(&half).ok();
    world.start();
    world.call("monitor").run().is(0);
    assert_eq!(world.sees(End::Near).unwrap().ds, "UpToDate/DUnknown");
}

/// Only its first volume is there, and the second one is: not what was configured.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn one_volume_of_two_is_completed_by_a_start() {
    let world = World::connected(2);
    sh(&format!("drbdsetup detach {0} && drbdsetup del-minor {0}", world.minor + 1));
    world.start();
    world.call("monitor").run().is(0);
    let text = sh(&format!("grep -cE '^ *({}|{}): .*ds:UpToDate' /proc/drbd", world.minor, world.minor + 1)).text;
    assert_eq!(text, "2");
    world.stop();
}

#[test]
#[ignore = "vm: takes the module away"]
fn a_kernel_without_the_module_runs_nothing_and_a_start_loads_it() {
    let world = World::alone(1);
    sh("cp /sys/module/drbd/parameters/usermode_helper /run/ocf-san-drbd/umh.was; rmmod drbd").ok();
    world.call("probe").run().is(7);
    world.call("monitor").run().is(7);
    world.stop();
    world.start();
    world.call("monitor").run().is(0);
    world.stop();
    sh("printf %s $(cat /run/ocf-san-drbd/umh.was) >/sys/module/drbd/parameters/usermode_helper").ok();
}
