//! Device-mapper, by its ioctls: no command, no library. Of the questions asked here only [`DeviceMapper::target_status`] may wait for a
//! disk.

mod act;
pub mod decode;
pub mod health;
mod list;
mod request;
mod trouble;

use std::fs::File;
use std::io;

use nix::errno::Errno;
use request::{ACTIVE_TABLE, Call, NO_FLUSH, READ_ONLY, Request, STATUS_TABLE, SUSPENDED};

pub use act::Removal;
pub use decode::TargetLine;
pub use list::Listed;
pub use request::Which;

use super::attr::Root;
use super::error::{KernelError, Result};

const CONTROL: &str = "/dev/mapper/control";

/// `/dev/mapper/control`.
#[derive(Debug)]
pub struct DeviceMapper {
    control: File,
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its name, without `/dev/mapper/`.
    pub name: String,
    /// Its UUID, empty if it has none.
    pub uuid: String,
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// Whether every I/O to it waits.
    pub suspended: bool,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// Whether it has a table.
    pub has_table: bool,
    /// How often it is open.
    pub open_count: u32,
    /// How many targets its table has.
    pub target_count: u32,
    /// How many events it had.
    pub event_nr: u32,
}

impl DeviceMapper {
    /// Opens it; `None` when this kernel has no device-mapper, so that there is no device either.
    ///
    /// # Errors
    /// Not allowed; or there are devices, and only the node is missing.
    pub fn open(root: &Root) -> Result<Option<Self>> {
        match File::options().read(true).write(true).open(root.path(CONTROL)) {
            Ok(control) => Ok(Some(Self { control })),
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ENXIO)) => {
                let has_devices = root.dir("/sys/block").entries()?.iter().any(|entry| entry.name.starts_with("dm-"));
                let missing = || io::Error::new(io::ErrorKind::NotFound, "missing although devices are mapped");
                if has_devices { Err(KernelError::new("open", CONTROL, missing())) } else { Ok(None) }
            }
            Err(e) => Err(KernelError::new("open", CONTROL, e)),
        }
    }

    /// What a device is; `None` when there is none of that name.
    ///
    /// # Errors
    /// Anything but "no such device".
    pub fn status(&self, which: Which) -> Result<Option<Info>> {
        let answer = self.ask("status of", which, Call::DevStatus, 0)?;
        Ok(answer.as_ref().map(info))
    }

    /// The table that is active; `None` when there is no such device, empty when it has no table.
    ///
    /// # Errors
    /// Anything but "no such device".
    pub fn table(&self, which: Which) -> Result<Option<Vec<TargetLine>>> {
        let answer = self.ask("table of", which, Call::TableStatus, STATUS_TABLE | NO_FLUSH)?;
        lines("table of", which, answer)
    }

    /// How its targets are: of each line of the table what the kernel says about the state, in place of the parameters. `None` when
    /// there is no such device, empty when it has no table.
    ///
    /// The kernel may take as long as a disk does: `thin` and `thin-pool` ask the pool's metadata, flag or no flag, and a process that
    /// waits for that can not be killed. So only for a child that nobody waits for without a deadline.
    ///
    /// # Errors
    /// Anything but "no such device".
    pub fn target_status(&self, which: Which) -> Result<Option<Vec<TargetLine>>> {
        let answer = self.ask("state of", which, Call::TableStatus, NO_FLUSH)?;
        lines("state of", which, answer)
    }

    /// Major and minor numbers of what the device stands on; `None` when there is no such device.
    ///
    /// # Errors
    /// Anything but "no such device".
    pub fn deps(&self, which: Which) -> Result<Option<Vec<(u32, u32)>>> {
        let answer = self.ask("devices below", which, Call::TableDeps, 0)?;
        answer.map(|answer| decode::deps(answer.payload()).ok_or_else(|| malformed("devices below", which))).transpose()
    }

    fn ask(&self, doing: &'static str, which: Which, call: Call, flags: u32) -> Result<Option<Request>> {
        match self.send(doing, which, call, Request::new(which, flags, &[])) {
            Ok(answer) => Ok(Some(answer)),
            Err(e) if e.errno() == Some(libc::ENXIO) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn send(
        &self,
        doing: &'static str,
        which: Which,
        call: Call,
        request: std::result::Result<Request, Errno>,
    ) -> Result<Request> {
        request
            .and_then(|request| request.send(&self.control, call))
            .map_err(|e| KernelError::new(doing, spoken(which), e.into()))
    }
}

fn info(answer: &Request) -> Info {
    let (major, minor) = answer.number();
    let has = |flag| answer.flags() & flag != 0;
    Info {
        name: answer.name(),
        uuid: answer.uuid(),
        major,
        minor,
        suspended: has(SUSPENDED),
        read_only: has(READ_ONLY),
        has_table: has(ACTIVE_TABLE),
        open_count: answer.open_count(),
        target_count: answer.target_count(),
        event_nr: answer.event_nr(),
    }
}

fn lines(doing: &'static str, which: Which, answer: Option<Request>) -> Result<Option<Vec<TargetLine>>> {
    let lines = |answer: Request| decode::lines(answer.payload(), answer.target_count());
    answer.map(|answer| lines(answer).ok_or_else(|| malformed(doing, which))).transpose()
}

fn spoken(which: Which) -> String {
    match which {
        Which::Name(text) | Which::Uuid(text) => text.to_owned(),
        Which::Number(major, minor) => format!("{major}:{minor}"),
    }
}

fn malformed(doing: &'static str, which: Which) -> KernelError {
    KernelError::new(doing, spoken(which), io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(targets: u32, payload: &[u8]) -> Request {
        Request::new(Which::Name("vg1-lv--lun0"), SUSPENDED | ACTIVE_TABLE, payload).unwrap().with_targets(targets)
    }

    #[test]
    fn the_flags_of_the_answer_are_the_state_of_the_device() {
        let info = info(&answer(2, &[]));
        assert!(info.suspended && info.has_table && !info.read_only);
        assert_eq!((info.name.as_str(), info.target_count), ("vg1-lv--lun0", 2));
    }

    #[test]
    fn without_device_mapper_there_is_no_device() {
        let dir = tempfile::tempdir().unwrap();
        assert!(DeviceMapper::open(&Root::fake(dir.path())).unwrap().is_none());
    }

    #[test]
    fn a_missing_node_is_no_proof_that_nothing_is_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        root.dir("/sys/block/sda").set("dev", "8:0").unwrap();
        assert!(DeviceMapper::open(&root).unwrap().is_none());
        root.dir("/sys/block/dm-0").set("dev", "253:0").unwrap();
        let e = DeviceMapper::open(&root).unwrap_err();
        assert_eq!(e.to_string(), "open /dev/mapper/control: missing although devices are mapped");
    }
}
