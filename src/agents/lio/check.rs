//! Check level 0: is everything of ours in place? Looks by name at what a start recorded and lists nothing, so it stays cheap.

use crate::kernel::attr::Dir;
use crate::kernel::error::Result;
use crate::kernel::lio::inventory::{Acl, Inventory, Tpg};
use crate::kernel::lio::{Lio, storage};
use crate::ocf::run::State;

/// What is there and what is not.
#[derive(Debug, Default)]
struct Tally {
    present: u32,
    missing: u32,
    first: Option<String>,
}

impl Tally {
    fn note(&mut self, there: bool, what: impl FnOnce() -> String) {
        if there {
            self.present += 1;
        } else {
            self.missing += 1;
            self.first.get_or_insert_with(what);
        }
    }
}

/// Whether portal groups are to be enabled already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Everything built, nothing shown yet.
    Built,
    /// As a start leaves it.
    Enabled,
}

/// Compares the tree with the inventory.
///
/// # Errors
/// Whatever reading says but "not found".
pub fn state(lio: &Lio, own: &Inventory, expect: Expect) -> Result<State> {
    let mut tally = Tally::default();
    let mut targets = 0;
    for target in &own.targets {
        if !lio.target(&target.iqn).exists()? {
            tally.note(false, || format!("target {} is missing", target.iqn));
            continue;
        }
        targets += 1;
        for tpg in &target.tpgs {
            let dir = lio.tpg(&target.iqn, tpg.tag);
            check_tpg(&mut tally, &dir, &target.iqn, tpg, expect)?;
        }
    }
    // A directory without "enable" 1 holds no device yet, but it is in the way: half-built.
    let mut stores = Vec::new();
    for so in &own.backstores {
        let enable = if so.hba.is_empty() { None } else { lio.storage_object(&so.hba, &so.name).read_opt("enable")? };
        tally.note(enable.as_deref() == Some("1"), || format!("backstore {} is missing", so.name));
        stores.extend(enable.map(|_| (so.hba.clone(), so.name.clone())));
    }
    if targets == 0 {
        // A backstore that another resource exports is that resource's.
        if !stores.is_empty() {
            let exported = storage::exported_by_others(lio, &[])?;
            stores.retain(|id| !exported.contains(id));
        }
        return Ok(match stores.first() {
            None => State::Stopped,
            // A configuration of backstores alone.
            Some(_) if own.targets.is_empty() && tally.missing == 0 => State::Running,
            Some((hba, name)) => State::Partial(format!("no target, but backstore {hba}/{name} is there")),
        });
    }
    Ok(match tally.first {
        None => State::Running,
        Some(first) => State::Partial(format!("{first} ({} of {} objects)", tally.missing, tally.missing + tally.present)),
    })
}

fn check_tpg(tally: &mut Tally, dir: &Dir, iqn: &str, tpg: &Tpg, expect: Expect) -> Result<()> {
    let name = || format!("{iqn} tpgt_{}", tpg.tag);
    let Some(enable) = dir.read_opt("enable")? else {
        tally.note(false, || format!("{} is missing", name()));
        return Ok(());
    };
    if tpg.enable && expect == Expect::Enabled {
        tally.note(enable == "1", || format!("{} is disabled", name()));
    } else {
        tally.present += 1;
    }
    for lun in &tpg.luns {
        let (hba, backstore) = &lun.backstore;
        let end = if hba.is_empty() { backstore.clone() } else { format!("{hba}/{backstore}") };
        let there = is_linked(&dir.dir("lun").dir(format!("lun_{}", lun.index)), &lun.alias, &end)?;
        tally.note(there, || format!("LUN {} of {} is missing", lun.index, name()));
    }
    for portal in &tpg.portals {
        tally.note(dir.dir("np").dir(portal).exists()?, || format!("portal {portal} of {} is missing", name()));
    }
    tpg.acls.iter().try_for_each(|acl| check_acl(tally, dir, acl))
}

fn check_acl(tally: &mut Tally, tpg: &Dir, acl: &Acl) -> Result<()> {
    let dir = tpg.dir("acls").dir(&acl.initiator);
    if acl.mapped.is_empty() {
        tally.note(dir.exists()?, || format!("ACL {} is missing", acl.initiator));
    }
    for (index, alias, tpg_lun) in &acl.mapped {
        let there = is_linked(&dir.dir(format!("lun_{index}")), alias, &format!("lun/lun_{tpg_lun}"))?;
        tally.note(there, || format!("mapped LUN {index} of {} is missing", acl.initiator));
    }
    Ok(())
}

/// Whether the link is there, under its name or under another (targetcli makes up names), and leads where it should.
fn is_linked(lun: &Dir, alias: &str, end: &str) -> Result<bool> {
    let target = match lun.read_link(alias)? {
        Some(target) => Some(target),
        None => match lun.links()?.first() {
            Some(other) => lun.read_link(other)?,
            None => None,
        },
    };
    Ok(target.is_some_and(|t| t.ends_with(end)))
}
