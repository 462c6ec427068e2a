//! What hangs, read from `/proc` and `/sys`: a suspended device, I/O that does not come back, a thread in an endless wait.
//! Opens no device and asks nothing of a process that would need its memory. Still only to be called where hanging is allowed.

use std::fmt::Write as _;

use crate::kernel::attr::{Dir, Root};
use crate::kernel::task::Task;

/// The kernel threads of an iSCSI target, in D state or not.
const TARGET_THREADS: [&str; 4] = ["iscsi_np", "iscsi_trx", "iscsi_ttx", "target_"];

/// A block device as it matters here.
struct Device {
    kernel_name: String,
    dm_name: Option<String>,
    is_suspended: bool,
    in_flight: u64,
}

impl Device {
    fn name(&self) -> String {
        match &self.dm_name {
            Some(name) => format!("{} ({name})", self.kernel_name),
            None => self.kernel_name.clone(),
        }
    }

    /// How far down it is: the I/O of a device is also in flight on the devices above it, so the lowest is the one to blame.
    fn is_stacked(&self) -> bool {
        ["dm-", "drbd", "md", "loop"].iter().any(|kind| self.kernel_name.starts_with(kind))
    }

    fn describe(&self) -> String {
        // What a suspended device holds back is not counted as in flight.
        match (self.is_suspended, self.in_flight) {
            (true, 0) => format!("{} suspended", self.name()),
            (true, n) => format!("{} suspended, {n} I/O in flight", self.name()),
            (false, n) => format!("{} {n} I/O in flight", self.name()),
        }
    }
}

/// The likeliest reason of a hang in a few words: a suspended device, suspended DRBD, or I/O in flight on the lowest device.
#[must_use]
pub fn culprit(root: &Root) -> Option<String> {
    let devices = devices(root);
    let busiest = |of: &dyn Fn(&&Device) -> bool| devices.iter().filter(of).max_by_key(|d| d.in_flight);
    let suspended = busiest(&|d| d.is_suspended).map(Device::describe);
    let in_flight =
        || busiest(&|d| d.in_flight > 0 && !d.is_stacked()).or_else(|| busiest(&|d| d.in_flight > 0)).map(Device::describe);
    suspended.or_else(|| suspended_drbd(&drbd(root))).or_else(in_flight)
}

/// Every device that is suspended or has I/O in flight, a line each.
pub fn devices_in_trouble(root: &Root) -> Vec<String> {
    devices(root).iter().filter(|d| d.is_suspended || d.in_flight > 0).map(Device::describe).collect()
}

/// Every thread of one process, a line each.
pub fn threads_of(root: &Root, pid: i32) -> Vec<String> {
    threads(&root.dir("/proc").dir(pid.to_string())).iter().map(|(tid, dir, stat)| describe(tid, dir, stat)).collect()
}

/// Every thread in D state and every kernel thread of the iSCSI target, a line each, but for those of the process `but`.
pub fn tasks_in_trouble(root: &Root, but: Option<i32>, mut say: impl FnMut(String)) {
    let proc = root.dir("/proc");
    let pids = proc.dirs().unwrap_or_default();
    for pid in pids.iter().filter(|name| name.parse::<i32>().is_ok_and(|pid| Some(pid) != but)) {
        for (tid, dir, stat) in threads(&proc.dir(pid)) {
            if stat.state == 'D' || TARGET_THREADS.iter().any(|name| stat.comm.starts_with(name)) {
                say(describe(&tid, &dir, &stat));
            }
        }
    }
}

/// The first 2 KiB of `/proc/drbd`, empty without DRBD.
pub fn drbd(root: &Root) -> String {
    let text = root.dir("/proc").read_opt("drbd").ok().flatten().unwrap_or_default();
    super::frame::shortened(&text, 2048).to_owned()
}

/// DRBD 8.4: the first of the I/O flags at the end of a device's line is `s` when its I/O is suspended (DRBD user's guide,
/// "I/O state flags").
fn suspended_drbd(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let minor = words.next()?.strip_suffix(':')?;
        let flags = words.skip_while(|word| !word.starts_with("ds:")).nth(2)?;
        (minor.parse::<u32>().is_ok() && flags.starts_with('s')).then(|| format!("drbd{minor} suspended"))
    })
}

fn devices(root: &Root) -> Vec<Device> {
    let block = root.dir("/sys/block");
    let names = block.entries().unwrap_or_default();
    names.into_iter().map(|entry| device(&block.dir(&entry.name), entry.name)).collect()
}

fn device(sys: &Dir, kernel_name: String) -> Device {
    let read = |attr: &str| sys.read_opt(attr).ok().flatten();
    let in_flight = read("inflight").unwrap_or_default();
    Device {
        kernel_name,
        dm_name: read("dm/name"),
        is_suspended: read("dm/suspended").is_some_and(|text| text == "1"),
        in_flight: in_flight.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).sum(),
    }
}

fn threads(process: &Dir) -> Vec<(String, Dir, Task)> {
    let task = process.dir("task");
    let tids = task.dirs().unwrap_or_default();
    let with_stat = |tid: String| {
        let dir = task.dir(&tid);
        let stat = Task::at(&dir).ok()??;
        Some((tid, dir, stat))
    };
    tids.into_iter().filter_map(with_stat).collect()
}

