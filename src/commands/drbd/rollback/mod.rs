//! `ocf-san drbd rollback`: back to the snapshots from before a resync, without DRBD ever taking the old data for the newest.

mod plan;

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};

use self::plan::{Sight, guide, plan};
use super::snapshots::{Group, Storage};
use super::steps::{Ground, confirm};
use super::volumes::{host, know, need_root, resource_arg, resource_of};
use crate::agents::drbd_helper::last_primary::now;
use crate::commands::put;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::drbd::Drbd;

const LOOK: Duration = Duration::from_secs(60);

/// Its command line.
#[must_use]
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("rollback")
        .about("Takes the volumes of a resource here back to what they were before a resync")
        .arg(resource_arg())
        .arg(
            Arg::new("group")
                .long("group")
                .value_name("ID")
                .help("Of those that `ocf-san drbd snapshots` lists; default the newest good one"),
        )
        .arg(flag("dry-run", "Only says what would be done"))
        .arg(flag("yes", "Does not ask"))
}

/// Rolls back, or says why not.
///
/// # Errors
/// It is not safe, or could not be done.
pub fn run(root: &Root, matches: &ArgMatches) -> Result<u8> {
    need_root(root)?;
    let resource = resource_of(matches)?;
    let known = know(root, resource, Deadline::after(LOOK))?;
    let config = known.config.as_ref().with_context(|| known.missing.join("; "))?;
    let here = host(root);
    let own = config.host(&here).with_context(|| format!("this host, {here}, is not in the configuration of {resource}"))?;
    let drbd = Drbd::open(root)?.context("the DRBD module is not loaded: modprobe drbd")?;
    if let Some(missing) = known.missing.iter().find(|missing| missing.starts_with("state: ")) {
        bail!("{resource}: {missing}");
    }
    let storage = Storage::look(root, known.disks(root)?, Deadline::after(LOOK))?;
    if let Some(volume) = storage.volumes.iter().find(|volume| volume.lv.is_none()) {
        bail!("volume {} of {resource} is on {}, which is no active logical volume", volume.number, volume.on);
    }
    let groups = storage.snapshots(resource);
    let group =
        choose(&groups, matches.get_one::<String>("group").map(String::as_str)).map_err(|why| anyhow!("{resource}: {why}"))?;
    let fresh = group.snapshots.iter().map(|_| unheard_of(root)).collect::<Result<Vec<_>>>()?;
    let sight = Sight {
        resource,
        state: known.kernel.as_ref(),
        volumes: &own.volumes,
        is_84: drbd.is_84(),
        group,
        now: &now(),
        fresh: &fresh,
    };
    let steps = plan(&sight).map_err(anyhow::Error::msg)?;
    put(&format!(
        "{resource} on {here} goes back to group {} of {}. Whatever was written here since then is lost.\n\
         If Pacemaker runs it, take it out of its hands first: pcs resource unmanage, or crm resource maintenance.\n",
        group.id,
        group.time()
    ))?;
    let ground = Ground { root, resource, storage: &storage };
    ground.show(&steps)?;
    if matches.get_flag("dry-run") {
        return Ok(0);
    }
    if !matches.get_flag("yes") {
        confirm("")?;
    }
    ground.walk(&steps)?;
    let after = Storage::look(root, know(root, resource, Deadline::after(LOOK))?.disks(root)?, Deadline::after(LOOK))?;
    if let Some(left) = after.snapshots(resource).iter().find(|left| left.id == group.id && left.kind == group.kind) {
        let names: Vec<String> = left.snapshots.iter().map(|snapshot| format!("{}/{}", snapshot.vg, snapshot.name)).collect();
        bail!(
            "not merged yet: {}; leave {resource} down until ocf-san drbd snapshots {resource} shows them no more",
            names.join(", ")
        );
    }
    let other = config.hosts.iter().filter_map(|host| host.names.first()).find(|name| **name != here);
    put(&guide(resource, &here, other.map_or("the other node", String::as_str), drbd.is_84()))?;
    Ok(0)
}

/// The group that was asked for, or the newest that is good.
fn choose<'a>(groups: &'a [Group], id: Option<&str>) -> Result<&'a Group, String> {
    let ids = || groups.iter().map(|group| group.id.as_str()).collect::<Vec<_>>().join(", ");
    match id {
        _ if groups.is_empty() => Err("no snapshots".to_owned()),
        Some(id) => groups.iter().rfind(|group| group.id == id).ok_or_else(|| format!("no group {id}, only {}", ids())),
        None => groups.iter().rfind(|group| group.is_good()).ok_or_else(|| {
            let spilt: Vec<&str> = groups.iter().filter(|group| group.is_overflowed()).map(|group| group.id.as_str()).collect();
            let why = if spilt.is_empty() { String::new() } else { format!(" (overflowed: {})", spilt.join(", ")) };
            format!("no group is whole and valid: {}{why}", ids())
        }),
    }
}

/// An identifier that nobody has: without the lowest bit, which says "was Primary", and none of the few with a meaning of their own.
fn unheard_of(root: &Root) -> Result<u64> {
    let text = root.dir("/proc/sys/kernel/random").read("uuid")?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    let id = u64::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 16);
    let id = id.with_context(|| format!("{text:?} is no UUID"))?;
    Ok((id | 1 << 62) & !1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::drbd::snapshots::test_snapshot as snapshot;

    #[test]
    fn the_newest_good_group_is_chosen_unless_another_is_named() {
        let mut spilt = snapshot("g3", 0, &[0]);
        spilt.is_invalid = true;
        let groups = Group::of("r0", [snapshot("g1", 0, &[0]), snapshot("g2", 0, &[0]), spilt]);
        assert_eq!(choose(&groups, None).unwrap().id, "g2");
        assert_eq!(choose(&groups, Some("g1")).unwrap().id, "g1");
        assert_eq!(choose(&groups, Some("g9")).unwrap_err(), "no group g9, only g1, g2, g3");
        assert_eq!(choose(&groups[2..], None).unwrap_err(), "no group is whole and valid: g3 (overflowed: g3)");
        assert_eq!(choose(&[], None).unwrap_err(), "no snapshots");
    }

    #[test]
    fn an_identifier_means_nothing_to_drbd() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        root.dir("/proc/sys/kernel/random").set("uuid", "00000000-0000-0005-8000-000000000000\n").unwrap();
        assert_eq!(unheard_of(&root).unwrap(), 0x4000_0000_0000_0004);
        root.dir("/proc/sys/kernel/random").set("uuid", "rubbish").unwrap();
        assert!(unheard_of(&root).is_err());
        command().debug_assert();
    }
}
