//! unfence-peer: the peer is up to date again, so whoever keeps it from being promoted may go; of several peers those that are are let in again.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Arg, ArgAction};

use super::fence_peer::nodes::Nodes;
use super::fence_peer::{self, AGAIN, Scene, is_peer_up_to_date, worst_disk};
use super::{Handler, Outcome, Turn, Work};
use crate::kernel::drbd::model::DiskState;
use crate::ocf::cib::{Pacemaker, Standing, names};

/// The handler.
pub const UNFENCE_PEER: Handler = Handler {
    name: "unfence-peer",
    about: "Removes the constraint of fence-peer once the disks of both sides are UpToDate",
    // The module of 8.4 sends no write on while it waits for this. A promoted agent calls it again.
    limit: Duration::from_secs(8),
    broken: 1,
    good: &[0],
    turn: Turn::Within(0.15),
    options: |command| {
        fence_peer::options(command).arg(
            Arg::new("unfence-only-if-owner-match")
                .long("unfence-only-if-owner-match")
                .action(ArgAction::SetTrue)
                .help("Leaves a constraint that does not allow this node"),
        )
    },
    act,
};

fn act(work: &Work) -> Result<Outcome> {
    let pacemaker = Pacemaker::find(work.root)?;
    let scene = Scene::new(work, &pacemaker);
    loop {
        let last = match once(work, &scene, &pacemaker) {
            Ok(outcome) => return Ok(outcome),
            Err(e) => format!("{e:#}"),
        };
        if work.deadline.remaining() <= AGAIN {
            return Ok(Outcome::new(1, "failed", format!("{last}: the constraint stays if there is one")));
        }
        tracing::debug!("{last}");
        sleep(AGAIN);
    }
}

/// One attempt. An error is worth another.
fn once(work: &Work, scene: &Scene, pacemaker: &Pacemaker) -> Result<Outcome> {
    let resource = work.look()?;
    let is_good = worst_disk(&resource.devices) == Some(DiskState::UpToDate);
    let is_peer_good = is_peer_up_to_date(&resource);
    // With one peer there is nothing to shrink.
    if !is_good || (!is_peer_good && resource.connections.len() < 2) {
        return Ok(not_yet(is_good));
    }
    let cib = pacemaker.cib(work.deadline)?;
    let (nodes, fence) = match scene.fence(&cib, &resource) {
        Ok(found) => found,
        Err(why) => return Ok(Outcome::new(1, "name-mismatch", why)),
    };
    let only_own = work.options.get_flag("unfence-only-if-owner-match");
    let undo = decide(&fence.standing(&cib), &fence.id(), &nodes, is_peer_good, only_own);
    if let Undo::Answer(outcome) = undo {
        return Ok(outcome);
    }
    // The cluster may have taken its time.
    let now = work.look()?;
    if worst_disk(&now.devices) != Some(DiskState::UpToDate)
        || is_peer_up_to_date(&now) != is_peer_good
        || scene.fence(&cib, &now) != Ok((nodes.clone(), fence.clone()))
    {
        bail!("the disks have changed meanwhile");
    }
    if undo == Undo::Remove {
        pacemaker.delete(&fence, work.deadline)?;
        return Ok(Outcome::new(0, "removed", format!("all disks are UpToDate: removed constraint {}", fence.id())));
    }
    pacemaker.replace(&fence, work.deadline)?;
    let good: Vec<&str> = nodes.good.iter().chain([&nodes.own]).map(String::as_str).collect();
    Ok(Outcome::new(0, "widened", format!("constraint {} allows {} now: their disks are UpToDate", fence.id(), names(&good))))
}

fn not_yet(is_own_good: bool) -> Outcome {
    let whose = if is_own_good { "the peer's" } else { "the own" };
    Outcome::new(1, "not-yet", format!("{whose} disks are not all UpToDate: the constraint stays if there is one"))
}

/// What becomes of the constraint.
#[derive(Debug, PartialEq, Eq)]
enum Undo {
    Answer(Outcome),
    /// Every peer is up to date again.
    Remove,
    /// Some are.
    Widen,
}

