//! A lock that the kernel frees when the last process that has it open ends, however it ends.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::attr::Dir;
use super::error::{KernelError, Result};

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
        let path = dir.path().join(name);
        let wrong = |e| KernelError::new("lock", &path, e);
        let open = || File::options().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(wrong);
        let file = match open() {
            Err(e) if e.is_not_found() => {
                dir.create_all(0o755)?;
                open()
            }
            other => other,
        };
        let file = match Flock::lock(file?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Self(lock)),
            Err((file, Errno::EWOULDBLOCK)) => file,
            Err((_, e)) => return Err(wrong(e.into())),
        };
        must_wait();
        Flock::lock(file, FlockArg::LockExclusive).map(Self).map_err(|(_, e)| wrong(e.into()))
    }
}
