//! A monitor at level 10: whether every logical volume answers a read, how RAID, pools and snapshots are, and whether the mapping is
//! still what the metadata says.
//!
//! Reads and the states of targets can hang in the kernel, so each is a thread of the worker that nobody waits for beyond its time.

use std::sync::{Arc, Mutex, PoisonError};

use super::Clvm;
use super::look::Device;
use super::record::Record;
use crate::agents::jobs::{Job, Wave};
use crate::kernel::attr::Root;
use crate::kernel::dm::health::{self, Health};
use crate::kernel::dm::{DeviceMapper, TargetLine, Which};
use crate::kernel::error::{KernelError, Result};
use crate::kernel::lvm::command::Lvm;
use crate::kernel::lvm::drift::{self, Drift};
use crate::kernel::lvm::lockd;
use crate::kernel::lvm::names::VgName;
use crate::kernel::probe_read;
use crate::ocf::error::OcfError;
use crate::ocf::run::{Context, State};

/// How many threads ask at once.
const WIDTH: usize = 8;
/// A difference must still be there after this long: a resize changes the metadata first.
const SETTLES: std::time::Duration = std::time::Duration::from_secs(1);

type Findings = Arc<Mutex<Vec<String>>>;

impl Clvm {
    /// What is to be said of the logical volumes that is not seen without asking their disks; `None` when all is well.
    ///
    /// # Errors
    /// Device-mapper does not answer.
    pub(super) fn deep_look(
        &self,
        cx: &Context,
        dm: &DeviceMapper,
        all: &[Device],
        own: &[Device],
        record: Option<&Record>,
    ) -> std::result::Result<Option<State>, OcfError> {
        let is_meant = |device: &&Device| {
            device.is_volume() && record.is_none_or(|record| record.lvs.iter().any(|lv| lv.is(&device.mapping.lv_uuid)))
        };
        let volumes: Vec<_> = own.iter().filter(is_meant).collect();
        let findings = Findings::default();
        let read = |device: &&Device| {
            let (root, device) = (cx.root.clone(), (*device).clone());
            let path = cx.root.path("/dev/mapper").join(&device.name);
            Job::new(device.spoken(), move || match probe_read::read_first_page(&path) {
                // Its state tells, and no restart would give it room.
                Err(_) if is_dropped_snapshot(&root, &device) => Ok(()),
                other => other,
            })
        };
        let ask = |device: &Device| {
            let (root, device, findings, warn) = (cx.root.clone(), device.clone(), Arc::clone(&findings), self.pool_warn);
            Job::new(device.spoken(), move || state_of(&root, &device, warn, &findings))
        };
        let below = stacks(dm, all, &volumes)?;
        let mut wave = Wave::start(volumes.iter().map(read).chain(below.iter().map(ask)).collect(), WIDTH);
        let is_done = wave.wait(cx.deadline.share(0.7).within(self.read_timeout));
        if let Some(e) = wave.take_failed().into_iter().next() {
            return Ok(Some(State::Failed(e.to_string())));
        }
        if !is_done {
            let who = wave.outstanding().next().unwrap_or_default();
            return Ok(Some(State::Failed(format!("{who} did not answer within {} s", self.read_timeout.as_secs()))));
        }
        let trouble = findings.lock().unwrap_or_else(PoisonError::into_inner).first().cloned();
        if let Some(why) = trouble.or_else(|| self.unlocked(cx, dm, all, &volumes)) {
            return Ok(Some(State::Degraded(why)));
        }
        Ok(self.drift(cx, dm, volumes.first().map(|device| device.mapping.vg.as_str()), record).map(State::Degraded))
    }

