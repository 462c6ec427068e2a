//! The OCF contract, for every agent and for one that answers what it is told. A test that quotes, quotes the OCF resource agent API 1.1.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod puppet;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use ocf_san::agents;
use ocf_san::deadline::Deadline;
use ocf_san::kernel::attr::Root;
use ocf_san::ocf::env::Env;
use ocf_san::ocf::error::Code;
use ocf_san::ocf::run::{Answer, Context, act, prepare};
use ocf_san::ocf::spec::{AgentSpec, Content};
use puppet::{PLAIN, PUPPET};

fn every_agent() -> impl Iterator<Item = &'static AgentSpec> {
    agents::ALL.iter().copied().chain([&PUPPET, &PLAIN])
}

/// An environment of these variables.
fn env(vars: &[(&str, &str)]) -> Env {
    vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Prepares and performs an action in this environment; what it came to, and what was called of the agent.
fn ask(spec: &AgentSpec, action: &str, env: &Env) -> (Answer, String) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::fake(dir.path());
    let calls = RefCell::new(Vec::new());
    let progress = |what: &str| calls.borrow_mut().push(what.to_owned());
    let cx = Context { root: &root, env, deadline: Deadline::after(Duration::from_secs(5)), progress: &progress };
    let answer = prepare(spec, action, env).map_or_else(Answer::from, |params| act(spec, action, &params, &cx));
    (answer, calls.take().join(" "))
}

/// The puppet's answer when its monitors find `states` and everything else comes to `result`.
fn told(action: &str, states: &str, result: &str, more: &[(&str, &str)]) -> (Answer, String) {
    let mut vars = vec![("OCF_RESKEY_name", "x"), ("OCF_RESKEY_states", states), ("OCF_RESKEY_result", result)];
    vars.extend(more);
    ask(&PUPPET, action, &env(&vars))
}

const RECURRING: (&str, &str) = ("OCF_RESKEY_CRM_meta_interval", "10000");

/// action, what monitors find, what the action comes to → code, what was called, whether a reason is given
type Row = (&'static str, &'static str, &'static str, u8, &'static str, bool);

fn holds(rows: &[Row], more: &[(&str, &str)]) {
    for (action, states, result, code, calls, reason) in rows {
        let (answer, called) = told(action, states, result, more);
        let row = format!("{action} {states} {result}: {answer:?}, called {called:?}");
        assert_eq!(answer.code as u8, *code, "{row}");
        assert_eq!(called, *calls, "{row}");
        assert_eq!(answer.reason.is_some(), *reason, "{row}");
        assert_eq!(answer.stuck, *states == "stuck", "{row}");
    }
}

#[test]
fn a_start_of_what_runs_succeeds_and_touches_nothing() {
    // "`start` must succeed if the resource instance is already running."
    holds(
        &[
            ("start", "running", "1", 0, "", false),
            ("start", "promoted", "1", 0, "", false),
            ("start", "degraded", "1", 0, "", false),
            ("start", "degraded-promoted", "1", 0, "", false),
        ],
        &[],
    );
}

#[test]
fn a_start_succeeds_only_when_a_monitor_then_finds_it_running() {
    // "`start` must return an error if the resource instance is not fully started."
    holds(
        &[
            ("start", "stopped,running", "running", 0, "start", false),
            ("start", "stopped,degraded", "running", 0, "start", false),
            ("start", "partial,running", "running", 0, "start", false),
            ("start", "failed,running", "running", 0, "start", false),
            ("start", "stopped,stopped", "running", 1, "start", true),
            ("start", "stopped,partial", "running", 1, "start", true),
            ("start", "stopped,failed", "running", 1, "start", true),
            ("start", "stopped,1", "running", 1, "start", true),
            ("start", "stopped", "1", 1, "start", true),
            ("start", "1", "running", 1, "", true),
            ("start", "stuck", "running", 1, "", true),
        ],
        &[],
    );
}

#[test]
fn a_failed_start_keeps_its_code_and_never_says_not_running() {
    for (error, code) in
        [("2", 2), ("3", 3), ("4", 4), ("5", 5), ("6", 6), ("7", 1), ("0", 1), ("8", 1), ("9", 1), ("190", 1), ("191", 1)]
    {
        holds(&[("start", "stopped", error, code, "start", true)], &[]);
    }
}

#[test]
fn a_stop_of_what_is_stopped_succeeds_and_touches_nothing() {
    // "`stop` must succeed if the resource is already stopped."
    holds(&[("stop", "stopped", "1", 0, "", false)], &[]);
}

