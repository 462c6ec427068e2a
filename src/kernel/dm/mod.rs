//! Device-mapper, by its ioctls: no command, no library. None of the questions asked here waits for a disk.

mod request;

use std::fs::File;
use std::io;

use nix::errno::Errno;
use request::{ACTIVE_TABLE, Call, NO_FLUSH, READ_ONLY, Request, SKIP_LOCKFS, STATUS_TABLE, SUSPENDED, text, u32_at, u64_at};

pub use request::Which;

use super::attr::Root;
use super::error::{KernelError, Result};

const CONTROL: &str = "/dev/mapper/control";
/// The type of target that fails every I/O.
const ERROR: &str = "error";
/// struct `dm_target_spec`: start, length (u64), status, next (u32), type[16].
const SPEC: usize = 40;

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

/// A line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetLine {
    /// Where it begins on the device, in sectors of 512 bytes.
    pub start: u64,
    /// How long it is, in sectors of 512 bytes.
    pub length: u64,
    /// `linear`, `error` and so on.
    pub kind: String,
    /// The rest.
    pub params: String,
}

impl DeviceMapper {
    /// Opens it; `None` when this kernel has no device-mapper, so that there is no device either.
    ///
    /// # Errors
    /// Not allowed.
    pub fn open(root: &Root) -> Result<Option<Self>> {
        match File::options().read(true).write(true).open(root.path(CONTROL)) {
            Ok(control) => Ok(Some(Self { control })),
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ENXIO)) => Ok(None),
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
        answer.map(|answer| lines(&answer).ok_or_else(|| malformed("table of", which))).transpose()
    }

    /// Major and minor numbers of what the device stands on; `None` when there is no such device.
    ///
    /// # Errors
    /// Anything but "no such device".
    pub fn deps(&self, which: Which) -> Result<Option<Vec<(u32, u32)>>> {
        let answer = self.ask("devices below", which, Call::TableDeps, 0)?;
        answer.map(|answer| deps(answer.payload()).ok_or_else(|| malformed("devices below", which))).transpose()
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

/// A chain of specifications, each with its parameters behind it and the offset of the next from the beginning of the first.
fn lines(answer: &Request) -> Option<Vec<TargetLine>> {
    let payload = answer.payload();
    let mut found = Vec::new();
    let mut at = 0;
    for _ in 0..answer.target_count() {
        let spec = payload.get(at..)?;
        let next = usize::try_from(u32_at(spec, 20)?).ok()?;
        let params = text(payload.get(at + SPEC..next)?);
        let kind = text(spec.get(24..SPEC)?);
        found.push(TargetLine { start: u64_at(spec, 0)?, length: u64_at(spec, 8)?, kind, params });
        at = next;
    }
    Some(found)
}

/// struct `dm_target_deps`: count, padding (u32), devices (u64).
fn deps(payload: &[u8]) -> Option<Vec<(u32, u32)>> {
    let count = usize::try_from(u32_at(payload, 0)?).ok()?;
    let dev = |n: usize| u64_at(payload, n.checked_mul(8)?.checked_add(8)?).map(|dev| (libc::major(dev), libc::minor(dev)));
    (0..count).map(dev).collect()
}

/// `0 SIZE error`.
fn error_table(size: u64) -> Vec<u8> {
    let mut spec = vec![0; SPEC + 8];
    spec.splice(8..16, size.to_ne_bytes());
    spec.splice(24..24 + ERROR.len(), ERROR.bytes());
    spec
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

    /// As the kernel lays a table out.
    fn table(of: &[(u64, u64, &str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (start, length, kind, params) in of {
            let mut spec = vec![0; SPEC];
            spec.splice(0..8, start.to_ne_bytes());
            spec.splice(8..16, length.to_ne_bytes());
            spec.splice(24..24 + kind.len(), kind.bytes());
            spec.extend(params.bytes());
            spec.push(0);
            spec.resize(spec.len().next_multiple_of(8), 0);
            let next = u32::try_from(bytes.len() + spec.len()).unwrap();
            spec.splice(20..24, next.to_ne_bytes());
            bytes.extend(spec);
        }
        bytes
    }

    #[test]
    fn a_table_of_several_targets_is_read_line_by_line() {
        let bytes = table(&[(0, 8192, "linear", "8:16 2048"), (8192, 2048, "error", "")]);
        let line =
            |start, length, kind: &str, params: &str| TargetLine { start, length, kind: kind.into(), params: params.into() };
        let expected = [line(0, 8192, "linear", "8:16 2048"), line(8192, 2048, "error", "")];
        assert_eq!(lines(&answer(2, &bytes)).unwrap(), expected);
        assert_eq!(lines(&answer(0, &[])).unwrap(), []);
    }

    #[test]
    fn an_answer_that_is_cut_short_is_no_table_and_no_list_of_devices() {
        let bytes = table(&[(0, 8192, "linear", "8:16 2048")]);
        for end in 0..bytes.len() {
            assert_eq!(lines(&answer(1, &bytes[..end])), None, "{end}");
        }
        let mut devices = Vec::from(2u64.to_ne_bytes());
        devices.extend(libc::makedev(8, 16).to_ne_bytes());
        assert_eq!(deps(&devices), None);
        devices.extend(libc::makedev(253, 1).to_ne_bytes());
        assert_eq!(deps(&devices), Some(vec![(8, 16), (253, 1)]));
        assert_eq!(deps(&[]), None);
    }

    #[test]
    fn the_error_table_is_one_line_of_the_same_size() {
        let bytes = error_table(2_097_152);
        assert_eq!((u64_at(&bytes, 0), u64_at(&bytes, 8), text(&bytes[24..40])), (Some(0), Some(2_097_152), "error".to_owned()));
        assert!(bytes.len().is_multiple_of(8) && bytes.len() > SPEC, "with an empty parameter behind it");
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
    #[ignore = "vm: makes a device-mapper device; needs root and the zero target"]
    fn a_real_device_is_described_and_made_to_fail() {
        use crate::deadline::Deadline;
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
