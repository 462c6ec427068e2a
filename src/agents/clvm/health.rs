//! A monitor at level 10: whether every logical volume answers a read, and how RAID, pools, snapshots and locks are.
//!
//! Reads and the states of targets can hang in the kernel, so each is a thread of the worker that nobody waits for beyond its time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Clvm;
use super::look::{self, Device};
use super::record::Record;
use super::stop;
use super::values::{Mode, Sharing};
use crate::agents::jobs::{Job, Wave};
use crate::kernel::attr::Root;
use crate::kernel::dm::health::{self, Health};
use crate::kernel::dm::{DeviceMapper, TargetLine, Which};
use crate::kernel::error::Result;
use crate::kernel::lvm::lockd;
use crate::kernel::probe_read;
use crate::ocf::error::OcfError;
use crate::ocf::run::{Context, State};

/// How many threads ask at once.
const WIDTH: usize = 8;
/// How long lvmlockd gets to say what it says at once.
const ANSWER: Duration = Duration::from_secs(3);

type Findings = Arc<Mutex<Vec<String>>>;

impl Clvm {
    /// What is to be said of the logical volumes that is not seen without asking their disks; `None` when all is well.
    ///
    /// # Errors
    /// Device-mapper does not answer, or another host has taken the volume group over.
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
        let below = look::stacks(dm, all, &volumes)?;
        // DRBD-helper says what is to become of it; what reads meanwhile hangs, and keeps a stop from ending.
        let frozen =
            || stop::frozen_below(cx, dm, own).map(|minor| State::Degraded(format!("the I/O of drbd{minor} stands still")));
        if let Some(state) = frozen() {
            return Ok(Some(state));
        }
        let begun = Instant::now();
        // All at once, so that each has all of its time.
        let mut reads = Wave::start(volumes.iter().map(read).collect(), volumes.len());
        let mut states = Wave::start(below.iter().map(ask).collect(), WIDTH);
        let is_read = reads.wait(cx.deadline.share(0.6).within(self.read_timeout));
        if let Some(e) = reads.take_failed().into_iter().next() {
            return Ok(Some(State::Failed(e.to_string())));
        }
        if !is_read {
            let who = reads.outstanding().next().unwrap_or_default();
            let failed = || State::Failed(format!("{who} did not answer within {:.0} s", begun.elapsed().as_secs_f64()));
            return Ok(Some(frozen().unwrap_or_else(failed)));
        }
        let is_asked = states.wait(cx.deadline.share(0.4).within(self.read_timeout));
        if let Some(e) = states.take_failed().into_iter().next() {
            return Ok(Some(State::Degraded(e.to_string())));
        }
        if !is_asked {
            let who = states.outstanding().next().unwrap_or_default();
            return Ok(Some(State::Degraded(format!("{who}: device-mapper does not say how it is"))));
        }
        let trouble = findings.lock().unwrap_or_else(PoisonError::into_inner).first().cloned();
        let degraded = trouble.or_else(|| self.unlocked(cx, dm, all, &volumes, ANSWER)).map(State::Degraded);
        // A mirror is degraded just when its sites have parted, and the volume group may have been taken over by the other one.
        let compared = self.compared(cx, dm, own, record)?;
        let is_failed = matches!(compared, Some(State::Failed(_)));
        Ok(if is_failed { compared } else { degraded.or(compared) })
    }

    /// A logical volume that is active without the lock that it should have.
    pub(super) fn unlocked(
        &self,
        cx: &Context,
        dm: &DeviceMapper,
        all: &[Device],
        volumes: &[&Device],
        limit: Duration,
    ) -> Option<String> {
        if self.mode != Ok(Mode::Lvmlockd) {
            return None;
        }
        let info = match lockd::info(cx.root, cx.deadline.share(0.3).within(limit)) {
            Ok(info) => info,
            Err(e) => return Some(format!("{} is active and lvmlockd does not answer: {e}", volumes.first()?.mapping.vg)),
        };
        // A volume in a thin pool and a snapshot stand on what has the lock.
        let is_enough = |mode| match self.sharing {
            Sharing::Exclusive => mode == lockd::Mode::Exclusive,
            Sharing::Shared => mode != lockd::Mode::Unlocked,
        };
        let is_locked = |device: &Device| {
            let stack = look::stacks(dm, all, &[device]).unwrap_or_default();
            stack.iter().any(|part| is_enough(info.mode(&part.mapping.vg, part.mapping.lv_uuid.as_str())))
        };
        let without = volumes.iter().find(|device| !is_locked(device))?;
        Some(format!("{} is active here without its lock in lvmlockd", without.spoken()))
    }
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
