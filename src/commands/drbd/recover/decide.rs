//! What this node has to do so that the other side's data is kept, or why it does nothing. Pure.

use crate::agents::drbd_helper::peering::is_equal;
use crate::kernel::drbd::model::{Connection, ConnectionState, DiskState, Replication, Resource};

/// What there is to know.
#[derive(Debug)]
pub struct Sight<'a> {
    /// This host.
    pub here: &'a str,
    /// The host whose data is discarded.
    pub victim: &'a str,
    /// All hosts of the resource.
    pub hosts: &'a [String],
    /// The resource; `None` when it is down.
    pub state: Option<&'a Resource>,
    /// What speaks for a split brain here.
    pub evidence: &'a [String],
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing, because that would not be safe.
    Refuse(String),
    /// Nothing: both sides are equal.
    Done,
    /// Only wait: the two are on their way.
    Watch,
    /// This side gives its data up and connects.
    GiveUp,
    /// This side keeps its data and connects.
    Keep,
}

/// Decides.
#[must_use]
pub fn decide(sight: &Sight) -> Plan {
    let refuse = |why: String| Plan::Refuse(why);
    if !sight.hosts.iter().any(|host| host == sight.victim) {
        return refuse(format!("{} is no host of this resource: {}", sight.victim, sight.hosts.join(", ")));
    }
    if !sight.hosts.iter().any(|host| host == sight.here) {
        return refuse(format!("this host, {}, is not in the configuration of the resource", sight.here));
    }
    let Some(state) = sight.state else {
        return refuse("the resource is down here: drbdadm up RES".to_owned());
    };
    if state.connections.len() > 1 {
        return refuse("it has several peers: which one is to be followed must be decided by hand".to_owned());
    }
    let is_victim = sight.here == sight.victim;
    if let Some(device) = state.devices.iter().find(|device| device.disk.is_none_or(|disk| disk < DiskState::Inconsistent)) {
        let disk = device.disk.map_or_else(|| "unknown".to_owned(), |disk| disk.to_string());
        return refuse(format!("the disk of volume {} is {disk}", device.volume));
    }
    let connection = state.connections.first();
    let at = connection.and_then(|connection| connection.state).unwrap_or(ConnectionState::StandAlone);
    if at == ConnectionState::Connected {
        return connected(sight, state, connection);
    }
    if is_victim && state.is_primary() {
        return refuse(format!("{} is Primary here: stop what uses it and demote it first", state.name));
    }
    if sight.evidence.is_empty() {
        return refuse(
            "nothing here says that there was a split brain: drbdadm connect RES would do, and say so if there is one".to_owned(),
        );
    }
    if is_victim {
        return Plan::GiveUp;
    }
    if let Some(device) = state.devices.iter().find(|device| device.disk < Some(DiskState::UpToDate)) {
        let disk = device.disk.map_or_else(|| "unknown".to_owned(), |disk| disk.to_string());
        return refuse(format!("volume {} is {disk} here, so this side's data is not the one to keep", device.volume));
    }
    match at {
        ConnectionState::StandAlone => Plan::Keep,
        ConnectionState::Disconnecting => refuse("it is about to disconnect: try again".to_owned()),
        _ => Plan::Watch,
    }
}

