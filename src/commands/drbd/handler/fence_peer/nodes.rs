//! Which nodes of the cluster DRBD means: it knows hosts by the names and ids of its own configuration.

use std::fmt;

use super::super::Call;
use crate::kernel::drbd::model::{Connection, ConnectionState, DiskState, Resource};
use crate::ocf::cib::{Cib, names};

/// `DRBDHOST=NODE` pairs, for hosts that the cluster calls otherwise.
pub type Map = Vec<(String, String)>;

/// The nodes of the cluster that a resource is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// This one.
    pub own: String,
    /// The peers that are known to be up to date.
    pub good: Vec<String>,
    /// The peers that are not.
    pub others: Vec<String>,
}

/// A host that is no node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    host: String,
    nodes: Vec<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, nodes } = self;
        write!(f, "DRBD's host {host} is no node of the cluster ({}): say which by --node-map {host}=NODE", names(nodes))
    }
}

/// A peer of the resource, as DRBD has it: what it may be called, and whether it is up to date.
struct Peer {
    aliases: Vec<String>,
    is_good: bool,
    /// Whether the call is about this one, as far as it says.
    is_meant: bool,
}

/// Finds them. A host that is no node by any name that is known, and that the call is not about, is left out: a constraint does not let it in.
/// `hosts` are the names of the other hosts in the configuration, for a call that names no peer.
pub fn find(cib: &Cib, own_host: &str, call: &Call, resource: &Resource, hosts: &[String], map: &Map) -> Result<Nodes, Mismatch> {
    let own = node_of(cib, &[own_host.to_owned()], map)?;
    let mut nodes = Nodes { own, good: Vec::new(), others: Vec::new() };
    for peer in peers(call, resource, hosts) {
        let name = if peer.aliases.is_empty() { the_only_other(cib, &nodes.own) } else { node_of(cib, &peer.aliases, map) };
        let name = match name {
            Ok(name) => name,
            Err(e) if !peer.is_meant => {
                tracing::warn!("{e}; it is left out, and can not be promoted for as long as the constraint stands");
                continue;
            }
            Err(e) => return Err(e),
        };
        let side = if peer.is_good { &mut nodes.good } else { &mut nodes.others };
        if !side.contains(&name) {
            side.push(name);
        }
    }
    Ok(nodes)
}

/// One for each connection that has a disk at its other end; without any, the one that the call is about.
fn peers(call: &Call, resource: &Resource, hosts: &[String]) -> Vec<Peer> {
    let named = if call.peers.is_empty() { hosts.to_vec() } else { call.peers.clone() };
    // Of 8.4 there is one connection at the most, and it has no name.
    let is_one = resource.connections.iter().all(|connection| connection.peer_node_id.is_none());
    if is_one {
        let is_good = resource.connections.first().is_some_and(is_up_to_date);
        // Of several hosts that only the configuration names, each may be the peer.
        if call.peers.is_empty() && hosts.len() > 1 {
            return named.into_iter().map(|host| Peer { aliases: vec![host], is_good, is_meant: true }).collect();
        }
        return vec![Peer { aliases: named, is_good, is_meant: true }];
    }
    let with_disk = resource.connections.iter().filter(|c| c.peer_devices.iter().any(|peer| peer.is_client != Some(true)));
    let peer = |connection: &Connection| {
        let id = connection.peer_node_id;
        let aliases = id.and_then(|id| call.node_names.get(&id)).cloned();
        let is_known_good = id.zip(call.up_to_date_nodes).is_some_and(|(id, mask)| mask.checked_shr(id).unwrap_or(0) & 1 == 1);
        Peer {
            aliases: aliases.unwrap_or_else(|| connection.peer.iter().cloned().collect()),
            is_good: is_known_good || is_up_to_date(connection),
            is_meant: call.peer_node_id.is_none_or(|meant| id == Some(meant)),
        }
    };
    with_disk.map(peer).collect()
}

/// Whether every disk of that peer is, over a connection that stands.
fn is_up_to_date(connection: &Connection) -> bool {
    let mut disks = connection.peer_devices.iter().map(|peer| peer.disk);
    connection.state == Some(ConnectionState::Connected)
        && !connection.peer_devices.is_empty()
        && disks.all(|disk| disk == Some(DiskState::UpToDate))
}

fn node_of(cib: &Cib, aliases: &[String], map: &Map) -> Result<String, Mismatch> {
    let mapped =
        aliases.iter().filter_map(|alias| map.iter().find(|(host, _)| host == alias)).find_map(|(_, node)| cib.node(node));
    let node = mapped.or_else(|| aliases.iter().find_map(|alias| cib.node(alias)));
    node.map(str::to_owned).ok_or_else(|| mismatch(cib, names(aliases)))
}

/// In a cluster of two the peer is the other one.
fn the_only_other(cib: &Cib, own: &str) -> Result<String, Mismatch> {
    let mut others = cib.nodes().filter(|node| *node != own);
    let only = others.next().filter(|_| others.next().is_none());
    only.map(str::to_owned).ok_or_else(|| mismatch(cib, "(not told)".to_owned()))
}

