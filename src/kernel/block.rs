//! Block devices as sysfs shows them, by device number. Never opens a device: nothing here waits for a disk.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::attr::{Dir, Root};
use super::error::{KernelError, Result};

/// A block device of the running kernel.
#[derive(Debug, Clone)]
pub struct BlockDevice {
    major: u32,
    minor: u32,
    sys: Dir,
}

/// The I/O counters of a device since it appeared (Documentation/block/stat.rst).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    /// Completed reads.
    pub reads: u64,
    /// Sectors of 512 bytes read.
    pub read_sectors: u64,
    /// Completed writes.
    pub writes: u64,
    /// Sectors of 512 bytes written.
    pub write_sectors: u64,
    /// Requests that were issued and have not completed.
    pub in_flight: u64,
    /// Milliseconds during which requests were queued.
    pub busy_millis: u64,
    /// Completed discards; 0 on a kernel that does not count them.
    pub discards: u64,
    /// Completed flushes; 0 on a kernel that does not count them.
    pub flushes: u64,
}

impl Stat {
    /// Everything that ever completed: does not change while nothing comes back from the device.
    #[must_use]
    pub fn completed(&self) -> u64 {
        [self.reads, self.writes, self.discards, self.flushes].into_iter().fold(0, u64::wrapping_add)
    }
}

impl std::str::FromStr for Stat {
    type Err = String;

    /// Reads the line of `/sys/block/DEVICE/stat`: 11 numbers, 15 since Linux 4.18, 17 since 5.5.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let fields = text.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<u64>, _>>();
        let fields = fields.map_err(|_| "not a number".to_owned())?;
        if fields.len() < 11 {
            return Err(format!("{} fields where 11 or more should be", fields.len()));
        }
        let field = |n: usize| fields.get(n).copied().unwrap_or_default();
        Ok(Self {
            reads: field(0),
            read_sectors: field(2),
            writes: field(4),
            write_sectors: field(6),
            in_flight: field(8),
            busy_millis: field(9),
            discards: field(11),
            flushes: field(15),
        })
    }
}

impl BlockDevice {
    /// The device behind a node such as `/dev/vg1/lun0`; symbolic links are followed. Below a fake root a device node is an ordinary
    /// file that holds `MAJOR:MINOR`.
    ///
    /// # Errors
    /// Whatever `stat` says, or ENOTBLK when it is something else.
    pub fn of(root: &Root, node: impl AsRef<Path>) -> Result<Self> {
        let path = root.path(&node);
        let wrong = |e| KernelError::new("look at", node.as_ref(), e);
        let no_block_device = || wrong(io::Error::from_raw_os_error(libc::ENOTBLK));
        if root.is_fake() {
            let text = fs::read_to_string(&path).map_err(wrong)?;
            let (major, minor) = numbers(&text).ok_or_else(no_block_device)?;
            return Ok(Self::numbered(root, major, minor));
        }
        let meta = fs::metadata(&path).map_err(wrong)?;
        if !meta.file_type().is_block_device() {
            return Err(no_block_device());
        }
        Ok(Self::from_dev_t(root, meta.rdev()))
    }

    /// The device with this number. Touches nothing.
    #[must_use]
    pub fn numbered(root: &Root, major: u32, minor: u32) -> Self {
        Self { major, minor, sys: root.dir("/sys/dev/block").dir(format!("{major}:{minor}")) }
    }

    /// The device with this `dev_t`, as `stat(2)` gives it. Touches nothing.
    #[must_use]
    pub fn from_dev_t(root: &Root, dev: u64) -> Self {
        Self::numbered(root, libc::major(dev), libc::minor(dev))
    }

    /// Its major number.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Its minor number.
    #[must_use]
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// Its directory in sysfs.
    #[must_use]
    pub fn sys(&self) -> &Dir {
        &self.sys
    }

    /// Whether the kernel has such a device now.
    ///
    /// # Errors
    /// Whatever `stat` says but "not found".
    pub fn exists(&self) -> Result<bool> {
        self.sys.exists()
    }

    /// Its name in the kernel, such as `dm-3`.
    ///
    /// # Errors
    /// There is no such device, or its name can not be read.
    pub fn kernel_name(&self) -> Result<String> {
        let uevent = self.sys.read("uevent")?;
        let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="));
        name.map(str::to_owned).ok_or_else(|| self.malformed("uevent", "no DEVNAME"))
    }

