//! What this node knows of its side of a resource, as far as it can be told: written as JSON for the other node to read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agents::drbd_helper::evidence;
use crate::agents::drbd_helper::guard::{Entry, Guard};
use crate::agents::drbd_helper::last_primary::{self, LastPrimary};
use crate::commands::drbd::volumes::{Known, host};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::drbd::Drbd;
use crate::kernel::drbd::generation;
use crate::kernel::drbd::model::{ConnectionState, Replication, Role};
use crate::kernel::exec::Tool;
use crate::ocf::cib::{Fence, Pacemaker, Standing};

/// How long one question about a generation may take: on 8.4 it can be stuck behind any other request to DRBD.
const ASK: Duration = Duration::from_secs(5);

/// How long the cluster may take to answer.
const CLUSTER: Duration = Duration::from_secs(5);

/// One side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The host.
    pub node: String,
    /// The resource.
    pub resource: String,
    /// When this was, in UTC: `2026-01-31T12:00:00Z`.
    pub at: String,
    /// The module's version.
    #[serde(default)]
    pub drbd: Option<String>,
    /// The role here.
    #[serde(default)]
    pub role: Option<String>,
    /// Why I/O stands still; `no` when it does not.
    #[serde(default)]
    pub suspended: Option<String>,
    /// The connection to the peer.
    #[serde(default)]
    pub connection: Option<String>,
    /// The role of the peer.
    #[serde(default)]
    pub peer_role: Option<String>,
    /// The volumes.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// Who was Primary last, as far as this node has seen.
    #[serde(default)]
    pub last_primary: Option<LastPrimary>,
    /// Why this side is not promoted.
    #[serde(default)]
    pub guard: Vec<Entry>,
    /// What speaks for a split brain.
    #[serde(default)]
    pub split_brain: Vec<String>,
    /// The constraint that a fence-peer handler left in the cluster, and which nodes it lets be promoted.
    #[serde(default)]
    pub fenced: Option<String>,
    /// What could not be told, and why.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// A volume on one side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Volume {
    /// Its number.
    pub number: u32,
    /// Its minor.
    pub minor: u32,
    /// The disk here.
    #[serde(default)]
    pub disk: Option<String>,
    /// The peer's disk.
    #[serde(default)]
    pub peer_disk: Option<String>,
    /// What the two are doing.
    #[serde(default)]
    pub replication: Option<String>,
    /// Known to differ, in KiB. While disconnected: written here since then.
    #[serde(default)]
    pub out_of_sync: Option<u64>,
    /// `CURRENT:BITMAP:HISTORY:HISTORY`.
    #[serde(default)]
    pub generation: Option<String>,
}

