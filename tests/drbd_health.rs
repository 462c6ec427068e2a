//! What DRBD-helper makes of every state that was captured, and of every weakness of the agent that it replaces: the state, the score, and a
//! reason that says what to type next.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ocf_san::agents::drbd_helper::guard::{Entry, Guard, Reason};
use ocf_san::agents::drbd_helper::health::{self, Facts};
use ocf_san::agents::drbd_helper::score::{Grounds, Score, score};
use ocf_san::agents::drbd_helper::values::{Frozen, PeerPrimary, Steps};
use ocf_san::kernel::drbd::model::Resource;
use ocf_san::kernel::drbd::{events2, json, proc_drbd, resource84};
use ocf_san::ocf::reason;
use ocf_san::ocf::run::State;

const STEPS: Steps = Steps { consistent: 0, remote: 10, local: 1000, best: 10000 };

/// What is known beside the resource; by default nothing that is wrong.
#[derive(Clone, Copy)]
struct Beside {
    guard: Option<Reason>,
    was_told: bool,
    frozen_for: u64,
    frozen_io: Frozen,
    volumes: &'static [(u32, u32)],
    two_primaries: Option<bool>,
    peer_primary: PeerPrimary,
    primary_is_expected: Option<bool>,
    connects_late: bool,
}

const NOTHING: Beside = Beside {
    guard: None,
    was_told: false,
    frozen_for: 0,
    frozen_io: Frozen::Degraded,
    volumes: &[],
    two_primaries: Some(false),
    peer_primary: PeerPrimary::Keep,
    primary_is_expected: None,
    connects_late: false,
};

/// The code of a monitor that tells of what is degraded, its reason, and the score: `-` for none, `=` for one that is left as it is.
fn answer(resource: &Resource, beside: Beside) -> (u8, String, String) {
    let entry = |reason| Entry { reason, since: "2026-01-31T12:00:00Z".into(), by: "test".into(), detail: String::new() };
    let guard = Guard { entries: beside.guard.map(entry).into_iter().collect() };
    let facts = Facts {
        resource,
        guard: &guard,
        was_told: beside.was_told,
        frozen_for: Duration::from_secs(beside.frozen_for),
        frozen_io: (beside.frozen_io, Duration::from_secs(30)),
        volumes: beside.volumes,
        two_primaries: beside.two_primaries,
        is_unconnected: beside.connects_late,
    };
    let grounds = Grounds {
        steps: STEPS,
        is_guarded: !guard.is_empty(),
        is_split: health::is_split(resource, &guard, beside.was_told),
        peer_primary: beside.peer_primary,
        primary_is_expected: beside.primary_is_expected,
        volumes: beside.volumes,
    };
    let finding = health::finding(&facts);
    let quiet = finding.clone().state(resource.is_primary(), false);
    let state = finding.state(resource.is_primary(), true);
    assert!(!matches!(state, State::Stopped), "what is there is never stopped");
    // Without leave to say degraded, what serves is running.
    assert_eq!(quiet.is_active(), state.is_active());
    assert!(!matches!(quiet, State::Degraded(_) | State::DegradedPromoted(_)));
    let (code, why) = state.answer();
    let why = why.unwrap_or_default().to_owned();
    assert!(why.len() <= reason::MAX, "{} bytes: {why}", why.len());
    let score = match score(resource, &grounds) {
        Score::Is(value) => value.to_string(),
        Score::None => "-".to_owned(),
        Score::Untouched => "=".to_owned(),
    };
    (code as u8, why, score)
}

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// r0 of 8.4 with one volume for each minor that the text shows.
fn of_proc(text: &str) -> Resource {
    let minors = proc_drbd::parse(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let volumes: Vec<(u32, u32)> = (0..).zip(minors.iter().map(|minor| minor.minor)).collect();
    resource84::resource("r0", &volumes, &minors)
}

fn r0(resources: Vec<Resource>) -> Resource {
    resources.into_iter().find(|resource| resource.name == "r0").unwrap()
}

/// State, code, score, and how the reason begins.
const CAPTURED: [(&str, u8, &str, &str); 11] = [
    ("primary-connected", 8, "10000", ""),
    ("secondary-connected", 0, "10000", ""),
    ("primary-peer-gone", 191, "10000", "r0: the peer"),
    ("secondary-standalone", 190, "-", "r0: the disk is Outdated: connect the peer"),
    ("split-brain-a", 190, "-", "r0: split brain, not connected: ocf-san drbd report r0"),
    ("split-brain-b", 190, "-", "r0: split brain, not connected: ocf-san drbd report r0"),
    ("syncsource", 191, "10000", "r0: the peer is being brought up to date"),
    ("synctarget", 190, "10", "r0: being brought up to date"),
    ("secondary-secondary", 0, "10000", ""),
    ("diskless", 190, "10", "r0: the disk is Diskless, served by the peer: mend it, drbdadm attach r0"),
    ("inconsistent", 190, "-", "r0: Inconsistent on both sides, never synchronised"),
];

#[test]
fn every_state_that_was_captured_has_its_code_its_score_and_its_reason() {
    let is_there = |name: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).exists();
    let mut sources = 0;
    for (state, code, score, begins) in CAPTURED {
        let mut found = Vec::new();
        // The diskless one of 8.4 stood alone: it is in a table of its own.
        if is_there(&format!("drbd84/{state}.proc-drbd")) && state != "diskless" {
            found.push(of_proc(&fixture(&format!("drbd84/{state}.proc-drbd"))));
            found.push(r0(events2::parse(&fixture(&format!("drbd84/{state}.events2"))).unwrap()));
        }
        if is_there(&format!("drbd9/{state}.status.json")) {
            found.push(r0(json::parse(&fixture(&format!("drbd9/{state}.status.json"))).unwrap()));
            found.push(r0(events2::parse(&fixture(&format!("drbd9/{state}.events2"))).unwrap()));
        }
        assert!(found.len() >= 2, "{state}");
        for resource in found {
            sources += 1;
            let (is, why, points) = answer(&resource, NOTHING);
            assert_eq!((is, points.as_str()), (code, score), "{state}: {why}\n{resource:?}");
            assert!(why.starts_with(begins) && why.is_empty() == begins.is_empty(), "{state}: {why}");
        }
    }
    assert_eq!(sources, 38);
}