/// Decides, for a side whose own disks are up to date.
fn decide(standing: &Standing, id: &str, nodes: &Nodes, is_every_peer_good: bool, only_own: bool) -> Undo {
    let allowed = match standing {
        Standing::None => return Undo::Answer(Outcome::new(0, "nothing-to-do", "there is no constraint")),
        Standing::Unknown => {
            return Undo::Answer(Outcome::new(1, "not-ours", format!("constraint {id} is none of ours: look at it")));
        }
        Standing::Only(allowed) => allowed,
    };
    let allows = |node: &String| allowed.contains(node);
    if only_own && !allows(&nodes.own) {
        let why = format!("constraint {id} allows {} only: left to it", names(allowed));
        return Undo::Answer(Outcome::new(0, "left", why));
    }
    if is_every_peer_good {
        return Undo::Remove;
    }
    // As good as what it allows is only who is connected to that.
    let is_of_them = allows(&nodes.own) || nodes.good.iter().any(allows);
    let is_wider = nodes.good.iter().chain([&nodes.own]).any(|node| !allows(node));
    if is_of_them && is_wider { Undo::Widen } else { Undo::Answer(not_yet(true)) }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::Call;
    use super::*;
    use crate::deadline::Deadline;
    use crate::kernel::attr::Root;
    use crate::ocf::env::Env;

    #[test]
    fn of_several_peers_those_that_are_back_are_let_in_again() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let undo = |allowed: &[&str], good: &[&str], others: &[&str], only_own| {
            let nodes = Nodes { own: "n1".into(), good: names(good), others: names(others) };
            match decide(&Standing::Only(names(allowed)), "id", &nodes, others.is_empty(), only_own) {
                Undo::Answer(outcome) => outcome.result,
                other => format!("{other:?}"),
            }
        };
        assert_eq!(undo(&["n1"], &["n2"], &["n3"], true), "Widen");
        assert_eq!(undo(&["n1", "n2"], &["n2"], &["n3"], true), "not-yet");
        assert_eq!(undo(&["n1"], &[], &["n2", "n3"], true), "not-yet");
        assert_eq!(undo(&["n1"], &["n2", "n3"], &[], true), "Remove");
        assert_eq!(undo(&["n2"], &["n2"], &["n3"], false), "Widen", "this one is as good as what is allowed");
        assert_eq!(undo(&["n2"], &["n2"], &["n3"], true), "left");
        assert_eq!(undo(&["n2"], &["n3"], &["n2"], false), "not-yet", "what is allowed may be newer");
    }

    /// A cluster that does not answer the first time, neither to a question nor to a deletion.
    const CIBADMIN: &str = "#!/bin/sh
cd DIR || exit 1
once() { test -e \"$1\" || { : >\"$1\"; echo 'Transport endpoint is not connected' >&2; exit 1; }; }
case \"$1\" in
--query) once asked; cat cib.xml;;
--delete) once deleted; echo \"$*\" >>did;;
esac
";

    const CIB: &str = "<cib><configuration><nodes><node uname='n1'/><node uname='n2'/></nodes><resources><clone id='c'>\
        <primitive id='p' class='ocf' provider='linbit' type='drbd'><instance_attributes>\
        <nvpair name='drbd_resource' value='r0'/></instance_attributes></primitive></clone></resources><constraints>\
        <rsc_location rsc='c' id='drbd-fence-by-handler-r0-c'><rule role='Promoted' score='-INFINITY' id='x'>\
        <expression attribute='#uname' operation='ne' value='n1' id='y'/></rule></rsc_location></constraints></configuration></cib>";

    #[test]
    fn a_cluster_that_does_not_answer_is_asked_again() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let sbin = root.dir("/usr/sbin");
        for name in ["cibadmin", "crmadmin"] {
            crate::script::write(sbin.path().join(name), &CIBADMIN.replace("DIR", &keep.path().display().to_string()));
        }
        root.dir("/").set("cib.xml", CIB).unwrap();
        root.dir("/proc/sys/kernel").set("hostname", "n1").unwrap();
        let state = "version: 8.4.11 (api:1/proto:86-101)\n10: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n    \
                     ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:1 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n";
        root.dir("/proc").set("drbd", state).unwrap();
        let (env, call) = (Env::default(), Call { minors: vec![10], volumes: vec![0], ..Call::default() });
        let options = UNFENCE_PEER.command().try_get_matches_from(["unfence-peer"]).unwrap();
        let (deadline, afterwards) = (Deadline::after(Duration::from_secs(20)), RefCell::new(None));
        let work = Work::alone(&root, &env, &call, &options, deadline, &afterwards);
        let outcome = act(&work).unwrap();
        assert_eq!((outcome.code, outcome.result.as_str()), (0, "removed"), "{}", outcome.why);
        assert!(root.dir("/").read("did").unwrap().contains("drbd-fence-by-handler-r0-c"));
    }
}
