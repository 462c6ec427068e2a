//! `ocf-san drbd guard`: why this side is not promoted, and how somebody says that it may be.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::volumes::{know, need_root, resource_arg, resource_of};
use crate::agents::drbd_helper::evidence;
use crate::agents::drbd_helper::guard::{Guard, Reason};
use crate::agents::drbd_helper::last_primary::LastPrimary;
use crate::commands::put;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::drbd::model::{ConnectionState, DiskState, Resource};

/// How long the kernel gets to say how the resource is.
const LOOK: Duration = Duration::from_secs(10);

/// What somebody who clears a reason should have looked at.
fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::SplitBrain => "choose the side to keep: ocf-san drbd report RES, then ocf-san drbd recover RES --victim NODE",
        Reason::VerifyDifferences => "resync the blocks that differ: drbdadm disconnect RES; drbdadm connect RES",
        Reason::IoError => "replace or check the disk, then attach it: drbdadm attach RES",
        Reason::OlderData => {
            "let this side be brought up to date by the other one, which may have newer data: drbdadm connect RES"
        }
        Reason::TwoPrimaries => "find out which node was written to: ocf-san drbd report RES",
        Reason::Unreadable => "find out why this side was guarded, from the log and by ocf-san drbd report RES",
    }
}

fn parse(text: &str) -> Result<Reason, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("no such reason: one of {}", names().join(", ")))
}

