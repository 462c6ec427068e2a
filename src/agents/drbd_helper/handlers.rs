//! Where the agent, the handlers that DRBD calls and the guided commands meet: the directory of what handlers keep until the next boot, and the
//! lock that one holds while it is at work.

use crate::kernel::attr::{Dir, Root};
use crate::ocf::state_file::file_name;

/// Where handlers keep what a reboot clears.
pub const STATE: &str = "/run/ocf-san/drbd";

/// The directory of what handlers keep until the next boot. Touches nothing.
#[must_use]
pub fn state_dir(root: &Root) -> Dir {
    root.dir(STATE)
}

/// The name of the lock in [`state_dir`] that a handler of this resource holds.
#[must_use]
pub fn lock_name(resource: &str) -> String {
    format!("{}.handler.lock", file_name(resource))
}
