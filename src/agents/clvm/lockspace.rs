//! The lockspace of a shared volume group: started by the first resource that needs it, stopped when the last one is done with it.

use std::io;
use std::time::Duration;

use super::record::Record;
use super::values::Mode;
use crate::deadline::Deadline;
use crate::kernel::lock::Lock;
use crate::kernel::lvm::command::Lvm;
use crate::kernel::lvm::dlm;
use crate::kernel::lvm::lockd::{self, Info, Lockspace, Manager, Phase};
use crate::kernel::lvm::names::VgName;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// How long lvmlockd gets to answer what it answers at once.
const ANSWER: Duration = Duration::from_secs(10);
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
    let _turn = turn(cx, vg)?;
    if is_ready(&info(cx, deadline)?, vg) {
        return Ok(false);
    }
    if lock_type == "dlm" && info(cx, deadline)?.lockspace(vg.as_str()).is_none() && dlm::has_lockspace(cx.root, vg.as_str())? {
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

/// Stops the lockspace, unless somebody still uses it. What fails is logged: no lock is held any more.
pub fn stop(cx: &Context, lvm: &Lvm, vg: &VgName, deadline: Deadline) {
    let done = || -> Result<(), OcfError> {
        if !lockd::is_running(cx.root, deadline.within(ANSWER))? {
            tracing::warn!(
                "{vg}: lvmlockd is not running: its locks may be left until it is started and dlm_tool leave lvm_{vg} is done"
            );
            return Ok(());
        }
        if let Some(why) = waits_for(cx, vg) {
            tracing::warn!("{vg}: its lockspace stays: {why}");
            return Ok(());
        }
        let _turn = turn(cx, vg)?;
        let is_used = || Ok::<_, OcfError>(info(cx, deadline)?.lockspace(vg.as_str()).map(Lockspace::is_used));
        let mut used = is_used()?;
        if used == Some(true) {
            // What was removed past LVM left its lock.
            lvm.deactivate(vg, &[], deadline.share(0.5))?;
            used = is_used()?;
        }
        let Some(is_used) = used else { return Ok(()) };
        if is_used {
            tracing::warn!("{vg}: locks are still held in its lockspace, which stays (lvmlockctl --info)");
            return Ok(());
        }
        if let Some(other) = other_user(cx, vg)? {
            tracing::info!("{vg}: its lockspace stays for {other}");
            return Ok(());
        }
        (cx.progress)(&format!("stop the lockspace of {vg}"));
        Ok(lvm.change("stop the lockspace of", vg, &["--lockstop"], deadline)?)
    };
    if let Err(e) = done() {
        tracing::warn!("{e}");
    }
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
    waits_for(cx, vg).or_else(|| is_stuck.then(|| "lvmlockd does not answer".to_owned()))
}

fn is_ready(info: &Info, vg: &VgName) -> bool {
    info.lockspace(vg.as_str()).is_some_and(|lockspace| lockspace.phase == Phase::Ready)
}

fn info(cx: &Context, deadline: Deadline) -> Result<Info, OcfError> {
    Ok(lockd::info(cx.root, deadline.within(ANSWER))?)
}

/// One at a time: a lockspace that one resource is about to use must not be stopped by another one.
fn turn(cx: &Context, vg: &VgName) -> Result<Lock, OcfError> {
    let name = format!("ocf-san.cLVM.{vg}.lockspace");
    let say = || (cx.progress)(&format!("wait for another resource that starts or stops the lockspace of {vg}"));
    Ok(Lock::take(&cx.root.dir(cx.env.state_dir()), &name, say)?)
}

/// Another resource that is about to use the volume group. Of one that was started something would be active.
fn other_user(cx: &Context, vg: &VgName) -> Result<Option<String>, OcfError> {
    let is_user = |record: &Record| record.vg == vg.as_str() && record.mode() == Mode::Lvmlockd && !record.is_complete;
    Ok(Record::of_others(cx)?.into_iter().find(|(_, record)| is_user(record)).map(|(name, _)| name))
}