    /// Where the mapping and the metadata have gone apart. That the metadata can not be read is one more thing worth a look.
    fn drift(&self, cx: &Context, dm: &DeviceMapper, vg: Option<&str>, record: Option<&Record>) -> Option<String> {
        let vg = VgName::parse(record.map_or(vg?, |record| &record.vg)).ok()?;
        let lvm = Lvm::find(cx.root).ok()?.only(&self.seen_devices(record));
        let found = || -> Result<Vec<Drift>> {
            let Some(facts) = lvm.report(&vg, true, cx.deadline.share(0.5))? else {
                let why = std::io::Error::other("no such volume group is to be seen");
                return Err(KernelError::new("report on", vg.as_str(), why));
            };
            drift::find(cx.root, dm, &facts)
        };
        let found = match found() {
            Ok(first) if first.is_empty() => Ok(first),
            Ok(_) => {
                std::thread::sleep(SETTLES.min(cx.deadline.remaining() / 4));
                found()
            }
            Err(e) => Err(e),
        };
        let what = match found {
            Ok(found) => match found.into_iter().next()? {
                Drift::Refresh { lv, why } => format!("{vg}/{lv}: {why}"),
                Drift::Stale { name, .. } => format!("{name} is mapped, and no such logical volume exists any more"),
            },
            Err(e) => return Some(e.to_string()),
        };
        Some(format!("{what} (ocf-san lvm repair {vg})"))
    }

    /// A logical volume that is active without the lock that it should have.
    pub(super) fn unlocked(&self, cx: &Context, dm: &DeviceMapper, all: &[Device], volumes: &[&Device]) -> Option<String> {
        if self.mode != Ok(super::values::Mode::Lvmlockd) {
            return None;
        }
        let info = match lockd::info(cx.root, cx.deadline.share(0.5)) {
            Ok(info) => info,
            Err(e) => return Some(format!("{} is active and lvmlockd does not answer: {e}", volumes.first()?.mapping.vg)),
        };
        // A volume in a thin pool and a snapshot stand on what has the lock.
        let is_locked = |device: &Device| {
            let stack = stacks(dm, all, &[device]).unwrap_or_default();
            stack.iter().any(|part| info.is_held(&part.mapping.vg, part.mapping.lv_uuid.as_str()))
        };
        let without = volumes.iter().find(|device| !is_locked(device))?;
        Some(format!("{} is active here without its lock in lvmlockd", without.spoken()))
    }
}

/// The volumes and the devices of their volume group that they stand on.
fn stacks(dm: &DeviceMapper, all: &[Device], volumes: &[&Device]) -> std::result::Result<Vec<Device>, OcfError> {
    let mut found: Vec<Device> = Vec::new();
    let mut left: Vec<Device> = volumes.iter().map(|device| (*device).clone()).collect();
    while let Some(device) = left.pop() {
        if found.iter().any(|known| known.uuid == device.uuid) {
            continue;
        }
        let below = dm.deps(Which::Uuid(&device.uuid))?.unwrap_or_default();
        left.extend(all.iter().filter(|other| below.contains(&(other.major, other.minor))).cloned());
        found.push(device);
    }
    Ok(found)
}

/// Whether it is a snapshot that the kernel has given up, so that every read fails.
fn is_dropped_snapshot(root: &Root, device: &Device) -> bool {
    let lines = || DeviceMapper::open(root).ok()??.target_status(Which::Uuid(&device.uuid)).ok()?;
    let is_dropped = |line: &TargetLine| line.kind == "snapshot" && matches!(Health::of(line), Some(Health::Broken(_)));
    lines().is_some_and(|lines| lines.iter().any(is_dropped))
}

fn state_of(root: &Root, device: &Device, warn: u8, findings: &Findings) -> Result<()> {
    let Some(dm) = DeviceMapper::open(root)? else { return Ok(()) };
    let lines = dm.target_status(Which::Uuid(&device.uuid))?.unwrap_or_default();
    let trouble = lines.iter().find_map(|line| health::trouble(line, warn));
    if let Some(what) = trouble {
        let why = format!("{}: {what}", device.spoken());
        findings.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }
    Ok(())
}
