//! Whether the file that forbids a reboot is there, looked up by a child, because the disk it is on may be what hangs.

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::process::{Child, PipeEnd, Setup, keep, pipe, wait_readable};

/// How long a further process is tried for while there is no room for one.
const RETRY: Duration = Duration::from_millis(500);

/// One look, which goes on until it has an answer or this process ends.
#[derive(Debug)]
pub struct Look {
    pipe: Option<PipeEnd>,
    seen: Cell<Option<bool>>,
}

impl Look {
    /// Begins it, and does not wait.
    #[must_use]
    pub fn begin(root: &Root, file: &Path) -> Self {
        let none = Self { pipe: None, seen: Cell::new(None) };
        let Ok((read, mut write)) = pipe() else { return none };
        let retry = Some(Deadline::after(RETRY));
        let setup = Setup { dies_with_parent: true, keep: keep(&write), retry, ..Setup::default() };
        let child = Child::fork(setup, move || {
            if let Some(is) = is_forbidden(root, file) {
                let _ = write.write_all(if is { b"y" } else { b"n" });
            }
        });
        if child.is_ok() { Self { pipe: Some(read), ..none } } else { none }
    }

    /// What it has seen by then; `None` when it was not told.
    #[must_use]
    pub fn seen_by(&self, until: Deadline) -> Option<bool> {
        let (Some(mut pipe), None) = (self.pipe.as_ref(), self.seen.get()) else { return self.seen.get() };
        let mut word = [0];
        if wait_readable(pipe.as_fd(), until).unwrap_or(false) && pipe.read(&mut word).is_ok_and(|n| n == 1) {
            self.seen.set(Some(word == *b"y"));
        }
        self.seen.get()
    }
}

/// Whether the file is there; `None` when the disk does not say. May hang. One that can not be reached for want of permission, or through a
/// loop of links, was put there by someone.
fn is_forbidden(root: &Root, file: &Path) -> Option<bool> {
    match root.dir(file).file_size().map_err(|e| e.errno()) {
        Ok(_) | Err(Some(libc::EACCES | libc::EPERM | libc::ELOOP)) => Some(true),
        Err(Some(libc::ENOENT | libc::ENOTDIR)) => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_however_late_it_comes_and_none_is_none() {
        let (read, mut write) = pipe().unwrap();
        let look = Look { pipe: Some(read), seen: Cell::new(None) };
        let now = || Deadline::after(Duration::from_millis(10));
        assert_eq!(look.seen_by(now()), None);
        write.write_all(b"y").unwrap();
        assert_eq!(look.seen_by(now()), Some(true));
        drop(write);
        assert_eq!(look.seen_by(now()), Some(true), "also when it is asked again");
        let (read, write) = pipe().unwrap();
        drop(write);
        let look = Look { pipe: Some(read), seen: Cell::new(None) };
        assert_eq!(look.seen_by(now()), None, "it ended without one");
    }

    #[test]
    fn a_file_that_is_there_or_can_not_be_reached_forbids_and_no_answer_is_neither() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        let is = || is_forbidden(&root, Path::new("/etc/ha.d/noreboot"));
        assert_eq!(is(), Some(false));
        root.dir("/etc/ha.d").set("noreboot", "").unwrap();
        assert_eq!(is(), Some(true));
        root.dir("/etc/ha.d").unlink("noreboot").unwrap();
        std::os::unix::fs::symlink("noreboot", root.path("/etc/ha.d/noreboot")).unwrap();
        assert_eq!(is(), Some(true), "a loop is not nothing");
        let long = Path::new("/etc/ha.d").join("x".repeat(300));
        assert_eq!(is_forbidden(&root, &long), None, "neither yes nor no");
    }
}
