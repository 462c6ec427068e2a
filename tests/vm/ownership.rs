//! Several resources on one host and one file, and what belongs to nobody here.

use serde_json::json;

use super::file::{self, IQN, OTHER};
use super::initiator::{self, Writer};
use super::tree;
use super::world::{Call, World};

/// Resource `r1` runs the first target of the file, `r2` the second.
fn of(world: &World, action: &str, instance: &str) -> Call {
    world.call(action).named(instance).set("iqn", if instance == "r1" { IQN } else { OTHER })
}

#[test]
#[ignore = "vm: builds targets"]
fn two_resources_share_a_file_and_stopping_one_leaves_the_other_at_work() {
    let world = World::warm();
    world.write(&file::two_targets(&world));
    let empty = tree::snapshot();
    of(&world, "start", "r1").run().is(0);
    let one = (tree::snapshot(), tree::values());
    of(&world, "monitor", "r2").run().is(7);
    of(&world, "start", "r2").run().is(0);
    initiator::login(IQN);
    let writer = Writer::start(0);
    of(&world, "monitor", "r1").level(10).run().is(0);
    of(&world, "monitor", "r2").level(10).run().is(0);
    of(&world, "stop", "r2").run().is(0);
    of(&world, "monitor", "r2").run().is(7);
    of(&world, "monitor", "r1").run().is(0);
    writer.goes_on(10);
    tree::assert_unchanged(
        &one.0.iter().cloned().chain(tree::snapshot().into_iter().filter(|l| !one.0.contains(l))).collect::<Vec<_>>(),
    );
    assert_eq!(world.opened()[1], 0);
    of(&world, "stop", "r1").run().is(0);
    tree::assert_unchanged(&empty);
}

#[test]
#[ignore = "vm: builds targets"]
fn a_resource_runs_only_the_targets_that_iqn_names() {
    let world = World::warm();
    world.write(&file::two_targets(&world));
    let empty = tree::snapshot();
    of(&world, "start", "r2").run().is(0);
    assert!(tree::exists(&format!("iscsi/{OTHER}")) && !tree::exists(&format!("iscsi/{IQN}")));
    assert_eq!(world.opened(), [0, 1, 0, 0], "and opens only their devices");
    of(&world, "stop", "r2").run().is(0);
    let both = format!("{OTHER} {IQN}");
    world.call("start").set("iqn", &both).run().is(0);
    world.call("monitor").set("iqn", &both).level(10).run().is(0);
    world.call("stop").set("iqn", &both).run().is(0);
    tree::assert_unchanged(&empty);
}

#[test]
#[ignore = "vm: builds targets"]
fn an_iqn_that_the_file_does_not_have_is_named() {
    let world = World::warm();
    world.write(&file::two_targets(&world));
    let empty = tree::snapshot();
    world
        .call("start")
        .set("iqn", "iqn.2016-12.net.example:t9")
        .run()
        .is(2)
        .says(&["iqn.2016-12.net.example:t9", "saveconfig.json"]);
    tree::assert_unchanged(&empty);
}

#[test]
#[ignore = "vm: builds targets"]
fn a_backstore_that_both_resources_export_stays_until_the_last_has_stopped() {
    for first_to_stop in ["r1", "r2"] {
        let world = World::warm();
        let mut file = file::two_targets(&world);
        file["targets"][1]["tpgs"][0]["luns"][0]["storage_object"] = json!("/backstores/block/d0");
        world.write(&file);
        let empty = tree::snapshot();
        of(&world, "start", "r1").run().is(0);
        of(&world, "start", "r2").run().is(0);
        let last = if first_to_stop == "r1" { "r2" } else { "r1" };
        of(&world, "stop", first_to_stop).run().is(0);
        assert_eq!(world.opened()[0], 1);
        of(&world, "monitor", first_to_stop).run().is(7);
        of(&world, "monitor", last).level(10).run().is(0);
        of(&world, "stop", last).run().is(0);
        assert_eq!(world.opened()[0], 0);
        tree::assert_unchanged(&empty);
    }
}

#[test]
#[ignore = "vm: builds targets"]
fn a_target_that_another_resource_runs_is_not_taken_over() {
    let world = World::warm();
    world.write(&file::two_targets(&world));
    of(&world, "start", "r1").run().is(0);
    let before = tree::snapshot();
    let both = format!("{IQN} {OTHER}");
    world.call("start").named("r3").set("iqn", &both).run().is(1).says(&[IQN, "r1"]);
    tree::assert_unchanged(&before);
    of(&world, "stop", "r1").run().is(0);
}

#[test]
#[ignore = "vm: builds targets"]
fn a_failed_start_of_one_resource_leaves_the_other_untouched() {
    let world = World::warm();
    let mut file = file::two_targets(&world);
    file["targets"][1]["tpgs"][0]["luns"][0]["storage_object"] = json!("/backstores/block/d0");
    file["targets"][1]["tpgs"][0]["node_acls"][0]["attributes"]["nopin_timeout"] = json!(1);
    world.write(&file);
    of(&world, "start", "r1").run().is(0);
    let before = tree::snapshot();
    of(&world, "start", "r2").run().is(1).says(&["nopin_timeout"]);
    tree::assert_unchanged(&before);
    of(&world, "monitor", "r1").level(10).run().is(0);
    of(&world, "stop", "r1").run().is(0);
}

#[test]
#[ignore = "vm: builds targets"]
fn a_foreign_target_is_untouched_by_start_and_stop() {
    let world = World::warm();
    world.write(&file::captured(&world));
    tree::make_foreign();
    let before = (tree::snapshot(), tree::values());
    world.start();
    let during = tree::values();
    assert!(before.1.iter().filter(|(path, _)| path.contains("foreign")).all(|(path, value)| during.get(path) == Some(value)));
    world.stop();
    tree::assert_unchanged(&before.0);
    assert_eq!(before.1, tree::values());
}

#[test]
#[ignore = "vm: builds targets"]
fn a_foreign_target_on_the_same_portal_goes_on_listening() {
    let world = World::warm();
    world.write(&file::simple(&world, 1));
    tree::make_foreign();
    tree::make(&format!("iscsi/{}/tpgt_1/np/127.0.0.1:3260", tree::FOREIGN));
    let before = tree::snapshot();
    world.start();
    world.stop();
    tree::assert_unchanged(&before);
    assert_eq!(super::world::sh("ss -Hltn sport = 3260 | wc -l").ok(), "1");
}

/// The kernel says EBUSY to the removal of a backstore that is exported.
#[test]
#[ignore = "vm: builds targets"]
fn a_backstore_of_ours_that_a_foreign_target_exports_too_is_left_to_it() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    tree::make_foreign();
    world.start();
    let lun = format!("iscsi/{}/tpgt_1/lun/lun_5", tree::FOREIGN);
    tree::make(&lun);
    tree::link(&format!("{lun}/x"), "core/iblock_1/d1");
    world.stop();
    world.call("monitor").run().is(7);
    assert_eq!(world.opened(), [0, 1, 0, 0]);
    assert!(tree::is_enabled(tree::FOREIGN) && tree::exists(&format!("{lun}/x")));
}
