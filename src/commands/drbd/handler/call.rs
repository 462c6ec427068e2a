//! Who calls a handler about what: from the environment that drbdadm makes, or from what the kernel module itself passes.
//!
//! The module of 8.4 passes `minor-N` to the handlers of a device and the resource's name to the others, that of 9 always the name.
//! drbdadm passes no argument and sets variables. That of 9 writes lists of all volumes over the one volume that the module meant; the
//! backing device, which it leaves alone, tells which one that was.

use std::collections::BTreeMap;

use crate::ocf::env::Env;

/// One call of a handler.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// The resource; `None` when only a minor number was passed.
    pub resource: Option<String>,
    /// The minor numbers that were named: of one device, or of all of the resource.
    pub minors: Vec<u32>,
    /// The volumes that were named, in the order of `minors` where both are known.
    pub volumes: Vec<u32>,
    /// The host names of the peers, as the configuration has them; the module itself knows none.
    pub peers: Vec<String>,
    /// The address of the peer.
    pub peer_address: Option<String>,
    /// The node id of the peer (DRBD 9).
    pub peer_node_id: Option<u32>,
    /// The host names by node id (DRBD 9, from drbdadm).
    pub node_names: BTreeMap<u32, Vec<String>>,
    /// The nodes known to be up to date, a bit each (DRBD 9).
    pub up_to_date_nodes: Option<u64>,
    /// The configuration file that drbdadm has read.
    pub config: Option<String>,
}

impl Call {
    /// What the environment says, and the argument: `minor-N`, or a resource, which then counts.
    #[must_use]
    pub fn new(env: &Env, argument: Option<&str>) -> Self {
        let set = |name: &str| env.get(name).map(str::trim).filter(|value| !value.is_empty());
        let numbers = |name: &str| -> Vec<u32> { set(name).map(list).unwrap_or_default() };
        let number = |name: &str| set(name).and_then(|text| text.parse().ok());
        let argument = argument.map(str::trim).filter(|text| !text.is_empty());
        let minor = argument.and_then(minor_of);
        let resource = argument.filter(|_| minor.is_none()).or_else(|| set("DRBD_RESOURCE"));
        let node_names = node_names(env);
        let peer_node_id = number("DRBD_PEER_NODE_ID");
        let mut peers = words(set("DRBD_PEERS").or_else(|| set("DRBD_PEER")));
        if let Some(names) = peer_node_id.and_then(|id| node_names.get(&id)).filter(|_| peers.is_empty()) {
            peers.clone_from(names);
        }
        let mut call = Self {
            resource: resource.map(str::to_owned),
            minors: minor.map_or_else(|| numbers("DRBD_MINOR"), |minor| vec![minor]),
            volumes: numbers("DRBD_VOLUME"),
            peers,
            peer_address: set("DRBD_PEER_ADDRESS").map(str::to_owned),
            peer_node_id,
            node_names,
            up_to_date_nodes: set("UP_TO_DATE_NODES").and_then(mask),
            config: set("DRBD_CONF").map(str::to_owned),
        };
        if call.volumes.len() > 1 {
            call.narrow(set("DRBD_BACKING_DEV"), &words(set("DRBD_LL_DISK")));
        }
        call
    }

    /// The one volume whose backing device this is.
    fn narrow(&mut self, backing: Option<&str>, all: &[String]) {
        let at = backing.and_then(|backing| all.iter().position(|disk| disk == backing));
        let Some(at) = at.filter(|_| all.len() == self.volumes.len()) else { return };
        self.volumes = self.volumes.get(at).copied().into_iter().collect();
        if self.minors.len() == all.len() {
            self.minors = self.minors.get(at).copied().into_iter().collect();
        }
    }

    /// The volumes with their minors, for a reader that knows no better.
    #[must_use]
    pub fn hint(&self) -> Vec<(u32, u32)> {
        if self.volumes.len() == self.minors.len() {
            return self.volumes.iter().copied().zip(self.minors.iter().copied()).collect();
        }
        // Handlers of a resource get the minors of all its volumes, in the order of these.
        (0..).zip(self.minors.iter().copied()).collect()
    }

