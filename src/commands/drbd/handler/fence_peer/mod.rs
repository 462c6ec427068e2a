//! fence-peer: the module has lost a peer and asks, while I/O or a promotion stands still, whether the peer may be taken for outdated. It may
//! when the cluster will promote nobody else: a constraint in the CIB sees to that.
//!
//! The module calls this up to four times in one promotion, whose time-out is 90 s as a rule: hence 20 s in all.

mod decide;
pub mod nodes;
mod settled;

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Handler, Outcome, Turn, Work};
use crate::agents::drbd_helper::handlers::{FENCED, OUTDATED};
use crate::deadline::Deadline;
use crate::kernel::drbd::model::{Device, DiskState, Resource, Role};
use crate::ocf::cib::{Cib, Created, Fence, Pacemaker};
use decide::{BROKEN, Decision, JUST_CHANGED, PeerState, View, decide};
use nodes::Nodes;
use settled::Membership;

/// The part of the time in which better news is waited for; what is left is for placing a constraint.
const WAITING: f64 = 0.7;

/// How long the controller of a peer gets to answer.
const ANSWER: Duration = Duration::from_secs(6);

/// How long between two looks.
pub const AGAIN: Duration = Duration::from_millis(500);

/// The handler.
pub const FENCE_PEER: Handler = Handler {
    name: "fence-peer",
    about: "Keeps the peer from being promoted by a constraint in the CIB, and tells the module how sure that is",
    limit: Duration::from_secs(20),
    broken: BROKEN,
    good: &[OUTDATED, FENCED],
    turn: Turn::Within(0.15),
    options,
    act,
};

/// Those that fence and unfence have, and those of crm-fence-peer that there is no use for here.
pub fn options(command: Command) -> Command {
    let value = |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
    command
        .arg(value("id-prefix", "PREFIX").short('p').help("The beginning of the constraint's id, default drbd-fence-by-handler"))
        .arg(value("role", "ROLE").short('l').help("Promoted or Master in the constraint; default what the CIB's schema knows"))
        .arg(
            value("master-id", "ID")
                .short('i')
                .alias("clone-id")
                .help("The id of the clone, default the one that has this resource"),
        )
        .arg(
            value("node-map", "HOST=NODE")
                .value_delimiter(',')
                .action(ArgAction::Append)
                .value_parser(pair)
                .help("What the cluster calls a host of DRBD's configuration, where that is not the same name"),
        )
        .arg(value("resource", "RESOURCE").short('r').help("As the argument of that name"))
        .arg(value("dc-timeout", "SECONDS").short('d').hide(true))
        .arg(value("fencing-attribute", "NAME").short('a').hide(true))
        .arg(value("lock-dir", "DIR").hide(true))
        .arg(value("lock-file", "FILE").hide(true))
        .arg(value("network-hickup", "SECONDS").alias("net-hickup").hide(true))
        .arg(Arg::new("quiet").long("quiet").action(ArgAction::SetTrue).hide(true))
        .arg(Arg::new("flock-required").long("flock-required").action(ArgAction::SetTrue).hide(true))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(host, node)| !host.is_empty() && !node.is_empty());
    pair.map(|(host, node)| (host.to_owned(), node.to_owned())).ok_or_else(|| "not HOST=NODE".to_owned())
}

/// How long a controller gets: `--dc-timeout` where that is less, for what it says there is not to be had within these 20 s.
fn answer(options: &ArgMatches) -> Duration {
    let given = options.get_one::<String>("dc-timeout").and_then(|text| text.trim_end_matches('s').parse().ok());
    given.map_or(ANSWER, Duration::from_secs).clamp(Duration::from_secs(1), ANSWER)
}

/// The options of crm-fence-peer that change nothing here and whose absence may be missed, as far as they were given.
pub fn ignored(options: &ArgMatches) -> Vec<&'static str> {
    let is_given = |name: &&str| options.try_get_one::<String>(name).is_ok_and(|value| value.is_some());
    ["fencing-attribute", "network-hickup"].into_iter().filter(is_given).collect()
}

fn act(work: &Work) -> Result<Outcome> {
    let pacemaker = Pacemaker::find(work.root)?;
    let scene = Scene::new(work, &pacemaker);
    let over = work.deadline.share(WAITING);
    loop {
        let last = match scene.look(over) {
            Ok((Decision::Answer(outcome), ..)) => return Ok(outcome),
            Ok((Decision::Wait(why), ..)) => why,
            Ok((Decision::Place(outcome), fence, must_settle)) => match pacemaker.create(&fence, work.deadline) {
                Ok(Created::Done) => return Ok(scene.checked_again(outcome, &fence, must_settle)),
                Ok(Created::Exists) => "somebody has placed a constraint at the same time".to_owned(),
                Err(e) => e.to_string(),
            },
            Ok((Decision::Narrow(outcome), fence, must_settle)) => match pacemaker.replace(&fence, work.deadline) {
                Ok(()) => return Ok(scene.checked_again(outcome, &fence, must_settle)),
                Err(e) => e.to_string(),
            },
            Err(Trouble::ForGood(why)) => return Ok(Outcome::new(BROKEN, "name-mismatch", why)),
            Err(Trouble::Now(e)) => format!("{e:#}"),
        };
        if work.deadline.is_past() {
            return Ok(Outcome::new(BROKEN, "not-placed", last));
        }
        tracing::debug!("{last}");
        sleep(AGAIN.min(work.deadline.remaining()));
    }
}

