//! The stop: deactivates by LVM, and where LVM can not, by device-mapper alone. Only device-mapper says that it is done.

use std::io;
use std::time::Duration;

use super::Clvm;
use super::facts;
use super::lockspace;
use super::look::{self, Device};
use super::record::{Record, Recorded};
use super::values::{Mode, Scope};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::block::BlockDevice;
use crate::kernel::dm::{DeviceMapper, Removal, Which};
use crate::kernel::drbd;
use crate::kernel::error::KernelError;
use crate::kernel::holders::holders;
use crate::kernel::lvm::command::Lvm;
use crate::kernel::lvm::names::VgName;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// How long between two looks at something that is in use.
const AGAIN: Duration = Duration::from_millis(250);
/// How long it takes to find out who holds a device.
const FIND: Duration = Duration::from_secs(3);
/// How long a disk with I/O under way may complete none before it is taken as hung.
const SILENCE: Duration = Duration::from_secs(2);
/// The share of the time that is spent waiting for users to go, so that their names can still be told.
const WAITING: f64 = 0.7;

impl Clvm {
    /// Takes down what is there of this resource.
    ///
    /// # Errors
    /// Something is still there: who holds it, or what hangs.
    pub(super) fn deactivate(&self, cx: &Context) -> Result<(), OcfError> {
        let mut record = Record::load(cx);
        if let Some(started) = &record {
            if self.is_made_anew(cx, started)? {
                tracing::warn!("{} is active, and is not the volume group that was started", started.vg);
                record = None;
            }
        }
        let named = record.as_ref().and_then(|record| VgName::parse(&record.vg).ok()).or_else(|| self.vg.clone().ok());
        let Some(mut vg) = named else {
            tracing::warn!("vgname: no volume group is named, and no start is recorded: nothing to stop");
            return Ok(());
        };
        let lvms = self.lvms(cx, record.as_ref()).inspect_err(|e| tracing::warn!("{e}")).unwrap_or_default();
        let uuid = record.as_ref().and_then(Record::vg_uuid);
        let scope = self.scope.clone().unwrap_or_else(|_| Scope::nothing());
        if let Some(dm) = DeviceMapper::open(cx.root)? {
            let look = || -> Result<(Vec<Device>, Vec<Device>), OcfError> {
                let all = look::devices(&dm, self.vg.as_ref().ok(), uuid.as_ref())?;
                Ok((all.clone(), look::in_scope(&dm, all, &scope, record.as_ref())?))
            };
            let (all, own) = look()?;
            let below = below(cx, &dm, &own, record.as_ref());
            vg = record.as_ref().and_then(|record| facts::name_now(&all, record)).unwrap_or(vg);
            let mode = record.as_ref().map_or(self.mode.clone().ok(), |record| Some(record.mode()));
            if !own.is_empty() {
                let waits = (mode == Some(Mode::Lvmlockd)).then(|| lockspace::keeps_waiting(cx, &vg)).flatten();
                if let Some(why) = &waits {
                    tracing::warn!("{vg}: not asking LVM: {why}");
                }
                let lvms = if waits.is_none() { lvms.as_slice() } else { &[] };
                take_down(cx, &dm, lvms, &vg, &all, &own, cx.deadline.share(0.85))?;
            }
            let (all, _) = look()?;
            let is_free = !all.iter().any(Device::is_volume);
            let has_to_give = match mode {
                Some(Mode::Lvmlockd) => true,
                Some(Mode::Tagging) => is_free,
                Some(Mode::SystemId) => is_free && self.releases,
                Some(Mode::Local) | None => false,
            };
            let is_lockd = mode == Some(Mode::Lvmlockd);
            // A program that hangs there would keep the disk open for good, and could not write the tag or system id anyway: it stays. But
            // where others use the volume group only LVM gives back single locks, and the disk may answer again.
            let may_ask = has_to_give && ((is_lockd && !is_free) || !hangs(cx, &below));
            let seen = if may_ask { self.facts(cx, &vg, record.as_ref(), false).ok().flatten() } else { None };
            let lvm = seen.map(|(_, lvm)| lvm).or(lvms.into_iter().next()).filter(|_| may_ask);
            let lvm = lvm.as_ref();
            if is_lockd {
                let recorded = record.as_ref().map_or_else(|| Recorded::of(&own), |record| record.lvs.clone());
                if !lockspace::release(cx, lvm, &vg, &recorded, cx.deadline.share(0.5))? && !is_free {
                    let why = format_args!("{vg}: locks of what is not active here are still held: lvmlockctl --info");
                    return Err(OcfError::new(Code::Generic, why));
                }
            }
            if let (true, Some(mode)) = (has_to_give && is_free, mode) {
                let tag = record.as_ref().and_then(|record| record.tag.clone()).unwrap_or_else(|| self.tag.clone());
                self.let_go(cx, lvm, &vg, mode, &tag)?;
            }
        }
        self.is_swept.set(true);
        self.stopped.replace(record);
        Record::forget(cx);
        Ok(())
    }
}

