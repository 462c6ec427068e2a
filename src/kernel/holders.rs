//! Who holds a block device, for the one who must say why it can not be removed. Opens no device and no file of a mounted file system,
//! so that a device that hangs does not hang this too.
//!
//! What is found is what some table names. A holder in the kernel that no table names (an `NVMe` namespace of its target, a file system that
//! was unmounted lazily) is not found: then the open count alone says that there is one.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::attr::{Dir, Root};
use super::block::BlockDevice;
use super::lio::Lio;
use super::lio::storage::{self, Found};
use super::mount::{Mount, unescaped};
use crate::deadline::Deadline;

/// How long the list of backstores may take: a directory of configfs is locked while something in it is being removed.
const BACKSTORES: Duration = Duration::from_secs(2);

/// What the kernel appends to the path of a file that is open and has been removed.
const DELETED: &str = " (deleted)";

/// Something that keeps a block device open. Its text says what in a few words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A mounted file system.
    Mount {
        /// Where it is mounted, as the mount namespace has it.
        path: String,
        /// A process of that mount namespace, by number and name, when it is not ours.
        elsewhere: Option<(u32, String)>,
    },
    /// Swap space.
    Swap,
    /// Another block device that stands on it.
    Upper {
        /// Its name in the kernel: `dm-7`, `drbd0`, `md127`, `loop3`.
        kernel_name: String,
        /// Its device-mapper name, if it has one.
        dm_name: Option<String>,
    },
    /// A backstore of LIO.
    Backstore {
        /// `HBA/NAME`, as below `target/core` in configfs.
        name: String,
    },
    /// A process that has the device node open.
    Process {
        /// Its number.
        pid: u32,
        /// Its name.
        comm: String,
        /// The device node.
        path: String,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount { path, elsewhere: None } => write!(f, "mounted on {path}"),
            Self::Mount { path, elsewhere: Some((pid, comm)) } => write!(f, "mounted on {path} by process {pid} ({comm})"),
            Self::Swap => f.write_str("used as swap"),
            Self::Upper { kernel_name, dm_name: None } => write!(f, "below {kernel_name}"),
            Self::Upper { kernel_name, dm_name: Some(name) } => write!(f, "below {kernel_name} ({name})"),
            Self::Backstore { name } => write!(f, "exported by lio backstore {name}"),
            // Some put themselves in parentheses.
            Self::Process { pid, comm, .. } => write!(f, "open in process {pid} ({})", comm.trim_matches(['(', ')'])),
        }
    }
}

/// Everything that is seen to hold the device, each once, sorted by kind; what was found until `deadline`. What can not be read is left
/// out: an answer that lacks something is better than none.
#[must_use]
pub fn holders(root: &Root, major: u32, minor: u32, deadline: Deadline) -> Vec<Holder> {
    let device = Device { root, major, minor };
    let mut found = BTreeSet::new();
    device.mounted(&root.dir("/proc/self"), None, &mut found);
    device.swap(&mut found);
    device.above(&mut found);
    device.loops(&mut found);
    device.processes(deadline, &mut found);
    device.backstores(deadline, &mut found);
    found.into_iter().collect()
}

struct Device<'a> {
    root: &'a Root,
    major: u32,
    minor: u32,
}