fn describe(tid: &str, dir: &Dir, stat: &Task) -> String {
    let mut line = format!("{tid} ({}) {}", stat.comm, stat.state);
    let place = dir.read_opt("wchan").ok().flatten().filter(|place| !matches!(place.as_str(), "" | "0"));
    if let Some(place) = place {
        let _ = write!(line, " in {place}");
    }
    if let Ok(Some(stack)) = dir.read_opt("stack") {
        let frames: Vec<&str> = stack.lines().filter_map(function).collect();
        if !frames.is_empty() {
            let _ = write!(line, ": {}", frames.join(" < "));
        }
    }
    line
}

/// `[<0>] iscsit_release_sessions_for_tpg+0x1f8/0x260 [iscsi_target_mod]` → the name of the function.
fn function(line: &str) -> Option<&str> {
    line.split_once("] ")?.1.split(['+', ' ']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        (dir, root)
    }

    fn put_device(root: &Root, name: &str, in_flight: &str, dm: Option<(&str, &str)>) {
        let sys = root.dir("/sys/block").dir(name);
        sys.set("inflight", in_flight).unwrap();
        if let Some((dm_name, suspended)) = dm {
            sys.dir("dm").set("name", dm_name).unwrap();
            sys.dir("dm").set("suspended", suspended).unwrap();
        }
    }

    #[test]
    fn a_machine_without_trouble_has_no_culprit() {
        let (_keep, root) = bench();
        assert_eq!(culprit(&root), None);
        put_device(&root, "sda", "       0        0\n", None);
        put_device(&root, "dm-0", "       0        0\n", Some(("vg1-lv", "0\n")));
        assert_eq!(culprit(&root), None);
        assert_eq!(devices_in_trouble(&root), [""; 0]);
    }

    #[test]
    fn a_suspended_device_is_to_blame_before_anything_else() {
        let (_keep, root) = bench();
        put_device(&root, "sda", "       9        9\n", None);
        put_device(&root, "dm-2", "       0        0\n", Some(("vg1-other", "1\n")));
        put_device(&root, "dm-3", "       1        2\n", Some(("vg1-lv--lun0", "1\n")));
        assert_eq!(culprit(&root).as_deref(), Some("dm-3 (vg1-lv--lun0) suspended, 3 I/O in flight"));
        let all = ["dm-2 (vg1-other) suspended", "dm-3 (vg1-lv--lun0) suspended, 3 I/O in flight", "sda 18 I/O in flight"];
        assert_eq!(devices_in_trouble(&root), all);
    }

    #[test]
    fn without_a_suspended_device_the_lowest_one_with_io_in_flight_is_to_blame() {
        let (_keep, root) = bench();
        put_device(&root, "dm-3", "       5        5\n", Some(("vg1-lv--lun0", "0\n")));
        put_device(&root, "drbd0", "       5        4\n", None);
        assert_eq!(culprit(&root).as_deref(), Some("dm-3 (vg1-lv--lun0) 10 I/O in flight"));
        put_device(&root, "sdb", "       0        2\n", None);
        assert_eq!(culprit(&root).as_deref(), Some("sdb 2 I/O in flight"));
    }

    #[test]
    fn drbd_whose_io_is_suspended_is_to_blame_before_busy_devices() {
        let (_keep, root) = bench();
        put_device(&root, "sdb", "       0        2\n", None);
        let text = |flags| {
            format!(
                "version: 8.4.11 (api:1/proto:86-101)\n 0: cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C {flags}\n    ns:0\n"
            )
        };
        root.dir("/proc").set("drbd", &text("r-----")).unwrap();
        assert_eq!(culprit(&root).as_deref(), Some("sdb 2 I/O in flight"));
        root.dir("/proc").set("drbd", &text("s-----")).unwrap();
        assert_eq!(culprit(&root).as_deref(), Some("drbd0 suspended"));
    }

    #[test]
    fn every_thread_in_d_state_and_every_thread_of_the_target_is_named_with_its_stack() {
        let (_keep, root) = bench();
        let put = |pid: u32, tid: u32, name: &str, state: char, stack: &str| {
            let dir = root.dir(format!("/proc/{pid}/task/{tid}"));
            let rest = "1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0";
            dir.set("stat", &format!("{tid} ({name}) {state} {rest}\n")).unwrap();
            dir.set("wchan", if state == 'D' { "iscsit_cause_connection_reinstatement" } else { "0" }).unwrap();
            dir.set("stack", stack).unwrap();
        };
        put(10, 10, "bash", 'S', "");
        put(20, 20, "ocf-san", 'S', "");
        let stack = "[<0>] iscsit_stop_session+0x1f8/0x260 [iscsi_target_mod]\n[<0>] configfs_write_iter+0xb9/0x120\n";
        put(20, 21, "ocf-san", 'D', stack);
        put(30, 30, "iscsi_np", 'S', "");
        let mut found = Vec::new();
        tasks_in_trouble(&root, Some(10), |line| found.push(line));
        let blocked = "21 (ocf-san) D in iscsit_cause_connection_reinstatement: iscsit_stop_session < configfs_write_iter";
        assert_eq!(found, [blocked, "30 (iscsi_np) S"]);
        assert_eq!(threads_of(&root, 20), ["20 (ocf-san) S", blocked]);
        found.clear();
        tasks_in_trouble(&root, Some(20), |line| found.push(line));
        assert_eq!(found, ["30 (iscsi_np) S"], "the worker's own are named apart");
    }
}
