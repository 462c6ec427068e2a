//! What speaks for a split brain on this side: what the handlers wrote down, what the kernel log says, what the states show.

use crate::agents::drbd_helper::guard::{Guard, Reason};
use crate::agents::drbd_helper::marker::{self, MARKERS};
use crate::kernel::attr::Root;
use crate::kernel::drbd::kernel_log::split_brain_in_kernel_log;
use crate::kernel::drbd::model::{ConnectionState, DiskState, Resource};

/// All of it, in words; empty when nothing does. A resource that is `StandAlone` because somebody disconnected it shows none of this.
#[must_use]
pub fn of_split_brain(root: &Root, resource: &str, state: Option<&Resource>) -> Vec<String> {
    let mut found = Vec::new();
    match Guard::load(root, resource) {
        Ok(guard) => {
            let entry = guard.entries.iter().find(|entry| entry.reason == Reason::SplitBrain);
            found.extend(entry.map(|entry| format!("guarded since {} by {}", entry.since, entry.by)));
        }
        Err(e) => found.push(format!("a guard that can not be understood: {e}")),
    }
    if !marker::of(root, resource).unwrap_or_default().is_empty() {
        found.push(format!("a marker in {MARKERS}"));
    }
    let Some(state) = state else { return found };
    let minors: Vec<u32> = state.devices.iter().map(|device| device.minor).collect();
    let is_alone = |state: Option<ConnectionState>| state == Some(ConnectionState::StandAlone);
    if state.connections.iter().all(|connection| connection.state != Some(ConnectionState::Connected))
        && split_brain_in_kernel_log(root, resource, &minors).unwrap_or(false)
    {
        found.push("the kernel log".to_owned());
    }
    let mut peers = state.peer_devices();
    if peers.any(|(connection, peer)| is_alone(connection.state) && peer.disk == Some(DiskState::Outdated)) {
        found.push("StandAlone with an outdated peer".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::drbd::model::{Connection, Device, PeerDevice};

    fn state(connection: ConnectionState, peer: DiskState) -> Resource {
        let peer = PeerDevice { disk: Some(peer), ..PeerDevice::default() };
        Resource {
            name: "r0".into(),
            devices: vec![Device { minor: 10, ..Device::default() }],
            connections: vec![Connection { state: Some(connection), peer_devices: vec![peer], ..Connection::default() }],
            ..Resource::default()
        }
    }

    #[test]
    fn somebody_who_disconnects_makes_no_split_brain() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let of = |state: &Resource| of_split_brain(&root, "r0", Some(state));
        assert!(of(&state(ConnectionState::StandAlone, DiskState::DUnknown)).is_empty());
        assert_eq!(of(&state(ConnectionState::StandAlone, DiskState::Outdated)), ["StandAlone with an outdated peer"]);
        assert!(of(&state(ConnectionState::Connecting, DiskState::Outdated)).is_empty());
        root.dir("/dev")
            .set("kmsg", "<1>[   12.3] block drbd10: Split-Brain detected but unresolved, dropping connection!")
            .unwrap();
        assert_eq!(of(&state(ConnectionState::Connecting, DiskState::DUnknown)), ["the kernel log"]);
        assert!(of(&state(ConnectionState::Connected, DiskState::UpToDate)).is_empty());
        marker::make(&root, "r0", &[7]).unwrap();
        assert_eq!(of_split_brain(&root, "r0", None), ["a marker in /var/run/drbd/splitbrain"]);
        marker::forget(&root, "r0").unwrap();
        assert!(of_split_brain(&root, "r0", None).is_empty());
    }
}
