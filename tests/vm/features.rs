//! What a configuration can ask for, each on the real kernel: backstores, protection, ALUA, portals, CHAP.

use serde_json::{Value, json};

use super::file::{self, IQN, PORTAL, tpg};
use super::initiator::{self, disk, login, logout, try_login};
use super::tree;
use super::world::{World, sh, sh_within};

fn starts_and_stops_with(world: &World, file: &Value, look: impl FnOnce()) {
    world.write(file);
    let empty = tree::snapshot();
    world.start();
    world.call("monitor").level(10).run().is(0);
    look();
    world.stop();
    tree::assert_unchanged(&empty);
}

/// A file with one LUN on this storage object.
fn on(store: Value, path: &str) -> Value {
    file::file(&[store], &[file::target(IQN, &[file::lun(0, path)], &[file::acl(&initiator::name(), &[0])])])
}

#[test]
#[ignore = "vm: builds targets"]
fn a_ramdisk_is_exported() {
    let world = World::warm();
    starts_and_stops_with(&world, &on(file::ramdisk("r"), "ramdisk/r"), || {
        login(IQN);
        assert_eq!(sh(&format!("blockdev --getsize64 /dev/{}", disk(0))).ok(), "1048576");
        logout(IQN).ok();
    });
}

#[test]
#[ignore = "vm: builds targets"]
fn a_file_is_exported_with_its_size_and_what_is_written_is_in_it() {
    let world = World::warm();
    let image = world.dir.join("image");
    sh(&format!("truncate -s 2M {}", image.display())).ok();
    let store = file::fileio("f", image.to_str().unwrap(), 2 << 20);
    starts_and_stops_with(&world, &on(store, "fileio/f"), || {
        login(IQN);
        let disk = disk(0);
        assert_eq!(sh(&format!("blockdev --getsize64 /dev/{disk}")).ok(), "2097152");
        sh(&format!("echo exported | dd of=/dev/{disk} bs=4k conv=sync oflag=direct status=none")).ok();
        logout(IQN).ok();
    });
    assert!(std::fs::read(image).unwrap().starts_with(b"exported"));
}

#[test]
#[ignore = "vm: builds targets"]
fn a_file_backstore_on_a_device_works_too() {
    let world = World::warm();
    let mut store = file::fileio("f", &world.dev(0), 16 << 20);
    store["write_back"] = json!(true);
    starts_and_stops_with(&world, &on(store, "fileio/f"), || assert_eq!(world.opened()[0], 1));
    assert_eq!(world.opened()[0], 0);
}

#[test]
#[ignore = "vm: builds targets, loads scsi_debug"]
fn a_scsi_device_is_passed_through() {
    let world = World::warm();
    sh("modprobe -r scsi_debug; modprobe scsi_debug dev_size_mb=8; udevadm settle").ok();
    let dev = sh("lsblk -dno NAME,MODEL | awk '/scsi_debug/ { print $1 }'").ok();
    let store = json!({"name": "p", "plugin": "pscsi", "dev": format!("/dev/{dev}")});
    starts_and_stops_with(&world, &on(store, "pscsi/p"), || {
        login(IQN);
        assert_eq!(sh(&format!("blockdev --getsize64 /dev/{}", disk(0))).ok(), "8388608");
        logout(IQN).ok();
    });
    sh("modprobe -r scsi_debug").ok();
}

#[test]
#[ignore = "vm: builds targets"]
fn a_read_only_backstore_and_a_write_protected_lun_can_not_be_written() {
    let world = World::warm();
    let mut file = file::simple(&world, 2);
    file["storage_objects"][0]["readonly"] = json!(true);
    tpg(&mut file)["node_acls"][0]["mapped_luns"][1]["write_protect"] = json!(true);
    starts_and_stops_with(&world, &file, || {
        login(IQN);
        for lun in [0, 1] {
            let disk = disk(lun);
            assert_eq!(sh(&format!("blockdev --getro /dev/{disk}")).ok(), "1", "LUN {lun}");
            sh(&format!("dd if=/dev/{disk} of=/dev/null bs=4k count=1 iflag=direct status=none")).ok();
        }
        logout(IQN).ok();
    });
}

