//! What a monitor says of a resource that serves and that somebody should look at: 190 or 191 where that is asked for, or else the log.

use std::time::Duration;

use crate::shell::{sh, until};
use crate::world::{End, World};

/// With `degraded_codes` the code and the words; without, 0 or 8 and the words in the log.
#[track_caller]
fn is_told(world: &World, code: i32, words: &[&str]) {
    world.call("monitor").set("degraded_codes", "true").run().is(code).says(words);
    world.call("monitor").run().is(if code == 191 { 8 } else { 0 });
    let log = world.log();
    for word in words {
        assert!(log.contains(word), "{word}: {log}");
    }
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn where_all_is_well_nothing_is_said() {
    let world = World::connected(2);
    let telling = world.call("monitor").set("degraded_codes", "true");
    telling.run().is(0);
    world.admin(End::Near, "primary");
    telling.run().is(8);
    telling.level(10).run().is(8);
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_primary_without_its_peer() {
    let world = World::connected(1);
    world.admin(End::Near, "primary");
    world.admin(End::Far, "down");
    world.settles("WFConnection", "UpToDate/DUnknown");
    is_told(&world, 191, &[&world.resource, "not connected"]);
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_resource_that_stands_alone_names_the_way_back() {
    let world = World::connected(1);
    world.admin(End::Near, "disconnect");
    world.settles("StandAlone", "UpToDate/DUnknown");
    is_told(&world, 190, &["stands alone", &format!("drbdadm connect {}", world.resource)]);
}

#[test]
#[ignore = "vm: resyncs"]
fn a_resync_with_how_far_it_is_and_how_long_it_takes() {
    let world = World::down(1);
    world.configure("", "c-plan-ahead 0; resync-rate 400k;");
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.admin(End::Near, "invalidate");
    world.settles("SyncTarget", "Inconsistent/UpToDate");
    std::thread::sleep(Duration::from_secs(4));
    is_told(&world, 190, &["being brought up to date", " %", "left"]);
    world.admin(End::Near, "pause-sync");
    is_told(&world, 190, &["paused", &format!("drbdadm resume-sync {}", world.resource)]);
    world.admin(End::Near, "resume-sync");
    world.admin(End::Far, "primary");
    world.admin(End::Far, "secondary");
    world.admin(End::Near, "primary");
    is_told(&world, 191, &["being brought up to date"]);
}

#[test]
#[ignore = "vm: detaches a disk"]
fn a_primary_without_a_disk() {
    let world = World::connected(1);
    world.admin(End::Near, "primary");
    world.admin(End::Near, "detach");
    world.settles("Connected", "Diskless/UpToDate");
    is_told(&world, 191, &["Diskless", &format!("drbdadm attach {}", world.resource)]);
}

#[test]
#[ignore = "vm: detaches a disk"]
fn the_volume_that_is_worst_is_named() {
    let world = World::connected(2);
    world.admin(End::Near, "primary");
    sh(&format!("drbdsetup detach {}", world.minor + 1)).ok();
    is_told(&world, 191, &[&format!("{}/1", world.resource), "Diskless"]);
}

/// 8.4 promotes each volume by itself. It may be written to, and does not serve.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_resource_that_is_primary_in_part() {
    let world = World::connected(2);
    sh(&format!("drbdsetup primary {}", world.minor)).ok();
    // Pacemaker's first look; from then on it is an instance of its own.
    world.call("probe").run().is(9);
    is_told(&world, 191, &["/0 is Primary and", "/1 is not", "drbdadm primary"]);
    world.call("probe").run().is(8);
    world.call("promote").run().is(1).says(&["/1 is not"]);
    world.call("demote").run().is(0);
    assert_eq!(world.role(), "Secondary");
    world.call("monitor").run().is(0);
}

#[test]
#[ignore = "vm: detaches a disk"]
fn a_peer_without_a_disk() {
    let world = World::connected(1);
    world.admin(End::Near, "primary");
    world.admin(End::Far, "detach");
    world.settles("Connected", "UpToDate/Diskless");
    is_told(&world, 191, &["peer", "Diskless"]);
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn disks_that_were_never_in_use_and_what_to_type() {
    let world = World::fresh();
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "Inconsistent/Inconsistent");
    is_told(&world, 190, &["never synchronised", "primary --force"]);
}

#[test]
#[ignore = "vm: outdates a disk"]
fn a_disk_that_is_outdated() {
    let world = World::connected(1);
    world.admin(End::Far, "down");
    world.settles("WFConnection", "UpToDate/DUnknown");
    world.admin(End::Near, "outdate");
    is_told(&world, 190, &["Outdated"]);
    assert_eq!(world.score(), None);
    world.call("promote").seconds(20).run().is(1);
}

#[test]
#[ignore = "vm: freezes I/O"]
fn frozen_io_after_its_time_of_grace() {
    let world = World::connected(1);
    world.admin(End::Near, "primary");
    world.admin(End::Near, "suspend-io");
    until("I/O is frozen", 10, || world.sees(End::Near).is_some_and(|minor| minor.frozen));
    let of = |policy: &str, grace: &str| {
        world.call("monitor").set("degraded_codes", "true").set("frozen_io", policy).set("frozen_io_grace", grace)
    };
    of("degraded", "600").run().is(8);
    std::thread::sleep(Duration::from_secs(2));
    of("degraded", "1").run().is(191).says(&["frozen", &format!("drbdadm resume-io {}", world.resource)]);
    of("fail", "600").run().is(8);
    of("fail", "1").run().is(9).says(&["frozen"]);
    of("ignore", "1").run().is(8);
    assert_eq!(world.score().as_deref(), Some("10000"), "another node would be no better");
    world.admin(End::Near, "resume-io");
    of("fail", "0").run().is(8);
}

/// A finding is news once, not at each monitor.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_finding_is_logged_when_it_comes_and_when_it_goes() {
    let world = World::connected(1);
    world.admin(End::Near, "disconnect");
    world.settles("StandAlone", "UpToDate/DUnknown");
    for _ in 0..3 {
        world.call("monitor").run().is(0);
    }
    assert_eq!(world.log().matches("stands alone").count(), 1, "{}", world.log());
    world.admin(End::Near, "connect");
    world.settles("Connected", "UpToDate/UpToDate");
    world.call("monitor").run().is(0);
    assert!(world.log().contains("all is well again"), "{}", world.log());
}
