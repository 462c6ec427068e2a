//! What LVM's metadata says of a resource that is running: for a monitor that misses something, or that looks deep.

use std::time::Duration;

use super::Clvm;
use super::look::{self, Device};
use super::record::Record;
use super::values::{Mode, Scope};
use crate::deadline::Deadline;
use crate::kernel::dm::DeviceMapper;
use crate::kernel::lvm::command::Lvm;
use crate::kernel::lvm::drift::{self, Drift};
use crate::kernel::lvm::names::{Uuid, VgName};
use crate::kernel::lvm::report::VolumeGroup;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::{Context, State};

/// A difference must still be there after this long: a resize changes the metadata first.
const SETTLES: Duration = Duration::from_secs(1);

impl Clvm {
    /// LVM's commands, first for the devices that were named or that the start saw, and then, since those may have been replaced
    /// meanwhile, for all there are.
    pub(super) fn lvms(&self, cx: &Context, record: Option<&Record>) -> Result<Vec<Lvm>, OcfError> {
        let lvm = super::lvm(cx)?;
        Ok(match record {
            Some(record) if self.devices.is_empty() => vec![lvm.clone().only(&record.devices), lvm],
            _ => vec![lvm.only(&self.devices)],
        })
    }

    /// What the metadata says, and by which of the commands; `None` when the volume group is not to be seen.
    ///
    /// # Errors
    /// LVM's complaint.
    pub(super) fn facts(
        &self,
        cx: &Context,
        vg: &VgName,
        record: Option<&Record>,
        with_internal: bool,
    ) -> Result<Option<(VolumeGroup, Lvm)>, OcfError> {
        let mut found = None;
        for lvm in self.lvms(cx, record)? {
            if let Some(facts) = lvm.report(vg, with_internal, cx.deadline.share(0.4))? {
                let is_whole = facts.missing_pvs == 0;
                found = Some((facts, lvm));
                if is_whole {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Forgets logical volumes of the record that somebody has removed from the volume group: a snapshot that is no longer needed is no
    /// failure. Whether nothing is missing any more.
    pub(super) fn has_forgotten(
        &self,
        cx: &Context,
        dm: &DeviceMapper,
        scope: &Scope,
        record: &mut Record,
    ) -> Result<bool, OcfError> {
        // Between its deactivation and the moment at which it is gone from the metadata a removal may discard its extents.
        let until = cx.deadline.share(0.5);
        loop {
            let all = look::devices(dm, None, record.vg_uuid().as_ref())?;
            let Some(vg) = name_now(&all, record) else { return Ok(false) };
            let own = look::in_scope(dm, all, scope, Some(record))?;
            let gone: Vec<_> = look::absent(own.iter(), record).into_iter().cloned().collect();
            if gone.is_empty() {
                return Ok(true);
            }
            if gone.len() == record.lvs.len() {
                return Ok(false);
            }
            let facts = self.facts(cx, &vg, Some(record), false).inspect_err(|e| tracing::warn!("{e}")).ok().flatten();
            let facts = facts.map(|(facts, _)| facts).filter(|facts| Some(&facts.uuid) == record.vg_uuid().as_ref());
            let before = record.lvs.len();
            if let Some(facts) = facts {
                record.lvs.retain(|lv| !gone.contains(lv) || facts.lvs.iter().any(|known| lv.is(&known.uuid)));
            }
            if record.lvs.len() < before {
                tracing::info!("{vg}: {} logical volumes were removed from it since the start", before - record.lvs.len());
                // A probe changes nothing.
                if !cx.env.is_probe() {
                    let _ = record.save(cx).inspect_err(|e| tracing::warn!("{e}"));
                }
            } else if until.is_past() {
                return Ok(false);
            } else {
                std::thread::sleep(SETTLES.min(cx.deadline.remaining() / 4));
            }
        }
    }

    /// What is to be said of the mappings when they are compared with the metadata. That it can not be read is one more thing worth a
    /// look.
    ///
    /// # Errors
    /// Another host has taken the volume group over. A restart here would take it back while the other one writes, so this is an error that
    /// Pacemaker (2.1, "OCF Return Codes": hard) does not answer with one.
    pub(super) fn compared(
        &self,
        cx: &Context,
        dm: &DeviceMapper,
        own: &[Device],
        record: Option<&Record>,
    ) -> Result<Option<State>, OcfError> {
        let named = match record {
            Some(record) => name_now(own, record),
            None => self.vg.clone().ok(),
        };
        let Some(vg) = named else { return Ok(None) };
        let read = || -> Result<(VolumeGroup, Lvm, Vec<Drift>), OcfError> {
            let why = format_args!("no volume group {vg} is to be seen");
            let is_same =
                |(facts, _): &(VolumeGroup, Lvm)| record.is_none_or(|record| record.vg_uuid().as_ref() == Some(&facts.uuid));
            let facts = self.facts(cx, &vg, record, true)?.filter(is_same);
            let (facts, lvm) = facts.ok_or_else(|| OcfError::new(Code::Generic, why))?;
            let drift = if facts.missing_pvs > 0 { Vec::new() } else { drift::find(cx.root, dm, &facts)? };
            Ok((facts, lvm, drift))
        };
        let seen = match read() {
            Ok((_, _, drift)) if !drift.is_empty() => {
                std::thread::sleep(SETTLES.min(cx.deadline.remaining() / 4));
                read()
            }
            other => other,
        };
        let (facts, lvm, drift) = match seen {
            Ok(seen) => seen,
            Err(e) => return Ok(Some(State::Degraded(e.to_string()))),
        };
        match self.new_owner(&lvm, &facts, record, cx.deadline.share(0.5)) {
            Some("") => {
                return Ok(Some(State::Degraded(format!("{vg} is active here and belongs to no host: vgchange --systemid"))));
            }
            Some(owner) => {
                let why = format!("{vg} belongs to {owner} now, and is active here");
                return if cx.env.is_probe() { Ok(Some(State::Failed(why))) } else { Err(OcfError::new(Code::Args, why)) };
            }
            None => {}
        }
        let what = match drift.into_iter().next() {
            Some(Drift::Refresh { lv, why }) => Some(format!("{vg}/{lv}: {why} (ocf-san lvm repair {vg})")),
            Some(Drift::Stale { name, .. }) => {
                Some(format!("{name} is mapped, and no such logical volume exists any more (ocf-san lvm repair {vg})"))
            }
            None if facts.missing_pvs > 0 => Some(format!("{vg} lacks {} of its physical volumes", facts.missing_pvs)),
            None => self.left_out(&facts, own, record).map(|lv| format!("{vg}/{lv} is not active, and no start is recorded")),
        };
        Ok(what.map(State::Degraded))
    }

    /// Whose the volume group is, in mode `system_id`, if it is not this host's any more; empty: nobody's.
    fn new_owner<'a>(&self, lvm: &Lvm, facts: &'a VolumeGroup, record: Option<&Record>, deadline: Deadline) -> Option<&'a str> {
        if self.mode != Ok(Mode::SystemId) {
            return None;
        }
        let own = match record {
            Some(record) => record.system_id.clone()?,
            None => lvm.system_id(deadline).ok().filter(|id| !id.is_empty())?,
        };
        (facts.system_id != own).then_some(facts.system_id.as_str())
    }

    /// A logical volume that a start would have activated, where none is recorded.
    fn left_out(&self, facts: &VolumeGroup, own: &[Device], record: Option<&Record>) -> Option<String> {
        let scope = self.scope.as_ref().ok().filter(|_| record.is_none())?;
        let is_active = |uuid: &Uuid| own.iter().any(|device| device.mapping.lv_uuid == *uuid);
        let mut meant =
            facts.lvs.iter().filter(|lv| !lv.is_internal && !lv.skips_activation && lv.is("public") && scope.has(&lv.name));
        meant.find(|lv| !is_active(&lv.uuid)).map(|lv| lv.name.clone())
    }
}

/// The name of the recorded volume group, which somebody may have changed since the start: a device made later has the new one.
pub fn name_now(devices: &[Device], record: &Record) -> Option<VgName> {
    let of_device = devices.iter().map(|device| device.mapping.vg.as_str()).find(|name| !name.is_empty());
    VgName::parse(of_device.unwrap_or(&record.vg)).ok()
}