/// What keeps the handler from deciding.
enum Trouble {
    /// Waiting does not help.
    ForGood(String),
    /// It may be another time.
    Now(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Trouble {
    fn from(e: E) -> Self {
        Self::Now(e.into())
    }
}

/// What is looked at again and again.
pub struct Scene<'a> {
    work: &'a Work<'a>,
    pacemaker: &'a Pacemaker,
    own_host: String,
    hosts: Vec<String>,
    map: nodes::Map,
    answer: Duration,
    membership: Membership,
}

impl<'a> Scene<'a> {
    /// Of this call.
    pub fn new(work: &'a Work<'a>, pacemaker: &'a Pacemaker) -> Self {
        let own_host = work.root.dir("/proc/sys/kernel").read("hostname").unwrap_or_default();
        let map = work.options.get_many("node-map").into_iter().flatten().cloned().collect();
        // The module names no peer, only drbdadm does; what the configuration says then is read once.
        let hosts =
            if work.call.peers.is_empty() && work.call.node_names.is_empty() { work.other_hosts(&own_host) } else { Vec::new() };
        Self { work, pacemaker, own_host, hosts, map, answer: answer(work.options), membership: Membership::new(work.root) }
    }

    /// The nodes, and the constraint that only lets in this one and those that are as good.
    ///
    /// # Errors
    /// No clone has the resource, or more than one; a host of DRBD's is no node.
    pub fn fence(&self, cib: &Cib, resource: &Resource) -> Result<(Nodes, Fence), String> {
        let name = self.work.resource;
        let option = |name: &str| self.work.options.get_one::<String>(name).map(String::as_str);
        let clones = cib.clones_of(name);
        let clone = match (option("master-id"), clones.as_slice()) {
            (Some(id), _) => id,
            (None, [clone]) => *clone,
            (None, []) => return Err(format!("no clone in the CIB has drbd_resource={name}: say which by --master-id")),
            (None, [..]) => return Err(format!("several clones in the CIB have drbd_resource={name}: say which by --master-id")),
        };
        let nodes =
            nodes::find(cib, &self.own_host, self.work.call, resource, &self.hosts, &self.map).map_err(|e| e.to_string())?;
        let allowed: Vec<_> = nodes.good.iter().chain([&nodes.own]).map(String::as_str).collect();
        let fence = Fence::new(name, clone, option("id-prefix"), option("role").unwrap_or(cib.promoted()), &allowed);
        Ok((nodes, fence))
    }

    /// What to do, the constraint, and whether the membership must be settled for it.
    fn look(&self, over: Deadline) -> Result<(Decision, Fence, bool), Trouble> {
        let began = Instant::now();
        let resource = self.work.look()?;
        let cib = self.pacemaker.cib(self.work.deadline)?;
        let (nodes, fence) = self.fence(&cib, &resource).map_err(Trouble::ForGood)?;
        let fences = cib.fences();
        let state = |node: &String| {
            let answers = || self.pacemaker.answers(node, self.work.deadline.share(0.5).within(self.answer));
            (node.clone(), PeerState::new(cib.seen(node), answers, fences))
        };
        let standing = fence.standing(&cib);
        let peers: Vec<_> = nodes.others.iter().map(state).collect();
        // What is not Primary yet is promoted on the word of the whole cluster.
        let must_settle = resource.is_primary() && resource.suspended.is_any() && !fences;
        let serving = serving(&resource);
        let view = View {
            own: &nodes.own,
            fence: &fence,
            standing,
            has_quorum: cib.has_quorum(),
            disk: worst_disk(serving.iter().copied()),
            has_good_disk: resource.is_primary() && is_any_up_to_date(&serving),
            is_peer_up_to_date: is_peer_up_to_date(&resource),
            peers: &peers,
            is_beside_another: self.work.is_beside_another,
            may_be_old: must_settle && !self.membership.is_settled(self.work.root, began.elapsed()),
            is_over: over.is_past() || !has_time_for_another(began.elapsed(), self.work.deadline.remaining()),
        };
        Ok((decide(&view), fence, must_settle))
    }

