//! A machine with one DRBD resource, "near", which the agent is called for, and its other end, "far", which the tests command by hand.
//!
//! Configuration, records, run-time state and Pacemaker's tools are the test's own. Of the kernel there is one for all: so whoever stops
//! all of DRBD for a while is `alone`. Whatever a test leaves behind is taken away after it.

mod events;
mod setup;

pub use events::counting;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use nix::sched::{CloneFlags, setns, unshare};

use super::call::Call;
use super::shell::{Said, processes, sh, sh_within};
use super::slices::{self, Area, MetaData};

const DIR: &str = "/run/ocf-san-drbd";
/// Where the agents keep their state, in this test's mounts.
const STATE: &str = "/run/resource-agents";
/// The agents' lasting records of a resource.
const RECORDS: &str = "/var/lib/ocf-san";

static TURN: RwLock<()> = RwLock::new(());

/// That others may run, or that nobody may.
#[expect(dead_code, reason = "held, not read")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// Which end of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Near,
    Far,
}

/// A machine to test on.
pub struct World {
    number: u32,
    /// The name of the resource.
    pub resource: String,
    /// The minor of its first volume; the others follow.
    pub minor: u32,
    /// For files of this test.
    pub dir: PathBuf,
    volumes: u32,
    area: Area,
    home: File,
    _turn: Turn,
}

impl World {
    /// Configured, with disks in sync and meta-data on them; the kernel does not know it.
    pub fn down(volumes: u32) -> Self {
        Self::new(volumes, None, Turn::Shared(TURN.read().unwrap_or_else(PoisonError::into_inner)), MetaData::InSync)
    }

    /// The same while no other test runs.
    pub fn alone(volumes: u32) -> Self {
        Self::new(volumes, None, Turn::Alone(TURN.write().unwrap_or_else(PoisonError::into_inner)), MetaData::InSync)
    }

    /// With disks that have never been in use.
    pub fn fresh() -> Self {
        Self::new(1, None, Turn::Shared(TURN.read().unwrap_or_else(PoisonError::into_inner)), MetaData::Fresh)
    }

    /// The near one with this minor.
    pub fn on_minor(minor: u32) -> Self {
        Self::new(1, Some(minor), Turn::Shared(TURN.read().unwrap_or_else(PoisonError::into_inner)), MetaData::InSync)
    }

    /// Both ends up and connected, both Secondary and up to date.
    pub fn connected(volumes: u32) -> Self {
        Self::down(volumes).both_up()
    }

