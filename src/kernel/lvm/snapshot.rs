//! The commands of LVM that make, measure, merge and remove snapshots, and what `lvs` says of them.

use std::io;

use serde::Deserialize;

use super::command::{Lvm, complaint, wrong};
use super::names::{Uuid, VgName};
use crate::deadline::Deadline;
use crate::kernel::error::{KernelError, Result};

/// What is asked of `lvs`, with sizes in bytes; yes and no are 1 and 0, and -1 where the question makes no sense (lvmreport(7)).
const FIELDS: &str = "vg_uuid,vg_free,vg_extent_size,vg_missing_pv_count,lv_name,lv_uuid,lv_size,lv_layout,lv_role,pool_lv,origin,\
    lv_tags,data_percent,lv_snapshot_invalid,lv_merging,lv_active";

/// A volume group as far as snapshots need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// Its UUID.
    pub uuid: Uuid,
    /// Bytes that no logical volume has.
    pub free: u64,
    /// Bytes of an extent.
    pub extent_size: u64,
    /// How many of its physical volumes are not to be seen.
    pub missing_pvs: u32,
    /// Its logical volumes, without internal ones.
    pub lvs: Vec<Lv>,
}

/// A logical volume of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lv {
    /// Its name.
    pub name: String,
    /// Its UUID, without hyphens.
    pub uuid: String,
    /// Its size in bytes; of a thick snapshot, that of what it may hold of changes.
    pub size: u64,
    /// Whether it is a thin volume.
    pub is_thin: bool,
    /// Whether it is a snapshot, thick or thin.
    pub is_snapshot: bool,
    /// The thin pool that it is in; empty when it is in none.
    pub pool: String,
    /// What it is a snapshot of; empty when it is none.
    pub origin: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// How much of a thick snapshot or a thin pool is used, in hundredths of a per cent; `None` where there is nothing to say.
    pub used: Option<u32>,
    /// Whether it is a thick snapshot that has overflowed: its content is lost.
    pub is_invalid: bool,
    /// Whether it is being merged into its origin, or is waiting for that.
    pub is_merging: bool,
    /// Whether it is active here.
    pub is_active: bool,
}

impl Space {
    /// The logical volume of this name.
    #[must_use]
    pub fn lv(&self, name: &str) -> Option<&Lv> {
        self.lvs.iter().find(|lv| lv.name == name)
    }
}

/// A snapshot to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSnapshot {
    /// What of.
    pub origin: String,
    /// Its name.
    pub name: String,
    /// Bytes for changes; `None` for a thin one.
    pub size: Option<u64>,
    /// Its tags.
    pub tags: Vec<String>,
}

impl NewSnapshot {
    /// The command that makes it, after `lvm`.
    #[must_use]
    pub fn command(&self, vg: &VgName) -> Vec<String> {
        let mut args: Vec<String> = ["lvcreate", "--yes", "--snapshot", "--name", &self.name].map(str::to_owned).into();
        match self.size {
            Some(size) => args.extend(["--size".to_owned(), format!("{size}b")]),
            // An active one would take part in every start of the volume group.
            None => args.extend(["--setactivationskip".to_owned(), "y".to_owned()]),
        }
        args.extend(self.tags.iter().flat_map(|tag| ["--addtag".to_owned(), tag.clone()]));
        args.push(format!("{vg}/{}", self.origin));
        args
    }
}

