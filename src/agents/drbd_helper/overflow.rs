//! What a deep monitor looks at beside the states: whether a snapshot from before a resync has overflowed, so that there is no way back.

use super::Helper;
use super::health::Finding;
use crate::kernel::attr::Root;
use crate::kernel::dm::DeviceMapper;
use crate::kernel::drbd::model::Resource;
use crate::kernel::error::Result;
use crate::kernel::lvm::below::{Fill, snapshots_before_resync};
use crate::ocf::run::{Context, State};

impl Helper {
    /// The state, or what is worth a look below it when nothing else is.
    pub(super) fn with_snapshots(&self, cx: &Context, resource: &Resource, state: State) -> State {
        if !matches!(state, State::Running | State::Promoted) {
            return state;
        }
        let spilt = spilt(cx.root, resource).unwrap_or_else(|e| {
            tracing::warn!("{e}");
            None
        });
        let Some(name) = spilt else { return state };
        let why = format!("snapshot {name} has overflowed, no way back: ocf-san drbd snapshots {}", resource.name);
        tracing::warn!("{why}");
        Finding::Look(why).state(resource.is_primary(), self.is_degraded_told)
    }
}

/// The first snapshot that has overflowed.
fn spilt(root: &Root, resource: &Resource) -> Result<Option<String>> {
    let Some(dm) = DeviceMapper::open(root)? else { return Ok(None) };
    for device in &resource.devices {
        let snapshots = snapshots_before_resync(root, &dm, device.minor)?;
        if let Some(Fill { name, .. }) = snapshots.into_iter().find(|snapshot| snapshot.used.is_none()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