    /// Every name that it has below `/dev`: the kernel's, and the links that udev keeps.
    ///
    /// # Errors
    /// There is no such device, or udev's record of it can not be read.
    pub fn nodes(&self, root: &Root) -> Result<Vec<String>> {
        let record = root.dir("/run/udev/data").read_opt(format!("b{}:{}", self.major, self.minor))?.unwrap_or_default();
        let links = record.lines().filter_map(|line| line.strip_prefix("S:"));
        let own = [self.kernel_name()?, format!("block/{}:{}", self.major, self.minor)];
        Ok(own.iter().map(String::as_str).chain(links).map(|name| format!("/dev/{name}")).collect())
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// There is no such device.
    pub fn size_bytes(&self) -> Result<u64> {
        let text = self.sys.read("size")?;
        let sectors: Option<u64> = text.trim().parse().ok();
        sectors.and_then(|n| n.checked_mul(512)).ok_or_else(|| self.malformed("size", "not a number of sectors"))
    }

    /// Whether the kernel refuses writes to it.
    ///
    /// # Errors
    /// There is no such device.
    pub fn is_read_only(&self) -> Result<bool> {
        Ok(self.sys.read("ro")? == "1")
    }

    /// Its I/O counters.
    ///
    /// # Errors
    /// There is no such device.
    pub fn stat(&self) -> Result<Stat> {
        self.sys.read("stat")?.parse().map_err(|why: String| self.malformed("stat", why))
    }

    /// Reads and writes in flight now, as `inflight` has them.
    ///
    /// # Errors
    /// There is no such device.
    pub fn in_flight(&self) -> Result<(u64, u64)> {
        let text = self.sys.read("inflight")?;
        let mut numbers = text.split_whitespace().map_while(|word| word.parse().ok());
        numbers.next().zip(numbers.next()).ok_or_else(|| self.malformed("inflight", "not two numbers"))
    }

    /// Whether it is a device-mapper device.
    ///
    /// # Errors
    /// Whatever `stat` says but "not found".
    pub fn is_dm(&self) -> Result<bool> {
        self.sys.dir("dm").exists()
    }

    /// Its device-mapper name; `None` when it is another kind of device.
    ///
    /// # Errors
    /// Whatever reading says but "not found".
    pub fn dm_name(&self) -> Result<Option<String>> {
        self.sys.dir("dm").read_opt("name")
    }

    /// Its device-mapper UUID; `None` when it is another kind of device.
    ///
    /// # Errors
    /// Whatever reading says but "not found".
    pub fn dm_uuid(&self) -> Result<Option<String>> {
        self.sys.dir("dm").read_opt("uuid")
    }

    /// Whether it is a device-mapper device that is suspended: every I/O to it waits.
    ///
    /// # Errors
    /// Whatever reading says but "not found".
    pub fn is_suspended(&self) -> Result<bool> {
        Ok(self.sys.dir("dm").read_opt("suspended")?.is_some_and(|text| text == "1"))
    }

    /// The names of the devices that this one stood on and that are gone although they are still listed.
    ///
    /// # Errors
    /// Whatever `readdir` says but "not found".
    pub fn gone_slaves(&self) -> Result<Vec<String>> {
        let below = self.sys.dir("slaves");
        let mut gone = Vec::new();
        for entry in below.entries()? {
            if below.dir(&entry.name).read_opt("dev")?.is_none() {
                gone.push(entry.name);
            }
        }
        Ok(gone)
    }

    /// The devices that this one stands on; one that is gone although it is still listed is left out.
    ///
    /// # Errors
    /// Whatever `readdir` says but "not found".
    pub fn slaves(&self, root: &Root) -> Result<Vec<Self>> {
        let below = self.sys.dir("slaves");
        let mut found = Vec::new();
        for entry in below.entries()? {
            let number = below.dir(&entry.name).read_opt("dev")?;
            found.extend(number.as_deref().and_then(numbers).map(|(major, minor)| Self::numbered(root, major, minor)));
        }
        Ok(found)
    }

    /// Host, channel, target and LUN of a SCSI device.
    ///
    /// # Errors
    /// It is none, or whatever reading says.
    pub fn scsi_address(&self) -> Result<[u64; 4]> {
        let device = self.sys.read_link("device")?;
        let name = device.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        let numbers: Vec<u64> = name.split(':').filter_map(|number| number.parse().ok()).collect();
        numbers.try_into().map_err(|_| self.malformed("device", "no SCSI device"))
    }

    fn malformed(&self, attr: &str, why: impl Into<String>) -> KernelError {
        KernelError::new("read", self.sys.path().join(attr), io::Error::new(io::ErrorKind::InvalidData, why.into()))
    }
}

/// `253:3`, as sysfs prints a device number.
#[must_use]
pub fn numbers(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspended_lv() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        let put = |path: &str, name: &str, text: &str| root.dir(path).set(name, text).unwrap();
        put("/dev/vg1", "lun0", "253:3\n");
        let sys = "/sys/dev/block/253:3";
        put(sys, "uevent", "MAJOR=253\nMINOR=3\nDEVNAME=dm-3\nDEVTYPE=disk\nDISKSEQ=13\n");
        put("/run/udev/data", "b253:3", "S:mapper/vg1-lv--lun0\nW:13\nE:DM_NAME=vg1-lv--lun0\n");
        put(sys, "size", "2097152\n");
        put(
            sys,
            "stat",
            "     120        0     2960       12       41        7      400        9        3     5012     5021        2        0       16        1        5        2\n",
        );
        put(sys, "inflight", "       1        2\n");
        put("/sys/dev/block/253:3/dm", "name", "vg1-lv--lun0\n");
        put("/sys/dev/block/253:3/dm", "suspended", "1\n");
        put("/sys/dev/block/253:3/slaves/sda", "dev", "8:0\n");
        (dir, root)
    }

