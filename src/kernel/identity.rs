//! Which process is which: its number together with the moment it started, and what it is doing now.
//!
//! Reads the running kernel's `/proc`, never a fake one: a directory cannot imitate a process.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::unistd::{Pid, getpid};

use super::process::{pidfd_open, wait_readable};
use crate::deadline::Deadline;

/// A process of anyone: its number together with the moment it started, which no other process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start: u64,
}

impl Identity {
    /// This process.
    ///
    /// # Errors
    /// `/proc` can not be read.
    pub fn of_self() -> io::Result<Self> {
        Self::of(getpid())
    }

    /// The process that has this number now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(pid: Pid) -> io::Result<Self> {
        Ok(Self { pid: pid.as_raw(), start: Stat::of(pid.as_raw())?.start })
    }

    /// A pidfd of it, unless it has ended, all its threads included: a leader that is a zombie while a thread of it hangs in the
    /// kernel has not.
    #[must_use]
    pub fn alive(self) -> Option<Alive> {
        let pidfd = pidfd_open(Pid::from_raw(self.pid)).ok()?;
        // Looked at after the pidfd was opened, so both are of the same process.
        let stat = Stat::of(self.pid).ok().filter(|stat| stat.start == self.start)?;
        let ended = wait_readable(pidfd.as_fd(), Deadline::after(Duration::ZERO)).unwrap_or(false);
        (!ended).then_some(Alive { pidfd, parent: stat.parent })
    }
}

/// A process that was alive when it was looked at.
#[derive(Debug)]
pub struct Alive {
    pidfd: OwnedFd,
    /// The process id of its parent.
    pub parent: i32,
}

impl Alive {
    /// Whether it ends by the deadline, all its threads included.
    #[must_use]
    pub fn ends_by(&self, deadline: Deadline) -> bool {
        wait_readable(self.pidfd.as_fd(), deadline).unwrap_or(false)
    }
}

/// What `/proc/PID/stat` says of a process or a thread (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// `R`, `S`, `D` and so on.
    pub state: char,
    /// The process id of its parent.
    pub parent: i32,
    /// CPU time it has used, in clock ticks; that of all threads in the case of a process.
    pub cpu: u64,
    /// When it started, in clock ticks since boot.
    pub start: u64,
}

impl Stat {
    fn of(pid: i32) -> io::Result<Self> {
        Self::read(format!("/proc/{pid}/stat"))
    }

    fn read(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut text = [0; 1024];
        let n = File::open(path)?.read(&mut text)?;
        let text = String::from_utf8_lossy(text.get(..n).unwrap_or_default());
        text.parse().map_err(|why: String| io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

impl std::str::FromStr for Stat {
    type Err = String;

    /// The name is in parentheses and may itself contain blanks and parentheses: what follows starts after the last one.
    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (head, tail) = text.rsplit_once(')')?;
            let (_, name) = head.split_once('(')?;
            let fields: Vec<&str> = tail.split_whitespace().collect();
            let number = |n: usize| fields.get(n)?.parse::<u64>().ok();
            Some(Self {
                name: name.to_owned(),
                state: fields.first()?.chars().next()?,
                parent: fields.get(1)?.parse().ok()?,
                cpu: number(11)? + number(12)?,
                start: number(19)?,
            })
        };
        parse().ok_or_else(|| "not a line of /proc/PID/stat".to_owned())
    }
}

/// How a process that got SIGKILL stands to its end: on a starved CPU it may merely not have had its turn.
#[derive(Debug, Clone, Copy)]
pub struct Dying {
    pid: i32,
    cpu: u64,
}

impl Dying {
    /// More CPU time than it takes to end, in clock ticks: after SIGKILL no more code of the program runs.
    const MUCH: u64 = 10;

    /// The process with this number, from now on.
    #[must_use]
    pub fn new(pid: Pid) -> Self {
        let cpu = Stat::of(pid.as_raw()).map_or(0, |stat| stat.cpu);
        Self { pid: pid.as_raw(), cpu }
    }

    /// Whether the kernel holds it: a thread waits uninterruptibly (or for a tracer), or spins.
    #[must_use]
    pub fn is_held(self) -> bool {
        let spins = Stat::of(self.pid).is_ok_and(|stat| stat.cpu > self.cpu + Self::MUCH);
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        let waits =
            tasks.filter_map(|task| Stat::read(task.path().join("stat")).ok()).any(|stat| matches!(stat.state, 'D' | 't'));
        spins || waits
    }
}

/// How long this process has existed.
///
/// # Errors
/// `/proc` can not be read.
pub fn age() -> io::Result<Duration> {
    let start = Stat::of(getpid().as_raw())?.start;
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let started = Duration::from_millis(start.saturating_mul(1000)) / ticks.unwrap_or(100);
    let now = Duration::from(nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)?);
    Ok(now.saturating_sub(started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let line = "4242 (a) b (c)) D 17 4242 4242 0 -1 4194560 0 0 0 0 30 12 0 0 20 0 1 0 987654 0 0\n";
        let stat: Stat = line.parse().unwrap();
        assert_eq!(stat, Stat { name: "a) b (c)".to_owned(), state: 'D', parent: 17, cpu: 42, start: 987_654 });
        assert!("".parse::<Stat>().is_err() && "1 (x) S".parse::<Stat>().is_err());
    }

    #[test]
    fn this_process_is_alive_under_its_own_start_time_and_no_other() {
        let me = Identity::of_self().unwrap();
        assert_eq!(me.alive().unwrap().parent, nix::unistd::getppid().as_raw());
        assert!(Identity { start: me.start + 1, ..me }.alive().is_none());
        assert!(!me.alive().unwrap().ends_by(Deadline::after(Duration::from_millis(1))));
        assert!(age().unwrap() < Duration::from_secs(3600));
    }
}