/// One minor of `/proc/drbd`.
fn minor(number: u32, line: &str) -> String {
    format!("{number:>2}: {line}\n    ns:0 nr:0 dw:0 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:1 ep:1 wo:f oos:128\n")
}

type Row<'a> = (&'a str, &'a str, Beside, u8, &'a str, &'a str);

fn holds(rows: &[Row]) {
    for (what, lines, beside, code, points, says) in rows {
        let text: String = (0..).zip(lines.split('|')).map(|(number, line)| minor(number, line.trim_start())).collect();
        let resource = of_proc(&text);
        let (is, why, got) = answer(&resource, *beside);
        assert_eq!((is, got.as_str()), (*code, *points), "{what}: {why}");
        assert!(why.contains(says) && why.is_empty() == says.is_empty(), "{what}: {why}");
    }
}

const HEALTHY: &str = "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C r-----";
const SPLIT: &str = "cs:StandAlone ro:Secondary/Unknown ds:UpToDate/Outdated   r-----";
const ALONE: &str = "cs:StandAlone ro:Secondary/Unknown ds:UpToDate/DUnknown   r-----";
const WAITS: &str = "cs:WFConnection ro:Secondary/Unknown ds:UpToDate/DUnknown C r-----";

#[test]
fn a_side_of_a_split_brain_has_no_score_however_it_shows() {
    let guarded = Beside { guard: Some(Reason::SplitBrain), ..NOTHING };
    let told = Beside { was_told: true, ..NOTHING };
    holds(&[
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
fn the_disk_and_who_serves_instead_decide_between_degraded_and_failed() {
    holds(&[
        (
            "promoted on the peer's disk",
            "cs:Connected ro:Primary/Secondary ds:Diskless/UpToDate C r-----",
            NOTHING,
            191,
            "9999",
            "attach r0",
        ),
        (
            "without any good disk",
            "cs:Connected ro:Primary/Secondary ds:Diskless/Inconsistent C r-----",
            NOTHING,
            9,
            "-",
            "Diskless and no peer",
        ),
        (
            "not promoted, without any",
            "cs:WFConnection ro:Secondary/Unknown ds:Diskless/DUnknown C r-----",
            NOTHING,
            1,
            "-",
            "no peer has",
        ),
        ("failed", "cs:WFConnection ro:Primary/Unknown ds:Failed/DUnknown C r-----", NOTHING, 9, "-", "the disk is Failed"),
        (
            "cut off within a resync",
            "cs:WFConnection ro:Secondary/Unknown ds:Inconsistent/DUnknown C r-----",
            NOTHING,
            190,
            "-",
            "Inconsistent",
        ),
        (
            "promoted, and cut off within it",
            "cs:WFConnection ro:Primary/Unknown ds:Inconsistent/DUnknown C r-----",
            NOTHING,
            9,
            "-",
            "Inconsistent",
        ),
        (
            "only consistent",
            "cs:WFConnection ro:Secondary/Unknown ds:Consistent/DUnknown C r-----",
            NOTHING,
            190,
            "-",
            "Consistent",
        ),
        ("being attached", "cs:WFConnection ro:Secondary/Unknown ds:Attaching/DUnknown C r-----", NOTHING, 0, "=", ""),
        (
            "about to be compared, promoted",
            "cs:WFReportParams ro:Primary/Unknown ds:UpToDate/DUnknown C r-----",
            NOTHING,
            8,
            "10000",
            "",
        ),
        (
            "about to be compared, without a disk of its own",
            "cs:WFReportParams ro:Secondary/Unknown ds:Diskless/DUnknown C r-----",
            NOTHING,
            190,
            "-",
            "Diskless: mend it",
        ),
        (
            "about to be compared, not promoted",
            "cs:WFReportParams ro:Secondary/Primary ds:UpToDate/DUnknown C r-----",
            NOTHING,
            0,
            "1000",
            "",
        ),
        ("being negotiated", "cs:WFReportParams ro:Secondary/Unknown ds:Negotiating/DUnknown C r-----", NOTHING, 0, "=", ""),
        ("made, and no more", "cs:Unconfigured", NOTHING, 1, "-", "neither a disk nor a connection"),
        ("paused", "cs:PausedSyncT ro:Secondary/Primary ds:Inconsistent/UpToDate C r--u--", NOTHING, 190, "10", "resume-sync r0"),
        (
            "the peer paused",
            "cs:PausedSyncS ro:Primary/Secondary ds:UpToDate/Inconsistent C r-p---",
            NOTHING,
            191,
            "10000",
            "paused",
        ),
        (
            "the peer lost its disk",
            "cs:Connected ro:Primary/Secondary ds:UpToDate/Diskless C r-----",
            NOTHING,
            191,
            "10000",
            "peer's disk is Diskless",
        ),
        (
            "first attached",
            "cs:StandAlone ro:Secondary/Unknown ds:Inconsistent/DUnknown   r----s",
            NOTHING,
            190,
            "-",
            "Inconsistent",
        ),
        (
            "log suspended",
            "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C r----s",
            NOTHING,
            190,
            "10000",
            "activity log",
        ),
        ("congested", "cs:Ahead ro:Primary/Secondary ds:UpToDate/Consistent A r-----", NOTHING, 191, "10000", "congested"),
        ("verified", "cs:VerifyS ro:Primary/Secondary ds:UpToDate/UpToDate C r-----", NOTHING, 8, "10000", ""),
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
fn the_worst_volume_decides_and_is_named() {
    let healthy = "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----";
    let lost = "cs:Connected ro:Primary/Secondary ds:Diskless/Inconsistent C r-----";
    let target = "cs:SyncTarget ro:Primary/Secondary ds:Inconsistent/UpToDate C r-----";
    let two = |other: &str| of_proc(&(minor(0, healthy) + &minor(7, other)));
    let (code, why, points) = answer(&two(lost), NOTHING);
    assert_eq!((code, points.as_str()), (9, "-"), "{why}");
    assert!(why.starts_with("r0/1: the disk is Diskless"), "{why}");
    let (code, why, points) = answer(&two(target), NOTHING);
    assert_eq!((code, points.as_str()), (191, "9999"), "{why}");
    assert!(why.starts_with("r0/1: being brought up to date"), "{why}");
}

#[test]
fn a_resource_of_which_a_part_is_primary_is_neither_promoted_nor_fine() {
    let (primary, secondary) = ("cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----", HEALTHY);
    let cut = "cs:StandAlone ro:Primary/Unknown ds:UpToDate/Outdated   r-----";
    let of = |volumes| Beside { volumes, ..NOTHING };
    let guarded = Beside { guard: Some(Reason::SplitBrain), ..NOTHING };
    let new = "cs:Connected ro:Secondary/Secondary ds:Inconsistent/UpToDate C r-----";
    let mixed = format!("{primary}|{secondary}");
    let says = "r0/0 is Primary and r0/1 is not: drbdadm secondary r0";
    holds(&[
        ("by halves", &mixed, NOTHING, 9, "10000", says),
        ("the other half", &format!("{secondary}|{primary}"), NOTHING, 9, "10000", "r0/1 is Primary and r0/0 is not"),
        ("as is remembered", &mixed, of(&[(0, 0), (1, 1)]), 9, "10000", says),
        ("guarded, it is no promoted one that is to stay", &format!("{cut}|{SPLIT}"), guarded, 9, "-", says),
        (
            "two Primaries come first",
            &format!("{}|{secondary}", primary.replace("/Secondary", "/Primary")),
            NOTHING,
            9,
            "10000",
            "and on the peer",
        ),
        (
            "one was added, and serves nobody yet",
            &mixed,
            of(&[(0, 0)]),
            191,
            "10000",
            "r0/1 was added and is not Primary: drbdadm primary r0",
        ),
        ("one is being added", &format!("{primary}|{new}"), of(&[(0, 0)]), 191, "10000", "r0/1: the disk is Inconsistent"),
        ("all of it", &format!("{primary}|{primary}"), of(&[(0, 0)]), 8, "10000", ""),
    ]);
}

#[test]
fn a_volume_that_is_being_added_does_not_take_the_score_and_one_that_is_gone_is_seen() {
    let healthy = HEALTHY;
    let new = "cs:Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent C r-----";
    let of = |volumes| Beside { volumes, ..NOTHING };
    let lines = format!("{healthy}|{new}");
    let text: String = (0..).zip(lines.split('|')).map(|(number, line)| minor(number, line)).collect();
    assert_eq!(answer(&of_proc(&text), of(&[(0, 0)])).2, "10000");
    assert_eq!(answer(&of_proc(&text), of(&[(0, 0), (1, 1)])).2, "-");
    holds(&[("gone", healthy, of(&[(0, 0), (1, 1)]), 190, "10000", "r0/1 (minor 1) is gone: drbdadm adjust r0")]);
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
fn drbd_9_tells_more_and_it_counts() {
    let text = fixture("drbd9/primary-connected.status.json");
    let told = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        r0(json::parse(&text.replacen(from, to, 1)).unwrap())
    };
    let frozen = |seconds| Beside { frozen_for: seconds, ..NOTHING };
    let fenced = told("\"suspended-fencing\": false", "\"suspended-fencing\": true");
    let (code, why, points) = answer(&fenced, frozen(60));
    assert_eq!((code, points.as_str()), (191, "10000"));
    assert!(why.contains("peer not fenced"), "{why}");
    let (code, why, points) = answer(&told("\"quorum\": true", "\"quorum\": false"), NOTHING);
    assert_eq!((code, points.as_str()), (9, "-"), "{why}");
    let (code, why, _) = answer(&told("\"force-io-failures\": false", "\"force-io-failures\": true"), NOTHING);
    assert_eq!(code, 9, "{why}");
    let client = |primary: bool| {
        let text = fixture("drbd9/diskless.status.json").replacen("\"client\": false", "\"client\": true", 1);
        let role = if primary { "\"Primary\"" } else { "\"Secondary\"" };
        r0(json::parse(&text.replacen("\"Secondary\"", role, 1)).unwrap())
    };
    assert_eq!(answer(&client(true), NOTHING), (8, String::new(), "9999".into()));
    assert_eq!(answer(&client(false), NOTHING), (0, String::new(), "9999".into()));
    // No volume at all is no client.
    let (code, why, points) = answer(&Resource { name: "r0".into(), ..Resource::default() }, NOTHING);
    assert_eq!((code, points.as_str()), (1, "-"), "{why}");
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