/// Takes down the devices `own` of the devices `all` of a volume group.
///
/// # Errors
/// Something is still there.
pub fn take_down(
    cx: &Context,
    dm: &DeviceMapper,
    lvms: &[Lvm],
    vg: &VgName,
    all: &[Device],
    own: &[Device],
    deadline: Deadline,
) -> Result<(), OcfError> {
    let patience = deadline.share(WAITING);
    let mut lvms = if hangs_below(cx, dm, own) { &[] } else { lvms };
    let mut complaint = None;
    let mut has_hung = false;
    loop {
        let left = there(dm, own)?;
        if left.is_empty() {
            return Ok(());
        }
        let busy = in_use(dm, all, &left)?;
        if busy.is_empty() {
            (cx.progress)(&format!("deactivate {vg}"));
            for lvm in lvms {
                match lvm.deactivate(vg, &volumes(&left), deadline.share(0.4)) {
                    Ok(()) => break,
                    Err(e) => {
                        tracing::warn!("{e}");
                        has_hung |= e.source.kind() == io::ErrorKind::TimedOut;
                        complaint = Some(e);
                    }
                }
                if has_hung {
                    break;
                }
            }
            let left = there(dm, own)?;
            if !left.is_empty() && in_use(dm, all, &left)?.is_empty() {
                (cx.progress)(&format!("remove what is left of {vg} from device-mapper"));
                remove(dm, all, &left)?;
            }
            // It has had its chance, and what hung once would hang again.
            lvms = if has_hung { &[] } else { lvms };
        } else if let Some(device) = busy.first() {
            (cx.progress)(&format!("wait for the users of {}", device.spoken()));
        }
        if there(dm, own)?.is_empty() {
            return Ok(());
        }
        if patience.is_past() {
            return Err(still_there(cx, dm, all, own, complaint, has_hung));
        }
        std::thread::sleep(AGAIN);
    }
}

