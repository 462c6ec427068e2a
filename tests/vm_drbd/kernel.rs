//! What the kernel itself says of a minor, by /proc/drbd.

use std::fs;

/// One line of /proc/drbd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minor {
    /// The state of the connection.
    pub cs: String,
    /// Own role, and the peer's.
    pub ro: String,
    /// The state of the disk, and of the peer's.
    pub ds: String,
    /// Whether I/O is suspended.
    pub frozen: bool,
}

/// None when there is no such minor, or no module.
pub fn minor(number: u32) -> Option<Minor> {
    let text = fs::read_to_string("/proc/drbd").ok()?;
    let begin = format!("{number}: ");
    let line = text.lines().map(str::trim_start).find(|line| line.starts_with(&begin))?;
    let field = |key: &str| {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(key));
        word.unwrap_or_default().to_owned()
    };
    let flags = line.split_whitespace().next_back()?;
    Some(Minor { cs: field("cs:"), ro: field("ro:"), ds: field("ds:"), frozen: flags.starts_with('s') })
}
