//! The guard of a resource: why this side may hold older or diverged data, kept over a reboot until somebody clears it or both sides are
//! proven equal. While it stands, the agent promotes nothing here.

use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::last_primary::now;
use crate::deadline::Deadline;
use crate::kernel::attr::{Dir, Root};
use crate::kernel::error::{KernelError, Result};
use crate::kernel::lock::Lock;
use crate::ocf::state_file::file_name;

/// Below this is a directory for each resource, with its guard and its other lasting records.
const STATE: &str = "/var/lib/ocf-san/drbd";

const FILE: &str = "guard.json";

/// Held while the guard is read, changed and written: monitors, handlers and people all do so.
const LOCK: &str = "guard.lock";

/// How long to wait for it: whoever holds it writes one small file.
const PATIENCE: Duration = Duration::from_secs(2);

/// The directory of the lasting records of a resource. Touches nothing.
#[must_use]
pub fn records_of(root: &Root, resource: &str) -> Dir {
    root.dir(STATE).dir(file_name(resource))
}

/// Why a side is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Both sides have been written to without each other, and somebody must choose.
    SplitBrain,
    /// An online verify found blocks that differ.
    VerifyDifferences,
    /// The local disk has reported an error.
    IoError,
    /// The other node was Primary later than this one could see.
    OlderData,
    /// Two nodes were Primary that may not be.
    TwoPrimaries,
    /// The guard is there, and can not be read or understood: it may have been any of the others.
    Unreadable,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SplitBrain => "split brain",
            Self::VerifyDifferences => "verify found differences",
            Self::IoError => "I/O error",
            Self::OlderData => "older data",
            Self::TwoPrimaries => "two Primaries",
            Self::Unreadable => "the guard can not be read",
        })
    }
}

/// One reason, with who found it and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Why.
    pub reason: Reason,
    /// When, in UTC: `2026-01-31T12:00:00Z`.
    pub since: String,
    /// Who found it: `handler split-brain`, `monitor`.
    pub by: String,
    /// What there was to see.
    #[serde(default)]
    pub detail: String,
}

/// The guard of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Guard {
    /// Each reason once, the oldest first; empty when nothing is wrong.
    #[serde(default)]
    pub entries: Vec<Entry>,
}

impl Guard {
    /// The guard of this resource, empty when there is none.
    ///
    /// # Errors
    /// It is there and can not be read or understood: whoever asks whether a promotion is safe must take that for a guard.
    pub fn load(root: &Root, resource: &str) -> Result<Self> {
        let dir = records_of(root, resource);
        let Some(text) = dir.read_opt(FILE)? else { return Ok(Self::default()) };
        serde_json::from_str(&text).map_err(|e| KernelError::new("understand", dir.path().join(FILE), e.into()))
    }

    /// The guard of this resource; one that can not be read counts as one.
    #[must_use]
    pub fn load_or_unreadable(root: &Root, resource: &str) -> Self {
        Self::load(root, resource).unwrap_or_else(|e| {
            let entry = Entry { reason: Reason::Unreadable, since: now(), by: "reading it".to_owned(), detail: e.to_string() };
            Self { entries: vec![entry] }
        })
    }

    /// Adds a reason, on the disk when this returns; whether it is new. One that stands already stays as it is.
    ///
    /// # Errors
    /// The directory is not writable. One that can not be understood is replaced, and that it was stays a reason.
    pub fn add(root: &Root, resource: &str, entry: Entry) -> Result<bool> {
        // A reason that is not written down is worse than one that is lost beside it.
        let _lock = lock(root, resource).inspect_err(|e| tracing::warn!("{e}"));
        let mut guard = Self::load_or_unreadable(root, resource);
        if guard.has(entry.reason) {
            return Ok(false);
        }
        guard.entries.push(entry);
        guard.save(root, resource)?;
        Ok(true)
    }

    /// Takes away the reasons for which `is_over`; whether any stood.
    ///
    /// # Errors
    /// The directory is not writable, somebody else is at it for too long, or the guard can not be understood.
    pub fn clear(root: &Root, resource: &str, is_over: impl Fn(Reason) -> bool) -> Result<bool> {
        // Each monitor asks, and as a rule there is nothing to take away.
        if !Self::load(root, resource)?.entries.iter().any(|entry| is_over(entry.reason)) {
            return Ok(false);
        }
        let _lock = lock(root, resource)?;
        let mut guard = Self::load(root, resource)?;
        let before = guard.entries.len();
        guard.entries.retain(|entry| !is_over(entry.reason));
        if guard.entries.len() == before {
            return Ok(false);
        }
        if guard.entries.is_empty() {
            records_of(root, resource).unlink(FILE)?;
        } else {
            guard.save(root, resource)?;
        }
        Ok(true)
    }

