//! Who may activate: by system id, by tag, by nothing.

use std::fs;

use crate::call::Call;
use crate::shell::sh;
use crate::world::World;

const HERE: &str = "local/system_id = \"here\"\nglobal/system_id_source = \"lvmlocal\"";

fn system_id(world: &World, action: &str) -> Call {
    world.call(action).set("vg_access_mode", "system_id")
}

fn tagging(world: &World, action: &str) -> Call {
    world.call(action).set("vg_access_mode", "tagging")
}

/// A volume group of another machine.
fn of(owner: &str) -> World {
    let world = World::with(1, &["one"]);
    world.conf(HERE);
    world.lvm("vgchange -qy --systemid here VG");
    if owner != "here" {
        world.lvm(&format!("vgchange -qy --systemid {owner} VG"));
    }
    world
}

fn cluster(names: &[&str]) {
    let node =
        |(n, name): (usize, &&str)| format!("  node {{\n    ring0_addr: 192.0.2.{n}\n    name: {name}\n    nodeid: {n}\n  }}\n");
    let nodes = names.iter().enumerate().map(node).collect::<Vec<_>>().concat();
    let text = format!("totem {{\n  version: 2\n  cluster_name: san\n  transport: knet\n}}\nnodelist {{\n{nodes}}}\n");
    fs::write("/etc/corosync/corosync.conf", text).unwrap();
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_group_is_taken_over_from_a_member_of_the_cluster() {
    let world = of("there");
    cluster(&["here", "there"]);
    system_id(&world, "start").run().is(0);
    assert_eq!(world.vgs("systemid"), "here");
    world.has(&["one"]);
    system_id(&world, "stop").run().is(0);
    assert_eq!(world.vgs("systemid"), "here");
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_group_is_taken_over_from_those_that_are_named() {
    let world = of("storage-9");
    cluster(&["here", "there"]);
    system_id(&world, "start").run().is(1).says(&["storage-9"]);
    assert_eq!(world.vgs("systemid"), "storage-9");
    system_id(&world, "start").set("system_ids", "storage-8 storage-9").run().is(0);
    assert_eq!(world.vgs("systemid"), "here");
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_system_id_is_given_back_if_asked() {
    let world = of("here");
    let of = |action: &str| system_id(&world, action).set("release_system_id", "true");
    of("start").run().is(0);
    of("stop").run().is(0);
    assert_eq!(world.vgs("systemid"), "");
    of("start").run().is(0);
    assert_eq!(world.vgs("systemid"), "here");
    of("stop").run().is(0);
}

/// The second one finds that the first has it already, which LVM takes for an error.
#[test]
#[ignore = "vm: activates volumes"]
fn two_resources_take_over_one_volume_group_at_once() {
    let world = World::with(1, &["one", "two"]);
    world.conf(HERE);
    for owner in ["here", "there"] {
        world.lvm(&format!("vgchange -qy --systemid {owner} VG"));
    }
    let of = |volume: &str, action: &str| {
        let call = system_id(&world, action).set("lvname", volume).set("system_ids", "there").set("release_system_id", "true");
        call.env("OCF_RESOURCE_INSTANCE", &format!("p_{volume}"))
    };
    std::thread::scope(|scope| {
        let starts = ["one", "two"].map(|volume| {
            let call = of(volume, "start");
            scope.spawn(move || call.run().is(0))
        });
        for start in starts {
            start.join().unwrap();
        }
    });
    world.has(&["one", "two"]);
    of("one", "stop").run().is(0);
    assert_eq!(world.vgs("systemid"), "here", "the other one is active by it");
    of("two", "stop").run().is(0);
    assert_eq!(world.vgs("systemid"), "");
}

/// It is by name, as `system_id_source = "uname"` has it.
#[test]
#[ignore = "vm: activates volumes"]
fn the_system_id_may_be_the_name_of_the_machine() {
    let world = World::with(1, &["one"]);
    world.conf("global/system_id_source = \"uname\"");
    let name = sh("uname -n").ok();
    cluster(&[&name, "there"]);
    system_id(&world, "start").run().is(0);
    assert_eq!(world.vgs("systemid"), name);
    system_id(&world, "stop").run().is(0);
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_machine_without_a_system_id_takes_no_volume_group() {
    let world = World::with(1, &["one"]);
    system_id(&world, "start").run().is(2).says(&["system_id"]);
    world.has(&[]);
    assert_eq!(world.vgs("systemid"), "");
}

/// While volumes of it are active here, what is not ours is not left to others.
#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_group_of_another_machine_is_not_activated_in_any_mode() {
    let world = of("there");
    cluster(&["here", "there"]);
    world.call("start").run().is(1).says(&["there"]);
    tagging(&world, "start").run().is(1).says(&["there"]);
    world.has(&[]);
    assert_eq!((world.vgs("systemid"), world.vgs("vg_tags")), ("there".to_owned(), String::new()));
}

#[test]
#[ignore = "vm: activates volumes"]
fn the_names_of_the_other_nodes_are_tags_of_other_owners() {
    let world = World::with(1, &["one"]);
    let name = sh("uname -n").ok();
    cluster(&[&name, "there"]);
    world.lvm("vgchange -qy --addtag there VG");
    tagging(&world, "start").run().is(1).says(&["there"]);
    assert_eq!(world.vgs("vg_tags"), "there");
    world.has(&[]);
    world.lvm("vgchange -qy --deltag there VG");
    tagging(&world, "start").set("tag", "mine").run().is(0);
    assert_eq!(world.vgs("vg_tags"), "mine");
    tagging(&world, "stop").set("tag", "mine").run().is(0);
    assert_eq!(world.vgs("vg_tags"), "");
}

/// lvm.conf may restrict what is activated, or not.
#[test]
#[ignore = "vm: activates volumes"]
fn tagging_does_without_volume_list_and_with_it() {
    for conf in ["", "activation/volume_list = [ \"root\" ]", "activation/volume_list = [ ]"] {
        let world = World::with(1, &["one"]);
        world.conf(conf);
        tagging(&world, "start").run().is(0);
        world.has(&["one"]);
        tagging(&world, "monitor").level(10).run().is(0);
        tagging(&world, "stop").run().is(0);
        world.has(&[]);
    }
}

/// Two resources with a volume each share the tag of the volume group.
#[test]
#[ignore = "vm: activates volumes"]
fn the_tag_goes_with_the_last_volume() {
    let world = World::with(1, &["one", "two"]);
    let of = |action: &str, volume: &str| tagging(&world, action).set("lvname", volume).named(&format!("p_{volume}"));
    of("start", "one").run().is(0);
    of("start", "two").run().is(0);
    of("stop", "one").run().is(0);
    assert_eq!(world.vgs("vg_tags"), "pacemaker");
    of("monitor", "two").level(10).run().is(0);
    of("stop", "two").run().is(0);
    assert_eq!(world.vgs("vg_tags"), "");
}

#[test]
#[ignore = "vm: activates volumes"]
fn the_old_agent_s_word_for_tagging_is_understood() {
    let world = World::with(1, &["one"]);
    let of = |action: &str| Call::new(action, &world.dir).set("volgrpname", &world.vg).set("exclusive", "yes");
    of("start").run().is(0);
    assert_eq!(world.vgs("vg_tags"), "pacemaker");
    of("monitor").run().is(0);
    of("stop").run().is(0);
    assert_eq!(world.vgs("vg_tags"), "");
    of("start").set("vg_access_mode", "local").run().is(0);
    assert_eq!(world.vgs("vg_tags"), "", "the mode says more than the old word");
    of("stop").set("vg_access_mode", "local").run().is(0);
}

/// A start that fails half-way leaves nothing: here one of the volumes can not be activated.
#[test]
#[ignore = "vm: activates volumes"]
fn a_start_that_fails_takes_back_what_it_did() {
    let world = World::with(1, &["one", "two"]);
    // Somebody else's device has the name, so LVM's own can not be made.
    sh(&format!("dmsetup create {} --uuid not-{} --table '0 8192 zero'", world.dm("two"), world.vg)).ok();
    tagging(&world, "start").run().is(1).says(&["busy"]);
    world.has(&["two"]);
    assert_eq!(world.vgs("vg_tags"), "");
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_start_that_fails_leaves_what_was_active_before() {
    let world = World::with(1, &["one", "two", "three"]);
    world.activate(&["one"]);
    sh(&format!("dmsetup create {} --uuid not-{} --table '0 8192 zero'", world.dm("two"), world.vg)).ok();
    world.call("start").run().is(1).says(&["busy"]);
    world.has(&["one", "two"]);
}
