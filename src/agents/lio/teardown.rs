//! Stop, in stages that each have a limit: disable everything, see the sessions go, take the tree apart, close the devices.
//!
//! The order is the point. Nothing is removed under a live session (LIO would answer for a removed LUN 0 with zeros), and no I/O is failed
//! before every portal group was told to disable (an initiator would see the error).

use std::io;
use std::time::Duration;

use super::hang;
use super::jobs::{Job, Wave};
use crate::deadline::Deadline;
use crate::kernel::block::BlockDevice;
use crate::kernel::dm::{DeviceMapper, Which};
use crate::kernel::error::KernelError;
use crate::kernel::lio::inventory::Inventory;
use crate::kernel::lio::{Lio, storage, tpg};
use crate::ocf::error::OcfError;
use crate::ocf::run::Context;

/// Removals wait for the kernel's grace periods, but mostly one after the other: a LUN's below the lock of its portal group
/// (`core_tpg_remove_lun`, `target_core_tpg.c`). More threads only crowd the locks.
const WIDTH: usize = 8;

/// A stop under way.
pub struct Teardown<'a> {
    /// What the action was given.
    pub cx: &'a Context<'a>,
    /// The target subsystem.
    pub lio: &'a Lio,
    /// What is to go.
    pub own: &'a Inventory,
    /// Whether the I/O of our own backstores may be failed when a disable hangs.
    pub fail_backend: bool,
}

