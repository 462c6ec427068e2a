//! Supervision and escalation, with workers that sleep, die, fork, write and can not be killed.
//!
//! `supervise::call` forks, which only a process with one thread may do, and libtest runs its tests in threads. So this has a `main`
//! of its own: one case after the other, each in a forked process, reported as libtest does.
//!
//! A worker that can not be killed: another process traces it with `PTRACE_O_TRACEEXIT`, so it stops on its way out after SIGKILL and
//! stays until the tracer ends. The D state of a real hang is for a VM, where this program makes one call on the machine itself:
//! `guard --host stop "read /dev/mapper/x" 10000` with `x` suspended reboots it. `OCF_RESKEY_on_stop_hang` and so on are looked at.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, reason = "tests, without libtest")]
#![allow(clippy::wildcard_imports, clippy::must_use_candidate, clippy::missing_panics_doc, reason = "parts of one test program")]

mod bench;
mod doer;
mod handlers;
mod leftovers;
mod stuck;
mod workers;

use std::fs;
use std::io::Read;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ocf_san::deadline::Deadline;
use ocf_san::guard::supervise;
use ocf_san::kernel::attr::Root;
use ocf_san::kernel::process::{Child, Ending, Setup, pipe};
use ocf_san::ocf::env::Params;

use bench::*;
use doer::*;
use handlers::*;
use leftovers::*;
use stuck::*;
use workers::*;

macro_rules! cases {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as fn())),*] };
}

const CASES: &[(&str, fn())] = cases![
    what_the_worker_answers_is_the_answer,
    a_worker_that_sleeps_is_killed_and_the_answer_is_in_time_and_says_what_it_was_doing,
    a_worker_that_blocks_signals_or_is_stopped_is_killed_too,
    an_agent_that_keeps_to_its_deadline_answers_before_it_is_killed,
    a_worker_that_dies_is_an_error_that_names_the_signal_and_the_deed,
    a_panic_is_an_answer,
    a_child_that_the_worker_leaves_keeps_nobody_waiting,
    much_output_and_many_notes_block_nothing,
    two_changes_never_run_at_once_and_the_second_says_whom_it_waits_for,
    a_second_change_goes_on_when_the_first_is_done,
    a_worker_dies_with_its_supervisor,
    a_stop_that_says_it_is_stuck_reboots_with_evidence,
    the_policy_decides_which_key_is_last_and_a_file_forbids_them_all,
    a_stop_that_says_it_is_stuck_and_is_not_only_fails,
    a_stop_whose_worker_ends_between_the_two_looks_only_fails,
    a_time_out_that_is_too_short_to_prove_a_hang_reboots_nothing,
    a_stop_with_no_time_left_after_waiting_does_not_begin,
    a_stop_that_had_little_time_after_waiting_reboots_nothing,
    a_file_that_forbids_a_reboot_counts_when_its_disk_no_longer_answers,
    a_file_that_forbids_a_reboot_is_looked_at_before_an_earlier_change_is_waited_for,
    an_answer_is_found_behind_many_notes_and_after_the_deadline,
    nobody_reading_standard_error_keeps_nobody_from_answering,
    a_worker_writes_log_files_and_that_of_a_stop_does_not,
    a_start_waits_a_while_for_what_was_left_behind,
    what_hangs_of_a_stop_that_is_done_keeps_nobody_from_the_next_and_reboots_nobody,
    what_hangs_of_a_stop_that_failed_and_is_not_stuck_reboots_nobody_either,
    what_hangs_of_a_start_that_failed_and_is_not_stuck_reboots_nobody_at_the_stop,
    what_a_cheap_monitor_did_not_need_for_its_answer_fails_no_later_one,
    what_hangs_of_a_validation_by_hand_is_of_no_matter_to_the_resource,
    a_deep_monitor_that_hangs_is_known_when_its_supervisor_was_killed,
    only_a_stop_of_an_agent_that_declares_it_escalates,
    a_stop_whose_worker_can_not_be_killed_is_answered_in_time_and_reboots,
    what_a_stop_left_behind_is_found_again_by_whatever_comes_next,
    a_stop_goes_on_when_what_was_left_behind_ends_in_time,
    a_deep_monitor_left_behind_goes_on_failing_and_leaves_only_the_cheap_one,
    no_degraded_answer_takes_the_place_of_a_deep_monitor_s_failure,
    a_deep_monitor_that_doubted_and_hangs_leaves_a_doubt,
    a_cheap_monitor_left_behind_is_not_followed_by_another,
    a_record_of_the_dead_is_removed_in_silence,
    a_last_resort_waits_for_no_other_handler,
    a_last_resort_goes_on_when_nobody_waits_for_it_any_more,
    an_error_of_the_disk_that_the_guard_is_on_takes_the_node_down_too,
];

