//! Stop, which has to work whatever has become of the file, the record and the tree.

use serde_json::json;

use super::file::{self, IQN, OTHER, PORTAL, tpg};
use super::initiator::{self, Writer, all_go_on};
use super::tree;
use super::world::{World, sh};

#[test]
#[ignore = "vm: builds targets"]
fn stop_needs_no_file_once_a_start_has_written_its_record() {
    for (what, text) in
        [("missing", None), ("broken", Some("{ \"targets\": [")), ("empty", Some("")), ("of another kind", Some("[]"))]
    {
        let world = World::warm();
        let path = world.write(&file::captured(&world));
        let empty = tree::snapshot();
        world.start();
        match text {
            None => std::fs::remove_file(path).unwrap(),
            Some(text) => drop(world.write_text("saveconfig.json", text)),
        }
        world.call("monitor").run().is(0);
        assert_eq!(world.call("monitor").level(10).run().code, 190, "file {what}");
        world.stop();
        tree::assert_unchanged(&empty);
    }
}

#[test]
#[ignore = "vm: builds targets"]
fn stop_removes_what_was_started_although_the_file_names_other_targets_now() {
    let world = World::warm();
    world.write(&file::two_targets(&world));
    let empty = tree::snapshot();
    world.start();
    let mut changed = file::two_targets(&world);
    changed["targets"].as_array_mut().unwrap().remove(0);
    changed["storage_objects"].as_array_mut().unwrap().remove(0);
    changed["targets"][0]["wwn"] = json!("iqn.2016-12.net.example:t3");
    world.write(&changed);
    world.call("monitor").run().is(0);
    world.call("monitor").level(10).run().is(190);
    world.stop();
    tree::assert_unchanged(&empty);
}

#[test]
#[ignore = "vm: builds targets"]
fn stop_without_the_record_goes_by_the_file() {
    let world = World::warm();
    world.write(&file::captured(&world));
    let empty = tree::snapshot();
    world.start();
    sh("rm /run/resource-agents/ocf-san.LIO-r1.record").ok();
    world.call("monitor").level(10).run().is(0);
    world.stop();
    tree::assert_unchanged(&empty);
}

#[test]
#[ignore = "vm: builds targets"]
fn stop_without_record_and_file_goes_by_iqn() {
    let world = World::warm();
    let path = world.write(&file::two_targets(&world));
    let empty = tree::snapshot();
    let both = format!("{IQN} {OTHER}");
    world.call("start").set("iqn", &both).run().is(0);
    sh("rm /run/resource-agents/ocf-san.LIO-r1.record").ok();
    std::fs::remove_file(path).unwrap();
    world.call("stop").set("iqn", &both).run().is(0);
    tree::assert_unchanged(&empty);
    assert_eq!(world.opened(), [0, 0, 0, 0]);
}

#[test]
#[ignore = "vm: builds targets"]
fn stop_with_nothing_to_go_by_leaves_everything_and_succeeds() {
    let world = World::warm();
    tree::make_foreign();
    let before = tree::snapshot();
    world.stop();
    world.call("stop").set("on_stop_hang", "nonsense").set("iqn", "no name").run().is(0);
    tree::assert_unchanged(&before);
}

#[test]
#[ignore = "vm: builds targets"]
fn a_record_that_is_cut_short_does_not_keep_a_stop_from_its_work() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    let empty = tree::snapshot();
    world.start();
    sh("truncate -s 40 /run/resource-agents/ocf-san.LIO-r1.record").ok();
    world.stop();
    tree::assert_unchanged(&empty);
}

#[test]
#[ignore = "vm: builds targets"]
fn stop_removes_what_others_added_to_our_target() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    let empty = tree::snapshot();
    world.start();
    let tpg = format!("iscsi/{IQN}/tpgt_1");
    tree::make(&format!("{tpg}/lun/lun_7"));
    tree::link(&format!("{tpg}/lun/lun_7/by-hand"), "core/iblock_0/d0");
    tree::make(&format!("{tpg}/lun/lun_8"));
    tree::make(&format!("{tpg}/acls/iqn.2016-12.net.example:guest"));
    tree::make(&format!("{tpg}/acls/iqn.2016-12.net.example:guest/lun_3"));
    tree::link(&format!("{tpg}/acls/iqn.2016-12.net.example:guest/lun_3/x"), &format!("{tpg}/lun/lun_7"));
    tree::make(&format!("{tpg}/np/127.0.0.1:3262"));
    tree::make(&format!("iscsi/{IQN}/tpgt_2"));
    world.call("monitor").run().is(0);
    assert_eq!(world.call("monitor").level(10).run().code, 190);
    world.stop();
    tree::assert_unchanged(&empty);
}

