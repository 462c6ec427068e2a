//! The way back to a group of snapshots, as commands; or why there is none. Pure.
//!
//! With internal meta-data a snapshot holds the meta-data of its moment, too: identifiers of a generation that the peer still knows and a
//! bitmap that lacks whatever the resync has brought over since. To DRBD such a side is one that was away for a while: it would resync a part
//! and call the whole up to date. So the identifiers go first, while the snapshot is still a snapshot: with the first block of the old data
//! there is a generation that no peer has ever heard of, and DRBD refuses to connect ("unrelated data") until somebody has made fresh
//! meta-data on the side that shall be overwritten as a whole. It is marked outdated, so that nobody promotes it meanwhile.

use std::time::Duration;

use super::Begun;

use crate::agents::drbd_helper::guard::{Entry, Reason};
use crate::commands::drbd::snapshots::{Group, Snapshot};
use crate::commands::drbd::steps::{Act, Step};
use crate::kernel::drbd::config::Volume;
use crate::kernel::drbd::model::{ConnectionState, Resource};
use crate::kernel::lvm::snapshot::{activation, merge};

/// Copying back takes as long as it takes.
const MERGE: Duration = Duration::from_secs(24 * 3600);

/// The kernel's code for "there is no such resource".
const UNKNOWN: &[i32] = &[158];

/// What there is to know.
#[derive(Debug)]
pub struct Sight<'a> {
    /// The resource.
    pub resource: &'a str,
    /// As the kernel has it; `None` when it is down.
    pub state: Option<&'a Resource>,
    /// Its volumes on this host, as configured.
    pub volumes: &'a [Volume],
    /// Whether the meta-data is that of 8.4.
    pub is_84: bool,
    /// The group to go back to; of one that was begun what is left.
    pub group: &'a Group,
    /// What was begun and is not over, if anything.
    pub begun: Option<&'a Begun>,
    /// Now, in UTC.
    pub now: &'a str,
    /// A generation for each volume that nobody has ever had.
    pub fresh: &'a [u64],
}

/// The commands, in order.
///
/// # Errors
/// Why that is not safe.
pub fn plan(sight: &Sight) -> Result<Vec<Step>, String> {
    check(sight)?;
    let group = sight.group;
    let mut steps = Vec::new();
    // Also when it is down: somebody may have taken it up since.
    steps.push(Step::new("nobody may use what is about to change", Act::Drbdadm(vec!["down"], UNKNOWN)));
    let time = sight.begun.map_or_else(|| group.time(), |begun| begun.time.as_str());
    let detail = format!("rolled back to group {} of {time}", group.id);
    let by = "ocf-san drbd rollback".to_owned();
    let entry = Entry { reason: Reason::OlderData, since: sight.now.to_owned(), by, detail };
    steps.push(Step::new("this side will hold older data than the other", Act::Guard(entry)));
    // Once the first is merged all have been marked.
    let unmarked = if sight.begun.is_some() { &[][..] } else { &group.snapshots[..] };
    for (snapshot, fresh) in unmarked.iter().zip(sight.fresh) {
        let volume = sight.volumes.iter().find(|volume| volume.number == snapshot.label.volume);
        let minor = volume.and_then(|volume| volume.minor).ok_or("a volume without a minor number")?;
        if snapshot.is_thin {
            steps.push(lvm("a thin snapshot is not active by itself", snapshot, activation(&snapshot.vg, &snapshot.name, true)));
        }
        steps.push(Step::new(
            "DRBD shall not take it for data that it knows",
            Act::Drbdmeta(mark(snapshot, minor, sight.is_84, *fresh)),
        ));
    }
    if sight.begun.is_none() {
        steps.push(Step::new("should this be cut off, the same command goes on with it", Begun::of(group).note()));
    }
    for snapshot in &group.snapshots {
        steps.extend(back(snapshot));
    }
    Ok(steps)
}

