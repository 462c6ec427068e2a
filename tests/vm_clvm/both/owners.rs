//! Volume groups that have, or had, another owner.

use crate::call::{Call, peer};
use crate::world::World;

const SYSTEM_ID: &str = "local/system_id = \"here\"\nglobal/system_id_source = \"lvmlocal\"";

fn tagging(world: &World, action: &str) -> Call {
    world.call(action).set("vg_access_mode", "tagging")
}

fn system_id(world: &World, action: &str) -> Call {
    world.call(action).set("vg_access_mode", "system_id")
}

#[test]
#[ignore = "vm: activates volumes"]
fn the_tag_is_there_while_it_runs_and_tags_of_others_stay() {
    let world = World::with(1, &["one"]);
    world.conf("activation/volume_list = [ \"@no-such-tag\" ]");
    world.lvm("vgchange -qy --addtag backup --addtag room-7 VG");
    tagging(&world, "start").run().is(0);
    assert_eq!(world.vgs("vg_tags"), "backup,pacemaker,room-7");
    tagging(&world, "monitor").run().is(0);
    tagging(&world, "stop").run().is(0);
    assert_eq!(world.vgs("vg_tags"), if peer() { "" } else { "backup,room-7" });
}

#[test]
#[ignore = "vm: activates volumes"]
fn the_tag_of_another_owner_is_respected() {
    let world = World::with(1, &["one"]);
    world.lvm("vgchange -qy --addtag other-node VG");
    let start = tagging(&world, "start");
    let start = if peer() { start } else { start.set("owner_tags", "other-*") };
    start.run().expect(1, 0).says(&["other-node"]);
    assert_eq!(world.vgs("vg_tags"), if peer() { "other-node,pacemaker" } else { "other-node" });
    world.has(if peer() { &["one"] } else { &[] });
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_group_of_this_machine_starts() {
    let world = World::with(1, &["one"]);
    world.conf(SYSTEM_ID);
    world.lvm("vgchange -qy --systemid here VG");
    system_id(&world, "start").run().is(0);
    world.has(&["one"]);
    system_id(&world, "monitor").level(10).run().is(0);
    system_id(&world, "stop").run().is(0);
    world.has(&[]);
    assert_eq!(world.vgs("systemid"), "here");
}

#[test]
#[ignore = "vm: activates volumes"]
fn nothing_is_taken_from_a_machine_that_is_no_member_of_the_cluster() {
    let world = World::with(1, &["one"]);
    world.conf(SYSTEM_ID);
    world.lvm("vgchange -qy --systemid here VG");
    world.lvm("vgchange -qy --systemid stranger VG");
    system_id(&world, "start").run().expect(1, 0).says(&["stranger"]);
    assert_eq!(world.vgs("systemid"), if peer() { "here" } else { "stranger" });
    world.has(if peer() { &["one"] } else { &[] });
}

#[test]
#[ignore = "vm: activates volumes"]
fn an_exported_volume_group_is_not_started() {
    let world = World::with(1, &["one"]);
    world.lvm("vgexport -q VG");
    world.call("start").run().expect(1, 1).says(&["export"]);
    world.call("probe").run().is(7);
    world.has(&[]);
}
