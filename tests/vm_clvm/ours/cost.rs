//! What a monitor costs.

use crate::call::AGENT;
use crate::shell::sh;
use crate::world::World;

/// No program is started, and beside the process that Pacemaker started there is one at most.
#[test]
#[ignore = "vm: activates volumes"]
fn a_monitor_starts_no_program_and_one_process() {
    let world = World::with(2, &["one", "two", "three"]);
    world.lvm("lvcreate -qy --type raid1 -m1 --nosync -Wn -Zn -l 2 -n mirror VG");
    world.start();
    let trace = world.dir.join("trace");
    sh(&format!(
        "env OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=p_lvm OCF_RESKEY_vgname={} OCF_RESKEY_CRM_meta_timeout=30000 \
         OCF_RESKEY_CRM_meta_interval=10000 HA_LOGFILE={}/ha.log strace -f -o {} {AGENT} monitor",
        world.vg,
        world.dir.display(),
        trace.display()
    ))
    .ok();
    let text = std::fs::read_to_string(trace).unwrap();
    let executions = text.lines().filter(|line| line.contains("execve(")).count();
    let mut pids: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(executions, 1, "its own");
    assert!(pids.len() <= 2, "{} processes", pids.len());
    assert!(text.lines().count() < 400, "{} system calls", text.lines().count());
}
