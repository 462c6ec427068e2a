//! What the kernel says about the state of a target, in its own order of words
//! (Documentation/admin-guide/device-mapper, and the `status` functions in drivers/md).

use std::str::FromStr;

use super::decode::TargetLine;
pub use super::trouble::trouble;

/// Used and all there is, or done and all there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    /// Used, or done.
    pub used: u64,
    /// Of so many.
    pub total: u64,
}

impl Ratio {
    /// `12/345`
    fn parse(text: &str) -> Option<Self> {
        let (used, total) = text.split_once('/')?;
        Some(Self { used: used.parse().ok()?, total: total.parse().ok()? })
    }

    /// Rounded down; nothing of nothing is all of it.
    #[must_use]
    pub fn percent(self) -> u64 {
        if self.total == 0 {
            return 100;
        }
        u64::try_from(u128::from(self.used) * 100 / u128::from(self.total)).unwrap_or(u64::MAX)
    }

    /// Whether so much of it is used; never of nothing.
    #[must_use]
    pub fn past(self, percent: u8) -> bool {
        self.total != 0 && self.percent() >= u64::from(percent)
    }
}

/// The state of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// dm-raid.
    Raid {
        /// One character a leg: `A` alive, `a` alive and not in sync, `D` failed.
        legs: String,
        /// How far `action` is, in sectors.
        done: Ratio,
        /// `idle`, `resync`, `recover`, `check`, `repair`, `reshape`, `frozen`.
        action: String,
        /// Sectors in which the last check found that the legs differ.
        mismatches: u64,
        /// Whether its journal is on a device that failed.
        journal_failed: bool,
    },
    /// A mirror of before dm-raid.
    Mirror {
        /// One character a leg: `A` alive, any other for the kind of error it had.
        legs: String,
        /// The regions that are in sync.
        synced: Ratio,
        /// Whether its log is on a device that failed.
        log_failed: bool,
    },
    /// Stripes.
    Striped {
        /// One character a leg: `A` without and `D` with an error since the table was loaded.
        legs: String,
    },
    /// A thin pool.
    ThinPool {
        /// Its blocks of metadata.
        metadata: Ratio,
        /// Its blocks of data.
        data: Ratio,
        /// `rw`, `ro` or `out_of_data_space`.
        mode: String,
        /// Whether its metadata must be checked before it can be written to again.
        needs_check: bool,
    },
    /// A snapshot, or one that is being merged.
    Snapshot {
        /// Its sectors.
        used: Ratio,
    },
    /// A cache.
    Cache {
        /// Whether its metadata can not be written to.
        read_only: bool,
        /// Whether its metadata must be checked.
        needs_check: bool,
    },
    /// A write cache.
    WriteCache {
        /// The number of the error that it had, 0 for none.
        error: i64,
    },
    /// Paths.
    Multipath {
        /// All there are.
        paths: u32,
        /// Those that failed.
        failed: u32,
    },
    /// Virtual data optimizer.
    Vdo {
        /// `normal`, `recovering` or `read-only`.
        mode: String,
        /// Its blocks.
        used: Ratio,
    },
    /// Nothing to say, and nothing wrong.
    Good,
    /// It does not work at all; in short lower-case words.
    Broken(&'static str),
    /// A kind that we know, and words that we do not.
    Unreadable,
}

impl Health {
    /// Reads a line of [`super::DeviceMapper::target_status`]; `None` for a kind that has no state, or that we do not know.
    #[must_use]
    pub fn of(line: &TargetLine) -> Option<Self> {
        let words = &mut line.params.split_ascii_whitespace();
        let found = match line.kind.as_str() {
            "error" => Some(Self::Broken("every i/o fails: error target")),
            "raid" => raid(words),
            "mirror" => mirror(words),
            "striped" => striped(words),
            "thin-pool" => thin_pool(words),
            "thin" => thin(words),
            "snapshot" | "snapshot-merge" => snapshot(&line.params),
            "cache" => cache(words),
            "writecache" => word(words).map(|error| Self::WriteCache { error }),
            "multipath" => multipath(words),
            "vdo" => vdo(words),
            _ => return None,
        };
        Some(found.unwrap_or(Self::Unreadable))
    }
}

type Words<'a> = std::str::SplitAsciiWhitespace<'a>;

fn word<T: FromStr>(words: &mut Words) -> Option<T> {
    words.next()?.parse().ok()
}

fn skip(words: &mut Words, count: usize) -> Option<()> {
    // A count that is cut off or forged must not make us go round for ever.
    (0..count).try_for_each(|_| words.next().map(drop))
}

/// So many legs, a character each.
fn legs(text: &str, count: usize) -> Option<String> {
    (count > 0 && text.len() == count && text.bytes().all(|b| b.is_ascii_alphabetic())).then(|| text.to_owned())
}