#[test]
fn a_stop_succeeds_only_when_a_monitor_then_finds_nothing() {
    // "`stop` must return an error if the resource is not fully stopped."
    for found in ["running", "promoted", "degraded", "degraded-promoted", "partial", "failed", "failed-promoted"] {
        let then = |after: &str| format!("{found},{after}");
        assert_eq!(told("stop", &then("stopped"), "running", &[]).0, Answer::SUCCESS, "{found}");
        for after in ["running", "promoted", "degraded", "degraded-promoted", "partial", "failed", "failed-promoted", "1", "4"] {
            let (answer, called) = told("stop", &then(after), "running", &[]);
            assert!(!matches!(answer.code, Code::Success | Code::NotRunning), "{found}, {after}: {answer:?}");
            assert_eq!(called, "stop");
            assert!(answer.reason.is_some());
        }
    }
}

#[test]
fn a_stop_that_can_not_tell_what_is_there_tries_all_the_same() {
    holds(
        &[
            ("stop", "1,stopped", "running", 0, "stop", false),
            ("stop", "4,stopped", "running", 0, "stop", false),
            ("stop", "1,1", "running", 1, "stop", true),
            ("stop", "stuck,stopped", "running", 0, "stop", false),
        ],
        &[],
    );
}

#[test]
fn a_failed_stop_never_says_not_running() {
    // "Note: This is not the error code to be returned by a successful "stop" operation."
    for (error, code) in
        [("1", 1), ("2", 2), ("4", 4), ("5", 5), ("6", 6), ("7", 1), ("0", 1), ("8", 1), ("9", 1), ("190", 1), ("191", 1)]
    {
        holds(&[("stop", "running", error, code, "stop", true)], &[]);
    }
}

#[test]
fn a_stop_works_with_a_broken_configuration() {
    for broken in [("OCF_RESKEY_count", "many"), ("OCF_RESKEY_mode", "c"), ("OCF_RESKEY_name", ""), ("OCF_RA_VERSION_MAJOR", "2")]
    {
        let (answer, called) = told("stop", "running,stopped", "running", &[broken]);
        assert_eq!((answer, called.as_str()), (Answer::SUCCESS, "stop"), "{broken:?}");
        let (answer, called) = told("start", "stopped,running", "running", &[broken]);
        let code = if broken.0 == "OCF_RA_VERSION_MAJOR" { Code::Args } else { Code::Configured };
        assert_eq!((answer.code, called.as_str()), (code, ""), "{broken:?}");
    }
}

#[test]
fn what_is_not_installed_is_not_running_to_a_probe_and_to_nobody_else() {
    for absent in ["5", "2"] {
        let code = absent.parse().unwrap();
        holds(&[("monitor", absent, "1", 7, "", false), ("status", absent, "1", 7, "", false)], &[]);
        holds(&[("monitor", absent, "1", code, "", true)], &[RECURRING]);
        holds(&[("start", absent, "1", code, "", true), ("start", "stopped", absent, code, "start", true)], &[]);
        // A kernel resource lives on without the program that made it: a stop that can not look has stopped nothing.
        holds(&[("stop", absent, absent, code, "stop", true), ("stop", absent, "running", code, "stop", true)], &[]);
        holds(&[("stop", "running", absent, code, "stop", true), ("stop", "1", absent, code, "stop", true)], &[]);
        let unbuildable = [("OCF_RESKEY_build", absent)];
        holds(&[("stop", "running", "running", code, "", true), ("monitor", "running", "running", 7, "", false)], &unbuildable);
        holds(&[("monitor", "running", "running", code, "", true)], &[unbuildable[0], RECURRING]);
    }
}

#[test]
fn other_errors_excuse_nobody() {
    for (error, code) in [("1", 1), ("4", 4), ("6", 6)] {
        holds(&[("monitor", error, "1", code, "", true), ("stop", error, error, code, "stop", true)], &[]);
        let unbuildable = [("OCF_RESKEY_build", error)];
        holds(&[("stop", "running", "running", code, "", true), ("monitor", "running", "running", code, "", true)], &unbuildable);
    }
}

#[test]
fn a_monitor_turns_each_state_into_its_code() {
    let rows = [
        ("stopped", 7, false),
        ("running", 0, false),
        ("promoted", 8, false),
        ("degraded", 190, true),
        ("degraded-promoted", 191, true),
        ("failed-promoted", 9, true),
        ("partial", 1, true),
        ("failed", 1, true),
    ];
    for (state, code, reason) in rows {
        for action in ["monitor", "status"] {
            holds(&[(action, state, "1", code, "", reason)], &[]);
            holds(&[(action, state, "1", code, "", reason)], &[RECURRING]);
        }
    }
}