/// One call on the machine itself, for a VM.
#[expect(clippy::disallowed_methods, reason = "this is all that is read of the environment")]
fn on_the_host(args: &[String]) -> ExitCode {
    let [action, deed, millis] = args else { panic!("--host ACTION DEED MILLISECONDS") };
    let more: Vec<(String, String)> =
        std::env::vars().filter(|(name, _)| name.starts_with("OCF_") || name.starts_with("HA_")).collect();
    let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let env = Bench::env(action, deed, millis.parse().unwrap(), &more);
    let params = Params::check(&env, STORAGE.params).unwrap();
    let before = Instant::now();
    let answer = supervise::call(&STORAGE, action, &params, &env, &Root::host());
    println!("{} after {:.2} s: {}", answer.code as u8, before.elapsed().as_secs_f64(), reason(&answer));
    ExitCode::from(answer.code as u8)
}
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--host") {
        return on_the_host(&args[1..]);
    }
    let wanted = args.iter().find(|arg| !arg.starts_with('-')).map_or("", String::as_str);
    let chosen: Vec<_> = CASES.iter().filter(|(name, _)| name.contains(wanted)).collect();
    if args.iter().any(|arg| arg == "--list") {
        for (name, _) in &chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    let mut waiting = chosen.iter();
    let mut running: Vec<Running> = Vec::new();
    loop {
        while running.len() < AT_ONCE {
            let Some((name, case)) = waiting.next() else { break };
            running.push(Running::start(name, *case));
        }
        if running.is_empty() {
            break;
        }
        running.iter_mut().for_each(Running::look);
        let (done, still): (Vec<_>, Vec<_>) = running.into_iter().partition(|case| case.ending.is_some());
        running = still;
        for case in done {
            let passed = case.ending == Some(Ending::Exited(0));
            println!("test {} ... {}", case.name, if passed { "ok" } else { "FAILED" });
            if !passed {
                failed += 1;
                println!("---- {} ----\n{}", case.name, String::from_utf8_lossy(&case.said));
            }
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let (passed, out) = (chosen.len() - failed, CASES.len() - chosen.len());
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {out} filtered out\n");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Most cases wait most of the time.
const AT_ONCE: usize = 6;

/// A case in its own process.
struct Running {
    name: &'static str,
    child: Child,
    output: fs::File,
    said: Vec<u8>,
    limit: Deadline,
    ending: Option<Ending>,
}

impl Running {
    fn start(name: &'static str, case: fn()) -> Self {
        let (output, write) = pipe().unwrap();
        let child = Child::fork(Setup { dies_with_parent: true, stderr: Some(write), ..Setup::default() }, case).unwrap();
        let limit = Deadline::after(Duration::from_secs(180));
        Self { name, child, output, said: Vec::new(), limit, ending: None }
    }

    /// Reads along, or a case that writes much would wait for us; but only while the case runs, not for what it leaves.
    fn look(&mut self) {
        self.ending = self.child.wait(Deadline::after(Duration::from_millis(10))).unwrap();
        let mut chunk = [0; 4096];
        while has_more(&self.output) {
            match (&self.output).read(&mut chunk) {
                Ok(n) if n > 0 => self.said.extend_from_slice(&chunk[..n]),
                _ => break,
            }
        }
        if self.ending.is_none() && self.limit.is_past() {
            self.child.kill_group();
            self.ending = Some(Ending::Signaled(Signal::SIGKILL));
        }
        if self.ending.is_some() {
            self.child.kill_group();
        }
    }
}

fn has_more(pipe: &fs::File) -> bool {
    use std::os::fd::AsFd;
    ocf_san::kernel::process::wait_readable(pipe.as_fd(), Deadline::after(Duration::ZERO)).unwrap_or(false)
}
