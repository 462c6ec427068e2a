//! before-resync-target and after-resync-target: while this side is being overwritten its data is of no moment, so there is a snapshot of all
//! volumes from before, until the resync has really ended.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Arg, ArgMatches, value_parser};

use super::resync_log::{generation, started};
use super::{Handler, Outcome, Turn, Work};
use crate::agents::drbd_helper::handlers::state_dir;
use crate::agents::drbd_helper::last_primary::now;
use crate::commands::drbd::snapshots::{self, Decision, Group, Kind, Order, Resync, Sight, Storage};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::drbd::model::{DiskState, Replication, Resource};
use crate::kernel::kmsg;
use crate::kernel::lvm::below::disk_below;
use crate::ocf::state_file::file_name;

/// Called before this side becomes the target of a resync, once for each volume; with a non-zero code the module drops the connection.
pub const BEFORE: Handler = Handler {
    name: "before-resync-target",
    about: "Makes a snapshot of all volumes of the resource before one of them is overwritten by a resync",
    limit: Duration::from_secs(60),
    broken: 0,
    good: &[0],
    turn: Turn::Alone,
    options: |command| {
        command.arg(
            Arg::new("on-error")
                .long("on-error")
                .value_name("POLICY")
                .value_parser(["warn", "drop"])
                .default_value("warn")
                .help("Where no snapshot can be made: warn and go on without, or drop the connection"),
        )
    },
    act: before,
};

/// Called when a resync that had this side for a target is over; the code does not matter.
pub const AFTER: Handler = Handler {
    name: "after-resync-target",
    about: "Removes the snapshots from before a resync once all volumes are up to date",
    limit: Duration::from_secs(60),
    broken: 1,
    good: &[0],
    turn: Turn::Alone,
    options: |command| {
        command.arg(
            Arg::new("keep")
                .long("keep")
                .value_name("NUMBER")
                .value_parser(value_parser!(u16))
                .default_value("0")
                .help("Keeps the newest so many groups; one that has overflowed is always removed"),
        )
    },
    act: after,
};

/// The code for whatever goes wrong with the snapshots.
#[must_use]
pub fn code_of_failure(options: &ArgMatches) -> Option<u8> {
    let policy = options.try_get_one::<String>("on-error").ok()??;
    Some(u8::from(policy == "drop"))
}

fn record_name(resource: &str) -> String {
    format!("{}.resync.json", file_name(resource))
}

/// The resync that is not over, if snapshots were made for one.
fn open_call(root: &Root, resource: &str) -> Option<snapshots::Call> {
    let text = state_dir(root).read_opt(record_name(resource)).inspect_err(|e| tracing::debug!("{e}")).ok()??;
    serde_json::from_str(&text).inspect_err(|e| tracing::debug!("{e}")).ok()
}

fn remember(root: &Root, resource: &str, call: &snapshots::Call) -> Result<()> {
    let dir = state_dir(root);
    dir.create_all(0o755)?;
    dir.replace_file(&record_name(resource), &serde_json::to_vec(call)?)?;
    Ok(())
}

fn before(work: &Work) -> Result<Outcome> {
    take(work).or_else(|e| {
        let code = code_of_failure(work.options).unwrap_or(0);
        let policy = if code == 0 { "the resync goes on without" } else { "the connection is dropped" };
        Ok(Outcome::new(code, if code == 0 { "no-snapshot" } else { "dropped" }, format!("{e:#}; {policy}")))
    })
}

