//! unfence-peer: the peer is up to date again, so whoever keeps it from being promoted may go.

use std::time::Duration;

use anyhow::Result;
use clap::{Arg, ArgAction};

use super::fence_peer::{self, Scene, is_peer_up_to_date, worst_disk};
use super::{Handler, Outcome, Turn, Work};
use crate::kernel::drbd::model::DiskState;
use crate::ocf::cib::{Pacemaker, Standing, names};

/// The handler.
pub const UNFENCE_PEER: Handler = Handler {
    name: "unfence-peer",
    about: "Removes the constraint of fence-peer once the disks of both sides are UpToDate",
    limit: Duration::from_secs(20),
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
    let resource = work.look()?;
    let own = worst_disk(&resource);
    if own != Some(DiskState::UpToDate) || !is_peer_up_to_date(&resource) {
        let whose = if own == Some(DiskState::UpToDate) { "the peer's" } else { "the own" };
        return Ok(Outcome::new(
            1,
            "not-yet",
            format!("{whose} disks are not all UpToDate: the constraint stays if there is one"),
        ));
    }
    let pacemaker = Pacemaker::find(work.root)?;
    let cib = pacemaker.cib(work.deadline)?;
    let scene = Scene::new(work, &pacemaker);
    let (nodes, fence) = match scene.fence(&cib, &resource) {
        Ok(found) => found,
        Err(why) => return Ok(Outcome::new(1, "name-mismatch", why)),
    };
    let allowed = match fence.standing(&cib) {
        Standing::None => return Ok(Outcome::new(0, "nothing-to-do", "there is no constraint")),
        Standing::Unknown => {
            return Ok(Outcome::new(1, "not-ours", format!("constraint {} is none of ours: look at it", fence.id())));
        }
        Standing::Only(allowed) => allowed,
    };
    if work.options.get_flag("unfence-only-if-owner-match") && !allowed.contains(&nodes.own) {
        let why = format!("constraint {} allows {} only: left to it", fence.id(), names(&allowed));
        return Ok(Outcome::new(0, "left", why));
    }
    pacemaker.delete(&fence, work.deadline)?;
    Ok(Outcome::new(0, "removed", format!("all disks are UpToDate: removed constraint {}", fence.id())))
}
