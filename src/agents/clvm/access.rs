//! Whose volume group it is: the owner in its metadata, its tag, its locks. A start that fails gives back the tag and the lockspace that
//! it took; a system id and a changed autoactivation stay.

use super::Clvm;
use super::lockspace;
use super::look::{self, Device};
use super::values::{Mode, matches};
use crate::deadline::Deadline;
use crate::kernel::dm::DeviceMapper;
use crate::kernel::error::KernelError;
use crate::kernel::lvm::command::Lvm;
use crate::kernel::lvm::names::VgName;
use crate::kernel::lvm::report::VolumeGroup;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::members::members;
use crate::ocf::run::Context;

/// What a start has taken.
#[derive(Debug, Default, Clone, Copy)]
pub struct Taken {
    has_tag: bool,
    has_lockspace: bool,
}

/// Refuses a volume group that is another's by what its metadata says, in whatever mode.
///
/// # Errors
/// Whose it is, and what to do.
pub fn check(vg: &VolumeGroup, mode: Mode) -> Result<(), OcfError> {
    let refuse = |why: String| Err(OcfError::new(Code::Generic, format_args!("{}: {why}", vg.name)));
    match (mode, vg.lock_type.as_str()) {
        (_, _) if vg.is_exported => refuse(format!("exported: vgimport {} on the node that shall have it", vg.name)),
        (Mode::Lvmlockd, "") => refuse(format!("not a shared volume group: vgchange --lock-type dlm {}", vg.name)),
        (Mode::Lvmlockd, _) | (_, "") => Ok(()),
        (_, kind) => refuse(format!("shared (lock type {kind}): vg_access_mode must be lvmlockd")),
    }
}

impl Clvm {
    /// Makes the volume group this node's.
    ///
    /// # Errors
    /// It is another's, or can not be had; nothing is taken then.
    pub(super) fn take(&self, cx: &Context, lvm: &Lvm, vg: &VgName, facts: &VolumeGroup, mode: Mode) -> Result<Taken, OcfError> {
        let deadline = cx.deadline.share(0.6);
        match mode {
            Mode::Local => foreign_system_id(lvm, facts, deadline).map(|()| Taken::default()),
            Mode::SystemId => self.take_over(cx, lvm, vg, facts, deadline).map(|()| Taken::default()),
            Mode::Tagging => {
                foreign_system_id(lvm, facts, deadline)?;
                self.add_tag(cx, lvm, vg, facts, deadline)
            }
            Mode::Lvmlockd => {
                let has_lockspace = lockspace::start(cx, lvm, vg, &facts.lock_type, deadline)?;
                Ok(Taken { has_lockspace, ..Taken::default() })
            }
        }
    }

    /// Gives back what a start that failed has taken.
    pub(super) fn give_back(&self, cx: &Context, lvm: &Lvm, vg: &VgName, taken: Taken) {
        if taken.has_tag {
            logged(remove_tag(cx, lvm, vg, &self.tag, cx.deadline.share(0.5)));
        }
        if taken.has_lockspace {
            logged(lockspace::stop(cx, Some(lvm), vg, cx.deadline.share(0.5)));
        }
    }

    /// Lets go of the volume group, of which no logical volume is active here any more; where there is no `lvm` to ask, of its locks only. A
    /// tag or system id that stays is logged: nobody writes.
    ///
    /// # Errors
    /// A lock is still held, which no other node gets then.
    pub(super) fn let_go(&self, cx: &Context, lvm: Option<&Lvm>, vg: &VgName, mode: Mode, tag: &str) -> Result<(), OcfError> {
        let deadline = cx.deadline.share(0.6);
        match (mode, lvm) {
            (Mode::Lvmlockd, lvm) => return lockspace::stop(cx, lvm, vg, deadline),
            (Mode::SystemId, Some(lvm)) if self.releases => {
                let release = || lvm.change("give up the system id of", vg, &["--systemid", ""], deadline);
                logged(unless_used(cx, vg, mode, "system id", deadline, release));
            }
            (Mode::Tagging, Some(lvm)) => logged(remove_tag(cx, lvm, vg, tag, deadline)),
            _ => {}
        }
        Ok(())
    }

