//! `ocf-san drbd recover`: brings the two sides of a split brain together, the data of one of them discarded. Run on each node, the victim
//! first; run again it goes on where it was. Never forces anything.

mod decide;

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use self::decide::{Plan, Sight, decide};
use super::snapshots::{self, Kind, Order, Storage};
use super::status::peer_device;
use super::steps::{Act, Ground, Step, confirm, wait_for_handlers};
use super::volumes::{Known, host, know, need_root, resource_arg, resource_of};
use crate::agents::drbd_helper::evidence;
use crate::agents::drbd_helper::guard::{Guard, Reason};
use crate::agents::drbd_helper::last_primary::now;
use crate::agents::drbd_helper::peering::is_equal;
use crate::commands::put;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::drbd::Drbd;
use crate::kernel::drbd::model::{ConnectionState, DiskState, Resource};

/// How long one look may take, with all the programs that it needs.
const LOOK: Duration = Duration::from_secs(60);
/// How long a connection that was just asked for may look as if nobody had.
const SETTLES: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_secs(1);
/// How often a resync that goes on is told of.
const SAYS: Duration = Duration::from_secs(10);

/// The kernel's codes for "there is no such connection" and "state is that already".
const NOT_CONNECTED: &[i32] = &[162, 126, 127];

/// Its command line.
#[must_use]
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("recover")
        .about("Ends a split brain by discarding what one node has written, after a snapshot of it")
        .arg(resource_arg())
        .arg(Arg::new("victim").long("victim").value_name("NODE").required(true).help("The node whose data is discarded"))
        .arg(flag("dry-run", "Only says what would be done"))
        .arg(flag("yes", "Does not ask"))
        .arg(flag("no-snapshot", "Discards the victim's data without a snapshot of it"))
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..=2_592_000))
                .default_value("86400")
                .help("Watches the resync for so long; it goes on all the same"),
        )
}

struct Task<'a> {
    root: &'a Root,
    resource: &'a str,
    victim: &'a str,
    here: String,
}

/// Recovers, or says why not.
///
/// # Errors
/// It is not safe, or could not be done.
pub fn run(root: &Root, matches: &ArgMatches) -> Result<u8> {
    need_root(root)?;
    let victim = matches.get_one::<String>("victim").context("--victim")?;
    let task = Task { root, resource: resource_of(matches)?, victim, here: host(root) };
    let is_dry = matches.get_flag("dry-run");
    let (known, plan) = task.look()?;
    let survivor = known.config.iter().flat_map(|config| &config.hosts).filter_map(|host| host.names.first());
    let survivor = survivor.into_iter().find(|name| *name != victim).map_or("the other node", String::as_str).to_owned();
    match &plan {
        Plan::Refuse(why) => bail!("{}: {}", task.resource, why.replace("RES", task.resource)),
        Plan::Done => return task.finish(is_dry),
        Plan::Watch => put("Nothing is to be done here but to wait.\n")?,
        Plan::GiveUp | Plan::Keep => {
            let storage = if plan == Plan::GiveUp {
                Storage::look(root, known.disks(root)?, Deadline::after(LOOK))?
            } else {
                Storage::default()
            };
            let mut steps = Vec::new();
            if plan == Plan::GiveUp && !matches.get_flag("no-snapshot") {
                steps.extend(task.snapshot(&storage, &known)?);
            }
            let changes = Task::changes(&plan);
            let ground = Ground { root, resource: task.resource, storage: &storage };
            put(&match plan {
                Plan::GiveUp => format!("What {victim}, this node, has written since the two parted is discarded:\n"),
                _ => format!("The data of this node is kept, that of {victim} is discarded. First run this on {victim}. Here:\n"),
            })?;
            ground.show(&steps)?;
            ground.show(&changes)?;
            if is_dry {
                return Ok(0);
            }
            if !matches.get_flag("yes") {
                confirm("")?;
            }
            ground.walk(&steps)?;
            wait_for_handlers(root, task.resource)?;
            // What somebody has done in the meantime may make it wrong.
            let (_, again) = task.look()?;
            if again != plan {
                bail!("{}: its state has changed meanwhile ({again:?}): nothing was changed, look again", task.resource);
            }
            ground.walk(&changes)?;
        }
    }
    if is_dry {
        return Ok(0);
    }
    let limit = Duration::from_secs(matches.get_one("timeout").copied().unwrap_or(86400));
    let other = if task.here == *victim { &survivor } else { victim };
    task.watch(other, limit)?;
    task.finish(false)
}

