//! Where the guard of a resource is: on the disk, what is not there yet in a file that lasts until the next boot, and the lock.

use std::io;
use std::time::Duration;

use super::super::handlers::{STATE as STATE_UNTIL_BOOT, state_dir};
use crate::deadline::Deadline;
use crate::kernel::attr::{Dir, Root};
use crate::kernel::error::{KernelError, Result};
use crate::kernel::lock::Lock;
use crate::ocf::state_file::file_name;

/// Below this is a directory for each resource, with its guard and its other lasting records.
const STATE: &str = "/var/lib/ocf-san/drbd";

/// The guard, in the directory of the lasting records.
pub(super) const FILE: &str = "guard.json";

/// The file beside what handlers keep: the guard, or what is new in it, until that is on the disk.
pub(super) fn unwritten(resource: &str) -> String {
    format!("{}.{FILE}", file_name(resource))
}

/// Held while the guard is read, changed and written: monitors, handlers and people all do so. It is there whatever the disk does.
pub(super) fn lock_name(resource: &str) -> String {
    format!("{}.guard.lock", file_name(resource))
}

/// How long to wait for it: whoever holds it writes one small file.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The directory of the lasting records of a resource. Touches nothing.
#[must_use]
pub fn records_of(root: &Root, resource: &str) -> Dir {
    root.dir(STATE).dir(file_name(resource))
}

/// Where the guard is, and where what is not there yet is.
pub(super) fn places(root: &Root, resource: &str) -> [(Dir, String); 2] {
    [(records_of(root, resource), FILE.to_owned()), (state_dir(root), unwritten(resource))]
}

/// The path of the file that an error is about.
pub(super) fn path_in(resource: &str, error: &str) -> String {
    if error.contains(STATE_UNTIL_BOOT) {
        format!("{STATE_UNTIL_BOOT}/{}", unwritten(resource))
    } else {
        format!("{STATE}/{}/{FILE}", file_name(resource))
    }
}

/// Whether the disk lacks what stands.
pub(super) fn is_unwritten(root: &Root, resource: &str) -> bool {
    state_dir(root).dir(unwritten(resource)).exists().unwrap_or(true)
}

/// Takes the lock.
pub(super) fn lock(root: &Root, resource: &str) -> Result<Lock> {
    let (dir, name) = (state_dir(root), lock_name(resource));
    let lock = Lock::take_until(&dir, &name, Deadline::after(PATIENCE), || ())?;
    lock.ok_or_else(|| KernelError::new("lock", dir.path().join(name), io::ErrorKind::TimedOut.into()))
}
