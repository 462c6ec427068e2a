//! What each action answers where nothing is wrong.

use crate::call::peer;
use crate::shell::sh;
use crate::world::World;

#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_group_starts_and_stops_and_each_may_be_asked_twice() {
    let world = World::with(1, &["one", "two"]);
    world.call("probe").run().is(7);
    world.stop();
    world.start();
    world.has(&["one", "two"]);
    world.start();
    world.call("monitor").run().is(0);
    world.call("monitor").level(10).run().is(0);
    world.call("probe").run().is(0);
    world.stop();
    world.has(&[]);
    world.stop();
    world.call("probe").run().is(7);
}

/// OCF: "not running" is 7. The peer answers 1 so that `on-fail=fence` applies, which Pacemaker does for 7 as well.
#[test]
#[ignore = "vm: activates volumes"]
fn a_monitor_of_what_is_stopped_says_so() {
    let world = World::with(1, &["one"]);
    world.call("monitor").run().expect(7, 1);
    world.call("monitor").level(10).run().expect(7, 1);
    world.start();
    world.stop();
    world.call("monitor").run().expect(7, 1);
}

/// OCF: what is not implemented is the next lower level. 6 would keep the resource from every node.
#[test]
#[ignore = "vm: activates volumes"]
fn a_check_level_that_there_is_not_is_the_next_lower_one() {
    let world = World::with(1, &["one"]);
    world.start();
    world.call("monitor").level(20).run().expect(0, 6);
    world.call("monitor").level(5).run().expect(0, 6);
}

#[test]
#[ignore = "vm: activates volumes"]
fn one_volume_is_started_and_its_neighbour_is_left_alone() {
    let world = World::with(1, &["one", "two"]);
    let of = |action: &str, volume: &str| world.call(action).set("lvname", volume).named(&format!("p_{volume}"));
    of("start", "one").run().is(0);
    world.has(&["one"]);
    of("probe", "two").run().is(7);
    of("monitor", "one").level(10).run().is(0);
    world.activate(&["two"]);
    of("stop", "one").run().is(0);
    world.has(&["two"]);
    of("probe", "one").run().is(7);
}

#[test]
#[ignore = "vm: activates volumes"]
fn names_with_hyphens_are_no_other_volumes() {
    let world = World::with(1, &["a-b", "a--b", "a"]);
    let of = |action: &str, volume: &str| world.call(action).set("lvname", volume).named(&format!("p_{volume}"));
    of("start", "a-b").run().is(0);
    world.has(&["a-b"]);
    for other in ["a", "a--b", "b"] {
        of("probe", other).run().is(7);
    }
    of("stop", "a").run().is(0);
    world.has(&["a-b"]);
}

/// The node that `Filesystem` and LIO will open.
#[test]
#[ignore = "vm: activates volumes"]
fn after_a_start_the_device_node_is_there() {
    let world = World::with(1, &["one"]);
    world.start();
    let node = format!("/dev/{}/one", world.vg);
    sh(&format!("[ -b {node} ] && [ $(readlink -f {node}) = $(readlink -f /dev/mapper/{}) ]", world.dm("one"))).ok();
    world.stop();
    assert_ne!(sh(&format!("[ -e {node} ]")).code, 0);
}

#[test]
#[ignore = "vm: activates volumes"]
fn actions_that_there_are_not_are_refused_and_meta_data_needs_nothing() {
    let world = World::bare(0);
    world.call("promote").run().is(3);
    world.call("no-such").run().is(3);
    let shown = world.call("meta-data").without("vgname").command().output().unwrap();
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && text.contains("vg_access_mode"), "{text}");
    assert_eq!(text.contains("<version>1.1</version>"), !peer());
}