fn mismatch(cib: &Cib, host: String) -> Mismatch {
    Mismatch { host, nodes: cib.nodes().map(str::to_owned).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::drbd::model::PeerDevice;

    fn cluster(nodes: &[&str]) -> Cib {
        let nodes: String = nodes.iter().flat_map(|node| ["<node uname='", node, "'/>"]).collect();
        Cib::parse(&format!("<cib><configuration><nodes>{nodes}</nodes></configuration></cib>")).unwrap()
    }

    fn connection(id: Option<u32>, name: &str, state: ConnectionState, disk: DiskState) -> Connection {
        Connection {
            peer: Some(name.to_owned()),
            peer_node_id: id,
            state: Some(state),
            peer_devices: vec![PeerDevice { disk: Some(disk), ..PeerDevice::default() }],
            ..Connection::default()
        }
    }

    fn resource(connections: Vec<Connection>) -> Resource {
        Resource { connections, ..Resource::default() }
    }

    fn called(peers: &[&str]) -> Call {
        Call { peers: peers.iter().map(|peer| (*peer).to_owned()).collect(), ..Call::default() }
    }

    #[test]
    fn the_one_peer_of_8_4_is_named_by_the_call() {
        let cib = cluster(&["node1.example.com", "node2.example.com"]);
        let none = resource(Vec::new());
        let find = |call: &Call, map: &Map| find(&cib, "node1", call, &none, &[], map);
        let wanted = Nodes { own: "node1.example.com".into(), good: vec![], others: vec!["node2.example.com".into()] };
        assert_eq!(find(&called(&["node2"]), &vec![]), Ok(wanted.clone()));
        assert_eq!(find(&called(&[]), &vec![]), Ok(wanted.clone()), "it is not told, but there is only one");
        assert_eq!(find(&called(&["beta"]), &vec![("beta".into(), "node2".into())]), Ok(wanted));
        let e = find(&called(&["beta"]), &vec![]).unwrap_err().to_string();
        assert!(e.starts_with("DRBD's host beta is no node of the cluster (node1.example.com and node2.example.com)"), "{e}");
    }

    #[test]
    fn without_a_name_the_peer_is_not_guessed_among_several() {
        let cib = cluster(&["n1", "n2", "n3"]);
        let none = resource(Vec::new());
        assert!(find(&cib, "n1", &called(&[]), &none, &[], &vec![]).is_err());
        let by_configuration = find(&cib, "n1", &called(&[]), &none, &["n3".into()], &vec![]).unwrap();
        assert_eq!(by_configuration.others, ["n3"]);
        assert!(find(&cib, "other", &called(&["n2"]), &none, &[], &vec![]).is_err(), "nor is this one");
    }

    #[test]
    fn of_several_peers_those_that_are_up_to_date_stay_in() {
        use ConnectionState::{Connected, Connecting};
        use DiskState::{DUnknown, Outdated, UpToDate};
        let cib = cluster(&["n1", "n2", "n3", "n4", "n5"]);
        let resource = resource(vec![
            connection(Some(1), "n2", Connected, UpToDate),
            connection(Some(2), "n3", Connecting, DUnknown),
            connection(Some(3), "conn4", Connecting, DUnknown),
            connection(Some(4), "n5", Connected, Outdated),
        ]);
        let mut call = Call { up_to_date_nodes: Some(0b101), ..called(&["n3"]) };
        call.node_names.insert(3, vec!["n4".into()]);
        let nodes = find(&cib, "n1", &call, &resource, &[], &vec![]).unwrap();
        assert_eq!((nodes.good, nodes.others), (vec!["n2".into(), "n3".into()], vec!["n4".into(), "n5".into()]));
    }

    /// A copy off the site, which Pacemaker knows nothing of.
    #[test]
    fn a_host_outside_of_the_cluster_keeps_nobody_from_fencing_another() {
        let cib = cluster(&["n1", "n2"]);
        let both = resource(vec![
            connection(Some(1), "n2", ConnectionState::Connecting, DiskState::DUnknown),
            connection(Some(2), "far", ConnectionState::Connected, DiskState::UpToDate),
        ]);
        let find = |id| find(&cib, "n1", &Call { peer_node_id: id, ..called(&[]) }, &both, &[], &vec![]);
        assert_eq!(find(Some(1)).unwrap(), Nodes { own: "n1".into(), good: vec![], others: vec!["n2".into()] });
        assert!(find(Some(2)).is_err() && find(None).is_err(), "what it is asked about must be known");
    }

    #[test]
    fn a_peer_without_a_disk_on_purpose_holds_no_old_data() {
        let cib = cluster(&["n1", "n2", "n3"]);
        let mut client = connection(Some(2), "n3", ConnectionState::Connecting, DiskState::Diskless);
        client.peer_devices[0].is_client = Some(true);
        let both = resource(vec![connection(Some(1), "n2", ConnectionState::Connecting, DiskState::DUnknown), client]);
        assert_eq!(find(&cib, "n1", &called(&[]), &both, &[], &vec![]).unwrap().others, ["n2"]);
    }
}
