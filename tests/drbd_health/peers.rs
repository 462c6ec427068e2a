//! The peer and what is between: split brain, guards, frozen I/O, two Primaries, on 8.4.

use ocf_san::agents::drbd_helper::guard::Reason;
use ocf_san::agents::drbd_helper::values::{Frozen, PeerPrimary};

use super::{ALONE, Beside, NOTHING, SPLIT, WAITS, answer, holds, minor, of_proc};

#[test]
fn a_side_of_a_split_brain_has_no_score_however_it_shows() {
    let guarded = Beside { guard: Some(Reason::SplitBrain), ..NOTHING };
    let told = Beside { was_told: true, ..NOTHING };
    let made_just_now = Beside { is_excused: true, ..NOTHING };
    holds(&[
        (
            "the peer was outdated before this side was made",
            SPLIT,
            made_just_now,
            190,
            "10000",
            "r0 stands alone: drbdadm connect r0",
        ),
        ("outdated by fencing on both sides", SPLIT, NOTHING, 190, "-", "split brain"),
        ("without fencing, guarded", ALONE, guarded, 190, "-", "split brain"),
        ("the side that waits, guarded", WAITS, guarded, 190, "-", "split brain"),
        ("without fencing, the kernel has told", ALONE, told, 190, "-", "split brain"),
        ("the side that waits, the kernel has told", WAITS, told, 190, "-", "split brain"),
        (
            "not compared again yet",
            "cs:WFReportParams ro:Secondary/Unknown ds:UpToDate/DUnknown C r-----",
            told,
            190,
            "-",
            "split brain",
        ),
        ("an operator has disconnected", ALONE, NOTHING, 190, "1000", "r0 stands alone: drbdadm connect r0"),
        ("the peer is just not there", WAITS, NOTHING, 0, "1000", ""),
        (
            "already promoted: moving it would help nobody",
            "cs:StandAlone ro:Primary/Unknown ds:UpToDate/Outdated   r-----",
            NOTHING,
            191,
            "10000",
            "split brain",
        ),
    ]);
}

#[test]
fn a_side_that_is_cut_off_has_no_score_unless_it_is_promoted() {
    let cut_off = Beside { is_cut_off: true, ..NOTHING };
    holds(&[
        ("the peer is not there, nor a carrier", WAITS, cut_off, 0, "-", ""),
        ("promoted", "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C r-----", cut_off, 191, "10000", "not connected"),
    ]);
}

#[test]
fn a_guarded_side_is_seen_and_has_no_score() {
    for guard in [Reason::OlderData, Reason::IoError, Reason::VerifyDifferences, Reason::TwoPrimaries] {
        let beside = Beside { guard: Some(guard), ..NOTHING };
        let says = "ocf-san drbd guard clear r0";
        holds(&[
            ("connected", "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C r-----", beside, 190, "-", says),
            ("waiting", WAITS, beside, 190, "-", says),
            ("promoted", "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----", beside, 191, "10000", says),
        ]);
    }
}

#[test]
fn frozen_io_is_seen_once_its_grace_is_over() {
    let frozen = "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C s-----";
    let at = |frozen_for, frozen_io| Beside { frozen_for, frozen_io, ..NOTHING };
    holds(&[
        ("within the grace", frozen, at(29, Frozen::Degraded), 8, "10000", ""),
        ("after it", frozen, at(30, Frozen::Degraded), 191, "10000", "I/O is frozen for 30 s"),
        ("after it, to fail", frozen, at(45, Frozen::Fail), 9, "10000", "drbdadm resume-io r0"),
        ("to be ignored", frozen, at(999, Frozen::Ignore), 191, "10000", "not connected"),
    ]);
}

#[test]
fn two_primaries_are_a_failure_on_both_unless_that_is_meant() {
    let both = "cs:Connected ro:Primary/Primary ds:UpToDate/UpToDate C r-----";
    let may = |two_primaries| Beside { two_primaries, ..NOTHING };
    holds(&[
        ("not allowed", both, may(Some(false)), 9, "10000", "Primary here and on the peer"),
        ("allowed", both, may(Some(true)), 8, "10000", ""),
        ("nobody has said", both, may(None), 191, "10000", "Primary here and on the peer"),
    ]);
}

#[test]
fn the_score_beside_a_primary_peer_is_as_was_asked_for() {
    let beside_primary = "cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----";
    // It is that very peer that must have the data.
    let beside_target = "cs:SyncSource ro:Secondary/Primary ds:UpToDate/Inconsistent C r-----";
    let by = |peer_primary, primary_is_expected| Beside { peer_primary, primary_is_expected, ..NOTHING };
    holds(&[
        ("kept", beside_primary, by(PeerPrimary::Keep, Some(false)), 0, "10000", ""),
        ("removed", beside_primary, by(PeerPrimary::Remove, None), 0, "-", ""),
        ("expected", beside_primary, by(PeerPrimary::Unexpected, Some(true)), 0, "10000", ""),
        ("unexpected", beside_primary, by(PeerPrimary::Unexpected, Some(false)), 0, "-", ""),
        ("a peer without the data", beside_target, by(PeerPrimary::Remove, None), 190, "10000", "the peer is being brought"),
    ]);
}

#[test]
fn what_is_left_unconnected_on_purpose_is_not_worth_a_look() {
    let late = Beside { connects_late: true, ..NOTHING };
    holds(&[
        ("before its promotion", ALONE, late, 0, "1000", ""),
        ("after it", "cs:StandAlone ro:Primary/Unknown ds:UpToDate/DUnknown   r-----", late, 191, "10000", "stands alone"),
    ]);
}

#[test]
fn no_peer_state_lowers_the_score_of_a_promoted_instance_whose_disks_are_up_to_date() {
    let states = ["Connected", "WFConnection", "SyncSource", "StandAlone", "NetworkFailure", "Timeout", "BrokenPipe", "VerifyT"];
    for cs in states {
        for peer in ["UpToDate", "Inconsistent", "Outdated", "DUnknown", "Diskless", "Failed", "Consistent"] {
            let resource = of_proc(&minor(0, &format!("cs:{cs} ro:Primary/Secondary ds:UpToDate/{peer} C r-----")));
            for peer_primary in [PeerPrimary::Keep, PeerPrimary::Remove, PeerPrimary::Unexpected] {
                let (.., points) = answer(&resource, Beside { peer_primary, ..NOTHING });
                assert_eq!(points, "10000", "{cs} {peer}");
            }
        }
    }
}