/// What `lvchange` is to be given.
fn volumes(devices: &[Device]) -> Vec<String> {
    // Not every part has the name of a logical volume: where only parts are left, it is tried.
    let has_volume = devices.iter().any(Device::is_volume);
    let given = devices.iter().filter(|device| device.is_volume() || !has_volume);
    let mut names: Vec<_> = given.map(|device| device.mapping.base().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

/// Those of the devices that are still there.
fn there(dm: &DeviceMapper, devices: &[Device]) -> Result<Vec<Device>, OcfError> {
    let mut left = Vec::new();
    for device in devices {
        if dm.status(Which::Uuid(&device.uuid))?.is_some() {
            left.push(device.clone());
        }
    }
    Ok(left)
}

/// Those of the devices that somebody else than the volume group itself has open.
fn in_use(dm: &DeviceMapper, all: &[Device], devices: &[Device]) -> Result<Vec<Device>, OcfError> {
    let mut from_above = std::collections::BTreeMap::new();
    for device in all {
        for below in dm.deps(Which::Uuid(&device.uuid))?.unwrap_or_default() {
            *from_above.entry(below).or_insert(0u32) += 1;
        }
    }
    let mut busy = Vec::new();
    for device in devices {
        let Some(info) = dm.status(Which::Uuid(&device.uuid))? else { continue };
        if info.open_count > from_above.get(&(device.major, device.minor)).copied().unwrap_or(0) {
            busy.push(device.clone());
        }
    }
    Ok(busy)
}

/// Removes devices and what only they stood on, from the top to the bottom, as long as it goes on.
fn remove(dm: &DeviceMapper, all: &[Device], own: &[Device]) -> Result<(), OcfError> {
    let mut left = own.to_vec();
    loop {
        let mut has_moved = false;
        let mut later = Vec::new();
        for device in left {
            let below = dm.deps(Which::Uuid(&device.uuid))?.unwrap_or_default();
            match dm.remove(Which::Uuid(&device.uuid))? {
                Removal::Busy => later.push(device),
                Removal::Absent => has_moved = true,
                Removal::Removed => {
                    tracing::warn!("{}: removed from device-mapper, past LVM", device.name);
                    has_moved = true;
                    let is_part = |other: &&Device| !other.is_volume() && below.contains(&(other.major, other.minor));
                    later.extend(all.iter().filter(is_part).cloned());
                }
            }
        }
        if later.is_empty() || !has_moved {
            return Ok(());
        }
        left = later;
    }
}

/// Why it is still there.
fn still_there(
    cx: &Context,
    dm: &DeviceMapper,
    all: &[Device],
    own: &[Device],
    complaint: Option<KernelError>,
    has_hung: bool,
) -> OcfError {
    let left = there(dm, own).unwrap_or_default();
    let busy = in_use(dm, all, &left).unwrap_or_default();
    if let Some(device) = busy.first() {
        let who: Vec<_> = holders(cx.root, device.major, device.minor, cx.deadline.share(0.5).within(FIND))
            .iter()
            .map(ToString::to_string)
            .collect();
        let who = if who.is_empty() { "somebody in the kernel has it open".to_owned() } else { who.join(", ") };
        let reason = format!("{} is in use: {who}", device.spoken());
        // Nobody can let go of it then.
        return if hangs_below(cx, dm, own) { OcfError::stuck(reason) } else { OcfError::new(Code::Generic, reason) };
    }
    let what = left.first().map(|device| device.name.clone()).unwrap_or_default();
    let why = complaint.map(|e| format!(": {e}")).unwrap_or_default();
    let reason = format!("{what} is still there{why}");
    if has_hung { OcfError::stuck(reason) } else { OcfError::new(Code::Generic, reason) }
}

/// Whether a disk below the devices `own` would make LVM hang.
fn hangs_below(cx: &Context, dm: &DeviceMapper, own: &[Device]) -> bool {
    hangs(cx, &leaves(cx.root, dm, own).unwrap_or_default())
}

/// Whether one of the disks `leaves` would make LVM hang: a device-mapper device that is suspended, DRBD whose I/O stands still, or a disk
/// whose I/O under way does not come back.
fn hangs(cx: &Context, leaves: &[BlockDevice]) -> bool {
    if leaves.iter().any(|leaf| leaf.is_suspended().unwrap_or(false)) {
        tracing::warn!("a disk below is suspended: not asking LVM");
        return true;
    }
    if let Some(minor) = frozen_drbd(cx, leaves) {
        tracing::warn!("the I/O of drbd{minor} stands still: not asking LVM");
        return true;
    }
    let busy: Vec<_> =
        leaves.iter().filter_map(|leaf| Some((leaf, leaf.stat().ok().filter(|stat| stat.in_flight > 0)?))).collect();
    if busy.is_empty() {
        return false;
    }
    let until = cx.deadline.share(0.2).within(SILENCE);
    let is_silent = |(leaf, before): &&(&BlockDevice, crate::kernel::block::Stat)| {
        leaf.stat().is_ok_and(|now| now.in_flight > 0 && now.completed() == before.completed())
    };
    while busy.iter().any(|one| is_silent(&one)) {
        if until.is_past() {
            tracing::warn!("a disk below answers nothing: not asking LVM");
            return true;
        }
        std::thread::sleep(AGAIN);
    }
    false
}

/// The minor of a DRBD device below the devices `own` whose I/O stands still.
pub fn frozen_below(cx: &Context, dm: &DeviceMapper, own: &[Device]) -> Option<u32> {
    frozen_drbd(cx, &leaves(cx.root, dm, own).unwrap_or_default())
}

/// The minor of a DRBD device among the disks `leaves` whose I/O stands still.
fn frozen_drbd(cx: &Context, leaves: &[BlockDevice]) -> Option<u32> {
    let minors: Vec<u32> = leaves.iter().filter(|leaf| leaf.major() == drbd::MAJOR).map(BlockDevice::minor).collect();
    if minors.is_empty() {
        return None;
    }
    let frozen = drbd::frozen_minors(cx.root, cx.deadline.share(0.2).within(SILENCE)).inspect_err(|e| tracing::debug!("{e}"));
    frozen.unwrap_or_default().into_iter().find(|minor| minors.contains(minor))
}

/// The disks below the devices `own`; where there are none any more, those that the start saw.
fn below(cx: &Context, dm: &DeviceMapper, own: &[Device], record: Option<&Record>) -> Vec<BlockDevice> {
    match record {
        Some(record) if own.is_empty() => record.devices.iter().filter_map(|path| BlockDevice::of(cx.root, path).ok()).collect(),
        _ => leaves(cx.root, dm, own).unwrap_or_default(),
    }
}

/// The disks below: everything that is not the volume group's own.
fn leaves(root: &Root, dm: &DeviceMapper, own: &[Device]) -> Result<Vec<BlockDevice>, OcfError> {
    let mut found: Vec<BlockDevice> = Vec::new();
    let mut seen = Vec::new();
    let mut left: Vec<_> = own.iter().map(|device| (device.major, device.minor)).collect();
    while let Some(number) = left.pop() {
        if seen.contains(&number) {
            continue;
        }
        seen.push(number);
        let is_own = own.iter().any(|device| (device.major, device.minor) == number);
        let device = BlockDevice::numbered(root, number.0, number.1);
        if !is_own {
            found.push(device.clone());
        }
        if own.first().is_some_and(|first| first.major == number.0) {
            left.extend(dm.deps(Which::Number(number.0, number.1))?.unwrap_or_default());
        }
    }
    Ok(found)
}
