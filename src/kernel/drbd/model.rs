//! What a DRBD resource is, whichever kernel and program told it: resource, devices (its volumes here), connections, and the peers' devices.
//!
//! Versions differ in what they tell, so whatever may be left out is an `Option`: `None` is "not said", never "no" and never "stopped".

use std::fmt;
use std::time::Duration;

pub use super::states::{ConnectionState, DiskState, Replication, Role};

/// Why I/O stands still. 8.4's `/proc/drbd` says only that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the kernel has a flag for each, and several can be set at once")]
pub struct Suspension {
    /// Somebody said `suspend-io`.
    pub user: bool,
    /// No up to date data can be reached.
    pub no_data: bool,
    /// The fence-peer handler has not made sure that the peer is outdated.
    pub fencing: bool,
    /// There is no quorum (DRBD 9).
    pub quorum: bool,
    /// For a reason that is not told.
    pub untold: bool,
}

impl Suspension {
    /// Whether I/O stands still.
    #[must_use]
    pub fn is_any(self) -> bool {
        self.user || self.no_data || self.fencing || self.quorum || self.untold
    }
}

impl fmt::Display for Suspension {
    /// `fencing,quorum`; `yes` when the reason is not told; `no`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [("user", self.user), ("no-data", self.no_data), ("fencing", self.fencing), ("quorum", self.quorum)];
        let set: Vec<_> = all.iter().filter(|(_, is)| *is).map(|(word, _)| *word).collect();
        match (set.is_empty(), self.untold) {
            (false, _) => f.write_str(&set.join(",")),
            (true, true) => f.write_str("yes"),
            (true, false) => f.write_str("no"),
        }
    }
}

/// A resource as it is on this node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// The role here: on 8.4 that of its volumes, Primary if one of them is.
    pub role: Option<Role>,
    /// Whether and why I/O stands still.
    pub suspended: Suspension,
    /// Whether all I/O is made to fail (DRBD 9, `secondary --force`).
    pub fails_io: Option<bool>,
    /// Its volumes here, by number.
    pub devices: Vec<Device>,
    /// Its connections. 8.4 has one at the most, and none is shown for a `StandAlone` one that has no network configuration.
    pub connections: Vec<Connection>,
}

/// A volume of a resource here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// The number of the volume.
    pub volume: u32,
    /// The minor number, up to 1048575.
    pub minor: u32,
    /// Its own role, which only 8.4 has; DRBD 9 has one for the resource.
    pub role: Option<Role>,
    /// The local disk.
    pub disk: Option<DiskState>,
    /// Whether it is without a disk on purpose (DRBD 9).
    pub is_client: Option<bool>,
    /// Whether it has quorum (DRBD 9).
    pub has_quorum: Option<bool>,
    /// Whether somebody has it open (DRBD 9).
    pub is_open: Option<bool>,
    /// The disk below.
    pub backing: Option<String>,
    /// Its size in KiB.
    pub size: Option<u64>,
    /// Read from the local disk, in KiB. 8.4 counts sectors in 32 bits, so it begins again at 2 TiB.
    pub read: Option<u64>,
    /// Written to the local disk, in KiB; as `read`.
    pub written: Option<u64>,
    /// Requests of applications that are not completed yet.
    pub pending: Option<u64>,
    /// Whether updates of the activity log are suspended.
    pub is_al_suspended: Option<bool>,
}

impl Device {
    /// Whether its volume is one of these (number and minor), which all are where none is named.
    #[must_use]
    pub fn is_among(&self, volumes: &[(u32, u32)]) -> bool {
        volumes.is_empty() || volumes.iter().any(|(volume, _)| *volume == self.volume)
    }
}

/// A connection to one peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connection {
    /// The name of the peer; 8.4 does not tell.
    pub peer: Option<String>,
    /// The node id of the peer (DRBD 9).
    pub peer_node_id: Option<u32>,
    /// Its state.
    pub state: Option<ConnectionState>,
    /// The role of the peer.
    pub peer_role: Option<Role>,
    /// Whether the network does not take what is written.
    pub is_congested: Option<bool>,
    /// The peer's side of each volume.
    pub peer_devices: Vec<PeerDevice>,
}

/// A volume as it is on a peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerDevice {
    /// The number of the volume.
    pub volume: u32,
    /// What the two are doing.
    pub replication: Option<Replication>,
    /// The peer's disk.
    pub disk: Option<DiskState>,
    /// Whether the peer is without a disk on purpose (DRBD 9).
    pub is_client: Option<bool>,
    /// Whether a resync is paused, and by whom: a list of user, peer, dependency; empty when it is not.
    pub paused_by: Vec<String>,
    /// Known to differ, in KiB.
    pub out_of_sync: Option<u64>,
    /// Sent and received, in KiB; 8.4: see [`Device::read`].
    pub sent: Option<u64>,
    /// As `sent`.
    pub received: Option<u64>,
    /// How far a resync or a verify is.
    pub progress: Option<Progress>,
}