    fn new(volumes: u32, minor: Option<u32>, turn: Turn, meta_data: MetaData) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        static FIRST: Once = Once::new();
        FIRST.call_once(prepare);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("{DIR}/{number}"));
        let home = File::open("/proc/thread-self/ns/mnt").unwrap();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let minor = minor.unwrap_or(1000 + number * 10);
        let world = Self { number, resource: format!("r{number}"), minor, dir, volumes, area: Area::take(), home, _turn: turn };
        let tables: Vec<String> = (0..volumes * 2)
            .map(|n| {
                world.area.lay(n.into(), meta_data);
                format!("{},,,rw,{}", world.slice(n), world.area.table(n.into()))
            })
            .collect();
        sh(&format!("dmsetup create --concise '{}'", tables.join(";"))).ok();
        world.mounts();
        world.configure("", "");
        world
    }

    /// The near end's configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join(format!("drbd.d/{}.res", self.resource))
    }

    /// A resource's name.
    pub fn name(&self, end: End) -> String {
        if end == End::Near { self.resource.clone() } else { format!("{}-far", self.resource) }
    }

    fn minor_of(&self, end: End, volume: u32) -> u32 {
        // A near minor that a test has chosen is not followed by a far one that may be taken.
        if end == End::Near { self.minor + volume } else { 1005 + self.number * 10 + volume }
    }

    fn slice(&self, n: u32) -> String {
        format!("drbdvm{}{}", self.number, char::from(b'a' + u8::try_from(n).unwrap()))
    }

    fn slice_of(&self, end: End, volume: u32) -> String {
        self.slice(volume * 2 + u32::from(end == End::Far))
    }

    /// The disk below a volume.
    pub fn disk(&self, end: End, volume: u32) -> String {
        format!("/dev/mapper/{}", self.slice_of(end, volume))
    }

    /// The near end's device.
    pub fn device(&self) -> String {
        format!("/dev/drbd{}", self.minor)
    }

    /// `drbdadm` with this command, which must succeed.
    #[track_caller]
    pub fn admin(&self, end: End, command: &str) -> String {
        self.try_admin(end, command).ok()
    }

    pub fn try_admin(&self, end: End, command: &str) -> Said {
        let far = format!("-c {}/far.conf", self.dir.display());
        sh(&format!("drbdadm {} {command} {}", if end == End::Near { "" } else { &far }, self.name(end)))
    }

    fn both_up(self) -> Self {
        self.admin(End::Near, "up");
        self.admin(End::Far, "up");
        self.settles("Connected", "UpToDate/UpToDate");
        self
    }

    pub fn call(&self, action: &str) -> Call {
        Call::new(action, &self.resource, &self.dir)
    }

    #[track_caller]
    pub fn start(&self) {
        self.call("start").run().is(0);
    }

    #[track_caller]
    pub fn stop(&self) {
        self.call("stop").run().is(0);
    }

    /// `ocf-san drbd …`.
    pub fn operator(&self, command: &str) -> Said {
        sh(&format!("/usr/sbin/ocf-san drbd {}", command.replace("RES", &self.resource)))
    }

    /// What ours has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("ha.log")).unwrap_or_default()
    }

    /// The text of one of the agent's lasting records.
    pub fn record(&self, file: &str) -> Option<String> {
        fs::read_to_string(format!("{RECORDS}/drbd/{}/{file}", self.resource)).ok()
    }

    /// All that an agent could leave behind: the kernel's resource, files, processes.
    pub fn traces(&self) -> Vec<String> {
        let mut all = vec![format!("{:?}", self.sees(End::Near))];
        all.push(sh(&format!("find {STATE} {RECORDS} -type f -not -name '*.lock' 2>/dev/null")).text);
        all.extend(processes().into_iter().map(|(pid, name)| format!("{pid} {name}")));
        all
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let calls = self.crm_calls().join("\n");
            let kernel = sh_within(10, "cat /proc/drbd; dmesg | tail -n 20").text;
            eprintln!("--- {}\n{}--- crm\n{calls}\n--- kernel\n{kernel}", self.resource, self.log());
        }
        let pids: Vec<String> = processes().into_iter().map(|(pid, _)| pid.to_string()).collect();
        let _ = setns(&self.home, CloneFlags::CLONE_NEWNS);
        let minors: Vec<String> =
            (0..self.volumes).flat_map(|n| [End::Near, End::Far].map(|end| self.minor_of(end, n).to_string())).collect();
        // What is frozen is thawed before it is taken down, and what is in the way fails first.
        sh_within(
            60,
            &format!(
                "[ -z '{pids}' ] || kill -9 {pids} 2>/dev/null
                 kill -9 $(cat {dir}/pids 2>/dev/null) 2>/dev/null
                 rm -f {DIR}/handlers/{near} {DIR}/handlers/{far}
                 for minor in {minors}; do rm -f {DIR}/handlers/minor-$minor; done
                 for name in $(dmsetup ls | awk '{{ print $1 }}' | grep '^\\(over\\|drbdvm\\){number}\\([a-z]\\|$\\)'); do
                     [[ $(dmsetup info -c --noheadings -o suspended $name) != Suspended ]] || dmsetup resume --noudevsync $name
                 done
                 umount {dir}/mnt 2>/dev/null
                 dmsetup remove over{number} 2>/dev/null
                 for round in 1 2 3 4 5; do
                     grep -qE '^ *({either}): ' /proc/drbd 2>/dev/null || break
                     for minor in {minors}; do
                         ! grep -q \"^ *$minor: .* s\" /proc/drbd || drbdsetup resume-io $minor
                     done
                     drbdsetup down {near}; drbdsetup down {far}
                 done
                 for name in $(dmsetup ls | awk '{{ print $1 }}' | grep '^drbdvm{number}[a-z]'); do dmsetup remove $name; done",
                pids = pids.join(" "),
                dir = self.dir.display(),
                near = self.name(End::Near),
                far = self.name(End::Far),
                minors = minors.join(" "),
                either = minors.join("|"),
                number = self.number,
            ),
        );
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Once for all tests: a kernel that calls the tests' handlers, and no resource of a run before.
fn prepare() {
    sh(&format!(
        "for name in $(drbdsetup status 2>/dev/null | awk '/^[^ #]/ {{ print $1 }}'); do drbdsetup down $name; done
         for name in $(dmsetup ls | awk '{{ print $1 }}' | grep '^\\(over\\|drbdvm\\)'); do
             dmsetup resume --noudevsync $name; dmsetup remove $name
         done
         rm -rf {DIR}; mkdir -p {DIR}/handlers {STATE} {RECORDS} /run/ocf-san /var/lib/drbd
         ln -sf /dev/null /etc/udev/rules.d/60-block.rules
         udevadm control --reload
         modprobe drbd && printf '#!/bin/sh\\n[ ! -x {DIR}/handlers/$2 ] || exec {DIR}/handlers/$2 \"$@\"\\nexit 0\\n' >{DIR}/umh &&
         chmod 755 {DIR}/umh && printf %s {DIR}/umh >/sys/module/drbd/parameters/usermode_helper"
    ))
    .ok();
    slices::prepare(DIR);
}
