//! One call to `/dev/mapper/control`: a header, and behind it what the call takes or gives (include/uapi/linux/dm-ioctl.h, stable since
//! interface 4.0).
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::errno::Errno;

/// What a device is named by: exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// Its name, without `/dev/mapper/`.
    Name(&'a str),
    /// Its UUID.
    Uuid(&'a str),
    /// Its major and minor number.
    Number(u32, u32),
}

/// The calls, by number.
#[derive(Debug, Clone, Copy)]
pub enum Call {
    /// Which devices there are.
    ListDevices = 2,
    /// Take a device away.
    DevRemove = 4,
    /// Suspend or resume.
    DevSuspend = 6,
    /// What the device is.
    DevStatus = 7,
    /// Load an inactive table.
    TableLoad = 9,
    /// What the device stands on.
    TableDeps = 11,
    /// The table, or the state of its targets.
    TableStatus = 12,
}

pub const READ_ONLY: u32 = 1 << 0;
pub const SUSPENDED: u32 = 1 << 1;
/// The table as it was loaded, not the state of its targets: the state of a thin pool may block.
pub const STATUS_TABLE: u32 = 1 << 4;
pub const ACTIVE_TABLE: u32 = 1 << 5;
/// A list with UUIDs.
const WITH_UUID: u32 = 1 << 14;
const BUFFER_FULL: u32 = 1 << 8;
/// Do not freeze a file system on it.
pub const SKIP_LOCKFS: u32 = 1 << 10;
/// Do not wait for what is queued.
pub const NO_FLUSH: u32 = 1 << 11;

// struct dm_ioctl: version[3], data_size, data_start, target_count, open_count, flags, event_nr, padding (u32 each), dev (u64),
// name[128], uuid[129], data[7].
const DATA_SIZE: usize = 12;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const OPEN_COUNT: usize = 24;
const FLAGS: usize = 28;
const EVENT_NR: usize = 32;
const DEV: usize = 40;
const NAME: usize = 48;
const UUID: usize = NAME + 128;
/// The length of the header.
pub const HEADER: usize = UUID + 129 + 7;
const _: () = assert!(HEADER == 312 && UUID == 176);

/// The room for an answer at first, and the most that is tried.
const ROOM: usize = 16 * 1024;
const MOST_ROOM: usize = 4 * 1024 * 1024;

/// A header and what follows it.
#[derive(Debug, Clone)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// About this device, with these flags and this behind the header.
    ///
    /// # Errors
    /// A name or UUID that is too long.
    pub fn new(which: Which, flags: u32, payload: &[u8]) -> Result<Self, Errno> {
        let mut request = Self { bytes: vec![0; HEADER] };
        request.bytes.extend_from_slice(payload);
        // The kernel takes any minor version up to its own, so the first one.
        request.put(0, &4u32.to_ne_bytes());
        request.put(DATA_START, &u32::try_from(HEADER).map_err(|_| Errno::EOVERFLOW)?.to_ne_bytes());
        request.put(FLAGS, &flags.to_ne_bytes());
        match which {
            Which::Name(name) => request.put_text(NAME, 128, name)?,
            Which::Uuid(uuid) => request.put_text(UUID, 129, uuid)?,
            Which::Number(major, minor) => request.put(DEV, &libc::makedev(major, minor).to_ne_bytes()),
        }
        Ok(request)
    }

    /// About all devices whose UUID begins like this.
    ///
    /// # Errors
    /// A beginning that is too long.
    pub fn list(uuid_prefix: &str) -> Result<Self, Errno> {
        let mut request = Self::new(Which::Number(0, 0), WITH_UUID, &[])?;
        if !uuid_prefix.is_empty() {
            request.put_text(UUID, 129, uuid_prefix)?;
        }
        Ok(request)
    }

    /// With so many targets behind the header.
    #[must_use]
    pub fn with_targets(mut self, count: u32) -> Self {
        self.put(TARGET_COUNT, &count.to_ne_bytes());
        self
    }

    /// Asks the kernel, with more room as long as it says that there is too little.
    ///
    /// # Errors
    /// Whatever `ioctl` says: ENXIO when there is no such device.
    pub fn send(&self, control: &File, call: Call) -> Result<Self, Errno> {
        let mut room = ROOM.max(self.bytes.len());
        loop {
            let mut answer = self.clone();
            answer.bytes.resize(room, 0);
            answer.put(DATA_SIZE, &u32::try_from(room).map_err(|_| Errno::EOVERFLOW)?.to_ne_bytes());
            let number = nix::request_code_readwrite!(0xfd, call as u8, HEADER);
            // SAFETY: the buffer is ours alone and as long as its data_size says, so the kernel stays inside it.
            let result = unsafe { libc::ioctl(control.as_raw_fd(), number, answer.bytes.as_mut_ptr()) };
            Errno::result(result)?;
            if answer.flags() & BUFFER_FULL == 0 {
                return Ok(answer);
            }
            room *= 2;
            if room > MOST_ROOM {
                return Err(Errno::ENOBUFS);
            }
        }
    }

    pub fn flags(&self) -> u32 {
        self.u32_at(FLAGS)
    }

    pub fn target_count(&self) -> u32 {
        self.u32_at(TARGET_COUNT)
    }

    pub fn open_count(&self) -> u32 {
        self.u32_at(OPEN_COUNT)
    }

    pub fn event_nr(&self) -> u32 {
        self.u32_at(EVENT_NR)
    }

    /// Major and minor number.
    pub fn number(&self) -> (u32, u32) {
        let dev = u64_at(&self.bytes, DEV).unwrap_or_default();
        (libc::major(dev), libc::minor(dev))
    }

    pub fn name(&self) -> String {
        text(self.bytes.get(NAME..UUID).unwrap_or_default())
    }

    pub fn uuid(&self) -> String {
        text(self.bytes.get(UUID..HEADER).unwrap_or_default())
    }

    /// What is behind the header. To the end of the buffer, which was zero: the size in the header leaves out the padding behind the last
    /// target, and all of a list without devices (`retrieve_status` and `list_devices`, drivers/md/dm-ioctl.c).
    pub fn payload(&self) -> &[u8] {
        let start = usize::try_from(self.u32_at(DATA_START)).unwrap_or(HEADER);
        self.bytes.get(start..).unwrap_or_default()
    }

    fn u32_at(&self, at: usize) -> u32 {
        u32_at(&self.bytes, at).unwrap_or_default()
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// With room for the zero at its end.
    fn put_text(&mut self, at: usize, room: usize, text: &str) -> Result<(), Errno> {
        if text.is_empty() || text.len() >= room {
            return Err(Errno::ENAMETOOLONG);
        }
        self.put(at, text.as_bytes());
        Ok(())
    }
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Up to the first zero.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_laid_out_as_the_kernel_has_it() {
        let request = Request::new(Which::Number(253, 300), NO_FLUSH, &[]).unwrap();
        assert_eq!(request.bytes.len(), 312);
        assert_eq!(request.number(), (253, 300));
        assert_eq!(u64_at(&request.bytes, 40), Some(0x10_fd2c), "huge_encode_dev");
        assert_eq!((request.flags(), u32_at(&request.bytes, 0), u32_at(&request.bytes, 16)), (1 << 11, Some(4), Some(312)));
        let request = Request::new(Which::Name("vg1-lv--lun0"), 0, b"xyz").unwrap().with_targets(7);
        assert_eq!((request.name().as_str(), request.uuid().as_str()), ("vg1-lv--lun0", ""));
        assert_eq!((request.target_count(), request.payload()), (7, b"xyz".as_slice()));
        assert_eq!(nix::request_code_readwrite!(0xfd, Call::DevStatus as u8, HEADER), 0xc138_fd07);
    }

    #[test]
    fn a_name_that_does_not_fit_or_says_nothing_is_refused() {
        assert_eq!(Request::new(Which::Name(&"x".repeat(127)), 0, &[]).map(|r| r.name().len()), Ok(127));
        for wrong in [Which::Name(&"x".repeat(128)), Which::Uuid(&"x".repeat(129)), Which::Name("")] {
            assert_eq!(Request::new(wrong, 0, &[]).err(), Some(Errno::ENAMETOOLONG));
        }
    }
}
