//! What is left behind, and what else can go wrong.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use ocf_san::deadline::Deadline;
use ocf_san::guard::supervise;
use ocf_san::kernel::process::{Child, Ending, Setup, pipe};
use ocf_san::ocf::env::Params;
use ocf_san::ocf::error::Code;
use ocf_san::ocf::run::Answer;

use super::bench::*;
use super::doer::*;

pub fn an_answer_is_found_behind_many_notes_and_after_the_deadline() {
    let bench = Bench::new();
    let supervisor = Child::fork(Setup { dies_with_parent: true, ..Setup::default() }, || {
        let env = Bench::env("start", "nap and tell", 2500, &[]);
        let params = Params::check(&env, STORAGE.params).unwrap();
        assert_eq!(supervise::call(&STORAGE, "start", &params, &env, &bench.root), SUCCESS);
    });
    let supervisor = supervisor.unwrap();
    while !bench.record().exists() {
        sleep(Duration::from_millis(5));
    }
    // As on a machine where nothing has its turn for seconds.
    kill(supervisor.pid(), Signal::SIGSTOP).unwrap();
    sleep(Duration::from_secs(3));
    kill(supervisor.pid(), Signal::SIGCONT).unwrap();
    assert_eq!(supervisor.wait(Deadline::after(Duration::from_secs(20))).unwrap(), Some(Ending::Exited(0)));
}

pub fn nobody_reading_standard_error_keeps_nobody_from_answering() {
    let bench = Bench::new();
    let (keep, write) = pipe().unwrap();
    let caller = Child::fork(Setup { stderr: Some(write), dies_with_parent: true, ..Setup::default() }, || {
        let env = Bench::env("start", "write much", 20_000, &[]);
        assert_eq!(bench.call_of(&STORAGE, "start", &env), SUCCESS);
        assert_eq!(bench.call("start", "write a long line", 20_000), SUCCESS);
        ocf_san::ocf::reason::print(&env, "nobody will read this");
    });
    assert_eq!(caller.unwrap().wait(Deadline::after(Duration::from_secs(60))).unwrap(), Some(Ending::Exited(0)));
    drop(keep);
}

pub fn a_worker_writes_log_files_and_that_of_a_stop_does_not() {
    let bench = Bench::new();
    let more = [("HA_LOGFILE", "/ha-log"), ("OCF_TRACE_RA", "1"), ("OCF_TRACE_FILE", "/trace")];
    let env = |action| Bench::env(action, "fail", 20_000, &more);
    ocf_san::ocf::log::init(&bench.root, &env("stop"), "Storage", "stop");
    assert_eq!(bench.call_of(&STORAGE, "stop", &env("stop")).code, Code::Configured);
    assert!(!bench.path("/ha-log").exists() && !bench.path("/trace").exists(), "nobody's stop hangs because of a line in a log");
    assert_eq!(bench.call_of(&STORAGE, "start", &env("start")).code, Code::Configured);
    let text = bench.text("/ha-log");
    assert!(text.lines().count() == 1 && text.contains("  Storage(r1)[") && text.ends_with("ERROR: deed: wrong\n"), "{text}");
}

pub fn a_start_waits_a_while_for_what_was_left_behind() {
    let (bench, tracer, _) = Bench::with_one_left_behind("monitor", "hang", &[]);
    let _releaser = Child::fork(Setup::default(), || {
        sleep(Duration::from_secs(1));
        tracer.kill_group();
    });
    assert_eq!(bench.call("start", "nothing", 20_000), SUCCESS);
}

/// A look at a file that hangs, say, beside what was to be taken down and was.
pub fn what_hangs_of_a_stop_that_is_done_keeps_nobody_from_the_next_and_reboots_nobody() {
    let (bench, tracer, answer) = Bench::with_one_left_behind("stop", "be done and stay", &[]);
    assert_eq!(answer, Answer { reason: Some(String::new()), ..SUCCESS });
    assert_eq!(bench.call("monitor", "nothing", 6000).code, Code::Degraded, "a person is told");
    assert_eq!(bench.call("stop", "nothing", 6000), SUCCESS);
    assert_eq!(bench.keys(), "");
    release(&tracer);
}