#[test]
#[ignore = "vm: builds targets"]
fn alua_groups_are_made_with_a_state_that_must_be_supported_first() {
    let world = World::warm();
    let mut file = file::simple(&world, 1);
    file["storage_objects"][0]["alua_tpgs"] = json!([
        {"name": "default_tg_pt_gp", "tg_pt_gp_id": 0, "alua_access_state": 0},
        {"name": "standby", "tg_pt_gp_id": 7, "alua_access_state": 2, "alua_access_status": 0, "alua_access_type": 3,
         "alua_support_standby": 1, "alua_support_active_optimized": 1, "alua_support_active_nonoptimized": 0,
         "preferred": 1, "nonop_delay_msecs": 50, "trans_delay_msecs": 10, "implicit_trans_secs": 3, "alua_write_metadata": 0}]);
    tpg(&mut file)["luns"][0]["alua_tg_pt_gp_name"] = json!("standby");
    starts_and_stops_with(&world, &file, || {
        let group = |attribute: &str| tree::read(&format!("core/iblock_0/d0/alua/standby/{attribute}"));
        let read = ["tg_pt_gp_id", "alua_access_state", "preferred", "nonop_delay_msecs", "implicit_trans_secs"].map(group);
        assert_eq!(read, ["7", "2", "1", "50", "3"]);
        assert!(tree::read(&format!("iscsi/{IQN}/tpgt_1/lun/lun_0/alua_tg_pt_gp")).contains("Alias: standby"));
    });
}

#[test]
#[ignore = "vm: builds targets"]
fn several_portals_of_both_families_listen_and_are_logged_into() {
    let world = World::warm();
    let mut file = file::simple(&world, 1);
    tpg(&mut file)["portals"] = json!([
        {"ip_address": "127.0.0.1", "port": 3260}, {"ip_address": "127.0.0.2", "port": 3261},
        {"ip_address": "::1", "port": 3260}, {"ip_address": "[2001:db8::77]", "port": 3260},
        {"ip_address": "192.0.2.77", "port": 3260}]);
    starts_and_stops_with(&world, &file, || {
        for portal in ["127.0.0.2:3261", "[::1]:3260"] {
            try_login(IQN, portal, &[]).ok();
            disk(0);
            logout(IQN).ok();
        }
        assert!(
            tree::exists(&format!("iscsi/{IQN}/tpgt_1/np/[2001:db8::77]:3260")),
            "an address that is not here yet is no obstacle"
        );
    });
}

#[test]
#[ignore = "vm: builds targets"]
fn a_wildcard_portal_is_logged_into_by_any_address() {
    let world = World::warm();
    let mut file = file::simple(&world, 1);
    tpg(&mut file)["portals"] = json!([{"ip_address": "0.0.0.0", "port": 3260}]);
    starts_and_stops_with(&world, &file, || {
        try_login(IQN, "127.0.0.9:3260", &[]).ok();
        logout(IQN).ok();
    });
}

const CHAP: &str = "node.session.auth.authmethod";
const USER: &str = "node.session.auth.username";
const PASSWORD: &str = "node.session.auth.password";
const USER_IN: &str = "node.session.auth.username_in";
const PASSWORD_IN: &str = "node.session.auth.password_in";

fn with_chap(world: &World) -> Value {
    let mut file = file::simple(world, 1);
    let group = tpg(&mut file);
    group["attributes"]["authentication"] = json!(1);
    for (key, value) in [("chap_userid", "us"), ("chap_password", "S3cr3t-of-ini"), ("chap_mutual_userid", "them")] {
        group["node_acls"][0][key] = json!(value);
    }
    group["node_acls"][0]["chap_mutual_password"] = json!("S3cr3t-of-tgt");
    file
}

#[test]
#[ignore = "vm: builds targets"]
fn chap_lets_the_right_password_in_and_no_other_in_both_directions() {
    let world = World::warm();
    starts_and_stops_with(&world, &with_chap(&world), || {
        let with = |password, password_in| {
            let settings = [(CHAP, "CHAP"), (USER, "us"), (PASSWORD, password), (USER_IN, "them"), (PASSWORD_IN, password_in)];
            try_login(IQN, PORTAL, &settings)
        };
        assert_ne!(with("S3cr3t-is-wrong", "S3cr3t-of-tgt").code, 0);
        assert_ne!(with("S3cr3t-of-ini", "S3cr3t-is-wrong").code, 0, "the target has to prove itself too");
        with("S3cr3t-of-ini", "S3cr3t-of-tgt").ok();
        disk(0);
        logout(IQN).ok();
        assert_ne!(try_login(IQN, PORTAL, &[(CHAP, "None")]).code, 0, "no name is no way in");
    });
}

