//! Disks to replicate: slices of a RAM disk, as device-mapper devices that can be made to hang and to fail, with DRBD's meta-data on them
//! from a copy, because to write that anew takes a second for each.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::shell::sh;

/// How many tests can have slices at a time, how many each has, and how large one is, in sectors.
const AREAS: usize = 8;
const SLICES: u64 = 4;
pub const SLICE: u64 = 32_768;
/// More than internal meta-data of a slice takes, at its end, in bytes.
const META_DATA: u64 = 131_072;
const RAM: &str = "/dev/ram0";

static TAKEN: Mutex<[bool; AREAS]> = Mutex::new([false; AREAS]);
static TEMPLATES: OnceLock<Templates> = OnceLock::new();

/// The end of a slice.
struct Templates {
    /// As `drbdadm create-md` makes it: never connected, never written to.
    fresh: Vec<u8>,
    /// In use and in sync with every other slice that has it.
    in_sync: Vec<u8>,
}

/// What the meta-data of a slice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaData {
    /// There is none.
    None,
    /// Just made.
    Fresh,
    /// Equal to all others of this kind.
    InSync,
}

/// A part of the RAM disk that is one test's.
#[derive(Debug)]
pub struct Area(usize);

impl Area {
    /// One that no other test has.
    pub fn take() -> Self {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.iter().position(|taken| !taken).expect("more tests at a time than areas");
        taken[free] = true;
        Self(free)
    }

    fn begin(&self, slice: u64) -> u64 {
        2048 + (self.0 as u64 * SLICES + slice) * SLICE
    }

    /// The table of a slice.
    pub fn table(&self, slice: u64) -> String {
        format!("0 {SLICE} linear {RAM} {}", self.begin(slice))
    }

    /// Writes meta-data to a slice that nobody uses.
    pub fn lay(&self, slice: u64, meta_data: MetaData) {
        let templates = TEMPLATES.get_or_init(|| panic!("prepare() comes first"));
        let none = vec![0; usize::try_from(META_DATA).unwrap()];
        let text = match meta_data {
            MetaData::None => &none,
            MetaData::Fresh => &templates.fresh,
            MetaData::InSync => &templates.in_sync,
        };
        let disk = File::options().write(true).open(RAM).unwrap();
        disk.write_all_at(text, end(self.begin(slice))).unwrap();
        disk.sync_all().unwrap();
    }
}

/// Where the meta-data of a slice that begins at this sector is, in bytes.
fn end(begin: u64) -> u64 {
    (begin + SLICE) * 512 - META_DATA
}

impl Drop for Area {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner)[self.0] = false;
    }
}

/// Makes the RAM disk and the copies of meta-data, with two resources as below `dir`. Once, before all tests.
pub fn prepare(dir: &str) {
    let area = Area::take();
    let megabytes = (2048 + AREAS as u64 * SLICES * SLICE) / 2048 + 1;
    let script = |rest: &str| sh(&format!("near='drbdadm -c {dir}/near.conf'; far='drbdadm -c {dir}/far.conf'; {rest}")).ok();
    script(&format!("modprobe drbd && {{ [ -b {RAM} ] || modprobe brd rd_nr=1 rd_size={}; }}", megabytes * 1024));
    for (name, other, minor, slice) in [("near", "far", 900, 0), ("far", "near", 901, 1)] {
        let port = |of: &str| if of == "near" { 6998 } else { 6999 };
        sh(&format!("dmsetup create drbdvm-{name} --table '{}'", area.table(slice))).ok();
        let text = format!(
            "global {{ usage-count no; }}\nresource prepare-{name} {{\n\
             on solo {{ device minor {minor}; disk /dev/mapper/drbdvm-{name}; address 127.0.0.1:{}; meta-disk internal; }}\n\
             on other {{ device minor {minor}; disk /dev/null; address 127.0.0.1:{}; meta-disk internal; }} }}\n",
            port(name),
            port(other),
        );
        std::fs::write(format!("{dir}/{name}.conf"), text).unwrap();
    }
    // Not from the page cache, which knows nothing of what DRBD has written below it.
    let copy = || {
        let skip = end(area.begin(0)) / META_DATA;
        sh(&format!("dd if={RAM} of={dir}/copy iflag=direct bs={META_DATA} skip={skip} count=1 status=none")).ok();
        std::fs::read(format!("{dir}/copy")).unwrap()
    };
    script("$near create-md --force prepare-near && $far create-md --force prepare-far");
    let fresh = copy();
    script(
        "$near up prepare-near && $far up prepare-far && $near wait-connect prepare-near && sleep 1 &&
         $near -- --clear-bitmap new-current-uuid prepare-near && $far down prepare-far && $near down prepare-near &&
         $near apply-al prepare-near",
    );
    let in_sync = copy();
    sh("dmsetup remove drbdvm-near && dmsetup remove drbdvm-far").ok();
    assert!(TEMPLATES.set(Templates { fresh, in_sync }).is_ok());
}
