//! Mappings that are not what the metadata says, as a command that was killed leaves them: level 10 tells, `ocf-san lvm repair` mends.

use crate::shell::{Said, sh};
use crate::world::World;

fn repair(world: &World, more: &str) -> Said {
    sh(&format!("/usr/sbin/ocf-san lvm repair {} {more}", world.vg))
}

/// How long a volume is for the kernel, in sectors.
fn sectors(world: &World, volume: &str) -> u64 {
    sh(&format!("blockdev --getsz /dev/mapper/{}", world.dm(volume))).ok().parse().unwrap()
}

#[test]
#[ignore = "vm: changes metadata"]
fn a_mapping_of_another_size_than_the_metadata_is_refreshed_by_hand() {
    let world = World::with(1, &["one", "two"]);
    world.start();
    world.behind_its_back("lvresize -q -l +2 VG/one");
    world.call("monitor").run().is(0);
    world.call("monitor").level(10).run().is(190).says(&["one", &format!("ocf-san lvm repair {}", world.vg)]);
    let said = repair(&world, "--dry-run").ok();
    assert!(said.contains("one") && !said.contains("two"), "{said}");
    assert_eq!(sectors(&world, "one"), 8192);
    repair(&world, "").ok();
    assert_eq!(sectors(&world, "one"), 12_288);
    world.call("monitor").level(10).run().is(0);
}

#[test]
#[ignore = "vm: changes metadata"]
fn a_mapping_whose_volume_is_gone_is_removed_by_hand() {
    let world = World::with(1, &["one", "two"]);
    world.start();
    world.behind_its_back("lvremove -q VG/two");
    world.call("monitor").level(10).run().is(190).says(&["two", &format!("ocf-san lvm repair {}", world.vg)]);
    let said = repair(&world, "--dry-run").ok();
    assert!(said.contains("two"), "{said}");
    world.has(&["one", "two"]);
    repair(&world, "").ok();
    world.has(&["one"]);
}

/// A stop leaves nothing of the volume group, whether or not the metadata still knows it.
#[test]
#[ignore = "vm: changes metadata"]
fn a_stop_takes_the_mapping_of_a_volume_that_is_gone_with_it() {
    let world = World::with(1, &["one", "two"]);
    world.start();
    world.behind_its_back("lvremove -q VG/two");
    world.stop();
    world.has(&[]);
}

#[test]
#[ignore = "vm: changes metadata"]
fn nothing_to_repair_is_no_error_and_what_is_open_is_not_removed() {
    let world = World::with(1, &["one", "two"]);
    world.start();
    repair(&world, "").ok();
    world.has(&["one", "two"]);
    sh(&format!("(exec sleep 600) </dev/{}/two >/dev/null 2>&1 &", world.vg)).ok();
    world.behind_its_back("lvremove -q VG/two");
    assert_ne!(repair(&world, "").code, 0, "somebody still holds it");
    world.has(&["one", "two"]);
}
