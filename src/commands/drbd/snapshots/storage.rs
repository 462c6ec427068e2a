//! The logical volumes below the volumes of a resource, found through the kernel by their UUIDs, and their volume groups as LVM sees them
//! without looking at a DRBD device.

use anyhow::{Context, Result, bail};

use super::group::{Group, Label, Snapshot};
use super::plan::Want;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::block::BlockDevice;
use crate::kernel::dm::DeviceMapper;
use crate::kernel::lvm::below::{disks_of, logical_volume};
use crate::kernel::lvm::command::Lvm;
use crate::kernel::lvm::names::{Uuid, VgName};
use crate::kernel::lvm::snapshot::{Lv, Space};

/// A volume of the resource, and what it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its number.
    pub number: u32,
    /// Its minor.
    pub minor: u32,
    /// The UUID of its volume group and of its logical volume; `None` when it stands on something else, or on nothing.
    pub lv: Option<(Uuid, Uuid)>,
    /// What it stands on, for people.
    pub on: String,
}

/// A volume group, and how it is asked.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its name.
    pub name: VgName,
    /// The commands.
    pub lvm: Lvm,
    /// What it holds.
    pub space: Space,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    /// The volumes of the resource.
    pub volumes: Vec<Volume>,
    /// The volume groups that they stand on.
    pub groups: Vec<Held>,
}

impl Storage {
    /// What these volumes stand on: number, minor and disk of each.
    ///
    /// # Errors
    /// The kernel or LVM can not be asked, or LVM sees less than the kernel.
    pub fn look(root: &Root, volumes: Vec<(u32, u32, Option<BlockDevice>)>, deadline: Deadline) -> Result<Self> {
        let mut storage = Self::default();
        let dm = DeviceMapper::open(root)?;
        for (number, minor, disk) in volumes {
            let on = match &disk {
                Some(disk) => disk.kernel_name().map(|name| format!("/dev/{name}"))?,
                None => "no disk".to_owned(),
            };
            let mut volume = Volume { number, minor, lv: None, on };
            if let Some(below) = disk.map(logical_volume).transpose()?.flatten() {
                let dm = dm.as_ref().context("this kernel has no device-mapper")?;
                let mapping = below.mapping;
                if !storage.groups.iter().any(|held| held.space.uuid == mapping.vg_uuid) {
                    storage.groups.push(held(root, dm, &mapping.vg, &mapping.vg_uuid, deadline)?);
                }
                volume.on = format!("{}/{}", mapping.vg, mapping.lv);
                volume.lv = Some((mapping.vg_uuid, mapping.lv_uuid));
            }
            storage.volumes.push(volume);
        }
        Ok(storage)
    }

    /// The logical volume below this volume, with its volume group.
    #[must_use]
    pub fn lv(&self, number: u32) -> Option<(&Held, &Lv)> {
        let (vg, lv) = self.volumes.iter().find(|volume| volume.number == number)?.lv.as_ref()?;
        let held = self.groups.iter().find(|held| held.space.uuid == *vg)?;
        Some((held, held.space.lvs.iter().find(|known| known.uuid == lv.as_str())?))
    }

    /// The volume group of this name.
    #[must_use]
    pub fn held(&self, name: &VgName) -> Option<&Held> {
        self.groups.iter().find(|held| held.name == *name)
    }

    /// The groups of snapshots of a resource, oldest first.
    #[must_use]
    pub fn snapshots(&self, resource: &str) -> Vec<Group> {
        let of = |held: &Held| -> Vec<Snapshot> { held.space.lvs.iter().filter_map(|lv| snapshot(held, lv)).collect() };
        Group::of(resource, self.groups.iter().flat_map(of))
    }

    /// What a snapshot of this volume wants, when so many bytes will change; `None` when no logical volume lies below it.
    #[must_use]
    pub fn want(&self, number: u32, changes: u64) -> Option<(&Held, &Lv, Want)> {
        let (held, lv) = self.lv(number)?;
        let free = |pool: &Lv| pool.size / 10_000 * u64::from(10_000 - pool.used.unwrap_or(0).min(10_000));
        let pool = lv.is_thin.then(|| (lv.pool.clone(), held.space.lv(&lv.pool).map_or(0, free)));
        Some((held, lv, Want { volume: number, size: lv.size, changes: changes.min(lv.size), pool }))
    }
}

fn snapshot(held: &Held, lv: &Lv) -> Option<Snapshot> {
    let label = Label::of(&lv.tags).filter(|_| lv.is_snapshot)?;
    Some(Snapshot {
        label,
        vg: held.name.clone(),
        name: lv.name.clone(),
        origin: lv.origin.clone(),
        is_thin: lv.is_thin,
        size: lv.size,
        used: if lv.is_thin { held.space.lv(&lv.pool).and_then(|pool| pool.used) } else { lv.used },
        is_invalid: lv.is_invalid,
        is_merging: lv.is_merging,
    })
}

/// Asks LVM about a volume group, of which it gets to see the disks that are in use and, if that is not all, everything but DRBD.
fn held(root: &Root, dm: &DeviceMapper, name: &str, uuid: &Uuid, deadline: Deadline) -> Result<Held> {
    let name = VgName::parse(name).map_err(anyhow::Error::msg).context("the volume group below DRBD")?;
    let lvm = Lvm::find(root).context("package lvm2")?;
    let narrow = lvm.clone().only(&disks_of(root, dm, uuid)?);
    let mut seen = None;
    for lvm in [narrow, lvm.all_but_drbd()] {
        let Some(space) = lvm.space(&name, deadline)?.filter(|space| space.uuid == *uuid) else { continue };
        let is_whole = space.missing_pvs == 0;
        seen = Some(Held { name: name.clone(), lvm, space });
        if is_whole {
            break;
        }
    }
    match seen {
        Some(held) if held.space.missing_pvs == 0 => Ok(held),
        Some(held) => bail!("{name} lacks {} of its physical volumes", held.space.missing_pvs),
        None => bail!("no volume group {name} is to be seen"),
    }
}