    #[test]
    fn a_device_is_found_by_its_node_and_says_what_sysfs_says() {
        let (_keep, root) = suspended_lv();
        let lun = BlockDevice::of(&root, "/dev/vg1/lun0").unwrap();
        assert_eq!((lun.major(), lun.minor()), (253, 3));
        assert_eq!(lun.kernel_name().unwrap(), "dm-3");
        assert_eq!(lun.nodes(&root).unwrap(), ["/dev/dm-3", "/dev/block/253:3", "/dev/mapper/vg1-lv--lun0"]);
        assert_eq!(lun.size_bytes().unwrap(), 1 << 30);
        assert_eq!(lun.in_flight().unwrap(), (1, 2));
        assert!(lun.is_dm().unwrap() && lun.is_suspended().unwrap());
        assert_eq!(lun.dm_name().unwrap().as_deref(), Some("vg1-lv--lun0"));
        let stat = lun.stat().unwrap();
        assert_eq!((stat.reads, stat.writes, stat.in_flight, stat.discards, stat.flushes), (120, 41, 3, 2, 5));
        assert_eq!((stat.completed(), stat.busy_millis), (168, 5012));
        let below = lun.slaves(&root).unwrap();
        assert_eq!(below.iter().map(|d| (d.major(), d.minor())).collect::<Vec<_>>(), [(8, 0)]);
        std::fs::create_dir_all(lun.sys().path().join("slaves")).unwrap();
        std::os::unix::fs::symlink("../../../sdq", lun.sys().path().join("slaves/sdq")).unwrap();
        assert_eq!(lun.gone_slaves().unwrap(), ["sdq"]);
        assert!(!below[0].is_dm().unwrap() && !below[0].is_suspended().unwrap() && !below[0].exists().unwrap());
    }

    #[test]
    fn a_scsi_device_has_an_address_and_others_have_none() {
        let (_keep, root) = suspended_lv();
        let disk = BlockDevice::numbered(&root, 8, 0);
        fs::create_dir_all(disk.sys().path()).unwrap();
        std::os::unix::fs::symlink("../../../2:0:1:7", disk.sys().path().join("device")).unwrap();
        assert_eq!(disk.scsi_address().unwrap(), [2, 0, 1, 7]);
        assert!(BlockDevice::numbered(&root, 253, 3).scsi_address().is_err());
    }

    #[test]
    fn the_counters_of_an_old_kernel_are_read_too_and_rubbish_is_an_error() {
        assert_eq!("1 0 8 0 2 0 16 0 4 7 7".parse::<Stat>().unwrap().in_flight, 4);
        assert_eq!("1 2 3".parse::<Stat>(), Err("3 fields where 11 or more should be".to_owned()));
        assert!("".parse::<Stat>().is_err() && "a b c d e f g h i j k".parse::<Stat>().is_err());
    }

    #[test]
    fn what_is_no_block_device_is_an_error_with_its_path() {
        let e = BlockDevice::of(&Root::host(), "/dev/null").unwrap_err();
        assert_eq!(e.to_string(), "look at /dev/null: block device required");
        let e = BlockDevice::of(&Root::host(), "/dev/nothing/here").unwrap_err();
        assert!(e.is_not_found());
    }
}
