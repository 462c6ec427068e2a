//! Letting the stand-by in again when the module calls nobody for it.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::world::{End, World};

/// Once when all is up to date, once more after the two were apart, and not at each monitor.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_promoted_instance_calls_the_handler_when_all_is_up_to_date_and_not_each_time() {
    let world = World::connected(1);
    let calls = world.dir.join("unfenced");
    let handlers = format!("handlers {{ unfence-peer \"echo $DRBD_RESOURCE >>{}\"; }}", calls.display());
    fs::write(world.dir.join("drbd.d/global_common.conf"), format!("global {{ usage-count no; }}\ncommon {{ {handlers} }}\n"))
        .unwrap();
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