/// One volume.
fn back(snapshot: &Snapshot) -> Vec<Step> {
    let (vg, origin) = (&snapshot.vg, &snapshot.origin);
    let mut steps = Vec::new();
    let all = |active| -> Vec<Step> {
        let one =
            |lv: &str| lvm("a thin volume is replaced while it is not active", snapshot, activation(&snapshot.vg, lv, active));
        if active { vec![one(&snapshot.origin)] } else { vec![one(&snapshot.name), one(&snapshot.origin)] }
    };
    let why = format!("volume {} becomes what it was at {}", snapshot.label.volume, snapshot.label.time);
    steps.push(Step::new(
        "while somebody uses it the merge would only be noted down, and done at some later time",
        Act::Unused(vg.clone(), origin.clone()),
    ));
    if snapshot.is_merging {
        // What was cut off, or put off because somebody had it open, goes on with the next activation.
        let again = |active| lvm("a merge goes on when its volume is activated", snapshot, activation(vg, origin, active));
        steps.extend([again(false), again(true)]);
        steps.push(Step::new(why, Act::Merged(vg.clone(), snapshot.name.clone())).within(MERGE));
        return steps;
    }
    let mut back = merge(vg, &snapshot.name);
    if snapshot.is_thin {
        steps.extend(all(false));
    } else {
        back.splice(1..1, ["--interval".to_owned(), "1".to_owned()]);
    }
    steps.push(lvm(&why, snapshot, back).within(MERGE));
    if snapshot.is_thin {
        steps.extend(all(true));
    }
    steps
}

fn check(sight: &Sight) -> Result<(), String> {
    let (resource, group) = (sight.resource, sight.group);
    if let Some(state) = sight.state {
        if state.is_primary() {
            return Err(format!("{resource} is Primary here: stop what uses it and demote it first"));
        }
        let is_joined = |c: &crate::kernel::drbd::model::Connection| c.state == Some(ConnectionState::Connected);
        if state.connections.iter().any(is_joined) {
            return Err(format!("{resource} is connected: drbdadm disconnect {resource}"));
        }
    }
    if let Some(spilt) = group.snapshots.iter().find(|snapshot| snapshot.is_invalid) {
        return Err(format!("{}/{} has overflowed: there is no way back to group {}", spilt.vg, spilt.name, group.id));
    }
    let merging = group.snapshots.iter().find(|snapshot| snapshot.is_merging);
    if let Some(merging) = merging.filter(|_| sight.begun.is_none()) {
        return Err(format!("{}/{} is being merged already", merging.vg, merging.origin));
    }
    let has = |number: u32| group.snapshots.iter().any(|snapshot| snapshot.label.volume == number);
    let lacking: Vec<String> = sight.volumes.iter().filter(|volume| !has(volume.number)).map(|v| v.number.to_string()).collect();
    if !lacking.is_empty() && sight.begun.is_none() {
        return Err(format!("group {} has no snapshot of volume {}, and half a way back is none", group.id, lacking.join(", ")));
    }
    for snapshot in &group.snapshots {
        let volume = sight.volumes.iter().find(|volume| volume.number == snapshot.label.volume);
        let volume = volume.ok_or_else(|| format!("volume {} is not configured any more", snapshot.label.volume))?;
        let on = volume.meta_disk.as_deref().unwrap_or("internal");
        if on != "internal" {
            return Err(format!("volume {} has its meta-data on {on}, which no snapshot covers: by hand only", volume.number));
        }
    }
    Ok(())
}

fn lvm(why: &str, snapshot: &Snapshot, command: Vec<String>) -> Step {
    Step::new(why, Act::Lvm(snapshot.vg.clone(), command))
}

/// `set-gi` of 8.4: consistent, and not up to date. That of 9 keeps identifiers for each peer: without any meta-data it attaches nothing.
fn mark(snapshot: &Snapshot, minor: u32, is_84: bool, fresh: u64) -> Vec<String> {
    let format = if is_84 { "v08" } else { "v09" };
    let mut words: Vec<String> =
        ["--force", &minor.to_string(), format, &format!("/dev/{}/{}", snapshot.vg, snapshot.name), "internal"]
            .map(str::to_owned)
            .into();
    if is_84 {
        let none = "0000000000000000";
        words.extend(["set-gi".to_owned(), format!("{fresh:016X}:{none}:{none}:{none}:1:0:0:0:0:0:0")]);
    } else {
        words.push("wipe-md".to_owned());
    }
    words
}

