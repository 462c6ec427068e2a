//! A lock on a file that is given up with the process that holds it, and that is never waited for without end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::error::{KernelError, Result};
use crate::deadline::Deadline;

/// An exclusive `flock(2)`, held until dropped.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

impl FileLock {
    /// Takes the lock on `path`, which is made if need be.
    ///
    /// # Errors
    /// `TimedOut` when another process held it until the deadline.
    pub fn take(path: &Path, deadline: Deadline) -> Result<Self> {
        let failed = |e: io::Error| KernelError::new("lock", path, e);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed)?;
        let mut pause = Duration::from_millis(1);
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Self(lock)),
                Err((_, nix::errno::Errno::EWOULDBLOCK)) if deadline.is_past() => {
                    return Err(failed(io::Error::new(io::ErrorKind::TimedOut, "held by another process")));
                }
                Err((back, nix::errno::Errno::EWOULDBLOCK)) => file = back,
                Err((_, e)) => return Err(failed(e.into())),
            }
            std::thread::sleep(pause.min(deadline.remaining()));
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}