impl Device<'_> {
    /// Whether this is a node of the device. Only for a path below `/dev`, which no disk is behind.
    fn is_at(&self, path: &str) -> bool {
        is_below_dev(path) && BlockDevice::of(self.root, path).is_ok_and(|it| self.is(&it))
    }

    fn is(&self, other: &BlockDevice) -> bool {
        (other.major(), other.minor()) == (self.major, self.minor)
    }

    /// The mounts that `process` sees.
    fn mounted(&self, process: &Dir, elsewhere: Option<&(u32, String)>, found: &mut BTreeSet<Holder>) {
        let table = process.read_opt("mountinfo").ok().flatten().unwrap_or_default();
        for mount in table.lines().filter_map(Mount::parse) {
            // A file system with a device number of its own, such as btrfs, names its device as the source.
            let is_here =
                (mount.major, mount.minor) == (self.major, self.minor) || (mount.major == 0 && self.is_at(&mount.source));
            let known = Holder::Mount { path: mount.path.clone(), elsewhere: None };
            if is_here && !found.contains(&known) {
                found.insert(Holder::Mount { path: mount.path, elsewhere: elsewhere.cloned() });
            }
        }
    }

    fn swap(&self, found: &mut BTreeSet<Holder>) {
        let table = self.root.dir("/proc").read_opt("swaps").ok().flatten().unwrap_or_default();
        let mut nodes = table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(unescaped);
        if nodes.any(|node| self.is_at(&node)) {
            found.insert(Holder::Swap);
        }
    }

    /// The devices that say so themselves: device-mapper, MD, bcache, DRBD.
    fn above(&self, found: &mut BTreeSet<Holder>) {
        let holders = BlockDevice::numbered(self.root, self.major, self.minor).sys().dir("holders");
        for kernel_name in holders.entries().unwrap_or_default().into_iter().map(|entry| entry.name) {
            let dm_name = holders.dir(&kernel_name).dir("dm").read_opt("name").ok().flatten();
            found.insert(Holder::Upper { kernel_name, dm_name });
        }
    }

    /// Loop devices open their file like a process and are no holders in sysfs.
    fn loops(&self, found: &mut BTreeSet<Holder>) {
        let block = self.root.dir("/sys/block");
        for entry in block.entries().unwrap_or_default().into_iter().filter(|entry| entry.name.starts_with("loop")) {
            let backing = block.dir(&entry.name).dir("loop").read_opt("backing_file").ok().flatten().unwrap_or_default();
            if self.is_at(backing.trim_end_matches(DELETED)) {
                found.insert(Holder::Upper { kernel_name: entry.name, dm_name: None });
            }
        }
    }

    /// Processes that have the device open, and the mounts of mount namespaces other than ours.
    fn processes(&self, deadline: Deadline, found: &mut BTreeSet<Holder>) {
        let proc = self.root.dir("/proc");
        let namespace_of = |process: &Dir| process.dir("ns").read_link("mnt").ok().flatten();
        let mut namespaces = BTreeSet::from([namespace_of(&proc.dir("self"))]);
        for pid in proc.dirs().unwrap_or_default().iter().filter_map(|name| name.parse::<u32>().ok()) {
            if deadline.is_past() {
                return;
            }
            let process = proc.dir(pid.to_string());
            let comm = || process.read_opt("comm").ok().flatten().unwrap_or_default();
            let namespace = namespace_of(&process);
            if namespace.is_some() && namespaces.insert(namespace) {
                self.mounted(&process, Some(&(pid, comm())), found);
            }
            if let Some(path) = self.opened_by(&process) {
                found.insert(Holder::Process { pid, comm: comm(), path });
            }
        }
    }

    /// The path by which the process has the device open, if it has.
    fn opened_by(&self, process: &Dir) -> Option<String> {
        let own = process.dir("fd");
        let links = own.links().unwrap_or_default();
        if !links.is_empty() {
            return self.opened_in(&own, links);
        }
        // Killed, and a thread of it hangs in the kernel: what it has open is that thread's now.
        let tasks = process.dir("task");
        let threads = tasks.dirs().unwrap_or_default();
        threads.iter().map(|tid| tasks.dir(tid).dir("fd")).find_map(|fds| {
            let links = fds.links().unwrap_or_default();
            self.opened_in(&fds, links)
        })
    }

    /// The path by which one of the descriptors `links` in the directory `fds` has the device open.
    fn opened_in(&self, fds: &Dir, links: Vec<String>) -> Option<String> {
        links.into_iter().find_map(|fd| {
            let path = fds.read_link(&fd).ok().flatten()?.to_str()?.to_owned();
            // The link leads to the open file itself, which a path need not: the node may be gone, or be another's in a container.
            let is_ours = if self.root.is_fake() {
                self.is_at(&path)
            } else {
                is_below_dev(&path) && BlockDevice::of(self.root, fds.path().join(&fd)).is_ok_and(|it| self.is(&it))
            };
            is_ours.then_some(path)
        })
    }

    /// By a thread that nobody joins: a directory of configfs stays locked for as long as a removal in it hangs.
    fn backstores(&self, deadline: Deadline, found: &mut BTreeSet<Holder>) {
        let lio = Lio::new(self.root);
        let (tell, told) = channel();
        let look = move || drop(tell.send(storage::all(&lio).unwrap_or_default()));
        if std::thread::Builder::new().spawn(look).is_err() {
            return;
        }
        let all: Vec<Found> = told.recv_timeout(deadline.within(BACKSTORES).remaining()).unwrap_or_default();
        let ours = all.into_iter().filter(|backstore| self.is_at(&backstore.dev));
        found.extend(ours.map(|backstore| Holder::Backstore { name: format!("{}/{}", backstore.hba, backstore.name) }));
    }
}

