//! Wrong files, each with one line that names file and key, the right code, and a tree as before. No secret in any of it: `Call::run`
//! looks for them in the output and in the log, the last test here in the traces.

use std::fs;

use serde_json::{Value, json};

use super::file::{self, tpg};
use super::tree;
use super::world::{World, find_secret, sh};

fn refused(world: &World, words: &[&str]) {
    let before = tree::snapshot();
    for action in ["start", "validate-all"] {
        world.call(action).run().is(2).says(words);
    }
    world.call("monitor").env("OCF_RESKEY_CRM_meta_interval", "0").run().is(7);
    world.stop();
    tree::assert_unchanged(&before);
}

fn refused_text(text: &str, words: &[&str]) {
    let world = World::warm();
    world.write_text("saveconfig.json", text);
    refused(&world, words);
}

fn refused_file(change: impl FnOnce(&World, &mut Value), words: &[&str]) {
    let world = World::warm();
    let mut file = file::captured(&world);
    change(&world, &mut file);
    world.write(&file);
    refused(&world, words);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn what_is_no_json() {
    refused_text("backstores:\n  - lun0\n", &["saveconfig.json", "line 1", "not valid JSON"]);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn an_empty_file() {
    refused_text("", &["saveconfig.json", "ends too early"]);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_truncated_file() {
    let world = World::warm();
    let text = serde_json::to_string(&file::captured(&world)).unwrap();
    world.write_text("saveconfig.json", &text[..text.len() / 2]);
    refused(&world, &["saveconfig.json", "ends too early"]);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_file_that_is_not_there() {
    refused(&World::warm(), &["saveconfig.json"]);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_file_that_is_a_directory() {
    let world = World::warm();
    fs::create_dir(world.dir.join("saveconfig.json")).unwrap();
    refused(&world, &["saveconfig.json"]);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_file_that_everybody_can_read() {
    let world = World::warm();
    let path = world.write(&file::captured(&world));
    sh(&format!("chmod 644 {}", path.display())).ok();
    refused(&world, &["saveconfig.json", "0644"]);
    world.call("start").set("allow_readable_config", "yes").run().is(0);
    world.stop();
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_device_that_is_a_directory() {
    let world = World::warm();
    let mut file = file::captured(&world);
    file["storage_objects"][2]["dev"] = json!("/tmp");
    world.write(&file);
    let before = tree::snapshot();
    world.call("start").run().is(2).says(&["lun1", "/tmp"]);
    world.call("validate-all").level(10).run().is(2).says(&["lun1", "/tmp"]);
    tree::assert_unchanged(&before);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn an_iqn_with_a_slash() {
    refused_file(
        |_, file| file["targets"][0]["wwn"] = json!("iqn.2016-09.com.example:a/../b"),
        &["saveconfig.json", "targets[0].wwn"],
    );
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_name_of_300_characters() {
    let long = "x".repeat(300);
    refused_file(|_, file| file["storage_objects"][1]["name"] = json!(long), &["saveconfig.json", "storage_objects[1].name"]);
    refused_file(|_, file| file["targets"][0]["wwn"] = json!(format!("iqn.2016-09.com.{long}")), &["targets[0].wwn"]);
    refused_file(
        |_, file| tpg(file)["node_acls"][2]["node_wwn"] = json!(format!("iqn.2016-09.com.{long}")),
        &["node_acls[2].node_wwn"],
    );
    refused_file(
        |_, file| tpg(file)["node_acls"][2]["chap_password"] = json!(format!("S3cr3t{long}")),
        &["node_acls[2].chap_password"],
    );
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_secret_that_the_kernel_would_take_for_none() {
    refused_file(
        |_, file| tpg(file)["node_acls"][1]["chap_password"] = json!("NULL-S3cr3t"),
        &["saveconfig.json", "node_acls[1].chap_password"],
    );
}

#[test]
#[ignore = "vm: needs a real tree"]
fn two_luns_with_one_index() {
    refused_file(|_, file| tpg(file)["luns"][3]["index"] = json!(3), &["saveconfig.json", "luns[3].index", "3 twice"]);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_lun_on_a_backstore_that_is_not_in_the_file() {
    refused_file(
        |_, file| tpg(file)["luns"][3]["storage_object"] = json!("/backstores/block/gone"),
        &["luns[3].storage_object", "gone"],
    );
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_mapped_lun_that_leads_nowhere() {
    refused_file(
        |_, file| tpg(file)["node_acls"][3]["mapped_luns"][0]["tpg_lun"] = json!(9),
        &["node_acls[3].mapped_luns[0].tpg_lun", "LUN 9"],
    );
}

#[test]
#[ignore = "vm: needs a real tree"]
fn two_backstores_with_one_serial_number() {
    refused_file(
        |_, file| file["storage_objects"][3]["wwn"] = file["storage_objects"][0]["wwn"].clone(),
        &["storage_objects[3].wwn", "lun3"],
    );
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_backstore_without_a_serial_number() {
    let remove = |file: &mut Value| drop(file["storage_objects"][0].as_object_mut().unwrap().remove("wwn"));
    refused_file(|_, file| remove(file), &["storage_objects[0].wwn", "missing"]);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn an_address_that_is_none() {
    refused_file(|_, file| tpg(file)["portals"][0]["ip_address"] = json!("san.example"), &["portals[0].ip_address"]);
    refused_file(|_, file| tpg(file)["portals"][0]["port"] = json!(70_000), &["portals[0].port"]);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_file_with_nothing_in_it() {
    let world = World::warm();
    world.write_text("saveconfig.json", "{}");
    let before = tree::snapshot();
    world.call("start").run().is(2).says(&["saveconfig.json"]);
    tree::assert_unchanged(&before);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn a_parameter_that_is_none() {
    let world = World::warm();
    world.write(&file::captured(&world));
    let before = tree::snapshot();
    for (name, value) in [("on_stop_hang", "perhaps"), ("fail_backend", "2"), ("iqn", "bad/name"), ("monitor_on_hang", "x")] {
        world.call("start").set(name, value).run().is(6).says(&[name]);
    }
    tree::assert_unchanged(&before);
}

#[test]
#[ignore = "vm: needs a real tree"]
fn no_secret_is_in_any_trace_of_any_action() {
    let world = World::warm();
    let mut file = file::captured(&world);
    file["fabric_modules"] =
        json!([{"name": "iscsi", "discovery_enable_auth": true, "discovery_userid": "us", "discovery_password": "S3cr3t-d"}]);
    tpg(&mut file)["chap_userid"] = json!("us");
    tpg(&mut file)["chap_password"] = json!("S3cr3t-tpg");
    world.write(&file);
    let trace = world.dir.join("trace");
    let call = |action: &str| {
        let call = world.call(action).env("OCF_TRACE_RA", "1").env("OCF_TRACE_FILE", trace.to_str().unwrap());
        call.env("HA_debug", "1").env("HA_DEBUGLOG", world.dir.join("debug").to_str().unwrap())
    };
    call("start").run().is(0);
    call("monitor").level(10).run().is(0);
    // The live secret differs: which one is said, not what it is.
    tree::write("iscsi/iqn.2016-09.com.example:iscsitgt01/tpgt_1/auth/password", "S3cr3t-live");
    call("monitor").level(10).run().is(190).says(&["auth/password"]);
    call("stop").run().is(0);
    tpg(&mut file)["node_acls"][3]["attributes"]["dataout_timeout"] = json!(1);
    world.write(&file);
    call("start").run().is(1);
    tpg(&mut file)["node_acls"][3]["chap_password"] = json!("NULLS3cr3t");
    world.write(&file);
    call("start").run().is(2);
    let text = fs::read_to_string(&trace).unwrap();
    assert!(!text.is_empty());
    assert_eq!(find_secret("/run/ocf-san-vm"), "");
    assert_eq!(find_secret("/run/resource-agents"), "", "nor in the record");
}
