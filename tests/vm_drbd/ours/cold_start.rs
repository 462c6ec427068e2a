//! Both nodes were off, and the wrong one comes up first: it was not Primary last, so its data may be old.

use std::time::Duration;

use crate::world::{End, World};

/// Near has seen that far is Primary, and was stopped; far wrote on, and is gone.
fn after_the_peer_served() -> World {
    let world = World::down(1);
    world.admin(End::Far, "up");
    world.start();
    world.settles("Connected", "UpToDate/UpToDate");
    world.admin(End::Far, "primary");
    world.call("monitor").run().is(0);
    let record = world.record("last-primary.json").unwrap();
    assert!(record.contains("\"peer\""), "{record}");
    world.stop();
    world.write(End::Far, 4);
    world.admin(End::Far, "secondary");
    world.admin(End::Far, "down");
    world
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn the_node_that_was_not_primary_last_is_not_promoted_alone() {
    let world = after_the_peer_served();
    world.start();
    assert_eq!(world.score(), None);
    world.call("promote").run().is(1).says(&["older data", "guard clear"]);
    assert_eq!(world.role(), "Secondary");
    world.call("monitor").set("degraded_codes", "true").run().is(190).says(&["older data"]);
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.call("monitor").run().is(0);
    assert_eq!(world.record("guard.json"), None);
    world.call("promote").run().is(0);
    assert!(world.record("last-primary.json").unwrap().contains("\"here\""));
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn it_is_promoted_alone_after_the_time_that_was_asked_for() {
    let world = after_the_peer_served();
    let of = |action: &str| world.call(action).set("cold_start_wait", "4");
    of("start").run().is(0);
    std::thread::sleep(Duration::from_secs(5));
    of("promote").run().is(0);
}

#[test]
#[ignore = "vm: makes a DRBD resource"]
fn who_was_primary_last_comes_up_alone() {
    let world = World::connected(1);
    world.call("promote").run().is(0);
    world.admin(End::Far, "down");
    world.call("demote").run().is(0);
    world.stop();
    world.start();
    assert_eq!(world.score().as_deref(), Some("1000"));
    world.call("promote").run().is(0);
}

/// A site that is shut down in the evening: the stand-by first, which outdates it, then the one that serves. In the morning that one is
/// promoted, whether or not the other is there.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn the_last_one_to_go_comes_back_without_a_split_brain_though_the_other_one_was_outdated() {
    for late in ["false", "true"] {
        let world = World::down(1);
        world.configure("", "fencing resource-only;");
        let of = |action: &str| world.call(action).set("connect_only_after_promote", late);
        world.admin(End::Far, "up");
        world.start();
        world.settles("Connected", "UpToDate/UpToDate");
        world.call("promote").run().is(0);
        world.admin(End::Far, "down");
        world.settles("WFConnection", "UpToDate/Outdated");
        of("demote").run().is(0);
        of("stop").run().is(0);

        of("start").run().is(0);
        world.settles(if late == "true" { "StandAlone" } else { "WFConnection" }, "UpToDate/Outdated");
        of("monitor").run().is(0);
        assert_eq!(world.score().as_deref(), Some("10000"), "{late}");
        of("promote").run().is(0);
        assert_eq!((world.role().as_str(), world.sees(End::Near).unwrap().cs.as_str()), ("Primary", "WFConnection"));
        world.admin(End::Far, "up");
        world.settles("Connected", "UpToDate/UpToDate");
    }
}