fn is_below_dev(path: &str) -> bool {
    Path::new(path).starts_with("/dev")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const SOON: Duration = Duration::from_secs(20);

    fn machine() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        for (node, number) in [("dm-3", "253:3"), ("dm-4", "253:4"), ("vg1/lv", "253:3"), ("mapper/vg1-lv", "253:3")] {
            root.dir("/dev").set(node, number).unwrap();
        }
        fs::create_dir_all(root.path("/proc/self/ns")).unwrap();
        symlink("mnt:[1]", root.path("/proc/self/ns/mnt")).unwrap();
        (dir, root)
    }

    fn process(root: &Root, pid: u32, comm: &str, namespace: &str, fds: &[&str]) {
        let dir = root.dir("/proc").dir(pid.to_string());
        fs::create_dir_all(dir.path().join("ns")).unwrap();
        fs::create_dir_all(dir.path().join("fd")).unwrap();
        dir.set("comm", &format!("{comm}\n")).unwrap();
        symlink(namespace, dir.path().join("ns/mnt")).unwrap();
        for (n, target) in fds.iter().enumerate() {
            symlink(target, dir.path().join("fd").join(n.to_string())).unwrap();
        }
    }

    fn said(root: &Root) -> Vec<String> {
        holders(root, 253, 3, Deadline::after(SOON)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_machine_without_any_holder_or_anything_at_all_names_nobody() {
        let (_keep, root) = machine();
        process(&root, 7, "sh", "mnt:[1]", &["/dev/null", "/dev/dm-4", "pipe:[5]", "/srv/dev/dm-3"]);
        assert_eq!(said(&root), [""; 0]);
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(said(&Root::fake(empty.path())), [""; 0]);
    }

    #[test]
    fn every_kind_of_holder_is_named_in_a_few_words() {
        let (_keep, root) = machine();
        let mounts = "22 1 254:1 / / rw - ext4 /dev/root rw\n\
                      40 22 253:3 / /srv/x\\040y rw shared:1 - ext4 /dev/mapper/vg1-lv rw\n\
                      41 22 253:3 /sub /mnt/bind rw - ext4 /dev/mapper/vg1-lv rw\n\
                      42 22 253:4 / /mnt/other rw - ext4 /dev/dm-4 rw\n";
        root.dir("/proc/self").set("mountinfo", mounts).unwrap();
        root.dir("/proc").set("swaps", "Filename Type Size Used Priority\n/dev/dm-3 partition 1 0 -2\n").unwrap();
        root.dir("/sys/dev/block/253:3/holders/dm-7/dm").set("name", "vg1-snap\n").unwrap();
        root.dir("/sys/dev/block/253:3/holders/drbd0").set("size", "1").unwrap();
        root.dir("/sys/block/loop3/loop").set("backing_file", "/dev/dm-3\n").unwrap();
        root.dir("/sys/block/loop4/loop").set("backing_file", "/srv/image\n").unwrap();
        root.dir("/sys/kernel/config/target/core/iblock_0/disk1").set("udev_path", "/dev/vg1/lv\n").unwrap();
        root.dir("/sys/kernel/config/target/core/iblock_1/disk2").set("udev_path", "/dev/dm-4\n").unwrap();
        process(&root, 812, "dd", "mnt:[1]", &["/dev/null", "/dev/dm-3", "/dev/dm-3"]);
        process(&root, 813, "(udev-worker)", "mnt:[1]", &["/dev/dm-3"]);
        let expected = [
            "mounted on /mnt/bind",
            "mounted on /srv/x y",
            "used as swap",
            "below dm-7 (vg1-snap)",
            "below drbd0",
            "below loop3",
            "exported by lio backstore iblock_0/disk1",
            "open in process 812 (dd)",
            "open in process 813 (udev-worker)",
        ];
        assert_eq!(said(&root), expected);
    }

    #[test]
    fn a_mount_that_only_another_namespace_has_is_named_with_a_process_of_it() {
        let (_keep, root) = machine();
        let ours = "40 22 253:3 / /srv rw - ext4 /dev/dm-3 rw\n";
        root.dir("/proc/self").set("mountinfo", ours).unwrap();
        process(&root, 30, "init", "mnt:[1]", &[]);
        process(&root, 50, "podman", "mnt:[2]", &[]);
        process(&root, 51, "child", "mnt:[2]", &[]);
        let theirs = format!("{ours}41 22 253:3 / /data rw - ext4 /dev/dm-3 rw\n");
        for pid in [50, 51] {
            root.dir("/proc").dir(pid.to_string()).set("mountinfo", &theirs).unwrap();
        }
        assert_eq!(said(&root), ["mounted on /data by process 50 (podman)", "mounted on /srv"]);
    }

    #[test]
    fn a_file_system_with_a_device_number_of_its_own_is_found_by_its_source() {
        let (_keep, root) = machine();
        let mounts = "40 22 0:47 / /srv rw - btrfs /dev/mapper/vg1-lv rw\n41 22 0:48 / /proc rw - proc proc rw\nrubbish\n";
        root.dir("/proc/self").set("mountinfo", mounts).unwrap();
        assert_eq!(said(&root), ["mounted on /srv"]);
    }

    #[test]
    fn past_the_deadline_no_further_process_is_asked() {
        let (_keep, root) = machine();
        process(&root, 812, "dd", "mnt:[1]", &["/dev/dm-3"]);
        assert_eq!(holders(&root, 253, 3, Deadline::after(Duration::ZERO)), []);
        assert_eq!(said(&root), ["open in process 812 (dd)"]);
    }

    /// What each kind of holder takes on a real kernel: what makes it, what is then said (a `*` is a number), what takes it away.
    const REAL: [(&str, &str, &str); 8] = [
        ("mkfs.ext4 -q $D && mkdir -p '/run/held x' && mount $D '/run/held x'", "mounted on /run/held x", "umount '/run/held x'"),
        (
            "unshare -m sh -c 'mount $0 /mnt && exec sleep 300' $D >/dev/null 2>&1 & echo $! >/run/held.pid; sleep 2",
            "mounted on /mnt by process * (sleep)",
            "kill $(cat /run/held.pid); sleep 1",
        ),
        ("mkswap $D && swapon $D", "used as swap", "swapoff $D"),
        ("dmsetup create ocf-san-above --table \"0 2048 linear $D 0\"", "below dm-* (ocf-san-above)", "dmsetup remove ocf-san-above"),
        ("losetup /dev/loop5 $D", "below loop5", "losetup -d /dev/loop5; sleep 1"),
        (
            "modprobe -a configfs target_core_mod target_core_iblock; mkdir -p /sys/kernel/config/target/core/iblock_77/held &&
             cd /sys/kernel/config/target/core/iblock_77/held && echo udev_path=$D >control && echo $D >udev_path && echo 1 >enable",
            "exported by lio backstore iblock_77/held",
            "rmdir /sys/kernel/config/target/core/iblock_77/held /sys/kernel/config/target/core/iblock_77",
        ),
        (
            "dd if=$D of=/dev/null bs=512 count=1 iflag=direct && { sleep 300 <$D >/dev/null 2>&1 & echo $! >/run/held.pid; sleep 1; }",
            "open in process * (sleep)",
            "kill $(cat /run/held.pid); sleep 1",
        ),
        (
            "printf 'resource held { device /dev/drbd77; meta-disk internal; on %s { disk %s; address 127.0.0.1:7977; }
             on other { disk %s; address 127.0.0.2:7977; } }' $(uname -n) $D $D >/run/held.res && modprobe drbd && wipefs -qa $D &&
             drbdadm -c /run/held.res create-md --force held && drbdadm -c /run/held.res up held && sleep 1",
            "below drbd77",
            "drbdadm -c /run/held.res down held",
        ),
    ];

    #[test]
    #[ignore = "vm: writes to /dev/vdb, mounts, swaps, exports and replicates it; needs root"]
    fn on_a_real_kernel_every_kind_of_holder_is_named_and_nobody_once_it_is_gone() {
        use crate::kernel::exec::Tool;
        let root = Root::host();
        let sh = |script: &str| {
            let tool = Tool::find(&root, "sh").unwrap().env("D", "/dev/mapper/ocf-san-held");
            tool.ok(&["-c", script], Deadline::after(Duration::from_secs(60))).unwrap_or_else(|e| panic!("{script}: {e}"))
        };
        sh("dmsetup create ocf-san-held --table '0 131072 linear /dev/vdb 0'");
        let device = BlockDevice::of(&root, "/dev/mapper/ocf-san-held").unwrap();
        let said = || -> Vec<String> {
            let found = holders(&root, device.major(), device.minor(), Deadline::after(SOON));
            found.iter().map(ToString::to_string).collect()
        };
        let is_like = |text: &str, expected: &str| {
            let (head, tail) = expected.split_once('*').unwrap_or((expected, ""));
            let between = text.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
            between
                .is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()) && number.is_empty() != expected.contains('*'))
        };
        let mut wrong = Vec::new();
        for (make, expected, unmake) in REAL {
            sh(make);
            // Udev looks at a device that has just changed, and is then a holder as well.
            sh("udevadm settle");
            let found = said();
            sh(unmake);
            sh("udevadm settle");
            let after = said();
            if found.len() != 1 || !is_like(&found[0], expected) || !after.is_empty() {
                wrong.push((expected, found, after));
            }
        }
        sh("dmsetup remove --retry ocf-san-held; wipefs -qa /dev/vdb; dd if=/dev/zero of=/dev/vdb bs=1M count=64 status=none");
        assert_eq!(wrong, []);
    }
}
