//! The files of one resource below the state directory: the lock that changing actions hold, and the record of the worker that holds
//! it or was left behind in the kernel, so that the next call finds it and puts no second one beside it.
//!
//! A worker is left behind when it lives and its parent is no longer the supervisor that the record names: nobody has to write that
//! down, so it is known even of a supervisor that was killed.

use nix::unistd::Pid;

use super::held::program_of;
use crate::kernel::attr::{Dir, Root};
use crate::kernel::error::Result;
use crate::kernel::identity::{Alive, Identity};
use crate::kernel::lock::Lock;
use crate::ocf::env::Env;
use crate::ocf::state_file::file_name;

/// Where the files of one resource are. Naming them touches nothing.
#[derive(Debug, Clone)]
pub struct Files {
    dir: Dir,
    base: String,
}

/// What a worker was at. Each has a record of its own, so that none takes the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something that changes the machine.
    Change,
    /// A cheap monitor, or whatever else only looks.
    Look,
    /// A monitor above the cheap level, or what hangs of a worker that has ended or only looks by now: a cheap monitor may be tried beside it.
    DeepLook,
}

impl Kind {
    /// The most serious first.
    const ALL: [Self; 3] = [Self::Change, Self::Look, Self::DeepLook];

    fn ending(self) -> &'static str {
        match self {
            Self::Change => "worker",
            Self::Look => "monitor",
            Self::DeepLook => "deep-monitor",
        }
    }
}

/// A worker, written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it was at.
    pub kind: Kind,
    /// The worker.
    pub worker: Identity,
    /// The process id of its supervisor.
    pub supervisor: i32,
    /// What it was called for.
    pub action: String,
    /// Whether that has failed, a missing answer included.
    pub has_failed: bool,
    /// Whether Pacemaker has called for it.
    pub is_by_pacemaker: bool,
    /// Whether it only looks, and its answer did without what hangs: that is no evidence for a stop which is stuck.
    pub is_needless: bool,
    /// What it was doing, or why it has failed, if that is known.
    pub note: String,
}

impl Record {
    /// For a human: what hangs.
    #[must_use]
    pub fn describe(&self) -> String {
        let note = if self.note.is_empty() { String::new() } else { format!(": {}", self.note) };
        format!("an earlier {} (pid {}) is stuck in the kernel{note}", self.action, self.worker.pid)
    }

    fn to_text(&self) -> String {
        let note = self.note.replace('\n', " ");
        let failed = if self.has_failed { " failed" } else { "" };
        let by = if self.is_by_pacemaker { " by-pacemaker" } else { "" };
        let needless = if self.is_needless { " needless" } else { "" };
        format!("{} {} {} {}{failed}{by}{needless}\n{note}\n", self.worker.pid, self.worker.start, self.supervisor, self.action)
    }

    fn from_text(kind: Kind, text: &str) -> Option<Self> {
        let (head, note) = text.split_once('\n').unwrap_or((text, ""));
        let mut words = head.split(' ');
        let worker = Identity { pid: words.next()?.parse().ok()?, start: words.next()?.parse().ok()? };
        let supervisor = words.next()?.parse().ok()?;
        let action = words.next()?.to_owned();
        let (mut has_failed, mut is_by_pacemaker, mut is_needless) = (false, false, false);
        for word in words {
            has_failed |= word == "failed";
            is_by_pacemaker |= word == "by-pacemaker";
            is_needless |= word == "needless";
        }
        let note = note.trim_end().to_owned();
        Some(Self { kind, worker, supervisor, action, has_failed, is_by_pacemaker, is_needless, note })
    }
}

impl Files {
    /// The files of the resource `env.instance()` of the agent `agent`.
    #[must_use]
    pub fn new(root: &Root, env: &Env, agent: &str) -> Self {
        Self { dir: root.dir(env.state_dir()), base: format!("ocf-san.{agent}-{}", file_name(env.instance())) }
    }

    /// The worker that an earlier call left behind, of several the one that was at the most serious. The record of one that has ended
    /// is removed.
    #[must_use]
    pub fn left_behind(&self) -> Option<(Record, Alive)> {
        Kind::ALL.into_iter().find_map(|kind| {
            let mut record = self.record(kind)?;
            let alive = record.worker.alive().or_else(|| {
                record.worker = survivor(&record)?;
                record.worker.alive()
            });
            if alive.is_none() {
                self.forget(kind);
            }
            alive.filter(|alive| alive.parent != record.supervisor).map(|alive| (record, alive))
        })
    }

    /// Whether another than `worker` is written down and lives.
    #[must_use]
    pub fn has_other(&self, kind: Kind, worker: Identity) -> bool {
        self.record(kind).is_some_and(|record| record.worker != worker && record.worker.alive().is_some())
    }

