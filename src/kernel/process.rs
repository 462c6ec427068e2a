//! Fork without exec, and a pidfd to wait on. Never waits without a deadline.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, getpid, getppid, setsid};

use crate::deadline::Deadline;

/// The exit code of a child that panicked.
pub const PANICKED: i32 = 101;

/// One end of a pipe.
pub type PipeEnd = File;

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
    pub stderr: Option<PipeEnd>,
    /// The only file descriptors above 2 that it keeps; see [`keep`].
    pub keep: Vec<RawFd>,
    /// Until when to try again while there is no room for a further process.
    pub retry: Option<Deadline>,
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
    /// exit code is 0, or [`PANICKED`]. In the parent `body` is dropped, and with it what it owns.
    ///
    /// # Errors
    /// No further process, no pidfd (Linux before 5.3), or this process has more than one thread.
    pub fn fork(setup: Setup, body: impl FnOnce()) -> io::Result<Self> {
        let parent = getpid();
        match fork_once(setup.retry)? {
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
                end_now(if matches!(done, Ok(true)) { 0 } else { PANICKED })
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

/// The same where it may be that this disk does not answer already: a child goes first, for which is waited until the deadline, and what it
/// has loaded is there then.
///
/// # Errors
/// As [`lock_memory`]; [`io::ErrorKind::TimedOut`] when the child did not come back.
pub fn lock_memory_by(deadline: Deadline) -> io::Result<()> {
    let first = Child::fork(Setup { dies_with_parent: true, retry: Some(deadline), ..Setup::default() }, || {
        let _ = lock_memory();
    })?;
    if first.wait(deadline)?.is_none() {
        first.kill_group();
        return Err(io::ErrorKind::TimedOut.into());
    }
    lock_memory()
}

/// A pipe whose ends no program inherits: the end to read from, the end to write to.
///
/// # Errors
/// No further file.
pub fn pipe() -> io::Result<(PipeEnd, PipeEnd)> {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok((read.into(), write.into()))
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

/// Whether what it leads to takes a line without blocking, by the deadline.
#[must_use]
pub fn wait_writable(fd: BorrowedFd, deadline: Deadline) -> bool {
    loop {
        match poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::from(deadline.poll_millis())) {
            Ok(0) | Err(Errno::EINTR) if !deadline.is_past() => {}
            other => return other.is_ok_and(|n| n > 0),
        }
    }
}

/// SIGKILL by pidfd, which never hits another process that has got the number meanwhile.
///
/// # Errors
/// It has ended, or is not ours to kill.
pub fn kill_by(pidfd: BorrowedFd) -> io::Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the file descriptor is open, and a null pointer asks for the siginfo of kill(2).
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, none, 0) };
    Ok(Errno::result(result).map(drop)?)
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

/// SIGKILL to all of this process's group, which it leads, and so to itself.
pub fn end_group() {
    let _ = killpg(getpid(), Signal::SIGKILL);
}

/// Ends this process now: no destructor and no exit handler of the parent, whose copy this process is, runs.
pub fn end_now(code: i32) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(code) }
}

fn fork_once(retry: Option<Deadline>) -> io::Result<ForkResult> {
    if !is_single_threaded() {
        return Err(io::Error::other("fork in a process with threads"));
    }
    loop {
        // SAFETY: this process has one thread, so no lock is held by a thread that the child would not have.
        match unsafe { fork() } {
            Err(Errno::EAGAIN | Errno::ENOMEM) if retry.is_some_and(|until| !until.is_past()) => {
                std::thread::sleep(Duration::from_millis(100));
            }
            other => return Ok(other?),
        }
    }
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
    let mut kept: Vec<u32> = setup.keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for fd in kept {
        close_range(first, fd.saturating_sub(1));
        first = first.max(fd.saturating_add(1));
    }
    close_range(first, u32::MAX);
    Ok(())
}

/// Closes the file descriptors from `first` to `last`.
fn close_range(first: u32, last: u32) {
    if first > last {
        return;
    }
    // SAFETY: only called in a forked child that ends with `end_now`: no owner of one of these files runs its destructor, and
    // the caller keeps the ones that are still used.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 {
        return;
    }
    // Linux before 5.9 lacks the call.
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<RawFd> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in numbers.into_iter().filter(|fd| u32::try_from(*fd).is_ok_and(|fd| (first..=last).contains(&fd))) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

fn is_single_threaded() -> bool {
    fs::read_dir("/proc/self/task").map_or(true, |tasks| tasks.count() == 1)
}

/// The number of an owned file, for [`Setup::keep`].
#[must_use]
pub fn keep(fd: &impl AsRawFd) -> Vec<RawFd> {
    vec![fd.as_raw_fd()]
}