impl Lvm {
    /// What the volume group holds and how full its snapshots and pools are; `None` when it is not to be seen.
    ///
    /// # Errors
    /// The command's complaint.
    pub fn space(&self, vg: &VgName, deadline: Deadline) -> Result<Option<Space>> {
        let mut args = vec!["lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "--binary", "--options", FIELDS];
        args.push(vg.as_str());
        let output = self.run("list", vg, args, deadline)?;
        match decode(&output.stdout) {
            Ok(Some(space)) => Ok(Some(space)),
            Ok(None) if output.success() || output.stderr.contains(&format!("\"{vg}\" not found")) => Ok(None),
            Err(why) if output.success() => Err(wrong("list", vg, io::Error::other(why))),
            _ => Err(wrong("list", vg, io::Error::other(complaint(&output)))),
        }
    }

    /// Runs one of the commands that change snapshots: [`NewSnapshot::command`], [`removal`], [`merge`], [`activation`].
    ///
    /// # Errors
    /// The command's complaint. After [`io::ErrorKind::TimedOut`] a device may be left suspended.
    pub fn change_snapshot(&self, doing: &'static str, vg: &VgName, command: &[String], deadline: Deadline) -> Result<()> {
        let output = self.run(doing, vg, command.iter().map(String::as_str).collect(), deadline)?;
        if output.success() { Ok(()) } else { Err(wrong(doing, vg, io::Error::other(complaint(&output)))) }
    }
}

/// The command that removes a snapshot, after `lvm`.
#[must_use]
pub fn removal(vg: &VgName, lv: &str) -> Vec<String> {
    ["lvremove".to_owned(), "--yes".to_owned(), format!("{vg}/{lv}")].into()
}

/// The command that gives a thick snapshot more room, after `lvm`.
#[must_use]
pub fn extension(vg: &VgName, lv: &str, size: u64) -> Vec<String> {
    ["lvextend".to_owned(), "--size".to_owned(), format!("{size}b"), format!("{vg}/{lv}")].into()
}

/// The command that makes a volume what its snapshot is, after `lvm`: the snapshot is gone when it is done.
#[must_use]
pub fn merge(vg: &VgName, snapshot: &str) -> Vec<String> {
    ["lvconvert".to_owned(), "--yes".to_owned(), "--merge".to_owned(), format!("{vg}/{snapshot}")].into()
}

/// The command that makes volumes active or not, those that are otherwise passed over too, after `lvm`.
#[must_use]
pub fn activation(vg: &VgName, lv: &str, active: bool) -> Vec<String> {
    let how = if active { "-ay" } else { "-an" };
    ["lvchange", "--yes", "--ignoreactivationskip", how].map(str::to_owned).into_iter().chain([format!("{vg}/{lv}")]).collect()
}

fn decode(text: &str) -> std::result::Result<Option<Space>, String> {
    let raw: Raw = serde_json::from_str(text).map_err(|e| format!("its report can not be read: {e}"))?;
    let rows: Vec<RawLv> = raw.report.into_iter().flat_map(|report| report.lv).collect();
    let Some(first) = rows.first() else { return Ok(None) };
    Ok(Some(Space {
        uuid: Uuid::parse(&first.vg_uuid)?,
        free: number(&first.vg_free)?,
        extent_size: number(&first.vg_extent_size)?,
        missing_pvs: u32::try_from(number(&first.vg_missing_pv_count)?).unwrap_or(u32::MAX),
        lvs: rows.iter().map(lv).collect::<std::result::Result<_, _>>()?,
    }))
}

fn lv(raw: &RawLv) -> std::result::Result<Lv, String> {
    let has = |list: &str, word: &str| list.split(',').any(|w| w == word);
    Ok(Lv {
        name: raw.lv_name.clone(),
        uuid: Uuid::parse(&raw.lv_uuid)?.to_string(),
        size: number(&raw.lv_size)?,
        is_thin: has(&raw.lv_layout, "thin") && !has(&raw.lv_layout, "pool"),
        is_snapshot: has(&raw.lv_role, "snapshot"),
        pool: raw.pool_lv.clone(),
        origin: raw.origin.clone(),
        tags: raw.lv_tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
        used: hundredths(&raw.data_percent),
        is_invalid: raw.lv_snapshot_invalid == "1",
        is_merging: raw.lv_merging == "1",
        is_active: raw.lv_active == "active",
    })
}

/// `12.34` → 1234.
fn hundredths(percent: &str) -> Option<u32> {
    let (whole, part) = percent.trim().split_once('.').unwrap_or((percent.trim(), "0"));
    let part = format!("{part:0<2}");
    Some(whole.parse::<u32>().ok()? * 100 + part.get(..2)?.parse::<u32>().ok()?)
}

fn number(text: &str) -> std::result::Result<u64, String> {
    text.trim().parse().map_err(|_| format!("its report can not be read: {text:?} is not a number"))
}

/// What a command that was ended in the middle may have left: an error is worth a look at what is suspended.
#[must_use]
pub fn may_leave_suspended(e: &KernelError) -> bool {
    e.source.kind() == io::ErrorKind::TimedOut
}

#[derive(Deserialize)]
struct Raw {
    report: Vec<RawReport>,
}

#[derive(Deserialize)]
struct RawReport {
    #[serde(default)]
    lv: Vec<RawLv>,
}

#[derive(Deserialize)]
struct RawLv {
    vg_uuid: String,
    vg_free: String,
    vg_extent_size: String,
    vg_missing_pv_count: String,
    lv_name: String,
    lv_uuid: String,
    lv_size: String,
    lv_layout: String,
    lv_role: String,
    pool_lv: String,
    origin: String,
    lv_tags: String,
    data_percent: String,
    lv_snapshot_invalid: String,
    lv_merging: String,
    lv_active: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As lvm2 2.03.16 printed it, shortened.
    const REPORT: &str = r#"
  {
      "report": [
          {
              "lv": [
                  {"vg_uuid":"8yH2vZ-6ZHH-CwYE-QzP7-5HIA-aZVG-Sp3ruD", "vg_free":"1644167168", "vg_extent_size":"4194304", "vg_missing_pv_count":"0", "lv_name":"pool", "lv_uuid":"Rz39jf-RQw6-Ff4p-HK9H-ouD2-AOM1-KiKX4b", "lv_size":"314572800", "lv_layout":"thin,pool", "lv_role":"private", "pool_lv":"", "origin":"", "lv_tags":"", "data_percent":"1.35", "lv_snapshot_invalid":"-1", "lv_merging":"0", "lv_active":"active"},
                  {"vg_uuid":"8yH2vZ-6ZHH-CwYE-QzP7-5HIA-aZVG-Sp3ruD", "vg_free":"1644167168", "vg_extent_size":"4194304", "vg_missing_pv_count":"0", "lv_name":"s1", "lv_uuid":"BwSGMY-gXIx-9qsM-tKJh-TyFd-XSUO-auam0d", "lv_size":"8388608", "lv_layout":"linear", "lv_role":"public,snapshot,thicksnapshot", "pool_lv":"", "origin":"thick", "lv_tags":"drbd-before-resync,drbd-gi=A:B", "data_percent":"100.00", "lv_snapshot_invalid":"1", "lv_merging":"0", "lv_active":"active"},
                  {"vg_uuid":"8yH2vZ-6ZHH-CwYE-QzP7-5HIA-aZVG-Sp3ruD", "vg_free":"1644167168", "vg_extent_size":"4194304", "vg_missing_pv_count":"0", "lv_name":"s2", "lv_uuid":"nSqy7z-kMa2-u5T1-oJuq-RBIy-FvNn-o7ZRhF", "lv_size":"134217728", "lv_layout":"thin,sparse", "lv_role":"public,snapshot,thinsnapshot", "pool_lv":"pool", "origin":"thin", "lv_tags":"", "data_percent":"", "lv_snapshot_invalid":"-1", "lv_merging":"1", "lv_active":""}
              ]
          }
      ]
  }
"#;

