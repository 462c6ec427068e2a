//! Beside targetcli and targetctl on the same machine.

use serde_json::{Value, json};

use super::file::{self, IQN};
use super::tree;
use super::world::{World, sh, sh_within};

#[test]
#[ignore = "vm: builds targets"]
fn what_targetcli_saves_of_our_target_starts_again() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    let empty = tree::snapshot();
    world.start();
    let saved = world.dir.join("saved.json");
    sh(&format!("targetctl save {0} && chmod 600 {0}", saved.display())).ok();
    world.stop();
    world.call("start").file(&saved).run().is(0);
    // It saves the backstores in another order, so their numbers may differ.
    world.call("monitor").file(&saved).level(10).run().is(0);
    world.call("stop").file(&saved).run().is(0);
    tree::assert_unchanged(&empty);
}

/// rtslib finds a free number under its lock; so does start.
#[test]
#[ignore = "vm: builds targets"]
fn a_backstore_made_by_targetcli_meanwhile_does_not_collide() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    sh_within(60, "targetcli /backstores/ramdisk create name=theirs size=1M").ok();
    let before = tree::snapshot();
    world.start();
    world.call("monitor").level(10).run().is(0);
    world.stop();
    tree::assert_unchanged(&before);
}

#[test]
#[ignore = "vm: builds targets"]
fn a_lun_added_by_targetcli_is_a_difference_to_level_10_and_no_obstacle_to_stop() {
    let world = World::warm();
    world.write(&file::simple(&world, 1));
    let empty = tree::snapshot();
    world.start();
    sh_within(60, "targetcli /backstores/ramdisk create name=theirs size=1M").ok();
    sh_within(60, &format!("targetcli /iscsi/{IQN}/tpg1/luns create /backstores/ramdisk/theirs 5")).ok();
    assert!(tree::exists(&format!("iscsi/{IQN}/tpgt_1/lun/lun_5")));
    world.call("monitor").run().is(0);
    world.call("monitor").level(10).run().is(190).says(&["5"]);
    world.stop();
    tree::assert_unchanged(&empty);
}

#[test]
#[ignore = "vm: builds targets"]
fn a_target_of_an_earlier_life_with_another_device_is_not_taken_for_ours() {
    let world = World::warm();
    let mut file: Value = file::simple(&world, 1);
    world.write(&file);
    sh_within(60, &format!("targetcli /backstores/block create name=d0 dev={}", world.dev(3))).ok();
    let before = tree::snapshot();
    world.call("start").run().is(1).says(&["d0", &world.dev(3)]);
    tree::assert_unchanged(&before);
    file["storage_objects"][0]["name"] = json!("d1");
    file["targets"][0]["tpgs"][0]["luns"][0]["storage_object"] = json!("/backstores/block/d1");
    world.write(&file);
    world.start();
    world.stop();
    tree::assert_unchanged(&before);
}
