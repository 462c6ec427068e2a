//! saveconfig.json: every age of it is read, and whatever is wrong in it is named by its key.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use ocf_san::kernel::lio::config::{Config, Kind};
use ocf_san::kernel::lio::saveconfig::parse;
use serde_json::{Value, json};

const FILE: &str = "/etc/target/saveconfig.json";
const FIXTURE: &str = include_str!("fixtures/lio/saveconfig.json");

fn read(value: &Value) -> Result<Config, String> {
    parse(Path::new(FILE), &value.to_string()).map_err(|e| e.to_string())
}

fn complaint(value: &Value) -> String {
    let text = read(value).expect_err("a complaint");
    text.strip_prefix("/etc/target/saveconfig.json: ").expect("the file first").to_owned()
}

/// What targetcli 2.1.fb41 (2013) wrote: no aliases, no ALUA, no offload.
fn small() -> Value {
    json!({
        "storage_objects": [
            {"plugin": "block", "name": "lun0", "dev": "/dev/vg1/lun0", "wwn": "11111111-0000", "write_back": false,
             "attributes": {"block_size": 512, "emulate_tpu": 0}},
            {"plugin": "fileio", "name": "file", "dev": "/srv/file", "size": 1_048_576, "wwn": "22222222-0000", "write_back": false},
            {"plugin": "ramdisk", "name": "mem", "size": 1_048_576, "wwn": "33333333-0000", "nullio": true}
        ],
        "targets": [{
            "fabric": "iscsi", "wwn": "iqn.2003-01.org.example:t1", "tpgs": [{
                "tag": 1, "enable": true, "attributes": {"authentication": 0}, "parameters": {"MaxConnections": "1"},
                "luns": [{"index": 0, "storage_object": "/backstores/block/lun0"}],
                "portals": [{"ip_address": "10.0.0.1", "port": 3260}, {"ip_address": "[fd00::1]", "port": 3260, "iser": true}],
                "node_acls": [{"node_wwn": "iqn.2003-01.org.example:i1", "chap_userid": "u", "chap_password": "p",
                               "mapped_luns": [{"index": 0, "tpg_lun": 0, "write_protect": true}]}]
            }]
        }, {"fabric": "loopback", "wwn": "naa.500140500000000"}],
        "fabric_modules": [{"name": "iscsi", "discovery_enable_auth": true, "discovery_userid": "d", "discovery_password": "dp"}]
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut config = small();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    match config.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        other => other[key] = value,
    }
    config
}

#[test]
fn the_file_of_a_real_cluster_is_read() {
    let config = parse(Path::new(FILE), FIXTURE).unwrap();
    assert_eq!((config.backstores.len(), config.targets.len()), (4, 1));
    let tpg = &config.targets[0].tpgs[0];
    assert_eq!((tpg.luns.len(), tpg.acls.len(), tpg.portals.len()), (4, 4, 1));
    assert!(config.backstores.iter().all(|so| so.alua.is_empty()), "the default group is never restored");
    assert_eq!(tpg.acls[0].chap.password.reveal(), "password-user04");
    assert_eq!(tpg.attributes.iter().find(|(n, _)| n == "authentication").unwrap().1, "0");
}

#[test]
fn the_file_of_2013_is_read_and_what_it_lacks_is_the_same_on_every_node() {
    let config = read(&small()).unwrap();
    assert_eq!(config.targets.len(), 1, "other fabrics are none of ours");
    let tpg = &config.targets[0].tpgs[0];
    assert_eq!((tpg.luns[0].alias.as_str(), tpg.acls[0].mapped[0].alias.as_str()), ("lun_0", "lun_0"));
    assert_eq!(tpg.portals[1].address.to_string(), "[fd00::1]:3260");
    assert!(tpg.portals[1].iser && tpg.acls[0].mapped[0].write_protect);
    assert!(matches!(config.backstores[2].kind, Kind::Ramdisk { size: 1_048_576, nullio: true }));
    assert_eq!(config.discovery.unwrap().password.reveal(), "dp");
}

#[test]
fn relative_ports_do_not_depend_on_the_order_of_the_file() {
    let target = |name: &str| json!({"fabric": "iscsi", "wwn": format!("iqn.2003-01.org.example:{name}"), "tpgs": [{"tag": 2}, {"tag": 1}]});
    let rtpis = |names: [&str; 2]| {
        let config = read(&json!({"targets": names.map(target)})).unwrap();
        let mut rtpis: Vec<_> =
            config.targets.iter().flat_map(|t| t.tpgs.iter().map(|g| (t.iqn.clone(), g.tag, g.rtpi))).collect();
        rtpis.sort();
        rtpis.into_iter().map(|(_, _, rtpi)| rtpi).collect::<Vec<_>>()
    };
    assert_eq!(rtpis(["a", "b"]), [1, 2, 3, 4]);
    assert_eq!(rtpis(["b", "a"]), [1, 2, 3, 4]);
}

#[test]
fn alua_groups_are_written_in_the_order_that_the_kernel_takes() {
    let group = json!([{"name": "g1", "tg_pt_gp_id": 5, "alua_access_state": 2, "alua_support_standby": 1, "alua_access_type": 3,
                        "preferred": null}]);
    let config = read(&with("/storage_objects/0/alua_tpgs", group)).unwrap();
    let names: Vec<_> = config.backstores[0].alua[0].attributes.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["alua_access_type", "alua_support_standby", "alua_access_state"]);
}

