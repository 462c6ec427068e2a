//! The sysrq keys that we press, through `/proc/sysrq-trigger`. `/proc/sys/kernel/sysrq` governs only the keyboard and is left alone.

use std::fs::File;
use std::io::Write;

use super::attr::Root;
use super::error::{KernelError, Result};
use super::kmsg::open_sink;

const TRIGGER: &str = "/proc/sysrq-trigger";

/// A key (Documentation/admin-guide/sysrq.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `s`: start writing every file system to its disk. Does not wait for it.
    Sync,
    /// `u`: start remounting every file system read-only. Does not wait for it.
    RemountReadOnly,
    /// `b`: reboot at once, without any disk.
    Reboot,
    /// `c`: panic, for a crash dump.
    Crash,
    /// `o`: power off. Shuts devices down first, so it may hang.
    PowerOff,
}

impl Key {
    fn byte(self) -> u8 {
        match self {
            Self::Sync => b's',
            Self::RemountReadOnly => b'u',
            Self::Reboot => b'b',
            Self::Crash => b'c',
            Self::PowerOff => b'o',
        }
    }
}

/// `/proc/sysrq-trigger`, opened while opening still worked.
#[derive(Debug)]
pub struct Trigger(File);

impl Trigger {
    /// Opens it. Below a fake root it is a file that collects the keys.
    ///
    /// # Errors
    /// Not root, or a kernel without sysrq.
    pub fn open(root: &Root) -> Result<Self> {
        open_sink(root, TRIGGER).map(Self)
    }

    /// Presses a key.
    ///
    /// # Errors
    /// Whatever `write` says.
    pub fn press(&self, key: Key) -> Result<()> {
        (&self.0).write_all(&[key.byte()]).map_err(|e| KernelError::new("write", TRIGGER, e))
    }
}

impl std::os::fd::AsRawFd for Trigger {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// Reboots, or powers off, by the system call that `reboot -f` uses. Shuts devices down first, so it may hang.
///
/// # Errors
/// Not allowed.
pub fn reboot(to_power_off: bool) -> Result<()> {
    use nix::sys::reboot::{RebootMode, reboot};
    reboot(if to_power_off { RebootMode::RB_POWER_OFF } else { RebootMode::RB_AUTOBOOT })
        .map(drop)
        .map_err(|e| KernelError::new("call", "reboot(2)", e.into()))
}