impl Facts {
    /// Whether this side is Primary.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.role.as_deref() == Some(Role::Primary.word())
    }

    /// KiB that are known to differ over all volumes; `None` when one is not told.
    #[must_use]
    pub fn out_of_sync(&self) -> Option<u64> {
        if self.volumes.is_empty() {
            return None;
        }
        self.volumes.iter().map(|volume| volume.out_of_sync).sum()
    }

    /// Gathers them. What can not be told is left out and named.
    #[must_use]
    pub fn gather(root: &Root, resource: &str, known: &Known, deadline: Deadline) -> Self {
        let state = known.kernel.as_ref();
        let connection = state.and_then(|state| state.connections.first());
        let mut facts = Self {
            node: host(root),
            resource: resource.to_owned(),
            at: last_primary::now(),
            drbd: Drbd::open(root).ok().flatten().map(|drbd| drbd.version().to_string()),
            role: state.and_then(|state| state.role).map(|role| role.to_string()),
            suspended: state.map(|state| state.suspended.to_string()),
            connection: state.map(|_| connection.and_then(|c| c.state).unwrap_or(ConnectionState::StandAlone).to_string()),
            peer_role: connection.and_then(|connection| connection.peer_role).map(|role| role.to_string()),
            split_brain: evidence::of_split_brain(root, resource, state),
            missing: known.missing.clone(),
            ..Self::default()
        };
        match LastPrimary::load(root, resource) {
            Ok(last) => facts.last_primary = last,
            Err(e) => facts.missing.push(format!("last Primary: {e}")),
        }
        match Guard::load(root, resource) {
            Ok(guard) => facts.guard = guard.entries,
            Err(e) => facts.missing.push(format!("guard: {e}")),
        }
        facts.volumes(root, known, deadline);
        facts.constraint(root, deadline.within(CLUSTER));
        facts
    }

    fn volumes(&mut self, root: &Root, known: &Known, deadline: Deadline) {
        let disks = known.disks(root).unwrap_or_else(|e| {
            self.missing.push(format!("volumes: {e:#}"));
            Vec::new()
        });
        let mut does_answer = true;
        for (number, minor, _) in disks {
            let mut volume = Volume { number, minor, ..Volume::default() };
            let device = known.kernel.as_ref().and_then(|state| state.devices.iter().find(|device| device.volume == number));
            volume.disk = device.and_then(|device| device.disk).map(|disk| disk.to_string());
            let mut peer_id = None;
            if let Some((connection, peer)) = known.kernel.as_ref().and_then(|state| state.peers_of(number).next()) {
                peer_id = connection.peer_node_id;
                volume.peer_disk = peer.disk.map(|disk| disk.to_string());
                let replication = peer.replication.filter(|replication| *replication != Replication::Off);
                volume.replication = replication.map(|replication| replication.to_string());
                volume.out_of_sync = peer.out_of_sync;
            }
            // What did not answer once will not for the next volume either.
            if does_answer {
                match identifiers(root, &self.resource, (number, minor), (device.is_some(), peer_id), deadline.within(ASK)) {
                    Ok(text) => volume.generation = Some(text),
                    Err(e) => {
                        does_answer = !e.contains("timed out");
                        self.missing.push(format!("generation of volume {number}: {e}"));
                    }
                }
            }
            self.volumes.push(volume);
        }
    }

    fn constraint(&mut self, root: &Root, deadline: Deadline) {
        let Ok(pacemaker) = Pacemaker::find(root) else {
            self.missing.push("fencing constraint: no cibadmin here".to_owned());
            return;
        };
        let cib = match pacemaker.cib(deadline) {
            Ok(cib) => cib,
            Err(e) => {
                self.missing.push(format!("fencing constraint: {e}"));
                return;
            }
        };
        let clones: Vec<String> = cib.clones_of(&self.resource).into_iter().map(str::to_owned).collect();
        for clone in clones {
            let none: &[&str] = &[];
            let fence = Fence::new(&self.resource, &clone, None, cib.promoted(), none);
            if !matches!(fence.standing(&cib), Standing::None) {
                self.fenced = Some(fence.id());
            }
        }
    }
}

/// `CURRENT:BITMAP:HISTORY:HISTORY` of a volume: from the kernel when it has it, from the disk's meta-data when the resource is down.
fn identifiers(
    root: &Root,
    resource: &str,
    (number, minor): (u32, u32),
    (is_up, peer): (bool, Option<u32>),
    deadline: Deadline,
) -> Result<String, String> {
    let told = |text: &str| text.trim().split(':').take(4).collect::<Vec<_>>().join(":");
    if !is_up {
        let tool = Tool::find(root, "drbdadm").map_err(|e| e.to_string())?;
        let text = tool.ok(&["get-gi", &format!("{resource}/{number}")], deadline).map_err(|e| e.to_string())?;
        let line = text.lines().rfind(|line| line.matches(':').count() >= 3);
        return line.map(told).ok_or_else(|| "drbdadm get-gi says nothing".to_owned());
    }
    let found = match peer {
        Some(peer) => generation::of_peer(root, resource, peer, number, deadline),
        None => generation::of_minor(root, minor, deadline),
    };
    let found = found.map_err(|e| e.to_string())?;
    let all = [found.current, found.bitmap].into_iter().chain(found.history);
    Ok(all.map(|id| format!("{id:016X}")).collect::<Vec<_>>().join(":"))
}
