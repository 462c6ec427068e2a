//! What is done to devices: to take them away, to let their I/O go on, to make it fail.

use super::decode::SPEC;
use super::request::{Call, NO_FLUSH, READ_ONLY, Request, SKIP_LOCKFS, Which};
use super::{DeviceMapper, Result, malformed};

/// The type of target that fails every I/O.
const ERROR: &str = "error";

/// What became of a device that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// It is still there, because somebody has it open: a mount, a process, another device.
    Busy,
    /// There was none.
    Absent,
}

impl DeviceMapper {
    /// Takes a device away that nobody has open. What it stands on is not touched; udev takes its links away when the kernel says so.
    ///
    /// It waits for I/O that is already below the device, so it belongs where hanging is allowed.
    ///
    /// # Errors
    /// Anything but "in use" and "no such device".
    pub fn remove(&self, which: Which) -> Result<Removal> {
        match self.send("remove", which, Call::DevRemove, Request::new(which, 0, &[])) {
            Ok(_) => Ok(Removal::Removed),
            Err(e) if e.errno() == Some(libc::EBUSY) => Ok(Removal::Busy),
            Err(e) if e.errno() == Some(libc::ENXIO) => Ok(Removal::Absent),
            Err(e) => Err(e),
        }
    }

    /// Lets the I/O of a suspended device go on, with the table that was loaded since, if one was. `false` when there is no such device.
    ///
    /// # Errors
    /// Whatever else the kernel says.
    pub fn resume(&self, which: Which) -> Result<bool> {
        // Without the flag for "suspend" this call resumes.
        Ok(self.ask("resume", which, Call::DevSuspend, SKIP_LOCKFS | NO_FLUSH)?.is_some())
    }

    /// Makes every I/O on the device fail, what waits because it is suspended included: puts an `error` table of its size in place and
    /// resumes it. Its data is untouched; it comes back with its old table.
    ///
    /// On a device that is not suspended the kernel first waits for I/O that is already below it, so this belongs where hanging is
    /// allowed. `false` when there is no such device.
    ///
    /// # Errors
    /// Whatever a step says. The old table is still in place unless the last one failed half-way.
    pub fn fail_io(&self, which: Which) -> Result<bool> {
        let Some(info) = self.status(which)? else { return Ok(false) };
        let size = self.table(which)?.iter().flatten().map(|line| line.start.saturating_add(line.length)).max();
        let size = size.filter(|n| *n > 0).ok_or_else(|| malformed("table of", which))?;
        let flags = if info.read_only { READ_ONLY } else { 0 };
        let load = Request::new(which, flags, &error_table(size)).map(|request| request.with_targets(1));
        self.send("load a table into", which, Call::TableLoad, load)?;
        self.send("resume", which, Call::DevSuspend, Request::new(which, SKIP_LOCKFS | NO_FLUSH, &[]))?;
        Ok(true)
    }
}

/// `0 SIZE error`.
fn error_table(size: u64) -> Vec<u8> {
    let mut spec = vec![0; SPEC + 8];
    spec.splice(8..16, size.to_ne_bytes());
    spec.splice(24..24 + ERROR.len(), ERROR.bytes());
    spec
}

#[cfg(test)]
mod tests {
    use super::super::request::{text, u64_at};
    use super::*;

    #[test]
    fn the_error_table_is_one_line_of_the_same_size() {
        let bytes = error_table(2_097_152);
        assert_eq!((u64_at(&bytes, 0), u64_at(&bytes, 8), text(&bytes[24..40])), (Some(0), Some(2_097_152), "error".to_owned()));
        assert!(bytes.len().is_multiple_of(8) && bytes.len() > SPEC, "with an empty parameter behind it");
    }

    #[test]
    #[ignore = "vm: makes a device-mapper device; needs root and the zero target"]
    fn a_real_device_is_described_and_made_to_fail() {
        use crate::deadline::Deadline;
        use crate::kernel::attr::Root;
        use crate::kernel::error::KernelError;
        use crate::kernel::exec::Tool;
        let root = Root::host();
        let soon = || Deadline::after(std::time::Duration::from_secs(20));
        let dmsetup = Tool::find(&root, "dmsetup").unwrap();
        let name = "ocf-san-test";
        dmsetup.ok(&["create", name, "--table", "0 2048 zero"], soon()).unwrap();
        let dm = DeviceMapper::open(&root).unwrap().unwrap();
        let found = (|| {
            let before = dm.status(Which::Name(name))?.unwrap();
            let same = dm.status(Which::Number(before.major, before.minor))?.unwrap();
            let (table, deps) = (dm.table(Which::Name(name))?.unwrap(), dm.deps(Which::Name(name))?.unwrap());
            dmsetup.ok(&["suspend", "--noflush", "--nolockfs", name], soon())?;
            let suspended = dm.status(Which::Name(name))?.unwrap().suspended;
            let failed = dm.fail_io(Which::Name(name))?;
            let after = (dm.table(Which::Name(name))?.unwrap(), dm.status(Which::Name(name))?.unwrap());
            Ok::<_, KernelError>((before, same, table, deps, suspended, failed, after))
        })();
        let node = std::fs::read(format!("/dev/mapper/{name}")).map(drop);
        dmsetup.ok(&["remove", name], soon()).unwrap();
        let (before, same, table, deps, suspended, failed, after) = found.unwrap();
        assert_eq!((before.name.as_str(), before.uuid.as_str(), before.suspended, before.open_count), (name, "", false, 0));
        assert_eq!(before, same);
        assert_eq!((table.len(), table[0].kind.as_str(), table[0].length, deps.len()), (1, "zero", 2048, 0));
        assert!(suspended && failed);
        assert_eq!((after.0[0].kind.as_str(), after.0[0].length, after.1.suspended), ("error", 2048, false));
        assert_eq!(node.unwrap_err().raw_os_error(), Some(libc::EIO));
        assert_eq!(dm.status(Which::Name(name)).unwrap(), None);
    }
}
