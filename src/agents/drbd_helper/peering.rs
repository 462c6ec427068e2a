//! How the two sides of a mirror stand to each other: connected, apart, split, equal. Decides from what it is given; asks and writes nothing.

use super::guard::{Guard, Reason};
use crate::kernel::drbd::model::{Connection, ConnectionState, Device, DiskState, PeerDevice, Replication, Resource};

/// Whether a connection is down, or has just come up: before the two have compared their data, it proves nothing.
#[must_use]
pub fn is_cut(connection: &Connection) -> bool {
    !connection.is_connected()
}

/// Whether some peer is not connected, or has not been compared with.
#[must_use]
pub fn is_any_cut(resource: &Resource) -> bool {
    resource.connections.is_empty() || resource.connections.iter().any(is_cut)
}

/// Whether some peer is not there, nor about to be.
#[must_use]
pub fn lacks_peer(resource: &Resource) -> bool {
    resource.connections.is_empty() || resource.connections.iter().any(|it| is_cut(it) && !it.is_in_handshake())
}

/// Whether some peer is connected.
#[must_use]
pub fn is_connected(resource: &Resource) -> bool {
    resource.connections.iter().any(|connection| !is_cut(connection))
}

/// Whether this peer is connected, and both have told each other about their data. What is Inconsistent here may be a volume that the peer
/// does not have yet, and is no data that could be promoted.
#[must_use]
pub fn has_met(resource: &Resource, connection: &Connection) -> bool {
    let counts = |volume: u32| resource.devices.iter().any(|d| d.volume == volume && d.disk > Some(DiskState::Inconsistent));
    let is_told = |peer: &PeerDevice| peer.replication.is_some_and(|replication| replication != Replication::Off);
    !is_cut(connection) && connection.peer_devices.iter().filter(|peer| counts(peer.volume)).all(is_told)
}

/// Whether nothing connects it before somebody says so.
#[must_use]
pub fn stands_alone(resource: &Resource) -> bool {
    !resource.devices.is_empty() && (resource.connections.is_empty() || resource.connections.iter().any(is_alone))
}

/// Whether nothing connects it to any peer before somebody says so.
#[must_use]
pub fn all_stand_alone(resource: &Resource) -> bool {
    resource.connections.iter().all(is_alone)
}

fn is_alone(connection: &Connection) -> bool {
    connection.state == Some(ConnectionState::StandAlone)
}

/// Whether a split brain may be why it is not connected: a guard that can not be read may have been one for that.
#[must_use]
pub fn is_split(resource: &Resource, guard: &Guard, was_told: bool, is_excused: bool) -> bool {
    is_certainly_split(resource, guard, was_told || guard.has(Reason::Unreadable), is_excused)
}

/// Whether a split brain is why it is not connected: by the guard, by what was told, or because it stands alone although the peer was
/// outdated, which then has outdated this side too. Somebody who disconnects leaves none of these. That last one `is_excused` where nobody has
/// connected it since it was made, and its meta-data know that the peer was outdated when it was last there; and where both were Primary when they
/// met ([`super::evidence::met_as_primaries`]).
#[must_use]
pub fn is_certainly_split(resource: &Resource, guard: &Guard, was_told: bool, is_excused: bool) -> bool {
    let was_dropped = !is_excused && stands_alone_with_outdated_peer(resource);
    is_any_cut(resource) && (was_told || guard.has(Reason::SplitBrain) || was_dropped)
}

/// Whether it stands alone although the peer was outdated.
#[must_use]
pub fn stands_alone_with_outdated_peer(resource: &Resource) -> bool {
    resource.peer_devices().any(|(connection, peer)| is_alone(connection) && peer.disk == Some(DiskState::Outdated))
}

/// Whether both sides are proven equal: every peer connected, and every disk on both sides up to date. What a peer that is meant to have no
/// disk lacks is not missing.
#[must_use]
pub fn is_equal(resource: &Resource) -> bool {
    is_equal_to(resource, |_| true)
}

/// Whether this side and those of its peers that are meant are proven equal.
#[must_use]
pub fn is_equal_to(resource: &Resource, is_meant: impl Fn(&Connection) -> bool) -> bool {
    let up = Some(DiskState::UpToDate);
    let peer_is = |peer: &PeerDevice| {
        peer.is_client == Some(true) || (peer.disk == up && peer.replication == Some(Replication::Established))
    };
    let meant = || resource.connections.iter().filter(|connection| is_meant(connection));
    let has = |device: &Device, peer: &PeerDevice| peer.volume == device.volume && peer.is_client != Some(true);
    let is_mirrored = |device: &Device| meant().any(|peer| peer.peer_devices.iter().any(|peer| has(device, peer)));
    !resource.devices.is_empty()
        && resource.devices.iter().all(|device| device.disk == up && is_mirrored(device))
        && meant().all(|peer| !is_cut(peer) && peer.peer_devices.iter().all(peer_is))
}

/// Whether another node is Primary as well.
#[must_use]
pub fn has_two_primaries(resource: &Resource) -> bool {
    resource.is_primary() && resource.primary_peers().next().is_some()
}
