//! Where the kernel's mapping of a volume group and its metadata have gone apart, as happens to a node whose volume group another node
//! changes: a mapping to refresh, a mapping whose logical volume does not exist any more.

use super::mapping::Mapping;
use super::report::{LogicalVolume, Segment, VolumeGroup};
use crate::kernel::attr::Root;
use crate::kernel::block::BlockDevice;
use crate::kernel::dm::{DeviceMapper, Listed, TargetLine, Which};
use crate::kernel::error::Result;

const SECTOR: u64 = 512;

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// The mapping of this logical volume is not what the metadata says.
    Refresh {
        /// The logical volume to refresh: what the user knows, not a part of it.
        lv: String,
        /// What is different, in a few words.
        why: String,
    },
    /// This device is mapped, and its logical volume does not exist.
    Stale {
        /// Its device-mapper name.
        name: String,
        /// Its device-mapper UUID.
        uuid: String,
        /// Its major and minor number.
        number: (u32, u32),
    },
}

/// Every difference, stale devices in an order in which they can be removed: those that nothing stands on first. `vg` must hold the
/// internal logical volumes too.
///
/// # Errors
/// Device-mapper does not answer.
pub fn find(root: &Root, dm: &DeviceMapper, vg: &VolumeGroup) -> Result<Vec<Drift>> {
    let devices: Vec<(Listed, Mapping)> = dm
        .list(&vg.uuid.dm_prefix())?
        .into_iter()
        .filter_map(|listed| {
            let mapping = Mapping::of(&listed.name, listed.uuid.as_deref()?)?;
            (mapping.vg_uuid == vg.uuid).then_some((listed, mapping))
        })
        .collect();
    let mut found: Vec<Drift> = Vec::new();
    for lv in &vg.lvs {
        let of_it = devices.iter().filter(|(_, mapping)| mapping.lv_uuid == lv.uuid);
        let Some((listed, mapping)) = of_it.min_by_key(|(_, mapping)| layer(mapping)) else { continue };
        let table = dm.table(Which::Number(listed.major, listed.minor))?.unwrap_or_default();
        let is_known = |drift: &Drift| matches!(drift, Drift::Refresh { lv, .. } if lv == mapping.base());
        if let Some(why) = difference(root, vg, lv, &table).filter(|_| !found.iter().any(is_known)) {
            found.push(Drift::Refresh { lv: mapping.base().to_owned(), why });
        }
    }
    let mut stale: Vec<_> = devices.iter().filter(|(_, mapping)| !vg.lvs.iter().any(|lv| lv.uuid == mapping.lv_uuid)).collect();
    // What stands on another one was made after it.
    stale.sort_by_key(|(listed, _)| std::cmp::Reverse(listed.minor));
    found.extend(stale.into_iter().map(|(listed, _)| Drift::Stale {
        name: listed.name.clone(),
        uuid: listed.uuid.clone().unwrap_or_default(),
        number: (listed.major, listed.minor),
    }));
    Ok(found)
}

/// Of the devices of one logical volume, the one that its own segments are mapped by comes first.
fn layer(mapping: &Mapping) -> u8 {
    match mapping.suffix.as_deref() {
        Some("real" | "cow" | "tpool") => 0,
        Some("pool") => 2,
        _ => 1,
    }
}

/// What is different between what the metadata says of one logical volume and the table of its device.
fn difference(root: &Root, vg: &VolumeGroup, lv: &LogicalVolume, table: &[TargetLine]) -> Option<String> {
    let is_simple = lv.segments.iter().all(|segment| matches!(segment.kind.as_str(), "linear" | "striped"));
    let has_size = |kind: &str| kind.starts_with("raid") || matches!(kind, "thin" | "thin-pool" | "mirror");
    if !is_simple && !lv.segments.iter().all(|segment| has_size(&segment.kind)) {
        return None;
    }
    let mapped = table.iter().map(|line| line.length).sum::<u64>() * SECTOR;
    if mapped != lv.size && !table.is_empty() {
        return Some(format!("{} MiB are mapped, and the metadata says {} MiB", mapped >> 20, lv.size >> 20));
    }
    if !is_simple {
        return None;
    }
    let should = lv.segments.iter().map(|segment| runs_of_segment(root, vg, segment)).collect::<Option<Vec<_>>>()?;
    let is = table.iter().map(runs_of_line).collect::<Option<Vec<_>>>()?;
    (merged(should) != merged(is)).then(|| "it is mapped to other extents than the metadata says".to_owned())
}

