//! The kernel log: what survives a reboot by sysrq, in a crash dump and in pstore; and what the kernel has said.
#![allow(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};

use nix::errno::Errno;

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

    /// A record for whoever reads the log, and for consoles that are not quiet.
    pub fn say(&self, record: &str) {
        self.put(6, record);
    }

    /// A record for the log alone: on a serial console a line of this length takes up to a second, and whoever writes waits for it.
    pub fn whisper(&self, record: &str) {
        self.put(7, record);
    }

    fn put(&self, level: u8, record: &str) {
        let _ = (&self.0).write_all(format!("<{level}>ocf-san: {record}\n").as_bytes());
    }
}

/// What the kernel has said and still remembers, oldest first. By syslog(2), which takes two calls whatever there is to read, where
/// `/dev/kmsg` takes one for each record. Below a fake root it is the file that collects the records.
///
/// # Errors
/// Not root, or `kernel.dmesg_restrict` and no right to read it.
pub fn read(root: &Root) -> Result<String> {
    if root.is_fake() {
        return root.dir("/dev").read_opt("kmsg").map(Option::unwrap_or_default);
    }
    all_records().map_err(|e| KernelError::new("read", KMSG, e))
}

/// `SYSLOG_ACTION_SIZE_BUFFER` and `SYSLOG_ACTION_READ_ALL` (syslog(2)).
fn all_records() -> io::Result<String> {
    const SIZE_BUFFER: libc::c_int = 10;
    const READ_ALL: libc::c_int = 3;
    // SAFETY: this action takes no buffer.
    let size = Errno::result(unsafe { libc::klogctl(SIZE_BUFFER, std::ptr::null_mut(), 0) })?;
    let mut text = vec![0_u8; usize::try_from(size).unwrap_or(0)];
    // SAFETY: the buffer is `size` bytes long and outlives the call, which writes no more than that.
    let read = Errno::result(unsafe { libc::klogctl(READ_ALL, text.as_mut_ptr().cast(), size) })?;
    text.truncate(usize::try_from(read).unwrap_or(0));
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A file of the kernel that is only written to. Below a fake root it collects what is written.
pub(super) fn open_sink(root: &Root, path: &'static str) -> Result<File> {
    let (real, fake) = (root.path(path), root.is_fake());
    if let Some(parent) = real.parent().filter(|_| fake) {
        fs::create_dir_all(parent).map_err(|e| KernelError::new("create", parent, e))?;
    }
    OpenOptions::new().write(true).append(fake).create(fake).open(&real).map_err(|e| KernelError::new("open", path, e))
}
