//! Stop, in stages that each have a limit: disable everything, see the sessions go, take the tree apart, close the devices.
//!
//! The order is the point. Nothing is removed under a live session (LIO would answer for a removed LUN 0 with zeros), and no I/O is failed
//! before every portal group was told to disable (an initiator would see the error).

use std::cell::Cell;
use std::collections::HashSet;
use std::io;
use std::time::Duration;

use super::hang;
use super::own::{Claims, Record};
use crate::agents::jobs::{Job, Wave};
use crate::deadline::Deadline;
use crate::kernel::block::BlockDevice;
use crate::kernel::dm::{DeviceMapper, Which};
use crate::kernel::error::KernelError;
use crate::kernel::lio::inventory::{self, Inventory};
use crate::kernel::lio::{Lio, storage, tpg};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// Removals mostly wait for the kernel, and mostly one after the other: 64 LUNs took as long with 16 threads as with 64.
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
    /// Whether every portal group of ours is disabled.
    pub is_disabled: Cell<bool>,
}

impl Teardown<'_> {
    /// Takes everything away. What is gone already is no error.
    ///
    /// # Errors
    /// Stuck, with the culprit, when the kernel does not come back; otherwise the first thing that could not be removed.
    pub fn run(&self) -> Result<(), OcfError> {
        let mut disabling = self.disabling()?;
        self.finish("disable targets", &mut disabling)?;
        self.is_disabled.set(true);
        let mut draining = self.draining();
        self.finish("wait for sessions to end", &mut draining)?;
        // By name first: listing thousands of mapped LUNs takes longer than removing them.
        self.finish("remove ACLs", &mut Wave::start(self.acls(self.own), WIDTH))?;
        // What is really there now, whatever the record says.
        let live = Inventory::live(self.lio, self.own.targets.iter().map(|t| t.iqn.as_str()))?;
        Record::remember(self.cx, &live.backstores);
        self.finish("remove further ACLs", &mut Wave::start(self.acls(&live), WIDTH))?;
        self.finish("remove LUNs", &mut Wave::start(self.luns(&live), WIDTH))?;
        self.finish("remove targets", &mut Wave::start(self.targets(&live), WIDTH))?;
        self.finish("remove backstores", &mut Wave::start(self.backstores(&live)?, WIDTH))
    }

    /// Waits for a stage. When it hangs and the backends may be failed, it gets a second chance after that; but only when every disable has
    /// been issued by then, so that no initiator sees the error.
    fn finish(&self, stage: &str, wave: &mut Wave) -> Result<(), OcfError> {
        (self.cx.progress)(stage);
        let patience = if self.fail_backend { self.cx.deadline.share(0.4) } else { self.grace() };
        if wave.wait(patience) {
            return first(wave);
        }
        if self.fail_backend && (self.is_disabled.get() || wave.has_begun_all()) {
            if let Err(e) = self.fail_backends() {
                tracing::error!("{e}");
            }
            (self.cx.progress)(&format!("{stage}, after their I/O was failed"));
            if wave.wait(self.grace()) {
                return first(wave);
            }
        }
        let what = wave.outstanding().next().unwrap_or_default();
        Err(match hang::culprit(self.cx.root, self.own) {
            Some(culprit) => OcfError::stuck(format_args!("{culprit}: {what} hangs")),
            None => OcfError::stuck(format_args!("{what} hangs in the kernel")),
        })
    }

    /// Jobs that watch the deadline themselves get a moment more to say so.
    fn grace(&self) -> Deadline {
        Deadline::after(self.cx.deadline.remaining() + Duration::from_millis(100))
    }

    /// Tells every portal group of ours to disable, all at once.
    fn disabling(&self) -> Result<Wave, OcfError> {
        let mut jobs = Vec::new();
        for target in &self.own.targets {
            for tag in self.lio.target(&target.iqn).dirs()?.iter().filter_map(|d| d.strip_prefix("tpgt_")) {
                let dir = self.lio.target(&target.iqn).dir(format!("tpgt_{tag}"));
                jobs.push(Job::new(format!("disable {} tpgt_{tag}", target.iqn), move || tpg::set_enabled(&dir, false)));
            }
        }
        let width = jobs.len();
        Ok(Wave::start(jobs, width))
    }

    /// Gives every device-mapper backstore of ours that holds I/O back a table of errors, so that what waits for it comes back. Not one that
    /// somebody else exports too: their portal groups were not told to disable.
    fn fail_backends(&self) -> Result<(), OcfError> {
        (self.cx.progress)("fail the I/O of our backstores");
        let others = self.exported_by_others(self.cx.deadline.share(0.3))?;
        let mut jobs = Vec::new();
        for so in self.own.backstores.iter().filter(|so| hang::is_suspect(self.cx.root, so)) {
            let Some((major, minor)) = so.number.filter(|number| self.is_still_ours(so, *number)) else { continue };
            let is_dm = BlockDevice::numbered(self.cx.root, major, minor).is_dm().unwrap_or(false);
            if !is_dm || others.contains(&(so.hba.clone(), so.name.clone())) {
                tracing::warn!("backstore {}: can not be failed: no device-mapper device, or exported by others too", so.name);
                continue;
            }
            tracing::warn!("backstore {}: failing all I/O of its device, as fail_backend says", so.name);
            let root = self.cx.root.clone();
            jobs.push(Job::new(format!("fail {}", so.name), move || match DeviceMapper::open(&root)? {
                Some(mapper) => mapper.fail_io(Which::Number(major, minor)).map(drop),
                None => Ok(()),
            }));
        }
        let width = jobs.len();
        let mut wave = Wave::start(jobs, width);
        wave.wait(self.cx.deadline.share(0.3));
        for e in wave.take_failed() {
            tracing::error!("{e}");
        }
        Ok(())
    }

    /// Whether the backstore is still there, and still stands on the device that had this number when it was made.
    fn is_still_ours(&self, so: &inventory::Backstore, number: (u32, u32)) -> bool {
        let dir = self.lio.storage_object(&so.hba, &so.name);
        let Some(dev) = &so.dev else { return false };
        let is_same = dir.read_opt("udev_path").is_ok_and(|path| path.as_deref() == dev.to_str());
        let now = BlockDevice::of(self.cx.root, dev).map(|d| (d.major(), d.minor()));
        is_same && dir.read_opt("enable").is_ok_and(|e| e.as_deref() == Some("1")) && now.is_ok_and(|now| now == number)
    }

    /// What other targets export. A job, because LUNs of a target that hangs can be locked.
    fn exported_by_others(&self, patience: Deadline) -> Result<HashSet<(String, String)>, OcfError> {
        let own: Vec<String> = self.own.targets.iter().map(|t| t.iqn.clone()).collect();
        let (tell, told) = std::sync::mpsc::channel();
        let lio = self.lio.clone();
        let look = Job::new("look what other targets export", move || {
            let exported = storage::exported_by_others(&lio, &own)?;
            let _ = tell.send(exported);
            Ok(())
        });
        let mut wave = Wave::start(vec![look], 1);
        if !wave.wait(patience) {
            // Somebody else's hang: no proof of ours.
            return Err(OcfError::new(Code::Generic, "another target hangs: can not tell which backstores it exports"));
        }
        first(&mut wave)?;
        Ok(told.try_recv().unwrap_or_default())
    }

    /// "Disabled" does not mean "drained" when the sessions were closing already (`iscsit_release_sessions_for_tpg`, `iscsi_target.c`).
    fn draining(&self) -> Wave {
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
        Wave::start(self.own.targets.iter().map(|t| job(&t.iqn)).collect(), WIDTH)
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
        let job = |target: &inventory::Target| {
            let (lio, target) = (self.lio.clone(), target.clone());
            Job::new(format!("remove {}", target.iqn), move || {
                for group in &target.tpgs {
                    let dir = lio.tpg(&target.iqn, group.tag);
                    group.portals.iter().try_for_each(|np| dir.dir("np").dir(np).remove().map(drop))?;
                    dir.remove()?;
                }
                lio.target(&target.iqn).remove().map(drop)
            })
        };
        live.targets.iter().map(job).collect()
    }

    /// Our backstores that are there and that nobody else has. One that stands on another device than ours did is not ours.
    fn backstores(&self, live: &Inventory) -> Result<Vec<Job>, OcfError> {
        let exported = self.exported_by_others(self.grace())?;
        let claims = Claims::of_others(self.cx, self.lio)?;
        let mut ids: Vec<(String, String)> = Vec::new();
        for so in self.own.backstores.iter().chain(&live.backstores).filter(|so| !so.hba.is_empty()) {
            let id = (so.hba.clone(), so.name.clone());
            let dir = self.lio.storage_object(&so.hba, &so.name);
            let Some(dev) = dir.read_opt("udev_path")? else {
                // A start that was killed between the two directories left the first, empty.
                if !ids.contains(&id) && self.lio.core().dir(&so.hba).exists()? {
                    ids.push(id);
                }
                continue;
            };
            let same = dev.is_empty() || so.dev.as_ref().is_none_or(|d| d.as_os_str() == dev.as_str());
            if same && !ids.contains(&id) && !exported.contains(&id) && !claims.has_backstore(&so.hba, &so.name) {
                ids.push(id);
            }
        }
        let job = |(hba, name): (String, String)| {
            let lio = self.lio.clone();
            Job::new(format!("remove backstore {hba}/{name}"), move || storage::remove(&lio, &hba, &name))
        };
        Ok(ids.into_iter().map(job).collect())
    }
}

fn first(wave: &mut Wave) -> Result<(), OcfError> {
    let drained = |e: KernelError| match e.source.kind() {
        io::ErrorKind::TimedOut => OcfError::stuck(e),
        _ => e.into(),
    };
    wave.take_failed().into_iter().next().map_or(Ok(()), |e| Err(drained(e)))
}
