//! Disks to make physical volumes of: slices of /dev/vdb that can be suspended and made to fail, and SCSI disks that can be pulled out.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use super::shell::{sh, until};

/// How many tests can have slices at a time, and how large these are, in sectors.
const AREAS: usize = 12;
const SLICE: u64 = 65_536;
const SLICES: u64 = 4;

static TAKEN: Mutex<[bool; AREAS]> = Mutex::new([false; AREAS]);
static SCSI: Mutex<()> = Mutex::new(());

/// A part of /dev/vdb that is one test's.
#[derive(Debug)]
pub struct Area(usize);

impl Area {
    /// One that no other test has, with nothing on it that LVM would know.
    pub fn take() -> Self {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.iter().position(|taken| !taken).expect("more tests at a time than areas");
        taken[free] = true;
        let area = Self(free);
        let disk = File::options().write(true).open("/dev/vdb").unwrap();
        for slice in 0..SLICES {
            disk.write_all_at(&vec![0; 1 << 20], area.begin(slice) * 512).unwrap();
        }
        disk.sync_all().unwrap();
        area
    }

    fn begin(&self, slice: u64) -> u64 {
        2048 + (self.0 as u64 * SLICES + slice) * SLICE
    }

    /// The table of a slice.
    pub fn table(&self, slice: u64) -> String {
        format!("0 {SLICE} linear /dev/vdb {}", self.begin(slice))
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner)[self.0] = false;
    }
}

/// A new SCSI disk of 16 MiB with a store of its own, by its name, such as `sda`.
pub fn plug_in() -> String {
    let _one_at_a_time = SCSI.lock().unwrap_or_else(PoisonError::into_inner);
    let disks = || -> Vec<String> {
        let names = fs::read_dir("/sys/block").unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("sd")).collect()
    };
    sh("[ -d /sys/bus/pseudo/drivers/scsi_debug ] || modprobe scsi_debug add_host=0 per_host_store=1 dev_size_mb=16").ok();
    let before = disks();
    fs::write("/sys/bus/pseudo/drivers/scsi_debug/add_host", "1").unwrap();
    let mut new = None;
    until("a SCSI disk appears", 20, || {
        new = disks().into_iter().find(|name| !before.contains(name) && fs::exists(format!("/dev/{name}")).unwrap());
        new.is_some()
    });
    // LVM knows a disk by the names that udev has for it.
    sh("udevadm settle --timeout 20").ok();
    new.unwrap()
}

/// Pulls it out.
pub fn pull_out(disk: &str) {
    let _one_at_a_time = SCSI.lock().unwrap_or_else(PoisonError::into_inner);
    fs::write(format!("/sys/block/{disk}/device/delete"), "1").unwrap();
    // Or what udev still has to say of it is taken for news of the next disk of that name.
    sh("udevadm settle --timeout 20").ok();
}
