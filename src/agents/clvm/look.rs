//! What is there, asked of device-mapper and sysfs alone: nothing here runs a command or waits for a disk.

use std::time::Duration;

use super::record::{Record, Recorded};
use super::values::Scope;
use crate::kernel::attr::Root;
use crate::kernel::block::BlockDevice;
use crate::kernel::dm::{DeviceMapper, Info, TargetLine, Which};
use crate::kernel::lvm::names::{LEASES, Mapping, Uuid, VgName};
use crate::ocf::error::OcfError;
use crate::ocf::run::{Context, State};

/// How long a device may be suspended before that counts: LVM suspends one for a snapshot or a resize.
const PAUSE: Duration = Duration::from_secs(5);
/// How long until it is looked at again.
const AGAIN: Duration = Duration::from_millis(200);
/// How deep devices may be stacked.
const DEPTH: usize = 16;

/// A device of the volume group.
#[derive(Debug, Clone)]
pub struct Device {
    /// What it is of LVM.
    pub mapping: Mapping,
    /// Its name, without `/dev/mapper/`.
    pub name: String,
    /// Its device-mapper UUID.
    pub uuid: String,
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
}

impl Device {
    /// As people know it: `vg1/lun0`.
    #[must_use]
    pub fn spoken(&self) -> String {
        format!("{}/{}", self.mapping.vg, self.mapping.lv)
    }

    /// Whether it is a logical volume as users see it, a thin pool included.
    #[must_use]
    pub fn is_volume(&self) -> bool {
        self.mapping.is_top() || self.mapping.suffix.as_deref() == Some("pool")
    }
}

/// The devices of a volume group, in the order of the kernel's list: by its UUID, or without one by its name.
///
/// # Errors
/// Device-mapper does not answer.
pub fn devices(dm: &DeviceMapper, vg: Option<&VgName>, uuid: Option<&Uuid>) -> Result<Vec<Device>, OcfError> {
    let prefix = uuid.map_or_else(|| "LVM-".to_owned(), Uuid::dm_prefix);
    let is_ours = |mapping: &Mapping| match uuid {
        Some(uuid) => mapping.vg_uuid == *uuid,
        None => vg.is_some_and(|vg| vg.as_str() == mapping.vg),
    };
    let device = |listed: crate::kernel::dm::Listed| {
        let uuid = listed.uuid?;
        let mapping = Mapping::of(&listed.name, &uuid).filter(|mapping| is_ours(mapping))?;
        Some(Device { mapping, name: listed.name, uuid, major: listed.major, minor: listed.minor })
    };
    Ok(dm.list(&prefix)?.into_iter().filter_map(device).collect())
}

/// Those of them that a resource is about.
///
/// An old-style snapshot goes with its origin, as LVM has it: the one is never activated or deactivated without the other. Other parts
/// go with the volume whose name they have, unless a volume out of scope stands on them: the thin pool of two resources is neither's.
///
/// # Errors
/// Device-mapper does not answer.
pub fn in_scope(
    dm: &DeviceMapper,
    devices: Vec<Device>,
    scope: &Scope,
    record: Option<&Record>,
) -> Result<Vec<Device>, OcfError> {
    let is_recorded = |device: &Device| record.is_some_and(|record| record.lvs.iter().any(|lv| lv.is(&device.mapping.lv_uuid)));
    // lvmlockd keeps the leases of sanlock there for as long as the lockspace is in use.
    let is_leases = |device: &Device| device.mapping.lv == LEASES;
    let is_meant = |device: &Device| !is_leases(device) && (is_recorded(device) || scope.has(device.mapping.base()));
    if scope.is_all() {
        return Ok(devices.into_iter().filter(is_meant).collect());
    }
    let (mut with_origin, mut of_others) = (Vec::new(), Vec::new());
    for volume in devices.iter().filter(|device| device.is_volume() && !is_meant(device)) {
        let stack = stacks(dm, &devices, &[volume])?;
        let is_origin = |part: &Device| part.mapping.suffix.as_deref() == Some("real") && is_meant(part);
        if stack.iter().any(is_origin) {
            with_origin.push(volume.mapping.lv_uuid.clone());
        } else {
            of_others.extend(stack.into_iter().map(|part| part.uuid));
        }
    }
    let is_own = |device: &Device| {
        let goes_along = with_origin.contains(&device.mapping.lv_uuid);
        goes_along || (is_meant(device) && (device.is_volume() || !of_others.contains(&device.uuid)))
    };
    Ok(devices.into_iter().filter(is_own).collect())
}

