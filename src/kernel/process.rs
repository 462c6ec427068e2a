//! Processes: fork without exec, a pidfd to wait on, identity by pid and start time. Never waits without a deadline.
//!
//! Reads the running kernel's `/proc`, never a fake one: a directory cannot imitate a process.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, getpid, getppid, setsid};

use crate::deadline::Deadline;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signaled(Signal),
    /// Someone else reaped it.
    Unknown,
}

/// How a forked child stands to its parent.
#[derive(Debug, Default)]
pub struct Setup {
    /// SIGKILL it when the parent ends.
    pub dies_with_parent: bool,
    /// What its standard error is; `/dev/null` when nothing is given.
    pub stderr: Option<OwnedFd>,
    /// The only file descriptor above 2 that it keeps.
    pub keep: Option<RawFd>,
}

/// A forked child of ours.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Child {
    /// Forks and runs `body` in the child: in a session of its own, with standard input and output on `/dev/null`, umask 022 and
    /// none of the parent's other files, so that it never keeps a pipe of the parent open. The child ends when `body` returns; its
    /// exit code is 0, or 101 after a panic. In the parent `body` is dropped, and with it what it owns.
    ///
    /// # Errors
    /// No further process, or no pidfd (Linux before 5.3).
    pub fn fork(setup: Setup, body: impl FnOnce()) -> io::Result<Self> {
        debug_assert!(is_single_threaded(), "fork in a process with threads");
        let parent = getpid();
        // SAFETY: this process has one thread, so no lock is held by a thread that the child would not have.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => match pidfd_open(child) {
                Ok(pidfd) => Ok(Self { pid: child, pidfd }),
                Err(e) => {
                    let _ = kill(child, Signal::SIGKILL);
                    Err(e)
                }
            },
            ForkResult::Child => {
                let ready = settle_in(setup, parent);
                let done = ready.map(|()| catch_unwind(AssertUnwindSafe(body)).is_ok());
                end_now(if matches!(done, Ok(true)) { 0 } else { 101 })
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Readable when it has ended, all its threads included.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// SIGKILL to it and to its process group. That it ends is another matter.
    pub fn kill_group(&self) {
        // Before the child's setsid there is no such group, and only the child to kill. It can not be another process yet: only we
        // reap it.
        if killpg(self.pid, Signal::SIGKILL).is_err() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }

    /// How it ended, if it does so by the deadline. Reaps it.
    ///
    /// # Errors
    /// Whatever `poll` or `waitpid` says.
    pub fn wait(&self, deadline: Deadline) -> io::Result<Option<Ending>> {
        if !wait_readable(self.pidfd(), deadline)? {
            return Ok(None);
        }
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Ok(Some(Ending::Exited(code))),
            Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Some(Ending::Signaled(signal))),
            Ok(_) => Ok(None),
            Err(Errno::ECHILD) => Ok(Some(Ending::Unknown)),
            Err(e) => Err(e.into()),
        }
    }
}

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

/// Locks all memory of this process, now and later, so that it goes on when the disk it was loaded from does not answer. Children do
/// not inherit this.
///
/// # Errors
/// Not allowed, or not enough memory.
pub fn lock_memory() -> io::Result<()> {
    use nix::sys::mman::{MlockAllFlags, mlockall};
    if !nix::unistd::geteuid().is_root() {
        // Below a limit that a user has, a later allocation would fail.
        return Err(Errno::EPERM.into());
    }
    Ok(mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE)?)
}

/// A pipe whose ends no program inherits: the end to read from, the end to write to.
///
/// # Errors
/// No further file.
pub fn pipe() -> io::Result<(File, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok((read.into(), write))
}

/// Whether it becomes readable (or its other end is closed) by the deadline.
///
/// # Errors
/// Whatever `poll` says but "interrupted".
pub fn wait_readable(fd: BorrowedFd, deadline: Deadline) -> io::Result<bool> {
    loop {
        let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(deadline.poll_millis())) {
            Ok(0) if deadline.is_past() => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(e) => return Err(e.into()),
        }
    }
}

/// A pidfd of the process with this number.
///
/// # Errors
/// There is no such process.
pub fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers and no pointer.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = i32::try_from(Errno::result(fd)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this file descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Asks for SIGKILL when `parent`, our parent, ends; an error when it already has.
///
/// # Errors
/// The parent is gone.
pub fn die_with(parent: Pid) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
}

/// Ends this process now: no destructor and no exit handler of the parent, whose copy this process is, runs.
pub fn end_now(code: i32) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(code) }
}

fn settle_in(setup: Setup, parent: Pid) -> io::Result<()> {
    setsid()?;
    if setup.dies_with_parent {
        die_with(parent)?;
    }
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    match &setup.stderr {
        Some(stderr) => dup2_stderr(stderr)?,
        None => dup2_stderr(&null)?,
    }
    // What they owned is closed with the rest.
    std::mem::forget((null, setup.stderr));
    match setup.keep.and_then(|fd| u32::try_from(fd).ok()) {
        Some(keep) => {
            close_range(3, keep.saturating_sub(1));
            close_range(keep.saturating_add(1), u32::MAX);
        }
        None => close_range(3, u32::MAX),
    }
    Ok(())
}

/// Closes the file descriptors from `first` to `last`; on Linux before 5.9, which lacks the call, they stay open.
fn close_range(first: u32, last: u32) {
    if first <= last {
        // SAFETY: only called in a forked child that ends with `end_now`: no owner of one of these files runs its destructor, and
        // the caller keeps the one that is still used.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

fn is_single_threaded() -> bool {
    fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() == 1)
}

/// The number of an owned file, for [`Setup::keep`].
#[must_use]
pub fn keep(fd: &impl AsRawFd) -> Option<RawFd> {
    Some(fd.as_raw_fd())
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
        assert_eq!(me.alive().unwrap().parent, getppid().as_raw());
        assert!(Identity { start: me.start + 1, ..me }.alive().is_none());
        assert!(!me.alive().unwrap().ends_by(Deadline::after(Duration::from_millis(1))));
        assert!(age().unwrap() < Duration::from_secs(3600));
    }
}