impl Task<'_> {
    fn look(&self) -> Result<(Known, Plan)> {
        let known = know(self.root, self.resource, Deadline::after(LOOK))?;
        let config = known.config.as_ref().with_context(|| known.missing.join("; "))?;
        let hosts: Vec<String> = config.hosts.iter().flat_map(|host| host.names.clone()).collect();
        if let Some(missing) = known.missing.iter().find(|missing| missing.starts_with("state: ")) {
            bail!("{}: {missing}", self.resource);
        }
        let state = known.kernel.as_ref();
        let evidence = evidence::of_split_brain(self.root, self.resource, state);
        let plan = decide(&Sight { here: &self.here, victim: self.victim, hosts: &hosts, state, evidence: &evidence });
        Ok((known, plan))
    }

    /// The snapshots of this side, unless it has some of this split brain already.
    fn snapshot(&self, storage: &Storage, known: &Known) -> Result<Vec<Step>> {
        let since = Guard::load(self.root, self.resource)?;
        let since = since.entries.iter().find(|entry| entry.reason == Reason::SplitBrain).map(|entry| entry.since.clone());
        let groups = storage.snapshots(self.resource);
        let is_ours = |group: &&snapshots::Group| group.kind == Kind::Victim && group.is_good();
        if let Some(group) =
            groups.iter().rfind(is_ours).filter(|group| since.as_deref().is_some_and(|since| group.time() >= since))
        {
            put(&format!("There are snapshots of this side already: group {}.\n", group.id))?;
            return Ok(Vec::new());
        }
        let written = |number: u32| {
            let state = known.kernel.as_ref();
            state.and_then(|state| state.peers_of(number).filter_map(|(_, peer)| peer.out_of_sync).max()).unwrap_or(0) * 1024
        };
        let order = Order {
            kind: Kind::Victim,
            resource: self.resource.to_owned(),
            time: now(),
            // What the other side has written is not known here: as much again, and a tenth of the volume comes on top.
            changes: storage.volumes.iter().map(|volume| (volume.number, written(volume.number) * 2)).collect(),
            generations: std::collections::BTreeMap::new(),
        };
        let (steps, without) =
            snapshots::plan(storage, &order).map_err(|why| anyhow!("no snapshot: {why}; make room, or say --no-snapshot"))?;
        if !without.is_empty() {
            let told: Vec<String> = storage
                .volumes
                .iter()
                .filter(|v| without.contains(&v.number))
                .map(|v| format!("volume {} on {}", v.number, v.on))
                .collect();
            bail!("no snapshot of {}, which is no logical volume: back it up, then say --no-snapshot", told.join(", "));
        }
        let limit = Duration::from_secs(120);
        Ok(steps
            .into_iter()
            .map(|step| {
                let why = format!("what {}/{} is now", step.vg, step.new.origin);
                let command = step.new.command(&step.vg);
                Step::new(why, Act::Lvm(step.vg, command)).within(limit)
            })
            .collect())
    }

    fn changes(plan: &Plan) -> Vec<Step> {
        let connect = |words: Vec<&'static str>, why: &str| Step::new(why, Act::Drbdadm(words, &[]));
        if *plan == Plan::Keep {
            return vec![connect(vec!["connect"], "wait for the victim, which discards its data")];
        }
        vec![
            connect(vec!["secondary"], "nobody may write here"),
            Step::new("forget the connection as it was", Act::Drbdadm(vec!["disconnect"], NOT_CONNECTED)),
            connect(vec!["connect", "--discard-my-data"], "take over what the other side has"),
        ]
    }

    fn watch(&self, other: &str, limit: Duration) -> Result<()> {
        let (end, settled) = (Deadline::after(limit), Deadline::after(SETTLES));
        let (mut said, mut doing, mut next) = (String::new(), String::new(), end);
        loop {
            let drbd = Drbd::open(self.root)?.context("the DRBD module is not loaded any more")?;
            let state = drbd.resource(self.resource, &[], Deadline::after(LOOK))?;
            let state = state.with_context(|| format!("{} is down", self.resource))?;
            if is_equal(&state) {
                return Ok(());
            }
            let (text, is_lost) = told(&state, other);
            if is_lost && settled.is_past() {
                bail!(
                    "{text}: see the kernel log; if it says split brain again, run this on {} first, then on the other node",
                    self.victim
                );
            }
            // Digits change all the time.
            let words: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
            if words != doing || (text != said && next.is_past()) {
                put(&format!("{text}\n"))?;
                (said, doing, next) = (text, words, Deadline::after(SAYS));
            }
            if end.is_past() {
                bail!("{}: not done yet, and it goes on: run the same again to go on watching", self.resource);
            }
            std::thread::sleep(POLL);
        }
    }

    fn finish(&self, is_dry: bool) -> Result<u8> {
        put(&format!("{}: both sides are up to date\n", self.resource))?;
        if is_dry {
            return Ok(0);
        }
        if Guard::clear(self.root, self.resource, |reason| reason == Reason::SplitBrain)? {
            put("the guard against promotion after a split brain is cleared here\n")?;
        }
        // Lines without a time are followed by one that says that the two have agreed.
        let _ = evidence::forget_split_brain(self.root, self.resource)?;
        if self.here == self.victim {
            self.remind()?;
        }
        Ok(0)
    }

    /// The snapshots of what was discarded stay until somebody is sure.
    fn remind(&self) -> Result<()> {
        let Ok(storage) = super::volumes::storage(self.root, self.resource, Deadline::after(LOOK)) else { return Ok(()) };
        let groups = storage.snapshots(self.resource);
        for snapshot in groups.iter().filter(|group| group.kind == Kind::Victim).flat_map(|group| &group.snapshots) {
            let state = if snapshot.is_invalid { "has overflowed and is worth nothing" } else { "holds what was discarded" };
            put(&format!("{}/{} {state}; when nobody needs it: lvremove {0}/{1}\n", snapshot.vg, snapshot.name))?;
        }
        Ok(())
    }
}