/// What is left to decide, for both purposes.
#[must_use]
pub fn guide(resource: &str, here: &str, other: &str, is_84: bool) -> String {
    let source = if is_84 {
        format!("     {here}:  drbdadm up {resource}\n")
    } else {
        format!(
            "     {here}:  drbdadm create-md --force {resource}; drbdadm up {resource}\n     \
             {here}:  drbdadm primary --force {resource}   # with fresh meta-data on both sides nothing else says whose data counts\n"
        )
    };
    format!(
        "{resource} is down, and its disks here are what they were. DRBD will not connect this side to {other}, which has newer data, until\n\
         you have chosen:\n\
         a) This data is to be kept, what {other} has is overwritten as a whole. With nothing using {resource} on {other}:\n     \
         {other}:  drbdadm down {resource}; drbdadm create-md --force {resource}; drbdadm up {resource}\n\
         {source}     \
         and, when both are UpToDate,\n     \
         {here}:  ocf-san drbd guard clear {resource} --reason older-data --i-checked\n\
         b) You have seen enough: {here} is overwritten as a whole by what {other} has.\n     \
         {here}:  drbdadm create-md --force {resource}; drbdadm up {resource}\n     \
         {other}:  drbdadm connect {resource}   # if it is StandAlone\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::drbd::snapshots::test_snapshot as snapshot;
    use crate::kernel::drbd::model::{Connection, Role};

    fn volumes() -> Vec<Volume> {
        let volume =
            |number: u32| Volume { number, minor: Some(10 + number), meta_disk: Some("internal".into()), ..Volume::default() };
        vec![volume(0), volume(1)]
    }

    fn group() -> Group {
        let thin = Snapshot { is_thin: true, ..snapshot("g", 1, &[0, 1]) };
        Group::of("r0", [snapshot("g", 0, &[0, 1]), thin]).remove(0)
    }

    fn sight<'a>(state: Option<&'a Resource>, volumes: &'a [Volume], group: &'a Group, is_84: bool) -> Sight<'a> {
        let (now, fresh) = ("2026-01-31T13:00:00Z", &[0xA0, 0xB0]);
        Sight { resource: "r0", state, volumes, is_84, group, begun: None, now, fresh }
    }

    fn typed(state: Option<&Resource>, volumes: &[Volume], group: &Group, is_84: bool) -> Result<Vec<String>, String> {
        commands(&sight(state, volumes, group, is_84))
    }

    fn commands(sight: &Sight) -> Result<Vec<String>, String> {
        plan(sight).map(|steps| steps.iter().map(|step| step.command("r0")).collect())
    }

    #[test]
    fn every_snapshot_is_unknown_to_drbd_before_the_first_is_merged() {
        let typed = typed(Some(&Resource::default()), &volumes(), &group(), true).unwrap();
        assert_eq!(
            typed,
            [
                "drbdadm down r0",
                "ocf-san guards r0 here: older data",
                "drbdmeta --force 10 v08 /dev/vg1/lv0-before-resync-g internal set-gi 00000000000000A0:0000000000000000:0000000000000000:0000000000000000:1:0:0:0:0:0:0",
                "lvchange --yes --ignoreactivationskip -ay vg1/lv1-before-resync-g",
                "drbdmeta --force 11 v08 /dev/vg1/lv1-before-resync-g internal set-gi 00000000000000B0:0000000000000000:0000000000000000:0000000000000000:1:0:0:0:0:0:0",
                "ocf-san writes rollback.json for r0",
                "ocf-san makes sure that nobody has vg1/lv0 open",
                "lvconvert --interval 1 --yes --merge vg1/lv0-before-resync-g",
                "ocf-san makes sure that nobody has vg1/lv1 open",
                "lvchange --yes --ignoreactivationskip -an vg1/lv1-before-resync-g",
                "lvchange --yes --ignoreactivationskip -an vg1/lv1",
                "lvconvert --yes --merge vg1/lv1-before-resync-g",
                "lvchange --yes --ignoreactivationskip -ay vg1/lv1",
            ]
        );
    }

    #[test]
    fn a_resource_that_was_down_is_taken_down_too_for_somebody_may_have_taken_it_up() {
        let up = typed(Some(&Resource::default()), &volumes(), &group(), true);
        assert_eq!(typed(None, &volumes(), &group(), true), up);
    }

    #[test]
    fn what_was_cut_off_goes_on_with_what_is_left_and_marks_nothing_again() {
        let begun = Begun::of(&group());
        let mut left = group();
        left.snapshots[0].is_merging = true;
        let all = volumes();
        let resumed = |left: &Group| commands(&Sight { begun: Some(&begun), ..sight(None, &all, left, true) }).unwrap();
        let said = resumed(&left);
        assert_eq!(
            said[..6],
            [
                "drbdadm down r0",
                "ocf-san guards r0 here: older data",
                "ocf-san makes sure that nobody has vg1/lv0 open",
                "lvchange --yes --ignoreactivationskip -an vg1/lv0",
                "lvchange --yes --ignoreactivationskip -ay vg1/lv0",
                "ocf-san waits until vg1/lv0-before-resync-g is merged",
            ]
        );
        assert!(said[6..].iter().any(|command| command.ends_with("--merge vg1/lv1-before-resync-g")), "{said:?}");
        left.snapshots.remove(0);
        let said = resumed(&left);
        assert!(!said.iter().any(|command| command.contains("lv0") || command.starts_with("drbdmeta")), "{said:?}");
        assert!(typed(None, &all, &left, true).is_err(), "without the record it is half a group");
    }

    #[test]
    fn drbd_9_keeps_no_meta_data() {
        let typed = typed(None, &volumes(), &group(), false).unwrap();
        assert!(typed[2].ends_with("v09 /dev/vg1/lv0-before-resync-g internal wipe-md"), "{typed:?}");
    }

    #[test]
    fn what_is_in_use_or_connected_or_not_whole_is_refused() {
        let why = |state: Option<&Resource>, volumes: &[Volume], group: &Group| typed(state, volumes, group, true).unwrap_err();
        let primary = Resource { role: Some(Role::Primary), ..Resource::default() };
        assert!(why(Some(&primary), &volumes(), &group()).starts_with("r0 is Primary here"));
        let connection = Connection { state: Some(ConnectionState::Connected), ..Connection::default() };
        let connected = Resource { connections: vec![connection], ..Resource::default() };
        assert_eq!(why(Some(&connected), &volumes(), &group()), "r0 is connected: drbdadm disconnect r0");
        let mut spilt = group();
        spilt.snapshots[0].is_invalid = true;
        assert!(why(None, &volumes(), &spilt).contains("has overflowed"));
        let mut half = group();
        half.snapshots.pop();
        assert!(why(None, &volumes(), &half).contains("has no snapshot of volume 1"));
        let mut external = volumes();
        external[0].meta_disk = Some("/dev/vdz".into());
        assert!(why(None, &external, &group()).starts_with("volume 0 has its meta-data on /dev/vdz"));
    }

    #[test]
    fn the_guide_names_both_purposes_and_both_nodes() {
        let said = guide("r0", "node2", "node1", true);
        assert!(
            said.contains("node1:  drbdadm down r0; drbdadm create-md --force r0; drbdadm up r0\n     node2:  drbdadm up r0\n"),
            "{said}"
        );
        assert!(said.contains("node2:  drbdadm create-md --force r0; drbdadm up r0\n     node1:  drbdadm connect r0"), "{said}");
        assert!(!said.contains("primary --force"));
        assert!(guide("r0", "node2", "node1", false).contains("primary --force r0"));
    }
}
