//! What a worker can do, and what comes of it.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use ocf_san::deadline::Deadline;
use ocf_san::kernel::process::{Child, Ending, Setup};
use ocf_san::ocf::error::Code;
use ocf_san::ocf::run::Answer;

use super::bench::*;

pub fn what_the_worker_answers_is_the_answer() {
    let bench = Bench::new();
    assert_eq!(bench.call("start", "nothing", 20_000), SUCCESS);
    assert_eq!(bench.call("stop", "nothing", 20_000), SUCCESS);
    assert_eq!(bench.call("monitor", "nothing", 20_000), SUCCESS);
    let wrong = Answer { code: Code::Configured, reason: Some("deed: wrong".to_owned()), stuck: false };
    assert_eq!(bench.call("start", "fail", 20_000), wrong);
    assert!(!bench.record().exists() && bench.keys().is_empty());
}

pub fn a_worker_that_sleeps_is_killed_and_the_answer_is_in_time_and_says_what_it_was_doing() {
    let bench = Bench::new();
    for action in ["start", "monitor", "stop"] {
        let answer = bench.call(action, "sleep", 1500);
        assert_eq!(answer.code, Code::Generic);
        assert_eq!(reason(&answer), format!("{action} did not finish within its 1.5 s, was doing: doing sleep"));
    }
    assert_eq!(bench.keys(), "", "what a signal can end is no reason to reboot");
    assert_eq!(bench.call("start", "nothing", 20_000), SUCCESS, "and nothing is left of it");
}

pub fn a_worker_that_blocks_signals_or_is_stopped_is_killed_too() {
    let bench = Bench::new();
    for deed in ["be deaf", "stand still"] {
        let answer = bench.call("stop", deed, 1500);
        assert_eq!(reason(&answer), format!("stop did not finish within its 1.5 s, was doing: doing {deed}"));
    }
}

pub fn an_agent_that_keeps_to_its_deadline_answers_before_it_is_killed() {
    let bench = Bench::new();
    for action in ["start", "stop", "monitor"] {
        assert_eq!(reason(&bench.call(action, "run out of time", 3000)), "gave up in time");
    }
}

pub fn a_worker_that_dies_is_an_error_that_names_the_signal_and_the_deed() {
    let bench = Bench::new();
    let answer = bench.call("start", "die", 20_000);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "start worker was killed by SIGABRT while: doing die"));
    let answer = bench.call("start", "exit", 20_000);
    assert_eq!(reason(&answer), "start worker ended with code 3 and no answer while: doing exit");
    let answer = bench.call("start", "complain and exit", 20_000);
    assert!(reason(&answer).ends_with("while: doing complain and exit (the last word)"), "{answer:?}");
    assert_eq!(bench.call("start", "nothing", 20_000), SUCCESS);
}

pub fn a_panic_is_an_answer() {
    let bench = Bench::new();
    let answer = bench.call("monitor", "panic", 20_000);
    assert_eq!(answer.code, Code::Generic);
    assert!(reason(&answer).starts_with("internal error at tests/guard/doer.rs:"), "{answer:?}");
    assert!(reason(&answer).ends_with(": at the disco"), "{answer:?}");
}

pub fn a_child_that_the_worker_leaves_keeps_nobody_waiting() {
    let bench = Bench::new();
    let before = Instant::now();
    assert_eq!(bench.call("start", "leave a child", 25_000), SUCCESS);
    assert!(before.elapsed() < Duration::from_secs(5));
}

pub fn much_output_and_many_notes_block_nothing() {
    let bench = Bench::new();
    assert_eq!(bench.call_from_outside("start", "write much", 60_000, &[]).code, Code::Success);
}

pub fn two_changes_never_run_at_once_and_the_second_says_whom_it_waits_for() {
    let bench = Bench::new();
    let first = Child::fork(Setup { dies_with_parent: true, ..Setup::default() }, || {
        bench.call("start", "sleep", 60_000);
    });
    let first = first.unwrap();
    while !bench.record().exists() {
        sleep(Duration::from_millis(5));
    }
    let holder = fs::read_to_string(bench.record()).unwrap();
    let holder = holder.split(' ').next().unwrap().to_owned();
    let answer = bench.call("stop", "nothing", 1500);
    let expected = format!("stop did not finish within its 1.5 s, was doing: waiting for the start that pid {holder} is doing");
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, expected.as_str()));
    assert_eq!(bench.keys(), "");
    assert_eq!(bench.call("monitor", "nothing", 20_000), SUCCESS, "looking needs no lock");
    first.kill_group();
    assert_eq!(bench.call("stop", "nothing", 20_000), SUCCESS, "the kernel frees the lock of the dead, worker included");
}

pub fn a_second_change_goes_on_when_the_first_is_done() {
    let bench = Bench::new();
    let first = Child::fork(Setup { dies_with_parent: true, ..Setup::default() }, || {
        assert_eq!(bench.call("start", "nap", 60_000), SUCCESS);
    });
    let first = first.unwrap();
    while !bench.record().exists() {
        sleep(Duration::from_millis(5));
    }
    assert_eq!(bench.call("stop", "nothing", 60_000), SUCCESS);
    assert_eq!(first.wait(Deadline::after(Duration::from_secs(20))).unwrap(), Some(Ending::Exited(0)));
}

pub fn a_worker_dies_with_its_supervisor() {
    let bench = Bench::new();
    let supervisor = Child::fork(Setup::default(), || {
        bench.call("start", "sleep", 60_000);
    });
    let supervisor = supervisor.unwrap();
    while !bench.record().exists() {
        sleep(Duration::from_millis(5));
    }
    let worker: i32 = fs::read_to_string(bench.record()).unwrap().split(' ').next().unwrap().parse().unwrap();
    kill(supervisor.pid(), Signal::SIGKILL).unwrap();
    let until = Deadline::after(Duration::from_secs(20));
    let is_alive = || fs::read_to_string(format!("/proc/{worker}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while is_alive() && !until.is_past() {
        sleep(Duration::from_millis(5));
    }
    assert!(!is_alive());
}
