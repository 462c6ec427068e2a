//! Whether a promotion here may bring back older data: by the guard, and by which node was Primary last.

use std::time::Duration;

use super::Helper;
use super::evidence;
use super::guard::{Guard, Reason};
use super::health;
use super::last_primary::{LastPrimary, Who, this_node};
use super::observe::entry;
use super::record::{self, Record};
use super::values::Guarding;
use crate::kernel::drbd::model::Resource;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

impl Helper {
    /// After a start: if the peer was Primary last and has not been seen since, this side may hold older data.
    pub(super) fn guard_older_data(&self, cx: &Context, resource: &Resource, record: &Record) {
        if self.guarding == Guarding::Off || record.was_connected || health::is_connected(resource) || resource.is_primary() {
            return;
        }
        let name = &resource.name;
        let Some(last) = LastPrimary::load(cx.root, name).filter(|last| last.who == Who::Peer) else { return };
        let who = last.node.unwrap_or_else(|| "the peer".to_owned());
        let detail = format!("{who} was Primary at {}", last.at);
        match Guard::add(cx.root, name, entry(Reason::OlderData, "start", &detail)) {
            Ok(true) => tracing::warn!("{name}: {detail} and has not been seen since: no promotion before it is"),
            Ok(false) => {}
            Err(e) => tracing::error!("{e}"),
        }
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
        self.end_waiting(cx, name, record);
        let is_told = evidence::is_told(cx.root, resource);
        let reason = match Guard::load(cx.root, name) {
            Err(e) => Some(format!("{name}: the guard can not be read, so no promotion: {e}")),
            Ok(guard) if health::is_split(resource, &guard, is_told) => Some(format!(
                "{name}: split brain, no promotion: ocf-san drbd report {name}, then ocf-san drbd guard clear {name}"
            )),
            Ok(guard) if !guard.is_empty() => Some(format!("{name} is guarded ({guard}): ocf-san drbd guard clear {name}")),
            Ok(_) => None,
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

    /// Older data is waited for no longer than was asked for.
    pub(super) fn end_waiting(&self, cx: &Context, name: &str, record: &Record) {
        let is_over =
            self.cold_start_wait > Duration::ZERO && record.is_started && record::since(record.started) >= self.cold_start_wait;
        if !is_over {
            return;
        }
        match Guard::clear(cx.root, name, |reason| reason == Reason::OlderData) {
            Ok(true) => {
                tracing::warn!("{name}: the peer was Primary last and has not come within cold_start_wait: promoted without it");
            }
            Ok(false) => {}
            Err(e) => tracing::warn!("{e}"),
        }
    }

    /// This node is, or was, Primary.
    pub(super) fn note_primary(&self, cx: &Context, resource: &Resource, event: &str) {
        if self.guarding != Guarding::Off {
            LastPrimary::now(Who::Here, this_node(cx.root), event).note(cx.root, &resource.name);
        }
    }
}
