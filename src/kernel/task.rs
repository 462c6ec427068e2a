//! Processes, threads and kernel threads, and what state they are in, from `/proc/PID/stat` (proc(5)).

use super::attr::{Dir, Root};
use super::error::Result;

/// A task as its `stat` line shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its number.
    pub pid: u32,
    /// Its name, at most 15 bytes but for kernel workers.
    pub comm: String,
    /// R, S, D, Z and so on.
    pub state: char,
    /// The process id of its parent.
    pub parent: i32,
    /// The session it is in: the process id of whoever made it.
    pub session: i32,
    /// CPU time it has used, in clock ticks; that of all threads in the case of a process.
    pub cpu: u64,
    /// When it started, in clock ticks since boot: with the number, its identity.
    pub start_time: u64,
}

impl Task {
    /// The task with this number; `None` when there is none.
    ///
    /// # Errors
    /// Its `stat` can not be read.
    pub fn read(root: &Root, pid: u32) -> Result<Option<Self>> {
        Self::at(&root.dir("/proc").dir(pid.to_string()))
    }

    /// The task whose directory this is: `/proc/PID`, or `/proc/PID/task/TID` for one thread; `None` when it is gone.
    ///
    /// # Errors
    /// Its `stat` can not be read.
    pub fn at(dir: &Dir) -> Result<Option<Self>> {
        match dir.read_opt("stat") {
            Ok(text) => Ok(text.and_then(|t| Self::parse(&t))),
            // The task ended between open and read.
            Err(e) if e.errno() == Some(libc::ESRCH) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Reads a `stat` line. The name is in parentheses and may hold blanks and parentheses itself: what follows starts after the last.
    #[must_use]
    pub fn parse(stat: &str) -> Option<Self> {
        let (pid, rest) = stat.split_once(" (")?;
        let (comm, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |n: usize| fields.get(n)?.parse::<u64>().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            comm: comm.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            cpu: number(11)? + number(12)?,
            start_time: number(19)?,
        })
    }

    /// How often it has been put on a CPU; does not change while it waits. `None` when it is gone.
    #[must_use]
    pub fn runs(&self, root: &Root) -> Option<u64> {
        runs_at(&root.dir("/proc").dir(self.pid.to_string()))
    }
}

/// As [`Task::runs`], of the task whose directory this is.
#[must_use]
pub fn runs_at(dir: &Dir) -> Option<u64> {
    dir.read("schedstat").ok()?.split_whitespace().nth(2)?.parse().ok()
}

/// The kernel threads that began at or after `since` (clock ticks since boot), youngest first: the kernel lists the children of kthreadd in
/// the order in which they began, so the walk ends at the first that is older.
///
/// # Errors
/// `/proc` can not be read.
pub fn kernel_threads_since(root: &Root, since: u64) -> Result<Vec<Task>> {
    let children = root.dir("/proc/2/task/2").read_opt("children")?;
    let pids: Vec<u32> = if let Some(list) = &children {
        list.split_whitespace().filter_map(|p| p.parse().ok()).collect()
    } else {
        // A kernel without CONFIG_PROC_CHILDREN: every number there is, in order.
        let mut pids: Vec<u32> = root.dir("/proc").dirs()?.iter().filter_map(|p| p.parse().ok()).collect();
        pids.sort_unstable();
        pids
    };
    let mut threads = Vec::new();
    for pid in pids.into_iter().rev() {
        match Task::read(root, pid)? {
            Some(task) if task.start_time >= since => threads.push(task),
            Some(_) if children.is_some() => break,
            _ => {}
        }
    }
    Ok(threads)
}

/// Now, in clock ticks since boot, as [`Task::start_time`] counts.
///
/// # Errors
/// The clock can not be read.
pub fn now_in_ticks() -> std::io::Result<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)?;
    // USER_HZ is 100 on every architecture that Linux runs on today but alpha and ia64.
    Ok(u64::try_from(now.tv_sec()).unwrap_or(0) * 100 + u64::try_from(now.tv_nsec()).unwrap_or(0) / 10_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NP: &str = "812 (iscsi_np) D 2 0 7 0 -1 2129984 0 0 0 0 0 3 0 0 20 0 1 0 90210 0 0 18446744073709551615 0 0";

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let task = Task::parse(NP).unwrap();
        assert_eq!((task.pid, task.comm.as_str(), task.state, task.start_time), (812, "iscsi_np", 'D', 90210));
        assert_eq!((task.parent, task.session, task.cpu), (2, 7, 3));
        assert_eq!(Task::parse(&NP.replace("iscsi_np", "a) b (c")).unwrap().comm, "a) b (c");
        assert!(["garbage", "", "1 (x) S", "1 (x) "].iter().all(|text| Task::parse(text).is_none()));
    }

    #[test]
    fn only_threads_younger_than_the_moment_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        root.dir("/proc/2/task/2").set("children", "3 4 812 900").unwrap();
        let thread = |pid: u32, start: u64| {
            let line = NP.replace("812", &pid.to_string()).replace("90210", &start.to_string());
            root.dir("/proc").dir(pid.to_string()).set("stat", &line).unwrap();
        };
        thread(4, 10);
        thread(812, 90210);
        thread(900, 90300);
        let pids: Vec<u32> = kernel_threads_since(&root, 90000).unwrap().iter().map(|t| t.pid).collect();
        assert_eq!(pids, [900, 812]);
    }
}
