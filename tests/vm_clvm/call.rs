//! A call of the agent under test, as a cluster makes it.

use std::path::Path;

pub use crate::vm_agent::answer::{NEVER, peer};
pub use crate::vm_agent::call::Call;

/// Ours, where it is installed.
pub const AGENT: &str = "/usr/lib/ocf/resource.d/san/cLVM";
/// Where the agents of the package resource-agents are.
const PEERS: &str = "/usr/lib/ocf/resource.d/heartbeat";

impl Call {
    /// Without any parameter. The action `probe` is a monitor with interval 0.
    pub fn new(action: &str, dir: &Path) -> Self {
        Self::plain(AGENT, action, "p_lvm", dir).peer_is("LVM-activate").seconds(90)
    }

    /// The name of the resource.
    pub fn named(self, instance: &str) -> Self {
        self.env("OCF_RESOURCE_INSTANCE", instance)
    }

    /// Instead of `LVM-activate`, when the peer is under test.
    pub fn peer_is(mut self, agent: &str) -> Self {
        if peer() {
            self.program = format!("{PEERS}/{agent}");
        }
        self
    }
}
