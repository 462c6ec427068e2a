//! The names that LVM takes for volume groups, and those that it keeps for itself.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_lvm_takes_is_taken_as_it_is() {
        let longest = "v".repeat(127);
        for good in ["vg1", "vg-a", "a-", "_x", "+x", "...", ".x", "lv.1+2_3", "9", &longest] {
            assert_eq!(VgName::parse(good).unwrap().as_str(), good);
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
        }
    }
}
