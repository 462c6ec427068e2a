//! Which node was Primary last, as far as this one has seen: kept over a reboot, so that a node that comes up alone knows whether the other one
//! may have newer data.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::guard::records_of;
use super::peering;
use crate::kernel::attr::Root;
use crate::kernel::drbd::model::{Connection, Resource};
use crate::kernel::error::{KernelError, Result};
use crate::ocf::log;

const FILE: &str = "last-primary.json";

/// Who was Primary last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// This node.
    Here,
    /// A peer.
    Peer,
    /// Nobody since the disks were last seen to be equal.
    Nobody,
}

/// What was last seen of a Primary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPrimary {
    /// Who it was.
    pub who: Who,
    /// The name of the node, as far as it is known: the host name of this one, what DRBD 9 calls the peer. Where it is nobody any more,
    /// the peer that was the last one.
    #[serde(default)]
    pub node: Option<String>,
    /// When that was seen, in UTC: `2026-01-31T12:00:00Z`.
    pub at: String,
    /// What happened: `promoted`, `demoted`, `seen`, `cleared`.
    pub event: String,
}

impl LastPrimary {
    /// What is seen now.
    #[must_use]
    pub fn now(who: Who, node: Option<String>, event: &str) -> Self {
        Self { who, node, at: now(), event: event.to_owned() }
    }

    /// What was last seen of this resource; `None` when nothing was.
    ///
    /// # Errors
    /// It is there and can not be read or understood: whoever comes up alone must take that for a peer that was Primary last.
    pub fn load(root: &Root, resource: &str) -> Result<Option<Self>> {
        let dir = records_of(root, resource);
        let Some(text) = dir.read_opt(FILE)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|e| KernelError::new("understand", dir.path().join(FILE), e.into()))
    }

    /// Writes it down, on the disk when this returns.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn save(&self, root: &Root, resource: &str) -> Result<()> {
        let dir = records_of(root, resource);
        dir.create_all(0o755)?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| KernelError::new("write", dir.path().join(FILE), e.into()))?;
        dir.replace_file_for_good(FILE, &text)
    }

    /// Somebody knows that this side has the newest data, or the newest that are left: no peer was Primary later.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn settle(root: &Root, resource: &str) -> Result<()> {
        let node = match Self::load(root, resource) {
            Ok(Some(last)) if last.who == Who::Peer => last.node,
            Ok(_) => return Ok(()),
            Err(_) => None,
        };
        Self::now(Who::Nobody, node, "cleared").save(root, resource)
    }

    /// As [`LastPrimary::save`]; that it fails is logged.
    pub fn note(&self, root: &Root, resource: &str) {
        if let Err(e) = self.save(root, resource) {
            tracing::warn!("{e}");
        }
    }
}

/// The peer that was Primary last, or may have been: whoever comes up without it may hold older data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPeer {
    /// Its name, as far as it is known.
    pub node: Option<String>,
    /// What is known, in words.
    pub detail: String,
}

impl LastPeer {
    /// That of this resource; `None` when it was no peer, or nobody since the disks were equal.
    #[must_use]
    pub fn load(root: &Root, resource: &str) -> Option<Self> {
        Self::of(root, resource, &[Who::Peer])
    }

    /// As [`LastPeer::load`], whether or not the disks have been equal since.
    #[must_use]
    pub fn load_any(root: &Root, resource: &str) -> Option<Self> {
        Self::of(root, resource, &[Who::Peer, Who::Nobody])
    }

    fn of(root: &Root, resource: &str, meant: &[Who]) -> Option<Self> {
        match LastPrimary::load(root, resource) {
            Ok(last) => last.filter(|last| meant.contains(&last.who)).map(|last| Self {
                detail: format!("{} was Primary at {}", last.node.as_deref().unwrap_or("the peer"), last.at),
                node: last.node,
            }),
            Err(e) => Some(Self { node: None, detail: format!("who was Primary last could not be read ({e})") }),
        }
    }

    /// Whether that connection leads to it; to any peer where no name is known.
    #[must_use]
    pub fn is(&self, connection: &Connection) -> bool {
        match (&self.node, &connection.peer) {
            (Some(node), Some(peer)) => node == peer,
            _ => true,
        }
    }

    /// Whether it is connected, and both sides have told each other about their data. Where there is no telling which peer it is, that takes
    /// all of them.
    #[must_use]
    pub fn is_met(&self, resource: &Resource) -> bool {
        let mut meant = resource.connections.iter().filter(|connection| self.is(connection)).peekable();
        meant.peek().is_some() && meant.all(|connection| peering::has_met(resource, connection))
    }

    /// Whether this side is proven to have the same data. Where there is no telling which peer it is, that takes all of them.
    #[must_use]
    pub fn is_equal(&self, resource: &Resource) -> bool {
        peering::is_equal(resource) || (self.node.is_some() && peering::is_equal_to(resource, |connection| self.is(connection)))
    }
}

