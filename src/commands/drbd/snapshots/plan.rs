//! How large snapshots must be, and whether a resync is worth one. Pure: what there is to know is passed in.

use serde::{Deserialize, Serialize};

use super::group::Group;
use crate::kernel::drbd::model::DiskState;

/// What a snapshot is given beside what is known to change: for writes that come in meanwhile.
const SPARE: u64 = 10 << 20;

/// A volume that wants a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The number of the volume.
    pub volume: u32,
    /// Bytes of the logical volume below it.
    pub size: u64,
    /// Bytes that the resync will change, as far as known.
    pub changes: u64,
    /// The thin pool it is in, with the bytes that are free there; `None` for a thick one.
    pub pool: Option<(String, u64)>,
}

/// Bytes for each thick snapshot, `None` for a thin one: what the resync changes, a tenth of the volume and 10 MiB; no more than changes to all
/// of it take, and where the volume group has not so much, less, but never less than what is known to change.
///
/// # Errors
/// What there is no room for.
pub fn sizes(wants: &[Want], free: u64, extent: u64) -> Result<Vec<Option<u64>>, String> {
    let mut pools: Vec<(&str, u64)> = Vec::new();
    for want in wants {
        let Some((pool, free)) = &want.pool else { continue };
        let needed = if let Some((_, sum)) = pools.iter_mut().find(|(name, _)| name == pool) {
            *sum += with_exceptions(want.changes);
            *sum
        } else {
            pools.push((pool, with_exceptions(want.changes)));
            with_exceptions(want.changes)
        };
        // A pool that runs full fails the writes of DRBD itself: worse than no snapshot.
        if needed > *free {
            return Err(format!("thin pool {pool} has {} MiB free and {} MiB will change", mib(*free), needed.div_ceil(1 << 20)));
        }
    }
    let thick: Vec<&Want> = wants.iter().filter(|want| want.pool.is_none()).collect();
    let least: Vec<u64> = thick.iter().map(|want| extents(with_exceptions(want.changes).max(1), extent)).collect();
    let least_sum: u64 = least.iter().sum();
    if least_sum > free {
        return Err(format!("the volume group has {} MiB free and {} MiB will change", mib(free), mib(least_sum)));
    }
    let mut left = free - least_sum;
    let mut given = thick.iter().zip(&least).map(|(want, least)| {
        let all = extents(with_exceptions(want.size), extent);
        let wish = extents(with_exceptions(want.changes) + want.size / 10 + SPARE, extent).min(all).max(*least);
        let more = (wish - least).min(left / extent * extent);
        left -= more;
        least + more
    });
    Ok(wants.iter().map(|want| if want.pool.is_none() { given.next() } else { None }).collect())
}

/// Beside the changed blocks of 4 KiB a snapshot has 16 bytes for each, and a header.
fn with_exceptions(bytes: u64) -> u64 {
    if bytes == 0 { 0 } else { bytes + bytes / 200 + (64 << 10) }
}

fn extents(bytes: u64, extent: u64) -> u64 {
    let extent = extent.max(512);
    bytes.div_ceil(extent) * extent
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

/// What started a resync, as the kernel told it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resync {
    /// The two connected, or somebody invalidated this side, at that moment of the kernel's clock in microseconds.
    Began(u64),
    /// The device has grown: only its new part is synced, where there is nothing yet.
    Grown,
    /// The log does not say any more.
    Untold,
}

/// The resync that snapshots were made for last: kept until it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The id of the group.
    pub group: String,
    /// What started the resync.
    pub resync: Resync,
    /// The volumes for which the kernel has called.
    pub called: Vec<u32>,
}

/// What is to be seen when the kernel calls before the resync of a volume.
#[derive(Debug)]
pub struct Sight<'a> {
    /// The volume.
    pub volume: u32,
    /// What started its resync.
    pub resync: Resync,
    /// The disks of all volumes here.
    pub disks: &'a [(u32, Option<DiskState>)],
    /// The volumes that are called `Inconsistent` only because they were invalidated: nothing of them has been overwritten yet.
    pub invalidated: &'a [u32],
    /// The volumes below which there is a logical volume.
    pub on_lv: &'a [u32],
    /// The resync that is not over.
    pub open: Option<&'a Call>,
    /// Its group.
    pub group: Option<&'a Group>,
}