/// A stretch that lies on one device, in sectors; `stripe` counts the devices side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    start: u64,
    length: u64,
    stripe: usize,
    device: (u32, u32),
    offset: u64,
}

/// What the metadata says; `None` where it names no disk that is there.
fn runs_of_segment(root: &Root, vg: &VolumeGroup, segment: &Segment) -> Option<Vec<Run>> {
    let run = |(stripe, range): (usize, &str)| {
        let (pv, extents) = range.rsplit_once(':')?;
        let first: u64 = extents.split('-').next()?.parse().ok()?;
        let pv = vg.pvs.iter().find(|known| known.name == pv && !known.is_missing)?;
        let device = BlockDevice::of(root, &pv.name).ok()?;
        let offset = pv.start.checked_add(first.checked_mul(vg.extent_size)?)? / SECTOR;
        let (start, length) = (segment.start / SECTOR, segment.size / SECTOR);
        Some(Run { start, length, stripe, device: (device.major(), device.minor()), offset })
    };
    segment.ranges.split_whitespace().enumerate().map(run).collect()
}

/// `8:16 2048` of a linear target; `2 128 8:16 2048 8:32 2048` of a striped one.
fn runs_of_line(line: &TargetLine) -> Option<Vec<Run>> {
    let words: Vec<_> = line.params.split_whitespace().collect();
    let places = match line.kind.as_str() {
        "linear" => words.as_slice(),
        "striped" => words.get(2..)?,
        _ => return None,
    };
    let run = |(stripe, place): (usize, &[&str])| {
        let (major, minor) = place.first()?.split_once(':')?;
        let device = (major.parse().ok()?, minor.parse().ok()?);
        Some(Run { start: line.start, length: line.length, stripe, device, offset: place.get(1)?.parse().ok()? })
    };
    places.chunks(2).enumerate().map(run).collect()
}

