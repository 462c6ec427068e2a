//! A Primary that has lost its peer, and whose I/O stands still until `fence-peer` says that the peer is out of the way.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::shell::{sh, until};
use crate::world::{End, World};

/// Promoted and connected; `fence-peer` is what the module runs once the peer is lost, and I/O waits for its answer.
pub fn primary_with(fence_peer: &str) -> World {
    let world = World::down(1);
    world.configure("", "fencing resource-and-stonith;");
    world.handler(End::Near, &format!("[ $1 != fence-peer ] || {fence_peer}"));
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.call("promote").run().is(0);
    world
}

pub fn lose_peer(world: &World) {
    world.admin(End::Far, "disconnect --force");
    until("I/O is frozen", 30, || is_frozen(world));
}

pub fn is_frozen(world: &World) -> bool {
    world.sees(End::Near).is_some_and(|minor| minor.frozen)
}

/// The module asks once, and where nobody could answer at that moment a Primary would stand still for good.
#[test]
#[ignore = "vm: freezes I/O"]
fn a_primary_that_fence_peer_left_frozen_goes_on_once_it_answers_and_not_before() {
    let world = primary_with("exit 1");
    let (calls, code) = (world.dir.join("fenced"), world.dir.join("code"));
    let script = format!("echo >>{}; exit $(cat {})", calls.display(), code.display());
    fs::write(
        world.dir.join("drbd.d/global_common.conf"),
        format!("global {{ usage-count no; }}\ncommon {{ handlers {{ fence-peer \"{script}\"; }} }}\n"),
    )
    .unwrap();
    let count = || fs::read_to_string(&calls).unwrap_or_default().lines().count();
    let answers = |with: &str| fs::write(&code, with).unwrap();
    answers("1");
    lose_peer(&world);
    // The module's own call, which is not run where the agent and its records are.
    assert_eq!(world.operator("handler fence-peer --timeout 3 RES").code, 1, "there is no cluster to ask");
    let monitor = world.call("monitor");
    monitor.run().is(8);
    assert_eq!(count(), 0, "not at once");
    sleep(Duration::from_secs(21));
    for _ in 0..2 {
        monitor.run().is(8);
        assert_eq!((count(), is_frozen(&world)), (1, true), "it is not asked all the time, and stays frozen");
    }
    answers("5");
    monitor.clone().without_pacemaker().run().is(8);
    assert!(is_frozen(&world), "a monitor by hand changes nothing");
    sleep(Duration::from_secs(61));
    monitor.run().is(8);
    assert_eq!((count(), is_frozen(&world)), (2, false));
    // Lost again, with a handler that fails; and somebody says suspend-io too, which only they may take back.
    world.admin(End::Far, "connect");
    world.settles("Connected", "UpToDate/UpToDate");
    monitor.run().is(8);
    lose_peer(&world);
    assert_eq!(world.operator("handler fence-peer --timeout 3 RES").code, 1);
    world.admin(End::Near, "suspend-io");
    monitor.run().is(8);
    sleep(Duration::from_secs(21));
    monitor.run().is(8);
    assert_eq!((count(), is_frozen(&world)), (3, true), "{}", world.log());
    assert!(world.log().contains("suspended: user,fencing"), "{}", world.log());
    world.admin(End::Near, "resume-io");
    monitor.run().is(8);
    // And suspend-io alone: nobody has failed since.
    sh(&format!("rm /run/ocf-san/drbd/{}.fence-peer.json", world.resource)).ok();
    world.admin(End::Near, "suspend-io");
    monitor.run().is(8);
    sleep(Duration::from_secs(21));
    monitor.run().is(8);
    assert_eq!((count(), is_frozen(&world)), (3, true));
    world.admin(End::Near, "resume-io");
}

/// The other side stood still while this one was promoted, and went on. It has acknowledged nothing, so this is no split brain, and once it is
/// demoted the two are to meet without anybody's help.
#[test]
#[ignore = "vm: freezes I/O"]
fn what_was_primary_on_both_sides_and_written_to_on_one_meets_again_by_itself() {
    let world = World::down(1);
    world.configure("", "fencing resource-and-stonith;");
    world.handler(End::Near, "[ $1 != fence-peer ] || exit 5");
    world.handler(End::Far, "[ $1 != fence-peer ] || exit 1");
    world.admin(End::Near, "up");
    world.admin(End::Far, "up");
    world.settles("Connected", "UpToDate/UpToDate");
    world.admin(End::Far, "primary");
    // Not asked to agree, this side does not become outdated.
    world.admin(End::Near, "disconnect --force");
    until("the far side is frozen", 30, || world.sees(End::Far).is_some_and(|minor| minor.frozen));
    world.call("promote").run().is(0);
    sh(&format!("dd if=/dev/urandom of={} bs=4k count=8 oflag=direct", world.device())).ok();
    world.admin(End::Near, "connect");
    let is_alone = |end| world.sees(end).is_some_and(|minor| minor.cs == "StandAlone");
    until("the two have met and parted", 30, || is_alone(End::Near) && is_alone(End::Far));
    world.call("monitor").run().is(8);
    world.call("monitor").set("degraded_codes", "true").run().is(191).says(&["stands alone"]);
    world.scored("10000", "10000");
    world.admin(End::Far, "secondary");
    world.admin(End::Far, "connect");
    world.call("notify").of("post", "demote").run().is(0);
    world.settles("Connected", "UpToDate/UpToDate");
    world.call("monitor").run().is(8);
    assert_eq!(world.operator("guard show RES").code, 0);
}
