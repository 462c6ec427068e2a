//! What is asked for and can not be had: the code, one reason, nothing left behind. One test each.

use std::fs;

use crate::call::peer;
use crate::shell::sh;
use crate::world::{End, World};

/// Each of these calls, and all that was there is as before.
#[track_caller]
fn leaves_no_trace(world: &World, calls: impl FnOnce()) {
    let before = world.traces();
    calls();
    assert_eq!(world.traces(), before);
}

#[test]
#[ignore = "vm: calls the agent"]
fn a_resource_that_is_in_no_configuration() {
    let world = World::down(1);
    leaves_no_trace(&world, || {
        let of = |action: &str| world.call(action).set("drbd_resource", "no-such");
        of("start").run().is(5).says(&["no-such", "/etc/drbd"]);
        of("monitor").run().expect(7, 5);
        of("probe").run().is(7);
        of("promote").run().expect(1, 5);
        of("stop").run().is(0);
    });
}

#[test]
#[ignore = "vm: calls the agent"]
fn a_configuration_that_does_not_parse() {
    let world = World::down(1);
    fs::write(world.config(), "resource broken { on { ;").unwrap();
    leaves_no_trace(&world, || {
        world.call("start").run().is(5).says(&["parse error", ".res:1"]);
        world.call("probe").run().is(7);
        world.call("monitor").run().expect(7, 5);
        world.call("stop").run().is(0);
    });
}

/// As after a rename of the machine, or with the fully qualified name.
#[test]
#[ignore = "vm: calls the agent"]
fn a_host_that_is_not_in_the_configuration() {
    let world = World::down(1);
    let text = fs::read_to_string(world.config()).unwrap().replace("on solo", "on solo.example.net");
    fs::write(world.config(), text).unwrap();
    leaves_no_trace(&world, || {
        world.call("start").run().is(5).says(&["host", "uname -n"]);
        world.call("probe").run().is(7);
        world.call("stop").run().is(0);
    });
}

#[test]
#[ignore = "vm: hides a module"]
fn a_kernel_that_has_no_such_module() {
    let world = World::alone(1);
    sh("cp /sys/module/drbd/parameters/usermode_helper /run/ocf-san-drbd/umh.was; rmmod drbd").ok();
    sh("mount -t tmpfs none /lib/modules").ok();
    world.call("start").within(30).run().is(5).says(&["module"]);
    world.call("probe").run().expect(7, 5);
    world.call("monitor").run().expect(7, 5);
    world.call("stop").run().is(0);
    sh("umount /lib/modules; modprobe drbd; printf %s $(cat /run/ocf-san-drbd/umh.was) >/sys/module/drbd/parameters/usermode_helper")
        .ok();
}

#[test]
#[ignore = "vm: calls the agent"]
fn a_module_that_is_too_old() {
    let world = World::down(1);
    let of = |action: &str| world.call(action).set("require_drbd_module_version_ge", "9.0.0");
    leaves_no_trace(&world, || {
        of("start").run().is(5).says(&["8.4.11", "9.0.0"]);
        of("probe").run().expect(7, 5);
        of("stop").run().is(0);
    });
}

#[test]
#[ignore = "vm: calls the agent"]
fn a_module_that_is_too_new() {
    let world = World::down(1);
    let of = |action: &str| world.call(action).set("require_drbd_module_version_lt", "8.4.0");
    leaves_no_trace(&world, || {
        of("start").run().is(5).says(&["8.4.11", "8.4.0"]);
        of("probe").run().expect(7, 5);
        of("stop").run().is(0);
    });
}

#[test]
#[ignore = "vm: calls the agent"]
fn a_version_that_is_none() {
    let world = World::down(1);
    for name in ["require_drbd_module_version_ge", "require_drbd_module_version_lt"] {
        world.call("start").set(name, "eight").run().is(6).says(&[name]);
    }
}

/// The peer's stop fails as well, and a stop that fails is a node that is fenced.
#[test]
#[ignore = "vm: hides drbd-utils"]
fn a_machine_without_drbd_utils() {
    let world = World::down(1);
    world.hide_utils();
    leaves_no_trace(&world, || {
        world.call("start").run().is(5).says(&["drbd-utils"]);
        world.call("probe").run().expect(7, 5);
        world.call("monitor").run().expect(7, 5);
        world.call("stop").run().expect(0, 5);
    });
}

#[test]
#[ignore = "vm: runs as nobody"]
fn without_privilege() {
    let world = World::connected(1);
    sh(&format!("chmod 777 {0}; touch {0}/ha.log; chmod 666 {0}/ha.log", world.dir.display())).ok();
    if peer() {
        // Ends only when it is killed.
        assert_ne!(world.call("promote").by_nobody().seconds(15).run().code(), 0);
    } else {
        for action in ["start", "promote", "stop", "demote"] {
            world.call(action).by_nobody().seconds(30).run().is(4);
        }
    }
    assert_eq!(world.role(), "Secondary");
    assert_eq!(world.sees(End::Near).unwrap().cs, "Connected");
}

#[test]
#[ignore = "vm: calls the agent"]
fn no_name_of_a_resource() {
    let world = World::down(1);
    leaves_no_trace(&world, || {
        for name in [None, Some("")] {
            let of = |action: &str| match name {
                None => world.call(action).without("drbd_resource"),
                Some(name) => world.call(action).set("drbd_resource", name),
            };
            of("start").run().is(6).says(&["drbd_resource"]);
            of("validate-all").run().is(6).says(&["drbd_resource"]);
            of("stop").run().expect(0, 6);
        }
    });
}

#[test]
#[ignore = "vm: calls the agent"]
fn a_name_that_no_resource_can_have() {
    let world = World::down(1);
    leaves_no_trace(&world, || {
        for name in ["a b", "r0;touch /tmp/x", "r*", "$(id)"] {
            world.call("start").set("drbd_resource", name).run().is(6).says(&["drbd_resource"]);
            world.call("probe").set("drbd_resource", name).run().is(6);
        }
    });
}

#[test]
#[ignore = "vm: calls the agent"]
fn a_configuration_file_that_is_not_there() {
    let world = World::down(1);
    let of = |action: &str| world.call(action).set("drbdconf", "/etc/no-such.conf");
    leaves_no_trace(&world, || {
        of("start").run().is(5).says(&["/etc/no-such.conf"]);
        of("probe").run().expect(7, 5);
        of("stop").run().is(0);
    });
}

/// A clone of three, with a DRBD that knows two.
#[test]
#[ignore = "vm: calls the agent"]
fn more_instances_than_drbd_8_4_has_sides() {
    let world = World::down(1);
    world.call("start").env("OCF_RESKEY_CRM_meta_clone_max", "3").run().is(6).says(&["clone-max"]);
}

#[test]
#[ignore = "vm: calls the agent"]
fn two_promoted_where_the_configuration_allows_one() {
    let world = World::down(1);
    let start = world.call("start").env("OCF_RESKEY_CRM_meta_master_max", "2").env("OCF_RESKEY_CRM_meta_promoted_max", "2");
    start.run().is(6).says(&["allow-two-primaries"]);
}

/// Without meta-data nothing can be attached: it has to be made, which nobody but a human may.
#[test]
#[ignore = "vm: wipes meta-data"]
fn a_disk_without_meta_data() {
    let world = World::down(1);
    world.wipe();
    world.call("start").within(40).run().is(1).says(&["create-md"]);
    world.call("stop").run().is(0);
    assert_eq!(world.sees(End::Near), None);
}
