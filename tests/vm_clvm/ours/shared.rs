//! Volumes of several resources in one volume group, and volumes that change while they are watched.

use crate::shell::sh;
use crate::world::World;

/// Two thin volumes of two resources in one pool: the pool is neither's, and stays as long as one of them is active.
#[test]
#[ignore = "vm: activates volumes"]
fn a_thin_pool_that_another_resource_uses_is_not_what_is_left_of_ours() {
    let world = World::with(1, &[]);
    world.lvm("lvcreate -qy -an -Zn --type thin-pool -l 8 --poolmetadatasize 2m -n pool VG");
    for name in ["one", "two"] {
        world.lvm(&format!("lvcreate -qy -an --type thin -V 8m --thinpool pool -n {name} VG"));
    }
    let one = |action: &str| world.call(action).set("lvname", "!two").named("p_one");
    let two = |action: &str| world.call(action).set("lvname", "two").named("p_two");
    two("start").run().is(0);
    one("probe").run().is(7);
    one("start").run().is(0);
    one("monitor").level(10).run().is(0);
    one("stop").run().is(0);
    one("probe").run().is(7);
    two("monitor").level(10).run().is(0);
    assert!(world.active().contains(&world.dm("two")), "{:?}", world.active());
    two("stop").run().is(0);
    assert_eq!(world.active(), [""; 0]);
}

/// LVM takes an origin down with its snapshot, so whoever stops one stops the other.
#[test]
#[ignore = "vm: activates volumes and mounts"]
fn a_snapshot_goes_with_its_origin_and_who_has_it_mounted_is_named() {
    let world = World::with(1, &["one"]);
    world.start();
    sh(&format!("mkfs.ext4 -q /dev/{}/one", world.vg)).ok();
    world.lvm("lvcreate -qy -s -l 2 -n snap VG/one");
    world.stop();
    let of = |action: &str| world.call(action).set("lvname", "one").seconds(20);
    of("start").run().is(0);
    of("monitor").run().is(0);
    sh(&format!("mkdir -p {0}/mnt && mount -o ro /dev/{1}/snap {0}/mnt", world.dir.display(), world.vg)).ok();
    of("stop").run().is(1).says(&["snap", "mnt"]);
    assert!(world.active().contains(&world.dm("one")), "nothing was taken apart: {:?}", world.active());
    sh(&format!("umount {}/mnt", world.dir.display())).ok();
    of("stop").run().is(0);
    assert_eq!(world.active(), [""; 0]);
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_snapshot_without_its_origin_is_no_resource() {
    let world = World::with(1, &["one"]);
    world.activate(&["one"]);
    world.lvm("lvcreate -qy -s -l 2 -n snap VG/one");
    world.lvm("lvchange -qy -an VG/one");
    world.call("start").set("lvname", "snap").run().is(1).says(&["snap", "one"]);
    assert_eq!(world.active(), [""; 0]);
}

/// A backup removes its snapshot, an administrator a volume that is no longer needed.
#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_that_is_removed_from_the_volume_group_is_no_failure() {
    let world = World::with(1, &["one", "two", "three"]);
    world.start();
    world.lvm("lvremove -qfy VG/two");
    world.call("monitor").run().is(0);
    world.lvm("lvchange -an VG/three");
    world.call("monitor").seconds(10).run().is(1).says(&["three"]);
    world.stop();
    world.has(&[]);
}

/// New disks below a volume group that is in use: the start has not seen them.
#[test]
#[ignore = "vm: activates volumes, moves extents"]
fn a_disk_that_was_replaced_since_the_start_blinds_neither_monitor_nor_stop() {
    let world = World::with(2, &["one", "two"]);
    let (first, second) = (world.disk(0), world.disk(1));
    world.lvm(&format!("vgreduce -q VG {second}"));
    world.start();
    world.lvm(&format!("vgextend -qy VG {second}"));
    world.lvm(&format!("pvmove -qy {first}"));
    world.lvm(&format!("vgreduce -qy VG {first}"));
    world.call("monitor").level(10).run().is(0);
    world.lvm("lvremove -qfy VG/two");
    world.call("monitor").run().is(0);
    world.stop();
    world.has(&[]);
    let log = std::fs::read_to_string(world.dir.join("ha.log")).unwrap_or_default();
    assert!(!log.contains("past LVM"), "{log}");
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_group_that_was_renamed_is_still_the_one_that_was_started() {
    let mut world = World::with(1, &["one"]);
    world.start();
    let (old, new) = (world.vg.clone(), format!("{}x", world.vg));
    world.lvm(&format!("vgrename -q VG {new}"));
    let of = |world: &World, action: &str| world.call(action).set("vgname", &old);
    of(&world, "monitor").level(10).run().is(0);
    of(&world, "stop").run().is(0);
    world.vg = new;
    world.has(&[]);
}

/// Another host has taken it over, rightly or not: now two may write, and that is no degradation. What Pacemaker would answer with a restart
/// (1) takes it back from who is writing.
#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_group_that_another_host_has_taken_over_is_a_failure() {
    let world = World::with(1, &["one"]);
    world.conf("global/system_id_source = \"uname\"");
    let of = |action: &str| world.call(action).set("vg_access_mode", "system_id");
    of("start").run().is(0);
    of("monitor").level(10).run().is(0);
    world.behind_its_back("vgchange --systemid elsewhere VG");
    of("monitor").level(10).run().is(2).says(&["elsewhere"]);
    of("probe").level(10).run().is(1).says(&["elsewhere"]);
    // As after docs/moving-over.md: what was active before the agent was there.
    sh("rm -f /run/resource-agents/ocf-san.*").ok();
    of("monitor").level(10).run().is(2).says(&["elsewhere"]);
    world.behind_its_back("vgchange --config 'local{extra_system_ids=[\"elsewhere\"]}' --systemid '' VG");
    of("monitor").level(10).run().is(190).says(&["no host"]);
    of("stop").run().is(0);
    world.has(&[]);
}
