//! Which side may be promoted after both were off.

use super::*;
use crate::agents::drbd_helper::attribute::Writing;
use crate::agents::drbd_helper::{DRBD_HELPER, build_helper};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::drbd::model::{Connection, ConnectionState, Device, DiskState, PeerDevice, Replication, Role};
use crate::ocf::env::{Env, Params};

/// A node without DRBD, below a directory, that is shown states of r0.
struct Node {
    keep: tempfile::TempDir,
    record: Record,
    is_by_hand: bool,
}

impl Node {
    fn new() -> Self {
        Self { keep: tempfile::tempdir().unwrap(), record: Record::default(), is_by_hand: false }
    }

    fn root(&self) -> Root {
        Root::fake(self.keep.path())
    }

    fn with<T>(&mut self, wait: &str, act: impl FnOnce(&Helper, &Context, &mut Record) -> T) -> T {
        self.with_links("", wait, act)
    }

    fn with_links<T>(&mut self, links: &str, wait: &str, act: impl FnOnce(&Helper, &Context, &mut Record) -> T) -> T {
        let by = if self.is_by_hand { "" } else { "3.16.1" };
        let vars = [("drbd_resource", "r0"), ("cold_start_wait", wait), ("crm_feature_set", by), ("uplink", links)];
        let vars = vars.map(|(name, value)| (format!("OCF_RESKEY_{name}"), value));
        let env: Env = vars.map(|(name, value)| (name, value.to_owned())).into_iter().collect();
        let helper = build_helper(&Params::check(&env, DRBD_HELPER.params).unwrap()).unwrap();
        let deadline = Deadline::after(std::time::Duration::from_secs(20));
        let root = self.root();
        act(&helper, &Context { root: &root, env: &env, deadline, progress: &|_| () }, &mut self.record)
    }

    /// As a start ends.
    fn start(&mut self, seen: &Resource) {
        self.record = Record { is_started: true, started: record::now(), ..Record::default() };
        self.with("0", |helper, cx, record| helper.guard_older_data(cx, seen, record));
        self.monitor(seen);
    }

    fn monitor(&mut self, seen: &Resource) {
        self.with("0", |helper, cx, record| helper.assess(cx, seen, record, Writing::IfLost));
    }

    fn may_be_promoted(&mut self, seen: &Resource) -> Result<(), OcfError> {
        self.with("0", |helper, cx, record| helper.check_guard(cx, seen, record))
    }

    fn was_primary(&self, node: &str) {
        LastPrimary::now(Who::Peer, Some(node.to_owned()), "seen").save(&self.root(), "r0").unwrap();
    }

    fn is_guarded(&self) -> bool {
        Guard::load(&self.root(), "r0").unwrap().has(Reason::OlderData)
    }
}

fn peer(name: &str, role: Role, replication: Replication) -> Connection {
    let state = if replication == Replication::Off { ConnectionState::Connecting } else { ConnectionState::Connected };
    let disk = if replication == Replication::Off { DiskState::DUnknown } else { DiskState::UpToDate };
    let peer = PeerDevice { replication: Some(replication), disk: Some(disk), ..PeerDevice::default() };
    Connection {
        peer: Some(name.into()),
        state: Some(state),
        peer_role: Some(role),
        peer_devices: vec![peer],
        ..Connection::default()
    }
}

fn gone(name: &str) -> Connection {
    peer(name, Role::Unknown, Replication::Off)
}

fn there(name: &str) -> Connection {
    peer(name, Role::Secondary, Replication::Established)
}

fn r0(connections: [Connection; 2]) -> Resource {
    let device = Device { disk: Some(DiskState::UpToDate), ..Device::default() };
    Resource {
        name: "r0".into(),
        role: Some(Role::Secondary),
        devices: vec![device],
        connections: connections.into(),
        ..Resource::default()
    }
}

/// What a monitor says, and whether it may be promoted as far as the links are concerned.
fn of_links(node: &mut Node, seen: &Resource) -> (String, bool) {
    node.with_links("lan,dmz", "0", |helper, cx, record| {
        let state = helper.assess(cx, seen, record, Writing::IfLost);
        (format!("{} {state:?}", record.finding), helper.forbids_promotion(cx, seen).is_none())
    })
}

