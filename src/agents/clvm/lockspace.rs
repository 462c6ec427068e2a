//! The lockspace of a shared volume group: started by the first resource that needs it, stopped when the last one is done with it.

use std::io;
use std::time::Duration;

use super::record::{Record, Recorded};
use super::values::Mode;
use crate::deadline::Deadline;
use crate::kernel::dm::DeviceMapper;
use crate::kernel::exec::Tool;
use crate::kernel::lock::Lock;
use crate::kernel::lvm::command::Lvm;
use crate::kernel::lvm::dlm;
use crate::kernel::lvm::lockd::{self, Info, Lockspace, Manager, Phase};
use crate::kernel::lvm::names::{LEASES, Mapping, VgName};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// How long lvmlockd gets to answer what it answers at once.
const ANSWER: Duration = Duration::from_secs(10);
/// How long dlm may take over a node that comes or goes, before LVM is not asked.
const RECOVERY: Duration = Duration::from_secs(8);
/// How long lvmlockd gets when somebody waits.
const SOON: Duration = Duration::from_secs(3);
/// How long until a start that was refused is tried again.
const RETRY: Duration = Duration::from_secs(3);
/// How long between two looks.
const AGAIN: Duration = Duration::from_millis(250);

/// Whether lvmlockd works.
///
/// # Errors
/// It does not: what to start.
pub fn ready(cx: &Context) -> Result<(), OcfError> {
    let wrong = |why: &str| Err(OcfError::new(Code::Generic, why));
    match lockd::is_running(cx.root, cx.deadline.share(0.3).within(ANSWER)) {
        Ok(true) => Ok(()),
        Ok(false) => wrong("lvmlockd is not running: systemctl start lvmlockd, or a clone before this resource"),
        Err(e) if e.source.kind() == io::ErrorKind::TimedOut => wrong("lvmlockd is running and does not answer"),
        Err(e) => Err(e.into()),
    }
}

/// Starts the lockspace, which takes as long as the cluster takes to agree. Whether it was this call that did.
///
/// # Errors
/// It does not start: what it waits for, where that can be told.
pub fn start(cx: &Context, lvm: &Lvm, vg: &VgName, lock_type: &str, deadline: Deadline) -> Result<bool, OcfError> {
    let wrong = |why: String| Err(OcfError::new(Code::Generic, format_args!("{vg}: {why}")));
    if let Some(manager) = Manager::of(lock_type) {
        if !manager.is_running(cx.root, deadline.within(ANSWER))? {
            return wrong(format!("{} is not running, which lock type {lock_type} needs", manager.daemon()));
        }
    }
    let Some(_turn) = turn(cx, vg, deadline.share(0.5))? else {
        return wrong("another resource starts or stops its lockspace".to_owned());
    };
    let before = info(cx, deadline)?;
    if is_ready(&before, vg) {
        return Ok(false);
    }
    if lock_type == "dlm" && before.lockspace(vg.as_str()).is_none() && dlm::has_lockspace(cx.root, vg.as_str())? {
        let why = format!(
            "orphan lockspace of an lvmlockd that ended: with no LV active here, dlm_tool leave lvm_{vg}, restart lvmlockd"
        );
        return wrong(why);
    }
    (cx.progress)(&format!("start the lockspace of {vg}"));
    let start = || lvm.change("start the lockspace of", vg, &["--lockstart"], deadline.share(0.8));
    let mut started = start();
    // sanlock at the first try after a boot: the device of its leases is active, and udev has not made its node yet.
    for _ in 0..2 {
        if started.as_ref().is_err_and(|e| e.source.kind() != io::ErrorKind::TimedOut) && deadline.remaining() > RETRY * 2 {
            std::thread::sleep(RETRY);
            started = start();
        }
    }
    loop {
        // Its exit code is 0 also when there is no lockspace afterwards.
        let info = info(cx, deadline)?;
        if is_ready(&info, vg) {
            return Ok(true);
        }
        let phase = info.lockspace(vg.as_str()).map(|lockspace| lockspace.phase);
        let is_over = started.is_err() || !matches!(phase, Some(Phase::Starting)) || deadline.is_past();
        if is_over {
            if let Some(why) = waits_for(cx, vg) {
                return wrong(why);
            }
            return match started {
                Err(e) => Err(e.into()),
                Ok(()) => wrong(format!("its lockspace did not start ({phase:?}); see lvmlockctl --info")),
            };
        }
        std::thread::sleep(AGAIN);
    }
}

