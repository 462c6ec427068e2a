//! Where the peer says that all is well, and it is not, or does what nobody asked for.

use std::time::{Duration, Instant};

use crate::call::{NEVER, peer};
use crate::shell::{sh, until};
use crate::world::{End, World, counting};

/// With fencing that believes each side: both hold the other for outdated, both are up to date, and neither knows what the other wrote.
fn fenced_split_brain() -> World {
    let world = World::down(1);
    world.configure("", "fencing resource-only;");
    world.handler(End::Near, "[ $1 != fence-peer ] || exit 4");
    world.handler(End::Far, "[ $1 != fence-peer ] || exit 4");
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.split_brain();
    world
}

#[test]
#[ignore = "vm: makes a split brain"]
fn a_split_brain_scores_like_no_other_state_and_is_not_promoted() {
    let world = World::connected(1);
    world.split_brain();
    world.call("monitor").run().is(0);
    // The peer: as if the other side were merely switched off.
    world.scored("", "1000");
    world.call("promote").within(30).run().expect(1, 0).says(&["split brain"]);
    assert_eq!(world.role(), if peer() { "Primary" } else { "Secondary" });
}

#[test]
#[ignore = "vm: makes a split brain"]
fn a_split_brain_after_fencing_scores_best_on_both_sides_of_the_peer() {
    let world = fenced_split_brain();
    world.call("monitor").run().is(0);
    world.scored("", "10000");
    let before = world.handled().len();
    world.call("promote").within(30).run().expect(1, 0).says(&["split brain"]);
    // It is not even asked whether the other side is out of the way.
    assert_eq!(world.handled().iter().skip(before).filter(|name| *name == "fence-peer").count(), 0);
}

/// Who serves at the time goes on: two halves that stop are no better than two that diverge, and which one to keep is for a human.
#[test]
#[ignore = "vm: makes a split brain"]
fn a_primary_in_a_split_brain_keeps_its_role_and_its_score() {
    let world = World::connected(1);
    world.split_brain();
    let _ = world.try_admin(End::Near, "disconnect");
    world.admin(End::Near, "primary");
    let _ = world.try_admin(End::Far, "connect");
    let _ = world.try_admin(End::Near, "connect");
    until("they part again", 30, || world.sees(End::Near).is_some_and(|minor| minor.cs == "StandAlone"));
    world.call("monitor").run().is(8);
    world.scored("10000", "10000");
}

/// The peer's `adjust` makes a connection of what an operator has to look at: handlers fire again, and with an after-sb policy one side's
/// data are thrown away at a moment that nobody chose.
#[test]
#[ignore = "vm: makes a split brain"]
fn a_notification_does_not_connect_again_what_a_split_brain_has_parted() {
    let world = World::connected(1);
    world.split_brain();
    let _ = world.try_admin(End::Near, "disconnect");
    world.handler(End::Near, "exit 0");
    world.call("monitor").run().is(0);
    for (kind, operation) in [("pre", "start"), ("post", "start")] {
        world.call("notify").of(kind, operation).run().is(0);
    }
    std::thread::sleep(Duration::from_secs(2));
    let met_again = world.handled().iter().any(|name| name.ends_with("split-brain"));
    let state = world.sees(End::Near).unwrap();
    assert_eq!(met_again || state.cs != "StandAlone", peer(), "{state:?} {:?}", world.handled());
}

/// Nobody's I/O is answered, and the peer's monitor is green for ever.
#[test]
#[ignore = "vm: freezes I/O"]
fn frozen_io_is_seen() {
    let world = World::down(1);
    world.configure("", "fencing resource-and-stonith;");
    world.handler(End::Near, "[ $1 != fence-peer ] || exit 1");
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.call("promote").run().is(0);
    // Not asked to agree, the far side does not become outdated.
    world.admin(End::Far, "disconnect --force");
    until("I/O is frozen", 30, || world.sees(End::Near).is_some_and(|minor| minor.frozen));
    world.call("monitor").run().is(8);
    let failing = world.call("monitor");
    let failing = if peer() { failing } else { failing.set("frozen_io", "fail").set("frozen_io_grace", "0") };
    failing.run().expect(9, 8).says(&["frozen"]);
    let telling = world.call("monitor");
    let telling = if peer() { telling } else { telling.set("degraded_codes", "true").set("frozen_io_grace", "0") };
    telling.run().expect(191, 8).says(&["frozen"]);
    world.scored("10000", "10000");
    world.admin(End::Near, "resume-io");
    world.call("monitor").run().is(8);
}