    /// While the constraint was being placed the membership may have changed: then only a later call can tell whether it stays. Or the peer may
    /// have come back, and be in sync: then it is not to stay.
    fn checked_again(&self, outcome: Outcome, fence: &Fence, must_settle: bool) -> Outcome {
        if must_settle && !self.membership.is_settled(self.work.root, Duration::ZERO) {
            return Outcome::new(BROKEN, "unsettled", format!("{}, but {JUST_CHANGED}", outcome.why));
        }
        let is_back = self.work.look().is_ok_and(|resource| is_peer_up_to_date(&resource));
        if !is_back {
            return outcome;
        }
        let removed = match self.pacemaker.delete(fence, self.work.deadline) {
            Ok(()) => "removed the constraint".to_owned(),
            Err(e) => format!("the constraint is still there: {e}"),
        };
        Outcome::new(BROKEN, "peer-is-back", format!("every disk of the peer is UpToDate again, {removed}"))
    }
}

/// Whether another look that takes as long as the last one would leave the time to place a constraint, which takes about as long again: on a
/// slow machine Pacemaker's commands take seconds, and an answer that comes too late is none.
fn has_time_for_another(last: Duration, left: Duration) -> bool {
    left > last.saturating_mul(2).saturating_add(AGAIN)
}

/// The worst of the local disks; `None` when there is no device or one is not told.
pub fn worst_disk<'a>(devices: impl IntoIterator<Item = &'a Device>) -> Option<DiskState> {
    let disks: Option<Vec<_>> = devices.into_iter().map(|device| device.disk).collect();
    disks?.into_iter().min()
}

/// The devices, of a Primary but for those that are being added: on 8.4 they are Secondary and have no data yet. Before a promotion it can
/// not be told.
fn serving(resource: &Resource) -> Vec<&Device> {
    let is_added =
        |device: &Device| device.disk == Some(DiskState::Inconsistent) && device.role.is_some_and(|role| role != Role::Primary);
    resource.devices.iter().filter(|device| !(resource.is_primary() && is_added(device))).collect()
}

fn is_any_up_to_date(devices: &[&Device]) -> bool {
    devices.iter().any(|device| device.disk == Some(DiskState::UpToDate))
}

