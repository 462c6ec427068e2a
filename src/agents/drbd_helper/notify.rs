//! Notifications and reloads: connect what may be connected, and say again how good this side is. All of it is done by others too, so that
//! nothing depends on a notification; but for two that were Primary when they met, which otherwise wait for a start or a person.

use super::attribute::Writing;
use super::evidence;
use super::health;
use super::observe::meta;
use super::peering;
use super::record::Record;
use super::values::Reconnect;
use super::{Helper, seen};
use crate::kernel::drbd::Drbd;
use crate::kernel::drbd::model::{Device, Role};
use crate::ocf::error::OcfError;
use crate::ocf::run::Context;

impl Helper {
    /// Hears what happens to the other instances.
    ///
    /// # Errors
    /// It could not be connected.
    pub(super) fn hear(&self, cx: &Context) -> Result<(), OcfError> {
        let name = self.name()?;
        let (kind, operation) =
            (meta(cx, &["notify_type"]).unwrap_or_default(), meta(cx, &["notify_operation"]).unwrap_or_default());
        let Some(drbd) = Drbd::open(cx.root)? else { return Ok(()) };
        let was = Record::load(cx, name);
        let mut record = was.clone();
        let Some(resource) = seen(&drbd, name, &record, cx)? else { return Ok(()) };
        // One of two that were Primary when they met has been demoted: now they can.
        let has_met = || record.met_as_primaries || evidence::met_as_primaries(cx.root, &resource);
        let can_meet = || (kind, operation) == ("post", "demote") && peering::stands_alone(&resource) && has_met();
        let is_due = operation == "start" || can_meet();
        let may_connect = is_due && peering::lacks_peer(&resource) && (!self.connects_late || resource.is_primary());
        let mut connected = Ok(false);
        if may_connect && !health::is_bare(&resource) {
            connected = self.connect(cx, &drbd, &resource, &mut record, cx.deadline.share(0.6)).map_err(|trouble| trouble.error);
        }
        if kind == "post" {
            // For a look that fails.
            record.save(cx, name, &was);
            let now = if matches!(connected, Ok(true)) { seen(&drbd, name, &record, cx)? } else { Some(resource) };
            if let Some(now) = now {
                if peering::lacks_peer(&now) && !now.is_primary() {
                    self.outdate_if_due(cx, name, cx.deadline.share(0.5));
                }
                // A node that starts may have been away, and what the cluster knew of all with it; while a role changes, all wait for this.
                let writing = if operation == "start" { Writing::Again } else { Writing::IfAnother };
                self.assess(cx, &now, &mut record, writing);
            }
        }
        record.save(cx, name, &was);
        connected.map(drop)
    }

    /// Takes over a changed configuration and changed parameters.
    ///
    /// # Errors
    /// drbdadm refused.
    pub(super) fn reload(&self, cx: &Context) -> Result<(), OcfError> {
        let name = self.name()?;
        let Some(drbd) = Drbd::open(cx.root)? else { return Ok(()) };
        let was = Record::load(cx, name);
        let mut record = was.clone();
        // The handler at work may be the one that is told of a split brain.
        self.wait_for_handlers(cx, cx.deadline.share(0.5)).map_err(|trouble| trouble.error)?;
        let Some(resource) = seen(&drbd, name, &record, cx)? else { return Ok(()) };
        let is_split = self.is_split_now(cx, &resource, &record) && self.reconnect == Reconnect::NeverSplitBrain;
        let stays_alone = self.connects_late && !resource.is_primary();
        let command: Option<&[&str]> = match (is_split || stays_alone, drbd.is_84()) {
            (false, _) => Some(&["adjust"]),
            (true, false) => Some(&["adjust", "--skip-net"]),
            // It knows of no adjusting without connecting.
            (true, true) => None,
        };
        if let Some(command) = command {
            let drbdadm = self.drbdadm(cx)?;
            (cx.progress)(&format!("drbdadm adjust {name}"));
            drbdadm.run(command, name, cx.deadline).map_err(|e| self.trouble("adjust", &e).error)?;
            record.never_connected &= command.contains(&"--skip-net");
            record.save(cx, name, &was);
        } else {
            tracing::warn!("{name} stays unconnected, so its configuration is not taken over");
        }
        if let Some(now) = seen(&drbd, name, &record, cx)? {
            // One that is added to what is Primary is not that by itself, and counts from when it is.
            let is_new = |device: &&Device| {
                let is_other = now.is_primary() && device.role.is_some_and(|role| role != Role::Primary);
                is_other && !was.volumes.iter().any(|(volume, _)| *volume == device.volume)
            };
            record.volumes = now.devices.iter().filter(|d| !is_new(d)).map(|device| (device.volume, device.minor)).collect();
            self.assess(cx, &now, &mut record, Writing::Again);
        }
        record.save(cx, name, &was);
        Ok(())
    }
}