/// The peer tries once a second until it is killed, and nobody learns why.
#[test]
#[ignore = "vm: opens a device"]
fn a_demote_of_a_device_in_use_says_who_has_it_in_time() {
    let world = World::connected(1);
    world.admin(End::Near, "primary");
    world.hold();
    let since = Instant::now();
    world.call("demote").seconds(20).run().expect(1, NEVER).says(&["sleep"]);
    assert!(peer() || since.elapsed() < Duration::from_secs(20));
    assert_eq!(world.role(), "Primary");
    world.let_go();
    world.call("demote").run().is(0);
}

/// Another node is Primary: the peer tries until it is killed.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_promotion_beside_another_primary_says_so_in_time() {
    let world = World::connected(1);
    world.admin(End::Far, "primary");
    world.call("promote").seconds(20).run().expect(1, NEVER).says(&["primaries not allowed"]);
    assert_eq!(world.role(), "Secondary");
    world.call("monitor").run().is(0);
}

/// A probe that loads a module is a probe that changes the machine.
#[test]
#[ignore = "vm: takes the module away"]
fn neither_probe_nor_validation_loads_the_module() {
    let world = World::alone(1);
    sh("cp /sys/module/drbd/parameters/usermode_helper /run/ocf-san-drbd/umh.was; rmmod drbd").ok();
    world.call("probe").run().is(7);
    world.call("validate-all").run().is(0);
    world.call("stop").run().is(0);
    let is_loaded = sh("[ -e /proc/drbd ]").code == 0;
    sh("modprobe drbd; printf %s $(cat /run/ocf-san-drbd/umh.was) >/sys/module/drbd/parameters/usermode_helper").ok();
    assert_eq!(is_loaded, peer());
}

/// A score that does not change is no news; the peer tells it at each monitor.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_score_is_written_when_it_changes() {
    let _counting = counting();
    let world = World::connected(1);
    for _ in 0..3 {
        world.call("monitor").run().is(0);
    }
    assert_eq!(world.crm_calls().len(), if peer() { 3 } else { 1 }, "{:?}", world.crm_calls());
}

/// One volume of two is gone, and the peer looks at the first one only.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_volume_that_is_missing_is_seen() {
    let world = World::connected(2);
    world.call("monitor").run().is(0);
    world.admin(End::Far, "down");
    sh(&format!("drbdsetup detach {0} && drbdsetup del-minor {0}", world.minor + 1));
    if sh(&format!("grep -q '^ *{}: ' /proc/drbd", world.minor + 1)).code == 0 {
        // While there is a net configuration a minor can not be deleted.
        world.admin(End::Near, "disconnect");
        sh(&format!("drbdsetup del-minor {}", world.minor + 1)).ok();
    }
    // Somebody may have removed it on purpose, so it is a degraded resource and no broken one.
    world.call("monitor").set("degraded_codes", "true").run().expect(190, 0).says(&["is gone"]);
}

/// The disk fails under a Secondary; the kernel detaches it, the peer goes on as if nothing were.
#[test]
#[ignore = "vm: makes a disk fail"]
fn a_disk_that_failed_with_no_other_copy_in_reach_is_a_failure() {
    let world = World::connected(1);
    world.configure("", "on-io-error detach;");
    world.admin(End::Near, "adjust");
    world.admin(End::Near, "primary");
    world.admin(End::Far, "down");
    world.settles("WFConnection", "UpToDate/DUnknown");
    world.fail_disk();
    sh(&format!("dd if=/dev/zero of={} bs=4k count=1 oflag=direct conv=notrunc 2>&1", world.device()));
    until("the disk is given up", 30, || {
        world.sees(End::Near).is_some_and(|minor| minor.ds.starts_with("Diskless") || minor.ds.starts_with("Failed"))
    });
    world.call("monitor").run().expect(9, 8).says(&["no peer has up to date data"]);
}

/// Both nodes were off, the other one had served last, and this one comes up first: what is promoted here is older data.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn the_node_that_was_not_primary_last_is_not_promoted_alone() {
    let world = World::connected(1);
    world.admin(End::Far, "primary");
    world.call("monitor").run().is(0);
    world.stop();
    world.write(End::Far, 4);
    world.admin(End::Far, "down");
    world.start();
    world.scored("", "1000");
    world.call("promote").run().expect(1, 0).says(&["older data"]);
}