/// With neighbours that lie side by side on the device as one.
fn merged(runs: Vec<Vec<Run>>) -> Vec<Run> {
    let mut all: Vec<Run> = Vec::new();
    for line in runs {
        let is_linear = line.len() == 1;
        for run in line {
            let goes_on = |last: &&mut Run| {
                is_linear
                    && last.stripe == 0
                    && last.device == run.device
                    && last.start + last.length == run.start
                    && last.offset + last.length == run.offset
            };
            match all.last_mut().filter(goes_on) {
                Some(last) => last.length += run.length,
                None => all.push(run),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::lvm::names::Uuid;
    use crate::kernel::lvm::report::PhysicalVolume;

    fn bench() -> (tempfile::TempDir, Root, VolumeGroup) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        for (name, number) in [("sdb", "8:16"), ("sdc", "8:32")] {
            root.dir("/dev").set(name, number).unwrap();
        }
        let pv = |name: &str| PhysicalVolume { name: name.into(), start: 1 << 20, is_missing: false };
        let vg = VolumeGroup {
            name: "vg1".into(),
            uuid: Uuid::parse(&"v".repeat(32)).unwrap(),
            system_id: String::new(),
            lock_type: String::new(),
            tags: vec![],
            is_exported: false,
            missing_pvs: 0,
            extent_size: 4 << 20,
            has_autoactivation: true,
            pvs: vec![pv("/dev/sdb"), pv("/dev/sdc")],
            lvs: vec![],
        };
        (dir, root, vg)
    }

    fn lv(size: u64, segments: &[(&str, u64, u64, &str)]) -> LogicalVolume {
        let segment = |(kind, start, size, ranges): &(&str, u64, u64, &str)| Segment {
            kind: (*kind).into(),
            start: *start,
            size: *size,
            ranges: (*ranges).into(),
        };
        LogicalVolume {
            uuid: Uuid::parse(&"l".repeat(32)).unwrap(),
            name: "lv1".into(),
            is_internal: false,
            roles: vec!["public".into()],
            origin: String::new(),
            skips_activation: false,
            size,
            segments: segments.iter().map(segment).collect(),
        }
    }

    fn line(start: u64, length: u64, kind: &str, params: &str) -> TargetLine {
        TargetLine { start, length, kind: kind.into(), params: params.into() }
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_mapping_that_is_what_the_metadata_says_is_not_different() {
        let (_keep, root, vg) = bench();
        let linear = lv(12 * MIB, &[("linear", 0, 8 * MIB, "/dev/sdb:0-1"), ("linear", 8 * MIB, 4 * MIB, "/dev/sdc:5-5")]);
        let table = [line(0, 16384, "linear", "8:16 2048"), line(16384, 8192, "linear", "8:32 43008")];
        assert_eq!(difference(&root, &vg, &linear, &table), None);
        let striped = lv(8 * MIB, &[("striped", 0, 8 * MIB, "/dev/sdb:0-0 /dev/sdc:0-0")]);
        assert_eq!(difference(&root, &vg, &striped, &[line(0, 16384, "striped", "2 128 8:16 2048 8:32 2048")]), None);
        let split = lv(8 * MIB, &[("linear", 0, 4 * MIB, "/dev/sdb:0-0"), ("linear", 4 * MIB, 4 * MIB, "/dev/sdb:1-1")]);
        assert_eq!(difference(&root, &vg, &split, &[line(0, 16384, "linear", "8:16 2048")]), None);
    }

    #[test]
    fn another_size_or_another_place_is_different() {
        let (_keep, root, vg) = bench();
        let grown = lv(8 * MIB, &[("linear", 0, 8 * MIB, "/dev/sdb:0-1")]);
        let why = difference(&root, &vg, &grown, &[line(0, 8192, "linear", "8:16 2048")]).unwrap();
        assert_eq!(why, "4 MiB are mapped, and the metadata says 8 MiB");
        for elsewhere in ["8:16 10240", "8:32 2048"] {
            assert!(difference(&root, &vg, &grown, &[line(0, 16384, "linear", elsewhere)]).is_some(), "{elsewhere}");
        }
        let raid = lv(8 * MIB, &[("raid1", 0, 8 * MIB, "lv1_rimage_0:0-1 lv1_rimage_1:0-1")]);
        assert_eq!(difference(&root, &vg, &raid, &[line(0, 16384, "raid", "raid1 3 0 region_size 4096 2 - - - -")]), None);
        assert!(difference(&root, &vg, &raid, &[line(0, 8192, "raid", "raid1")]).is_some());
    }

    #[test]
    fn what_can_not_be_compared_is_not_called_different() {
        let (_keep, root, mut vg) = bench();
        let moving = lv(8 * MIB, &[("linear", 0, 8 * MIB, "pvmove0:0-1")]);
        assert_eq!(difference(&root, &vg, &moving, &[line(0, 16384, "linear", "253:9 0")]), None);
        let vdo = lv(8 * MIB, &[("vdo", 0, 8 * MIB, "vpool0:0-1")]);
        assert_eq!(difference(&root, &vg, &vdo, &[line(0, 999, "linear", "253:9 0")]), None);
        vg.pvs[0].is_missing = true;
        let partial = lv(8 * MIB, &[("linear", 0, 8 * MIB, "/dev/sdb:0-1")]);
        assert_eq!(difference(&root, &vg, &partial, &[line(0, 16384, "error", "")]), None);
    }
}
