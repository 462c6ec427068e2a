//! What DRBD-helper makes of every state that was captured, and of every weakness of the agent that it replaces: the state, the score, and a
//! reason that says what to type next.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod disks;
mod peers;
mod v9;
mod volumes;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ocf_san::agents::drbd_helper::guard::{Entry, Guard, Reason};
use ocf_san::agents::drbd_helper::health::{self, Facts};
use ocf_san::agents::drbd_helper::peering;
use ocf_san::agents::drbd_helper::score::{Grounds, Score, score};
use ocf_san::agents::drbd_helper::values::{Frozen, PeerPrimary, Steps};
use ocf_san::kernel::drbd::model::Resource;
use ocf_san::kernel::drbd::{events2, json, proc_drbd, resource84};
use ocf_san::ocf::reason;
use ocf_san::ocf::run::State;

const STEPS: Steps = Steps { consistent: 0, remote: 10, local: 1000, best: 10000 };

/// What is known beside the resource; by default nothing that is wrong.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
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
    is_excused: bool,
    is_cut_off: bool,
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
    is_excused: false,
    is_cut_off: false,
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
        is_excused: beside.is_excused,
    };
    let grounds = Grounds {
        steps: STEPS,
        is_guarded: !guard.is_empty(),
        is_split: peering::is_split(resource, &guard, beside.was_told, beside.is_excused),
        is_cut_off: beside.is_cut_off,
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
