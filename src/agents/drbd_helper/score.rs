//! The promotion score: how good a Primary this side would be. Decides from what it is given; asks and writes nothing.

use super::values::{PeerPrimary, Steps};
use crate::kernel::drbd::model::{Connection, Device, DiskState, PeerDevice, Resource};

/// What a score depends on beside the resource.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// The four scores.
    pub steps: Steps,
    /// Whether a guard stands that is to be heeded.
    pub is_guarded: bool,
    /// Whether a split brain is why a connection was dropped, and that is to be heeded.
    pub is_split: bool,
    /// Whether this node sees neither a peer nor a carrier where clients come from.
    pub is_cut_off: bool,
    /// What a Primary peer means to an instance that is not.
    pub peer_primary: PeerPrimary,
    /// Whether Pacemaker knows of a promoted instance; `None` when it was not asked.
    pub primary_is_expected: Option<bool>,
    /// The volumes in use; empty when that is not known. Others are being added, and do not count before they are up to date.
    pub volumes: &'a [(u32, u32)],
}

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// This score, above 0.
    Is(u32),
    /// No score: no promotion here.
    None,
    /// The one that there is: the disks are just being looked at.
    Untouched,
}

fn of(value: u32) -> Score {
    if value == 0 { Score::None } else { Score::Is(value) }
}

/// The score of this side of the resource.
#[must_use]
pub fn score(resource: &Resource, grounds: &Grounds) -> Score {
    let steps = grounds.steps;
    let devices = counted(resource, grounds.volumes);
    if devices.is_empty() || devices.iter().any(|device| device.has_quorum == Some(false)) {
        return Score::None;
    }
    // A promoted instance is not moved by what would keep another one from being promoted.
    if !resource.is_promoted(grounds.volumes)
        && (grounds.is_guarded || grounds.is_split || grounds.is_cut_off || is_kept_off(resource, &devices, grounds))
    {
        return Score::None;
    }
    let all = |state: DiskState| devices.iter().all(|device| device.disk == Some(state));
    let has_peer = resource.connections.iter().any(|connection| is_good(connection, &devices));
    if devices.iter().all(|device| device.is_client == Some(true)) {
        let all_peers = !resource.connections.is_empty() && resource.connections.iter().all(|peer| is_good(peer, &devices));
        return match has_peer {
            true if resource.is_primary() || all_peers => of(steps.best.saturating_sub(1)),
            true => of(steps.local.saturating_sub(1)),
            false => Score::None,
        };
    }
    let is_busy = |device: &Device| matches!(device.disk, Some(DiskState::Attaching | DiskState::Negotiating) | None);
    if devices.iter().any(|device| is_busy(device)) {
        return Score::Untouched;
    }
    if all(DiskState::UpToDate) {
        // What becomes of the peer is no reason to move what serves.
        return of(if resource.is_primary() || !is_alone(resource, &devices) { steps.best } else { steps.local });
    }
    // Not every volume by the same one, perhaps.
    let serves = |device: &&Device| {
        let mut peers = resource.peers_of(device.volume);
        device.disk == Some(DiskState::UpToDate)
            || peers.any(|(peer, on_it)| peer.is_connected() && on_it.disk == Some(DiskState::UpToDate))
    };
    if has_peer || (resource.is_primary() && devices.iter().all(serves)) {
        // It serves by the peer's disks: moving it would not be for nothing, but it is the peer's score that says so.
        return of(if resource.is_primary() { steps.best.saturating_sub(1) } else { steps.remote });
    }
    if all(DiskState::Consistent) { of(steps.consistent) } else { Score::None }
}

/// The devices that count.
fn counted<'a>(resource: &'a Resource, volumes: &[(u32, u32)]) -> Vec<&'a Device> {
    let is_in_use = |device: &&Device| device.is_among(volumes) || device.disk == Some(DiskState::UpToDate);
    resource.devices.iter().filter(is_in_use).collect()
}

/// Whether all that is counted is up to date on this peer.
fn is_good(connection: &Connection, devices: &[&Device]) -> bool {
    let on_peer = |device: &&Device| connection.peer_devices.iter().find(|peer| peer.volume == device.volume);
    let is_up = |peer: &PeerDevice| peer.disk == Some(DiskState::UpToDate);
    connection.is_connected() && devices.iter().all(|device| on_peer(device).is_some_and(is_up))
}

/// Whether what some peer has is not known. What a peer without any disk has, is.
fn is_alone(resource: &Resource, devices: &[&Device]) -> bool {
    let unknown = |disk: Option<DiskState>| matches!(disk, None | Some(DiskState::DUnknown));
    devices.iter().any(|device| {
        let mut peers = resource.peers_of(device.volume).peekable();
        peers.peek().is_none() || peers.any(|(_, peer)| unknown(peer.disk))
    })
}

/// Whether a peer that is Primary, and has all the data itself, is a reason for no score.
fn is_kept_off(resource: &Resource, devices: &[&Device], grounds: &Grounds) -> bool {
    let is_there = || resource.primary_peers().any(|peer| is_good(peer, devices));
    match grounds.peer_primary {
        PeerPrimary::Keep => false,
        PeerPrimary::Remove => is_there(),
        PeerPrimary::Unexpected => grounds.primary_is_expected == Some(false) && is_there(),
    }
}
