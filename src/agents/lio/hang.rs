//! Whether something of ours hangs in the kernel while everything still looks enabled. Two samples, apart in time: what has not moved
//! in between and should have, hangs. On a machine at rest the first sample finds nothing to wait for.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::block::BlockDevice;
use crate::kernel::error::Result;
use crate::kernel::lio::inventory::{Backstore, Inventory};
use crate::kernel::task::{self, Task};

/// A device or session that stands still for this long hangs; a busy one moves many times.
const STILL: Duration = Duration::from_secs(3);

/// The kernel threads of the iSCSI target: portal, receive, transmit (`iscsi_target_login.c`, `iscsi_target.c`).
const THREADS: [&str; 3] = ["iscsi_np", "iscsi_trx", "iscsi_ttx"];

/// Something that may be standing still.
enum Suspect {
    Device { device: BlockDevice, name: String, completed: u64 },
    Suspended { device: BlockDevice, name: String },
    Thread { task: Task, runs: Option<u64> },
}

impl Suspect {
    /// Whether it still stands exactly where it stood.
    fn stands_still(&self, root: &Root) -> bool {
        match self {
            Self::Device { device, completed, .. } => {
                device.stat().is_ok_and(|now| now.in_flight > 0 && now.completed() == *completed)
            }
            Self::Suspended { device, .. } => device.is_suspended().unwrap_or(false),
            Self::Thread { task, runs } => {
                let now = Task::read(root, task.pid).ok().flatten();
                now.is_some_and(|now| now == *task) && task.runs(root) == *runs
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Device { name, .. } => format!("{name} completes no I/O"),
            Self::Suspended { name, .. } => format!("{name} is suspended"),
            Self::Thread { task, .. } => format!("{} (pid {}) is stuck in the kernel", task.comm, task.pid),
        }
    }
}

/// Something that stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hang {
    /// What, in one sentence.
    pub what: String,
    /// Whether it is a device of ours and stood still for the whole of [`STILL`]: a thread may serve another resource, and a short time-out
    /// leaves too little time to be sure.
    pub is_certain: bool,
}

/// What hangs; `None` when nothing does.
///
/// # Errors
/// Whatever reading sysfs or `/proc` says.
pub fn look(root: &Root, own: &Inventory, since: u64, deadline: Deadline) -> Result<Option<Hang>> {
    let mut suspects = sample(root, own, since)?;
    let whole = Deadline::after(STILL);
    let until = deadline.min(whole);
    let mut pause = Duration::from_millis(50);
    while !suspects.is_empty() && !until.is_past() {
        std::thread::sleep(pause.min(until.remaining()));
        pause *= 2;
        suspects.retain(|s| s.stands_still(root));
    }
    if suspects.is_empty() {
        return Ok(None);
    }
    let what: Vec<String> = suspects.iter().map(Suspect::describe).collect();
    let is_ours = suspects.iter().any(|s| !matches!(s, Suspect::Thread { .. }));
    Ok(Some(Hang { what: what.join(", "), is_certain: is_ours && whole.is_past() }))
}

/// Whether the device of a backstore looks as if it held I/O back at this moment: suspended, or with I/O under way.
#[must_use]
pub fn is_suspect(root: &Root, so: &Backstore) -> bool {
    suspect(root, so).is_some()
}

/// What looks like the cause of a hang at this moment, without waiting: a device of ours that is suspended or has I/O under way.
#[must_use]
pub fn culprit(root: &Root, own: &Inventory) -> Option<String> {
    devices(root, own).first().map(|suspect| match suspect {
        Suspect::Device { name, .. } => format!("{name} has I/O in flight"),
        other => other.describe(),
    })
}

fn sample(root: &Root, own: &Inventory, since: u64) -> Result<Vec<Suspect>> {
    let mut suspects = devices(root, own);
    for task in task::kernel_threads_since(root, since)? {
        if task.state == 'D' && THREADS.contains(&task.comm.as_str()) {
            let runs = task.runs(root);
            suspects.push(Suspect::Thread { task, runs });
        }
    }
    Ok(suspects)
}

/// Our devices that may be standing still, suspended ones first.
fn devices(root: &Root, own: &Inventory) -> Vec<Suspect> {
    let mut suspects: Vec<_> = own.backstores.iter().filter_map(|so| suspect(root, so)).collect();
    suspects.sort_by_key(|s| !matches!(s, Suspect::Suspended { .. }));
    suspects
}

fn suspect(root: &Root, so: &Backstore) -> Option<Suspect> {
    let (major, minor) = so.number?;
    let device = BlockDevice::numbered(root, major, minor);
    let name = so.dev.as_ref().map_or_else(|| so.name.clone(), |d| d.display().to_string());
    let stat = device.stat().ok()?;
    if device.is_suspended().unwrap_or(false) {
        return Some(Suspect::Suspended { device, name });
    }
    (stat.in_flight > 0).then(|| Suspect::Device { device, name, completed: stat.completed() })
}
