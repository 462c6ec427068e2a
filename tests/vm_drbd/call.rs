//! A call of the agent under test, as Pacemaker makes it for one of the two instances of a promotable clone.

use std::path::Path;

pub use crate::vm_agent::answer::{NEVER, peer};
pub use crate::vm_agent::call::Call;

/// Ours, where it is installed.
pub const AGENT: &str = "/usr/lib/ocf/resource.d/san/DRBD-helper";
const PEER: &str = "/usr/lib/ocf/resource.d/linbit/drbd";

impl Call {
    /// For this DRBD resource. The action `probe` is a monitor with interval 0.
    pub fn new(action: &str, resource: &str, dir: &Path) -> Self {
        let call = Self::plain(if peer() { PEER } else { AGENT }, action, "p_drbd", dir);
        let clone = [
            ("on_node", "solo"),
            ("notify", "true"),
            ("clone_max", "2"),
            ("clone_node_max", "1"),
            ("master_max", "1"),
            ("master_node_max", "1"),
            ("promoted_max", "1"),
            ("promoted_node_max", "1"),
        ];
        let call = clone.iter().fold(call, |call, (name, value)| call.set(&format!("CRM_meta_{name}"), value));
        call.set("crm_feature_set", "3.16.2").set("drbd_resource", resource).within(120)
    }

    /// As systemd would call it through drbd-reactor's ocf-rs-wrapper: nothing of Pacemaker.
    pub fn without_pacemaker(mut self) -> Self {
        self.env.retain(|name, _| !name.contains("CRM_meta") && !name.contains("crm_feature_set"));
        self
    }

    /// Its time-out for ours; the peer has ten minutes, which it needs where processors are emulated and busy.
    pub fn within(self, seconds: u32) -> Self {
        self.seconds(if peer() { 600 } else { seconds })
    }

    /// A notification of this type and operation, as in `post`, `promote`.
    pub fn of(self, kind: &str, operation: &str) -> Self {
        self.env("OCF_RESKEY_CRM_meta_notify_type", kind)
            .env("OCF_RESKEY_CRM_meta_notify_operation", operation)
            .env("OCF_RESKEY_CRM_meta_notify_start_uname", "")
    }
}