    #[test]
    fn snapshots_and_pools_are_read_as_lvs_prints_them() {
        let space = decode(REPORT).unwrap().unwrap();
        assert_eq!((space.free, space.extent_size, space.missing_pvs), (1_644_167_168, 4 << 20, 0));
        let pool = space.lv("pool").unwrap();
        assert!(!pool.is_thin && !pool.is_snapshot && !pool.is_invalid && pool.is_active);
        assert_eq!(pool.used, Some(135));
        let thick = space.lv("s1").unwrap();
        assert!(thick.is_snapshot && !thick.is_thin && thick.is_invalid && !thick.is_merging);
        assert_eq!((thick.origin.as_str(), thick.used, thick.tags.len()), ("thick", Some(10_000), 2));
        let thin = space.lv("s2").unwrap();
        assert!(thin.is_snapshot && thin.is_thin && thin.is_merging && !thin.is_invalid && !thin.is_active);
        assert_eq!((thin.pool.as_str(), thin.used), ("pool", None));
    }

    #[test]
    fn a_report_that_is_cut_short_is_an_error_and_one_of_nothing_is_none() {
        assert_eq!(decode("{\"report\": [ {\"lv\": []} ]}").unwrap(), None);
        for end in (1..REPORT.trim_end().len()).filter(|end| REPORT.is_char_boundary(*end)) {
            assert!(decode(&REPORT[..end]).is_err(), "{end}");
        }
        assert!(decode(&REPORT.replace("\"4194304\"", "\"4.00m\"")).is_err());
    }

    #[test]
    fn a_thick_snapshot_has_a_size_and_a_thin_one_none() {
        let vg = VgName::parse("vg1").unwrap();
        let thick =
            NewSnapshot { origin: "a".into(), name: "a-s".into(), size: Some(8 << 20), tags: vec!["t".into(), "u=1".into()] };
        assert_eq!(
            thick.command(&vg).join(" "),
            "lvcreate --yes --snapshot --name a-s --size 8388608b --addtag t --addtag u=1 vg1/a"
        );
        let thin = NewSnapshot { size: None, ..thick };
        assert_eq!(
            thin.command(&vg).join(" "),
            "lvcreate --yes --snapshot --name a-s --setactivationskip y --addtag t --addtag u=1 vg1/a"
        );
        assert_eq!(activation(&vg, "a", false).join(" "), "lvchange --yes --ignoreactivationskip -an vg1/a");
    }
}