/// The kernel lets go of a LUN's link while ACLs lead to it, and says EINVAL to disabling what is disabled.
#[test]
#[ignore = "vm: builds targets"]
fn stop_removes_what_others_have_begun_to_take_apart() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    let empty = tree::snapshot();
    let tpg = format!("iscsi/{IQN}/tpgt_1");
    let deeds: [(&str, &dyn Fn()); 4] = [
        ("is disabled", &|| tree::write(&format!("{tpg}/enable"), "0")),
        ("LUN 0", &|| std::fs::remove_file(format!("{}/{tpg}/lun/lun_0/a0", tree::TREE)).unwrap()),
        ("portal 127.0.0.1:3260", &|| std::fs::remove_dir(format!("{}/{tpg}/np/127.0.0.1:3260", tree::TREE)).unwrap()),
        ("mapped LUN 1", &|| std::fs::remove_file(format!("{}/{tpg}/acls/{}/lun_1/m1", tree::TREE, initiator::name())).unwrap()),
    ];
    for (what, deed) in deeds {
        world.start();
        deed();
        world.call("monitor").run().is(1).says(&[what]);
        world.stop();
        tree::assert_unchanged(&empty);
    }
}

#[test]
#[ignore = "vm: builds targets"]
fn a_start_repairs_what_others_have_begun_to_take_apart() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    world.start();
    let whole = tree::snapshot();
    std::fs::remove_file(format!("{}/iscsi/{IQN}/tpgt_1/lun/lun_1/a1", tree::TREE)).unwrap();
    world.call("monitor").run().is(1);
    world.start();
    tree::assert_unchanged(&whole);
    world.call("monitor").level(10).run().is(0);
    world.stop();
}

#[test]
#[ignore = "vm: builds targets"]
fn stop_under_full_load_is_quick_and_the_initiator_goes_on_after_the_next_start() {
    let world = World::warm();
    world.write(&file::simple(&world, 4));
    let empty = tree::snapshot();
    world.start();
    initiator::login(IQN);
    let writers: Vec<Writer> = (0..4).map(Writer::start).collect();
    for _ in 0..3 {
        world.call("stop").seconds(10).run().is(0).within(5.0);
        tree::assert_unchanged(&empty);
        assert_eq!(world.opened(), [0; 4]);
        world.start();
        all_go_on(&writers, 40);
    }
    world.call("monitor").level(20).run().is(0);
}

#[test]
#[ignore = "vm: builds targets"]
fn a_stop_while_initiators_log_in_and_out_is_quick() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    for _ in 0..3 {
        world.start();
        // iscsid may still be bringing the session of the round before back.
        initiator::try_login(IQN, PORTAL, &[]);
        let loop_of = format!("for i in 1 2 3 4 5 6; do iscsiadm -m node -T {IQN} -u; iscsiadm -m node -T {IQN} -l; done");
        let mut noise = std::process::Command::new("timeout")
            .args(["40", "bash", "-c", &loop_of])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        world.call("stop").seconds(20).run().is(0).within(10.0);
        // TERM, which timeout hands on to what it runs.
        sh(&format!("kill {}", noise.id())).ok();
        let _ = noise.wait();
        sh("iscsiadm -m node -u");
    }
}

#[test]
#[ignore = "vm: builds targets"]
fn a_target_without_acls_or_portals_or_luns_starts_and_stops() {
    let world = World::warm();
    let empty = tree::snapshot();
    for part in ["node_acls", "portals", "luns"] {
        let mut file = file::simple(&world, 1);
        tpg(&mut file)["node_acls"] = json!([]);
        tpg(&mut file)[part] = json!([]);
        world.write(&file);
        world.start();
        world.call("monitor").level(10).run().is(0);
        world.stop();
        tree::assert_unchanged(&empty);
    }
}

#[test]
#[ignore = "vm: builds targets"]
fn a_stale_hba_directory_is_nobodys_and_stays() {
    let world = World::warm();
    tree::make("core/iblock_0");
    let before = tree::snapshot();
    world.write(&file::simple(&world, 2));
    world.start();
    assert!(tree::exists("core/iblock_1/d0"), "a number that is taken is not taken again");
    world.stop();
    tree::assert_unchanged(&before);
}
