//! What speaks for a split brain on this side: what the handlers wrote down, what the kernel log says, what the states show.

use std::iter;

use super::cleared::{self, Noted};
use super::guard::{Guard, Reason};
use super::marker::{self, MARKERS};
use super::peering::{self, is_any_cut};
use super::record::Record;
use crate::kernel::attr::Root;
use crate::kernel::drbd::kernel_log::{both_primary_in_kernel_log, split_brain_in_kernel_log};
use crate::kernel::drbd::model::Resource;
use crate::kernel::error::Result;

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
    found.extend(told(root, resource, state));
    if state.is_some_and(|state| peering::stands_alone_with_outdated_peer(state) && !met_as_primaries(root, state)) {
        found.push("StandAlone with an outdated peer".to_owned());
    }
    found
}

/// Whether the handler or the kernel has told of a split brain since this resource was last connected. Looks at nothing while it is.
#[must_use]
pub fn is_told(root: &Root, resource: &Resource) -> bool {
    is_any_cut(resource) && told(root, &resource.name, Some(resource)).next().is_some()
}

/// Whether it stands alone because both were Primary when they met, and the kernel says that their data have one history: a node stood still, was
/// given up and goes on. Looks at nothing but the states where these say otherwise.
#[must_use]
pub fn met_as_primaries(root: &Root, resource: &Resource) -> bool {
    peering::stands_alone(resource) && in_log(root, resource, both_primary_in_kernel_log) && !has_marker(root, &resource.name)
}

/// Whether that it stands alone with an outdated peer has a reason that is none to fear.
#[must_use]
pub(super) fn is_excused(root: &Root, resource: &Resource, record: &Record) -> bool {
    let has_met = || record.met_as_primaries || met_as_primaries(root, resource);
    record.never_connected || (peering::stands_alone_with_outdated_peer(resource) && has_met())
}

/// What the handler and the kernel have told, the former first.
fn told<'a>(root: &'a Root, name: &'a str, state: Option<&'a Resource>) -> impl Iterator<Item = String> + 'a {
    let marker = iter::once_with(move || has_marker(root, name).then(|| format!("a marker in {MARKERS}")));
    let log = iter::once_with(move || state.is_some_and(|state| is_in_log(root, state)).then(|| "the kernel log".to_owned()));
    marker.chain(log).flatten()
}

/// Whether the handler has left a marker.
pub(super) fn has_marker(root: &Root, name: &str) -> bool {
    marker::of(root, name).inspect_err(|e| tracing::debug!("{e}")).is_ok_and(|markers| !markers.is_empty())
}

/// Where all is connected the log may have lost the line that says so.
fn is_in_log(root: &Root, resource: &Resource) -> bool {
    is_any_cut(resource) && in_log(root, resource, split_brain_in_kernel_log)
}

/// Whether the kernel log says this of the resource, since somebody has chosen last.
fn in_log(root: &Root, resource: &Resource, says: fn(&Root, &str, &[u32], Option<u64>) -> Result<bool>) -> bool {
    let minors: Vec<u32> = resource.devices.iter().map(|device| device.minor).collect();
    let said = says(root, &resource.name, &minors, cleared::until(root, &resource.name));
    said.inspect_err(|e| tracing::debug!("{e}")).unwrap_or(false)
}

/// A split brain is over, or somebody has chosen: what has been told of it up to now counts no more, as far as that can be noted.
///
/// # Errors
/// A marker can not be removed, or that it is over can not be noted.
pub fn forget_split_brain(root: &Root, resource: &str) -> Result<Noted> {
    marker::forget(root, resource)?;
    cleared::note(root, resource)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::drbd::model::{Connection, ConnectionState, Device, DiskState, PeerDevice};

    fn state(connection: ConnectionState, peer: DiskState) -> Resource {
        let peer = PeerDevice { disk: Some(peer), ..PeerDevice::default() };
        Resource {
            name: "r0".into(),
            devices: vec![Device { minor: 10, ..Device::default() }],
            connections: vec![Connection { state: Some(connection), peer_devices: vec![peer], ..Connection::default() }],
            ..Resource::default()
        }
    }

    const LINE: &str = "<1>[   12.3] block drbd10: Split-Brain detected but unresolved, dropping connection!";

    #[test]
    fn somebody_who_disconnects_makes_no_split_brain() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let of = |state: &Resource| of_split_brain(&root, "r0", Some(state));
        assert!(of(&state(ConnectionState::StandAlone, DiskState::DUnknown)).is_empty());
        assert_eq!(of(&state(ConnectionState::StandAlone, DiskState::Outdated)), ["StandAlone with an outdated peer"]);
        assert!(of(&state(ConnectionState::Connecting, DiskState::Outdated)).is_empty());
        root.dir("/dev").set("kmsg", LINE).unwrap();
        assert_eq!(of(&state(ConnectionState::Connecting, DiskState::DUnknown)), ["the kernel log"]);
        assert!(of(&state(ConnectionState::Connected, DiskState::UpToDate)).is_empty());
        marker::make(&root, "r0", &[7]).unwrap();
        assert_eq!(of_split_brain(&root, "r0", None), ["a marker in /var/run/drbd/splitbrain"]);
        marker::forget(&root, "r0").unwrap();
        assert!(of_split_brain(&root, "r0", None).is_empty());
    }

    #[test]
    fn a_marker_or_the_log_tells_while_some_peer_is_not_connected() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let waits = state(ConnectionState::Connecting, DiskState::DUnknown);
        assert!(!is_told(&root, &waits));
        marker::make(&root, "r0", &[1]).unwrap();
        assert!(is_told(&root, &waits) && !is_told(&root, &state(ConnectionState::Connected, DiskState::UpToDate)));
        assert_eq!(forget_split_brain(&root, "r0").unwrap(), Noted::All);
        assert!(!is_told(&root, &waits));
        root.dir("/dev").set("kmsg", LINE).unwrap();
        assert!(is_told(&root, &waits));
        root.dir("/proc/sys/kernel/random").set("boot_id", "6d1f\n").unwrap();
        assert_eq!(forget_split_brain(&root, "r0").unwrap(), Noted::All);
        assert!(!is_told(&root, &waits) && of_split_brain(&root, "r0", Some(&waits)).is_empty(), "the log still has it");
        root.dir("/dev").set("kmsg", &LINE.replace("12.3", "12.4")).unwrap();
        // One of two is enough.
        let mut three = state(ConnectionState::Connected, DiskState::UpToDate);
        assert!(!is_told(&root, &three));
        three.connections.extend(waits.connections);
        assert!(is_told(&root, &three) && of_split_brain(&root, "r0", Some(&three)) == ["the kernel log"]);
    }
}
