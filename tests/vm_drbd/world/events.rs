//! What happens to the resource, and what there is to see of it.

use crate::script;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{DIR, End, World};
use crate::call::peer;
use crate::kernel::{Minor, minor};
use crate::shell::{sh, until};
use crate::slices::{self, MetaData};

/// Held by a test that counts how often a score is written: a process that is called like Pacemaker's attribute manager is there for all
/// tests, and when it goes each of them writes once more.
pub fn counting() -> MutexGuard<'static, ()> {
    static MANAGER: Mutex<()> = Mutex::new(());
    MANAGER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// What the kernel says of one end's first volume.
    pub fn sees(&self, end: End) -> Option<Minor> {
        minor(self.minor_of(end, 0))
    }

    /// The near end's connection and disks become these.
    #[track_caller]
    pub fn settles(&self, cs: &str, ds: &str) {
        self.end_settles(End::Near, cs, ds);
    }

    #[track_caller]
    pub fn end_settles(&self, end: End, cs: &str, ds: &str) {
        let fits = || self.sees(end).is_some_and(|minor| minor.cs == cs && minor.ds == ds);
        until(&format!("{end:?} is {cs} with {ds}"), 40, fits);
    }

    /// The near end's own role, or nothing.
    pub fn role(&self) -> String {
        self.sees(End::Near).map_or_else(String::new, |minor| minor.ro.split('/').next().unwrap_or_default().to_owned())
    }

    /// Writes so many blocks of 4 KiB to an end that is Primary for that while.
    #[track_caller]
    pub fn write(&self, end: End, blocks: u32) {
        let device = format!("/dev/drbd{}", self.minor_of(end, 0));
        let was = self.sees(end).unwrap().ro.starts_with("Primary/");
        if !was {
            self.admin(end, "primary");
        }
        sh(&format!("dd if=/dev/urandom of={device} bs=4k count={blocks} oflag=direct conv=notrunc 2>&1")).ok();
        if !was {
            self.admin(end, "secondary");
        }
    }

    /// Both sides are written to without each other, and meet again.
    pub fn split_brain(&self) {
        self.diverge();
        let _ = self.try_admin(End::Far, "connect");
        let _ = self.try_admin(End::Near, "connect");
        until("they part again", 40, || {
            let alone = |end| self.sees(end).is_some_and(|minor| minor.cs == "StandAlone");
            let waits = |end| self.sees(end).is_some_and(|minor| minor.cs == "StandAlone" || minor.cs == "WFConnection");
            (alone(End::Near) || alone(End::Far)) && waits(End::Near) && waits(End::Far)
        });
    }

    /// Both sides are written to without each other, and do not meet.
    pub fn diverge(&self) {
        self.admin(End::Near, "disconnect");
        self.admin(End::Far, "disconnect");
        self.write(End::Near, 8);
        self.write(End::Far, 4);
    }

    /// What the kernel runs when this end calls a handler, as a shell script; its argument is the name of the handler.
    pub fn handler(&self, end: End, script: &str) {
        let mut names: Vec<String> = (0..self.volumes).map(|n| format!("minor-{}", self.minor_of(end, n))).collect();
        names.push(self.name(end));
        for name in names {
            let path = format!("{DIR}/handlers/{name}");
            let dir = self.dir.display();
            script::write(&path, &format!("#!/bin/bash\necho \"$1\" >>{dir}/handlers.log\necho $$ >>{dir}/pids\n{script}\n"));
        }
    }

    /// The handlers that were called so far.
    pub fn handled(&self) -> Vec<String> {
        fs::read_to_string(self.dir.join("handlers.log")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// The promotion score that the cluster would know.
    pub fn score(&self) -> Option<String> {
        fs::read_to_string(self.dir.join("score")).ok().map(|text| text.trim().to_owned())
    }

    /// One score from ours, another from the peer; empty is none.
    #[track_caller]
    pub fn scored(&self, ours: &str, peers: &str) {
        let expected = if peer() { peers } else { ours };
        assert_eq!(self.score().unwrap_or_default(), expected, "{}", self.crm_calls().join("\n"));
    }

    /// How Pacemaker's tools were called so far.
    pub fn crm_calls(&self) -> Vec<String> {
        fs::read_to_string(self.dir.join("crm.log")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// A process named sleep has the near device open from here on.
    pub fn hold(&self) {
        let (device, dir) = (self.device(), self.dir.display());
        sh(&format!("(exec sleep 600) <{device} >/dev/null 2>&1 & echo $! >{dir}/holder")).ok();
    }

    pub fn let_go(&self) {
        sh(&format!("kill -9 $(cat {}/holder); sleep 0.2", self.dir.display())).ok();
    }

    /// Takes the meta-data of the near disk away.
    pub fn wipe(&self) {
        self.area.lay(0, MetaData::None);
    }

    /// No I/O of the near disk is answered from here on.
    pub fn hang(&self) {
        sh(&format!("dmsetup suspend --noflush --nolockfs --noudevsync {}", self.slice_of(End::Near, 0))).ok();
    }

    pub fn unhang(&self) {
        sh(&format!("dmsetup resume --noudevsync {}", self.slice_of(End::Near, 0))).ok();
    }

    /// Every I/O of the near disk fails from here on.
    pub fn fail_disk(&self) {
        let name = self.slice_of(End::Near, 0);
        sh(&format!(
            "dmsetup load {name} --table '0 {} error' && dmsetup suspend --noflush --nolockfs {name} && dmsetup resume {name}",
            slices::SLICE
        ))
        .ok();
    }
}
