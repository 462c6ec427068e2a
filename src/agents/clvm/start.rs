//! The start: sees whose volume group it is, activates, and believes only what device-mapper shows. What a start that fails has done is
//! undone.

use std::time::Duration;

use super::Clvm;
use super::access::{self, Taken};
use super::look::{self, Device, absent};
use super::record::{Record, Recorded};
use super::stop;
use super::values::{Mode, Scope, Sharing};
use crate::kernel::block::BlockDevice;
use crate::kernel::dm::{DeviceMapper, Which};
use crate::kernel::drbd_disks::backing_disk_among;
use crate::kernel::error::KernelError;
use crate::kernel::lvm::command::{Activation, Locking, Lvm, Missing};
use crate::kernel::lvm::names::{LEASES, VgName};
use crate::kernel::lvm::report::{LogicalVolume, VolumeGroup};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// How long a volume group gets to appear: what is below has just been made.
const APPEARS: Duration = Duration::from_secs(5);
/// How long udev gets to make a device node.
const NODE: Duration = Duration::from_secs(10);
/// How long between two looks.
const AGAIN: Duration = Duration::from_millis(250);

/// A start under way.
struct Start<'a> {
    clvm: &'a Clvm,
    cx: &'a Context<'a>,
    dm: DeviceMapper,
    lvm: Lvm,
    vg: VgName,
    mode: Mode,
    scope: Scope,
}

impl Clvm {
    /// Makes every logical volume active that should be.
    ///
    /// # Errors
    /// Nothing of this start is left.
    pub(super) fn activate(&self, cx: &Context) -> Result<(), OcfError> {
        let (vg, mode, scope) = self.sound()?;
        let dm = super::device_mapper(cx)?;
        let lvm = super::lvm(cx)?.only(&self.devices);
        if mode == Mode::Lvmlockd {
            super::lockspace::ready(cx)?;
        }
        let mut start = Start { clvm: self, cx, dm, lvm, vg, mode, scope };
        let facts = start.facts()?;
        access::check(&facts, mode)?;
        start.check_drbd(&facts)?;
        start.check_missing(&facts)?;
        let lvs = start.expected(&facts)?;
        if self.devices.is_empty() {
            let there = facts.pvs.iter().filter(|pv| !pv.is_missing).map(|pv| pv.name.clone());
            start.lvm = start.lvm.only(&there.collect::<Vec<_>>());
        }
        start.run(&facts, lvs)
    }
}