fn name(reason: Reason) -> String {
    serde_json::to_value(reason).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

const ALL: [Reason; 6] =
    [Reason::SplitBrain, Reason::VerifyDifferences, Reason::IoError, Reason::OlderData, Reason::TwoPrimaries, Reason::Unreadable];

fn names() -> Vec<String> {
    ALL.into_iter().map(name).collect()
}

/// Its command line.
#[must_use]
pub fn command() -> Command {
    Command::new("guard")
        .about("Shows or clears why this side of a resource is not promoted")
        .args_conflicts_with_subcommands(true)
        .arg_required_else_help(true)
        .arg(resource_arg())
        .subcommand(Command::new("show").about("Shows the guard; 1 when one stands").arg(resource_arg()))
        .subcommand(
            Command::new("clear")
                .about("Takes the guard away, so that this side may be promoted again")
                .arg(resource_arg())
                .arg(Arg::new("reason").long("reason").value_name("REASON").value_parser(parse).help("Only this reason, not all"))
                .arg(
                    Arg::new("i-checked")
                        .long("i-checked")
                        .action(ArgAction::SetTrue)
                        .help("Somebody has made sure that this side may be used"),
                ),
        )
}

/// Shows or clears it.
///
/// # Errors
/// It can not be read or written, or is to be cleared unchecked.
pub fn run(root: &Root, matches: &ArgMatches) -> Result<u8> {
    match matches.subcommand() {
        Some(("clear", sub)) => {
            need_root(root)?;
            let only = sub.get_one::<Reason>("reason").copied();
            let (resource, is_checked) = (resource_of(sub)?, sub.get_flag("i-checked"));
            let had_older_data = Guard::load(root, resource).is_ok_and(|guard| guard.has(Reason::OlderData));
            put(&clear(root, resource, only, is_checked)?)?;
            if had_older_data && only.is_none_or(|only| only == Reason::OlderData) {
                let state = know(root, resource, Deadline::after(LOOK)).ok().and_then(|known| known.kernel);
                put(&state.as_ref().and_then(what_else).unwrap_or_default())?;
            }
            Ok(0)
        }
        Some((_, sub)) => show(root, resource_of(sub)?),
        None => show(root, resource_of(matches)?),
    }
}

/// What keeps it from a promotion beside older data that somebody means to use: that a disk is Consistent or Outdated, which DRBD does not
/// promote without the other side. What a resync left by half (Inconsistent) nobody is to be led to force.
fn what_else(state: &Resource) -> Option<String> {
    use DiskState::{Consistent, Outdated, UpToDate};
    let is_whole = state.devices.iter().all(|device| matches!(device.disk, Some(Outdated | Consistent | UpToDate)));
    let unsure = state.devices.iter().find_map(|device| device.disk.filter(|disk| *disk != UpToDate))?;
    let is_met = state.connections.iter().any(|connection| connection.state == Some(ConnectionState::Connected));
    let name = &state.name;
    (is_whole && !state.is_primary() && !is_met).then(|| {
        format!(
            "{name}: the disk is {unsure}, whether it is the newest only the other side can say; if that is lost for good, and \
             certainly off: drbdadm primary --force {name}, then drbdadm secondary {name}\n"
        )
    })
}

fn show(root: &Root, resource: &str) -> Result<u8> {
    let guard = Guard::load(root, resource).context("the guard can not be understood, so nothing is promoted here")?;
    put(&text(resource, &guard))?;
    Ok(u8::from(!guard.is_empty()))
}

/// The guard, one line for each reason and one for what to do about it.
#[must_use]
pub fn text(resource: &str, guard: &Guard) -> String {
    if guard.is_empty() {
        return format!("{resource}: no guard\n");
    }
    let mut out = format!("{resource}: not promoted here\n");
    for entry in &guard.entries {
        let detail = if entry.detail.is_empty() { String::new() } else { format!(": {}", entry.detail) };
        // Writing to a String does not fail.
        let _ = writeln!(out, "  {} since {}, found by {}{detail}", name(entry.reason), entry.since, entry.by);
        let _ = writeln!(out, "    {}", advice(entry.reason).replace("RES", resource));
    }
    out
}

/// Who was Primary last is nobody where it can not be read: otherwise each start would guard it anew.
fn settle_unreadable(root: &Root, resource: &str) -> Result<()> {
    if LastPrimary::load(root, resource).is_err() {
        LastPrimary::settle(root, resource)?;
    }
    Ok(())
}

fn clear(root: &Root, resource: &str, only: Option<Reason>, is_checked: bool) -> Result<String> {
    let is_meant = |reason: Reason| only.is_none_or(|only| only == reason);
    // One that can not be understood is cleared as a whole, or it would stand for ever.
    let guard = match Guard::load(root, resource) {
        Ok(guard) => guard,
        Err(e) if is_checked && only.is_none() => {
            Guard::discard(root, resource)?;
            // It may have been one for a split brain.
            let advice = evidence::forget_split_brain(root, resource)?.advice();
            settle_unreadable(root, resource)?;
            return Ok(format!("{resource}: removed a guard that could not be understood ({e})\n{advice}"));
        }
        Err(e) if only.is_none() => {
            let first = advice(Reason::Unreadable).replace("RES", resource);
            bail!("{resource}: the guard can not be read ({e}); first {first}; when that is done, say so with --i-checked");
        }
        Err(e) => bail!("{resource}: the guard can not be read ({e}), so it can be cleared only as a whole, without --reason"),
    };
    let standing: Vec<Reason> = guard.entries.iter().map(|entry| entry.reason).filter(|reason| is_meant(*reason)).collect();
    let mut left = "";
    if standing.is_empty() {
        if is_checked && only == Some(Reason::SplitBrain) {
            // The next monitor would guard it for what has been told.
            left = evidence::forget_split_brain(root, resource)?.advice();
        }
        return Ok(format!(
            "{resource}: {}\n{left}",
            only.map_or("no guard".to_owned(), |reason| format!("no guard for {}", name(reason)))
        ));
    }
    if !is_checked {
        bail!(
            "{resource} is guarded: {}; first {}; when that is done, say so with --i-checked",
            standing.iter().map(|reason| name(*reason)).collect::<Vec<_>>().join(", "),
            standing.first().map_or("", |reason| advice(*reason)).replace("RES", resource)
        );
    }
    Guard::clear(root, resource, is_meant)?;
    if standing.iter().any(|reason| matches!(reason, Reason::SplitBrain | Reason::Unreadable)) {
        left = evidence::forget_split_brain(root, resource)?.advice();
    }
    // Or the next start would guard it again.
    if standing.contains(&Reason::OlderData) {
        LastPrimary::settle(root, resource)?;
    }
    settle_unreadable(root, resource)?;
    Ok(format!("{resource}: cleared {}\n{left}", standing.iter().map(|reason| name(*reason)).collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::drbd_helper::guard::{Entry, records_of};
    use crate::kernel::drbd::model::{Connection, Device, Role};

    fn guarded(reasons: &[Reason]) -> (tempfile::TempDir, Root) {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        for reason in reasons {
            let entry =
                Entry { reason: *reason, since: "2026-01-31T12:00:00Z".into(), by: "monitor".into(), detail: String::new() };
            Guard::add(&root, "r0", entry).unwrap();
        }
        (keep, root)
    }

    #[test]
    fn every_reason_has_a_name_that_is_read_again_and_a_way_out() {
        for reason in ALL {
            assert_eq!(parse(&name(reason)), Ok(reason));
            assert!(!advice(reason).is_empty());
        }
        let why = parse("split brain").unwrap_err();
        assert!(why.starts_with("no such reason: one of split-brain, verify-differences"), "{why}");
        command().debug_assert();
    }

    #[test]
    fn a_guard_is_shown_with_what_to_do() {
        let (_keep, root) = guarded(&[Reason::SplitBrain]);
        assert_eq!(
            text("r0", &Guard::load(&root, "r0").unwrap()),
            "r0: not promoted here\n  split-brain since 2026-01-31T12:00:00Z, found by monitor\n    \
             choose the side to keep: ocf-san drbd report r0, then ocf-san drbd recover r0 --victim NODE\n"
        );
        assert_eq!(text("r1", &Guard::default()), "r1: no guard\n");
    }

    #[test]
    fn nothing_is_cleared_unchecked_and_only_what_was_asked_for() {
        let (_keep, root) = guarded(&[Reason::SplitBrain, Reason::IoError]);
        let e = clear(&root, "r0", None, false).unwrap_err().to_string();
        assert!(e.starts_with("r0 is guarded: split-brain, io-error; first choose") && e.ends_with("--i-checked"), "{e}");
        root.dir("/var/run/drbd/splitbrain").set("drbd-split-brain-detected-r0-0", "").unwrap();
        root.dir("/var/run/drbd/splitbrain").set("drbd-split-brain-detected-r0-a-0", "").unwrap();
        assert_eq!(clear(&root, "r0", Some(Reason::SplitBrain), true).unwrap(), "r0: cleared split-brain\n");
        assert!(Guard::load(&root, "r0").unwrap().has(Reason::IoError));
        let left = root.dir("/var/run/drbd/splitbrain").entries().unwrap();
        assert_eq!(left.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["drbd-split-brain-detected-r0-a-0"]);
        assert_eq!(clear(&root, "r0", Some(Reason::SplitBrain), false).unwrap(), "r0: no guard for split-brain\n");
        assert_eq!(clear(&root, "r0", None, true).unwrap(), "r0: cleared io-error\n");
        assert_eq!(clear(&root, "r0", None, false).unwrap(), "r0: no guard\n");
    }

    #[test]
    fn what_the_kernel_has_told_of_a_split_brain_that_is_cleared_counts_no_more() {
        let device = Device { minor: 10, ..Device::default() };
        let alone = Resource { name: "r0".into(), devices: vec![device], ..Resource::default() };
        let line = |time: u32| format!("<1>[   {time}.000001] block drbd10: Split-Brain detected but unresolved, dropping\n");
        for standing in [vec![Reason::SplitBrain], vec![Reason::Unreadable, Reason::IoError], vec![]] {
            let (_keep, root) = guarded(&standing);
            root.dir("/proc/sys/kernel/random").set("boot_id", "6d1f\n").unwrap();
            root.dir("/dev").set("kmsg", &line(12)).unwrap();
            assert!(evidence::is_told(&root, &alone));
            let only = standing.is_empty().then_some(Reason::SplitBrain);
            clear(&root, "r0", only, true).unwrap();
            assert!(!evidence::is_told(&root, &alone), "{standing:?}");
            root.dir("/dev").set("kmsg", &line(13)).unwrap();
            assert!(evidence::is_told(&root, &alone), "they have met again");
            root.dir("/dev").set("kmsg", "<1>block drbd10: Split-Brain detected but unresolved, dropping\n").unwrap();
            let said = clear(&root, "r0", Some(Reason::SplitBrain), true).unwrap();
            assert!(said.contains("\nrun dmesg --clear on this node: "), "{said}");
        }
        let (_keep, root) = guarded(&[Reason::IoError]);
        root.dir("/proc/sys/kernel/random").set("boot_id", "6d1f\n").unwrap();
        root.dir("/dev").set("kmsg", &line(12)).unwrap();
        clear(&root, "r0", None, true).unwrap();
        assert!(evidence::is_told(&root, &alone), "nobody has looked at that");
    }

    #[test]
    fn a_disk_that_may_not_be_the_newest_needs_more_than_no_guard() {
        use DiskState::{Consistent, Inconsistent, Outdated, UpToDate};
        let of = |disks: &[DiskState], role, connection| {
            let devices = disks.iter().map(|disk| Device { disk: Some(*disk), ..Device::default() }).collect();
            let connections = vec![Connection { state: Some(connection), ..Connection::default() }];
            what_else(&Resource { name: "r0".into(), role: Some(role), devices, connections, ..Resource::default() })
        };
        let (alone, second) = (ConnectionState::Connecting, Role::Secondary);
        for disks in [&[Consistent][..], &[Outdated], &[UpToDate, Consistent]] {
            let said = of(disks, second, alone).unwrap();
            assert!(said.ends_with("--force r0, then drbdadm secondary r0\n"), "{said}");
        }
        for disks in [&[UpToDate][..], &[Inconsistent], &[Consistent, Inconsistent]] {
            assert_eq!(of(disks, second, alone), None, "{disks:?}");
        }
        assert_eq!(of(&[Consistent], Role::Primary, alone), None);
        assert_eq!(of(&[Outdated], second, ConnectionState::Connected), None);
    }

    #[test]
    fn a_guard_that_can_not_be_understood_goes_only_as_a_whole() {
        let (_keep, root) = guarded(&[]);
        records_of(&root, "r0").set("guard.json", "{").unwrap();
        let why = clear(&root, "r0", None, false).unwrap_err().to_string();
        assert!(why.contains("guard.json") && why.ends_with("say so with --i-checked"), "{why}");
        let why = clear(&root, "r0", Some(Reason::IoError), true).unwrap_err().to_string();
        assert!(why.ends_with("without --reason"), "{why}");
        assert!(clear(&root, "r0", None, true).unwrap().starts_with("r0: removed a guard"));
        assert!(Guard::load(&root, "r0").unwrap().is_empty());
    }
}