#[test]
fn without_a_carrier_only_a_peer_that_can_be_heard_makes_a_promotion_possible() {
    let mut node = Node::new();
    let carrier = |node: &Node, link: &str, text: &str| {
        let dir = node.keep.path().join("sys/class/net").join(link);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("carrier"), text).unwrap();
    };
    let alone = r0([gone("node2"), gone("node3")]);
    let (said, may) = of_links(&mut node, &alone);
    assert!(may && said.contains("there is no network interface lan"), "a wrong name keeps nobody from taking over: {said}");
    carrier(&node, "lan", "0\n");
    carrier(&node, "dmz", "0\n");
    let (said, may) = of_links(&mut node, &alone);
    assert!(!may && said.contains("neither a peer nor, on lan, dmz, a carrier"), "{said}");
    let (said, may) = of_links(&mut node, &r0([there("node2"), gone("node3")]));
    assert!(may && !said.contains("carrier"), "{said}");
    let primary = r0([peer("node2", Role::Primary, Replication::Established), gone("node3")]);
    assert!(!of_links(&mut node, &primary).1, "a peer that is Primary may not be heard any more");
    carrier(&node, "dmz", "1\n");
    assert!(of_links(&mut node, &alone).1 && of_links(&mut node, &primary).1);
}

#[test]
fn of_three_nodes_the_one_that_was_primary_last_must_have_been_met() {
    let mut node = Node::new();
    node.was_primary("node2");
    let third = r0([gone("node2"), there("node3")]);
    node.start(&third);
    assert!(node.is_guarded() && !node.record.was_connected);
    let why = node.may_be_promoted(&third).unwrap_err();
    assert!(why.reason.contains("older data"), "{}", why.reason);
    node.monitor(&third);
    assert!(node.is_guarded());
    // The third one may be away.
    let second = r0([there("node2"), gone("node3")]);
    node.monitor(&second);
    assert!(!node.is_guarded() && node.record.was_connected);
    node.may_be_promoted(&second).unwrap();
    assert_eq!(LastPrimary::load(&node.root(), "r0").unwrap().unwrap().who, Who::Nobody);
}

#[test]
fn a_primary_that_moves_between_two_peers_is_followed() {
    let mut node = Node::new();
    let primary = |name| peer(name, Role::Primary, Replication::Established);
    node.start(&r0([primary("node2"), there("node3")]));
    node.monitor(&r0([there("node2"), primary("node3")]));
    assert_eq!(LastPrimary::load(&node.root(), "r0").unwrap().unwrap().node.as_deref(), Some("node3"));
    node.start(&r0([there("node2"), gone("node3")]));
    assert!(node.is_guarded());
}

#[test]
fn a_resync_or_a_handshake_under_way_clears_nothing() {
    let mut node = Node::new();
    node.was_primary("node2");
    node.start(&r0([gone("node2"), gone("node3")]));
    let mut shaking = there("node2");
    shaking.peer_devices[0].replication = Some(Replication::Off);
    node.monitor(&r0([shaking, gone("node3")]));
    assert!(node.is_guarded() && !node.record.was_connected);
    node.monitor(&r0([peer("node2", Role::Secondary, Replication::SyncTarget), gone("node3")]));
    assert!(node.is_guarded() && node.record.was_connected);
}

#[test]
fn older_data_are_guarded_although_the_guard_can_not_be_written() {
    let mut node = Node::new();
    node.was_primary("node2");
    // In the way of the new file.
    node.root().dir("/var/lib/ocf-san/drbd/r0/.guard.json.new").create_all(0o755).unwrap();
    let alone = r0([gone("node2"), gone("node3")]);
    node.start(&alone);
    assert!(!node.root().path("/var/lib/ocf-san/drbd/r0/guard.json").exists());
    assert!(node.is_guarded() && node.may_be_promoted(&alone).is_err());
    node.monitor(&r0([there("node2"), there("node3")]));
    assert!(!node.is_guarded());
    node.may_be_promoted(&alone).unwrap();
}

#[test]
fn older_data_are_no_reason_any_more_after_the_time_that_was_asked_for() {
    let mut node = Node::new();
    node.was_primary("node2");
    let alone = r0([gone("node2"), gone("node3")]);
    node.start(&alone);
    node.with("3600", |helper, cx, record| helper.check_guard(cx, &alone, record)).unwrap_err();
    node.record.started = 0;
    node.with("1", |helper, cx, record| helper.assess(cx, &alone, record, Writing::IfLost));
    assert!(!node.is_guarded());
    node.with("1", |helper, cx, record| helper.check_guard(cx, &alone, record)).unwrap();
}

