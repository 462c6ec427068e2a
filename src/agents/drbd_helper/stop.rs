//! The stop: needs the name, and drbdsetup or, without it, the kernel alone. What is asked of nobody else is asked last.

use super::Helper;
use super::demote::held_open;
use super::observe::{is_gone, meta, remember_primary};
use super::peering;
use super::record::Record;
use super::trouble::{Trouble, drbdsetup, until};
use super::values::Guarding;
use crate::deadline::Deadline;
use crate::kernel::drbd::model::Resource;
use crate::kernel::drbd::{Drbd, netlink};
use crate::kernel::error::KernelError;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

impl Helper {
    /// Takes it down, demoted first.
    ///
    /// # Errors
    /// It is still there: who holds it open, or what was said.
    pub(super) fn take_down(&self, cx: &Context) -> Result<(), OcfError> {
        let Some(name) = self.name.as_deref() else {
            tracing::warn!("drbd_resource: no resource is named: nothing to stop");
            return Ok(());
        };
        let mut record = Record::load(cx, name);
        let before = self.look(cx, &record).inspect_err(|e| tracing::warn!("{e}")).ok().flatten();
        if let Some(resource) = &before {
            self.remember_at_last(cx, resource, &mut record);
        }
        until(cx.deadline, || down_once(cx, name, before.as_ref()))?;
        self.is_down.set(true);
        if before.as_ref().is_none_or(peering::is_any_cut) {
            self.outdate_if_due(cx, name, cx.deadline.share(0.5));
        }
        is_gone(cx, &mut record);
        Record::forget(cx, name);
        Ok(())
    }

    /// What must be known when this node comes up alone.
    fn remember_at_last(&self, cx: &Context, resource: &Resource, record: &mut Record) {
        if self.guarding == Guarding::Off {
            return;
        }
        if resource.is_primary() {
            self.note_primary(cx, resource, "demoted");
        } else if peering::is_connected(resource) {
            remember_primary(cx, resource, record);
        }
    }

    /// Marks the disks here as outdated if another node is promoted, which then goes on without this one.
    pub(super) fn outdate_if_due(&self, cx: &Context, name: &str, deadline: Deadline) {
        let Some(node) = self.outdates.then(|| promoted_elsewhere(cx)).flatten() else { return };
        (cx.progress)(&format!("drbdadm outdate {name}"));
        let outdated = self.drbdadm(cx).and_then(|tool| {
            self.wait_for_handlers(cx, deadline).map_err(|trouble| trouble.error)?;
            tool.run(&["outdate"], name, deadline).map_err(|e| self.trouble("outdate", &e).error)
        });
        match outdated {
            Ok(_) => tracing::info!("{name}: outdated here: {node} is promoted and not connected"),
            Err(e) => tracing::warn!("{e}"),
        }
    }
}

/// One attempt.
fn down_once(cx: &Context, name: &str, before: Option<&Resource>) -> Result<(), Trouble> {
    let done = match drbdsetup(cx) {
        Ok(tool) => {
            (cx.progress)(&format!("drbdsetup down {name}"));
            tool.down(name, cx.deadline)
        }
        Err(e) if e.code == Code::Installed => {
            if Drbd::open(cx.root).is_ok_and(|drbd| drbd.is_none()) {
                return Ok(());
            }
            tracing::warn!("{e}: asking the kernel itself");
            (cx.progress)(&format!("take down {name} by netlink"));
            return match (netlink::down(name, cx.deadline), before) {
                (Ok(_), _) => Ok(()),
                (Err(e), Some(resource)) if is_held_open(&e) => {
                    tracing::info!("{e}");
                    Err(Trouble::again(held_open(cx, resource)))
                }
                (Err(e), _) => Err(Trouble::again(e)),
            };
        }
        Err(e) => return Err(e.into()),
    };
    let Err(failure) = done else { return Ok(()) };
    if failure.is_late() {
        // Whether it is stuck in the kernel, and what to do then, is the guard's to say.
        let error = OcfError::stuck(format_args!("{name}: drbdsetup down does not come back"));
        return Err(Trouble { error, is_final: true });
    }
    match (failure.refusal(), before) {
        (Some(refusal), Some(resource)) if refusal.is_held_open() => Err(Trouble::again(held_open(cx, resource))),
        _ => Err(Trouble::again(format_args!("{name}: down: {failure}"))),
    }
}

/// Whether the kernel refused because somebody has a volume open (`SS_DEVICE_IN_USE`).
fn is_held_open(e: &KernelError) -> bool {
    e.source.to_string().contains("(-12)")
}

/// Another node that is promoted and stays so, as a notification says.
fn promoted_elsewhere(cx: &Context) -> Option<String> {
    let list = |names: &[&str]| meta(cx, names).unwrap_or_default();
    let here = meta(cx, &["on_node"]).map(str::to_owned).or_else(|| super::last_primary::this_node(cx.root)).unwrap_or_default();
    let promoted = list(&["notify_promoted_uname", "notify_master_uname"]);
    let leaving = [list(&["notify_demote_uname"]), list(&["notify_stop_uname"])];
    let is_leaving = |node: &str| leaving.iter().any(|nodes| nodes.split_whitespace().any(|other| other == node));
    promoted.split_whitespace().find(|node| *node != here && !is_leaving(node)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attr::Root;
    use crate::ocf::env::Env;
    use std::time::Duration;

    #[test]
    fn another_node_counts_as_promoted_unless_it_is_about_to_leave() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let told = |vars: &[(&str, &str)]| {
            let vars = vars.iter().map(|(name, value)| (format!("OCF_RESKEY_CRM_meta_{name}"), (*value).to_owned()));
            let env: Env = vars.chain([("OCF_RESKEY_CRM_meta_on_node".to_owned(), "node1".to_owned())]).collect();
            let cx = Context { root: &root, env: &env, deadline: Deadline::after(Duration::from_secs(1)), progress: &|_| () };
            promoted_elsewhere(&cx)
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[("notify_promoted_uname", "node1 ")]), None);
        assert_eq!(told(&[("notify_promoted_uname", "node2 ")]).as_deref(), Some("node2"));
        assert_eq!(told(&[("notify_master_uname", "node2")]).as_deref(), Some("node2"));
        for leaving in ["notify_demote_uname", "notify_stop_uname"] {
            assert_eq!(told(&[("notify_promoted_uname", "node2"), (leaving, "node2")]), None, "{leaving}");
        }
    }
}
