//! Whether the kernel holds something: what a stuck stop must prove before this node is rebooted.
//!
//! Two samples of the same thread, apart in time. A thread that merely had no turn on a busy machine, or that waits for a disk which is
//! slow, has moved in between; one that hangs has not.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::deadline::Deadline;
use crate::kernel::attr::{Dir, Root, running_proc};
use crate::kernel::identity::Identity;
use crate::kernel::task::{Task, kernel_threads_since, runs_at};

/// How often what is about to end is looked at.
const AGAIN: Duration = Duration::from_millis(100);

/// The kernel threads of the iSCSI target: portal, receive, transmit (`iscsi_target_login.c`, `iscsi_target.c`).
const TARGET_THREADS: [&str; 3] = ["iscsi_np", "iscsi_trx", "iscsi_ttx"];

/// One look at threads that may be held.
#[derive(Debug)]
pub struct Suspects {
    at: Instant,
    threads: Vec<Thread>,
}

impl Suspects {
    /// The threads of a process that got SIGKILL: those that wait where no signal reaches, and those that run, for no more code of the
    /// program does. A tracer, of which `root` must be a fake one, holds as well as the kernel does.
    #[must_use]
    pub fn of_process(root: &Root, pid: i32) -> Self {
        let at = Instant::now();
        let tasks = running_proc().dir(pid.to_string()).dir("task");
        let may_be_held = |state| matches!(state, 'D' | 'R') || (state == 't' && root.is_fake());
        let threads = tasks.dirs().unwrap_or_default();
        let threads = threads.iter().filter_map(|tid| Thread::at(tasks.dir(tid))).filter(|t| may_be_held(t.task.state));
        Self { at, threads: threads.collect() }
    }

    /// The threads of the programs that a worker has started, which are in its session and got SIGKILL when it did: those that wait where no
    /// signal reaches.
    #[must_use]
    pub fn of_session(session: i32) -> Self {
        let at = Instant::now();
        Self { at, threads: programs(session).flat_map(|(_, threads)| threads).collect() }
    }

    /// Those of both looks.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.threads.extend(other.threads);
        Self { at: self.at.max(other.at), threads: self.threads }
    }

    /// The kernel threads of the iSCSI target that wait where no signal reaches.
    #[must_use]
    pub fn of_the_target(root: &Root) -> Self {
        let at = Instant::now();
        let tasks = kernel_threads_since(root, 0).unwrap_or_default();
        let tasks = tasks.iter().filter(|t| t.state == 'D' && TARGET_THREADS.contains(&t.comm.as_str()));
        let threads = tasks.filter_map(|t| Thread::at(root.dir("/proc").dir(t.pid.to_string()))).filter(|t| t.task.state == 'D');
        Self { at, threads: threads.collect() }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// Whether one waits where no signal reaches: at this one look, so good for a message and for nothing else.
    #[must_use]
    pub fn any_waits(&self) -> bool {
        self.threads.iter().any(|t| t.task.state != 'R')
    }

    /// The second look: one that has not moved since the first, or has run all the while.
    #[must_use]
    pub fn held(&self) -> Option<Held> {
        let half = u64::try_from(self.at.elapsed().as_millis() / 20).unwrap_or(u64::MAX);
        self.threads.iter().find_map(|first| {
            let second = Thread::at(first.dir.clone())?;
            first.holds_until(&second, half).then_some(Held(second))
        })
    }
}

/// The processes of a session that have threads which wait where no signal reaches, with these.
fn programs(session: i32) -> impl Iterator<Item = (i32, Vec<Thread>)> {
    let proc = running_proc();
    let waiting = move |name: String| {
        let (pid, dir) = (name.parse::<i32>().ok()?, proc.dir(&name));
        Task::at(&dir).ok()?.filter(|task| task.session == session)?;
        let tasks = dir.dir("task");
        let threads = tasks.dirs().unwrap_or_default().into_iter().filter_map(|tid| Thread::at(tasks.dir(tid)));
        let threads: Vec<_> = threads.filter(|thread| thread.task.state == 'D').collect();
        (!threads.is_empty()).then_some((pid, threads))
    };
    running_proc().dirs().unwrap_or_default().into_iter().filter_map(waiting)
}