#[test]
fn not_running_is_a_finding_and_never_an_error_of_a_monitor() {
    for (error, code) in [("7", 1), ("0", 1), ("8", 1), ("190", 1), ("191", 1), ("3", 3), ("4", 4), ("6", 6), ("9", 9)] {
        holds(&[("monitor", error, "1", code, "", true)], &[RECURRING]);
    }
}

#[test]
fn what_is_stuck_says_so_whatever_the_action() {
    for action in ["start", "stop", "validate-all", "reload-agent", "promote", "demote", "notify"] {
        let before = match action {
            "start" => "stopped",
            "demote" => "promoted",
            _ => "running",
        };
        let (answer, _) = told(action, before, "stuck", &[]);
        assert!(answer.stuck, "{action}: {answer:?}");
    }
    for action in ["monitor", "start", "promote"] {
        let (answer, _) = told(action, "stuck", "running", &[]);
        assert!(answer.stuck && answer.code == Code::Generic, "{action}: {answer:?}");
    }
    // What is stuck is there, whatever its code says.
    for (action, states, result) in [("monitor", "stuck-5", "running"), ("stop", "stuck-5", "stuck-5"), ("stop", "5", "stuck-5")]
    {
        let (answer, _) = told(action, states, result, &[]);
        assert!(answer.stuck && answer.code == Code::Installed, "{action}: {answer:?}");
    }
    let (answer, _) = told("stop", "running,stuck", "running", &[]);
    assert!(answer.stuck && answer.code == Code::Generic, "{answer:?}");
}

#[test]
fn promote_and_demote_are_idempotent_and_checked_again() {
    holds(
        &[
            ("promote", "promoted", "1", 0, "", false),
            ("promote", "degraded-promoted", "1", 0, "", false),
            ("promote", "running,promoted", "running", 0, "promote", false),
            ("promote", "degraded,degraded-promoted", "running", 0, "promote", false),
            ("promote", "running,running", "running", 1, "promote", true),
            ("promote", "running", "7", 1, "promote", true),
            ("promote", "stopped", "running", 1, "", true),
            ("promote", "partial", "running", 1, "", true),
            ("promote", "1", "running", 1, "", true),
            ("demote", "running", "1", 0, "", false),
            ("demote", "degraded", "1", 0, "", false),
            ("demote", "stopped", "1", 0, "", false),
            ("demote", "promoted,running", "running", 0, "demote", false),
            ("demote", "failed,stopped", "running", 0, "demote", false),
            ("demote", "failed-promoted,running", "running", 0, "demote", false),
            ("demote", "promoted,failed-promoted", "running", 1, "demote", true),
            ("demote", "1,running", "running", 0, "demote", false),
            ("demote", "promoted,promoted", "running", 1, "demote", true),
            ("demote", "promoted,partial", "running", 1, "demote", true),
            ("demote", "promoted", "7", 1, "demote", true),
        ],
        &[],
    );
}

#[test]
fn a_notification_changes_nothing_by_failing() {
    holds(&[("notify", "running", "running", 0, "notify", false), ("notify", "running", "1", 0, "notify", false)], &[]);
    holds(&[("notify", "running", "3", 3, "notify", true)], &[]);
}

#[test]
fn reload_agent_and_validate_all_reach_the_agent_and_keep_its_code() {
    holds(
        &[
            ("reload-agent", "running", "running", 0, "reload", false),
            ("reload-agent", "running", "1", 1, "reload", true),
            ("validate-all", "1", "running", 0, "validate Cheap", false),
            ("validate-all", "1", "2", 2, "validate Cheap", true),
            ("validate-all", "1", "5", 5, "validate Cheap", true),
            ("validate-all", "1", "6", 6, "validate Cheap", true),
        ],
        &[],
    );
}

#[test]
fn the_check_level_reaches_monitor_and_validate_all() {
    // "It is recommended that if a requested level is not implemented, the RA should perform the next lower level supported."
    for (number, level) in [("10", "Config"), ("11", "Config"), ("20", "Device"), ("77", "Device")] {
        let level_of = [("OCF_CHECK_LEVEL", number)];
        assert_eq!(told("monitor", "running", "running", &level_of).1, level);
        assert_eq!(told("validate-all", "running", "running", &level_of).1, format!("validate {level}"));
    }
    assert_eq!(told("monitor", "running", "running", &[("OCF_CHECK_LEVEL", "deep")]).1, "");
}