impl Teardown<'_> {
    /// Takes everything away. What is gone already is no error.
    ///
    /// # Errors
    /// Stuck, with the culprit, when the kernel does not come back; otherwise the first thing that could not be removed.
    pub fn run(&self) -> Result<(), OcfError> {
        self.disable()?;
        self.wait_for_sessions()?;
        // By name first: listing thousands of mapped LUNs takes longer than removing them.
        self.wave("remove ACLs", self.acls(self.own))?;
        // What is really there now, whatever the record says.
        let live = Inventory::live(self.lio, self.own.targets.iter().map(|t| t.iqn.as_str()))?;
        self.wave("remove further ACLs", self.acls(&live))?;
        self.wave("remove LUNs", self.luns(&live))?;
        self.wave("remove targets", self.targets(&live))?;
        self.wave("remove backstores", self.backstores(&live)?)
    }

    /// Tells every portal group of ours to disable, all at once, and waits until each has.
    fn disable(&self) -> Result<(), OcfError> {
        (self.cx.progress)("disable targets");
        let mut jobs = Vec::new();
        for target in &self.own.targets {
            for tag in self.lio.target(&target.iqn).dirs()?.iter().filter_map(|d| d.strip_prefix("tpgt_")) {
                let dir = self.lio.target(&target.iqn).dir(format!("tpgt_{tag}"));
                jobs.push(Job::new(format!("disable {} tpgt_{tag}", target.iqn), move || tpg::set_enabled(&dir, false)));
            }
        }
        let width = jobs.len();
        let mut wave = Wave::start(jobs, width);
        let patience = self.cx.deadline.share(if self.fail_backend { 0.4 } else { 1.0 });
        if wave.wait(patience) {
            return first(wave);
        }
        if self.fail_backend {
            self.fail_backends();
            (self.cx.progress)("disable targets after their I/O was failed");
            if wave.wait(self.cx.deadline.share(0.6)) {
                return first(wave);
            }
        }
        Err(self.stuck(&wave))
    }

    /// Gives every device-mapper backstore of ours a table of errors, so that what waits for it comes back. Every disable has been issued.
    fn fail_backends(&self) {
        (self.cx.progress)("fail the I/O of our backstores");
        let mut jobs = Vec::new();
        for so in &self.own.backstores {
            let dev = so.dev.as_ref().and_then(|d| BlockDevice::of(self.cx.root, d).ok());
            let numbered = so.number.map(|(major, minor)| BlockDevice::numbered(self.cx.root, major, minor));
            let Some(device) = numbered.or(dev) else { continue };
            if !device.is_dm().unwrap_or(false) {
                tracing::warn!("backstore {}: fail_backend works only on device-mapper devices", so.name);
                continue;
            }
            tracing::warn!("backstore {}: failing all I/O of its device, as fail_backend says", so.name);
            let root = self.cx.root.clone();
            let which = Which::Number(device.major(), device.minor());
            jobs.push(Job::new(format!("fail {}", so.name), move || match DeviceMapper::open(&root)? {
                Some(mapper) => mapper.fail_io(which).map(drop),
                None => Ok(()),
            }));
        }
        let width = jobs.len();
        let mut wave = Wave::start(jobs, width);
        wave.wait(self.cx.deadline.share(0.3));
        for e in wave.into_failed() {
            tracing::error!("{e}");
        }
    }

    /// "Disabled" does not mean "drained" when the sessions were closing already (`iscsit_release_sessions_for_tpg`, `iscsi_target.c`).
    fn wait_for_sessions(&self) -> Result<(), OcfError> {
        let limit = self.cx.deadline;
        let job = |iqn: &String| {
            let (lio, iqn) = (self.lio.clone(), iqn.clone());
            Job::new(format!("end the sessions of {iqn}"), move || {
                let mut pause = Duration::from_millis(2);
                loop {
                    match tpg::sessions(&lio, &iqn)? {
                        0 => return Ok(()),
                        n if limit.is_past() => {
                            let why = io::Error::new(io::ErrorKind::TimedOut, format!("{n} sessions do not end"));
                            return Err(KernelError::new("drain", iqn, why));
                        }
                        _ => std::thread::sleep(pause),
                    }
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
            })
        };
        self.wave("wait for sessions to end", self.own.targets.iter().map(|t| job(&t.iqn)).collect())
    }

    fn acls(&self, live: &Inventory) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (iqn, group) in live.tpgs() {
            for acl in &group.acls {
                let (dir, mapped) = (self.lio.tpg(iqn, group.tag).dir("acls").dir(&acl.initiator), acl.mapped.clone());
                let label = format!("remove ACL {} of {iqn}", acl.initiator);
                jobs.push(Job::new(label, move || tpg::remove_acl(&dir, &mapped)));
            }
        }
        jobs
    }

    fn luns(&self, live: &Inventory) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (iqn, group) in live.tpgs() {
            for lun in &group.luns {
                let dir = self.lio.tpg(iqn, group.tag).dir("lun").dir(format!("lun_{}", lun.index));
                let (label, alias) = (format!("remove LUN {} of {iqn}", lun.index), lun.alias.clone());
                jobs.push(Job::new(label, move || tpg::remove_linked(&dir, &alias)));
            }
        }
        jobs
    }

    fn targets(&self, live: &Inventory) -> Vec<Job> {
        let job = |target: &crate::kernel::lio::inventory::Target| {
            let (lio, target) = (self.lio.clone(), target.clone());
            Job::new(format!("remove {}", target.iqn), move || {
                for group in &target.tpgs {
                    let dir = lio.tpg(&target.iqn, group.tag);
                    group.portals.iter().try_for_each(|np| tpg::remove_portal(&dir.dir("np").dir(np)))?;
                    dir.remove()?;
                }
                lio.target(&target.iqn).remove().map(drop)
            })
        };
        live.targets.iter().map(job).collect()
    }

    /// Our backstores that are there and that nobody else exports. One that stands on another device than ours did is not ours.
    fn backstores(&self, live: &Inventory) -> Result<Vec<Job>, OcfError> {
        let exports = storage::exports(self.lio)?;
        let mut ids: Vec<(String, String)> = Vec::new();
        for so in self.own.backstores.iter().chain(&live.backstores).filter(|so| !so.hba.is_empty()) {
            let id = (so.hba.clone(), so.name.clone());
            let there = self.lio.storage_object(&so.hba, &so.name).read_opt("udev_path")?;
            let Some(dev) = there else { continue };
            let same = dev.is_empty() || so.dev.as_ref().is_none_or(|d| d.as_os_str() == dev.as_str());
            if same && !ids.contains(&id) && !exports.contains_key(&id) {
                ids.push(id);
            }
        }
        let job = |(hba, name): (String, String)| {
            let lio = self.lio.clone();
            Job::new(format!("remove backstore {hba}/{name}"), move || storage::remove(&lio, &hba, &name))
        };
        Ok(ids.into_iter().map(job).collect())
    }

    fn wave(&self, stage: &str, jobs: Vec<Job>) -> Result<(), OcfError> {
        (self.cx.progress)(stage);
        let mut wave = Wave::start(jobs, WIDTH);
        if wave.wait(self.grace()) { first(wave) } else { Err(self.stuck(&wave)) }
    }

    /// Jobs that watch the deadline themselves get a moment more to say so.
    fn grace(&self) -> Deadline {
        Deadline::after(self.cx.deadline.remaining() + Duration::from_millis(100))
    }

    fn stuck(&self, wave: &Wave) -> OcfError {
        let what = wave.outstanding().next().unwrap_or_default();
        match hang::culprit(self.cx.root, self.own) {
            Some(culprit) => OcfError::stuck(format_args!("{culprit}: {what} hangs")),
            None => OcfError::stuck(format_args!("{what} hangs in the kernel")),
        }
    }
}

fn first(wave: Wave) -> Result<(), OcfError> {
    let drained = |e: KernelError| match e.source.kind() {
        io::ErrorKind::TimedOut => OcfError::stuck(e),
        _ => e.into(),
    };
    wave.into_failed().into_iter().next().map_or(Ok(()), |e| Err(drained(e)))
}
