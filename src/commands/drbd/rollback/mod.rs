//! `ocf-san drbd rollback`: back to the snapshots from before a resync, without DRBD ever taking the old data for the newest.

mod begun;
mod plan;

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};

use self::begun::Begun;
use self::plan::{Sight, guide, plan};
use super::snapshots::{Group, Storage};
use super::steps::{Ground, Step, confirm, wait_for_handlers};
use super::volumes::{host, know, need_root, resource_arg, resource_of};
use crate::agents::drbd_helper::last_primary::now;
use crate::commands::put;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::drbd::Drbd;
use crate::kernel::drbd::config::Volume;
use crate::kernel::drbd::model::Resource;
use crate::kernel::lvm::command::Lvm;
use crate::kernel::lvm::snapshot::activation;

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
    let asked = matches.get_one::<String>("group").map(String::as_str);
    let mut begun = Begun::load(root, resource)?;
    if let Some(begun) = begun.as_ref().filter(|_| !matches.get_flag("dry-run")) {
        activate(root, begun)?;
    }
    let sight = look(root, resource)?;
    let groups = sight.storage.snapshots(resource);
    begun = begun.filter(|begun| asked.is_none_or(|asked| asked == begun.group) || !begun.is_untouched(&groups));
    let rest = begun.as_ref().map(|begun| begun.rest(&groups, asked)).transpose()?.flatten();
    if let (Some(begun), None) = (&begun, &rest) {
        return sight.over(root, begun, matches.get_flag("dry-run"));
    }
    let group = match &rest {
        Some(rest) => rest,
        None => choose(&groups, asked).map_err(|why| anyhow!("{resource}: {why}"))?,
    };
    let fresh = group.snapshots.iter().map(|_| unheard_of(root)).collect::<Result<Vec<_>>>()?;
    let (now, begun) = (now(), begun.as_ref());
    let steps = sight.plan(group, begun, &now, &fresh)?;
    let again = if begun.is_some() { ", which was begun and not ended" } else { "" };
    put(&format!(
        "{resource} on {} goes back to group {} of {}{again}. Whatever was written here since then is lost.\n\
         If Pacemaker runs it, take it out of its hands first: pcs resource unmanage, or crm resource maintenance.\n",
        sight.here,
        group.id,
        group.time()
    ))?;
    Ground { root, resource, storage: &sight.storage }.show(&steps)?;
    if matches.get_flag("dry-run") {
        return Ok(0);
    }
    if !matches.get_flag("yes") {
        confirm("")?;
    }
    wait_for_handlers(root, resource)?;
    // What somebody has done in the meantime may make it wrong.
    let sight = look(root, resource)?;
    let is_same = |now: &&Group| now.id == group.id && now.kind == group.kind;
    let groups = sight.storage.snapshots(resource);
    let found = match begun {
        Some(begun) => begun.rest(&groups, None)?,
        None => groups.iter().find(is_same).cloned(),
    };
    let found = found.with_context(|| format!("{resource}: group {} is gone meanwhile: nothing was changed", group.id))?;
    if sight.plan(&found, begun, &now, &fresh)? != steps {
        bail!("{resource}: its state has changed meanwhile: nothing was changed, look again");
    }
    Ground { root, resource, storage: &sight.storage }.walk(&steps)?;
    let after = look(root, resource)?;
    if let Some(left) = after.storage.snapshots(resource).iter().find(is_same) {
        let names: Vec<String> = left.snapshots.iter().map(|snapshot| format!("{}/{}", snapshot.vg, snapshot.name)).collect();
        bail!("not merged yet: {}; leave {resource} down and run the same again", names.join(", "));
    }
    Begun::forget(root, resource)?;
    put(&after.guide())?;
    Ok(0)
}

/// What of an interrupted way back is not active is not to be found through the kernel.
fn activate(root: &Root, begun: &Begun) -> Result<()> {
    let lvm = Lvm::find(root).context("package lvm2")?.all_but_drbd();
    for (vg, origin) in begun.origins()? {
        lvm.change_snapshot("activate a volume of", &vg, &activation(&vg, origin, true), Deadline::after(LOOK))?;
    }
    Ok(())
}

/// One look.
struct Look<'a> {
    resource: &'a str,
    here: String,
    other: Option<String>,
    state: Option<Resource>,
    volumes: Vec<Volume>,
    is_84: bool,
    storage: Storage,
}

fn look<'a>(root: &Root, resource: &'a str) -> Result<Look<'a>> {
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
    let volumes = own.volumes.clone();
    let other = config.hosts.iter().filter_map(|host| host.names.first()).find(|name| **name != here).cloned();
    Ok(Look { resource, here, other, volumes, is_84: drbd.is_84(), storage, state: known.kernel })
}

impl Look<'_> {
    fn plan(&self, group: &Group, begun: Option<&Begun>, now: &str, fresh: &[u64]) -> Result<Vec<Step>> {
        let Self { resource, volumes, is_84, .. } = self;
        let state = self.state.as_ref();
        plan(&Sight { resource, state, volumes, is_84: *is_84, group, begun, now, fresh }).map_err(anyhow::Error::msg)
    }

    /// All was merged, and only the record of it is left.
    fn over(&self, root: &Root, begun: &Begun, is_dry: bool) -> Result<u8> {
        if !is_dry {
            Begun::forget(root, self.resource)?;
        }
        put(&format!("{}: the way back to group {} is over.\n", self.resource, begun.group))?;
        if self.state.is_none() {
            put(&self.guide())?;
        }
        Ok(0)
    }

    fn guide(&self) -> String {
        guide(self.resource, &self.here, self.other.as_deref().unwrap_or("the other node"), self.is_84)
    }
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