pub fn what_hangs_of_a_stop_that_failed_and_is_not_stuck_reboots_nobody_either() {
    let (bench, tracer, answer) = Bench::with_one_left_behind("stop", "fail and stay", &[]);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "lun0 is mounted"));
    assert_eq!(monitor(&bench, "nothing", &[BY_PACEMAKER]).0, Code::Degraded, "it has not failed");
    assert_eq!(bench.call("stop", "nothing", 6000), SUCCESS);
    assert_eq!(bench.call("start", "nothing", 6000), SUCCESS);
    assert_eq!(bench.keys(), "");
    assert_eq!(monitor(&bench, "nothing", &[BY_PACEMAKER]), (Code::Success, String::new()), "it was none of its disks");
    release(&tracer);
}

/// A read of the configuration, say, on a disk that hangs: nothing was made yet.
pub fn what_hangs_of_a_start_that_failed_and_is_not_stuck_reboots_nobody_at_the_stop() {
    let (bench, tracer, answer) = Bench::with_one_left_behind("start", "fail and stay", &[]);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "lun0 is mounted"));
    assert_eq!(bench.call("stop", "nothing", 6000), SUCCESS);
    assert_eq!(bench.call("start", "fail", 6000).code, Code::Configured, "and keeps nobody from trying again");
    assert_eq!(reason(&bench.call("stop", "be stuck", 6000)), "disable iqn.2016-12.net.example:t1", "nor is it evidence");
    assert_eq!(bench.keys(), "");
    release(&tracer);
}

pub fn what_a_cheap_monitor_did_not_need_for_its_answer_fails_no_later_one() {
    let (bench, tracer, answer) = Bench::with_one_left_behind("monitor", "be stopped and stay", &[]);
    assert_eq!(answer.code, Code::NotRunning);
    assert_eq!(
        monitor(&bench, "be stopped", &[BY_PACEMAKER]).0,
        Code::NotRunning,
        "a probe that fails is a resource that may run"
    );
    assert_eq!(bench.call("start", "nothing", 6000), SUCCESS);
    assert_eq!(monitor(&bench, "nothing", &[BY_PACEMAKER]).0, Code::Success, "it was none of its disks");
    release(&tracer);
    let (bench, tracer, answer) = Bench::with_one_left_behind("monitor", "be done and stay", &[BY_PACEMAKER]);
    assert_eq!(answer.code, Code::Success);
    assert_eq!(monitor(&bench, "nothing", &[BY_PACEMAKER]).0, Code::Degraded, "a person is told");
    release(&tracer);
}

pub fn what_hangs_of_a_validation_by_hand_is_of_no_matter_to_the_resource() {
    let bench = Bench::new();
    let tracer = bench.tracer();
    assert_eq!(bench.call_from_outside("validate-all", "be done and stay", 2000, &[]).code, Code::Success);
    let worker = format!("/proc/{}", bench.text("/trace-me"));
    assert!(fs::exists(&worker).unwrap(), "it hangs");
    assert_eq!(bench.left_record(), None);
    assert_eq!(monitor(&bench, "nothing", &[BY_PACEMAKER]), (Code::Success, String::new()));
    release(&tracer);
}

/// Pacemaker cancels a monitor by SIGKILL to its process group before it stops the resource.
pub fn a_deep_monitor_that_hangs_is_known_when_its_supervisor_was_killed() {
    let bench = Bench::new();
    let tracer = bench.tracer();
    let supervisor = Child::fork(Setup { dies_with_parent: true, ..Setup::default() }, || {
        let env = Bench::env("monitor", "hang when deep", 60_000, &[DEEP, BY_PACEMAKER]);
        bench.call_of(&STORAGE, "monitor", &env);
    });
    let supervisor = supervisor.unwrap();
    while !bench.path("/trace-me").exists() {
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(200));
    kill(supervisor.pid(), Signal::SIGKILL).unwrap();
    assert!(supervisor.wait(Deadline::after(Duration::from_secs(10))).unwrap().is_some());
    assert_eq!(monitor(&bench, "nothing", &[DEEP]).0, Code::Degraded, "none is put beside it");
    assert_eq!(bench.call("start", "fail", 20_000).code, Code::Configured, "it may just have been slow");
    let answer = bench.call("stop", "be stuck", 20_000);
    assert!(reason(&answer).ends_with("; rebooting node"), "it is evidence: {answer:?}");
    assert_eq!(bench.keys(), "subbo");
    release(&tracer);
}

