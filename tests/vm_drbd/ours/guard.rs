//! The guard: how it comes to be, what it refuses, and the two ways out.

use std::fs;

use crate::shell::{sh, until};
use crate::world::{End, World};

const PLACE: &str = "/var/lib/ocf-san/drbd";

/// As a handler leaves it.
fn put(world: &World, reason: &str) {
    let dir = format!("{PLACE}/{}", world.resource);
    fs::create_dir_all(&dir).unwrap();
    let entry = format!("{{\"reason\":\"{reason}\",\"since\":\"2026-01-31T12:00:00Z\",\"by\":\"test\",\"detail\":\"\"}}");
    fs::write(format!("{dir}/guard.json"), format!("{{\"entries\":[{entry}]}}")).unwrap();
}

#[test]
#[ignore = "vm: makes a split brain"]
fn a_split_brain_sets_a_guard_that_goes_when_both_sides_are_equal_again() {
    let world = World::connected(1);
    world.split_brain();
    world.call("monitor").run().is(0);
    let record = world.record("guard.json").unwrap();
    assert!(record.contains("split-brain") && record.contains("monitor"), "{record}");
    let telling = world.call("monitor").set("degraded_codes", "true");
    telling.run().is(190).says(&["split brain", &world.resource]);
    world.call("promote").run().is(1).says(&["split brain"]);
    assert_eq!(world.role(), "Secondary");

    let _ = world.try_admin(End::Near, "disconnect");
    let _ = world.try_admin(End::Far, "disconnect");
    world.admin(End::Near, "-- --discard-my-data connect");
    world.admin(End::Far, "connect");
    world.settles("Connected", "UpToDate/UpToDate");
    telling.run().is(0);
    assert_eq!(world.record("guard.json"), None);
    assert_eq!(world.score().as_deref(), Some("10000"));
    world.call("promote").run().is(0);
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_guard_refuses_the_promotion_takes_the_score_away_and_outlives_the_equality_of_both_sides() {
    let world = World::connected(1);
    put(&world, "io-error");
    world.call("monitor").run().is(0);
    assert_eq!(world.score(), None);
    world.call("promote").run().is(1).says(&["guard", "ocf-san drbd guard clear", &world.resource]);
    assert_eq!(world.role(), "Secondary");
    assert!(world.record("guard.json").unwrap().contains("io-error"));
    world.call("monitor").set("degraded_codes", "true").run().is(190).says(&["guard"]);
}

/// As the handler out-of-sync sets it; the blocks are in the bitmap until they are copied.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_guard_for_blocks_that_differ_ends_with_the_resync_that_copies_them() {
    let world = World::down(1);
    world.configure("verify-alg crc32c;", "");
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    sh(&format!("dd if=/dev/urandom of={} bs=4k count=3 seek=50 oflag=direct conv=notrunc", world.disk(End::Far, 0))).ok();
    // Without a Primary DRBD has no reason to copy anything.
    world.admin(End::Far, "primary");
    world.admin(End::Near, "verify");
    let differ = || {
        let text = fs::read_to_string("/proc/drbd").unwrap();
        let (_, ours) = text.split_once(&format!("{}: cs:", world.minor)).unwrap();
        !ours.split_once("oos:").unwrap().1.starts_with("0\n")
    };
    until("the verify has found them", 60, || world.sees(End::Near).is_some_and(|minor| minor.cs == "Connected") && differ());
    put(&world, "verify-differences");
    world.call("monitor").run().is(0);
    assert_eq!(world.score(), None, "as long as they differ");
    world.admin(End::Near, "disconnect");
    world.admin(End::Near, "connect");
    world.settles("Connected", "UpToDate/UpToDate");
    world.call("monitor").run().is(0);
    assert_eq!(world.record("guard.json"), None);
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn whoever_has_looked_clears_the_guard() {
    let world = World::connected(1);
    put(&world, "io-error");
    world.call("promote").run().is(1);
    let said = world.operator("guard clear RES --i-checked");
    assert_eq!(said.code, 0, "{}", said.text);
    world.call("promote").run().is(0);
    world.call("monitor").set("degraded_codes", "true").run().is(8);
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_guard_that_only_warns_and_one_that_is_off_refuse_nothing() {
    for policy in ["warn", "off"] {
        let world = World::connected(1);
        put(&world, "io-error");
        world.call("monitor").set("guard", policy).run().is(0);
        assert_eq!(world.score().as_deref(), Some("10000"), "{policy}");
        world.call("promote").set("guard", policy).run().is(0);
        assert!(world.record("guard.json").is_some(), "it is not forgotten");
    }
}

/// Whoever can not read it can not know that all is well.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_guard_that_can_not_be_understood_is_one() {
    let world = World::connected(1);
    let dir = format!("{PLACE}/{}", world.resource);
    fs::create_dir_all(&dir).unwrap();
    fs::write(format!("{dir}/guard.json"), "{\"entries\":[{\"reas").unwrap();
    world.call("monitor").run().is(0);
    assert_eq!(world.score(), None);
    world.call("promote").run().is(1).says(&["guard"]);
    world.stop();
}

/// Who serves is not moved: both have written, and which one to keep is for a human.
#[test]
#[ignore = "vm: makes a split brain"]
fn a_primary_keeps_its_role_and_is_guarded_once_it_is_demoted() {
    let world = World::connected(1);
    world.diverge();
    world.admin(End::Near, "primary");
    let _ = world.try_admin(End::Far, "connect");
    let _ = world.try_admin(End::Near, "connect");
    until("they part", 30, || world.sees(End::Near).is_some_and(|minor| minor.cs == "StandAlone"));
    world.call("monitor").set("degraded_codes", "true").run().is(191).says(&["split brain"]);
    assert_eq!(world.score().as_deref(), Some("10000"));
    world.call("demote").run().is(0);
    assert_eq!(world.score(), None);
    world.call("promote").run().is(1).says(&["split brain"]);
}

#[test]
#[ignore = "vm: makes two Primaries"]
fn two_primaries_that_the_cluster_does_not_allow_are_a_failure() {
    let world = World::down(1);
    world.configure("allow-two-primaries yes;", "");
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.admin(End::Near, "primary");
    world.admin(End::Far, "primary");
    let two =
        |action: &str| world.call(action).env("OCF_RESKEY_CRM_meta_promoted_max", "2").env("OCF_RESKEY_CRM_meta_master_max", "2");
    two("monitor").run().is(8);
    assert_eq!(world.record("guard.json"), None);
    world.call("monitor").run().is(9).says(&["Primary here and on the peer"]);
    assert!(world.record("guard.json").unwrap().contains("two-primaries"));
}
