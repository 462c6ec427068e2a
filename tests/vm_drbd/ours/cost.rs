//! What a monitor costs.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::call::AGENT;
use crate::shell::sh;
use crate::world::{End, World};

/// Processes, executions and system calls of one monitor, its own start included.
fn count(world: &World) -> (usize, usize, usize) {
    let trace = world.dir.join("trace");
    sh(&format!(
        "env OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=p_drbd OCF_RESKEY_drbd_resource={} OCF_RESKEY_CRM_meta_timeout=30000 \
         OCF_RESKEY_CRM_meta_interval=10000 OCF_RESKEY_crm_feature_set=3.16.2 HA_LOGFILE={}/ha.log strace -f -o {} {AGENT} monitor \
         || [ $? = 8 ]",
        world.resource,
        world.dir.display(),
        trace.display()
    ))
    .ok();
    counted(&trace)
}

fn counted(trace: &Path) -> (usize, usize, usize) {
    let text = std::fs::read_to_string(trace).unwrap();
    let mut pids: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    pids.sort_unstable();
    pids.dedup();
    let calls = text.lines().filter(|line| !line.contains("+++ exited") && !line.contains("resumed>")).count();
    (pids.len(), text.lines().filter(|line| line.contains("execve(")).count(), calls)
}

#[track_caller]
fn is_cheap(world: &World) {
    let (processes, executions, calls) = count(world);
    assert!(processes <= 2, "{processes} processes");
    assert_eq!(executions, 1, "its own");
    assert!(calls < 200, "{calls} system calls");
}

/// No program is started, and beside the process that Pacemaker started there is one at most.
#[test]
#[ignore = "vm: makes a DRBD resource"]
fn a_monitor_starts_no_program_one_process_and_makes_few_system_calls() {
    let world = World::connected(2);
    world.call("monitor").run().is(0);
    is_cheap(&world);
    world.admin(End::Near, "primary");
    world.call("monitor").run().is(8);
    // Once in five minutes it asks for the handler that unfences.
    sleep(Duration::from_secs(11));
    world.call("monitor").run().is(8);
    is_cheap(&world);
}

/// Fifty resources are fifty lines to read, not fifty times the work.
#[test]
#[ignore = "vm: makes fifty DRBD resources"]
fn a_monitor_among_fifty_resources_costs_no_more() {
    let world = World::alone(1);
    world.admin(End::Near, "up");
    let all = |command: &str| sh(&format!("for n in {{1..49}}; do {command}; done")).ok();
    all("printf 'resource many%s { on solo { device minor %s; disk /dev/null; address 127.0.0.1:%s; meta-disk internal; }\n\
         on other { device minor 1; disk /dev/null; address 127.0.0.1:1; meta-disk internal; } }\n' $n $((500+n)) $((6000+n)) \
         >/etc/drbd.d/many$n.res");
    all("drbdsetup new-resource many$n && drbdsetup new-minor many$n $((500+n)) 0 &&
         drbdsetup connect many$n 127.0.0.1:$((6000+n)) 127.0.0.1:$((6100+n)) --protocol=C");
    world.call("monitor").run().is(0);
    is_cheap(&world);
    all("drbdsetup down many$n");
}