impl Sight<'_> {
    /// Whether a volume with this disk is worth a snapshot.
    fn is_whole(&self, volume: u32, disk: Option<DiskState>) -> bool {
        disk.is_some_and(|disk| disk > DiskState::Inconsistent) || self.invalidated.contains(&volume)
    }

    /// Whether a resync has begun to overwrite a volume, and not ended.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.disks.iter().any(|(volume, disk)| *disk == Some(DiskState::Inconsistent) && !self.is_whole(*volume, *disk))
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing, for this reason.
    Skip(&'static str),
    /// Nothing: this group has it already.
    Join(&'static str),
    /// A group of these volumes.
    Make(Vec<u32>),
}

/// Whether this resync is worth a group of its own.
#[must_use]
pub fn decide(sight: &Sight) -> Decision {
    if sight.resync == Resync::Grown {
        return Decision::Skip("the device has grown online, and there is nothing yet in its new part");
    }
    let holds = |group: &&Group| group.is_good() && group.snapshots.iter().any(|s| s.label.volume == sight.volume);
    if let (Some(open), Some(_)) = (sight.open, sight.group.filter(holds)) {
        if sight.has_begun() {
            return Decision::Join("a resync of the same group is under way, or was cut off");
        }
        if open.resync == sight.resync && !open.called.contains(&sight.volume) {
            return Decision::Join("made with that of another volume");
        }
    }
    let (worth, spent): (Vec<_>, Vec<_>) = sight.disks.iter().partition(|(volume, disk)| sight.is_whole(*volume, *disk));
    if !worth.iter().any(|(volume, _)| *volume == sight.volume) {
        return Decision::Skip("its data is Inconsistent already: nothing to go back to");
    }
    // Half a group would pass for the newest whole one, and there is no way back to it.
    if spent.iter().any(|(volume, _)| sight.on_lv.contains(volume)) {
        return Decision::Skip("the data of another volume is Inconsistent already: half a group is no way back");
    }
    Decision::Make(worth.into_iter().map(|(volume, _)| volume).collect())
}

#[cfg(test)]
mod tests {
    use super::super::group::snapshot;
    use super::*;
    use DiskState::{Diskless, Inconsistent, Outdated, UpToDate};

    const MIB: u64 = 1 << 20;
    const EXTENT: u64 = 4 << 20;

    fn want(size: u64, changes: u64) -> Want {
        Want { volume: 0, size, changes, pool: None }
    }

    #[test]
    fn a_thick_snapshot_has_room_for_the_resync_a_tenth_and_ten_mib() {
        let given = sizes(&[want(1000 * MIB, 100 * MIB)], 5000 * MIB, EXTENT).unwrap();
        assert_eq!(given, [Some(212 * MIB)], "100.5 + 100 + 10, in extents of 4");
        assert_eq!(sizes(&[want(20 * MIB, 0)], 5000 * MIB, EXTENT).unwrap(), [Some(12 * MIB)]);
    }

    #[test]
    fn none_is_larger_than_all_of_its_volume_can_need() {
        assert_eq!(sizes(&[want(100 * MIB, 100 * MIB)], 5000 * MIB, EXTENT).unwrap(), [Some(104 * MIB)]);
    }

    #[test]
    fn a_volume_group_without_much_room_gives_less_and_never_less_than_what_changes() {
        let wants = [want(1000 * MIB, 40 * MIB), want(1000 * MIB, 40 * MIB)];
        let given = sizes(&wants, 100 * MIB, EXTENT).unwrap();
        assert_eq!(given, [Some(56 * MIB), Some(44 * MIB)]);
        let why = sizes(&wants, 84 * MIB, EXTENT).unwrap_err();
        assert_eq!(why, "the volume group has 84 MiB free and 88 MiB will change");
        assert!(sizes(&[want(MIB, 0)], 0, EXTENT).is_err());
    }

    #[test]
    fn a_thin_one_has_no_size_and_its_pool_must_have_room_for_all_of_them() {
        let thin = |changes: u64, free: u64| Want { pool: Some(("p".into(), free)), ..want(100 * MIB, changes) };
        assert_eq!(sizes(&[thin(50 * MIB, 60 * MIB), want(20 * MIB, 0)], 100 * MIB, EXTENT).unwrap(), [None, Some(12 * MIB)]);
        assert!(sizes(&[thin(50 * MIB, 60 * MIB), thin(50 * MIB, 60 * MIB)], 100 * MIB, EXTENT).is_err());
        assert_eq!(sizes(&[thin(0, 0)], 0, EXTENT).unwrap(), [None]);
    }

    fn seen(volume: u32, resync: Resync, disks: &[(u32, Option<DiskState>)], open: Option<&Call>) -> Decision {
        let group = Group::of("r0", [snapshot("g", 0, &[0, 1]), snapshot("g", 1, &[0, 1])]).remove(0);
        decide(&Sight { volume, resync, disks, open, group: open.map(|_| &group), ..sight() })
    }

    fn sight() -> Sight<'static> {
        let (disks, on_lv) = (&[], &[0, 1]);
        Sight { volume: 0, resync: Resync::Untold, disks, invalidated: &[], on_lv, open: None, group: None }
    }

    fn open(called: &[u32]) -> Call {
        Call { group: "g".into(), resync: Resync::Began(7), called: called.to_vec() }
    }

    #[test]
    fn the_first_call_makes_all_and_the_next_joins() {
        let disks = [(0, Some(Outdated)), (1, Some(UpToDate))];
        assert_eq!(seen(0, Resync::Began(7), &disks, None), Decision::Make(vec![0, 1]));
        let disks = [(0, Some(Inconsistent)), (1, Some(Outdated))];
        assert!(matches!(seen(1, Resync::Began(7), &disks, Some(&open(&[0]))), Decision::Join(_)));
        assert!(matches!(
            seen(1, Resync::Began(7), &[(0, Some(Outdated)), (1, Some(Outdated))], Some(&open(&[0]))),
            Decision::Join(_)
        ));
    }

    #[test]
    fn what_was_cut_off_keeps_the_group_of_before_and_another_resync_gets_its_own() {
        let cut = [(0, Some(Inconsistent)), (1, Some(Outdated))];
        for volume in [0, 1] {
            assert!(matches!(seen(volume, Resync::Began(9), &cut, Some(&open(&[0, 1]))), Decision::Join(_)));
        }
        let whole = [(0, Some(Outdated)), (1, Some(Outdated))];
        assert_eq!(seen(0, Resync::Began(9), &whole, Some(&open(&[0]))), Decision::Make(vec![0, 1]));
        assert_eq!(
            seen(1, Resync::Began(9), &whole, Some(&open(&[0]))),
            Decision::Make(vec![0, 1]),
            "not called, but another resync"
        );
        assert_eq!(seen(0, Resync::Began(7), &whole, Some(&open(&[0]))), Decision::Make(vec![0, 1]), "called twice");
    }

    #[test]
    fn what_is_not_worth_going_back_to_is_left_out() {
        assert!(matches!(seen(0, Resync::Began(7), &[(0, Some(Inconsistent)), (1, Some(Outdated))], None), Decision::Skip(_)));
        assert_eq!(
            seen(1, Resync::Untold, &[(0, Some(Outdated)), (1, Some(Outdated)), (2, Some(Diskless))], None),
            Decision::Make(vec![0, 1])
        );
        assert!(
            matches!(seen(1, Resync::Untold, &[(0, Some(Inconsistent)), (1, Some(Outdated))], None), Decision::Skip(_)),
            "half a group"
        );
        let disks = [(0, Some(Inconsistent)), (1, Some(Outdated))];
        let on_disk = Sight { volume: 1, disks: &disks, on_lv: &[1], ..sight() };
        assert_eq!(decide(&on_disk), Decision::Make(vec![1]), "the other one is on no logical volume");
        assert!(matches!(seen(0, Resync::Grown, &[(0, Some(Outdated))], None), Decision::Skip(_)));
        assert!(matches!(seen(0, Resync::Began(1), &[(0, None)], None), Decision::Skip(_)));
    }

    #[test]
    fn what_was_invalidated_by_mistake_gets_a_group_of_its_own() {
        let group = Group::of("r0", [snapshot("g", 0, &[0, 1]), snapshot("g", 1, &[0, 1])]).remove(0);
        let (old, disks) = (open(&[0, 1]), [(0, Some(Inconsistent)), (1, Some(UpToDate))]);
        let mistake = Sight { resync: Resync::Began(9), disks: &disks, invalidated: &[0], ..sight() };
        assert_eq!(decide(&mistake), Decision::Make(vec![0, 1]));
        let before = Sight { open: Some(&old), group: Some(&group), ..mistake };
        assert_eq!(decide(&before), Decision::Make(vec![0, 1]), "an older group is not of this moment");
        let disks = [(0, Some(Inconsistent)), (1, Some(Inconsistent))];
        let next = Sight { volume: 1, resync: Resync::Began(10), disks: &disks, invalidated: &[1], ..before };
        assert!(matches!(decide(&next), Decision::Join(_)), "the first is being overwritten, and the group has both");
    }

    #[test]
    fn a_group_without_this_volume_is_not_joined() {
        let group = Group::of("r0", [snapshot("g", 0, &[0])]).remove(0);
        let (open, disks) = (open(&[0]), [(0, Some(Inconsistent)), (1, Some(Outdated))]);
        let sight = Sight { volume: 1, disks: &disks, open: Some(&open), group: Some(&group), ..sight() };
        assert!(matches!(decide(&sight), Decision::Skip(_)));
    }

    #[test]
    fn a_group_that_has_overflowed_is_not_joined() {
        let spilt = super::super::group::Snapshot { is_invalid: true, ..snapshot("g", 0, &[0]) };
        let group = Group::of("r0", [spilt]).remove(0);
        let (open, disks) = (open(&[0]), [(0, Some(Inconsistent))]);
        let sight = Sight { resync: Resync::Began(9), disks: &disks, open: Some(&open), group: Some(&group), ..sight() };
        assert!(matches!(decide(&sight), Decision::Skip(_)));
    }
}