fn connected(sight: &Sight, state: &Resource, connection: Option<&Connection>) -> Plan {
    if is_equal(state) {
        return Plan::Done;
    }
    let is_victim = sight.here == sight.victim;
    for peer in connection.iter().flat_map(|connection| &connection.peer_devices) {
        let Some(doing) = peer.replication else { continue };
        let is_source = doing.is_resync() && !doing.is_target();
        if is_victim && is_source {
            return Plan::Refuse(format!("volume {} is the source of a resync: this side's data is being kept", peer.volume));
        }
        if !is_victim && doing.is_target() {
            return Plan::Refuse(format!(
                "volume {} is the target of a resync: this side's data is being discarded",
                peer.volume
            ));
        }
        if matches!(doing, Replication::VerifyS | Replication::VerifyT) {
            return Plan::Refuse("an online verify runs: wait for its end".to_owned());
        }
    }
    Plan::Watch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::drbd::model::{Device, PeerDevice, Role};

    fn state(at: ConnectionState, doing: Replication, disk: DiskState, peer: DiskState) -> Resource {
        let peer = PeerDevice { replication: Some(doing), disk: Some(peer), ..PeerDevice::default() };
        Resource {
            name: "r0".into(),
            role: Some(Role::Secondary),
            devices: vec![Device { disk: Some(disk), ..Device::default() }],
            connections: vec![Connection { state: Some(at), peer_devices: vec![peer], ..Connection::default() }],
            ..Resource::default()
        }
    }

    fn plan(here: &str, state: Option<&Resource>, evidence: &[&str]) -> Plan {
        let evidence: Vec<_> = evidence.iter().map(|text| (*text).to_owned()).collect();
        let hosts = ["node1".to_owned(), "node2".to_owned()];
        decide(&Sight { here, victim: "node2", hosts: &hosts, state, evidence: &evidence })
    }

    fn why(plan: &Plan) -> &str {
        let Plan::Refuse(why) = plan else { panic!("{plan:?}") };
        why
    }

    use ConnectionState::{Connected, Connecting, StandAlone};
    use DiskState::{DUnknown, Diskless, Inconsistent, Outdated, UpToDate};
    use Replication::{Established, Off, SyncSource, SyncTarget};

    #[test]
    fn the_victim_gives_up_and_the_survivor_keeps() {
        for at in [StandAlone, Connecting] {
            assert_eq!(plan("node2", Some(&state(at, Off, UpToDate, DUnknown)), &["log"]), Plan::GiveUp);
        }
        assert_eq!(plan("node1", Some(&state(StandAlone, Off, UpToDate, Outdated)), &["log"]), Plan::Keep);
        assert_eq!(plan("node1", Some(&state(Connecting, Off, UpToDate, DUnknown)), &["log"]), Plan::Watch);
        let alone = Resource { connections: vec![], ..state(StandAlone, Off, UpToDate, DUnknown) };
        assert_eq!(plan("node1", Some(&alone), &["log"]), Plan::Keep);
    }

    #[test]
    fn nothing_is_discarded_on_a_primary_or_without_evidence_or_where_nothing_is_right() {
        let split = state(StandAlone, Off, UpToDate, DUnknown);
        let primary = Resource { role: Some(Role::Primary), ..split.clone() };
        assert!(why(&plan("node2", Some(&primary), &["log"])).starts_with("r0 is Primary here"));
        assert_eq!(plan("node1", Some(&primary), &["log"]), Plan::Keep, "the one that is kept may be in use");
        assert!(why(&plan("node2", Some(&split), &[])).starts_with("nothing here says"));
        assert!(why(&plan("node1", Some(&split), &[])).starts_with("nothing here says"));
        assert!(why(&plan("node3", Some(&split), &["log"])).starts_with("this host, node3"));
        assert!(why(&plan("node2", None, &["log"])).contains("down here"));
        assert!(why(&plan("node2", Some(&state(StandAlone, Off, Diskless, DUnknown)), &["log"])).contains("Diskless"));
        for disk in [Outdated, Inconsistent] {
            assert!(why(&plan("node1", Some(&state(StandAlone, Off, disk, DUnknown)), &["log"])).contains("not the one to keep"));
        }
        let hosts = ["node1".to_owned()];
        let sight = Sight { here: "node1", victim: "node9", hosts: &hosts, state: Some(&split), evidence: &[] };
        assert_eq!(decide(&sight), Plan::Refuse("node9 is no host of this resource: node1".into()));
    }

    #[test]
    fn what_was_begun_is_watched_and_the_wrong_direction_is_seen() {
        let target = state(Connected, SyncTarget, Inconsistent, UpToDate);
        let source = state(Connected, SyncSource, UpToDate, Inconsistent);
        assert_eq!(plan("node2", Some(&target), &[]), Plan::Watch);
        assert_eq!(plan("node1", Some(&source), &[]), Plan::Watch);
        assert!(why(&plan("node2", Some(&source), &["log"])).contains("being kept"));
        assert!(why(&plan("node1", Some(&target), &["log"])).contains("being discarded"));
        let equal = state(Connected, Established, UpToDate, UpToDate);
        assert_eq!(plan("node1", Some(&equal), &["log"]), Plan::Done);
        let mut untold = equal;
        untold.connections[0].peer_devices[0].replication = None;
        assert_eq!(plan("node1", Some(&untold), &["log"]), Plan::Watch, "what is not told is not equal");
        assert_eq!(
            plan("node2", Some(&state(Connecting, Off, Inconsistent, DUnknown)), &["guard"]),
            Plan::GiveUp,
            "cut off on its way"
        );
    }
}
