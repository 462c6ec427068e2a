//! Which DRBD the running kernel has: the first line of `/proc/drbd` (`drbd_proc.c`), the only one that every version writes.

use std::fmt;

/// The version of the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 8 or 9.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

impl Version {
    /// The version in the first line: `version: 8.4.11-1 (api:1/proto:86-101)`. What follows the three numbers is of no moment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words = text.lines().find_map(|line| line.strip_prefix("version:"))?;
        let mut numbers = words.trim_start().splitn(3, '.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        let rest = numbers.next()?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some(Self { major, minor, patch: rest[..end].parse().ok()? })
    }

    /// Whether it is an 8.4, which tells all in `/proc/drbd`.
    #[must_use]
    pub fn is_84(self) -> bool {
        (self.major, self.minor) == (8, 4)
    }

    /// Whether it is a 9, which has to be asked.
    #[must_use]
    pub fn is_9(self) -> bool {
        self.major == 9
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_numbers_count_and_nothing_behind_them_does() {
        let parsed = |text: &str| Version::parse(text).map(|version| version.to_string());
        assert_eq!(parsed("version: 8.4.11 (api:1/proto:86-101)\nsrcversion: 0 \n").as_deref(), Some("8.4.11"));
        assert_eq!(parsed("version: 8.4.11-1 (api:1/proto:86-101)").as_deref(), Some("8.4.11"));
        assert_eq!(parsed("version: 9.2.4-rc.1 (api:2/proto:86-122)").as_deref(), Some("9.2.4"));
        assert_eq!(parsed("version: 9.3.3 (api:2/proto:118-124) (compat 8.4)\n").as_deref(), Some("9.3.3"));
        for text in ["", "version:", "version: 9", "version: 9.3", "version: 9.3.", "version: a.b.c", "srcversion: 8.4.11"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn only_8_4_tells_all_by_itself() {
        let of = |text: &str| Version::parse(text).unwrap();
        assert!(of("version: 8.4.7").is_84() && !of("version: 8.4.7").is_9());
        assert!(of("version: 9.3.3 (compat 8.4)").is_9() && !of("version: 9.3.3 (compat 8.4)").is_84());
        assert!(!of("version: 8.3.11 (api:88/proto:86-96)").is_84());
    }
}