/// Its meta-data say that the peer was outdated; DRBD shows it standing alone until somebody connects it.
#[test]
fn what_was_made_just_now_is_no_split_brain_because_the_peer_was_outdated_before() {
    let mut alone = r0([gone("node2"), gone("node3")]);
    for connection in &mut alone.connections {
        connection.state = Some(ConnectionState::StandAlone);
        connection.peer_devices[0].disk = Some(DiskState::Outdated);
    }
    let mut node = Node::new();
    assert!(node.with("0", |helper, cx, record| helper.is_split_now(cx, &alone, record)));
    node.may_be_promoted(&alone).unwrap_err();
    node.record.never_connected = true;
    assert!(!node.with("0", |helper, cx, record| helper.is_split_now(cx, &alone, record)));
    node.monitor(&alone);
    node.may_be_promoted(&alone).unwrap();
    node.monitor(&r0([gone("node2"), gone("node3")]));
    assert!(!node.record.never_connected, "somebody has connected it");
    node.may_be_promoted(&alone).unwrap_err();
}

#[test]
fn a_guard_that_can_not_be_read_is_no_split_brain_in_words() {
    let mut node = Node::new();
    node.root().dir("/var/lib/ocf-san/drbd/r0").set("guard.json", "{").unwrap();
    let alone = r0([gone("node2"), gone("node3")]);
    let why = node.may_be_promoted(&alone).unwrap_err();
    let says = "r0: the guard could not be read (/var/lib/ocf-san/drbd/r0/guard.json): ocf-san drbd guard clear r0";
    assert_eq!(why.reason, says);
    node.monitor(&alone);
    assert!(node.record.finding.ends_with("ocf-san drbd guard clear r"), "{}", node.record.finding);
    // As good as one all the same: nothing is connected.
    assert!(node.with("0", |helper, cx, record| helper.is_split_now(cx, &alone, record)));
}

#[test]
fn where_it_can_not_be_read_who_was_primary_last_it_may_have_been_the_peer() {
    let mut node = Node::new();
    node.root().dir("/var/lib/ocf-san/drbd/r0").set("last-primary.json", "{").unwrap();
    let alone = r0([gone("node2"), gone("node3")]);
    node.start(&alone);
    assert!(node.may_be_promoted(&alone).is_err());
    let guard = Guard::load(&node.root(), "r0").unwrap();
    assert!(guard.entries[0].detail.contains("could not be read"), "{guard:?}");
    node.monitor(&r0([there("node2"), there("node3")]));
    assert!(!node.is_guarded());
    assert_eq!(LastPrimary::load(&node.root(), "r0").unwrap().unwrap().who, Who::Nobody);
    // At a start that is connected nothing is guarded.
    node.root().dir("/var/lib/ocf-san/drbd/r0").set("last-primary.json", "{").unwrap();
    node.start(&r0([there("node2"), there("node3")]));
    assert!(!node.is_guarded());
    // Of two peers it may have been the one that is away.
    node.root().dir("/var/lib/ocf-san/drbd/r0").set("last-primary.json", "{").unwrap();
    node.start(&r0([there("node2"), gone("node3")]));
    assert!(node.is_guarded());
}

#[test]
fn who_clears_a_guard_below_a_primary_peer_takes_nothing_of_what_is_known_away() {
    let mut node = Node::new();
    let below = r0([peer("node2", Role::Primary, Replication::Established), there("node3")]);
    node.start(&below);
    LastPrimary::settle(&node.root(), "r0").unwrap();
    node.monitor(&below);
    assert_eq!(LastPrimary::load(&node.root(), "r0").unwrap().unwrap().who, Who::Peer);
    // Gone by hand, and up again alone: what was met before proves nothing.
    node.record.forget_run();
    node.monitor(&r0([gone("node2"), gone("node3")]));
    assert!(node.is_guarded());
}

#[test]
fn a_side_without_a_disk_holds_no_data_that_could_be_old() {
    let mut node = Node::new();
    node.was_primary("node2");
    let mut client = r0([gone("node2"), gone("node3")]);
    client.devices[0] = Device { disk: Some(DiskState::Diskless), is_client: Some(true), ..Device::default() };
    node.monitor(&client);
    assert!(!node.is_guarded());
}

#[test]
fn one_that_was_brought_up_by_hand_is_guarded_from_the_first_look_on() {
    let alone = r0([gone("node2"), gone("node3")]);
    let mut node = Node::new();
    node.was_primary("node2");
    node.is_by_hand = true;
    node.monitor(&alone);
    assert!(!node.is_guarded(), "what another instance has met");
    node.is_by_hand = false;
    node.monitor(&alone);
    assert!(node.is_guarded() && node.record.is_started);
    // Once: who has looked and cleared it is not asked again.
    Guard::clear(&node.root(), "r0", |_| true).unwrap();
    node.monitor(&alone);
    assert!(!node.is_guarded());
}
