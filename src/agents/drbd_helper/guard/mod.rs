//! The guard of a resource: why this side may hold older or diverged data, kept over a reboot until somebody clears it or both sides are
//! proven equal. While it stands, the agent promotes nothing here. What can not be written to the disk stands until the next boot.

mod entry;
mod place;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::entry::{Entry, Reason};
pub use self::place::records_of;
use self::place::{FILE, is_unwritten, lock, path_in, places};
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
        let [disk, until_boot] = Self::parts(root, resource);
        Ok(Self::joined([disk?, until_boot?]))
    }

    /// The guard of this resource; one that can not be read counts as one.
    #[must_use]
    pub fn load_or_unreadable(root: &Root, resource: &str) -> Self {
        Self::joined(Self::parts(root, resource).map(|part| part.unwrap_or_else(|e| Self::unreadable(&e))))
    }

    /// Adds a reason, on the disk when this returns; whether it is new. One that stands already stays as it is. It stands before the disk
    /// is touched, which may hang.
    ///
    /// # Errors
    /// It is not on the disk, and would be lost by a reboot; until then it stands all the same, if anything can be written at all. A guard
    /// that can not be understood is none: it is replaced, and that it was there stays a reason.
    pub fn add(root: &Root, resource: &str, entry: Entry) -> Result<bool> {
        // A reason that is not written down is worse than one that is lost beside it.
        let _lock = lock(root, resource).inspect_err(|e| tracing::warn!("{e}"));
        let [(disk, file), (until_boot, unwritten)] = places(root, resource);
        let mut early = Self::read(&until_boot, &unwritten).unwrap_or_else(|e| Self::unreadable(&e));
        let reason = entry.reason;
        let mut is_new = !early.has(reason);
        if is_new {
            early.entries.push(entry);
            early.write_or_warn(&until_boot, &unwritten);
        }
        // A disk that hangs does so from here on.
        let lasting = Self::read(&disk, &file).unwrap_or_else(|e| Self::unreadable(&e));
        is_new &= !lasting.has(reason);
        if lasting.has_all_of(&early) {
            lasting.forget_unwritten(root, resource)?;
            return Ok(is_new);
        }
        let guard = Self::joined([lasting, early]);
        guard.save_for_good(root, resource).inspect_err(|_| guard.write_or_warn(&until_boot, &unwritten))?;
        Ok(is_new)
    }

    /// Writes to the disk what is not there although it stands.
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

    /// What to say of a guard that can not be read, or could not be when somebody added to it: what stands beside that, where it is, and
    /// what to type.
    #[must_use]
    pub fn complaint(&self, resource: &str) -> Option<String> {
        let entry = self.entries.iter().find(|entry| entry.reason == Reason::Unreadable)?;
        let path = path_in(resource, &entry.detail);
        let others = self.entries.iter().map(|entry| entry.reason).filter(|reason| *reason != Reason::Unreadable);
        let known: Vec<String> = others.map(|reason| reason.to_string()).chain(["the guard could not be read".into()]).collect();
        let known = known.join(", ");
        Some(format!("{resource}: {known} ({path}): ocf-san drbd guard clear {resource}"))
    }

    /// Whether nothing stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn has_all_of(&self, other: &Self) -> bool {
        other.entries.iter().all(|entry| self.has(entry.reason))
    }

    fn unreadable(e: &KernelError) -> Self {
        let entry = Entry { reason: Reason::Unreadable, since: now(), by: "reading it".to_owned(), detail: e.to_string() };
        Self { entries: vec![entry] }
    }

    /// What is on the disk, and what stands until the next boot. That is read first, as it goes only after it is on the disk.
    fn parts(root: &Root, resource: &str) -> [Result<Self>; 2] {
        let [(disk, file), (until_boot, unwritten)] = places(root, resource);
        let early = Self::read(&until_boot, &unwritten);
        [Self::read(&disk, &file), early]
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

    fn write_or_warn(&self, dir: &Dir, file: &str) {
        if let Err(e) = self.write(dir, file) {
            tracing::warn!("{e}");
        }
    }

    fn save_for_good(&self, root: &Root, resource: &str) -> Result<()> {
        self.write(&records_of(root, resource), FILE)?;
        self.forget_unwritten(root, resource)
    }

    /// Takes away what stands until the next boot, now that this is on the disk; not what somebody has added who had no lock.
    fn forget_unwritten(&self, root: &Root, resource: &str) -> Result<()> {
        let [_, (dir, file)] = places(root, resource);
        let left = Self::read(&dir, &file).unwrap_or_default();
        if self.has_all_of(&left) { dir.unlink(&file).map(drop) } else { Ok(()) }
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