#[test]
#[ignore = "vm: builds targets"]
fn chap_of_the_portal_group_lets_in_whom_no_acl_names() {
    let world = World::warm();
    let mut file = file::simple(&world, 1);
    let group = tpg(&mut file);
    group["attributes"] =
        json!({"authentication": 1, "generate_node_acls": 1, "cache_dynamic_acls": 0, "demo_mode_write_protect": 0});
    group["node_acls"] = json!([]);
    group["chap_userid"] = json!("us");
    group["chap_password"] = json!("S3cr3t-of-all");
    starts_and_stops_with(&world, &file, || {
        let with = |password| try_login(IQN, PORTAL, &[(CHAP, "CHAP"), (USER, "us"), (PASSWORD, password)]);
        assert_ne!(with("S3cr3t-is-wrong").code, 0);
        with("S3cr3t-of-all").ok();
        disk(0);
        world.call("monitor").level(10).run().is(0);
        logout(IQN).ok();
    });
}

#[test]
#[ignore = "vm: builds targets"]
fn discovery_is_authenticated_when_the_file_says_so_and_open_again_after_stop() {
    let world = World::warm();
    let mut file = file::simple(&world, 1);
    file["fabric_modules"] = json!([{"name": "iscsi", "discovery_enable_auth": true, "discovery_userid": "us",
        "discovery_password": "S3cr3t-of-disc", "discovery_mutual_userid": "them", "discovery_mutual_password": "S3cr3t-of-mut"}]);
    starts_and_stops_with(&world, &file, || {
        let discover = "iscsiadm -m discoverydb -t st -p 127.0.0.1:3260";
        let said = sh_within(
            40,
            &format!("{discover} -o new; {discover} -o update -n discovery.sendtargets.reopen_max -v 1; {discover} -D"),
        );
        assert_ne!(said.code, 0, "{}", said.text);
        for (key, value) in [
            ("authmethod", "CHAP"),
            ("username", "us"),
            ("password", "S3cr3t-of-disc"),
            ("username_in", "them"),
            ("password_in", "S3cr3t-of-mut"),
        ] {
            sh(&format!("{discover} -o update -n discovery.sendtargets.auth.{key} -v {value}")).ok();
        }
        assert!(sh_within(40, &format!("{discover} -D")).ok().contains(IQN));
    });
    assert_eq!(tree::read("iscsi/discovery_auth/enforce_discovery_auth"), "0");
    assert_eq!(tree::read("iscsi/discovery_auth/password"), "NULL");
}

#[test]
#[ignore = "vm: builds targets"]
fn an_initiator_without_an_acl_is_refused() {
    let world = World::warm();
    let mut file = file::simple(&world, 1);
    tpg(&mut file)["node_acls"][0]["node_wwn"] = json!("iqn.2016-12.net.example:somebody.else");
    starts_and_stops_with(&world, &file, || assert_ne!(try_login(IQN, PORTAL, &[]).code, 0));
}

#[test]
#[ignore = "vm: builds targets"]
fn a_name_with_capitals_is_lowered_so_that_the_initiator_matches() {
    let world = World::warm();
    let mut file = file::simple(&world, 1);
    tpg(&mut file)["node_acls"][0]["node_wwn"] = json!(initiator::name().to_uppercase().replacen("IQN", "iqn", 1));
    starts_and_stops_with(&world, &file, || {
        login(IQN);
        disk(0);
        logout(IQN).ok();
    });
}

#[test]
#[ignore = "vm: builds targets"]
fn the_serial_number_is_what_the_initiator_sees() {
    let world = World::warm();
    let mut file = file::simple(&world, 1);
    file["storage_objects"][0]["wwn"] = json!("117473ae-68c7-44cd-b665-f7ad42bf1bd0");
    starts_and_stops_with(&world, &file, || {
        login(IQN);
        let said = sh(&format!("/lib/udev/scsi_id -g -d /dev/{}", disk(0))).ok();
        assert_eq!(said, "36001405117473ae68c744cdb665f7ad4");
        logout(IQN).ok();
    });
}

#[test]
#[ignore = "vm: builds targets"]
fn a_target_that_the_file_disables_is_built_and_stays_disabled() {
    let world = World::warm();
    let mut file = file::simple(&world, 1);
    tpg(&mut file)["enable"] = json!(false);
    starts_and_stops_with(&world, &file, || assert!(!tree::is_enabled(IQN)));
}

#[test]
#[ignore = "vm: builds targets"]
fn a_portal_that_needs_hardware_is_refused_and_leaves_nothing() {
    let world = World::warm();
    let mut file = file::simple(&world, 1);
    tpg(&mut file)["portals"] = json!([{"ip_address": "192.0.2.77", "port": 3260, "iser": true}]);
    world.write(&file);
    let empty = tree::snapshot();
    world.call("start").run().is(1).says(&["192.0.2.77:3260", "iser"]);
    tree::assert_unchanged(&empty);
}
