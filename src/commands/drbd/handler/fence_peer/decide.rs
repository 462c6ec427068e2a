//! What the answer is, as a pure function of what there is to see: exit codes as the module reads them (`drbd_nl.c`, `conn_try_outdate_peer`).
//!
//! 4 and 7 let I/O go on and a disk that is only Consistent become `UpToDate`. 5 does the first, and the second not. Anything but 3 to 7 is "the
//! helper is broken": nothing changes, and what stands still goes on standing still.

use super::super::Outcome;
use crate::agents::drbd_helper::handlers::{FENCED, OUTDATED, UNREACHABLE};
use crate::kernel::drbd::model::DiskState;
use crate::ocf::cib::{Fence, Seen, Standing, names};

/// Not done: the module changes nothing.
pub const BROKEN: u8 = 1;

/// Why what is known may be old.
pub const JUST_CHANGED: &str = "the cluster's membership has just changed, and what this node knows may be old";

/// What is to be seen of a peer over the cluster's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// A member, and its controller answers: it will obey a constraint.
    Reachable,
    /// Down for sure.
    Fenced,
    /// Not what it was, and the cluster will fence it.
    ToBeFenced,
    /// A member as far as the cluster knows, but it does not answer.
    Silent,
    /// Gone, and nobody will make sure of it.
    Gone,
}

impl PeerState {
    /// From what the cluster thinks of it, whether it `answers`, and whether this cluster `fences` nodes.
    pub fn new(seen: Seen, answers: impl FnOnce() -> bool, fences: bool) -> Self {
        match (seen, fences) {
            (Seen::Online, _) if answers() => Self::Reachable,
            (Seen::Online, _) => Self::Silent,
            (Seen::Down, _) => Self::Fenced,
            (Seen::Unclean | Seen::Never, true) => Self::ToBeFenced,
            (Seen::Unclean | Seen::Never, false) => Self::Gone,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Fenced => "down for sure",
            Self::ToBeFenced => "to be fenced",
            Self::Silent => "silent",
            Self::Gone => "gone",
        }
    }
}

/// All that the decision depends on.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub struct View<'a> {
    /// The node this runs on.
    pub own: &'a str,
    /// The constraint that would keep the others out.
    pub fence: &'a Fence,
    /// What there is in its place.
    pub standing: Standing,
    /// Whether this part of the cluster has quorum.
    pub has_quorum: bool,
    /// The worst of the local disks that serve; `None` when there is none.
    pub disk: Option<DiskState>,
    /// Whether this side is Primary and one of them is up to date, by which the module lets I/O of all go on (`conn_highest_disk`).
    pub has_good_disk: bool,
    /// Whether DRBD says that every disk of every peer is up to date.
    pub is_peer_up_to_date: bool,
    /// The peers that may not have what this side has.
    pub peers: &'a [(String, PeerState)],
    /// Whether another handler of this resource is at work, and may be deleting the constraint.
    pub is_beside_another: bool,
    /// Whether what this node knows of the cluster may be old: nothing lets I/O go on then.
    pub may_be_old: bool,
    /// Whether it is time to decide on what is known.
    pub is_over: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Give this answer.
    Answer(Outcome),
    /// Place the constraint, then give this answer.
    Place(Outcome),
    /// Put the constraint in the place of one that allows more, then give this answer.
    Narrow(Outcome),
    /// Look again, for this reason.
    Wait(String),
}

/// The decision table, of which nothing but refusals counts on knowledge that may be old.
pub fn decide(view: &View) -> Decision {
    let decision = table(view);
    let lets_go_on = match &decision {
        Decision::Answer(outcome) => outcome.code != BROKEN,
        Decision::Place(_) | Decision::Narrow(_) => true,
        Decision::Wait(_) => false,
    };
    if view.may_be_old && lets_go_on { Decision::Wait(JUST_CHANGED.to_owned()) } else { decision }
}

