//! Start: everything is built unseen, looked at again, and shown last.

use std::sync::Arc;

use super::check::{self, Expect};
use super::own::{Record, assign_hbas, is_same};
use super::params::Reservations;
use crate::agents::jobs::{Job, Wave};
use crate::deadline::Deadline;
use crate::kernel::block::BlockDevice;
use crate::kernel::error::KernelError;
use crate::kernel::lio::config::Config;
use crate::kernel::lio::inventory::Inventory;
use crate::kernel::lio::reservations::{self, Store};
use crate::kernel::lio::{Lio, fabric, storage, tpg};
use crate::kernel::lock::Lock;
use crate::kernel::{lio, task};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::{Context, State};

/// The lock under which rtslib picks HBA numbers (rtslib/tcm.py).
const RTSLIB_LOCK: &str = "rtslib_backstore.lock";

/// Making objects is work for the CPU below a few locks of configfs: more than a handful of threads was never faster (docs/bench-lio.md).
const WIDTH: usize = 4;

/// Builds and shows the configuration. What was made is in the record from before it is made.
///
/// # Errors
/// The first thing that failed. The caller takes away what the record says.
pub fn build(cx: &Context, lio: &Lio, mut config: Config, reservations: Reservations) -> Result<(), OcfError> {
    // rtslib picks HBA numbers under this lock, and other starts of ours relative ports too.
    let lock = Lock::take(&cx.root.dir("/run"), RTSLIB_LOCK, || (cx.progress)("wait for rtslib's lock"))?;
    settle_ports(lio, &mut config)?;
    let config = Arc::new(config);
    let deadline = cx.deadline.share(0.7);
    let (record, shared) = make_backstores(cx, lio, &config, deadline)?;
    let own = &record.inventory;
    (cx.progress)("give back persistent reservations");
    give_back_reservations(lio, &config, own, &shared, reservations)?;
    if let Some(chap) = &config.discovery {
        fabric::set_discovery(lio, chap)?;
    }
    (cx.progress)("make targets");
    run(per_target(lio, &config), deadline)?;
    drop(lock);
    (cx.progress)("make LUNs");
    run(per_lun(lio, &config, own), deadline)?;
    (cx.progress)("make ACLs");
    run(per_acl(lio, &config), deadline)?;
    (cx.progress)("make portals");
    run(per_portal(lio, &config), deadline)?;
    (cx.progress)("verify");
    for (entry, so) in own.backstores.iter().zip(&config.backstores) {
        storage::verify(lio, &entry.hba, so)?;
    }
    match check::state(lio, own, Expect::Built)? {
        State::Running => {}
        other => {
            let why = other.answer().1.unwrap_or("nothing is there").to_owned();
            return Err(OcfError::new(Code::Generic, format_args!("after building: {why}")));
        }
    }
    (cx.progress)("enable");
    let enabled = own.tpgs().filter(|(_, group)| group.enable).map(|(iqn, group)| (iqn.to_owned(), lio.tpg(iqn, group.tag)));
    run(enabled.map(|(iqn, dir)| Job::new(format!("enable {iqn}"), move || tpg::set_enabled(&dir, true))).collect(), deadline)
}

/// Moves relative ports that somebody else has to free ones: two of one number can not both be enabled.
fn settle_ports(lio: &Lio, config: &mut Config) -> Result<(), OcfError> {
    let mut taken = tpg::taken_rtpis(lio)?;
    let wanted: Vec<u16> = config.targets.iter().flat_map(|t| &t.tpgs).map(|g| g.rtpi).collect();
    for group in config.targets.iter_mut().flat_map(|t| &mut t.tpgs).filter(|g| g.rtpi > 0) {
        if taken.contains(&group.rtpi) {
            let free = (1..u16::MAX).find(|n| !taken.contains(n) && !wanted.contains(n)).unwrap_or(group.rtpi);
            tracing::warn!(
                "relative port {} is taken, {free} instead: initiators may see another one on another node",
                group.rtpi
            );
            group.rtpi = free;
        }
        taken.push(group.rtpi);
    }
    Ok(())
}

/// Gives persistent reservations back that the kernel saved, where they can be trusted.
fn give_back_reservations(
    lio: &Lio,
    config: &Config,
    own: &Inventory,
    shared: &[String],
    wanted: Reservations,
) -> Result<(), OcfError> {
    if wanted == Reservations::Drop {
        return Ok(());
    }
    let Some(store) = Store::find(lio)? else { return Ok(()) };
    if let Some(other) = store.elsewhere(lio).filter(|_| wanted == Reservations::Auto) {
        tracing::warn!(
            "reservations saved at {} are not given back: the dbroot of this kernel is another; set the same one on both nodes, before \
             anything is exported",
            other.display()
        );
    }
    // What somebody exports already has its reservations.
    for (so, made) in config.backstores.iter().zip(&own.backstores).filter(|(_, made)| !shared.contains(&made.hba)) {
        let saved = so.wwn.as_ref().map_or(Ok(Vec::new()), |serial| store.registrations(serial))?;
        if saved.is_empty() {
            continue;
        }
        if wanted == Reservations::Auto && !store.follows {
            tracing::warn!(
                "backstore {}: saved reservations are not given back: pr is local to this node and may be stale",
                so.name
            );
            continue;
        }
        let dir = lio.storage_object(&made.hba, &made.name);
        saved.iter().try_for_each(|registration| reservations::give_back(&dir, registration))?;
        tracing::info!("backstore {}: {} reservations or registrations given back", so.name, saved.len());
    }
    Ok(())
}