#[test]
fn whatever_is_wrong_is_named_by_its_key() {
    let long = "x".repeat(300);
    let cases = [
        ("/storage_objects/0/wwn", Value::Null, "storage_objects[0].wwn: missing; a random one differs from node to node"),
        ("/storage_objects/0/plugin", json!("user"), "storage_objects[0].plugin: user backstores"),
        ("/storage_objects/0/plugin", json!("zfs"), "storage_objects[0].plugin: none of block"),
        ("/storage_objects/0/name", json!("a/b"), "storage_objects[0].name: not a name for a directory entry"),
        ("/storage_objects/0/name", json!(long), "storage_objects[0].name: 300 characters"),
        ("/storage_objects/0/dev", json!("dev/vg1"), "storage_objects[0].dev: not an absolute path"),
        ("/storage_objects/0/dev", json!("/dev/x,readonly=1"), "storage_objects[0].dev: not an absolute path"),
        (
            "/storage_objects/1/wwn",
            json!("11111111-0000"),
            "storage_objects[1].wwn: gives the same disk identity as that of lun0",
        ),
        ("/storage_objects/1/size", json!("big"), "storage_objects[1].size: not a whole number"),
        ("/storage_objects/2/size", json!(0), "storage_objects[2].size: 0 bytes"),
        ("/storage_objects/0/attributes/a~1b", json!(1), "storage_objects[0].attributes.a/b: no attribute has such a name"),
        ("/targets/0/wwn", json!("iqn.2003-01.org/x"), "targets[0].wwn: '/' can not be in an iSCSI name"),
        ("/targets/0/wwn", json!(format!("iqn.2003-01.org.{long}")), "targets[0].wwn: 316 characters, at most 223"),
        ("/targets/0/tpgs/0/tag", json!(70000), "targets[0].tpgs[0].tag: greater than 65535"),
        (
            "/targets/0/tpgs/0/luns/0/storage_object",
            json!("/backstores/block/x"),
            "targets[0].tpgs[0].luns[0].storage_object: no storage object",
        ),
        ("/targets/0/tpgs/0/luns/1", json!(0), "targets[0].tpgs[0].luns: not a list"),
        (
            "/targets/0/tpgs/0/portals/0/ip_address",
            json!("10.0.0.256"),
            "targets[0].tpgs[0].portals[0].ip_address: \"10.0.0.256\" is no IP",
        ),
        (
            "/targets/0/tpgs/0/portals/1/ip_address",
            json!("10.0.0.1"),
            "targets[0].tpgs[0].portals[1]: 10.0.0.1:3260 collides with",
        ),
        ("/targets/0/tpgs/0/portals/0/port", json!(0), "targets[0].tpgs[0].portals[0].ip_address: port 0"),
        ("/targets/0/tpgs/0/node_acls/0/node_wwn", json!("nobody"), "targets[0].tpgs[0].node_acls[0].node_wwn: not iqn."),
        (
            "/targets/0/tpgs/0/node_acls/0/mapped_luns/0/tpg_lun",
            json!(9),
            "targets[0].tpgs[0].node_acls[0].mapped_luns[0].tpg_lun: no LUN 9",
        ),
        ("/fabric_modules/0/discovery_password", json!("NULLxyz"), "fabric_modules[0].discovery_password: begins with NULL"),
    ];
    for (pointer, value, expected) in cases {
        let config =
            if pointer.ends_with("/luns/1") { with("/targets/0/tpgs/0/luns", json!({"a": 1})) } else { with(pointer, value) };
        let said = complaint(&config);
        assert!(said.starts_with(expected), "{pointer}: {said}");
    }
}

#[test]
fn two_luns_with_one_index_are_refused() {
    let luns = json!([{"index": 0, "storage_object": "/backstores/block/lun0"}, {"index": 0, "storage_object": "/backstores/fileio/file"}]);
    assert_eq!(complaint(&with("/targets/0/tpgs/0/luns", luns)), "targets[0].tpgs[0].luns[1].index: 0 twice");
}

#[test]
fn a_secret_that_configfs_can_not_hold_is_refused_and_not_shown() {
    for secret in ["NULL-and-more".to_owned(), "x".repeat(256), "two\nlines".to_owned()] {
        let said = complaint(&with("/targets/0/tpgs/0/node_acls/0/chap_password", json!(secret)));
        assert!(said.starts_with("targets[0].tpgs[0].node_acls[0].chap_password: "), "{said}");
        assert!(!said.contains("and-more") && !said.contains("xxx") && !said.contains("lines"), "{said}");
    }
}

#[test]
fn broken_json_is_named_by_its_line() {
    let said = |text: &str| parse(Path::new(FILE), text).unwrap_err().to_string();
    assert_eq!(said("{\n \"a\": }"), "/etc/target/saveconfig.json: line 2 column 7: not valid JSON");
    assert!(said(&FIXTURE[..5000]).ends_with("the file ends too early"));
    assert_eq!(said("[]"), "/etc/target/saveconfig.json: not an object");
    assert_eq!(said(""), "/etc/target/saveconfig.json: line 1 column 0: the file ends too early");
}
