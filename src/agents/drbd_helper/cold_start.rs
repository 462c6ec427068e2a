//! Whether a promotion here may bring back older data: by the guard, and by which node was Primary last.

use std::time::Duration;

use super::Helper;
use super::evidence;
use super::guard::{Guard, Reason};
use super::last_primary::{LastPeer, LastPrimary, Who, this_node};
use super::observe::entry;
use super::peering;
use super::record::{self, Record};
use super::values::Guarding;
use crate::kernel::drbd::model::Resource;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

impl Helper {
    /// An instance that Pacemaker has not started, as one that was brought up by hand, is one from its first look at it on. Somebody who
    /// asks by hand, with another name for the instance, knows nothing of what it has met.
    pub(super) fn adopt(&self, cx: &Context, resource: &Resource, record: &mut Record) {
        if record.is_started || !cx.env.is_by_pacemaker() {
            return;
        }
        record.is_started = true;
        record.started = record::now();
        self.guard_older_data(cx, resource, record);
    }

    /// After a start: if a peer was Primary last and has not been met since, this side may hold older data.
    pub(super) fn guard_older_data(&self, cx: &Context, resource: &Resource, record: &Record) {
        // Who has no disk has no data that could be old.
        let is_client = resource.devices.iter().all(|device| device.is_client == Some(true));
        if self.guarding == Guarding::Off || record.was_connected || resource.is_primary() || is_client {
            return;
        }
        let name = &resource.name;
        let Some(last) = LastPeer::load(cx.root, name).filter(|last| !last.is_met(resource)) else { return };
        match Guard::add(cx.root, name, entry(Reason::OlderData, "start", &last.detail)) {
            Ok(true) => {
                tracing::warn!("{name}: {}, and that peer has not been connected since: no promotion before it is", last.detail);
            }
            Ok(false) => {}
            Err(e) => tracing::error!("{name}: {}, and that can not be written to the disk: {e}", last.detail),
        }
    }

    /// Whether there is nobody left to wait for: who was Primary last is there, or anybody where that was no peer.
    pub(super) fn has_met_last_primary(&self, cx: &Context, resource: &Resource) -> bool {
        let last = if self.guarding == Guarding::Off { None } else { LastPeer::load(cx.root, &resource.name) };
        last.map_or_else(|| peering::is_connected(resource), |last| last.is_met(resource))
    }

    /// Refuses a promotion that may bring back older or diverged data.
    ///
    /// # Errors
    /// Why it may not be promoted, and the way out.
    pub(super) fn check_guard(&self, cx: &Context, resource: &Resource, record: &Record) -> Result<(), OcfError> {
        if self.guarding == Guarding::Off {
            return Ok(());
        }
        let name = &resource.name;
        let guard = self.standing_guard(cx, name, record);
        let is_excused = evidence::is_excused(cx.root, resource, record);
        let reason = if peering::is_certainly_split(resource, &guard, evidence::is_told(cx.root, resource), is_excused) {
            Some(format!("{name}: split brain, no promotion: ocf-san drbd report {name}, then ocf-san drbd guard clear {name}"))
        } else if let Some(why) = guard.complaint(name) {
            Some(why)
        } else {
            (!guard.is_empty()).then(|| format!("{name} is guarded ({guard}): ocf-san drbd guard clear {name}"))
        };
        match (reason, self.guarding) {
            (Some(reason), Guarding::Enforce) => Err(OcfError::new(Code::Generic, reason)),
            (Some(reason), _) => {
                tracing::warn!("{reason}");
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// The guard as it stands: newer data is waited for no longer than was asked for.
    pub(super) fn standing_guard(&self, cx: &Context, name: &str, record: &Record) -> Guard {
        let mut guard = Guard::load_or_unreadable(cx.root, name);
        let is_over =
            self.cold_start_wait > Duration::ZERO && record.is_started && record::since(record.started) >= self.cold_start_wait;
        if !is_over || !guard.has(Reason::OlderData) {
            return guard;
        }
        match Guard::clear(cx.root, name, |reason| reason == Reason::OlderData) {
            Ok(_) => {
                tracing::warn!(
                    "{name}: the peer was Primary last and has not come within cold_start_wait: may be promoted without it"
                );
                guard.entries.retain(|entry| entry.reason != Reason::OlderData);
            }
            Err(e) => tracing::warn!("{e}"),
        }
        guard
    }

    /// This node is, or was, Primary.
    pub(super) fn note_primary(&self, cx: &Context, resource: &Resource, event: &str) {
        if self.guarding != Guarding::Off {
            LastPrimary::now(Who::Here, this_node(cx.root), event).note(cx.root, &resource.name);
        }
    }
}

#[cfg(test)]
mod tests;