/// A program that a worker, by the number of its session, has started, and that waits where no signal reaches.
#[must_use]
pub fn program_of(session: i32) -> Option<Identity> {
    programs(session).find_map(|(pid, _)| Identity::of(Pid::from_raw(pid)).ok())
}

/// Waits until none is left of them, which got SIGKILL, or the deadline has passed: what ends late was no hang.
pub fn programs_end_by(session: i32, deadline: Deadline) {
    while !deadline.is_past() && programs(session).next().is_some() {
        sleep(deadline.remaining().min(AGAIN));
    }
}

/// What the kernel holds.
#[derive(Debug)]
pub struct Held(Thread);

impl Held {
    /// A last look: whether it still does.
    #[must_use]
    pub fn is_still(&self) -> bool {
        Thread::at(self.0.dir.clone()).is_some_and(|now| self.0.holds_until(&now, 0))
    }

    /// For the evidence.
    #[must_use]
    pub fn describe(&self) -> String {
        let how = if self.0.task.state == 'R' { "spins in the kernel" } else { "has not moved between two looks" };
        format!("{} ({}) {} {how}", self.0.task.pid, self.0.task.comm, self.0.task.state)
    }
}

#[derive(Debug)]
struct Thread {
    dir: Dir,
    task: Task,
    runs: Option<u64>,
}

impl Thread {
    fn at(dir: Dir) -> Option<Self> {
        let runs = runs_at(&dir);
        let task = Task::at(&dir).ok()??;
        Some(Self { dir, task, runs })
    }

    /// Whether it has stood still until then; or has run, for at least `ticks` clock ticks (100 a second).
    fn holds_until(&self, later: &Self, ticks: u64) -> bool {
        let is_same = (later.task.start_time, later.task.state) == (self.task.start_time, self.task.state);
        let holds = match self.task.state {
            'R' => later.task.cpu.saturating_sub(self.task.cpu) >= ticks,
            _ => later.runs == self.runs,
        };
        is_same && holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(root: &Root, state: char, cpu: u64, runs: u64) {
        let dir = root.dir("/proc/812");
        dir.set("stat", &format!("812 (iscsi_np) {state} 2 0 0 0 -1 0 0 0 0 0 {cpu} 0 0 0 20 0 1 0 90210 0 0\n")).unwrap();
        dir.set("schedstat", &format!("100 200 {runs}\n")).unwrap();
        root.dir("/proc/2/task/2").set("children", "812").unwrap();
    }

    #[test]
    fn only_a_thread_that_has_not_moved_between_two_looks_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        thread(&root, 'S', 3, 7);
        assert!(Suspects::of_the_target(&root).is_empty());
        thread(&root, 'D', 3, 7);
        let suspects = Suspects::of_the_target(&root);
        let held = suspects.held().unwrap();
        assert_eq!(held.describe(), "812 (iscsi_np) D has not moved between two looks");
        assert!(held.is_still());
        thread(&root, 'D', 3, 8);
        assert!(suspects.held().is_none() && !held.is_still(), "it has been on a CPU");
        thread(&root, 'S', 3, 7);
        assert!(suspects.held().is_none() && !held.is_still(), "it waits for something else");
    }

    #[test]
    fn a_thread_spins_when_it_had_half_of_the_time_between() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        let at = |state, cpu| {
            thread(&root, state, cpu, 7);
            Thread::at(root.dir("/proc/812")).unwrap()
        };
        let first = at('R', 100);
        assert!(first.holds_until(&at('R', 125), 25));
        assert!(!first.holds_until(&at('R', 124), 25), "it had its turn, but others had theirs");
        assert!(!first.holds_until(&at('D', 125), 25));
    }
}
