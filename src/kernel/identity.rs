//! Which process is which: its number together with the moment it started, and what it is doing now.
//!
//! Reads the running kernel's `/proc`, never a fake one: a directory cannot imitate a process.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpid};

use super::attr::running_proc;
use super::process::{kill_by, pidfd_open, wait_readable};
use super::task::Task;
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
        Ok(Self { pid: pid.as_raw(), start: task(pid.as_raw())?.start_time })
    }

    /// A pidfd of it, unless it has ended, all its threads included: a leader that is a zombie while a thread of it hangs in the
    /// kernel has not.
    #[must_use]
    pub fn alive(self) -> Option<Alive> {
        let pidfd = pidfd_open(Pid::from_raw(self.pid)).ok()?;
        // Looked at after the pidfd was opened, so both are of the same process.
        let stat = task(self.pid).ok().filter(|stat| stat.start_time == self.start)?;
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
    /// SIGKILL. That it ends is another matter.
    pub fn kill(&self) {
        let _ = kill_by(self.pidfd.as_fd());
    }

    /// SIGKILL to it and to the process group that it leads. `identity` is its own.
    pub fn kill_with_group(&self, identity: Identity) {
        // Nobody else gets the number as long as somebody is in the group, and before it is reaped.
        let _ = killpg(Pid::from_raw(identity.pid), Signal::SIGKILL);
        self.kill();
    }

    /// Whether it ends by the deadline, all its threads included.
    #[must_use]
    pub fn ends_by(&self, deadline: Deadline) -> bool {
        wait_readable(self.pidfd.as_fd(), deadline).unwrap_or(false)
    }
}

fn task(pid: i32) -> io::Result<Task> {
    Task::at(&running_proc().dir(pid.to_string())).map_err(|e| e.source)?.ok_or_else(|| Errno::ESRCH.into())
}

/// How long this process has existed.
///
/// # Errors
/// `/proc` can not be read.
pub fn age() -> io::Result<Duration> {
    let start = task(getpid().as_raw())?.start_time;
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let started = Duration::from_millis(start.saturating_mul(1000)) / ticks.unwrap_or(100);
    let now = Duration::from(nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)?);
    Ok(now.saturating_sub(started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_under_its_own_start_time_and_no_other() {
        let me = Identity::of_self().unwrap();
        assert_eq!(me.alive().unwrap().parent, nix::unistd::getppid().as_raw());
        assert!(Identity { start: me.start + 1, ..me }.alive().is_none());
        assert!(!me.alive().unwrap().ends_by(Deadline::after(Duration::from_millis(1))));
        assert!(age().unwrap() < Duration::from_secs(3600));
    }
}
