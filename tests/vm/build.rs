//! What a start builds, held against what `targetctl restore` builds from the same file.

use std::collections::BTreeMap;

use serde_json::json;

use super::file::{self, IQN};
use super::initiator;
use super::tree;
use super::world::{World, sh, sh_within};

/// targetctl creates these on its own account, or the kernel counts them; none is in a configuration.
const DIFFERS: [&str; 2] = ["/cmdsn_depth", "/rtpi"];

fn restore(world: &World) {
    let file = world.dir.join("saveconfig.json");
    let said = sh_within(120, &format!("targetctl restore {}", file.display())).ok();
    // It has no other way to say that it failed.
    let complaints: Vec<&str> = said.lines().filter(|line| !line.contains("netif_timeout")).collect();
    assert_eq!(complaints, [""; 0]);
}

fn compare(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) {
    let is_same = |path: &String| ours.get(path) == theirs.get(path) || DIFFERS.iter().any(|end| path.ends_with(end));
    let differing: Vec<String> = ours
        .keys()
        .chain(theirs.keys())
        .filter(|path| !is_same(path))
        .map(|path| format!("{path}: ours {:?}, targetctl's {:?}", ours.get(path), theirs.get(path)))
        .collect();
    assert_eq!(differing, [""; 0]);
}

#[test]
#[ignore = "vm: builds targets"]
fn start_builds_from_a_captured_file_what_targetctl_restores_from_it() {
    let world = World::warm();
    world.write(&file::captured(&world));
    let empty = tree::snapshot();
    restore(&world);
    let (theirs, their_values) = (tree::snapshot(), tree::values());
    sh("targetctl clear").ok();
    tree::assert_unchanged(&empty);
    world.start();
    assert_eq!(tree::difference(&theirs, &tree::snapshot()), [""; 0]);
    compare(&tree::values(), &their_values);
    world.stop();
    tree::assert_unchanged(&empty);
}

#[test]
#[ignore = "vm: builds targets"]
fn what_targetctl_restored_is_running_to_a_monitor_and_stop_removes_it() {
    let world = World::warm();
    world.write(&file::captured(&world));
    let empty = tree::snapshot();
    restore(&world);
    world.call("monitor").run().is(0);
    world.call("monitor").level(10).run().is(0);
    world.call("start").run().is(0);
    world.stop();
    tree::assert_unchanged(&empty);
    assert_eq!(world.opened(), [0; 4]);
}

#[test]
#[ignore = "vm: builds targets"]
fn targetctl_clears_what_start_built_and_stop_after_that_is_content() {
    let world = World::warm();
    world.write(&file::captured(&world));
    let empty = tree::snapshot();
    world.start();
    sh("targetctl clear").ok();
    tree::assert_unchanged(&empty);
    world.call("monitor").run().is(7);
    world.stop();
    world.start();
    world.stop();
    tree::assert_unchanged(&empty);
}

#[test]
#[ignore = "vm: builds targets"]
fn a_captured_file_starts_stops_and_restarts_and_every_level_agrees() {
    let world = World::warm();
    world.write(&file::captured(&world));
    let empty = tree::snapshot();
    for _ in 0..2 {
        world.call("monitor").run().is(7);
        world.start();
        for level in [0, 10, 20] {
            world.call("monitor").level(level).run().is(0);
        }
        assert_eq!(world.opened(), [1; 4]);
        world.stop();
        tree::assert_unchanged(&empty);
        assert_eq!(world.opened(), [0; 4]);
    }
    world.call("monitor").run().is(7);
}

#[test]
#[ignore = "vm: builds targets"]
fn starting_and_stopping_twice_changes_nothing() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    let empty = tree::snapshot();
    world.start();
    let built = tree::snapshot();
    world.start();
    tree::assert_unchanged(&built);
    world.stop();
    world.stop();
    tree::assert_unchanged(&empty);
}

/// Sixty-four LUNs in a second target take a while to build, so that the first one would be seen enabled before the second is complete.
#[test]
#[ignore = "vm: builds targets"]
fn no_target_is_enabled_before_all_of_them_are_complete() {
    let world = World::warm();
    let me = initiator::name();
    let stores: Vec<_> = (0..64).map(|n| file::ramdisk(&format!("r{n}"))).collect();
    let luns: Vec<_> = (1..64).map(|n| file::lun(n, &format!("ramdisk/r{n}"))).collect();
    let numbers: Vec<u64> = (1..64).collect();
    let small = file::target(IQN, &[file::lun(0, "ramdisk/r0")], &[file::acl(&me, &[0])]);
    let mut large = file::target(file::OTHER, &luns, &[file::acl(&me, &numbers)]);
    large["tpgs"][0]["portals"][0]["port"] = json!(3261);
    world.write(&file::file(&stores, &[small, large]));
    let mut call = world.call("start").seconds(60).spawn("watched");
    let last =
        [format!("iscsi/{}/tpgt_1/np/127.0.0.1:3261", file::OTHER), format!("iscsi/{}/tpgt_1/acls/{me}/lun_63/m63", file::OTHER)];
    let mut looked = 0;
    let status = loop {
        if [IQN, file::OTHER].into_iter().any(tree::is_enabled) {
            assert!(last.iter().all(|path| tree::exists(path)), "enabled too early");
        } else {
            looked += 1;
        }
        if let Some(status) = call.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.success() && looked > 10, "looked {looked} times");
    assert!([IQN, file::OTHER].into_iter().all(tree::is_enabled));
    world.call("stop").seconds(60).run().is(0);
}
