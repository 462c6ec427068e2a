//! The promotion: never against a guard, never by force, and with the last real error as its reason.

use super::attribute::Writing;
use super::demote::lower_once;
use super::peering;
use super::record::Record;
use super::trouble::{Trouble, drbdsetup, until};
use super::{Helper, seen, uplink};
use crate::deadline::Deadline;
use crate::kernel::drbd::Drbd;
use crate::kernel::drbd::model::{Device, Resource};
use crate::kernel::drbd::tools::{Drbdsetup, Failure};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

impl Helper {
    /// Makes it Primary.
    ///
    /// # Errors
    /// It is not: why, and what to do.
    pub(super) fn raise(&self, cx: &Context) -> Result<(), OcfError> {
        let name = self.name()?;
        let drbd = self.module(cx)?;
        let was = Record::load(cx, name);
        let mut record = was.clone();
        let resource = seen(&drbd, name, &record, cx)?.ok_or_else(|| not_there(name))?;
        if peering::is_connected(&resource) {
            self.assess(cx, &resource, &mut record, Writing::IfAnother);
        }
        self.adopt(cx, &resource, &mut record);
        self.check_guard(cx, &resource, &record)?;
        let patience = cx.deadline.share(0.5).within(uplink::PATIENCE);
        let done = until(cx.deadline, || self.raise_once(cx, &drbd, &record, patience));
        if let Err(e) = done {
            // 8.4 promotes each volume by itself: of a promotion that fails, some may be Primary.
            if let Some(half) = seen(&drbd, name, &record, cx).ok().flatten().filter(Resource::is_primary) {
                if let Err(e) = lower_once(cx, &drbd, &half) {
                    tracing::warn!("{}", e.error);
                }
            }
            record.save(cx, name, &was);
            return Err(e);
        }
        let now = seen(&drbd, name, &record, cx)?.ok_or_else(|| not_there(name))?;
        self.note_primary(cx, &now, "promoted");
        record.peer_was_primary = None;
        self.connect_late(cx, &drbd, &now, &mut record);
        record.save(cx, name, &was); // for a look that fails
        let now = seen(&drbd, name, &record, cx)?.unwrap_or(now);
        // What may be lost a monitor writes soon: here the group waits.
        self.assess(cx, &now, &mut record, Writing::IfAnother);
        record.save(cx, name, &was);
        Ok(())
    }

    /// Once; `patience` is how long a carrier is waited for.
    fn raise_once(&self, cx: &Context, drbd: &Drbd, record: &Record, patience: Deadline) -> Result<(), Trouble> {
        let name = self.name()?;
        self.wait_for_handlers(cx, cx.deadline.share(0.3))?;
        // A split brain may have come to light since the last attempt.
        let now = seen(drbd, name, record, cx)?.filter(|now| !now.devices.is_empty()).ok_or_else(|| not_there(name))?;
        self.check_guard(cx, &now, record).map_err(|e| Trouble::last(e.reason))?;
        if let Some(why) = self.forbids_promotion(cx, &now) {
            return Err(if patience.is_past() { Trouble::last(why) } else { Trouble::again(why) });
        }
        let is_gone = |(volume, _): &(u32, u32)| !now.devices.iter().any(|device| device.volume == *volume);
        let done = if record.volumes.iter().any(is_gone) {
            // Somebody may have removed it on purpose: which there should be the configuration knows.
            (cx.progress)(&format!("drbdadm primary {name}"));
            self.drbdadm(cx)?.run(&["primary"], name, cx.deadline).map(drop)
        } else {
            raise_devices(cx, drbd, &drbdsetup(cx)?, &now, &record.volumes)
        };
        let Err(failure) = done else { return Ok(()) };
        let trouble = self.trouble("primary", &failure);
        let Some(refusal) = failure.refusal() else { return Err(trouble) };
        if refusal.needs_data() {
            return Err(Trouble::last(format_args!(
                "{name} has no up to date data to be promoted on: {refusal}: connect the peer"
            )));
        }
        let is_there = || seen(drbd, name, record, cx).ok().flatten().is_some_and(|now| now.primary_peers().next().is_some());
        if refusal.peer_is_primary() && self.fails_early && is_there() {
            return Err(Trouble::last(format_args!("{name}: the peer is Primary: {refusal}")));
        }
        Err(trouble)
    }

    /// What a start was told to leave unconnected.
    fn connect_late(&self, cx: &Context, drbd: &Drbd, now: &Resource, record: &mut Record) {
        if self.connects_late && peering::stands_alone(now) {
            if let Err(e) = self.connect(cx, drbd, now, record, cx.deadline.share(0.5)) {
                tracing::warn!("{}", e.error);
            }
        }
    }
}

/// Asks drbdsetup, and not drbdadm, which reads the configuration first and then does the same. On 8.4 each device is promoted by itself: those
/// in use must be (all, where that is not known), and one that is being added and has no data yet stays as it is.
fn raise_devices(
    cx: &Context,
    drbd: &Drbd,
    drbdsetup: &Drbdsetup,
    resource: &Resource,
    in_use: &[(u32, u32)],
) -> Result<(), Failure> {
    let primary = |what: &str| {
        (cx.progress)(&format!("drbdsetup primary {what}"));
        drbdsetup.primary(what, cx.deadline)
    };
    if !drbd.is_84() {
        return primary(&resource.name);
    }
    let (used, added): (Vec<&Device>, Vec<_>) = resource.devices.iter().partition(|device| device.is_among(in_use));
    for device in used {
        primary(&device.minor.to_string())?;
    }
    for device in added {
        if let Err(e) = primary(&device.minor.to_string()) {
            tracing::warn!("{}/{} was added and is not promoted: {e}", resource.name, device.volume);
        }
    }
    Ok(())
}

fn not_there(name: &str) -> OcfError {
    OcfError::new(Code::Generic, format_args!("{name} is not there: drbdadm up {name}"))
}