/// Gives back those locks of these logical volumes, none of which is mapped any more, that LVM has not given back: of what was removed
/// past it, or not activated after all; where there is no LVM to ask it only looks. Whether none is held any more, as far as dlm lets it be
/// known.
///
/// # Errors
/// lvmlockd does not say, or has ended and left its locks: what to do.
pub fn release(cx: &Context, lvm: Option<&Lvm>, vg: &VgName, lvs: &[Recorded], deadline: Deadline) -> Result<bool, OcfError> {
    if let Some(why) = still_waits_for(cx, vg, deadline) {
        tracing::warn!("{vg}: locks may be left ({why}); then: lvchange -an {vg}");
        return Ok(true);
    }
    if !lockd::is_running(cx.root, deadline.share(0.3).within(ANSWER))? {
        return no_orphan(cx, vg).map(|()| true);
    }
    let held = || -> Result<Vec<String>, OcfError> {
        let info = info(cx, deadline)?;
        let is_held = |lv: &&Recorded| info.mode(vg.as_str(), &lv.uuid) != lockd::Mode::Unlocked;
        Ok(lvs.iter().filter(is_held).map(|lv| lv.name.clone()).collect())
    };
    let left = held()?;
    let Some(lvm) = lvm.filter(|_| !left.is_empty()) else { return Ok(left.is_empty()) };
    (cx.progress)(&format!("give back locks of {vg}"));
    if let Err(e) = lvm.deactivate(vg, &left, deadline.share(0.5)) {
        tracing::warn!("{e}");
    }
    Ok(held()?.is_empty())
}

/// What dlm still waits for after a while: each node that comes or goes holds it up for a moment.
fn still_waits_for(cx: &Context, vg: &VgName, deadline: Deadline) -> Option<String> {
    let until = deadline.share(0.3).within(RECOVERY);
    loop {
        let why = waits_for(cx, vg)?;
        if until.is_past() {
            return Some(why);
        }
        std::thread::sleep(AGAIN);
    }
}

/// Refuses what an lvmlockd that ended while it held locks has left, also when it has been started again since.
fn no_orphan(cx: &Context, vg: &VgName) -> Result<(), OcfError> {
    if !dlm::has_lockspace(cx.root, vg.as_str())? {
        return Ok(());
    }
    let why = format_args!("{vg}: lvmlockd ended and its lock is still held: dlm_tool leave lvm_{vg}");
    Err(OcfError::new(Code::Generic, why))
}

/// Stops the lockspace, unless somebody still uses it, or there is no LVM to ask: it would hang, or is not installed. Locks of which nothing is
/// active here are dropped. That it stays without a lock of ours is logged and no error.
///
/// # Errors
/// A lock is still held though nothing is active here, so that no other node gets it: what to do.
pub fn stop(cx: &Context, lvm: Option<&Lvm>, vg: &VgName, deadline: Deadline) -> Result<(), OcfError> {
    if let Some(why) = still_waits_for(cx, vg, deadline) {
        tracing::warn!("{vg}: its lockspace stays: {why}");
        return Ok(());
    }
    if !lockd::is_running(cx.root, deadline.share(0.3).within(ANSWER))? {
        no_orphan(cx, vg)?;
        tracing::warn!("{vg}: lvmlockd is not running; what sanlock holds for it is not known");
        return Ok(());
    }
    let Some(_turn) = turn(cx, vg, deadline.share(0.3))? else {
        tracing::warn!("{vg}: its lockspace stays for whoever is starting");
        return Ok(());
    };
    let Some(mut lockspace) = lockspace_of(cx, vg, deadline)? else { return no_orphan(cx, vg) };
    let other = other_user(cx, vg, Mode::Lvmlockd)?;
    if lockspace.is_used() && other.is_none() && !is_mapped(cx, &lockspace)? {
        // What was removed past LVM left its lock.
        if let Some(Err(e)) = lvm.map(|lvm| lvm.deactivate(vg, &[], deadline.share(0.4))) {
            tracing::warn!("{e}");
        }
        let Some(now) = lockspace_of(cx, vg, deadline)? else { return Ok(()) };
        lockspace = now;
    }
    if lockspace.is_used() {
        // The locks of what is active are somebody's.
        if is_mapped(cx, &lockspace)? {
            tracing::warn!("{vg}: locks are still held in its lockspace, which stays (lvmlockctl --info)");
            return Ok(());
        }
        if let Some(other) = other {
            // LVM takes the lock before it maps.
            tracing::warn!("{vg}: locks are held in its lockspace, which stays for {other}");
            return Ok(());
        }
        return drop_locks(cx, vg, deadline);
    }
    if let Some(other) = other {
        tracing::info!("{vg}: its lockspace stays for {other}");
        return Ok(());
    }
    let Some(lvm) = lvm else {
        tracing::warn!("{vg}: its lockspace stays: LVM can not be asked");
        return Ok(());
    };
    (cx.progress)(&format!("stop the lockspace of {vg}"));
    if let Err(e) = lvm.change("stop the lockspace of", vg, &["--lockstop"], deadline) {
        tracing::warn!("{e}");
    }
    Ok(())
}

