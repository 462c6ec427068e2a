//! `ocf-san drbd snapshots`: which groups there are of a resource, and what they are good for.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use clap::{ArgMatches, Command};

use super::group::{Group, Snapshot};
use super::storage::Storage;
use crate::commands::drbd::volumes::{self, resource_arg};
use crate::commands::put;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;

const LIMIT: Duration = Duration::from_secs(60);

/// Its command line.
#[must_use]
pub fn command() -> Command {
    Command::new("snapshots")
        .about("Lists the snapshots of a resource: what can be gone back to, and how full it is")
        .arg(resource_arg())
}

/// Lists them. 1 when one has overflowed.
///
/// # Errors
/// The resource is unknown, or LVM can not be asked.
pub fn run(root: &Root, matches: &ArgMatches) -> Result<u8> {
    let resource = volumes::resource_of(matches)?;
    let deadline = Deadline::after(LIMIT);
    let storage = volumes::storage(root, resource, deadline)?;
    let groups = storage.snapshots(resource);
    put(&text(resource, &groups, &storage))?;
    Ok(u8::from(groups.iter().any(Group::is_overflowed)))
}

fn text(resource: &str, groups: &[Group], storage: &Storage) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    for volume in storage.volumes.iter().filter(|volume| volume.lv.is_none()) {
        let _ = writeln!(out, "volume {} is on {}: no snapshots", volume.number, volume.on);
    }
    if groups.is_empty() {
        let _ = writeln!(out, "{resource}: no snapshots");
    }
    for group in groups {
        let _ = writeln!(out, "{} {} of {}: {}", group.kind.tag(), group.id, group.time(), verdict(group));
        for snapshot in &group.snapshots {
            let _ = writeln!(out, "  volume {} {}/{} {}", snapshot.label.volume, snapshot.vg, snapshot.name, state(snapshot));
        }
    }
    out
}

fn verdict(group: &Group) -> String {
    let missing: Vec<String> = group.missing().iter().map(u32::to_string).collect();
    if group.is_overflowed() {
        "overflowed, no way back".to_owned()
    } else if group.snapshots.iter().any(|snapshot| snapshot.is_merging) {
        "being gone back to".to_owned()
    } else if missing.is_empty() {
        "whole".to_owned()
    } else {
        format!("lacks volume {}", missing.join(", "))
    }
}

fn state(snapshot: &Snapshot) -> String {
    let used = snapshot.used.map_or_else(|| "?".to_owned(), |used| format!("{}.{:02}", used / 100, used % 100));
    match (snapshot.is_invalid, snapshot.is_thin) {
        (true, _) => format!("overflowed its {} MiB", snapshot.size >> 20),
        (false, true) => format!("thin, its pool is {used}% full"),
        (false, false) => format!("{used}% of {} MiB full", snapshot.size >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::super::group::snapshot;
    use super::*;

    #[test]
    fn a_group_is_shown_with_how_full_it_is_and_what_it_is_good_for() {
        let thin = Snapshot { is_thin: true, used: Some(1234), ..snapshot("g1", 1, &[0, 1]) };
        let spilt = Snapshot { is_invalid: true, ..snapshot("g2", 0, &[0]) };
        let groups = Group::of("r0", [snapshot("g1", 0, &[0, 1]), thin, spilt, snapshot("g3", 0, &[0, 1])]);
        assert_eq!(
            text("r0", &groups, &Storage::default()),
            "drbd-before-resync g1 of 2026-01-31T12:00:00Z: whole\n\
             \x20 volume 0 vg1/lv0-before-resync-g1 0.00% of 8 MiB full\n\
             \x20 volume 1 vg1/lv1-before-resync-g1 thin, its pool is 12.34% full\n\
             drbd-before-resync g2 of 2026-01-31T12:00:00Z: overflowed, no way back\n\
             \x20 volume 0 vg1/lv0-before-resync-g2 overflowed its 8 MiB\n\
             drbd-before-resync g3 of 2026-01-31T12:00:00Z: lacks volume 1\n\
             \x20 volume 0 vg1/lv0-before-resync-g3 0.00% of 8 MiB full\n"
        );
        assert_eq!(text("r0", &[], &Storage::default()), "r0: no snapshots\n");
    }
}
