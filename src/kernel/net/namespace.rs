//! Network namespaces by name, as `ip netns` keeps them.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::sched::{CloneFlags, setns};

use crate::kernel::attr::{Root, running_proc};
use crate::kernel::error::{KernelError, Result};

/// Where the namespaces with a name are (`ip-netns(8)`).
const DIRECTORY: &str = "/run/netns";

/// Whether it can be the name of one.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() < 256 && !name.contains(['/', '\0']) && name != "." && name != ".."
}

/// Puts this thread into the namespace `name`; the one that it comes from, or `None` when there is none of that name.
///
/// # Errors
/// It may not be entered, or is none.
pub fn enter(root: &Root, name: &str) -> Result<Option<File>> {
    let path = root.path(DIRECTORY).join(name);
    let wrong = |e: io::Error| KernelError::new("enter network namespace", &path, e);
    let home = running_proc().path().join("self/ns/net");
    let home = File::open(&home).map_err(|e| KernelError::new("open", &home, e))?;
    match File::open(&path) {
        Ok(file) => back(&file).map(|()| Some(home)).map_err(wrong),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(wrong(e)),
    }
}

/// Whether there is one of this name.
///
/// # Errors
/// It can not be told.
pub fn exists(root: &Root, name: &str) -> Result<bool> {
    root.dir(DIRECTORY).dir(name).exists()
}

/// Puts this thread back into the namespace that [`enter`] gave.
///
/// # Errors
/// The kernel refuses.
pub fn back(home: &File) -> io::Result<()> {
    Ok(setns(home.as_fd(), CloneFlags::CLONE_NEWNET)?)
}