impl Start<'_> {
    /// What the metadata says, once it is to be seen.
    fn facts(&self) -> Result<VolumeGroup, OcfError> {
        let until = self.cx.deadline.share(0.3).within(APPEARS);
        (self.cx.progress)(&format!("read the metadata of {}", self.vg));
        loop {
            let facts = self.lvm.report(&self.vg, false, self.cx.deadline.share(0.5))?;
            match facts {
                // A disk of several may come a moment later, and may be the one with the newer half of a mirror.
                Some(facts) if facts.missing_pvs == 0 || until.is_past() => return Ok(facts),
                _ => {}
            }
            if until.is_past() {
                let why = format_args!("vgname: no volume group {} is to be seen on this node", self.vg);
                // Often it is there a moment later, and 5 would ban the node.
                return Err(OcfError::new(Code::Generic, why));
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// A physical volume below DRBD is seen while DRBD is not attached: what is written there then never reaches the other node.
    fn check_drbd(&self, facts: &VolumeGroup) -> Result<(), OcfError> {
        let there = facts.pvs.iter().filter(|pv| !pv.is_missing).map(|pv| pv.name.as_str());
        match backing_disk_among(self.cx.root, there) {
            Ok(None) => Ok(()),
            Ok(Some(pv)) => {
                let vg = &self.vg;
                let why = format_args!("{vg}: {pv} is the disk below a DRBD device: set devices=/dev/drbdN or a global_filter");
                Err(OcfError::new(Code::Generic, why))
            }
            Err(e) => {
                tracing::warn!("whether {} is below DRBD can not be told: {e}", self.vg);
                Ok(())
            }
        }
    }

    fn missing(&self) -> Missing {
        match (self.clvm.missing, self.clvm.has_majority) {
            (Missing::Nothing, true) => Missing::Degraded,
            (missing, _) => missing,
        }
    }

    fn check_missing(&self, facts: &VolumeGroup) -> Result<(), OcfError> {
        if facts.missing_pvs == 0 || self.missing() != Missing::Nothing {
            return Ok(());
        }
        let why = format_args!(
            "{} lacks {} of its {} physical volumes (degraded_activation would do with RAID)",
            self.vg,
            facts.missing_pvs,
            facts.pvs.len()
        );
        Err(OcfError::new(Code::Generic, why))
    }

    /// The logical volumes that must be active afterwards.
    fn expected(&self, facts: &VolumeGroup) -> Result<Vec<Recorded>, OcfError> {
        let vg = &self.vg;
        let wrong = |why: String| Err(OcfError::new(Code::Generic, why));
        for name in self.scope.named() {
            match facts.lvs.iter().find(|lv| lv.name == name) {
                None => return wrong(format!("lvname: no logical volume {name} in {vg}")),
                Some(lv) if lv.skips_activation => {
                    return wrong(format!("{vg}/{name} has the activation-skip flag: lvchange -kn {vg}/{name}"));
                }
                Some(_) => {}
            }
        }
        // LVM takes an origin up and down with its snapshots.
        let is_alone = |lv: &&LogicalVolume| {
            let origin = facts.lvs.iter().find(|other| lv.is("thicksnapshot") && other.name == lv.origin);
            self.scope.has(&lv.name) && origin.is_some_and(|origin| !self.scope.has(&origin.name))
        };
        if let Some(lv) = facts.lvs.iter().find(is_alone) {
            let why = format!("lvname: {} is a snapshot of {}, which must be named too: LVM activates both", lv.name, lv.origin);
            return wrong(why);
        }
        let is_named = |name: &str| self.scope.named().any(|named| named == name);
        let is_meant = |lv: &&LogicalVolume| {
            !lv.is_internal && !lv.skips_activation && self.scope.has(&lv.name) && (lv.is("public") || is_named(&lv.name))
        };
        let meant: Vec<_> = facts.lvs.iter().filter(is_meant).collect();
        if meant.is_empty() {
            return wrong(format!("{vg} has no logical volume to activate"));
        }
        let recorded = |lv: &&LogicalVolume| Recorded { name: lv.name.clone(), uuid: lv.uuid.to_string(), is_read_only: false };
        Ok(meant.iter().map(recorded).collect())
    }

    fn run(&self, facts: &VolumeGroup, lvs: Vec<Recorded>) -> Result<(), OcfError> {
        let before = self.devices(facts)?;
        let earlier = Record::load(self.cx);
        let mut record = Record {
            vg: facts.name.clone(),
            uuid: facts.uuid.to_string(),
            mode: self.mode.as_str().to_owned(),
            system_id: None,
            tag: (self.mode == Mode::Tagging).then(|| self.clvm.tag.clone()),
            lvs,
            devices: facts.pvs.iter().filter(|pv| !pv.is_missing).map(|pv| pv.name.clone()).collect(),
            is_complete: false,
        };
        // First, so that a stop finds what a start that is killed leaves.
        record.save(self.cx)?;
        let taken = match self.clvm.take(self.cx, &self.lvm, &self.vg, facts, self.mode) {
            Ok(taken) => taken,
            Err(e) => {
                self.restore(earlier);
                return Err(e);
            }
        };
        if self.mode == Mode::SystemId {
            record.system_id = self.lvm.system_id(self.cx.deadline.share(0.3)).ok().filter(|id| !id.is_empty());
        }
        match self.bring_up(facts, &mut record) {
            Ok(()) => Ok(()),
            Err(e) => {
                // What is left is a stop's to take down, which finds it by the record.
                if self.undo(facts, &before, &record, taken) {
                    self.restore(earlier);
                }
                Err(e)
            }
        }
    }

    /// The record that was there before this start.
    fn restore(&self, earlier: Option<Record>) {
        match earlier {
            Some(earlier) => {
                if let Err(e) = earlier.save(self.cx) {
                    tracing::warn!("{e}");
                }
            }
            None => Record::forget(self.cx),
        }
    }

    fn bring_up(&self, facts: &VolumeGroup, record: &mut Record) -> Result<(), OcfError> {
        let locking = match (self.mode, self.clvm.sharing) {
            (Mode::Lvmlockd, Sharing::Exclusive) => Locking::Exclusive,
            (Mode::Lvmlockd, Sharing::Shared) => Locking::Shared,
            _ => Locking::Plain,
        };
        let config = format!("activation{{volume_list=[\"@{}\"]}}", self.clvm.tag);
        let config = (self.mode == Mode::Tagging).then_some(config.as_str());
        let how = Activation { locking, missing: self.missing(), config };
        let names: Vec<_> = record.lvs.iter().map(|lv| lv.name.clone()).collect();
        let names = if self.scope.is_all() { Vec::new() } else { names };
        (self.cx.progress)(&format!("activate {}", self.vg));
        let said = self.lvm.activate(&self.vg, &names, &how, self.cx.deadline.share(0.7));
        let devices = self.devices(facts)?;
        let left_out = absent(devices.iter(), record).first().map(|lv| lv.name.clone());
        match (said, left_out) {
            (Ok(()), None) => {}
            // Active it may be without a lock, and then it is not ours.
            (Err(e), None) if self.mode != Mode::Lvmlockd => tracing::warn!("{e}"),
            (Err(e), _) => return Err(self.why_not(e)),
            (Ok(()), Some(lv)) => {
                let why = format_args!("{}/{lv} was not activated (activation/volume_list in lvm.conf?)", self.vg);
                return Err(OcfError::new(Code::Generic, why));
            }
        }
        for lv in &mut record.lvs {
            let Some(device) = devices.iter().find(|device| device.is_volume() && lv.is(&device.mapping.lv_uuid)) else {
                continue;
            };
            let info = self.dm.status(Which::Uuid(&device.uuid))?;
            lv.is_read_only = info.is_some_and(|info| info.read_only);
            self.node(&lv.name, device)?;
        }
        record.is_complete = true;
        record.save(self.cx)
    }

    /// The reason why LVM did not activate; with lvmlockd, what it waits for.
    fn why_not(&self, e: KernelError) -> OcfError {
        let waits_for = (self.mode == Mode::Lvmlockd).then(|| super::lockspace::waits_for(self.cx, &self.vg)).flatten();
        match waits_for {
            Some(why) => OcfError::new(Code::Generic, format_args!("{}: {why}", self.vg)),
            None => e.into(),
        }
    }

    /// Waits until programs find the device.
    fn node(&self, lv: &str, device: &Device) -> Result<(), OcfError> {
        let until = self.cx.deadline.share(0.5).within(NODE);
        let leads_to = |path: &str| {
            BlockDevice::of(self.cx.root, path).is_ok_and(|node| (node.major(), node.minor()) == (device.major, device.minor))
        };
        let (usual, other) = (format!("/dev/{}/{lv}", self.vg), format!("/dev/mapper/{}", device.name));
        while !leads_to(&usual) {
            if until.is_past() {
                if leads_to(&other) {
                    tracing::warn!("{usual} does not lead to the device, {other} does (is udevd running?)");
                    return Ok(());
                }
                return Err(OcfError::new(
                    Code::Generic,
                    format_args!("{usual} does not lead to the device (is udevd running?)"),
                ));
            }
            std::thread::sleep(AGAIN);
        }
        Ok(())
    }

    fn devices(&self, facts: &VolumeGroup) -> Result<Vec<Device>, OcfError> {
        look::devices(&self.dm, None, Some(&facts.uuid))
    }

    /// Deactivates what was not active before, and gives back what was taken. Whether that came to its end.
    fn undo(&self, facts: &VolumeGroup, before: &[Device], record: &Record, taken: Taken) -> bool {
        let undone = || -> Result<(), OcfError> {
            let now = self.devices(facts)?;
            let new = self.activated(&now, before, record)?;
            if !new.is_empty() {
                (self.cx.progress)(&format!("deactivate what was activated of {}", self.vg));
                stop::take_down(
                    self.cx,
                    &self.dm,
                    std::slice::from_ref(&self.lvm),
                    &self.vg,
                    &now,
                    &new,
                    self.cx.deadline.share(0.8),
                )?;
            }
            if self.mode == Mode::Lvmlockd {
                // LVM takes a lock before it maps, and keeps it when that fails.
                let was_there = |lv: &Recorded| before.iter().any(|device| lv.is(&device.mapping.lv_uuid));
                let lvs: Vec<_> = record.lvs.iter().filter(|lv| !was_there(lv)).cloned().collect();
                if !super::lockspace::release(self.cx, Some(&self.lvm), &self.vg, &lvs, self.cx.deadline.share(0.6))? {
                    let why = format_args!("{}: locks are still held (lvmlockctl --info)", self.vg);
                    return Err(OcfError::new(Code::Generic, why));
                }
            }
            Ok(())
        };
        if let Err(e) = undone() {
            tracing::warn!("{e}");
            return false;
        }
        self.clvm.give_back(self.cx, &self.lvm, &self.vg, taken);
        true
    }

    /// What this start has activated, parts without their volume included.
    fn activated(&self, now: &[Device], before: &[Device], record: &Record) -> Result<Vec<Device>, OcfError> {
        let was_there = |device: &Device| before.iter().any(|earlier| earlier.uuid == device.uuid);
        let new: Vec<_> = now.iter().filter(|device| device.mapping.lv != LEASES && !was_there(device)).cloned().collect();
        let is_shared = Record::of_others(self.cx)?.iter().any(|(_, other)| other.uuid == record.uuid);
        // A pool below a volume need not be in scope by its name; what another resource starts just now must not be taken from it.
        if is_shared { look::in_scope(&self.dm, new, &self.scope, Some(record)) } else { Ok(new) }
    }
}
