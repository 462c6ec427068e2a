//! The logical volumes below DRBD devices, as the kernel has them: by sysfs and device-mapper, without a program and without opening a disk.
//! And how full the snapshots of one are.

use super::mapping::{Mapping, Uuid};
use crate::kernel::attr::Root;
use crate::kernel::block::BlockDevice;
use crate::kernel::dm::health::{Health, Ratio};
use crate::kernel::dm::{DeviceMapper, Which};
use crate::kernel::drbd::MAJOR;
use crate::kernel::error::Result;

/// What the name of a snapshot has in it that was made before a resync.
pub const BEFORE_RESYNC: &str = "-before-resync-";

/// A logical volume below a DRBD device.
#[derive(Debug, Clone)]
pub struct Below {
    /// Which one it is.
    pub mapping: Mapping,
    /// Its device.
    pub device: BlockDevice,
}

/// The disk below the DRBD device of this minor; `None` when none is attached. With its meta-data on a disk of its own there are two: the
/// one for the data is at least as large as the device.
///
/// # Errors
/// Whatever reading sysfs says.
pub fn disk_below(root: &Root, minor: u32) -> Result<Option<BlockDevice>> {
    let drbd = BlockDevice::numbered(root, MAJOR, minor);
    let mut disks = drbd.slaves(root)?;
    if disks.len() > 1 {
        let size = drbd.size_bytes()?;
        disks.retain(|disk| disk.size_bytes().is_ok_and(|own| own >= size));
    }
    Ok(disks.into_iter().next())
}

/// The logical volume that this device is; `None` when it is something else.
///
/// # Errors
/// Whatever reading sysfs says.
pub fn logical_volume(device: BlockDevice) -> Result<Option<Below>> {
    let (Some(name), Some(uuid)) = (device.dm_name()?, device.dm_uuid()?) else { return Ok(None) };
    Ok(Mapping::of(&name, &uuid).filter(Mapping::is_top).map(|mapping| Below { mapping, device }))
}

/// The disks that the active logical volumes of this volume group are on, by path: what LVM must look at, and nothing else.
///
/// # Errors
/// Whatever device-mapper or sysfs says.
pub fn disks_of(root: &Root, dm: &DeviceMapper, vg: &Uuid) -> Result<Vec<String>> {
    let own = dm.list(&vg.dm_prefix())?;
    let is_own = |number: (u32, u32)| own.iter().any(|device| (device.major, device.minor) == number);
    let mut paths = Vec::new();
    for device in &own {
        let below = dm.deps(Which::Number(device.major, device.minor))?.unwrap_or_default();
        for (major, minor) in below.into_iter().filter(|number| !is_own(*number)) {
            let disk = BlockDevice::numbered(root, major, minor);
            let path = match disk.dm_name()? {
                Some(name) => format!("/dev/mapper/{name}"),
                None => format!("/dev/{}", disk.kernel_name()?),
            };
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

/// Lets go on what a command of LVM has left suspended when it was ended; how many devices that were.
///
/// # Errors
/// Whatever device-mapper says.
pub fn resume_all(dm: &DeviceMapper, vg: &Uuid) -> Result<usize> {
    let mut resumed = 0;
    for device in dm.list(&vg.dm_prefix())? {
        let which = Which::Number(device.major, device.minor);
        if dm.status(which)?.is_some_and(|info| info.suspended) && dm.resume(which)? {
            resumed += 1;
        }
    }
    Ok(resumed)
}

/// How full a thick snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// Its name.
    pub name: String,
    /// Sectors; `None` when it has overflowed and holds nothing any more.
    pub used: Option<Ratio>,
}

/// The thick snapshots of the disk below the DRBD device of this minor that were made before a resync, and how full they are. A thin one has
/// no limit of its own but that of its pool.
///
/// Asks for the state of a device, so only for a child that nobody waits for without a deadline.
///
/// # Errors
/// Whatever sysfs or device-mapper says.
pub fn snapshots_before_resync(root: &Root, dm: &DeviceMapper, minor: u32) -> Result<Vec<Fill>> {
    let Some(below) = disk_below(root, minor)?.map(logical_volume).transpose()?.flatten() else { return Ok(Vec::new()) };
    // A volume with snapshots stands on a layer of its own, and they stand on it too.
    let layers = below.device.slaves(root)?;
    let mut found = Vec::new();
    for device in dm.list(&below.mapping.vg_uuid.dm_prefix())? {
        let mapping = device.uuid.as_deref().and_then(|uuid| Mapping::of(&device.name, uuid));
        let Some(mapping) = mapping.filter(|mapping| mapping.is_top() && mapping.lv.contains(BEFORE_RESYNC)) else { continue };
        let which = Which::Number(device.major, device.minor);
        let deps = dm.deps(which)?.unwrap_or_default();
        if !layers.iter().any(|layer| deps.contains(&(layer.major(), layer.minor()))) {
            continue;
        }
        for line in dm.target_status(which)?.unwrap_or_default() {
            match Health::of(&line) {
                Some(Health::Snapshot { used }) => found.push(Fill { name: mapping.lv.clone(), used: Some(used) }),
                Some(_) if line.kind == "snapshot" => found.push(Fill { name: mapping.lv.clone(), used: None }),
                _ => {}
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "LVM-9x1qyRFPEIzHHhCGH9Lr5GMZ3SLn0WUDLhq4h3Ne8tQDO7MtUEY4eWvSoaJ1nMWz";

    fn disk(root: &Root, name: &str, number: &str, sectors: u64) {
        root.dir("/sys/block/drbd10/slaves").dir(name).set("dev", number).unwrap();
        root.dir("/sys/dev/block/147:10/slaves").dir(name).set("dev", number).unwrap();
        root.dir("/sys/dev/block").dir(number).set("size", &sectors.to_string()).unwrap();
    }

    #[test]
    fn the_volume_below_a_device_is_known_by_its_uuid_and_is_not_the_one_for_the_meta_data() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        assert!(disk_below(&root, 10).unwrap().is_none());
        root.dir("/sys/dev/block/147:10").set("size", "2048").unwrap();
        disk(&root, "vdc", "254:32", 64);
        disk(&root, "dm-3", "253:3", 2048);
        let found = disk_below(&root, 10).unwrap().unwrap();
        assert_eq!((found.major(), found.minor()), (253, 3));
        assert!(logical_volume(found.clone()).unwrap().is_none(), "no device-mapper says anything of it");
        root.dir("/sys/dev/block/253:3/dm").set("name", "vg1-lv1\n").unwrap();
        root.dir("/sys/dev/block/253:3/dm").set("uuid", "CRYPT-LUKS2-0123\n").unwrap();
        assert!(logical_volume(found.clone()).unwrap().is_none());
        root.dir("/sys/dev/block/253:3/dm").set("uuid", UUID).unwrap();
        let below = logical_volume(found).unwrap().unwrap();
        assert_eq!((below.mapping.vg.as_str(), below.mapping.lv.as_str()), ("vg1", "lv1"));
    }
}
