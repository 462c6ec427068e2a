//! A machine with a volume group of its own: mounts, LVM's configuration and state that only this test has, and disks.
//!
//! The volume group is `san-N`, with a hyphen, which device-mapper doubles; its disks are `/dev/mapper/diskNa` and so on. Nothing of it
//! is active before the test says so. Whatever a test leaves behind is taken away after it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::call::{Call, peer};
use super::disks::{self, Area};
use super::shell::{Said, processes, sh, sh_within};

const DIR: &str = "/run/ocf-san-clvm";
/// Where the agent keeps its state, in this test's mounts.
pub const STATE: &str = "/run/resource-agents";

/// A machine to test on.
pub struct World {
    number: u32,
    /// The name of the volume group.
    pub vg: String,
    /// For files of this test.
    pub dir: PathBuf,
    area: Area,
    scsi: Vec<String>,
    home: File,
}

impl World {
    /// With disks, but no volume group.
    pub fn bare(disks: u8) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        static FIRST: Once = Once::new();
        FIRST.call_once(prepare);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("{DIR}/{number}"));
        let home = File::open("/proc/thread-self/ns/mnt").unwrap();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let world = Self { number, vg: format!("san-{number}"), dir, area: Area::take(), scsi: Vec::new(), home };
        world.mounts();
        world.conf("");
        let tables: Vec<String> =
            (0..disks).map(|n| format!("{},,,rw,{}", world.disk_name(n), world.area.table(n.into()))).collect();
        if disks > 0 {
            sh(&format!("dmsetup create --concise '{}'", tables.join(";"))).ok();
        }
        world
    }

    /// With a volume group on so many disks, and inactive linear volumes of 4 MiB of these names on the first.
    pub fn with(disks: u8, volumes: &[&str]) -> Self {
        let world = Self::bare(disks);
        world.group(volumes);
        world
    }

    /// With a volume group on a disk that can be pulled out, and volumes as above.
    pub fn on_scsi(volumes: &[&str]) -> Self {
        let mut world = Self::bare(0);
        world.plug_in();
        world.group(volumes);
        world
    }

    fn group(&self, volumes: &[&str]) {
        let (vg, all, first) = (&self.vg, self.all_disks().join(" "), &self.all_disks()[0]);
        let mut script = vec![format!("vgcreate -qy -s 1m {vg} {all}")];
        script.extend(volumes.iter().map(|volume| format!("lvcreate -qy -an -Wn -Zn -l 4 -n {volume} {vg} {first}")));
        sh(&script.join(" && ")).ok();
    }

    /// What LVM, Corosync and the agent have below /etc and /run is this test's.
    fn mounts(&self) {
        let bind = |from: &Path, to: &str| {
            fs::create_dir_all(to).unwrap();
            mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap_or_else(|e| panic!("{to}: {e}"));
        };
        let no = None::<&str>;
        mount(no, "/", no, MsFlags::MS_REC | MsFlags::MS_PRIVATE, no).unwrap();
        for (name, place) in
            [("lvm", "/etc/lvm"), ("corosync", "/etc/corosync"), ("lock", "/run/lock/lvm"), ("run", "/run/lvm"), ("state", STATE)]
        {
            let from = self.dir.join(name);
            fs::create_dir_all(&from).unwrap();
            bind(&from, place);
        }
        // LVM-activate orders the machine's shutdown, which would take longer than all the rest of it.
        let comm = self.dir.join("comm");
        fs::write(&comm, "init\n").unwrap();
        if peer() {
            mount(Some(&comm), "/proc/1/comm", no, MsFlags::MS_BIND, no).unwrap();
        }
    }

    /// Writes lvm.conf: this test's disks are all there is, and whatever else is wanted.
    pub fn conf(&self, more: &str) {
        let scsi = self.scsi.iter().map(|name| format!("\"a|^/dev/{name}$|\", ")).collect::<Vec<_>>().concat();
        let mut text = format!(
            "devices/global_filter = [ {scsi}\"a|^/dev/mapper/disk{}[a-z]$|\", \"r|.*|\" ]\n\
             devices/use_devicesfile = 0\nactivation/monitoring = 0\nglobal/thin_check_executable = \"\"\nbackup/backup = 0\nbackup/archive = 0\n{more}\n",
            self.number
        );
        if peer() {
            // Without it no mode of the peer starts anything, with it system_id does not.
            if !more.contains("system_id_source") && !more.contains("volume_list") {
                text += "activation/volume_list = [ \"@no-such-tag\" ]\n";
            }
        }
        fs::write("/etc/lvm/lvm.conf", text).unwrap();
    }

    /// One more SCSI disk.
    pub fn plug_in(&mut self) -> String {
        let disk = disks::plug_in();
        self.scsi.push(disk.clone());
        self.conf("");
        format!("/dev/{disk}")
    }

    /// Pulls all SCSI disks out.
    pub fn pull_out(&self) {
        self.scsi.iter().for_each(|disk| disks::pull_out(disk));
    }

    fn disk_name(&self, n: u8) -> String {
        format!("disk{}{}", self.number, char::from(b'a' + n))
    }

    /// A disk, by its path.
    pub fn disk(&self, n: u8) -> String {
        format!("/dev/mapper/{}", self.disk_name(n))
    }

    fn all_disks(&self) -> Vec<String> {
        let slices = (0..4).map(|n| self.disk(n)).filter(|path| fs::exists(path).unwrap());
        slices.chain(self.scsi.iter().map(|name| format!("/dev/{name}"))).collect()
    }

    /// Its name for device-mapper.
    pub fn dm(&self, volume: &str) -> String {
        format!("{}-{}", self.vg.replace('-', "--"), volume.replace('-', "--"))
    }

    /// An LVM command, in which `VG` stands for the volume group. It must succeed.
    #[track_caller]
    pub fn lvm(&self, command: &str) -> String {
        self.try_lvm(command).ok()
    }

    pub fn try_lvm(&self, command: &str) -> Said {
        sh_within(120, &format!("lvm {}", command.replace("VG", &self.vg)))
    }

    /// Makes volumes active behind the agent's back, whatever lvm.conf says of volumes.
    #[track_caller]
    pub fn activate(&self, volumes: &[&str]) {
        let names = volumes.iter().map(|volume| format!("VG/{volume}")).collect::<Vec<_>>().join(" ");
        self.lvm(&format!("lvchange -qy -ay -K --config 'activation/volume_list=[\"VG\"]' {names}"));
    }

    /// The metadata changes, and device-mapper does not hear of it.
    #[track_caller]
    pub fn behind_its_back(&self, command: &str) {
        let (verb, rest) = command.split_once(' ').unwrap();
        self.lvm(&format!("{verb} -y --driverloaded n {rest}"));
    }

    /// The device-mapper devices of the volume group, by name, sorted.
    pub fn active(&self) -> Vec<String> {
        let prefix = format!("{}-", self.vg.replace('-', "--"));
        let said = sh("dmsetup ls").ok();
        let names = said.lines().filter_map(|line| line.split_whitespace().next());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Exactly these volumes are active.
    #[track_caller]
    pub fn has(&self, volumes: &[&str]) {
        let mut expected: Vec<String> = volumes.iter().map(|volume| self.dm(volume)).collect();
        expected.sort();
        assert_eq!(self.active(), expected);
    }

    /// Of a device by its name: no I/O is answered from here on.
    pub fn suspend(&self, device: &str) {
        let _ = self;
        sh(&format!("dmsetup suspend --noflush --nolockfs --noudevsync {device}")).ok();
    }

    pub fn resume(&self, device: &str) {
        let _ = self;
        sh(&format!("dmsetup resume --noudevsync {device}")).ok();
    }

    /// No I/O of this disk is answered from here on.
    pub fn hang(&self, n: u8) {
        self.suspend(&self.disk_name(n));
    }

    pub fn unhang(&self, n: u8) {
        self.resume(&self.disk_name(n));
    }

    /// Every I/O of this disk fails from here on.
    pub fn fail(&self, n: u8) {
        let name = self.disk_name(n);
        sh(&format!(
            "dmsetup load {name} --table '0 65536 error' && dmsetup suspend --noflush --nolockfs {name} && dmsetup resume {name}"
        ))
        .ok();
    }

    /// One tag or system id, or whatever else `vgs` knows.
    #[track_caller]
    pub fn vgs(&self, field: &str) -> String {
        self.lvm(&format!("vgs --foreign --noheadings -o {field} VG")).trim().to_owned()
    }

    /// A machine without the package lvm2, by a layer over the directory that only this test sees.
    pub fn hide_lvm(&self) {
        let layer = self.dir.join("layer");
        let overlay = format!("mount -t overlay none -o lowerdir={0}:/usr/sbin /usr/sbin", layer.display());
        sh(&format!("mkdir {0} && mknod {0}/lvm c 0 0 && {overlay}", layer.display())).ok();
        assert_ne!(sh("lvm version").code, 0);
    }

    /// A call for the whole volume group: ours as it is by itself, the peer's in its mode of the fewest demands.
    pub fn call(&self, action: &str) -> Call {
        let call = Call::new(action, &self.dir).set("vgname", &self.vg);
        if peer() { call.set("vg_access_mode", "tagging") } else { call }
    }

    #[track_caller]
    pub fn start(&self) {
        self.call("start").run().is(0);
    }

    #[track_caller]
    pub fn stop(&self) {
        self.call("stop").run().is(0);
    }

    /// All that an agent could leave behind: devices, tags and owner of the volume group, files, processes.
    pub fn traces(&self) -> Vec<String> {
        let mut all = self.active();
        all.push(self.try_lvm("vgs --foreign --noheadings -o vg_tags,systemid VG").text);
        all.push(sh(&format!("find {STATE} /var/log/ocf-san -type f -not -name '*.lock' 2>/dev/null")).text);
        all.extend(processes().into_iter().map(|(pid, name)| format!("{pid} {name}")));
        all
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.join("ha.log")).unwrap_or_default();
            eprintln!("--- {}\n{log}--- device-mapper\n{}", self.vg, sh_within(10, "dmsetup info -c; dmsetup table").text);
        }
        let (prefix, number) = (self.vg.replace('-', "--"), self.number);
        let pids: Vec<String> = processes().into_iter().map(|(pid, _)| pid.to_string()).collect();
        // What is above goes before what is below; what is in the way is made to fail first.
        sh_within(
            40,
            &format!(
                "all() {{ dmsetup ls | awk '{{ print $1 }}' | grep -E '^({prefix}-|disk{number}[a-z]$|top{number}$)'; }}
                 for name in $(all); do
                     [[ $(dmsetup info -c --noheadings -o suspended $name) != Suspended ]] || dmsetup resume --noudevsync $name
                 done
                 [ -z '{pids}' ] || kill -9 {pids} 2>/dev/null
                 umount {dir}/mnt 2>/dev/null
                 for round in 1 2 3 4 5 6; do
                     names=$(all) || break
                     for name in $names; do dmsetup remove --noudevsync $name 2>/dev/null; done
                     [ $round -lt 3 ] || sleep 0.5
                 done",
                dir = self.dir.display(),
                pids = pids.join(" "),
            ),
        );
        for disk in &self.scsi {
            let _ = fs::write(format!("/sys/block/{disk}/device/delete"), "1");
        }
        let _ = setns(&self.home, CloneFlags::CLONE_NEWNS);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Once for all tests: nobody but the tests activates anything, and udev does not look at the disks, of which some hang.
fn prepare() {
    sh(&format!(
        "all() {{ dmsetup ls | awk '{{ print $1 }}' | grep -E '^(san--|disk[0-9]|top[0-9])'; }}
         for name in $(all); do dmsetup resume --noudevsync $name; done
         for round in 1 2 3 4 5 6; do for name in $(all); do dmsetup remove --noudevsync $name 2>/dev/null; done; done
         rm -rf {DIR}; mkdir -p {DIR} /etc/corosync {STATE}
         for rules in 60-block 69-lvm; do ln -sf /dev/null /etc/udev/rules.d/$rules.rules; done
         echo 'ENV{{DM_NAME}}==\"disk[0-9]*\", ENV{{DM_UDEV_DISABLE_DISK_RULES_FLAG}}=\"1\", ENV{{DM_UDEV_DISABLE_OTHER_RULES_FLAG}}=\"1\"' >/etc/udev/rules.d/57-vm.rules
         udevadm control --reload
         modprobe -a dm_mod dm_raid dm_thin_pool dm_snapshot"
    ))
    .ok();
}