    /// What is written down, whatever it is worth.
    #[must_use]
    pub fn record(&self, kind: Kind) -> Option<Record> {
        // One system call when there is none, which is what a monitor pays.
        let text = self.dir.read_opt(self.record_name(kind)).ok()??;
        let record = Record::from_text(kind, &text);
        if record.is_none() {
            self.forget(kind);
        }
        record
    }

    /// Writes a worker down.
    ///
    /// # Errors
    /// The state directory can not be written.
    pub fn write(&self, record: &Record) -> Result<()> {
        self.dir.create_all(0o755)?;
        self.dir.replace_file(&self.record_name(record.kind), record.to_text().as_bytes())
    }

    /// Removes the record.
    pub fn forget(&self, kind: Kind) {
        let _ = self.dir.unlink(&self.record_name(kind));
    }

    /// Takes the lock that is held during a change. Waits for it without limit: the supervisor has one. `say` is told whom it waits
    /// for.
    ///
    /// # Errors
    /// The lock file can not be opened.
    pub fn lock(&self, say: &dyn Fn(&str)) -> Result<Lock> {
        let name = format!("{}.lock", self.base);
        Lock::take(&self.dir, &name, || match self.record(Kind::Change) {
            Some(holder) => say(&format!("waiting for the {} that pid {} is doing", holder.action, holder.worker.pid)),
            None => say(&format!("waiting for the lock {name}")),
        })
    }

    fn record_name(&self, kind: Kind) -> String {
        format!("{}.{}", self.base, kind.ending())
    }
}

/// A program that a deep monitor, which has been ended since, had started and that hangs. Nobody else can be in its session as long as that
/// is so, unless the number was free in between.
fn survivor(record: &Record) -> Option<Identity> {
    // The same one has ended, and nobody has taken note of it yet.
    let is_another = Identity::of(Pid::from_raw(record.worker.pid)).is_ok_and(|now| now != record.worker);
    if record.kind != Kind::DeepLook || is_another {
        return None;
    }
    program_of(record.worker.pid).filter(|program| program.start >= record.worker.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(&Root::fake(dir.path()), &Env::default(), "LIO");
        (dir, files)
    }

    fn record_of(worker: Identity, supervisor: i32) -> Record {
        Record {
            kind: Kind::Change,
            worker,
            supervisor,
            action: "stop".to_owned(),
            has_failed: false,
            is_by_pacemaker: false,
            is_needless: false,
            note: "disable iqn.x".to_owned(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let (_keep, files) = files();
        assert_eq!(files.record(Kind::Change), None);
        let record = record_of(Identity { pid: 12, start: 34 }, 56);
        files.write(&record).unwrap();
        assert_eq!(files.record(Kind::Change), Some(record.clone()));
        let failed = Record { has_failed: true, is_by_pacemaker: true, is_needless: true, ..record.clone() };
        files.write(&failed).unwrap();
        assert_eq!(files.record(Kind::Change), Some(failed));
        assert_eq!(record.describe(), "an earlier stop (pid 12) is stuck in the kernel: disable iqn.x");
        files.forget(Kind::Change);
        assert_eq!(files.record(Kind::Change), None);
    }

    #[test]
    fn a_worker_is_left_behind_only_while_it_lives_and_its_supervisor_is_gone() {
        let (_keep, files) = files();
        let me = Identity::of_self().unwrap();
        let parent = nix::unistd::getppid().as_raw();
        files.write(&record_of(me, parent)).unwrap();
        assert!(files.left_behind().is_none(), "it is being supervised");
        files.write(&record_of(me, parent + 1)).unwrap();
        assert!(files.left_behind().is_some());
        assert!(files.record(Kind::Change).is_some());
        files.write(&record_of(Identity { start: me.start + 1, ..me }, parent)).unwrap();
        assert!(files.left_behind().is_none(), "another process has its number now");
        assert_eq!(files.record(Kind::Change), None, "and the record is gone");
    }

    #[test]
    fn a_change_and_a_monitor_that_hang_are_both_remembered_and_the_change_comes_first() {
        let (_keep, files) = files();
        let record = record_of(Identity::of_self().unwrap(), 1);
        let kind_left = || files.left_behind().map(|(record, _)| record.kind);
        for kind in [Kind::DeepLook, Kind::Look, Kind::Change] {
            files.write(&Record { kind, ..record.clone() }).unwrap();
            assert_eq!(kind_left(), Some(kind));
        }
        files.forget(Kind::Change);
        assert_eq!(kind_left(), Some(Kind::Look));
    }

    #[test]
    fn the_name_of_a_resource_never_leads_out_of_the_directory() {
        assert_eq!(file_name("lun-1.a"), "lun-1.a");
        assert_eq!(file_name("../x:0"), "..%2fx%3a0");
    }
}
