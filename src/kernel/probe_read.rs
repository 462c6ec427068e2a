//! One read past the page cache: whether a device still answers. Blocks for as long as the device does.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::error::{KernelError, Result};

/// A buffer that `O_DIRECT` takes: aligned to the largest block size that Linux 6.12 has.
#[repr(C, align(4096))]
struct Page([u8; 4096]);

/// Reads the first 4096 bytes of a device or file with `O_DIRECT`. A file system that does not do that can not be asked, which is no error.
///
/// # Errors
/// Whatever `open` or `pread` says; EIO when the device failed.
pub fn read_first_page(path: &Path) -> Result<()> {
    let mut page = Box::new(Page([0; 4096]));
    let mut read = || -> io::Result<usize> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
        file.read_at(&mut page.0, 0)
    };
    match read() {
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        other => other.map(drop),
    }
    .map_err(|e| KernelError::new("read from", path, e))
}