/// `raid1 2 AA 81920/81920 idle 0 [0 -]`; the last three are younger than the rest, one after the other.
fn raid(words: &mut Words) -> Option<Health> {
    let _level = words.next()?;
    let count = word(words)?;
    let legs = legs(words.next()?, count)?;
    let done = Ratio::parse(words.next()?)?;
    let action = words.next().unwrap_or("idle").to_owned();
    let mismatches = words.next().map_or(Some(0), |word| word.parse().ok())?;
    let journal_failed = words.nth(1) == Some("D");
    Some(Health::Raid { legs, done, action, mismatches, journal_failed })
}

/// `2 253:16 253:17 10/10 1 AA 3 disk 253:15 A`
fn mirror(words: &mut Words) -> Option<Health> {
    let count: usize = word(words)?;
    skip(words, count)?;
    let synced = Ratio::parse(words.next()?)?;
    skip(words, 1)?;
    let legs = legs(words.next()?, count)?;
    let arguments: usize = word(words)?;
    // Only a log on a device has a state, its last word.
    let log_failed = arguments == 3 && words.nth(2)? != "A";
    Some(Health::Mirror { legs, synced, log_failed })
}

/// `2 7:1 7:2 1 AA`
fn striped(words: &mut Words) -> Option<Health> {
    let count: usize = word(words)?;
    skip(words, count)?;
    skip(words, 1)?;
    Some(Health::Striped { legs: legs(words.next()?, count)? })
}

/// `1 112/1024 0/320 - rw discard_passdown queue_if_no_space - 256`
fn thin_pool(words: &mut Words) -> Option<Health> {
    match words.next()? {
        "Fail" => return Some(Health::Broken("pool failed")),
        "Error" => return Some(Health::Broken("pool metadata unreadable")),
        transaction => transaction.parse::<u64>().ok()?,
    };
    let metadata = Ratio::parse(words.next()?)?;
    let data = Ratio::parse(words.next()?)?;
    let _held_root = words.next()?;
    let mode = words.next().filter(|mode| ["rw", "ro", "out_of_data_space"].contains(mode))?.to_owned();
    let needs_check = words.any(|word| word == "needs_check");
    Some(Health::ThinPool { metadata, data, mode, needs_check })
}

/// `1024 81919`, `0 -`
fn thin(words: &mut Words) -> Option<Health> {
    match words.next()? {
        "Fail" => Some(Health::Broken("thin volume failed")),
        "Error" => Some(Health::Broken("thin volume's mapping unreadable")),
        "-" => Some(Health::Broken("thin volume without its pool")),
        mapped => mapped.parse::<u64>().ok().map(|_| Health::Good),
    }
}

/// `16/8192 16`
fn snapshot(text: &str) -> Option<Health> {
    match text.trim() {
        "Invalid" => Some(Health::Broken("snapshot invalid")),
        "Merge failed" => Some(Health::Broken("snapshot merge failed")),
        "Overflow" => Some(Health::Broken("snapshot overflowed")),
        // The kernel does not know how much is used.
        "Unknown" => Some(Health::Good),
        text => Ratio::parse(text.split_ascii_whitespace().next()?).map(|used| Health::Snapshot { used }),
    }
}

/// `8 9/2048 128 0/64 0 35 0 0 0 0 0 2 metadata2 writethrough 2 migration_threshold 2048 smq 0 rw -`
fn cache(words: &mut Words) -> Option<Health> {
    match words.next()? {
        "Fail" => return Some(Health::Broken("cache failed")),
        "Error" => return Some(Health::Broken("cache metadata unreadable")),
        block_size => block_size.parse::<u64>().ok()?,
    };
    // Sizes, fill levels and counters; features; core arguments; the policy's name and arguments.
    skip(words, 10)?;
    for names in [0, 0, 1] {
        skip(words, names)?;
        let count = word(words)?;
        skip(words, count)?;
    }
    let read_only = match words.next()? {
        "rw" => false,
        "ro" => true,
        _ => return None,
    };
    Some(Health::Cache { read_only, needs_check: words.next() == Some("needs_check") })
}

/// `2 0 0 0 1 1 A 0 2 1 8:16 A 0 0 8:32 F 3 0`: words about the whole and about the handler, how many groups and which is next, and of
/// each group a character, words of its selector, how many paths there are and how many words the selector has about each.
fn multipath(words: &mut Words) -> Option<Health> {
    for _ in 0..2 {
        let count = word(words)?;
        skip(words, count)?;
    }
    let (mut paths, mut failed) = (0u32, 0u32);
    let groups: u32 = word(words)?;
    skip(words, 1)?;
    for _ in 0..groups {
        skip(words, 1)?;
        let count = word(words)?;
        skip(words, count)?;
        let (members, about): (u32, usize) = (word(words)?, word(words)?);
        for _ in 0..members {
            skip(words, 1)?;
            paths = paths.checked_add(1)?;
            failed += u32::from(words.next()? != "A");
            skip(words, about.checked_add(1)?)?;
        }
    }
    Some(Health::Multipath { paths, failed })
}

/// `/dev/dm-3 normal - online online 524288 1048576`
fn vdo(words: &mut Words) -> Option<Health> {
    let mode = words.nth(1)?.to_owned();
    skip(words, 3)?;
    Some(Health::Vdo { mode, used: Ratio { used: word(words)?, total: word(words)? } })
}
