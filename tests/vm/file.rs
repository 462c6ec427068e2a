//! Configuration files to start from.

use serde_json::{Value, json};

use super::world::World;

pub const IQN: &str = "iqn.2016-12.net.example:t1";
pub const OTHER: &str = "iqn.2016-12.net.example:t2";
pub const PORTAL: &str = "127.0.0.1:3260";

/// An identity of its own for every name.
fn wwn(name: &str) -> String {
    let sum = name.bytes().fold(0xcbf2_9ce4_u32, |sum, b| (sum ^ u32::from(b)).wrapping_mul(16_777_619));
    format!("{sum:08x}-368f-476b-815b-660f67eaac16")
}

pub fn disk(name: &str, dev: &str) -> Value {
    json!({"name": name, "plugin": "block", "dev": dev, "wwn": wwn(name), "readonly": false, "write_back": false,
           "attributes": {"emulate_tpu": 0, "emulate_caw": 1, "block_size": 512}, "alua_tpgs": []})
}

pub fn ramdisk(name: &str) -> Value {
    json!({"name": name, "plugin": "ramdisk", "size": 1_048_576, "wwn": wwn(name), "attributes": {}})
}

pub fn fileio(name: &str, dev: &str, size: u64) -> Value {
    json!({"name": name, "plugin": "fileio", "dev": dev, "size": size, "write_back": false, "wwn": wwn(name), "attributes": {}})
}

pub fn lun(index: u64, storage_object: &str) -> Value {
    json!({"index": index, "storage_object": format!("/backstores/{storage_object}"), "alias": format!("a{index}")})
}

/// An ACL that sees these LUNs under their own numbers.
pub fn acl(initiator: &str, luns: &[u64]) -> Value {
    let mapped: Vec<Value> =
        luns.iter().map(|n| json!({"index": n, "tpg_lun": n, "write_protect": false, "alias": format!("m{n}")})).collect();
    json!({"node_wwn": initiator, "attributes": {"dataout_timeout": 3}, "mapped_luns": mapped})
}

pub fn target(iqn: &str, luns: &[Value], acls: &[Value]) -> Value {
    json!({"wwn": iqn, "fabric": "iscsi", "tpgs": [{
        "tag": 1, "enable": true, "attributes": {"authentication": 0, "login_timeout": 15},
        "parameters": {"AuthMethod": "CHAP,None", "MaxOutstandingR2T": "1"},
        "luns": luns, "node_acls": acls, "portals": [{"ip_address": "127.0.0.1", "port": 3260, "iser": false}]}]})
}

pub fn file(storage_objects: &[Value], targets: &[Value]) -> Value {
    json!({"fabric_modules": [], "storage_objects": storage_objects, "targets": targets})
}

/// One target, `disks` LUNs on the world's devices, visible to this guest's initiator.
pub fn simple(world: &World, disks: usize) -> Value {
    let stores: Vec<Value> = (0..disks).map(|n| disk(&format!("d{n}"), &world.dev(n))).collect();
    let luns: Vec<Value> = (0..disks).map(|n| lun(n as u64, &format!("block/d{n}"))).collect();
    let numbers: Vec<u64> = (0..disks as u64).collect();
    file(&stores, &[target(IQN, &luns, &[acl(&super::initiator::name(), &numbers)])])
}

/// Two targets with a disk each.
pub fn two_targets(world: &World) -> Value {
    let me = super::initiator::name();
    let of = |iqn, n: usize| target(iqn, &[lun(0, &format!("block/d{n}"))], &[acl(&me, &[0])]);
    file(&[disk("d0", &world.dev(0)), disk("d1", &world.dev(1))], &[of(IQN, 0), of(OTHER, 1)])
}

/// The captured file of a real installation, 4 LUNs × 4 initiators with CHAP, on this world's devices.
pub fn captured(world: &World) -> Value {
    let mut file: Value = serde_json::from_str(include_str!("../fixtures/lio/saveconfig.json")).unwrap();
    for (n, so) in file["storage_objects"].as_array_mut().unwrap().iter_mut().enumerate() {
        so["dev"] = json!(world.dev(n));
    }
    tpg(&mut file)["portals"][0]["ip_address"] = json!("127.0.0.1");
    file
}

/// The first portal group of the first target.
pub fn tpg(file: &mut Value) -> &mut Value {
    &mut file["targets"][0]["tpgs"][0]
}