/// The volumes and the devices of their volume group that they stand on.
///
/// # Errors
/// Device-mapper does not answer.
pub fn stacks(dm: &DeviceMapper, all: &[Device], volumes: &[&Device]) -> Result<Vec<Device>, OcfError> {
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

/// What state the devices in scope are in.
///
/// # Errors
/// Device-mapper or sysfs does not answer.
pub fn state(
    cx: &Context,
    dm: &DeviceMapper,
    devices: &[Device],
    scope: &Scope,
    record: Option<&Record>,
) -> Result<State, OcfError> {
    let Some(first) = devices.first() else { return Ok(State::Stopped) };
    let volumes: Vec<_> = devices.iter().filter(|device| device.is_volume()).collect();
    if volumes.is_empty() {
        return Ok(State::Partial(format!("of {} only internal devices are left, such as {}", first.mapping.vg, first.name)));
    }
    if let Some(name) = missing(&volumes, scope, record) {
        return Ok(State::Partial(format!("{}/{name} is not active", first.mapping.vg)));
    }
    let mut degraded = None;
    for device in volumes {
        let recorded = record.and_then(|record| record.lvs.iter().find(|lv| lv.is(&device.mapping.lv_uuid)));
        // What was activated beside it by hand is nobody's business.
        if record.is_some() && recorded.is_none() {
            continue;
        }
        if let Some(why) = broken(cx, dm, device, recorded)? {
            return Ok(State::Failed(why));
        }
        match gone_below(cx.root, dm, device)? {
            Some(Gone { why, is_spare: false }) => return Ok(State::Failed(why)),
            Some(Gone { why, is_spare: true }) => degraded = degraded.or(Some(why)),
            None => {}
        }
    }
    Ok(degraded.map_or(State::Running, State::Degraded))
}

/// A logical volume that should be active and is not.
fn missing(volumes: &[&Device], scope: &Scope, record: Option<&Record>) -> Option<String> {
    match record {
        Some(record) => absent(volumes.iter().copied(), record).first().map(|lv| lv.name.clone()),
        None => scope.named().find(|name| !volumes.iter().any(|device| device.mapping.lv == *name)).map(str::to_owned),
    }
}

/// The logical volumes of the record that are not active.
pub fn absent<'a, 'b>(devices: impl Iterator<Item = &'b Device>, record: &'a Record) -> Vec<&'a Recorded> {
    let active: Vec<_> = devices.filter(|device| device.is_volume()).map(|device| device.mapping.lv_uuid.clone()).collect();
    record.lvs.iter().filter(|lv| !active.iter().any(|uuid| lv.is(uuid))).collect()
}

/// What is wrong with the device itself.
fn broken(cx: &Context, dm: &DeviceMapper, device: &Device, recorded: Option<&Recorded>) -> Result<Option<String>, OcfError> {
    let until = cx.deadline.share(0.5).within(PAUSE);
    let spoken = device.spoken();
    loop {
        let Some(info) = dm.status(Which::Uuid(&device.uuid))? else { return Ok(Some(format!("{spoken} has gone"))) };
        if info.suspended && !until.is_past() {
            std::thread::sleep(AGAIN);
            continue;
        }
        return Ok(complaint(&info, recorded).map(|what| format!("{spoken} {what}")));
    }
}

fn complaint(info: &Info, recorded: Option<&Recorded>) -> Option<String> {
    if info.suspended {
        return Some(format!("is suspended: all I/O waits until dmsetup resume {}", info.name));
    }
    if !info.has_table {
        return Some("has no table".to_owned());
    }
    let was_writable = recorded.is_some_and(|lv| !lv.is_read_only);
    (info.read_only && was_writable).then(|| "has become read-only".to_owned())
}

/// A device that is not there any more although something stands on it.
struct Gone {
    why: String,
    /// Whether there is RAID between, which can do without.
    is_spare: bool,
}

/// The first device below that has gone or is offline.
fn gone_below(root: &Root, dm: &DeviceMapper, top: &Device) -> Result<Option<Gone>, OcfError> {
    let mut found = None;
    let mut has_good = false;
    let mut left = vec![(top.major, top.minor, Vec::new())];
    let mut seen = Vec::new();
    while let Some((major, minor, above)) = left.pop() {
        if seen.contains(&(major, minor)) || above.len() > DEPTH {
            continue;
        }
        seen.push((major, minor));
        if major == top.major {
            let below = dm.deps(Which::Number(major, minor))?.unwrap_or_default();
            let path: Vec<_> = above.iter().copied().chain([(major, minor)]).collect();
            left.extend(below.into_iter().map(|(major, minor)| (major, minor, path.clone())));
            continue;
        }
        let Some(what) = trouble_of(root, &above, major, minor)? else {
            has_good = true;
            continue;
        };
        let why = format!("{} stands on {what}", top.spoken());
        if !has_redundancy(dm, &above)? {
            return Ok(Some(Gone { why, is_spare: false }));
        }
        found = Some(why);
    }
    // Where every disk is gone there is nothing to spare.
    Ok(found.map(|why| Gone { why, is_spare: has_good }))
}

/// What is wrong with a disk, as far as the kernel knows without asking it.
fn trouble_of(root: &Root, above: &[(u32, u32)], major: u32, minor: u32) -> Result<Option<String>, OcfError> {
    let device = BlockDevice::numbered(root, major, minor);
    if !device.exists()? {
        let upper = above.last().map(|(major, minor)| BlockDevice::numbered(root, *major, *minor));
        let name = upper.and_then(|upper| upper.gone_slaves().ok()?.into_iter().next());
        return Ok(Some(format!("{}, which has gone", name.unwrap_or_else(|| format!("device {major}:{minor}")))));
    }
    // SCSI: drivers/scsi/scsi_sysfs.c, sdev_states.
    let state = device.sys().dir("device").read_opt("state").unwrap_or_default();
    let is_offline = matches!(state.as_deref(), Some("offline" | "transport-offline"));
    Ok(is_offline.then(|| format!("{}, which is offline", device.kernel_name().unwrap_or_else(|_| format!("{major}:{minor}")))))
}

/// Whether one of these devices can do without a part of it.
fn has_redundancy(dm: &DeviceMapper, path: &[(u32, u32)]) -> Result<bool, OcfError> {
    for (major, minor) in path {
        let table = dm.table(Which::Number(*major, *minor))?.unwrap_or_default();
        let is_redundant = |line: &TargetLine| match line.kind.as_str() {
            "raid" => !line.params.starts_with("raid0"),
            kind => matches!(kind, "mirror" | "multipath"),
        };
        if table.iter().any(is_redundant) {
            return Ok(true);
        }
    }
    Ok(false)
}