fn take(work: &Work) -> Result<Outcome> {
    let log = kmsg::read(work.root).unwrap_or_else(|e| {
        tracing::warn!("{e}");
        String::new()
    });
    let resource = work.look()?;
    let device = meant(work, &resource).context("the call does not say which volume it is about")?;
    let resync = started(&log, work.resource, device.1).resync;
    if resync == Resync::Grown {
        return Ok(Outcome::new(0, "skipped", "the device has grown online, and there is nothing yet in its new part"));
    }
    let disks: Vec<_> = resource.devices.iter().map(|device| (device.volume, device.disk)).collect();
    let mut open = open_call(work.root, work.resource);
    let invalidated = invalidated(work.resource, &resource, &log, device.0, open.as_ref());
    let disk = disks.iter().find(|(volume, _)| *volume == device.0).and_then(|(_, disk)| *disk);
    let storage = match look(work.root, &resource, work.deadline) {
        Ok(storage) => storage,
        Err(e) if invalidated.is_empty() && disk <= Some(DiskState::Inconsistent) => {
            return Ok(Outcome::new(0, "skipped", format!("its data is Inconsistent already: nothing to go back to ({e:#})")));
        }
        Err(e) => return Err(e),
    };
    let on_lv: Vec<u32> = disks.iter().map(|(volume, _)| *volume).filter(|volume| storage.lv(*volume).is_some()).collect();
    let groups = storage.snapshots(work.resource);
    let group = |id: &str| groups.iter().find(|group| group.kind == Kind::BeforeResync && group.id == id);
    let (invalidated, on_lv) = (invalidated.as_slice(), on_lv.as_slice());
    let mut sight = Sight { volume: device.0, resync, disks: &disks, invalidated, on_lv, open: None, group: None };
    if open.is_none() && sight.has_begun() {
        open = found_again(&groups);
    }
    sight.open = open.as_ref();
    sight.group = open.as_ref().and_then(|open| group(&open.group));
    let changes = changes(&resource);
    match snapshots::decide(&sight) {
        Decision::Skip(why) => Ok(Outcome::new(0, "skipped", why)),
        Decision::Join(why) => {
            let known = sight.group.context("the group is gone")?.clone();
            let more = changes.get(&device.0).copied().unwrap_or(0);
            let wider = snapshots::widen(work.root, &storage, &known, device.0, more, work.deadline)?;
            if let Some(open) = &mut open {
                open.called.push(device.0);
                remember(work.root, work.resource, open)?;
            }
            let wider = if wider { ", and its snapshot was given more room" } else { "" };
            Ok(Outcome::new(0, "joined", format!("volume {} is in group {}: {why}{wider}", device.0, known.id)))
        }
        Decision::Make(volumes) => {
            let generations = resource.devices.iter().filter_map(|device| Some((device.volume, generation(&log, device.minor)?)));
            let order = Order {
                kind: Kind::BeforeResync,
                resource: work.resource.to_owned(),
                time: now(),
                changes: changes.into_iter().filter(|(volume, _)| volumes.contains(volume)).collect(),
                generations: generations.collect(),
            };
            let (steps, without) = snapshots::plan(&storage, &order).map_err(|why| anyhow!(why))?;
            let others: Vec<String> = without.iter().map(|volume| on(&storage, *volume)).collect();
            if steps.is_empty() {
                return Ok(Outcome::new(0, "no-lv", format!("no logical volume below: {}", others.join(", "))));
            }
            snapshots::make(work.root, &storage, &steps, work.deadline)?;
            let group = snapshots::stamp(&order.time);
            remember(work.root, work.resource, &snapshots::Call { group: group.clone(), resync, called: vec![device.0] })?;
            let others =
                if others.is_empty() { String::new() } else { format!("; no logical volume below: {}", others.join(", ")) };
            Ok(Outcome::new(0, "made", format!("group {group} of {} snapshots{others}", steps.len())))
        }
    }
}

/// After a reboot the record is gone; the group that a resync was begun with is known by its tags.
fn found_again(groups: &[Group]) -> Option<snapshots::Call> {
    let newest = groups.iter().rfind(|group| group.kind == Kind::BeforeResync && group.is_good())?;
    Some(snapshots::Call { group: newest.id.clone(), resync: Resync::Untold, called: Vec::new() })
}