    /// Takes the volume group over from its owner, if that is one to take over from.
    fn take_over(&self, cx: &Context, lvm: &Lvm, vg: &VgName, facts: &VolumeGroup, deadline: Deadline) -> Result<(), OcfError> {
        let own = lvm.system_id(deadline)?;
        if own.is_empty() {
            let why = "vg_access_mode=system_id: this host has none (global/system_id_source in lvm.conf)";
            return Err(OcfError::new(Code::Args, why));
        }
        let Some(_turn) = lockspace::turn(cx, vg, deadline.share(0.5))? else {
            return Err(OcfError::new(Code::Generic, format_args!("{vg}: another resource takes it over or gives it up")));
        };
        // Another resource may have done so since it was seen, and LVM refuses to give it to its owner.
        let gone = || OcfError::new(Code::Generic, format_args!("{vg}: no such volume group is to be seen any more"));
        let owner = lvm.report(vg, false, deadline.share(0.5))?.ok_or_else(gone)?.system_id;
        let owner = owner.as_str();
        if owner != own {
            let is_ours = |id: &str| self.system_ids.iter().any(|known| known == id) || members(cx.root).is_member(id);
            if !owner.is_empty() && !is_ours(owner) {
                let why = format_args!("{vg} belongs to {owner}, no member of this cluster and not in system_ids");
                return Err(OcfError::new(Code::Generic, why));
            }
            (cx.progress)(&format!("take over {vg} from {owner:?}"));
            tracing::info!("{vg}: taken over from {owner:?}");
            let config = format!("local{{extra_system_ids=[\"{owner}\"]}}");
            let mut options = vec!["--systemid", own.as_str()];
            if !owner.is_empty() {
                options.extend(["--config", &config]);
            }
            if self.has_majority && facts.missing_pvs > 0 {
                options.push("--majoritypvs");
            }
            lvm.change("take over", vg, &options, deadline)?;
        }
        if facts.has_autoactivation {
            // Or a node that comes back could activate it at boot, before it knows that it has lost it.
            logged(lvm.change("keep from autoactivation", vg, &["--setautoactivation", "n"], deadline).map_err(OcfError::from));
        }
        Ok(())
    }

    fn add_tag(&self, cx: &Context, lvm: &Lvm, vg: &VgName, facts: &VolumeGroup, deadline: Deadline) -> Result<Taken, OcfError> {
        let own = own_name(cx);
        let members = members(cx.root);
        let is_other_node = |tag: &str| members.names().any(|name| name == tag) && tag != own;
        let is_foreign = |tag: &&String| {
            **tag != self.tag && (is_other_node(tag) || self.owner_tags.iter().any(|pattern| matches(pattern, tag)))
        };
        if let Some(tag) = facts.tags.iter().find(is_foreign) {
            let why = format_args!("{vg} has the tag of another owner: {tag} (vgchange --deltag {tag} {vg} if it is not in use)");
            return Err(OcfError::new(Code::Generic, why));
        }
        let Some(_turn) = lockspace::turn(cx, vg, deadline.share(0.5))? else {
            return Err(OcfError::new(Code::Generic, format_args!("{vg}: another resource adds or removes its tag")));
        };
        // A stop may have removed it since it was seen.
        let is_there = facts.tags.contains(&self.tag)
            && lvm.report(vg, false, deadline.share(0.5))?.is_some_and(|now| now.tags.contains(&self.tag));
        if is_there {
            return Ok(Taken::default());
        }
        (cx.progress)(&format!("add the tag {} to {vg}", self.tag));
        lvm.change("add a tag to", vg, &["--addtag", &self.tag], deadline)?;
        Ok(Taken { has_tag: true, ..Taken::default() })
    }
}

/// Removes the tag, unless another resource is active here by it or is about to be.
fn remove_tag(cx: &Context, lvm: &Lvm, vg: &VgName, tag: &str, deadline: Deadline) -> Result<(), OcfError> {
    let remove = || lvm.change("remove a tag from", vg, &["--deltag", tag], deadline);
    unless_used(cx, vg, Mode::Tagging, "tag", deadline, remove)
}

/// Lets `change` take away what makes the volume group this node's, unless another resource is active here or is about to be.
fn unless_used(
    cx: &Context,
    vg: &VgName,
    mode: Mode,
    what: &str,
    deadline: Deadline,
    change: impl FnOnce() -> Result<(), KernelError>,
) -> Result<(), OcfError> {
    let Some(_turn) = lockspace::turn(cx, vg, deadline.share(0.5))? else {
        tracing::warn!("{vg}: its {what} stays for whoever is starting");
        return Ok(());
    };
    let devices = DeviceMapper::open(cx.root)?.map(|dm| look::devices(&dm, Some(vg), None)).transpose()?.unwrap_or_default();
    let active = devices.iter().find(|device| device.is_volume()).map(Device::spoken);
    if let Some(other) = active.map_or_else(|| lockspace::other_user(cx, vg, mode), |active| Ok(Some(active)))? {
        tracing::info!("{vg}: its {what} stays for {other}");
        return Ok(());
    }
    (cx.progress)(&format!("give up the {what} of {vg}"));
    Ok(change()?)
}

/// A volume group with an owner is nobody else's, in every mode.
fn foreign_system_id(lvm: &Lvm, facts: &VolumeGroup, deadline: Deadline) -> Result<(), OcfError> {
    if facts.system_id.is_empty() || facts.system_id == lvm.system_id(deadline)? {
        return Ok(());
    }
    let why = format_args!("{} belongs to {}: vg_access_mode=system_id takes it over", facts.name, facts.system_id);
    Err(OcfError::new(Code::Generic, why))
}

/// What the cluster calls this node.
fn own_name(cx: &Context) -> String {
    let name = cx.env.get("OCF_RESKEY_CRM_meta_on_node").filter(|name| !name.is_empty()).map(str::to_owned);
    name.or_else(|| cx.root.dir("/proc/sys/kernel").read("hostname").ok()).unwrap_or_default()
}

fn logged(result: Result<(), OcfError>) {
    if let Err(e) = result {
        tracing::warn!("{e}");
    }
}