/// Whether the disk of every peer is, for each volume.
pub fn is_peer_up_to_date(resource: &Resource) -> bool {
    let mut with_disk = resource.peer_devices().filter(|(_, peer)| peer.is_client != Some(true)).peekable();
    with_disk.peek().is_some() && with_disk.all(|(_, peer)| peer.disk == Some(DiskState::UpToDate))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::Call;
    use super::*;
    use crate::kernel::attr::Root;
    use crate::ocf::env::Env;

    #[test]
    fn options_of_crm_fence_peer_have_their_effect_or_are_said_to_have_none() {
        let options = |args: &[&str]| FENCE_PEER.command().try_get_matches_from([&["fence-peer"], args].concat()).unwrap();
        assert_eq!(answer(&options(&[])), ANSWER);
        for (given, seconds) in [("3", 3), ("3s", 3), ("0", 1), ("20", 6), ("soon", 6)] {
            assert_eq!(answer(&options(&["--dc-timeout", given])), Duration::from_secs(seconds), "{given}");
        }
        let all = options(&["--fencing-attribute", "#site", "--net-hickup=2", "--dc-timeout=5"]);
        assert_eq!(ignored(&all), ["fencing-attribute", "network-hickup"]);
        assert!(ignored(&options(&["--quiet"])).is_empty());
    }

    #[test]
    fn no_look_is_begun_that_would_leave_no_time_to_act() {
        let seconds = Duration::from_secs;
        assert!(has_time_for_another(seconds(1), seconds(12)));
        assert!(
            !has_time_for_another(seconds(8), seconds(11)),
            "the next would end after 8 s, and a constraint takes seconds too"
        );
        assert!(!has_time_for_another(Duration::ZERO, Duration::ZERO));
    }

    /// A cluster of two without fencing, whose other node is gone, or whatever CIB says.
    const CIBADMIN: &str = "#!/bin/sh
cd DIR || exit 1
case \"${0##*/} $1\" in
'cibadmin --query') sleep SECONDS; cat cib.xml;;
'cibadmin --create') echo created >>did; CREATE;;
*) exit 1;;
esac
";
    const CIB: &str = "<cib have-quorum='1'><configuration><crm_config><nvpair name='stonith-enabled' value='FENCES'/></crm_config>\
        <nodes><node uname='n1'/><node uname='n2'/></nodes><resources><clone id='c'>\
        <primitive id='p' class='ocf' provider='san' type='DRBD-helper'><instance_attributes>\
        <nvpair name='drbd_resource' value='r0'/></instance_attributes></primitive></clone></resources><constraints/></configuration>\
        <status><node_state uname='n2' in_ccm='false' crmd='offline' expected='member'/></status></cib>";

    /// The answer of n1 in this state, whose membership is that many seconds old, and whether it placed a constraint.
    fn answer_of(state: &str, ring: i64, fences: &str, sleep: &str, create: &str) -> (u8, String, bool) {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        write_ring(&root, "ringid_1", ring);
        let tool =
            CIBADMIN.replace("DIR", &keep.path().display().to_string()).replace("SECONDS", sleep).replace("CREATE", create);
        for name in ["cibadmin", "crmadmin"] {
            crate::script::write(root.dir("/usr/sbin").path().join(name), &tool);
        }
        root.dir("/").set("cib.xml", &CIB.replace("FENCES", fences)).unwrap();
        root.dir("/proc/sys/kernel").set("hostname", "n1").unwrap();
        let state = format!(
            "version: 8.4.11 (api:1/proto:86-101)\n10: cs:WFConnection ro:{state}\n    \
             ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:1 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n"
        );
        root.dir("/proc").set("drbd", &state).unwrap();
        let (env, call) =
            (Env::default(), Call { minors: vec![10], volumes: vec![0], peers: vec!["n2".into()], ..Call::default() });
        let options = FENCE_PEER.command().try_get_matches_from(["fence-peer"]).unwrap();
        let (deadline, afterwards) = (Deadline::after(Duration::from_secs(5)), RefCell::new(None));
        let work = Work::alone(&root, &env, &call, &options, deadline, &afterwards);
        let outcome = act(&work).unwrap();
        (outcome.code, outcome.result, keep.path().join("did").exists())
    }

    const FROZEN: &str = "Primary/Unknown ds:UpToDate/DUnknown C s-----";

    #[test]
    fn the_io_of_a_primary_goes_on_only_when_the_membership_is_settled() {
        let placed = || (5, "constraint-placed".to_owned(), true);
        let not_placed = || (BROKEN, "not-placed".to_owned(), false);
        assert_eq!(answer_of(FROZEN, 60, "false", "0", ":"), placed());
        assert_eq!(answer_of(FROZEN, 5, "false", "0", ":"), placed(), "it waits for that");
        assert_eq!(answer_of(FROZEN, 0, "false", "0", ":"), not_placed());
        assert_eq!(answer_of(FROZEN, 5, "false", "3", ":"), not_placed(), "the CIB was read when it had just changed");
        let fences = answer_of(FROZEN, 0, "true", "0", ":");
        assert_eq!(fences, placed(), "with fencing it waits for that, and not for the membership");
        for other in ["Secondary/Unknown ds:UpToDate/DUnknown C r-----", "Primary/Unknown ds:UpToDate/DUnknown C r-----"] {
            assert_eq!(answer_of(other, 0, "false", "0", ":"), placed(), "{other}");
        }
    }

    #[test]
    fn a_volume_that_is_being_added_keeps_no_constraint_from_being_placed_and_one_that_serves_does() {
        let device = |disk, role| Device { disk: Some(disk), role, ..Device::default() };
        let of = |role, devices: [Device; 2]| {
            let resource = Resource { devices: devices.into(), role: Some(role), ..Resource::default() };
            (worst_disk(serving(&resource)), serving(&resource).len())
        };
        let (good, bad) = (DiskState::UpToDate, DiskState::Inconsistent);
        let (primary, secondary) = (Some(Role::Primary), Some(Role::Secondary));
        assert_eq!(of(Role::Primary, [device(good, primary), device(bad, secondary)]), (Some(good), 1));
        assert_eq!(of(Role::Primary, [device(good, primary), device(bad, primary)]), (Some(bad), 2));
        assert_eq!(
            of(Role::Primary, [device(good, None), device(bad, None)]),
            (Some(bad), 2),
            "DRBD 9 has no role of one device"
        );
        assert_eq!(of(Role::Secondary, [device(good, secondary), device(bad, secondary)]), (Some(bad), 2));
    }

    #[test]
    fn a_membership_that_changes_while_the_constraint_is_placed_lets_nothing_go_on() {
        let changes = "date >var/lib/corosync/ringid_1";
        assert_eq!(answer_of(FROZEN, 60, "false", "0", changes), (BROKEN, "unsettled".to_owned(), true));
    }

    /// corosync has noted a membership so many seconds ago.
    pub fn write_ring(root: &Root, name: &str, ago: i64) {
        root.dir(settled::RINGS).create_all(0o755).unwrap();
        let file = std::fs::File::create(root.path(settled::RINGS).join(name)).unwrap();
        let by = Duration::from_secs(ago.unsigned_abs());
        file.set_modified(if ago < 0 { std::time::SystemTime::now() + by } else { std::time::SystemTime::now() - by }).unwrap();
    }
}