pub fn only_a_stop_of_an_agent_that_declares_it_escalates() {
    let bench = Bench::new();
    for action in ["start", "monitor"] {
        let answer = bench.call(action, "be stuck", 20_000);
        assert_eq!((answer.code, reason(&answer)), (Code::Generic, "disable iqn.2016-12.net.example:t1"));
    }
    let answer = bench.call_of(&ADDRESS, "stop", &Bench::env("stop", "be stuck", 20_000, &[]));
    assert_eq!(answer.code, Code::Generic);
    assert!(!bench.path("/proc/sysrq-trigger").exists(), "not even opened");
}

pub fn a_stop_whose_worker_can_not_be_killed_is_answered_in_time_and_reboots() {
    let (bench, tracer, answer) = Bench::with_one_left_behind("stop", "hang", &[]);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "stop stuck: doing hang; rebooting node"));
    assert_eq!(bench.keys(), "subbo");
    release(&tracer);
}

pub fn what_a_stop_left_behind_is_found_again_by_whatever_comes_next() {
    let (bench, tracer, answer) = Bench::with_one_left_behind("stop", "hang", &[("OCF_RESKEY_on_stop_hang", "fail")]);
    assert_eq!(reason(&answer), "stop stuck: doing hang; on_stop_hang=fail");
    let pid = bench.left_pid();
    let expected = format!("an earlier stop (pid {pid}) is stuck in the kernel: doing hang");
    for action in ["monitor", "start"] {
        let before = Instant::now();
        let answer = bench.call(action, "nothing", 20_000);
        assert_eq!((answer.code, reason(&answer)), (Code::Generic, expected.as_str()), "{action}");
        assert!(before.elapsed() < Duration::from_secs(7), "it gets a while to end, and no more");
    }
    assert_eq!(bench.keys(), "");
    let answer = bench.call("stop", "nothing", 6000);
    assert_eq!(reason(&answer), format!("stop stuck: {expected}; rebooting node"), "no second worker is put beside it");
    assert_eq!(bench.keys(), "subbo");
    release(&tracer);
    assert_eq!(bench.call("monitor", "nothing", 20_000), SUCCESS, "gone is gone");
    assert!(!bench.record().exists());
}

pub fn a_stop_goes_on_when_what_was_left_behind_ends_in_time() {
    let (bench, tracer, _) = Bench::with_one_left_behind("start", "hang", &[]);
    let releaser = Child::fork(Setup::default(), || {
        sleep(Duration::from_millis(500));
        tracer.kill_group();
    });
    let answer = bench.call("stop", "nothing", 20_000);
    assert_eq!(answer, SUCCESS);
    assert_eq!(bench.keys(), "");
    drop(releaser);
}

const DEEP: (&str, &str) = ("OCF_CHECK_LEVEL", "20");
const BY_PACEMAKER: (&str, &str) = ("OCF_RESKEY_crm_feature_set", "3.16.1");

fn monitor(bench: &Bench, deed: &str, more: &[(&str, &str)]) -> (Code, String) {
    let answer = bench.call_of(&STORAGE, "monitor", &Bench::env("monitor", deed, 20_000, more));
    (answer.code, answer.reason.unwrap_or_default())
}