fn table(view: &View) -> Decision {
    let id = view.fence.id();
    let answer = |code, result: &str, why: String| Decision::Answer(Outcome::new(code, result, why));
    let is_wider = match &view.standing {
        Standing::Unknown => {
            return answer(
                BROKEN,
                "rejected",
                format!("constraint {id} is none of ours: look at it, and delete it if it is a leftover"),
            );
        }
        Standing::Only(nodes) if !nodes.iter().any(|node| node == view.own) => {
            let why = format!("constraint {id} allows {} only: the better data is there", names(nodes));
            return answer(BROKEN, "rejected", why);
        }
        // Written once more it comes after a deletion that has been asked for, or fails. One that allows fewer is left alone: what is known
        // of the others may be older.
        Standing::Only(nodes) if view.is_beside_another && view.fence.allows_just(nodes) => {
            let why = format!("constraint {} keeps the peer out, written anew", view.fence.id());
            return Decision::Narrow(Outcome::new(OUTDATED, "constraint-stands", why));
        }
        Standing::Only(nodes) if nodes.iter().all(|node| view.fence.allows(node)) => {
            return answer(OUTDATED, "constraint-stands", format!("constraint {id} keeps the peer out already"));
        }
        Standing::Only(_) => true,
        Standing::None => false,
    };
    let place = |code, why: String| {
        let outcome = Outcome::new(code, "constraint-placed", format!("{why}: placed constraint {id}"));
        if is_wider { Decision::Narrow(outcome) } else { Decision::Place(outcome) }
    };
    if view.is_peer_up_to_date {
        return answer(BROKEN, "peer-is-back", "every disk of the peer is UpToDate again".to_owned());
    }
    let Some(disk) = view.disk else {
        return answer(BROKEN, "unconfigured", "the resource has no device here".to_owned());
    };
    if !view.has_quorum {
        let why = "this part of the cluster has no quorum".to_owned();
        return if view.is_over { answer(BROKEN, "no-quorum", why) } else { Decision::Wait(why) };
    }
    let is_every = |state| view.peers.iter().all(|(_, peer)| *peer == state);
    let is_any = |state| view.peers.iter().any(|(_, peer)| *peer == state);
    let seen: Vec<_> = view.peers.iter().map(|(name, state)| format!("{name} is {}", state.word())).collect();
    let seen = format!("{}, own disk {disk}", names(&seen));
    let is_up_to_date = disk == DiskState::UpToDate;
    if is_every(PeerState::Reachable) && disk >= DiskState::Consistent {
        return place(OUTDATED, seen);
    }
    if view.peers.iter().all(|(_, peer)| matches!(peer, PeerState::Reachable | PeerState::Fenced)) && is_up_to_date {
        return place(FENCED, seen);
    }
    // Better data does not come from waiting for the end of a peer, but a silent one may still answer.
    let is_worth_waiting = is_any(PeerState::Silent) || (is_any(PeerState::ToBeFenced) && is_up_to_date);
    if is_worth_waiting && disk >= DiskState::Consistent && !view.is_over {
        return Decision::Wait(seen);
    }
    match (is_up_to_date, view.has_good_disk) {
        (true, _) => place(UNREACHABLE, seen),
        // The volumes that are up to date would be written to, and the peer be promoted without what was written.
        (false, true) => answer(BROKEN, "mixed", format!("{seen}, and another volume is UpToDate: no constraint, and no I/O")),
        (false, false) => answer(UNREACHABLE, "peer-unknown", format!("{seen}: no constraint")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [&str; 1] = ["n1"];

    fn view(fence: &Fence) -> View<'_> {
        View {
            own: "n1",
            fence,
            standing: Standing::None,
            has_quorum: true,
            disk: Some(DiskState::UpToDate),
            has_good_disk: false,
            is_peer_up_to_date: false,
            peers: &[],
            is_beside_another: false,
            may_be_old: false,
            is_over: false,
        }
    }

    fn short(decision: &Decision) -> String {
        match decision {
            Decision::Answer(outcome) => format!("{} {}", outcome.code, outcome.result),
            Decision::Place(outcome) => format!("place {}", outcome.code),
            Decision::Narrow(outcome) => format!("narrow {}", outcome.code),
            Decision::Wait(_) => "wait".to_owned(),
        }
    }

    #[test]
    fn a_constraint_that_is_there_decides_before_anything_else() {
        let fence = Fence::new("r0", "c", None, "Promoted", &OURS);
        let only = |nodes: &[&str]| Standing::Only(nodes.iter().map(|node| (*node).to_owned()).collect());
        for (standing, wanted) in [
            (only(&["n1"]), "4 constraint-stands"),
            (only(&["n2"]), "1 rejected"),
            (only(&["n2", "n3"]), "1 rejected"),
            (Standing::Unknown, "1 rejected"),
            (only(&["n1", "n2"]), "narrow 4"),
        ] {
            let peers = [("n2".to_owned(), PeerState::Reachable)];
            let now = View { standing: standing.clone(), peers: &peers, ..view(&fence) };
            assert_eq!(short(&decide(&now)), wanted, "{standing:?}");
            let worst = View { has_quorum: false, disk: None, is_over: true, ..now.clone() };
            let without = if wanted == "narrow 4" { "1 unconfigured" } else { wanted };
            assert_eq!(short(&decide(&worst)), without, "{standing:?}, without a disk or quorum");
            let beside = View { is_beside_another: true, ..now };
            let wanted = if wanted == "4 constraint-stands" { "narrow 4" } else { wanted };
            assert_eq!(short(&decide(&beside)), wanted, "{standing:?}, beside another handler");
            let three = Fence::new("r0", "c", None, "Promoted", &["n1", "n3"]);
            let wider = View { fence: &three, standing: only(&["n1"]), ..beside };
            assert_eq!(short(&decide(&wider)), "4 constraint-stands", "what stands is not made wider");
        }
    }

    #[test]
    fn without_quorum_a_device_or_a_reason_nothing_is_placed() {
        let fence = Fence::new("r0", "c", None, "Promoted", &OURS);
        let peers = [("n2".to_owned(), PeerState::Reachable)];
        let all = View { peers: &peers, ..view(&fence) };
        assert_eq!(short(&decide(&View { has_quorum: false, ..all.clone() })), "wait");
        assert_eq!(short(&decide(&View { has_quorum: false, is_over: true, ..all.clone() })), "1 no-quorum");
        assert_eq!(short(&decide(&View { is_peer_up_to_date: true, ..all.clone() })), "1 peer-is-back");
        assert_eq!(short(&decide(&View { disk: None, ..all })), "1 unconfigured");
    }

    #[test]
    fn the_table_of_peer_and_disk() {
        use PeerState::{Fenced, Gone, Reachable, Silent, ToBeFenced};
        let fence = Fence::new("r0", "c", None, "Promoted", &OURS);
        // For each pair: with an UpToDate disk, a Consistent one, one that is neither; while there is time, and when it is over.
        let table: [(&[PeerState], [&str; 3], [&str; 3]); 10] = [
            (&[Reachable], ["place 4", "place 4", "5 peer-unknown"], ["place 4", "place 4", "5 peer-unknown"]),
            (&[Fenced], ["place 7", "5 peer-unknown", "5 peer-unknown"], ["place 7", "5 peer-unknown", "5 peer-unknown"]),
            (&[ToBeFenced], ["wait", "5 peer-unknown", "5 peer-unknown"], ["place 5", "5 peer-unknown", "5 peer-unknown"]),
            (&[Silent], ["wait", "wait", "5 peer-unknown"], ["place 5", "5 peer-unknown", "5 peer-unknown"]),
            (&[Gone], ["place 5", "5 peer-unknown", "5 peer-unknown"], ["place 5", "5 peer-unknown", "5 peer-unknown"]),
            (&[Reachable, Reachable], ["place 4", "place 4", "5 peer-unknown"], ["place 4", "place 4", "5 peer-unknown"]),
            (
                &[Reachable, Fenced],
                ["place 7", "5 peer-unknown", "5 peer-unknown"],
                ["place 7", "5 peer-unknown", "5 peer-unknown"],
            ),
            (
                &[Fenced, ToBeFenced],
                ["wait", "5 peer-unknown", "5 peer-unknown"],
                ["place 5", "5 peer-unknown", "5 peer-unknown"],
            ),
            (&[Reachable, Silent], ["wait", "wait", "5 peer-unknown"], ["place 5", "5 peer-unknown", "5 peer-unknown"]),
            (
                &[Reachable, Gone],
                ["place 5", "5 peer-unknown", "5 peer-unknown"],
                ["place 5", "5 peer-unknown", "5 peer-unknown"],
            ),
        ];
        for (states, early, late) in table {
            let peers: Vec<_> = states.iter().enumerate().map(|(n, state)| (format!("n{}", n + 2), *state)).collect();
            for (is_over, row) in [(false, early), (true, late)] {
                for (disk, wanted) in [DiskState::UpToDate, DiskState::Consistent, DiskState::Outdated].into_iter().zip(row) {
                    let now = View { peers: &peers, disk: Some(disk), is_over, ..view(&fence) };
                    assert_eq!(short(&decide(&now)), wanted, "{states:?} {disk} over: {is_over}");
                }
                let now = View { peers: &peers, disk: Some(DiskState::Inconsistent), is_over, ..view(&fence) };
                assert_eq!(short(&decide(&now)), "5 peer-unknown", "{states:?} over: {is_over}");
                for disk in DiskState::ALL.iter().filter(|disk| **disk < DiskState::UpToDate) {
                    let mixed = View { disk: Some(*disk), has_good_disk: true, ..now.clone() };
                    let said = short(&decide(&mixed));
                    assert!(["1 mixed", "place 4", "wait"].contains(&said.as_str()), "{states:?} {disk} over: {is_over}: {said}");
                }
            }
        }
    }

    #[test]
    fn on_knowledge_that_may_be_old_it_refuses_or_waits_even_when_it_is_over() {
        use PeerState::{Fenced, Gone, Reachable, Silent};
        let fence = Fence::new("r0", "c", None, "Promoted", &OURS);
        let only = |node: &str| Standing::Only(vec![node.to_owned()]);
        for standing in [Standing::None, only("n1"), Standing::Only(vec!["n1".to_owned(), "n2".to_owned()])] {
            for state in [Fenced, Gone, Reachable, Silent] {
                let peers = [("n2".to_owned(), state)];
                let all = View { may_be_old: true, is_over: true, peers: &peers, standing: standing.clone(), ..view(&fence) };
                assert_eq!(short(&decide(&all)), "wait", "{standing:?} {state:?}");
            }
        }
        let refused = View { may_be_old: true, standing: only("n2"), ..view(&fence) };
        assert_eq!(short(&decide(&refused)), "1 rejected");
        let lost = View { disk: Some(DiskState::Outdated), standing: Standing::None, ..refused };
        assert_eq!(short(&decide(&lost)), "wait", "5 lets I/O go on too");
    }

    #[test]
    fn nothing_waits_once_it_is_over() {
        use PeerState::{Fenced, Gone, Reachable, Silent, ToBeFenced};
        let fence = Fence::new("r0", "c", None, "Promoted", &OURS);
        for state in [Fenced, Gone, Reachable, Silent, ToBeFenced] {
            for disk in DiskState::ALL {
                for has_quorum in [false, true] {
                    let peers = [("n2".to_owned(), state)];
                    let now = View { peers: &peers, disk: Some(*disk), has_quorum, is_over: true, ..view(&fence) };
                    assert!(!matches!(decide(&now), Decision::Wait(_)), "{now:?}");
                }
            }
        }
    }

    #[test]
    fn the_state_of_a_peer_is_what_the_cluster_thinks_and_what_it_answers() {
        let state = |seen, answers, fences| PeerState::new(seen, || answers, fences);
        for (seen, answers, fences, wanted) in [
            (Seen::Online, true, true, PeerState::Reachable),
            (Seen::Online, false, true, PeerState::Silent),
            (Seen::Online, false, false, PeerState::Silent),
            (Seen::Down, false, true, PeerState::Fenced),
            (Seen::Unclean, false, true, PeerState::ToBeFenced),
            (Seen::Unclean, true, false, PeerState::Gone),
            (Seen::Never, false, true, PeerState::ToBeFenced),
            (Seen::Never, false, false, PeerState::Gone),
        ] {
            assert_eq!(state(seen, answers, fences), wanted, "{seen:?} {answers} {fences}");
        }
    }
}
