//! The kernel log: what survives a reboot by sysrq, in a crash dump and in pstore.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use super::attr::Root;
use super::error::{KernelError, Result};

const KMSG: &str = "/dev/kmsg";

/// `/dev/kmsg`, opened while opening still worked.
#[derive(Debug)]
pub struct KernelLog(File);

impl KernelLog {
    /// The longest record, with some room for what [`KernelLog::say`] puts before it: a longer one than about 1000 bytes is refused.
    pub const RECORD: usize = 900;
    /// How many records are taken in 5 seconds (`printk_devkmsg=ratelimit`), less two for who has the last word.
    pub const RECORDS: usize = 8;

    /// Opens it. Below a fake root it is a file that collects the records.
    ///
    /// # Errors
    /// Not root, or a container without it.
    pub fn open(root: &Root) -> Result<Self> {
        open_sink(root, KMSG).map(Self)
    }

    /// A critical record: it goes to every console too. That it is not taken is no error: there is nobody to tell.
    pub fn cry(&self, record: &str) {
        self.put(2, record);
    }

    /// A record for whoever reads the log: on a serial console every line that is shown takes its time.
    pub fn say(&self, record: &str) {
        self.put(6, record);
    }

    fn put(&self, level: u8, record: &str) {
        let _ = (&self.0).write_all(format!("<{level}>ocf-san: {record}\n").as_bytes());
    }
}

/// A file of the kernel that is only written to. Below a fake root it collects what is written.
pub(super) fn open_sink(root: &Root, path: &'static str) -> Result<File> {
    let (real, fake) = (root.path(path), root.is_fake());
    if let Some(parent) = real.parent().filter(|_| fake) {
        fs::create_dir_all(parent).map_err(|e| KernelError::new("create", parent, e))?;
    }
    OpenOptions::new().write(true).append(fake).create(fake).open(&real).map_err(|e| KernelError::new("open", path, e))
}
