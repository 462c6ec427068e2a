//! Makes and removes the snapshots of a group: all of them or none.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::group::{Group, Kind, Label, Snapshot, stamp};
use super::plan::{Want, sizes};
use super::storage::{Held, Storage};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::dm::DeviceMapper;
use crate::kernel::lvm::below::resume_all;
use crate::kernel::lvm::names::VgName;
use crate::kernel::lvm::snapshot::{NewSnapshot, extension, may_leave_suspended, removal};

/// Kept back for resuming what a command of LVM left suspended.
const RESERVE: Duration = Duration::from_secs(2);

/// A group to be made.
#[derive(Debug, Clone)]
pub struct Order {
    /// What for.
    pub kind: Kind,
    /// The resource.
    pub resource: String,
    /// When, in UTC: `2026-01-31T12:00:00Z`.
    pub time: String,
    /// Bytes that will change, as far as known, by volume: all of the group.
    pub changes: BTreeMap<u32, u64>,
    /// Data generations, by volume, as far as known.
    pub generations: BTreeMap<u32, String>,
}

/// A snapshot to be made in a volume group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The volume group.
    pub vg: VgName,
    /// The snapshot.
    pub new: NewSnapshot,
}

/// What is to be made, in order of the volumes, and the volumes below which there is no logical volume.
///
/// # Errors
/// What there is no room for.
pub fn plan(storage: &Storage, order: &Order) -> Result<(Vec<Step>, Vec<u32>), String> {
    let mut without = Vec::new();
    let mut by_group: Vec<(&Held, Vec<Want>)> = Vec::new();
    for (volume, changes) in &order.changes {
        let Some((held, _, want)) = storage.want(*volume, *changes) else {
            without.push(*volume);
            continue;
        };
        match by_group.iter_mut().find(|(known, _)| known.name == held.name) {
            Some((_, wants)) => wants.push(want),
            None => by_group.push((held, vec![want])),
        }
    }
    let all: Vec<u32> = order.changes.keys().copied().filter(|volume| !without.contains(volume)).collect();
    let mut steps = BTreeMap::new();
    for (held, wants) in by_group {
        let given = sizes(&wants, held.space.free, held.space.extent_size).map_err(|why| format!("{}: {why}", held.name))?;
        for (want, size) in wants.iter().zip(given) {
            let Some((_, lv)) = storage.lv(want.volume) else { continue };
            let label = Label {
                kind: order.kind,
                resource: order.resource.clone(),
                volume: want.volume,
                group: stamp(&order.time),
                volumes: all.clone(),
                time: order.time.clone(),
                generation: order.generations.get(&want.volume).cloned(),
            };
            let new = NewSnapshot { origin: lv.name.clone(), name: label.name(&held.name, &lv.name), size, tags: label.tags() };
            steps.insert(want.volume, Step { vg: held.name.clone(), new });
        }
    }
    Ok((steps.into_values().collect(), without))
}

/// Makes all of them. If one can not be made, those that this call has made are removed again.
///
/// # Errors
/// LVM's complaint about the first that it did not make.
pub fn make(root: &Root, storage: &Storage, steps: &[Step], deadline: Deadline) -> Result<()> {
    let mut made: Vec<&Step> = Vec::new();
    for step in steps {
        let Some(held) = storage.held(&step.vg) else { continue };
        let Err(e) = change(root, held, "snapshot in", &step.new.command(&step.vg), deadline) else {
            made.push(step);
            continue;
        };
        // It may have come to be all the same.
        for step in made.iter().rev().chain([&step]) {
            let Some(held) = storage.held(&step.vg) else { continue };
            if let Err(e) = change(root, held, "remove a snapshot from", &removal(&step.vg, &step.new.name), deadline) {
                tracing::debug!("{e:#}");
            }
        }
        return Err(e);
    }
    Ok(())
}

/// Removes snapshots; what went wrong.
#[must_use]
pub fn remove(root: &Root, storage: &Storage, group: &Group, deadline: Deadline) -> Vec<anyhow::Error> {
    let one = |snapshot: &Snapshot| {
        let held = storage.held(&snapshot.vg)?;
        change(root, held, "remove a snapshot from", &removal(&snapshot.vg, &snapshot.name), deadline).err()
    };
    group.snapshots.iter().filter_map(one).collect()
}

/// Gives the snapshot of this volume more room, when by now more will change than was known when it was made; whether it did.
///
/// # Errors
/// There is no room, or LVM's complaint.
pub fn widen(root: &Root, storage: &Storage, group: &Group, volume: u32, changes: u64, deadline: Deadline) -> Result<bool> {
    let Some(snapshot) = group.snapshots.iter().find(|s| s.label.volume == volume && !s.is_thin) else { return Ok(false) };
    let Some((held, _, want)) = storage.want(volume, changes) else { return Ok(false) };
    let room = held.space.free + snapshot.size;
    let size = sizes(&[want], room, held.space.extent_size).map_err(|why| anyhow!("{}: {why}", held.name))?;
    let Some(size) = size.into_iter().flatten().next().filter(|size| *size > snapshot.size) else { return Ok(false) };
    change(root, held, "extend a snapshot in", &extension(&snapshot.vg, &snapshot.name, size), deadline)?;
    Ok(true)
}

