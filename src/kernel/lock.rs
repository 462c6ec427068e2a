//! A lock that the kernel frees when the last process that has it open ends, however it ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::attr::Dir;
use super::error::{KernelError, Result};
use crate::deadline::Deadline;

/// How long between two attempts.
const AGAIN: Duration = Duration::from_millis(50);

/// A lock, held until this is dropped and every copy that a forked child has is closed.
#[derive(Debug)]
#[must_use]
pub struct Lock(#[expect(dead_code, reason = "held, not used")] Flock<File>);

impl Lock {
    /// Takes the lock that the file `name` in `dir` stands for; the directory is made where it is missing. Waits without limit for
    /// whoever holds it, after `must_wait` has been called.
    ///
    /// # Errors
    /// The file can not be opened.
    pub fn take(dir: &Dir, name: &str, must_wait: impl FnOnce()) -> Result<Self> {
        match Self::attempt(open(dir, name)?, dir, name)? {
            Ok(lock) => Ok(lock),
            Err(file) => {
                must_wait();
                Flock::lock(file, FlockArg::LockExclusive).map(Self).map_err(|(_, e)| wrong(dir, name, e.into()))
            }
        }
    }

    /// As [`Lock::take`], but waits no longer than the deadline; `None` when somebody still holds it then.
    ///
    /// # Errors
    /// The file can not be opened.
    pub fn take_until(dir: &Dir, name: &str, deadline: Deadline, must_wait: impl FnOnce()) -> Result<Option<Self>> {
        let mut must_wait = Some(must_wait);
        let mut file = open(dir, name)?;
        loop {
            file = match Self::attempt(file, dir, name)? {
                Ok(lock) => return Ok(Some(lock)),
                Err(file) => file,
            };
            if deadline.is_past() {
                return Ok(None);
            }
            if let Some(must_wait) = must_wait.take() {
                must_wait();
            }
            std::thread::sleep(AGAIN.min(deadline.remaining()));
        }
    }

    /// Takes it if it is free, or gives the file back.
    fn attempt(file: File, dir: &Dir, name: &str) -> Result<std::result::Result<Self, File>> {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Ok(Self(lock))),
            Err((file, Errno::EWOULDBLOCK)) => Ok(Err(file)),
            Err((_, e)) => Err(wrong(dir, name, e.into())),
        }
    }
}

fn wrong(dir: &Dir, name: &str, e: io::Error) -> KernelError {
    KernelError::new("lock", dir.path().join(name), e)
}

fn open(dir: &Dir, name: &str) -> Result<File> {
    let path = dir.path().join(name);
    let once = || {
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        file.map_err(|e| wrong(dir, name, e))
    };
    match once() {
        Err(e) if e.is_not_found() => {
            dir.create_all(0o755)?;
            once()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attr::Root;

    #[test]
    fn a_lock_that_somebody_holds_is_waited_for_until_the_deadline_and_no_longer() {
        let keep = tempfile::tempdir().unwrap();
        let dir = Root::fake(keep.path()).dir("/run/x");
        let soon = || Deadline::after(Duration::from_millis(120));
        let held = Lock::take_until(&dir, "lock", soon(), || ()).unwrap();
        assert!(held.is_some());
        let mut has_waited = false;
        assert!(Lock::take_until(&dir, "lock", soon(), || has_waited = true).unwrap().is_none());
        assert!(has_waited);
        drop(held);
        assert!(Lock::take_until(&dir, "lock", soon(), || ()).unwrap().is_some());
    }
}
