//! The old agent, `ocf:heartbeat:LVM`, whose parameters ours takes as well.

use crate::call::{Call, peer};
use crate::shell::sh;
use crate::world::World;

fn call(world: &World, action: &str) -> Call {
    let call = Call::new(action, &world.dir).peer_is("LVM").set("volgrpname", &world.vg);
    if peer() { call } else { call.set("exclusive", "false") }
}

/// A world in which the old agent's own volume group may be activated.
fn world() -> World {
    let world = World::with(1, &["one"]);
    world.conf(&format!("activation/volume_list = [ \"{}\" ]", world.vg));
    world
}

#[test]
#[ignore = "vm: activates volumes"]
fn a_volume_group_by_its_old_name_starts_and_stops() {
    let world = world();
    call(&world, "start").run().is(0);
    world.has(&["one"]);
    call(&world, "monitor").run().is(0);
    call(&world, "stop").run().is(0);
    world.has(&[]);
}

/// The old agent takes "no volume group to be seen" for "nothing is active".
#[test]
#[ignore = "vm: activates volumes"]
fn a_stop_that_sees_no_volume_group_is_not_done_while_a_volume_is_open() {
    let world = world();
    call(&world, "start").run().is(0);
    let node = format!("/dev/{}/one", world.vg);
    sh(&format!("(exec sleep 600) <{node} >/dev/null 2>&1 &")).ok();
    sh("sed -i 's/^devices.global_filter.*/devices\\/global_filter = [ \"r|.*|\" ]/' /etc/lvm/lvm.conf").ok();
    call(&world, "stop").seconds(25).run().expect(1, 0).says(&["sleep"]);
    world.has(&["one"]);
}

#[test]
#[ignore = "vm: makes a disk fail"]
fn a_monitor_sees_that_the_disk_is_gone() {
    let world = World::on_scsi(&["one"]);
    world.conf(&format!("activation/volume_list = [ \"{}\" ]", world.vg));
    call(&world, "start").run().is(0);
    world.pull_out();
    call(&world, "monitor").run().expect(1, 0).says(&["one"]);
}
