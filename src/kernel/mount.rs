//! The mounts of a process, and how the kernel writes paths in its tables.

/// A line of `/proc/PID/mountinfo` (proc(5)).
pub struct Mount {
    /// The major number of its device; 0 for one that the file system made up.
    pub major: u32,
    /// The minor number of its device.
    pub minor: u32,
    /// Where it is mounted.
    pub path: String,
    /// What it was mounted from: a device node, or what the file system takes for one.
    pub source: String,
}

impl Mount {
    /// Reads `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(2);
        let (major, minor) = fields.next()?.split_once(':')?;
        let path = unescaped(fields.nth(1)?);
        let source = unescaped(file_system.split(' ').nth(1)?);
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()?, path, source })
    }
}

/// Blanks and the like, which the kernel writes as a backslash and three octal digits.
#[must_use]
pub fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal =
            after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|d| u8::from_str_radix(d, 8).ok());
        if let Some(byte) = octal.filter(|_| first == b'\\') {
            bytes.push(byte);
            rest = after.get(3..).unwrap_or_default();
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_the_kernel_are_read_and_a_lone_backslash_stays() {
        assert_eq!(unescaped(r"/a\040b\134c"), r"/a b\c");
        assert_eq!(unescaped(r"\9\04"), r"\9\04");
        assert_eq!(unescaped("/ä\\011"), "/ä\t");
    }

    #[test]
    fn a_mount_has_its_device_its_place_and_its_source_whatever_optional_fields_it_has() {
        for optional in ["", "master:1 ", "shared:1 master:2 "] {
            let line = format!(r"36 35 98:0 /mnt1 /mnt\0402 rw,noatime {optional}- ext3 /dev/my\040disk rw,errors=continue");
            let mount = Mount::parse(&line).map(|it| (it.major, it.minor, it.path, it.source));
            assert_eq!(mount, Some((98, 0, "/mnt 2".to_owned(), "/dev/my disk".to_owned())), "{line}");
        }
        for line in ["", "36 35 98:0 / /x rw", "36 35 98 / /x rw - ext3 /dev/x rw", "36 35 9:x / /x rw - ext3 /dev/x rw", " - "] {
            assert!(Mount::parse(line).is_none(), "{line}");
        }
    }
}