/// How far a resync or a verify is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Thousandths that are done.
    pub permille: Option<u16>,
    /// What is left at the present speed; `None` when there is no telling.
    pub left: Option<Duration>,
    /// KiB a second, lately.
    pub speed: Option<u64>,
    /// Whether nothing has moved for three minutes.
    pub is_stalled: bool,
}

impl Connection {
    /// Whether the peer has answered and the two have not compared their data yet: a split brain, and who is newer, shows only then.
    #[must_use]
    pub fn is_in_handshake(&self) -> bool {
        self.state == Some(ConnectionState::Connected)
            && self.peer_devices.iter().all(|peer| peer.replication == Some(Replication::Off))
    }

    /// Whether it is connected, and the two have compared their data.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == Some(ConnectionState::Connected) && !self.is_in_handshake()
    }
}

impl Resource {
    /// The peer's side of a volume, over each connection.
    pub fn peers_of(&self, volume: u32) -> impl Iterator<Item = (&Connection, &PeerDevice)> {
        self.connections.iter().flat_map(|c| c.peer_devices.iter().map(move |p| (c, p))).filter(move |(_, p)| p.volume == volume)
    }

    /// Every peer's side of every volume.
    pub fn peer_devices(&self) -> impl Iterator<Item = (&Connection, &PeerDevice)> {
        self.connections.iter().flat_map(|c| c.peer_devices.iter().map(move |p| (c, p)))
    }

    /// Whether it, or any volume of it, is Primary here: it may be written to.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.role == Some(Role::Primary)
    }

    /// The connections to peers that are Primary; as a rule that is one at the most.
    pub fn primary_peers(&self) -> impl Iterator<Item = &Connection> {
        let is_primary = |c: &&Connection| c.state == Some(ConnectionState::Connected) && c.peer_role == Some(Role::Primary);
        self.connections.iter().filter(is_primary)
    }

    /// Whether it is Primary here with all the volumes in use, which are all of them where `in_use` names none.
    #[must_use]
    pub fn is_promoted(&self, in_use: &[(u32, u32)]) -> bool {
        self.is_primary() && self.unpromoted(in_use).is_none()
    }

    /// The first volume in use that is not Primary by itself.
    #[must_use]
    pub fn unpromoted(&self, in_use: &[(u32, u32)]) -> Option<&Device> {
        self.devices.iter().find(|device| device.role.is_some_and(|role| role != Role::Primary) && device.is_among(in_use))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_promoted_when_all_volumes_in_use_are_primary_and_primary_when_one_is() {
        let of = |role, roles: &[Option<Role>]| {
            let devices = (0..).zip(roles).map(|(volume, role)| Device { volume, role: *role, ..Device::default() });
            Resource { role: Some(role), devices: devices.collect(), ..Resource::default() }
        };
        let (primary, secondary) = (Some(Role::Primary), Some(Role::Secondary));
        assert!(of(Role::Primary, &[None, None]).is_promoted(&[]), "DRBD 9");
        assert!(!of(Role::Secondary, &[None]).is_promoted(&[]));
        assert!(of(Role::Primary, &[primary, primary]).is_promoted(&[]));
        let partly = of(Role::Primary, &[primary, secondary]);
        assert!(partly.is_primary() && !partly.is_promoted(&[]) && !partly.is_promoted(&[(0, 0), (1, 1)]));
        assert!(partly.is_promoted(&[(0, 0)]), "the other is being added");
        assert!(!partly.is_promoted(&[(1, 1)]));
    }

    #[test]
    fn two_that_have_not_compared_their_data_are_not_connected() {
        let of = |state, all: &[Option<Replication>]| {
            let peer_devices = all.iter().map(|replication| PeerDevice { replication: *replication, ..PeerDevice::default() });
            let it = Connection { state: Some(state), peer_devices: peer_devices.collect(), ..Connection::default() };
            (it.is_in_handshake(), it.is_connected())
        };
        let (off, on) = (Some(Replication::Off), Some(Replication::Established));
        for none_yet in [&[][..], &[off], &[off, off]] {
            assert_eq!(of(ConnectionState::Connected, none_yet), (true, false));
        }
        // A volume that the peer does not have stays off; and what is not said is not denied.
        for compared in [&[on][..], &[off, on], &[Some(Replication::WFBitMapT)], &[None]] {
            assert_eq!(of(ConnectionState::Connected, compared), (false, true));
        }
        assert_eq!(of(ConnectionState::Connecting, &[off]), (false, false));
    }

    #[test]
    fn a_primary_peer_is_one_that_is_connected() {
        let peer = |state, role| Connection { state: Some(state), peer_role: Some(role), ..Connection::default() };
        let of = |connections| Resource { connections, ..Resource::default() }.primary_peers().count();
        let primary = peer(ConnectionState::Connected, Role::Primary);
        assert_eq!(of(vec![primary.clone(), peer(ConnectionState::Connected, Role::Secondary)]), 1);
        assert_eq!(of(vec![primary.clone(), primary]), 2);
        assert_eq!(of(vec![peer(ConnectionState::Connecting, Role::Primary)]), 0);
    }
}