/// Runs a command of LVM that changes something. One that is ended in the middle leaves a volume suspended, and DRBD with it: so that is undone.
pub fn change(root: &Root, held: &Held, doing: &'static str, command: &[String], deadline: Deadline) -> Result<()> {
    let until = deadline.within(deadline.remaining().saturating_sub(RESERVE));
    tracing::debug!("lvm {}", command.join(" "));
    held.lvm.change_snapshot(doing, &held.name, command, until).map_err(|e| {
        if may_leave_suspended(&e) {
            let resumed = DeviceMapper::open(root).ok().flatten().map(|dm| resume_all(&dm, &held.space.uuid));
            match resumed {
                Some(Ok(0)) | None => {}
                Some(Ok(count)) => tracing::warn!("{count} devices of {} were left suspended and are resumed", held.name),
                Some(Err(e)) => tracing::warn!("{e}"),
            }
        }
        e.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::drbd::snapshots::Volume;
    use crate::kernel::lvm::command::Lvm;
    use crate::kernel::lvm::names::Uuid;
    use crate::kernel::lvm::snapshot::{Lv, Space};

    const VG: &str = "8yH2vZ-6ZHH-CwYE-QzP7-5HIA-aZVG-Sp3ruD";
    const THICK: &str = "gcQxjb-nLUo-V02f-F88b-k1Iy-XMvc-kGt3EH";
    const THIN: &str = "TkVGdV-AlXi-TCim-uUmW-5IOv-nZnv-M10nQi";

    /// A thick and a thin volume in one volume group, and one on a plain disk.
    fn storage() -> Storage {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        root.dir("/usr/sbin").set("lvm", "").unwrap();
        let program = root.path("/usr/sbin/lvm");
        std::fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let uuid = |text: &str| Uuid::parse(text).unwrap();
        let lv = |name: &str, id: &str| Lv { name: name.into(), uuid: uuid(id).to_string(), size: 128 << 20, ..Lv::default() };
        let pool = Lv { name: "pool".into(), size: 300 << 20, used: Some(5000), ..Lv::default() };
        let thin = Lv { is_thin: true, pool: "pool".into(), ..lv("b", THIN) };
        let space =
            Space { uuid: uuid(VG), free: 1 << 30, extent_size: 4 << 20, missing_pvs: 0, lvs: vec![lv("a", THICK), thin, pool] };
        let held = Held { name: VgName::parse("vg0").unwrap(), lvm: Lvm::find(&root).unwrap(), space };
        let volume = |number: u32, id: Option<&str>| Volume {
            number,
            minor: 10 + number,
            lv: id.map(|id| (uuid(VG), uuid(id))),
            on: "/dev/vdb".into(),
        };
        Storage { volumes: vec![volume(0, Some(THICK)), volume(1, Some(THIN)), volume(2, None)], groups: vec![held] }
    }

    fn order(changes: &[(u32, u64)]) -> Order {
        Order {
            kind: Kind::BeforeResync,
            resource: "r0".into(),
            time: "2026-01-31T12:00:00Z".into(),
            changes: changes.iter().copied().collect(),
            generations: [(0, "1:2:3:4".to_owned())].into(),
        }
    }

    #[test]
    fn a_group_has_a_snapshot_of_each_volume_on_a_logical_volume_thick_or_thin_as_that_is() {
        let (steps, without) = plan(&storage(), &order(&[(0, 4 << 20), (1, 4 << 20), (2, 0)])).unwrap();
        assert_eq!(without, [2]);
        let told: Vec<_> = steps.iter().map(|s| (s.new.origin.as_str(), s.new.name.as_str(), s.new.size.is_some())).collect();
        assert_eq!(told, [("a", "a-before-resync-20260131t120000z", true), ("b", "b-before-resync-20260131t120000z", false)]);
        assert!(steps[0].new.tags.contains(&"drbd-gi=1:2:3:4".to_owned()));
        assert!(steps.iter().all(|step| step.new.tags.contains(&"drbd-volumes=0+1".to_owned())));
    }

    #[test]
    fn what_there_is_no_room_for_is_not_begun() {
        let why = plan(&storage(), &order(&[(0, 0), (1, 140 << 20)])).unwrap();
        assert_eq!(why.0.len(), 2, "a volume never changes by more than its size");
        let mut small = storage();
        small.groups[0].space.free = 8 << 20;
        let why = plan(&small, &order(&[(0, 100 << 20)])).unwrap_err();
        assert!(why.starts_with("vg0: the volume group has 8 MiB free"), "{why}");
        small.groups[0].space.lvs[2].used = Some(9900);
        let why = plan(&small, &order(&[(1, 100 << 20)])).unwrap_err();
        assert!(why.starts_with("vg0: thin pool pool has 2 MiB free"), "{why}");
    }
}
