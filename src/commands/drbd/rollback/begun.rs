//! A way back that was begun: written down before the first volume is merged and kept until the last one is, so that it can be gone on with after
//! whatever came between. Half a way back is worse than none.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::agents::drbd_helper::guard::records_of;
use crate::commands::drbd::snapshots::{Group, Snapshot};
use crate::commands::drbd::steps::Act;
use crate::kernel::attr::Root;
use crate::kernel::lvm::names::VgName;

const FILE: &str = "rollback.json";

/// What was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The id of the group.
    pub group: String,
    /// When that was made.
    pub time: String,
    /// Its snapshots.
    pub parts: Vec<Part>,
}

/// A snapshot on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The volume group.
    pub vg: String,
    /// What it is merged into.
    pub origin: String,
    /// Its name. It is merged when there is none of this name any more.
    pub snapshot: String,
}

impl Begun {
    /// Of this group.
    #[must_use]
    pub fn of(group: &Group) -> Self {
        let part = |s: &Snapshot| Part { vg: s.vg.to_string(), origin: s.origin.clone(), snapshot: s.name.clone() };
        Self { group: group.id.clone(), time: group.time().to_owned(), parts: group.snapshots.iter().map(part).collect() }
    }

    /// The one that is not over; `None` when none is.
    ///
    /// # Errors
    /// It is there and can not be read.
    pub fn load(root: &Root, resource: &str) -> Result<Option<Self>> {
        let dir = records_of(root, resource);
        let Some(text) = dir.read_opt(FILE)? else { return Ok(None) };
        let path = dir.path().join(FILE);
        serde_json::from_str(&text).map(Some).with_context(|| format!("{}: look at it, and remove it", path.display()))
    }

    /// How it is written down.
    #[must_use]
    pub fn note(&self) -> Act {
        Act::Note(FILE, serde_json::to_string(self).unwrap_or_default())
    }

    /// It is over.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn forget(root: &Root, resource: &str) -> Result<()> {
        Ok(records_of(root, resource).unlink(FILE).map(drop)?)
    }

    /// The origins, with their volume groups: one that was being replaced may not be active.
    ///
    /// # Errors
    /// No volume group is called so.
    pub fn origins(&self) -> Result<Vec<(VgName, &str)>> {
        let origin = |part: &'_ Part| VgName::parse(&part.vg).map_err(anyhow::Error::msg);
        self.parts.iter().map(|part| Ok((origin(part)?, part.origin.as_str()))).collect()
    }

    /// Whether nothing has come of it yet: then another way may be taken.
    #[must_use]
    pub fn is_untouched(&self, groups: &[Group]) -> bool {
        let all = || groups.iter().filter(|group| group.id == self.group).flat_map(|group| &group.snapshots);
        self.parts.iter().all(|part| all().any(|s| s.vg.as_str() == part.vg && s.name == part.snapshot && !s.is_merging))
    }

    /// What of it is still to be merged; `None` when all is.
    ///
    /// # Errors
    /// Another group was asked for.
    pub fn rest(&self, groups: &[Group], asked: Option<&str>) -> Result<Option<Group>> {
        if asked.is_some_and(|asked| asked != self.group) {
            bail!(
                "the way back to group {} has been begun and is not over: run it without --group first; if this side has been overwritten as a \
                 whole since, remove {FILE} beside the guard",
                self.group
            );
        }
        let is_ours = |s: &Snapshot| self.parts.iter().any(|part| part.vg == s.vg.as_str() && part.snapshot == s.name);
        let rest = groups.iter().filter(|group| group.id == self.group).map(|group| Group {
            snapshots: group.snapshots.iter().filter(|snapshot| is_ours(snapshot)).cloned().collect(),
            ..group.clone()
        });
        Ok(rest.into_iter().find(|group| !group.snapshots.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::drbd::snapshots::test_snapshot as snapshot;

    fn group(id: &str, volumes: &[u32]) -> Group {
        Group::of("r0", volumes.iter().map(|volume| snapshot(id, *volume, &[0, 1]))).remove(0)
    }

    #[test]
    fn what_was_begun_is_known_after_a_reboot_until_it_is_over() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        assert_eq!(Begun::load(&root, "r0").unwrap(), None);
        let begun = Begun::of(&group("g", &[0, 1]));
        let Act::Note(name, text) = begun.note() else { panic!() };
        records_of(&root, "r0").set(name, &text).unwrap();
        assert_eq!(Begun::load(&root, "r0").unwrap(), Some(begun));
        Begun::forget(&root, "r0").unwrap();
        assert_eq!(Begun::load(&root, "r0").unwrap(), None);
        records_of(&root, "r0").set(FILE, "{").unwrap();
        assert!(Begun::load(&root, "r0").is_err(), "half a record is not none");
    }

    #[test]
    fn only_what_is_not_merged_yet_is_left_and_no_other_group_is_taken_meanwhile() {
        let begun = Begun::of(&group("g", &[0, 1]));
        let rest = begun.rest(&[group("g", &[1]), group("h", &[0, 1])], None).unwrap().unwrap();
        assert_eq!((rest.id.as_str(), rest.snapshots.len(), rest.snapshots[0].label.volume), ("g", 1, 1));
        assert_eq!(begun.rest(&[group("h", &[0, 1])], Some("g")).unwrap(), None);
        assert!(begun.rest(&[group("h", &[0, 1])], Some("h")).unwrap_err().to_string().contains("group g has been begun"));
        assert!(begun.is_untouched(&[group("g", &[0, 1])]) && !begun.is_untouched(&[group("g", &[1])]));
        assert_eq!(begun.origins().unwrap()[1].1, "lv1");
    }
}
