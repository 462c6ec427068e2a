//! While a handler keeps one command in the kernel, and another one waits for it with the lock of all DRBD's commands; and while I/O stands still.

use std::time::{Duration, Instant};

use crate::call::Call;
use crate::ours::refence::{is_frozen, lose_peer, primary_with};
use crate::shell::{sh, until};
use crate::world::{End, World};

/// On 8.4 every netlink request, a status of another resource included, then waits without limit and without heed to signals.
#[test]
#[ignore = "vm: stops all DRBD commands for a while"]
fn a_monitor_answers_while_every_drbd_command_on_the_machine_hangs() {
    let world = World::alone(1);
    world.configure("", "fencing resource-only;");
    world.handler(End::Near, "[ $1 != fence-peer ] || { sleep 14; exit 4; }");
    world.admin(End::Near, "up");
    world.call("monitor").run().is(0);
    let background = |command: &str| {
        sh(&format!("drbdadm {command} {} </dev/null >/dev/null 2>&1 & sleep 0.7", world.resource)).ok();
    };
    background("primary");
    until("the handler is called", 20, || world.handled().iter().any(|name| name == "fence-peer"));
    // An option of `net`: for one of `disk`, drbdsetup would wait for the lock file of the minor first.
    world.configure("ping-timeout 18;", "fencing resource-only;");
    background("adjust");
    let asks = sh("timeout -s KILL 2 drbdsetup status >/dev/null 2>&1");
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let since = Instant::now();
        let code = world.call("monitor").seconds(10).run().code();
        assert!(code == 0 || code == 8, "{code}");
        longest = longest.max(since.elapsed());
    }
    let hangs_still = sh("timeout -s KILL 2 drbdsetup status >/dev/null 2>&1").code != 0;
    assert!(longest < Duration::from_secs(4), "{longest:?}");
    assert!(asks.code != 0 && hangs_still, "nothing hung, so this has shown nothing");
    until("the handler is through", 60, || sh("timeout -s KILL 2 drbdsetup status >/dev/null 2>&1").code == 0);
}

/// `adjust` and `connect` beside a handler are what makes all DRBD commands wait: it is waited for before.
#[test]
#[ignore = "vm: holds the lock of a handler"]
fn a_notification_that_connects_waits_for_a_handler() {
    let world = World::connected(1);
    let waits = "(exec flock LOCK sleep 12) >/dev/null 2>&1 & sleep 0.5";
    let lock = format!("/run/ocf-san/drbd/{}.handler.lock", world.resource);
    sh(&format!("mkdir -p /run/ocf-san/drbd; {}", waits.replace("LOCK", &lock))).ok();
    world.admin(End::Near, "disconnect");
    world.settles("StandAlone", "UpToDate/DUnknown");
    let since = Instant::now();
    world.call("notify").of("pre", "start").run().is(0);
    assert!(since.elapsed() > Duration::from_secs(1), "{:?}", since.elapsed());
    world.settles("Connected", "UpToDate/UpToDate");
}

/// The peer's loss, with `resource-and-stonith`, is no failure of what serves. Whatever reads there hangs, and what hangs keeps DRBD from being
/// taken down: a node that nobody fences and that has been given up could only be rebooted then.
#[test]
#[ignore = "vm: freezes I/O"]
fn what_stands_on_frozen_drbd_has_not_failed_and_is_stopped_without_lvm_and_drbd_after_it() {
    let world = primary_with("exit 1");
    let (vg, node) = (format!("frozen{}", world.resource), world.device());
    let on = format!("--devices {node}");
    sh(&format!("vgcreate -qy {on} --setautoactivation n {vg} {node} && lvcreate -qy {on} -Wn -Zn -an -l 1 -n lun0 {vg}")).ok();
    let lvm = |action| {
        let call = Call::plain("/usr/lib/ocf/resource.d/san/cLVM", action, "p_lvm", &world.dir).seconds(30);
        call.set("vgname", &vg).set("devices", &node).set("vg_access_mode", "tagging")
    };
    lvm("start").run().is(0);
    let deep = || lvm("monitor").level(10).run();
    deep().is(0);
    lose_peer(&world);
    let since = Instant::now();
    deep().is(190).says(&["stands still"]);
    lvm("stop").run().is(0);
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    assert!(is_frozen(&world), "nothing was frozen, so this has shown nothing");
    world.call("demote").seconds(20).run().is(0);
    world.stop();
    world.admin(End::Far, "down");
    sh(&format!("wipefs -qa {} {}", world.disk(End::Near, 0), world.disk(End::Far, 0))).ok();
}