#[test]
fn parameters_that_are_wrong_everywhere_are_6_from_a_probe_too() {
    for wrong in [("OCF_RESKEY_name", ""), ("OCF_RESKEY_mode", "c"), ("OCF_RESKEY_quiet", "maybe"), ("OCF_RESKEY_count", "-1")] {
        for action in ["monitor", "start", "validate-all", "promote"] {
            let (answer, _) = told(action, "running", "running", &[wrong]);
            assert_eq!(answer.code, Code::Configured, "{action} {wrong:?}");
            let name = wrong.0.trim_start_matches("OCF_RESKEY_");
            assert!(answer.reason.is_some_and(|reason| reason.starts_with(name)), "{action} {wrong:?}");
        }
    }
}

#[test]
fn another_major_version_of_the_contract_is_refused_and_none_is_needed() {
    // "A major number mismatch between the RA and the RM must be reported as an error by both sides."
    for fine in ["1", ""] {
        assert_eq!(told("monitor", "running", "running", &[("OCF_RA_VERSION_MAJOR", fine)]).0, Answer::SUCCESS);
    }
    let (answer, _) = told("monitor", "running", "running", &[("OCF_RA_VERSION_MAJOR", "2")]);
    assert_eq!(answer.code, Code::Args);
}

#[test]
fn an_action_that_is_unknown_or_not_declared_is_3_whatever_the_parameters() {
    for spec in every_agent() {
        for action in ["bogus", "", "Monitor", "monitor ", "reload", "migrate_to", "recover"] {
            assert_eq!(ask(spec, action, &Env::default()).0.code, Code::Unimplemented, "{} {action:?}", spec.name);
        }
        for action in ["promote", "demote", "notify", "reload-agent"] {
            let code = ask(spec, action, &Env::default()).0.code;
            assert_eq!(spec.action(action).is_none(), code == Code::Unimplemented, "{} {action}: {code:?}", spec.name);
        }
    }
}

#[test]
fn every_agent_declares_what_the_standard_demands() {
    for spec in every_agent() {
        let name = spec.name;
        for action in ["start", "stop", "monitor"] {
            assert!(spec.action(action).is_some(), "{name}: {action}");
        }
        assert_eq!(spec.action("promote").is_some(), spec.action("demote").is_some(), "{name}: promote and demote, or neither");
        for action in spec.actions {
            assert!(!action.timeout.is_zero(), "{name} {}", action.name);
            assert!(
                !matches!(prepare(spec, action.name, &Env::default()), Err(e) if e.code == Code::Unimplemented),
                "{}",
                action.name
            );
            assert!(matches!(action.role, None | Some("Promoted" | "Unpromoted")), "{name} {}", action.name);
            assert!(!matches!(action.name, "status" | "meta-data" | "validate-all"), "{name}: {} is built in", action.name);
        }
        let intervals: Vec<_> = spec.actions.iter().filter_map(|action| action.interval).collect();
        assert_eq!(
            intervals.iter().collect::<BTreeSet<_>>().len(),
            intervals.len(),
            "{name}: each monitor has an interval of its own"
        );
        assert!(!spec.short.is_empty() && !spec.long.is_empty(), "{name}: texts");
    }
}

#[test]
fn every_parameter_is_declared_soundly() {
    for spec in every_agent() {
        assert!(!spec.params.is_empty(), "{}: the schema wants at least one parameter", spec.name);
        let names: BTreeSet<_> = spec.params.iter().map(|param| param.decl().name).collect();
        assert_eq!(names.len(), spec.params.len(), "{}: a name twice", spec.name);
        for param in spec.params {
            let decl = param.decl();
            let at = format!("{} {}", spec.name, decl.name);
            assert!(decl.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{at}: does not fit into a variable name");
            assert!(!decl.short.is_empty() && !decl.long.is_empty(), "{at}: texts");
            assert!(decl.default.is_none_or(|text| param.check(text).is_ok()), "{at}: its own default is refused");
            assert!(!(decl.required && decl.default.is_some()), "{at}: required, yet it has a default");
            assert!(decl.replaced_by.is_none_or(|name| names.contains(name) && name != decl.name), "{at}: replaced by nothing");
            if let Content::Select(options) = decl.content {
                assert!(options.iter().all(|option| param.check(option).is_ok()), "{at}: an option is refused");
                assert!(param.check("none of these").is_err(), "{at}: anything goes");
            }
        }
    }
}

#[test]
fn every_agent_prepares_a_stop_in_an_empty_environment() {
    for spec in every_agent() {
        assert!(prepare(spec, "stop", &Env::default()).is_ok(), "{}", spec.name);
    }
}
