//! The guard of a resource: why this side may hold older or diverged data, kept over a reboot until somebody clears it or both sides are
//! proven equal. While it stands, the agent promotes nothing here. What can not be written to the disk stands until the next boot.

mod entry;
mod place;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::entry::{Entry, Reason};
pub use self::place::records_of;
use self::place::{FILE, is_unwritten, lock, path_in, places, unwritten};
use super::handlers::state_dir;
use super::last_primary::now;
use crate::kernel::attr::{Dir, Root};
use crate::kernel::error::{KernelError, Result};

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
        let parts: Result<Vec<Self>> = places(root, resource).iter().map(|(dir, file)| Self::read(dir, file)).collect();
        Ok(Self::joined(parts?))
    }

    /// The guard of this resource; one that can not be read counts as one.
    #[must_use]
    pub fn load_or_unreadable(root: &Root, resource: &str) -> Self {
        let unreadable = |e: KernelError| {
            let entry = Entry { reason: Reason::Unreadable, since: now(), by: "reading it".to_owned(), detail: e.to_string() };
            Self { entries: vec![entry] }
        };
        Self::joined(places(root, resource).iter().map(|(dir, file)| Self::read(dir, file).unwrap_or_else(unreadable)))
    }

    /// Adds a reason, on the disk when this returns; whether it is new. One that stands already stays as it is.
    ///
    /// # Errors
    /// It is not on the disk, and would be lost by a reboot; until then it stands all the same, if anything can be written at all. A guard
    /// that can not be understood is none: it is replaced, and that it was there stays a reason.
    pub fn add(root: &Root, resource: &str, entry: Entry) -> Result<bool> {
        // A reason that is not written down is worse than one that is lost beside it.
        let _lock = lock(root, resource).inspect_err(|e| tracing::warn!("{e}"));
        let mut guard = Self::load_or_unreadable(root, resource);
        let is_new = !guard.has(entry.reason);
        if !is_new && !is_unwritten(root, resource) {
            return Ok(false);
        }
        if is_new {
            guard.entries.push(entry);
        }
        guard.save_for_good(root, resource).inspect_err(|_| {
            if let Err(e) = guard.write(&state_dir(root), &unwritten(resource)) {
                tracing::warn!("{e}");
            }
        })?;
        Ok(is_new)
    }

    /// Writes to the disk what could not be written there when it was found.
    ///
    /// # Errors
    /// It still can not be.
    pub fn settle(root: &Root, resource: &str) -> Result<()> {
        if !is_unwritten(root, resource) {
            return Ok(());
        }
        let _lock = lock(root, resource)?;
        let guard = Self::load(root, resource)?;
        if guard.is_empty() { Ok(()) } else { guard.save_for_good(root, resource) }
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
        let mut stood = false;
        for (dir, file) in places(root, resource) {
            let mut guard = Self::read(&dir, &file)?;
            let before = guard.entries.len();
            guard.entries.retain(|entry| !is_over(entry.reason));
            if guard.entries.len() == before {
                continue;
            }
            if guard.entries.is_empty() {
                dir.unlink(&file)?;
            } else {
                guard.write(&dir, &file)?;
            }
            stood = true;
        }
        Ok(stood)
    }

    /// Takes all of it away, also when it can not be understood.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn discard(root: &Root, resource: &str) -> Result<()> {
        places(root, resource).iter().try_for_each(|(dir, file)| dir.unlink(file).map(drop))
    }

    /// Whether this reason stands.
    #[must_use]
    pub fn has(&self, reason: Reason) -> bool {
        self.entries.iter().any(|entry| entry.reason == reason)
    }

    /// What to say of a guard that can not be read, or could not be when somebody added to it: where it is, and what to type.
    #[must_use]
    pub fn complaint(&self, resource: &str) -> Option<String> {
        let entry = self.entries.iter().find(|entry| entry.reason == Reason::Unreadable)?;
        let path = path_in(resource, &entry.detail);
        Some(format!("{resource}: the guard could not be read ({path}): ocf-san drbd guard clear {resource} --i-checked"))
    }

    /// Whether nothing stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn joined(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::default();
        for entry in parts.into_iter().flat_map(|part| part.entries) {
            if !whole.has(entry.reason) {
                whole.entries.push(entry);
            }
        }
        whole
    }

    fn read(dir: &Dir, file: &str) -> Result<Self> {
        let Some(text) = dir.read_opt(file)? else { return Ok(Self::default()) };
        serde_json::from_str(&text).map_err(|e| KernelError::new("understand", dir.path().join(file), e.into()))
    }

    fn write(&self, dir: &Dir, file: &str) -> Result<()> {
        dir.create_all(0o755)?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| KernelError::new("write", dir.path().join(file), e.into()))?;
        dir.replace_file_for_good(file, &text)
    }

    fn save_for_good(&self, root: &Root, resource: &str) -> Result<()> {
        self.write(&records_of(root, resource), FILE)?;
        state_dir(root).unlink(&unwritten(resource)).map(drop)
    }
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
    use super::place::{PATIENCE, lock_name};
    use super::*;
    use crate::kernel::lock::Lock;
    use crate::ocf::reason;

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
        let held = Lock::take(&state_dir(&root), &lock_name("r0"), || ()).unwrap();
        let before = std::time::Instant::now();
        assert!(Guard::add(&root, "r0", entry(Reason::SplitBrain)).unwrap());
        assert!(Guard::clear(&root, "r0", |_| true).is_err());
        assert!(!Guard::clear(&root, "r0", |reason| reason == Reason::IoError).unwrap());
        assert!(before.elapsed() < PATIENCE * 3);
        drop(held);
        assert!(Guard::clear(&root, "r0", |_| true).unwrap());
    }

    #[test]
    fn what_can_not_be_written_stands_until_it_is_cleared_and_is_written_once_that_works() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let broken = root.path("/var/lib/ocf-san/drbd/r0");
        std::fs::create_dir_all(broken.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("nowhere", &broken).unwrap();
        let until_boot = root.path("/run/ocf-san/drbd/r0.guard.json");
        for reason in [Reason::OlderData, Reason::SplitBrain, Reason::SplitBrain] {
            Guard::add(&root, "r0", entry(reason)).unwrap_err();
        }
        let guard = Guard::load(&root, "r0").unwrap();
        assert!(guard.has(Reason::OlderData) && guard.has(Reason::SplitBrain) && guard.entries.len() == 2);
        assert!(Guard::clear(&root, "r0", |reason| reason == Reason::OlderData).unwrap());
        assert!(!Guard::load(&root, "r0").unwrap().has(Reason::OlderData) && until_boot.exists());
        Guard::settle(&root, "r0").unwrap_err();
        std::fs::remove_file(&broken).unwrap();
        Guard::settle(&root, "r0").unwrap();
        assert!(broken.join(FILE).exists() && !until_boot.exists());
        assert!(Guard::load(&root, "r0").unwrap().has(Reason::SplitBrain));
        assert!(Guard::clear(&root, "r0", |_| true).unwrap() && Guard::load(&root, "r0").unwrap().is_empty());
        Guard::settle(&root, "r0").unwrap();
        assert!(!broken.join(FILE).exists());
    }

    #[test]
    fn what_stands_until_the_next_boot_is_seen_beside_a_guard_that_can_not_be_read() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        root.dir("/var/lib/ocf-san/drbd/r0/guard.json").create_all(0o755).unwrap();
        Guard::add(&root, "r0", entry(Reason::IoError)).unwrap_err();
        let guard = Guard::load_or_unreadable(&root, "r0");
        assert!(guard.has(Reason::IoError) && guard.has(Reason::Unreadable));
        let says =
            "r0: the guard could not be read (/var/lib/ocf-san/drbd/r0/guard.json): ocf-san drbd guard clear r0 --i-checked";
        assert_eq!(guard.complaint("r0").as_deref(), Some(says));
        assert!(says.len() <= reason::MAX);
        root.dir("/var/lib/ocf-san/drbd/r0/guard.json").remove().unwrap();
        assert_eq!(Guard::load(&root, "r0").unwrap().complaint("r0").as_deref(), Some(says), "it is remembered");
        Guard::discard(&root, "r0").unwrap();
        root.dir("/run/ocf-san/drbd").set("r0.guard.json", "{").unwrap();
        let guard = Guard::load_or_unreadable(&root, "r0");
        assert!(guard.complaint("r0").unwrap().contains(" (/run/ocf-san/drbd/r0.guard.json): "), "{guard:?}");
        Guard::discard(&root, "r0").unwrap();
        assert_eq!(Guard::load_or_unreadable(&root, "r0").complaint("r0"), None);
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