/// Drops the locks of a volume group of which nothing is mapped, past its metadata. That drops the lock of the volume group too, which a command
/// that hangs while it writes metadata has: then another node would write it as well (`clear_locks`, lvmlockd-core.c).
fn drop_locks(cx: &Context, vg: &VgName, deadline: Deadline) -> Result<(), OcfError> {
    let until = deadline.share(0.5);
    while lockspace_of(cx, vg, deadline)?.is_some_and(|lockspace| lockspace.vg_lock == lockd::Mode::Exclusive) {
        if until.is_past() {
            let why = format_args!("{vg}: locks are kept while an LVM command here changes it: lvmlockctl --info");
            return Err(OcfError::new(Code::Generic, why));
        }
        std::thread::sleep(AGAIN);
    }
    tracing::warn!("{vg}: nothing of it is active and its locks are still held: dropped");
    let dropped = Tool::find(cx.root, "lvmlockctl").and_then(|tool| tool.run(&["--drop", vg.as_str()], deadline.share(0.5)));
    if let Err(e) = dropped {
        tracing::warn!("{e}");
    }
    while lockspace_of(cx, vg, deadline)?.is_some_and(|lockspace| lockspace.is_used()) {
        if deadline.is_past() {
            let why = format_args!("{vg}: a lock is still held and nothing is active: lvmlockctl --drop {vg}");
            return Err(OcfError::new(Code::Generic, why));
        }
        std::thread::sleep(AGAIN);
    }
    Ok(())
}

/// Whether device-mapper has anything of the volume group of this lockspace, internal devices included, but for sanlock's leases.
fn is_mapped(cx: &Context, lockspace: &Lockspace) -> Result<bool, OcfError> {
    let uuid = lockspace.vg_uuid.replace('-', "");
    if uuid.is_empty() {
        return Ok(true);
    }
    let Some(dm) = DeviceMapper::open(cx.root)? else { return Ok(false) };
    let is_leases = |name: &str, uuid: &str| Mapping::of(name, uuid).is_some_and(|mapping| mapping.lv == LEASES);
    let prefix = format!("LVM-{uuid}");
    let listed = dm.list(&prefix)?;
    Ok(listed.iter().any(|one| one.uuid.as_deref().is_some_and(|uuid| uuid.starts_with(&prefix) && !is_leases(&one.name, uuid))))
}

fn lockspace_of(cx: &Context, vg: &VgName, deadline: Deadline) -> Result<Option<Lockspace>, OcfError> {
    Ok(info(cx, deadline)?.lockspace(vg.as_str()).cloned())
}

/// What keeps locks of the volume group from being given, in a few words; `None` when nothing is known to.
#[must_use]
pub fn waits_for(cx: &Context, vg: &VgName) -> Option<String> {
    let blocked = dlm::blocked(cx.root, vg.as_str(), cx.deadline.share(0.5).within(ANSWER));
    let why = blocked.inspect_err(|e| tracing::warn!("{e}")).ok()??;
    Some(format!("dlm gives no locks before the cluster has recovered: {why}"))
}

/// Why LVM's commands would wait for a lock: what dlm waits for, or an lvmlockd that does not answer.
#[must_use]
pub fn keeps_waiting(cx: &Context, vg: &VgName) -> Option<String> {
    let is_stuck = lockd::is_running(cx.root, cx.deadline.share(0.1).within(SOON)).is_err();
    still_waits_for(cx, vg, cx.deadline).or_else(|| is_stuck.then(|| "lvmlockd does not answer".to_owned()))
}

fn is_ready(info: &Info, vg: &VgName) -> bool {
    info.lockspace(vg.as_str()).is_some_and(|lockspace| lockspace.phase == Phase::Ready)
}

fn info(cx: &Context, deadline: Deadline) -> Result<Info, OcfError> {
    let until = deadline.within(ANSWER * 2);
    loop {
        match lockd::info(cx.root, deadline.within(ANSWER)) {
            Ok(info) => return Ok(info),
            // Another one may be asking, or it is busy; what must be known is asked again.
            Err(e) if until.is_past() => {
                return Err(OcfError::new(
                    Code::Generic,
                    format_args!("lvmlockd does not say who holds locks (lvmlockctl --info): {e}"),
                ));
            }
            Err(_) => std::thread::sleep(AGAIN),
        }
    }
}

/// One at a time: a lockspace or a tag that one resource is about to use must not be taken away by another one. `None` when whoever has
/// the turn keeps it until the deadline.
pub(super) fn turn(cx: &Context, vg: &VgName, deadline: Deadline) -> Result<Option<Lock>, OcfError> {
    let name = format!("ocf-san.cLVM.{vg}.lockspace");
    let say = || (cx.progress)(&format!("wait for another resource that takes or lets go of {vg}"));
    Ok(Lock::take_until(&cx.root.dir(cx.env.state_dir()), &name, deadline, say)?)
}

/// Another resource that is about to use the volume group in this mode. Of one that was started something would be active.
pub(super) fn other_user(cx: &Context, vg: &VgName, mode: Mode) -> Result<Option<String>, OcfError> {
    let dir = cx.root.dir(cx.env.state_dir());
    for (name, record) in Record::of_others(cx)? {
        if record.vg != vg.as_str() || record.mode() != mode || record.is_complete {
            continue;
        }
        // Whoever is in an action holds this: the record of a resource that is no more is nobody's.
        let lock = format!("{}.lock", name.trim_end_matches(".record"));
        if Lock::take_until(&dir, &lock, Deadline::after(Duration::ZERO), || ())?.is_none() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