/// The volumes that somebody has invalidated while their data was whole, and of which nothing has been overwritten yet: this one is not before
/// the handler ends, and of the others those that the resync in `open` was not called for and that do not sync yet.
fn invalidated(name: &str, resource: &Resource, log: &str, volume: u32, open: Option<&snapshots::Call>) -> Vec<u32> {
    let waits = |volume: u32| {
        let mut doing = resource.peers_of(volume).filter_map(|(_, peer)| peer.replication);
        doing.any(|doing| matches!(doing, Replication::StartingSyncT | Replication::WFSyncUUID))
    };
    let is = |device: &&crate::kernel::drbd::model::Device| {
        let start = started(log, name, device.minor);
        let is_called = open.is_some_and(|open| open.resync == start.resync && open.called.contains(&device.volume));
        start.was_whole && (device.volume == volume || (waits(device.volume) && !is_called))
    };
    resource.devices.iter().filter(is).map(|device| device.volume).collect()
}

fn after(work: &Work) -> Result<Outcome> {
    let resource = work.look()?;
    if let Some(device) = resource.devices.iter().find(|device| device.disk != Some(DiskState::UpToDate)) {
        let disk = device.disk.map_or_else(|| "unknown".to_owned(), |disk| disk.to_string());
        return Ok(Outcome::new(0, "kept", format!("volume {} is {disk}: the snapshots stay", device.volume)));
    }
    let storage = look(work.root, &resource, work.deadline)?;
    let groups: Vec<Group> =
        storage.snapshots(work.resource).into_iter().filter(|group| group.kind == Kind::BeforeResync).collect();
    let keep = usize::from(work.options.get_one::<u16>("keep").copied().unwrap_or(0));
    let going = outlived(&groups, keep);
    let mut failures = Vec::new();
    for group in &going {
        failures.extend(snapshots::remove(work.root, &storage, group, work.deadline));
    }
    state_dir(work.root).unlink(&record_name(work.resource))?;
    let spilt: Vec<&str> = groups.iter().filter(|group| group.is_overflowed()).map(|group| group.id.as_str()).collect();
    let told = |ids: &[&str]| if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
    let ids: Vec<&str> = going.iter().map(|group| group.id.as_str()).collect();
    let mut why = format!("up to date; removed: {}", told(&ids));
    if !spilt.is_empty() {
        why = format!("{why}; overflowed during the resync: {}", told(&spilt));
    }
    Ok(match failures.first() {
        Some(e) => Outcome::new(1, "failed", format!("{why}; {e:#}")),
        None if !spilt.is_empty() => Outcome::new(0, "overflowed", why),
        None => Outcome::new(0, if going.is_empty() { "kept" } else { "removed" }, why),
    })
}

/// The groups that are of no more use: all but the newest good ones. What is being merged is left alone.
fn outlived(groups: &[Group], keep: usize) -> Vec<&Group> {
    let mut kept = 0;
    let mut going: Vec<&Group> = Vec::new();
    for group in groups.iter().rev() {
        let is_merging = group.snapshots.iter().any(|snapshot| snapshot.is_merging);
        if group.is_good() && kept < keep {
            kept += 1;
        } else if !is_merging {
            going.push(group);
        }
    }
    going.reverse();
    going
}

/// The volume that the module means, with its minor. What drbdadm of 9 passes are lists: then it is one that is about to be a target.
fn meant(work: &Work, resource: &Resource) -> Option<(u32, u32)> {
    let named = |device: &&crate::kernel::drbd::model::Device| match work.call.volumes.as_slice() {
        [volume] => device.volume == *volume,
        _ => work.call.minors.contains(&device.minor),
    };
    let named: Vec<_> = resource.devices.iter().filter(named).collect();
    let is_target = |volume: u32| resource.peers_of(volume).any(|(_, peer)| peer.replication.is_some_and(Replication::is_target));
    let device = named.iter().find(|device| is_target(device.volume)).or(named.first())?;
    Some((device.volume, device.minor))
}

