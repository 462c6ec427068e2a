//! Letting the stand-by in again when the module calls nobody for it.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::shell::{sh, until};
use crate::world::{End, World};

/// A handler `unfence-peer` for drbdadm; `CALLS` in it is a file of the test's own, which is returned.
fn handler(world: &World, script: &str) -> PathBuf {
    let calls = world.dir.join("unfenced");
    let handlers = format!("handlers {{ unfence-peer \"{}\"; }}", script.replace("CALLS", &calls.display().to_string()));
    fs::write(world.dir.join("drbd.d/global_common.conf"), format!("global {{ usage-count no; }}\ncommon {{ {handlers} }}\n"))
        .unwrap();
    calls
}

/// Once when all is up to date, once more after the two were apart, and not at each monitor.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_promoted_instance_calls_the_handler_when_all_is_up_to_date_and_not_each_time() {
    let world = World::connected(1);
    let calls = handler(&world, "echo $DRBD_RESOURCE >>CALLS");
    let count = || fs::read_to_string(&calls).unwrap_or_default().lines().count();
    let is_never_called = |call: &crate::call::Call, code: i32, why: &str| {
        let before = count();
        for _ in 0..2 {
            call.run().is(code);
            sleep(Duration::from_secs(11));
        }
        call.run().is(code);
        assert_eq!(count(), before, "{why}");
    };
    let monitor = world.call("monitor");
    is_never_called(&monitor, 0, "not promoted");
    world.admin(End::Near, "primary");
    is_never_called(&world.call("monitor").set("unfence_if_all_uptodate", "false"), 8, "not wanted");
    let is_called = |before: usize| {
        monitor.run().is(8);
        assert_eq!(count(), before, "not at once");
        sleep(Duration::from_secs(11));
        for _ in 0..2 {
            monitor.run().is(8);
            assert_eq!(count(), before + 1);
        }
    };
    is_called(0);
    world.admin(End::Near, "disconnect");
    is_never_called(&monitor, 8, "apart");
    world.admin(End::Near, "connect");
    world.settles("Connected", "UpToDate/UpToDate");
    is_called(1);
}

/// A monitor that the handler keeps waiting answers in time all the same, and neither that nor a handler that fails is the resource's
/// failure.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_handler_that_fails_or_does_not_come_back_leaves_a_monitor_its_answer() {
    for (script, least) in [("echo >>CALLS; exit 3", 0), ("echo >>CALLS; sleep 59.25", 10)] {
        let world = World::connected(1);
        let calls = handler(&world, script);
        world.admin(End::Near, "primary");
        world.call("monitor").run().is(8);
        sleep(Duration::from_secs(11));
        let begun = Instant::now();
        let answer = world.call("monitor").run().is(8);
        let took = begun.elapsed().as_secs();
        assert!(calls.exists(), "it was not called");
        assert!((least..20).contains(&took), "{script}: {took} s");
        assert!(world.log().contains("unfence-peer: "), "{}\n{answer:?}", world.log());
        let begun = Instant::now();
        world.call("monitor").run().is(8);
        assert!(begun.elapsed() < Duration::from_secs(8), "it is not called at once again");
        assert_eq!(fs::read_to_string(&calls).unwrap().lines().count(), 1);
        until("nothing is left of the handler", 5, || sh("pgrep -fx 'sleep 59.25'").code != 0);
    }
}