/// Now, in UTC, as the records have it.
#[must_use]
pub fn now() -> String {
    let ((year, month, day), time) = log::utc(SystemTime::now());
    format!("{year:04}-{month:02}-{day:02}T{time}Z")
}

/// The name of this node.
#[must_use]
pub fn this_node(root: &Root) -> Option<String> {
    let name = root.dir("/proc/sys/kernel").read_opt("hostname").ok().flatten()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::drbd::model::{ConnectionState, Device, DiskState, PeerDevice, Replication};

    #[test]
    fn what_was_seen_last_is_read_back_and_rubbish_may_have_been_a_peer() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        assert_eq!((LastPrimary::load(&root, "r0").unwrap(), LastPeer::load(&root, "r0")), (None, None));
        let seen = LastPrimary { at: "2026-01-31T12:00:00Z".into(), ..LastPrimary::now(Who::Peer, Some("node2".into()), "seen") };
        seen.save(&root, "r0").unwrap();
        assert_eq!(LastPrimary::load(&root, "r0").unwrap(), Some(seen));
        let peer = LastPeer::load(&root, "r0").unwrap();
        assert_eq!((peer.node.as_deref(), peer.detail.as_str()), (Some("node2"), "node2 was Primary at 2026-01-31T12:00:00Z"));
        LastPrimary::now(Who::Here, None, "demoted").save(&root, "r0").unwrap();
        assert_eq!(LastPeer::load(&root, "r0"), None);
        LastPrimary::settle(&root, "r0").unwrap();
        assert_eq!(LastPrimary::load(&root, "r0").unwrap().unwrap().who, Who::Here);
        records_of(&root, "r0").set(FILE, "{").unwrap();
        LastPrimary::load(&root, "r0").unwrap_err();
        let peer = LastPeer::load(&root, "r0").unwrap();
        assert!(
            peer.node.is_none() && peer.detail.starts_with("who was Primary last could not be read (understand "),
            "{peer:?}"
        );
        LastPrimary::settle(&root, "r0").unwrap();
        assert_eq!(LastPeer::load(&root, "r0"), None);
    }

    fn peer(name: Option<&str>, replication: Replication, disk: DiskState) -> Connection {
        let peer = PeerDevice { replication: Some(replication), disk: Some(disk), ..PeerDevice::default() };
        Connection {
            peer: name.map(str::to_owned),
            state: Some(ConnectionState::Connected),
            peer_devices: vec![peer],
            ..Connection::default()
        }
    }

    fn beside(connections: Vec<Connection>) -> Resource {
        let device = Device { disk: Some(DiskState::UpToDate), ..Device::default() };
        Resource { devices: vec![device], connections, ..Resource::default() }
    }

    #[test]
    fn with_three_nodes_only_the_one_that_was_primary_last_proves_anything() {
        use {DiskState::UpToDate, Replication::Established};
        let last = |node: Option<&str>| LastPeer { node: node.map(str::to_owned), detail: String::new() };
        let there = |name| peer(Some(name), Established, UpToDate);
        let gone = |name: &str| Connection { peer: Some(name.to_owned()), ..Connection::default() };
        let one = beside(vec![gone("node2"), there("node3")]);
        assert!(!last(Some("node2")).is_met(&one) && !last(Some("node2")).is_equal(&one));
        assert!(last(Some("node3")).is_met(&one) && last(Some("node3")).is_equal(&one));
        assert!(!last(None).is_met(&one) && !last(None).is_equal(&one), "it may be either");
        let all = beside(vec![there("node2"), there("node3")]);
        assert!(last(None).is_equal(&all) && last(Some("node4")).is_equal(&all) && !last(Some("node4")).is_met(&all));
        let unnamed = beside(vec![peer(None, Established, UpToDate)]);
        assert!(last(Some("node2")).is_met(&unnamed) && last(Some("node2")).is_equal(&unnamed));
    }

    #[test]
    fn a_peer_is_met_after_the_handshake_and_equal_after_the_resync() {
        use {DiskState::UpToDate, Replication::SyncTarget};
        let node2 = LastPeer { node: Some("node2".into()), detail: String::new() };
        let with = |replication, disk| beside(vec![peer(Some("node2"), replication, disk)]);
        assert!(!node2.is_met(&with(Replication::Off, DiskState::DUnknown)));
        assert!(node2.is_met(&with(SyncTarget, UpToDate)) && !node2.is_equal(&with(SyncTarget, UpToDate)));
        let mut old = with(Replication::Established, UpToDate);
        old.devices[0].disk = Some(DiskState::Outdated);
        assert!(!node2.is_equal(&old));
        // A volume that the peer does not have yet.
        old.devices.push(Device { volume: 1, disk: Some(DiskState::Inconsistent), ..Device::default() });
        old.connections[0].peer_devices.push(PeerDevice {
            volume: 1,
            replication: Some(Replication::Off),
            ..PeerDevice::default()
        });
        assert!(node2.is_met(&old));
    }
}
