//! Which volumes are meant: lists, globs, exclusion, and the devices to look at.

use crate::shell::sh;
use crate::world::World;

#[test]
#[ignore = "vm: activates volumes"]
fn a_list_with_globs_and_exclusions_is_all_that_is_started_checked_and_stopped() {
    let world = World::with(1, &["db-1", "db-2", "db-old", "root"]);
    for (names, expected) in [
        ("db-1 db-2", vec!["db-1", "db-2"]),
        ("db-1,root", vec!["db-1", "root"]),
        ("db-*,!db-old", vec!["db-1", "db-2"]),
        ("!root", vec!["db-1", "db-2", "db-old"]),
        ("db-?", vec!["db-1", "db-2"]),
    ] {
        let of = |action: &str| world.call(action).set("lvname", names);
        of("probe").run().is(7);
        of("start").run().is(0);
        world.has(&expected);
        of("monitor").run().is(0);
        of("stop").run().is(0);
        world.has(&[]);
    }
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_pattern_that_means_nothing_here_is_told_at_start() {
    let world = World::with(1, &["one"]);
    for (names, code) in [("db-*", 1), ("one three", 1), ("!*", 1), ("!one", 1)] {
        world.call("start").set("lvname", names).run().is(code);
        world.has(&[]);
    }
    for names in ["a/b", "one;reboot", "[ab]", "$(one)"] {
        world.call("start").set("lvname", names).run().is(6).says(&["lvname"]);
        world.call("probe").set("lvname", names).run().is(7);
    }
}

/// What is not meant is not looked at: it may be active or not.
#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_that_is_excluded_is_nobody_s_business() {
    let world = World::with(1, &["one", "two"]);
    world.activate(&["two"]);
    let of = |action: &str| world.call(action).set("lvname", "!two");
    of("probe").run().is(7);
    of("start").run().is(0);
    of("stop").run().is(0);
    world.has(&["two"]);
}

/// A whole volume group leaves those out that LVM itself leaves out of it, unless there is nothing else.
#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_with_the_skip_flag_is_not_part_of_the_whole() {
    let world = World::with(1, &["one", "two"]);
    world.lvm("lvchange -qy --setactivationskip y VG/two");
    world.start();
    world.has(&["one"]);
    world.call("monitor").level(10).run().is(0);
    world.call("start").set("lvname", "one two").named("p_other").run().is(1).says(&["two"]);
    world.has(&["one"]);
}

/// Of an earlier life, or of another machine's disks: the same name, another volume group.
#[test]
#[ignore = "vm: makes a device"]
fn a_device_of_the_same_name_but_of_another_volume_group_is_not_ours() {
    let world = World::with(1, &["one", "two"]);
    world.start();
    let stale = world.dm("three");
    let uuid = format!("{:x<64}", world.vg.replace('-', "x"));
    sh(&format!("dmsetup create {stale} --uuid LVM-{uuid} --table '0 8192 zero'")).ok();
    world.call("monitor").run().is(0);
    world.stop();
    world.has(&["three"]);
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_that_came_later_is_part_of_the_whole_at_the_next_start() {
    let world = World::with(1, &["one"]);
    world.start();
    world.lvm("lvcreate -qy -Wn -Zn -l 4 -n two VG");
    world.call("monitor").run().is(0);
    world.stop();
    world.has(&[]);
    world.start();
    world.has(&["one", "two"]);
}

/// LVM opens every disk it is not kept from, and one that hangs hangs it.
#[test]
#[ignore = "vm: suspends a disk"]
fn a_disk_that_hangs_elsewhere_is_not_looked_at_where_the_own_ones_are_named() {
    let world = World::with(1, &["one"]);
    let own = world.disk(0);
    sh(&format!("dmsetup create {}z --table '0 8192 zero'", own.trim_start_matches("/dev/mapper/").trim_end_matches('a'))).ok();
    let other = own.trim_start_matches("/dev/mapper/").replace('a', "z");
    world.suspend(&other);
    let of = |action: &str| world.call(action).set("devices", &own).seconds(40);
    of("start").run().is(0);
    world.has(&["one"]);
    of("monitor").level(10).run().is(0);
    of("stop").run().is(0);
    world.has(&[]);
}

/// Until Pacemaker's next probe there is no record: by name, then.
#[test]
#[ignore = "vm: activates volumes"]
fn without_a_record_the_names_decide() {
    let world = World::with(1, &["one", "two"]);
    world.start();
    sh("rm -f /run/resource-agents/ocf-san.*").ok();
    world.call("probe").run().is(0);
    world.call("monitor").run().is(0);
    world.stop();
    world.has(&[]);
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_record_that_is_cut_short_keeps_no_stop_from_its_work() {
    let world = World::with(1, &["one", "two"]);
    for size in [0, 1, 40] {
        world.start();
        sh(&format!("truncate -s {size} /run/resource-agents/ocf-san.cLVM-p_lvm.record")).ok();
        world.call("monitor").run().is(0);
        world.stop();
        world.has(&[]);
    }
}

/// Whoever makes the volume group anew below the resource leaves it active, and no record has its UUID.
#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_group_that_was_made_anew_is_not_the_one_that_was_started_and_goes_with_the_stop() {
    let world = World::with(1, &["one"]);
    world.start();
    let disk = world.disk(0);
    world.lvm(&format!("vgremove -qq -y -ff VG && lvm vgcreate -q -s 1m VG {disk} && lvm lvcreate -qy -Wn -Zn -l 4 -n one VG"));
    world.activate(&["one"]);
    world.has(&["one"]);
    world.call("monitor").run().is(1).says(&["not the volume group that was started"]);
    world.stop();
    world.has(&[]);
    world.start();
    world.call("monitor").level(10).run().is(0);
    world.stop();
}

/// The start is refused for the parameter; until then nobody may take what is active for stopped.
#[test]
#[ignore = "vm: activates volumes"]
fn a_probe_with_a_wrong_parameter_tells_what_is_active() {
    let world = World::with(1, &["one"]);
    let of = |action: &str| world.call(action).set("vg_access_mode", "lvmlokd");
    of("probe").run().is(7);
    world.activate(&["one"]);
    of("probe").run().is(1).says(&["one", "vg_access_mode"]);
    of("start").run().is(6).says(&["vg_access_mode"]);
    of("stop").run().is(0);
    world.has(&[]);
}