    /// Takes all of it away, also when it can not be understood.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn discard(root: &Root, resource: &str) -> Result<()> {
        records_of(root, resource).unlink(FILE).map(drop)
    }

    /// Whether this reason stands.
    #[must_use]
    pub fn has(&self, reason: Reason) -> bool {
        self.entries.iter().any(|entry| entry.reason == reason)
    }

    /// Whether nothing stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn save(&self, root: &Root, resource: &str) -> Result<()> {
        let dir = records_of(root, resource);
        dir.create_all(0o755)?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| KernelError::new("write", dir.path().join(FILE), e.into()))?;
        dir.replace_file_for_good(FILE, &text)
    }
}

fn lock(root: &Root, resource: &str) -> Result<Lock> {
    let dir = records_of(root, resource);
    let lock = Lock::take_until(&dir, LOCK, Deadline::after(PATIENCE), || ())?;
    lock.ok_or_else(|| KernelError::new("lock", dir.path().join(LOCK), io::ErrorKind::TimedOut.into()))
}

impl fmt::Display for Guard {
    /// `split brain since 2026-01-31T12:00:00Z`, the oldest reason, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.entries.first() else { return f.write_str("no guard") };
        write!(f, "{} since {}", first.reason, first.since)?;
        match self.entries.len() {
            1 => Ok(()),
            n => write!(f, " and {} more", n - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reason: Reason) -> Entry {
        Entry { reason, since: "2026-01-31T12:00:00Z".into(), by: "test".into(), detail: String::new() }
    }

    #[test]
    fn a_reason_stands_once_until_it_is_cleared() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        assert!(Guard::load(&root, "r0").unwrap().is_empty());
        assert!(Guard::add(&root, "r0", entry(Reason::SplitBrain)).unwrap());
        assert!(!Guard::add(&root, "r0", entry(Reason::SplitBrain)).unwrap());
        assert!(Guard::add(&root, "r0", entry(Reason::IoError)).unwrap());
        assert!(Guard::load(&root, "r1").unwrap().is_empty());
        let guard = Guard::load(&root, "r0").unwrap();
        assert_eq!(guard.to_string(), "split brain since 2026-01-31T12:00:00Z and 1 more");
        assert!(Guard::clear(&root, "r0", |reason| reason == Reason::SplitBrain).unwrap());
        assert!(Guard::load(&root, "r0").unwrap().has(Reason::IoError));
        assert!(Guard::clear(&root, "r0", |_| true).unwrap());
        assert!(!Guard::clear(&root, "r0", |_| true).unwrap());
        assert!(!root.path("/var/lib/ocf-san/drbd/r0/guard.json").exists());
    }

    #[test]
    fn two_who_change_it_at_once_both_have_their_way() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        for round in 0..100 {
            let resource = format!("r{round}");
            Guard::add(&root, &resource, entry(Reason::OlderData)).unwrap();
            std::thread::scope(|scope| {
                for reason in [Reason::SplitBrain, Reason::IoError] {
                    let (root, resource) = (&root, &resource);
                    scope.spawn(move || Guard::add(root, resource, entry(reason)).unwrap());
                }
                scope.spawn(|| Guard::clear(&root, &resource, |reason| reason == Reason::OlderData).unwrap());
            });
            let guard = Guard::load(&root, &resource).unwrap();
            assert!(guard.has(Reason::SplitBrain) && guard.has(Reason::IoError) && !guard.has(Reason::OlderData), "{guard:?}");
        }
    }

    #[test]
    fn whoever_holds_it_for_too_long_keeps_nobody_from_adding_a_reason_and_nothing_is_taken_away_beside_him() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let held = Lock::take(&records_of(&root, "r0"), LOCK, || ()).unwrap();
        let before = std::time::Instant::now();
        assert!(Guard::add(&root, "r0", entry(Reason::SplitBrain)).unwrap());
        assert!(Guard::clear(&root, "r0", |_| true).is_err());
        assert!(!Guard::clear(&root, "r0", |reason| reason == Reason::IoError).unwrap());
        assert!(before.elapsed() < PATIENCE * 3);
        drop(held);
        assert!(Guard::clear(&root, "r0", |_| true).unwrap());
    }

    #[test]
    fn a_guard_that_can_not_be_understood_is_an_error_and_not_none() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        records_of(&root, "r0").set(FILE, "{").unwrap();
        assert!(Guard::load(&root, "r0").is_err());
        assert!(Guard::add(&root, "r0", entry(Reason::IoError)).unwrap());
        let guard = Guard::load(&root, "r0").unwrap();
        assert!(guard.has(Reason::IoError) && guard.has(Reason::Unreadable));
    }
}
