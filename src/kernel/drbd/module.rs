//! The module `drbd`: loading it, and the program that it calls for its handlers.

use std::fs;
use std::io;

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::error::{KernelError, Result};
use crate::kernel::exec::Tool;

const HELPER: &str = "/sys/module/drbd/parameters/usermode_helper";

/// The value of `usermode_helper` by which DRBD 9 calls none.
pub const DISABLED: &str = "disabled";

/// Loads the module. A probe must not.
///
/// # Errors
/// There is no modprobe, or it refused.
pub fn load(root: &Root, deadline: Deadline) -> Result<()> {
    Tool::find(root, "modprobe")?.ok(&["drbd"], deadline).map(drop)
}

/// Whether there is a module to load, which is not loaded for that.
///
/// # Errors
/// There is no modprobe, or no such module.
pub fn is_loadable(root: &Root, deadline: Deadline) -> Result<()> {
    Tool::find(root, "modprobe")?.ok(&["--dry-run", "drbd"], deadline).map(drop)
}

/// `usermode_helper` of the loaded module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    /// The path, or `disabled`.
    pub path: String,
    /// Whether the kernel has stored it with a newline, so that it finds no such program: `echo` does that, `printf %s` does not.
    pub has_newline: bool,
}

/// The program that the kernel calls; `None` when the module is not loaded.
///
/// # Errors
/// The parameter can not be read.
pub fn helper(root: &Root) -> Result<Option<Helper>> {
    let path = root.path(HELPER);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(parse(&text))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(KernelError::new("read", path, e)),
    }
}

/// Sysfs adds one newline of its own.
fn parse(text: &str) -> Helper {
    let stored = text.strip_suffix('\n').unwrap_or(text);
    Helper { path: stored.trim().to_owned(), has_newline: stored.contains('\n') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newline_that_the_kernel_has_stored_is_told_from_the_one_that_sysfs_adds() {
        assert_eq!(parse("/sbin/drbdadm\n"), Helper { path: "/sbin/drbdadm".into(), has_newline: false });
        assert_eq!(parse("/sbin/drbdadm\n\n"), Helper { path: "/sbin/drbdadm".into(), has_newline: true });
    }
}
