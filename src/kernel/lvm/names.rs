//! The names that LVM takes for volume groups and logical volumes, and the name that device-mapper knows them by.

use std::fmt;

pub use super::mapping::{Mapping, Uuid};

/// The longest name: LVM has room for 128 bytes with the final NUL (`NAME_LEN`, lib/misc/lvm-string.h).
const NAME_MAX: usize = 127;

/// What stands in the name of a logical volume that belongs to another one (lvm2, lib/misc/lvm-string.c).
pub(super) const PART_OF: &[&str] = &[
    "_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_imeta", "_iorig", "_mimage", "_mlog", "_pmspare", "_rimage", "_rmeta",
    "_tdata", "_tmeta", "_vdata", "_vorigin", "_wcorig",
];

/// What the name of a logical volume begins with that LVM makes for a while.
pub(super) const PASSING: &[&str] = &["pvmove", "snapshot"];

/// The logical volume of a shared volume group in which sanlock keeps its leases: active as long as the lock space is.
pub const LEASES: &str = "lvmlock";

/// The name of a volume group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VgName(String);

impl VgName {
    /// Reads a name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        spelled(text).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VgName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a logical volume that a user can have made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LvName(String);

impl LvName {
    /// Reads a name.
    ///
    /// # Errors
    /// What is wrong with it; a name that LVM keeps for itself is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = spelled(text)?;
        if name == LEASES {
            return Err(format!("{LEASES} is LVM's own"));
        }
        if let Some(own) = PASSING.iter().find(|own| name.starts_with(**own)) {
            return Err(format!("names that begin with {own} are LVM's own"));
        }
        if let Some(own) = PART_OF.iter().find(|own| name.contains(**own)) {
            return Err(format!("names with {own} in them are LVM's own"));
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What holds for the names of both.
fn spelled(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("empty name".to_owned());
    }
    if text.len() > NAME_MAX {
        return Err(format!("{} characters, at most {NAME_MAX}", text.len()));
    }
    if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "+_.-".contains(*c))) {
        return Err(format!("{bad:?} can not be in an LVM name"));
    }
    if text.starts_with('-') || text == "." || text == ".." {
        return Err(format!("{text:?} is no LVM name"));
    }
    Ok(text.to_owned())
}

/// The device-mapper name of a logical volume: both names with every hyphen doubled, and one hyphen between them.
///
/// It can be longer than device-mapper allows: then LVM can not have activated the volume either.
#[must_use]
pub fn dm_name(vg: &VgName, lv: &LvName) -> String {
    format!("{}{}", dm_prefix(vg), doubled(&lv.0))
}

/// What the device-mapper names of all logical volumes of this group begin with, and those of no other group.
#[must_use]
pub fn dm_prefix(vg: &VgName) -> String {
    format!("{}-", doubled(&vg.0))
}

fn doubled(name: &str) -> String {
    name.replace('-', "--")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of up to four of the characters that matter to the rules.
    fn some_names() -> Vec<String> {
        let mut names = vec![String::new()];
        let mut last = names.clone();
        for _ in 0..4 {
            last = last.iter().flat_map(|name| "a-._".chars().map(move |c| format!("{name}{c}"))).collect();
            names.extend(last.iter().cloned());
        }
        names
    }

    #[test]
    fn every_name_that_lvm_takes_is_taken_as_it_is() {
        let longest = "v".repeat(127);
        for good in ["vg1", "vg-a", "a-", "_x", "+x", "...", ".x", "lv.1+2_3", "9", &longest] {
            assert_eq!(VgName::parse(good).unwrap().as_str(), good);
            assert_eq!(LvName::parse(good).unwrap().to_string(), good);
        }
    }

    #[test]
    fn a_name_that_lvm_would_not_take_is_refused_and_the_reason_says_what_is_wrong() {
        let long = "v".repeat(128);
        for (bad, why) in [
            ("", "empty name"),
            (".", "\".\" is no LVM name"),
            ("..", "\"..\" is no LVM name"),
            ("-a", "\"-a\" is no LVM name"),
            ("a b", "' ' can not be in an LVM name"),
            ("vg/lv", "'/' can not be in an LVM name"),
            ("vg*", "'*' can not be in an LVM name"),
            ("gr\u{fc}n", "'ü' can not be in an LVM name"),
            ("a\n", "'\\n' can not be in an LVM name"),
            (&long, "128 characters, at most 127"),
        ] {
            assert_eq!(VgName::parse(bad), Err(why.to_owned()));
            assert_eq!(LvName::parse(bad), Err(why.to_owned()));
        }
    }

    #[test]
    fn a_name_that_lvm_keeps_for_itself_names_no_volume_but_may_name_a_group() {
        for (bad, why) in [
            ("lvmlock", "lvmlock is LVM's own"),
            ("pvmove0", "names that begin with pvmove are LVM's own"),
            ("snapshot", "names that begin with snapshot are LVM's own"),
            ("lv1_rimage_0", "names with _rimage in them are LVM's own"),
            ("x_tdatax", "names with _tdata in them are LVM's own"),
        ] {
            assert_eq!(LvName::parse(bad), Err(why.to_owned()));
            VgName::parse(bad).unwrap();
        }
        for good in ["my_snapshot", "lvmlock1", "rimage_0", "pv"] {
            LvName::parse(good).unwrap();
        }
    }

    #[test]
    fn no_two_volumes_have_the_same_device_mapper_name() {
        let names = some_names();
        let groups: Vec<_> = names.iter().filter(|name| name.len() < 4).filter_map(|name| VgName::parse(name).ok()).collect();
        let volumes: Vec<_> = names.iter().filter(|name| name.len() < 4).filter_map(|name| LvName::parse(name).ok()).collect();
        let mut seen = std::collections::BTreeSet::new();
        for vg in &groups {
            for lv in &volumes {
                assert!(seen.insert(dm_name(vg, lv)), "{vg} {lv}");
                assert!(dm_name(vg, lv).starts_with(&dm_prefix(vg)));
            }
        }
        assert!(seen.len() > 2000, "{}", seen.len());
        let (vg, lv) = (VgName::parse("vg-a").unwrap(), LvName::parse("lv-1").unwrap());
        assert_eq!((dm_name(&vg, &lv).as_str(), dm_prefix(&vg).as_str()), ("vg--a-lv--1", "vg--a-"));
    }
}