/// Picks HBA numbers, writes the record, makes the backstores; also tells which HBAs are shared with another resource. The caller has
/// rtslib's lock, because targetcli may be picking numbers too.
fn make_backstores(cx: &Context, lio: &Lio, config: &Arc<Config>, deadline: Deadline) -> Result<(Record, Vec<String>), OcfError> {
    let mut inventory = Inventory::planned(config);
    let found = storage::all(lio)?;
    let mut taken = storage::taken_numbers(lio)?;
    let mut shared = Vec::new();
    let mut jobs = Vec::new();
    for (index, so) in config.backstores.iter().enumerate() {
        let entry = &mut inventory.backstores[index];
        entry.number = so.kind.dev().and_then(|d| BlockDevice::of(cx.root, d).ok()).map(|d| (d.major(), d.minor()));
        if let Some(there) = found.iter().find(|f| is_same(f, so)) {
            // Another resource exports it too: what is left after half-built things were removed.
            entry.hba.clone_from(&there.hba);
            shared.push(there.hba.clone());
            continue;
        }
        let number = (0..u32::MAX).find(|n| !taken.contains(n)).unwrap_or(u32::MAX);
        taken.push(number);
        entry.hba = format!("{}_{number}", so.kind.hba());
        let (lio, hba, config) = (lio.clone(), entry.hba.clone(), Arc::clone(config));
        jobs.push(Job::new(format!("make backstore {}", so.name), move || {
            storage::create(&lio, &hba, &config.backstores[index])
        }));
    }
    assign_hbas(&mut inventory, config);
    let since = task::now_in_ticks().unwrap_or(0);
    let record = Record { inventory, discovery: config.discovery.is_some(), since, is_adopted: false };
    record.save(cx)?;
    (cx.progress)("make backstores");
    run(jobs, deadline)?;
    Ok((record, shared))
}

fn per_target(lio: &Lio, config: &Arc<Config>) -> Vec<Job> {
    let job = |index: usize, target: &lio::config::Target| {
        let (lio, config) = (lio.clone(), Arc::clone(config));
        Job::new(format!("make {}", target.iqn), move || tpg::create_target(&lio, &config.targets[index]))
    };
    config.targets.iter().enumerate().map(|(index, target)| job(index, target)).collect()
}

fn per_portal(lio: &Lio, config: &Config) -> Vec<Job> {
    let mut jobs = Vec::new();
    for target in &config.targets {
        for group in &target.tpgs {
            let dir = lio.tpg(target.iqn.as_str(), group.tag);
            for portal in &group.portals {
                let (dir, portal) = (dir.clone(), portal.clone());
                let label = format!("listen on {} for {}", portal.address, target.iqn);
                jobs.push(Job::new(label, move || tpg::create_portal(&dir, &portal)));
            }
        }
    }
    jobs
}

fn per_lun(lio: &Lio, config: &Config, own: &Inventory) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (target, made) in config.targets.iter().zip(&own.targets) {
        for (group, made) in target.tpgs.iter().zip(&made.tpgs) {
            let dir = lio.tpg(target.iqn.as_str(), group.tag);
            for (lun, made) in group.luns.iter().zip(&made.luns) {
                let (lio, dir, lun, hba) = (lio.clone(), dir.clone(), lun.clone(), made.backstore.0.clone());
                let label = format!("make LUN {} of {}", lun.index, target.iqn);
                jobs.push(Job::new(label, move || tpg::create_lun(&lio, &dir, &lun, &hba)));
            }
        }
    }
    jobs
}

fn per_acl(lio: &Lio, config: &Arc<Config>) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (t, target) in config.targets.iter().enumerate() {
        for (g, group) in target.tpgs.iter().enumerate() {
            let dir = lio.tpg(target.iqn.as_str(), group.tag);
            for (a, acl) in group.acls.iter().enumerate() {
                let (dir, config) = (dir.clone(), Arc::clone(config));
                let label = format!("make ACL {} of {}", acl.initiator, target.iqn);
                jobs.push(Job::new(label, move || tpg::create_acl(&dir, &config.targets[t].tpgs[g].acls[a])));
            }
        }
    }
    jobs
}

/// Runs jobs to their end.
///
/// # Errors
/// The first failure, or what did not come back in time.
fn run(jobs: Vec<Job>, deadline: Deadline) -> Result<(), OcfError> {
    let mut wave = Wave::start(jobs, WIDTH);
    if !wave.wait(deadline) {
        let stuck = wave.outstanding().next().unwrap_or_default().to_owned();
        return Err(OcfError::stuck(format_args!("{stuck}: no end within the time limit")));
    }
    wave.take_failed().into_iter().next().map_or(Ok(()), |e| Err(explain(e)))
}

/// What the kernel's numbers mean here.
fn explain(e: KernelError) -> OcfError {
    let at_enable = e.path.ends_with("enable");
    let is_tpg = e.path.components().any(|c| c.as_os_str() == "iscsi");
    match e.errno() {
        Some(libc::EINVAL) if at_enable && is_tpg => {
            OcfError::new(Code::Generic, format_args!("{e}: is its relative port taken? (see dmesg)"))
        }
        Some(libc::EBUSY) if at_enable => OcfError::new(Code::Generic, format_args!("{e}: mounted, or held by another")),
        _ => e.into(),
    }
}