/// Bytes by which each volume differs from a peer's, as far as known.
fn changes(resource: &Resource) -> BTreeMap<u32, u64> {
    let of = |volume: u32| resource.peers_of(volume).filter_map(|(_, peer)| peer.out_of_sync).max().unwrap_or(0);
    resource.devices.iter().map(|device| (device.volume, of(device.volume) * 1024)).collect()
}

fn look(root: &Root, resource: &Resource, deadline: Deadline) -> Result<Storage> {
    let volumes = resource.devices.iter().map(|device| Ok((device.volume, device.minor, disk_below(root, device.minor)?)));
    Storage::look(root, volumes.collect::<Result<_>>()?, deadline)
}

fn on(storage: &Storage, volume: u32) -> String {
    let on = storage.volumes.iter().find(|known| known.number == volume).map_or("nothing", |known| known.on.as_str());
    format!("volume {volume} ({on})")
}

/// The limits and words of the command lines are checked where the handlers are listed.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::drbd::handler::Call;
    use crate::commands::drbd::snapshots::test_snapshot as snapshot;
    use crate::ocf::env::Env;

    #[test]
    fn the_newest_good_groups_are_kept_and_what_has_overflowed_goes() {
        let mut spilt = snapshot("g3", 0, &[0]);
        spilt.is_invalid = true;
        let mut merging = snapshot("g4", 0, &[0]);
        merging.is_merging = true;
        let all = [snapshot("g1", 0, &[0]), snapshot("g2", 0, &[0]), spilt, merging, snapshot("g5", 0, &[0, 1])];
        let groups = Group::of("r0", all);
        let ids = |keep| outlived(&groups, keep).iter().map(|group| group.id.as_str()).collect::<Vec<_>>();
        assert_eq!(ids(0), ["g1", "g2", "g3", "g5"]);
        assert_eq!(ids(1), ["g1", "g3", "g5"]);
        assert_eq!(ids(9), ["g3", "g5"], "one that lacks a volume is no way back");
    }

    /// A machine with 8.4 and the given lines of `/proc/drbd` for minors 10 and 11 of r0.
    fn machine(lines: &str, log: &str) -> (tempfile::TempDir, Root) {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        root.dir("/proc").set("drbd", &format!("version: 8.4.11 (api:1/proto:86-101)\nsrcversion: 0 \n{lines}")).unwrap();
        root.dir("/dev").set("kmsg", log).unwrap();
        for volume in 0..2 {
            root.dir("/sys/kernel/debug/drbd/resources/r0/volumes").dir(volume.to_string()).create_all(0o755).unwrap();
            let minors = root.dir("/sys/kernel/debug/drbd/minors");
            minors.create_all(0o755).unwrap();
            let target = format!("../resources/r0/volumes/{volume}");
            std::os::unix::fs::symlink(target, minors.dir((10 + volume).to_string()).path()).unwrap();
        }
        (keep, root)
    }

    const COUNTS: &str = "    ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:1 pe:0 ua:0 ap:0 ep:1 wo:f oos:32764\n";

    fn called(root: &Root, handler: &'static Handler, args: &[&str]) -> Outcome {
        let vars = [("DRBD_RESOURCE", "r0"), ("DRBD_MINOR", "10"), ("DRBD_VOLUME", "0")];
        let env: Env = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let call = Call::new(&env, None);
        let options = handler.command().try_get_matches_from([&[handler.name], args].concat()).unwrap();
        let deadline = Deadline::after(Duration::from_secs(5));
        let afterwards = std::cell::RefCell::new(None);
        let work = Work::alone(root, &env, &call, &options, deadline, &afterwards);
        (handler.act)(&work).unwrap()
    }

    #[test]
    fn an_online_grow_makes_no_snapshot_and_needs_no_lvm() {
        let state = format!(
            "10: cs:WFSyncUUID ro:Secondary/Primary ds:Outdated/UpToDate C r-----\n{COUNTS}\
             11: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----\n{COUNTS}"
        );
        let (_keep, root) = machine(&state, "<6>[ 1053.05] block drbd10: Resync of new storage after online grow\n");
        let outcome = called(&root, &BEFORE, &[]);
        assert_eq!((outcome.code, outcome.result.as_str()), (0, "skipped"), "{}", outcome.why);
    }

    #[test]
    fn what_was_invalidated_is_taken_for_whole_until_its_resync_has_begun() {
        let log = "<6>[ 1060.500000] block drbd10: conn( Connected -> StartingSyncT ) disk( UpToDate -> Inconsistent ) \n\
                   <6>[ 1061.5] block drbd11: conn( Connected -> StartingSyncT ) disk( UpToDate -> Inconsistent ) \n";
        let of = |first: &str, second: &str, volume, open: Option<&snapshots::Call>| {
            let state = format!(
                "10: cs:{first} ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----\n{COUNTS}\
                 11: cs:{second} ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----\n{COUNTS}"
            );
            let (_keep, root) = machine(&state, log);
            let resource = crate::kernel::drbd::Drbd::open(&root).unwrap().unwrap();
            let resource = resource.resource("r0", &[], Deadline::after(Duration::from_secs(5))).unwrap().unwrap();
            invalidated("r0", &resource, log, volume, open)
        };
        assert_eq!(of("WFSyncUUID", "StartingSyncT", 0, None), [0, 1]);
        assert_eq!(of("SyncTarget", "WFSyncUUID", 1, None), [1]);
        let open = snapshots::Call { group: "g".into(), resync: Resync::Began(1_060_500_000), called: vec![0] };
        assert_eq!(of("WFSyncUUID", "WFSyncUUID", 1, Some(&open)), [1], "the first was called for, and may sync any moment");
    }

    #[test]
    fn after_a_reboot_the_group_of_the_resync_is_found_by_its_tags() {
        let victim = snapshot("g3", 0, &[0]);
        let victim = snapshots::Snapshot { label: snapshots::Label { kind: Kind::Victim, ..victim.label }, ..victim };
        let all = [snapshot("g1", 0, &[0]), snapshot("g2", 0, &[0, 1]), victim];
        let groups = Group::of("r0", all);
        assert_eq!(found_again(&groups).map(|call| call.group).as_deref(), Some("g1"), "g2 is not whole, g3 another kind");
        assert!(found_again(&[]).is_none());
    }

    #[test]
    fn a_volume_on_a_plain_disk_is_said_and_is_no_failure() {
        let state = format!(
            "10: cs:WFSyncUUID ro:Secondary/Primary ds:Outdated/UpToDate C r-----\n{COUNTS}\
             11: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----\n{COUNTS}"
        );
        let (_keep, root) = machine(&state, "");
        let outcome = called(&root, &BEFORE, &["--on-error", "drop"]);
        assert_eq!((outcome.code, outcome.result.as_str()), (0, "no-lv"), "{}", outcome.why);
        assert_eq!(outcome.why, "no logical volume below: volume 0 (no disk), volume 1 (no disk)");
    }

    #[test]
    fn a_failure_warns_or_drops_as_told() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let warned = called(&root, &BEFORE, &[]);
        assert_eq!((warned.code, warned.result.as_str()), (0, "no-snapshot"));
        let dropped = called(&root, &BEFORE, &["--on-error=drop"]);
        assert_eq!((dropped.code, dropped.result.as_str()), (1, "dropped"));
        assert_eq!(dropped.why, "the DRBD module is not loaded; the connection is dropped");
    }

    #[test]
    fn the_snapshots_stay_until_every_volume_is_up_to_date() {
        let state = format!(
            "10: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----\n{COUNTS}\
             11: cs:PausedSyncT ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----\n{COUNTS}"
        );
        let (_keep, root) = machine(&state, "");
        let outcome = called(&root, &AFTER, &[]);
        assert_eq!((outcome.code, outcome.why.as_str()), (0, "volume 1 is Inconsistent: the snapshots stay"));
    }
}