    /// The peer for a line in a log: its names, else its address, else `unknown`.
    #[must_use]
    pub fn peer(&self) -> String {
        match (self.peers.is_empty(), &self.peer_address) {
            (false, _) => self.peers.join(","),
            (true, Some(address)) => address.clone(),
            (true, None) => "unknown".to_owned(),
        }
    }
}

/// `minor-10` → 10. A resource may be called so too, but not by whoever is careful.
fn minor_of(argument: &str) -> Option<u32> {
    argument.strip_prefix("minor-")?.parse().ok()
}

fn words(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn list(text: &str) -> Vec<u32> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// `0x2` → 2.
fn mask(text: &str) -> Option<u64> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |digits| u64::from_str_radix(digits, 16).ok())
}

/// `DRBD_NODE_ID_<n>=<names>`: DRBD 9 has at most 32 nodes.
fn node_names(env: &Env) -> BTreeMap<u32, Vec<String>> {
    let names = (0..32).map(|id| (id, words(env.get(&format!("DRBD_NODE_ID_{id}")))));
    names.filter(|(_, names)| !names.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(argument: Option<&str>, vars: &[(&str, &str)]) -> Call {
        Call::new(&vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), argument)
    }

    #[test]
    fn drbdadm_of_8_4_names_the_resource_its_minors_and_the_peer() {
        let call = call(
            None,
            &[
                ("DRBD_CONF", "/etc/drbd.conf"),
                ("DRBD_RESOURCE", "r0"),
                ("DRBD_PEER", "node2"),
                ("DRBD_PEERS", "node2"),
                ("DRBD_PEER_AF", "ipv4"),
                ("DRBD_PEER_ADDRESS", "10.0.0.2"),
                ("DRBD_MINOR", "10 12"),
            ],
        );
        let wanted = Call {
            resource: Some("r0".into()),
            minors: vec![10, 12],
            peers: vec!["node2".into()],
            peer_address: Some("10.0.0.2".into()),
            config: Some("/etc/drbd.conf".into()),
            ..Call::default()
        };
        assert_eq!(call, wanted);
        assert_eq!(call.peer(), "node2");
    }

    #[test]
    fn the_module_of_8_4_passes_a_minor_or_a_resource_and_no_name_of_the_peer() {
        let device = call(Some("minor-10"), &[("DRBD_PEER_ADDRESS", "10.0.0.2")]);
        assert_eq!((device.resource.as_deref(), device.minors.as_slice(), device.peer().as_str()), (None, &[10][..], "10.0.0.2"));
        let resource = call(Some("r0"), &[]);
        assert_eq!((resource.resource.as_deref(), resource.peer().as_str()), (Some("r0"), "unknown"));
        assert_eq!(call(Some("minor-x"), &[]).resource.as_deref(), Some("minor-x"), "that is no number, so it is a name");
    }

    #[test]
    fn the_volume_that_the_module_of_9_meant_is_told_by_its_backing_device() {
        let lists = [
            ("DRBD_RESOURCE", "r0"),
            ("DRBD_MINOR", "10 12"),
            ("DRBD_VOLUME", "0 1"),
            ("DRBD_LL_DISK", "/dev/vg/a /dev/vg/b"),
            ("DRBD_NODE_ID_0", "node1"),
            ("DRBD_NODE_ID_1", "node2 alias2"),
            ("DRBD_PEER_NODE_ID", "1"),
            ("UP_TO_DATE_NODES", "0x3"),
        ];
        let all = call(None, &lists);
        assert_eq!((all.volumes.as_slice(), all.minors.as_slice()), (&[0, 1][..], &[10, 12][..]));
        assert_eq!((all.peer_node_id, all.up_to_date_nodes), (Some(1), Some(3)));
        assert_eq!(all.peers, ["node2", "alias2"]);
        let one = call(None, &[&lists[..], &[("DRBD_BACKING_DEV", "/dev/vg/b")]].concat());
        assert_eq!((one.volumes.as_slice(), one.minors.as_slice()), (&[1][..], &[12][..]));
        let unknown = call(None, &[&lists[..], &[("DRBD_BACKING_DEV", "/dev/vg/c")]].concat());
        assert_eq!(unknown.volumes, [0, 1]);
    }

    #[test]
    fn an_empty_environment_is_an_empty_call() {
        assert_eq!(call(None, &[("DRBD_MINOR", " "), ("DRBD_PEERS", "")]), Call::default());
    }
}