pub fn a_deep_monitor_left_behind_goes_on_failing_and_leaves_only_the_cheap_one() {
    let deed = "hang when deep";
    let (bench, tracer, answer) = Bench::with_one_left_behind("monitor", deed, &[DEEP]);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "monitor stuck in the kernel: reading dm-3"));
    let expected = format!("an earlier monitor (pid {}) is stuck in the kernel: reading dm-3", bench.left_pid());
    for _ in 0..3 {
        assert_eq!(monitor(&bench, deed, &[DEEP]), (Code::Generic, expected.clone()));
    }
    assert_eq!(monitor(&bench, deed, &[]), (Code::Degraded, expected.clone()), "a person is told");
    assert_eq!(monitor(&bench, deed, &[BY_PACEMAKER]), (Code::Degraded, expected), "it has not heard of the failure");
    assert_eq!(bench.call("stop", "nothing", 20_000), SUCCESS, "a stop is not kept from trying");
    release(&tracer);
    // What the deep one answers now does not matter: it runs.
    assert_eq!(bench.call("monitor", deed, 20_000), SUCCESS);
}

/// Pacemaker takes a degraded answer for the newest failure, and forgets the one that it has to recover from.
pub fn no_degraded_answer_takes_the_place_of_a_deep_monitor_s_failure() {
    let deed = "fail when deep and stay";
    let (bench, tracer, answer) = Bench::with_one_left_behind("monitor", deed, &[DEEP, BY_PACEMAKER]);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "dm-3 did not answer within 1 s"));
    let pid = bench.left_pid();
    let expected = format!("an earlier monitor (pid {pid}) is stuck in the kernel: dm-3 did not answer within 1 s");
    assert_eq!(monitor(&bench, deed, &[BY_PACEMAKER]), (Code::Success, String::new()));
    assert_eq!(monitor(&bench, deed, &[DEEP, BY_PACEMAKER]), (Code::Generic, expected.clone()));
    assert_eq!(monitor(&bench, deed, &[]), (Code::Degraded, expected), "a person is told");
    release(&tracer);
    assert_eq!(monitor(&bench, deed, &[BY_PACEMAKER]), (Code::Degraded, "completes no I/O".to_owned()));
}

pub fn a_deep_monitor_that_doubted_and_hangs_leaves_a_doubt() {
    let deed = "doubt when deep and stay";
    let (bench, tracer, answer) = Bench::with_one_left_behind("monitor", deed, &[DEEP, BY_PACEMAKER]);
    assert_eq!((answer.code, reason(&answer)), (Code::Degraded, "dm-3 does not say how it is"));
    let expected = format!("an earlier monitor (pid {}) is stuck in the kernel: asking dm-3", bench.left_pid());
    for more in [&[BY_PACEMAKER][..], &[DEEP, BY_PACEMAKER], &[]] {
        assert_eq!(monitor(&bench, deed, more), (Code::Degraded, expected.clone()));
    }
    let own = (Code::Degraded, "completes no I/O".to_owned());
    assert_eq!(monitor(&bench, "fail when deep and stay", &[BY_PACEMAKER]), own, "what is wrong now counts for more");
    release(&tracer);
}

pub fn a_cheap_monitor_left_behind_is_not_followed_by_another() {
    let (bench, tracer, _) = Bench::with_one_left_behind("monitor", "hang", &[]);
    let answer = bench.call("monitor", "nothing", 20_000);
    assert_eq!(answer.code, Code::Generic);
    assert!(reason(&answer).contains("an earlier monitor"), "{answer:?}");
    assert_eq!(bench.call("stop", "nothing", 20_000), SUCCESS, "a stop is not kept from trying");
    assert_eq!(bench.call("monitor", "nothing", 6000).code, Code::Generic, "and what hangs is not forgotten over it");
    release(&tracer);
    assert_eq!(bench.call("monitor", "nothing", 20_000), SUCCESS);
}

pub fn a_record_of_the_dead_is_removed_in_silence() {
    let bench = Bench::new();
    bench.root.dir("/run/resource-agents").create_all(0o755).unwrap();
    for text in ["999999999 5 4 stop\n\n", "1 5 4 stop\n\n"] {
        fs::write(bench.record(), text).unwrap();
        assert_eq!(bench.call("monitor", "nothing", 20_000), SUCCESS);
        assert!(!bench.record().exists(), "{text}");
    }
    fs::write(bench.record(), "rubbish").unwrap();
    assert_eq!(bench.call("stop", "nothing", 20_000), SUCCESS);
    assert!(!bench.record().exists());
}