/// Where the resync is, and whether the connection is lost for good.
fn told(state: &Resource, other: &str) -> (String, bool) {
    let lost = state.devices.iter().find(|device| device.disk.is_none_or(|disk| disk < DiskState::Inconsistent));
    if let Some(device) = lost {
        return (format!("volume {} has lost its disk", device.volume), true);
    }
    let Some(connection) = state.connections.first() else { return ("StandAlone".to_owned(), true) };
    match connection.state {
        Some(ConnectionState::Connected) => {
            let one = |peer: &crate::kernel::drbd::model::PeerDevice| format!("volume {}{}", peer.volume, peer_device(peer));
            (connection.peer_devices.iter().map(one).collect::<Vec<_>>().join("; "), false)
        }
        Some(ConnectionState::StandAlone) | None => ("StandAlone".to_owned(), true),
        Some(state) => (format!("{state}: waits for {other}, where the same command is to be run"), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::drbd::model::{Connection, Device, PeerDevice, Replication};

    #[test]
    fn the_victim_never_forces_anything_and_the_survivor_only_connects() {
        let typed = |plan| Task::changes(&plan).iter().map(|step| step.command("r0")).collect::<Vec<_>>();
        assert_eq!(
            typed(Plan::GiveUp),
            ["drbdadm secondary r0", "drbdadm disconnect r0", "drbdadm connect --discard-my-data r0"]
        );
        assert_eq!(typed(Plan::Keep), ["drbdadm connect r0"]);
    }

    #[test]
    fn where_the_resync_is_is_told_and_a_dropped_connection_too() {
        let peer =
            PeerDevice { replication: Some(Replication::SyncTarget), disk: Some(DiskState::UpToDate), ..PeerDevice::default() };
        let state = |at| Resource {
            devices: vec![Device { disk: Some(DiskState::Inconsistent), ..Device::default() }],
            connections: vec![Connection { state: Some(at), peer_devices: vec![peer.clone()], ..Connection::default() }],
            ..Resource::default()
        };
        assert_eq!(
            told(&state(ConnectionState::Connected), "node1"),
            ("volume 0 replication:SyncTarget disk:UpToDate".into(), false)
        );
        let (text, is_lost) = told(&state(ConnectionState::Connecting), "node1");
        assert!(text.starts_with("Connecting: waits for node1") && !is_lost, "{text}");
        assert!(told(&state(ConnectionState::StandAlone), "node1").1);
        assert!(told(&Resource::default(), "node1").1);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
        assert!(command().try_get_matches_from(["recover", "r0"]).is_err(), "there is no default victim");
    }
}
