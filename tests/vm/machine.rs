//! A machine that lacks something: privilege, configfs, modules. These unload the target modules, which the tree must be empty for.

use std::fs;
use std::path::Path;

use super::file::{self, IQN};
use super::tree;
use super::world::{World, sh};

/// As after a boot: nothing loaded, nothing mounted.
fn bare() -> World {
    let world = World::new();
    unload();
    world
}

fn unload() {
    sh("rmdir /sys/kernel/config/target/*/ 2>/dev/null; sleep 0.3
        modprobe -r ib_isert; modprobe -r iscsi_target_mod
        for plugin in iblock file pscsi user; do modprobe -r target_core_$plugin; done
        modprobe -r target_core_mod");
}

#[test]
#[ignore = "vm: loads and unloads modules"]
fn start_loads_the_modules_and_makes_the_place_for_reservations() {
    let world = bare();
    assert!(!Path::new(tree::TREE).exists(), "the modules could not be unloaded");
    sh("rm -rf /var/target /etc/target").ok();
    world.write(&file::simple(&world, 1));
    world.call("monitor").run().is(7);
    world.stop();
    assert!(!Path::new(tree::TREE).exists(), "looking and stopping load nothing");
    world.start();
    let dbroot = tree::read("dbroot");
    assert!(Path::new(&dbroot).join("pr").is_dir() && Path::new(&dbroot).join("alua").is_dir(), "{dbroot}");
    world.stop();
}

#[test]
#[ignore = "vm: unmounts configfs"]
fn start_mounts_configfs_and_nothing_else_minds_that_it_is_not() {
    let world = bare();
    sh("umount /sys/kernel/config").ok();
    world.write(&file::simple(&world, 1));
    world.call("monitor").run().is(7);
    world.stop();
    assert_ne!(sh("mountpoint -q /sys/kernel/config").code, 0);
    world.start();
    assert!(tree::is_enabled(IQN));
    world.call("monitor").level(10).run().is(0);
    world.stop();
}

#[test]
#[ignore = "vm: hides modules"]
fn a_module_that_is_not_to_be_had_is_named_and_is_not_installed() {
    let world = bare();
    world.write(&file::simple(&world, 1));
    for module in ["target_core_mod", "iscsi_target_mod", "target_core_iblock"] {
        unload();
        fs::write("/etc/modprobe.d/vm-hide.conf", format!("install {module} /bin/false\n")).unwrap();
        world.call("start").run().is(5).says(&[module]);
        world.call("monitor").env("OCF_RESKEY_CRM_meta_interval", "0").run().is(7);
        world.stop();
        fs::remove_file("/etc/modprobe.d/vm-hide.conf").unwrap();
    }
    world.start();
    world.stop();
}

#[test]
#[ignore = "vm: runs as nobody"]
fn without_privilege_the_code_says_so() {
    let world = World::warm();
    let path = world.write(&file::simple(&world, 1));
    let before = tree::snapshot();
    sh(&format!("chmod 777 {}", world.dir.display())).ok();
    sh("mkdir -p -m 755 /run/resource-agents").ok();
    world.call("start").by_nobody().run().is(4);
    sh(&format!("chmod 644 {}", path.display())).ok();
    world.call("start").set("allow_readable_config", "yes").by_nobody().run().is(4);
    tree::assert_unchanged(&before);
}
