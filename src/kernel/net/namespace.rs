//! Network namespaces by name, as `ip netns` keeps them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

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

/// The namespace that a thread comes from.
#[derive(Debug)]
pub struct Home(File);

/// Puts this thread into the namespace `name`; the one that it comes from, or `None` when there is none of that name.
///
/// # Errors
/// It may not be entered, or is none.
pub fn enter(root: &Root, name: &str) -> Result<Option<Home>> {
    let path = root.path(DIRECTORY).join(name);
    let wrong = |e: io::Error| KernelError::new("enter network namespace", &path, e);
    let home = running_proc().path().join("self/ns/net");
    let home = File::open(&home).map_err(|e| KernelError::new("open", &home, e))?;
    match File::open(&path) {
        Ok(file) => match go(&file) {
            Ok(()) => Ok(Some(Home(home))),
            // A file or directory on which no namespace is mounted, as half of an `ip netns add` or `del` leaves it.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(None),
            Err(e) => Err(wrong(e)),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(wrong(e)),
    }
}

impl Home {
    /// Puts this thread back into it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn go_back(&self) -> Result<()> {
        go(&self.0).map_err(|e| KernelError::new("go back to", "the network namespace of the cluster", e))
    }

    /// One more handle to it.
    ///
    /// # Errors
    /// No further file.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl AsRawFd for Home {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn go(namespace: &File) -> io::Result<()> {
    Ok(setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?)
}
