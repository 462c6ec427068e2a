//! Supervision and escalation, with workers that sleep, die, fork, write and can not be killed.
//!
//! `supervise::call` forks, which only a process with one thread may do, and libtest runs its tests in threads. So this has a `main`
//! of its own: one case after the other, each in a forked process, reported as libtest does.
//!
//! A worker that can not be killed: another process traces it with `PTRACE_O_TRACEEXIT`, so it stops on its way out after SIGKILL and
//! stays until the tracer ends. The D state of a real hang is for a VM, where this program makes one call on the machine itself:
//! `guard --host stop "read /dev/mapper/x" 10000` with `x` suspended reboots it. `OCF_RESKEY_on_stop_hang` and so on are looked at.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr, reason = "tests, without libtest")]

use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::Pid;
use ocf_san::deadline::Deadline;
use ocf_san::guard::supervise;
use ocf_san::kernel::attr::Root;
use ocf_san::kernel::process::{Child, Ending, Setup, end_now, pipe};
use ocf_san::ocf::env::{Env, Params};
use ocf_san::ocf::error::{Code, OcfError};
use ocf_san::ocf::hang::{NOREBOOT_FILE, ON_STOP_HANG};
use ocf_san::ocf::run::{Agent, Answer, Context, Level, State};
use ocf_san::ocf::spec::{ActionSpec, AgentSpec, Param};

static DEED: Param<String> = Param::or("deed", "nothing", "Deed", "What the worker does.");

static WHEN: Param<String> = Param::or("when", "monitor", "When", "In which action it does that.");

static ACTIONS: &[ActionSpec] = &[
    ActionSpec::new("start", 20),
    ActionSpec::new("stop", 20),
    ActionSpec::new("monitor", 20).every(10).depth(0),
    ActionSpec::new("monitor", 20).every(60).depth(20),
];

/// Its stop may escalate.
static STORAGE: AgentSpec = AgentSpec {
    name: "Storage",
    short: "Storage",
    long: "Storage.",
    params: &[&DEED, &WHEN, &ON_STOP_HANG, &NOREBOOT_FILE],
    actions: ACTIONS,
    build,
};

/// Its stop may not.
static ADDRESS: AgentSpec =
    AgentSpec { name: "Address", short: "Address", long: "Address.", params: &[&DEED, &WHEN], actions: ACTIONS, build };

struct Doer {
    deed: String,
    when: String,
    is_done: Cell<bool>,
}

fn build(params: &Params) -> Result<Box<dyn Agent>, OcfError> {
    Ok(Box::new(Doer { deed: params.get(&DEED)?, when: params.get(&WHEN)?, is_done: Cell::new(false) }))
}

impl Doer {
    #[expect(clippy::disallowed_methods, reason = "a child that is started carelessly is what is to be tried")]
    fn act(&self, cx: &Context) -> Result<(), OcfError> {
        (cx.progress)(&format!("doing {}", self.deed));
        match self.deed.as_str() {
            "nothing" => {}
            "fail" => return Err(OcfError::new(Code::Configured, "deed: wrong")),
            "sleep" => sleep(Duration::from_secs(120)),
            "nap" => sleep(Duration::from_millis(1500)),
            "panic" => panic!("at the disco"),
            "exit" => end_now(3),
            "complain and exit" => {
                eprintln!("first\nocf-exit-reason:the last word");
                end_now(3);
            }
            "die" => raise(Signal::SIGABRT).unwrap(),
            "stand still" => raise(Signal::SIGSTOP).unwrap(),
            "be deaf" => {
                for deaf in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
                    block(deaf);
                }
                sleep(Duration::from_secs(120));
            }
            "leave a child" => {
                // It holds the worker's standard error.
                let child = std::process::Command::new("/bin/sleep").arg("30").spawn();
                child.map(std::mem::forget).unwrap();
            }
            "write much" => {
                for n in 0..20_000 {
                    (cx.progress)(&format!("step {n} of a long way, and then some more of it"));
                    eprintln!("line {n} of many that nobody asked for");
                }
            }
            "be stuck" => return Err(OcfError::stuck("disable iqn.2016-12.net.example:t1")),
            "be stuck and stay" => {
                get_traced(cx.root);
                return Err(OcfError::stuck("disable iqn.2016-12.net.example:t1"));
            }
            "lose the disk and be stuck" => {
                // Neither there nor not there, as on a disk that does not answer.
                cx.root.dir("/etc/ha.d").unlink("noreboot").unwrap();
                std::os::unix::fs::symlink("x".repeat(300), cx.root.path("/etc/ha.d/noreboot")).unwrap();
                get_traced(cx.root);
                return Err(OcfError::stuck("lost"));
            }
            "forbid it and be stuck" => {
                cx.root.dir("/etc/ha.d").set("noreboot", "").unwrap();
                get_traced(cx.root);
                return Err(OcfError::stuck("forbidden"));
            }
            "write a long line" => eprint!("{}", "x".repeat(300_000)),
            "nap and tell" => {
                sleep(Duration::from_millis(500));
                for n in 0..800 {
                    (cx.progress)(&format!("step {n} of a long way"));
                }
            }
            "run out of time" => {
                while !cx.deadline.is_past() {
                    sleep(Duration::from_millis(10));
                }
                return Err(OcfError::new(Code::Generic, "gave up in time"));
            }
            "hang" => hang(cx.root),
            deed if deed.starts_with("read /") => {
                let device = deed.trim_start_matches("read ");
                read_directly(device).map_err(|e| OcfError::new(Code::Generic, format_args!("read {device}: {e}")))?;
            }
            other => return Err(OcfError::new(Code::Args, format_args!("{other}: no such deed"))),
        }
        self.is_done.set(true);
        Ok(())
    }
}

impl Agent for Doer {
    fn monitor(&self, cx: &Context, level: Level) -> Result<State, OcfError> {
        match (self.deed.as_str(), level) {
            // Before and after the deed, as the contract looks at it.
            _ if self.when != "monitor" => {
                let is_running = (self.when == "start") == self.is_done.get();
                Ok(if is_running { State::Running } else { State::Stopped })
            }
            ("hang when deep", Level::Cheap) => Ok(State::Running),
            ("hang when deep", _) => {
                (cx.progress)("reading dm-3");
                hang(cx.root);
                Ok(State::Running)
            }
            _ => self.act(cx).map(|()| State::Running),
        }
    }
    fn start(&self, cx: &Context) -> Result<(), OcfError> {
        self.act(cx)
    }
    fn stop(&self, cx: &Context) -> Result<(), OcfError> {
        self.act(cx)
    }
    fn validate(&self, _cx: &Context, _level: Level) -> Result<(), OcfError> {
        Ok(())
    }
}

fn block(signal: Signal) {
    use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
    let mut set = SigSet::empty();
    set.add(signal);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).unwrap();
}

/// Past the page cache, whose waits a signal ends: while the device is suspended nothing ends this one.
fn read_directly(device: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut buffer = [0; 8192];
    let aligned = buffer.as_ptr().align_offset(4096);
    let mut device = fs::File::options().read(true).custom_flags(libc::O_DIRECT).open(device)?;
    device.read_exact(&mut buffer[aligned..aligned + 4096])
}

/// In the worker: gets traced, so that SIGKILL does not end it.
fn hang(root: &Root) {
    get_traced(root);
    sleep(Duration::from_secs(120));
}

fn get_traced(root: &Root) {
    nix::sys::prctl::set_pdeathsig(None).unwrap();
    fs::write(root.path("/trace-me.new"), nix::unistd::getpid().to_string()).unwrap();
    fs::rename(root.path("/trace-me.new"), root.path("/trace-me")).unwrap();
    while fs::read_to_string("/proc/self/status").unwrap().contains("TracerPid:\t0\n") {
        sleep(Duration::from_millis(2));
    }
}

/// A machine with one resource.
struct Bench {
    _keep: tempfile::TempDir,
    root: Root,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        Self { _keep: dir, root }
    }

    fn env(action: &str, deed: &str, millis: u32, more: &[(&str, &str)]) -> Env {
        let millis = millis.to_string();
        let interval = ("OCF_RESKEY_CRM_meta_interval", "10000");
        let deed = [("OCF_RESKEY_deed", deed), ("OCF_RESKEY_when", action)];
        let fixed = [("OCF_RESOURCE_INSTANCE", "r1"), ("OCF_RESKEY_CRM_meta_timeout", &millis), interval];
        let fixed: Vec<_> = fixed.into_iter().chain(deed).collect();
        fixed.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn call_of(&self, spec: &'static AgentSpec, action: &str, env: &Env) -> Answer {
        let params = Params::check(env, spec.params).unwrap();
        let limit = Duration::from_millis(env.get("OCF_RESKEY_CRM_meta_timeout").unwrap().parse().unwrap());
        let before = Instant::now();
        let answer = supervise::call(spec, action, &params, env, &self.root);
        assert!(before.elapsed() < limit, "{action} answered after {:?}, too late for {limit:?}", before.elapsed());
        answer
    }

    fn call(&self, action: &str, deed: &str, millis: u32) -> Answer {
        self.call_of(&STORAGE, action, &Self::env(action, deed, millis, &[]))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    fn keys(&self) -> String {
        self.text("/proc/sysrq-trigger")
    }

    fn record(&self) -> PathBuf {
        self.path("/run/resource-agents/ocf-san.Storage-r1.worker")
    }

    /// The record of whatever was left behind.
    fn left_record(&self) -> Option<String> {
        let path = |ending: &str| self.path(&format!("/run/resource-agents/ocf-san.Storage-r1.{ending}"));
        ["worker", "monitor", "deep-monitor"].iter().find_map(|ending| fs::read_to_string(path(ending)).ok())
    }

    /// The process id in it.
    fn left_pid(&self) -> String {
        self.left_record().unwrap().split(' ').next().unwrap().to_owned()
    }

    /// In a process of its own, which has ended when this returns: as Pacemaker calls.
    fn call_from_outside(&self, action: &str, deed: &str, millis: u32, more: &[(&str, &str)]) -> Answer {
        let (mut read, write) = pipe().unwrap();
        let answer = self.path("/answer");
        let caller = Child::fork(Setup { stderr: Some(write), ..Setup::default() }, || {
            let given = self.call_of(&STORAGE, action, &Self::env(action, deed, millis, more));
            fs::write(&answer, format!("{} {}", given.code as u8, given.reason.unwrap_or_default())).unwrap();
        });
        let caller = caller.unwrap();
        let ending = caller.wait(Deadline::after(Duration::from_secs(60))).unwrap();
        let mut said = String::new();
        let before = Instant::now();
        read.read_to_string(&mut said).unwrap();
        assert!(before.elapsed() < Duration::from_secs(5), "someone kept the caller's standard error open");
        assert_eq!(ending, Some(Ending::Exited(0)), "{said}");
        let text = fs::read_to_string(&answer).unwrap();
        let (code, reason) = text.split_once(' ').unwrap();
        Answer { code: Code::from_number(code.parse().unwrap()), reason: Some(reason.to_owned()), stuck: false }
    }

    /// Traces the next worker that wants to hang.
    fn tracer(&self) -> Child {
        let path = self.path("/trace-me");
        let _ = fs::remove_file(&path);
        let tracer = Child::fork(Setup { dies_with_parent: true, ..Setup::default() }, || {
            let worker = loop {
                match fs::read_to_string(&path) {
                    Ok(pid) => break Pid::from_raw(pid.parse().unwrap()),
                    Err(_) => sleep(Duration::from_millis(2)),
                }
            };
            ptrace::seize(worker, ptrace::Options::PTRACE_O_TRACEEXIT).unwrap();
            sleep(Duration::from_secs(120));
        });
        tracer.unwrap()
    }

    /// A worker of `action` that an earlier call left behind, its tracer and the answer of that call.
    fn with_one_left_behind(action: &str, deed: &str, more: &[(&str, &str)]) -> (Self, Child, Answer) {
        let bench = Self::new();
        let tracer = bench.tracer();
        let answer = bench.call_from_outside(action, deed, if action == "stop" { 6000 } else { 2000 }, more);
        assert!(bench.left_record().is_some(), "{answer:?}");
        (bench, tracer, answer)
    }
}

/// Lets what the tracer holds go.
fn release(tracer: &Child) {
    tracer.kill_group();
    assert!(tracer.wait(Deadline::after(Duration::from_secs(10))).unwrap().is_some());
    sleep(Duration::from_millis(200));
}

fn reason(answer: &Answer) -> &str {
    answer.reason.as_deref().unwrap_or_default()
}

const SUCCESS: Answer = Answer { code: Code::Success, reason: None, stuck: false };

fn what_the_worker_answers_is_the_answer() {
    let bench = Bench::new();
    assert_eq!(bench.call("start", "nothing", 20_000), SUCCESS);
    assert_eq!(bench.call("stop", "nothing", 20_000), SUCCESS);
    assert_eq!(bench.call("monitor", "nothing", 20_000), SUCCESS);
    let wrong = Answer { code: Code::Configured, reason: Some("deed: wrong".to_owned()), stuck: false };
    assert_eq!(bench.call("start", "fail", 20_000), wrong);
    assert!(!bench.record().exists() && bench.keys().is_empty());
}

fn a_worker_that_sleeps_is_killed_and_the_answer_is_in_time_and_says_what_it_was_doing() {
    let bench = Bench::new();
    for action in ["start", "monitor", "stop"] {
        let answer = bench.call(action, "sleep", 1500);
        assert_eq!(answer.code, Code::Generic);
        assert_eq!(reason(&answer), format!("{action} did not finish within its 1.5 s, was doing: doing sleep"));
    }
    assert_eq!(bench.keys(), "", "what a signal can end is no reason to reboot");
    assert_eq!(bench.call("start", "nothing", 20_000), SUCCESS, "and nothing is left of it");
}

fn a_worker_that_blocks_signals_or_is_stopped_is_killed_too() {
    let bench = Bench::new();
    for deed in ["be deaf", "stand still"] {
        let answer = bench.call("stop", deed, 1500);
        assert_eq!(reason(&answer), format!("stop did not finish within its 1.5 s, was doing: doing {deed}"));
    }
}

fn an_agent_that_keeps_to_its_deadline_answers_before_it_is_killed() {
    let bench = Bench::new();
    for action in ["start", "stop", "monitor"] {
        assert_eq!(reason(&bench.call(action, "run out of time", 3000)), "gave up in time");
    }
}

fn a_worker_that_dies_is_an_error_that_names_the_signal_and_the_deed() {
    let bench = Bench::new();
    let answer = bench.call("start", "die", 20_000);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "start worker was killed by SIGABRT while: doing die"));
    let answer = bench.call("start", "exit", 20_000);
    assert_eq!(reason(&answer), "start worker ended with code 3 and no answer while: doing exit");
    let answer = bench.call("start", "complain and exit", 20_000);
    assert!(reason(&answer).ends_with("while: doing complain and exit (the last word)"), "{answer:?}");
    assert_eq!(bench.call("start", "nothing", 20_000), SUCCESS);
}

fn a_panic_is_an_answer() {
    let bench = Bench::new();
    let answer = bench.call("monitor", "panic", 20_000);
    assert_eq!(answer.code, Code::Generic);
    assert!(reason(&answer).starts_with("internal error at tests/guard.rs:"), "{answer:?}");
    assert!(reason(&answer).ends_with(": at the disco"), "{answer:?}");
}

fn a_child_that_the_worker_leaves_keeps_nobody_waiting() {
    let bench = Bench::new();
    let before = Instant::now();
    assert_eq!(bench.call("start", "leave a child", 25_000), SUCCESS);
    assert!(before.elapsed() < Duration::from_secs(5));
}

fn much_output_and_many_notes_block_nothing() {
    let bench = Bench::new();
    assert_eq!(bench.call_from_outside("start", "write much", 60_000, &[]).code, Code::Success);
}

fn two_changes_never_run_at_once_and_the_second_says_whom_it_waits_for() {
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

fn a_second_change_goes_on_when_the_first_is_done() {
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

fn a_worker_dies_with_its_supervisor() {
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

fn a_stop_that_says_it_is_stuck_reboots_with_evidence() {
    let bench = Bench::new();
    let sys = bench.root.dir("/sys/block/dm-3");
    sys.set("inflight", "       1        2\n").unwrap();
    sys.dir("dm").set("name", "vg1-lv--lun0\n").unwrap();
    sys.dir("dm").set("suspended", "1\n").unwrap();
    let _tracer = bench.tracer();
    let answer = bench.call("stop", "be stuck and stay", 20_000);
    assert_eq!(answer.code, Code::Generic);
    assert_eq!(reason(&answer), "stop stuck: dm-3 (vg1-lv--lun0) suspended, 3 I/O in flight; rebooting node");
    assert_eq!(bench.keys(), "subbo", "sync, read-only, reboot; and as the machine is still there, reboot again and power off");
    let kmsg = bench.text("/dev/kmsg");
    let headline = "<2>ocf-san: Storage(r1) stop is stuck in the kernel: disable iqn.2016-12.net.example:t1\n";
    assert!(kmsg.starts_with(headline), "{kmsg}");
    assert!(kmsg.ends_with("<6>ocf-san: stop is stuck, pressing sysrq s, u, Reboot\n"), "{kmsg}");
    assert!(kmsg.contains("culprit: dm-3 (vg1-lv--lun0) suspended"), "{kmsg}");
    assert_eq!(kmsg.matches("<2>").count(), 1, "a line on a slow console takes time: {kmsg}");
    let written: Vec<_> = fs::read_dir(bench.path("/var/log/ocf-san")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(written.len(), 1);
    let name = written[0].file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("hang-Storage-r1-2") && name.ends_with("Z.txt"), "{name}");
    assert!(fs::read_to_string(&written[0]).unwrap().contains("stop is stuck in the kernel: disable iqn."));
    assert!(is_private(&written[0]));
}

fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600
}

fn the_policy_decides_which_key_is_last_and_a_file_forbids_them_all() {
    type File = (&'static str, &'static str, &'static str);
    let crash_kernel = ("/sys/kernel", "kexec_crash_loaded", "1\n");
    let panic_reboots = ("/proc/sys/kernel", "panic", "10\n");
    let noreboot = ("/etc/ha.d", "noreboot", "");
    let own_noreboot = ("/etc/own", "noreboot", "");
    let cases: [(&str, &[File], &str, &str); 10] = [
        ("reboot", &[], "subbo", "rebooting node"),
        ("reboot", &[crash_kernel], "subbo", "rebooting node"),
        ("reboot", &[noreboot], "", "reboot forbidden by noreboot_file"),
        ("reboot", &[own_noreboot], "subbo", "rebooting node"),
        ("crash", &[], "subbo", "rebooting node"),
        ("crash", &[crash_kernel], "sucbo", "crashing node"),
        ("crash", &[panic_reboots], "sucbo", "crashing node"),
        ("crash", &[crash_kernel, noreboot], "", "reboot forbidden by noreboot_file"),
        ("poweroff", &[], "suoob", "powering off node"),
        ("fail", &[], "", "on_stop_hang=fail"),
    ];
    for (policy, files, keys, outcome) in cases {
        let bench = Bench::new();
        for (dir, name, text) in files {
            bench.root.dir(dir).set(name, text).unwrap();
        }
        let tracer = bench.tracer();
        let env = Bench::env("stop", "be stuck and stay", 20_000, &[("OCF_RESKEY_on_stop_hang", policy)]);
        let answer = bench.call_of(&STORAGE, "stop", &env);
        assert_eq!((bench.keys().as_str(), answer.code), (keys, Code::Generic), "{policy} {files:?}");
        assert_eq!(reason(&answer), format!("stop stuck: disable iqn.2016-12.net.example:t1; {outcome}"));
        release(&tracer);
    }
    let bench = Bench::new();
    bench.root.dir("/etc/own").set("noreboot", "").unwrap();
    let _tracer = bench.tracer();
    let env = Bench::env("stop", "be stuck and stay", 20_000, &[("OCF_RESKEY_noreboot_file", "/etc/own/noreboot")]);
    assert_eq!(bench.call_of(&STORAGE, "stop", &env).code, Code::Generic);
    assert_eq!(bench.keys(), "");
}

fn a_stop_that_says_it_is_stuck_and_is_not_only_fails() {
    let bench = Bench::new();
    let answer = bench.call("stop", "be stuck", 20_000);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "disable iqn.2016-12.net.example:t1"));
    assert_eq!(bench.keys(), "", "its worker has ended and nothing of the target is held");
    let thread = |state: char| {
        let stat = format!("812 (iscsi_np) {state} 2 0 0 0 -1 0 0 0 0 0 0 3 0 0 20 0 1 0 90210 0 0\n");
        bench.root.dir("/proc/812").set("stat", &stat).unwrap();
        bench.root.dir("/proc/812").set("schedstat", "1 2 3\n").unwrap();
        bench.root.dir("/proc/2/task/2").set("children", "812").unwrap();
    };
    thread('S');
    assert_eq!(reason(&bench.call("stop", "be stuck", 20_000)), "disable iqn.2016-12.net.example:t1");
    assert_eq!(bench.keys(), "");
    thread('D');
    assert_eq!(bench.call("stop", "sleep", 6000).code, Code::Generic);
    assert_eq!(bench.keys(), "", "a thread that hangs is no reason where the stop does not say that it is stuck");
    let answer = bench.call("stop", "be stuck", 20_000);
    assert_eq!(reason(&answer), "stop stuck: disable iqn.2016-12.net.example:t1; rebooting node");
    assert_eq!(bench.keys(), "subbo");
}

fn a_stop_whose_worker_ends_between_the_two_looks_only_fails() {
    let bench = Bench::new();
    let tracer = bench.tracer();
    let _releaser = Child::fork(Setup::default(), || {
        // Killed after 4.1 s, looked at after 5.1 s and again half a second later.
        sleep(Duration::from_millis(5300));
        tracer.kill_group();
    });
    let answer = bench.call("stop", "hang", 6000);
    assert_eq!(reason(&answer), "stop did not finish within its 6 s, was doing: doing hang");
    assert_eq!(bench.keys(), "");
}

fn a_time_out_that_is_too_short_to_prove_a_hang_reboots_nothing() {
    for (millis, expected) in [
        (2500, "stop: no reboot with a time-out of only 2.5 s: doing hang"),
        (4500, "stop: no reboot with a time-out of only 4.5 s: doing hang"),
        (900, "stop: no reboot with a time-out of only 0.9 s (CRM_meta_timeout is in milliseconds): doing hang"),
    ] {
        let bench = Bench::new();
        let tracer = bench.tracer();
        let answer = bench.call("stop", "hang", millis);
        assert_eq!((answer.code, reason(&answer), bench.keys().as_str()), (Code::Generic, expected, ""));
        release(&tracer);
    }
}

fn a_stop_with_no_time_left_after_waiting_does_not_begin() {
    let bench = Bench::new();
    let first = Child::fork(Setup { dies_with_parent: true, ..Setup::default() }, || {
        bench.call("start", "sleep", 60_000);
    });
    let first = first.unwrap();
    while !bench.record().exists() {
        sleep(Duration::from_millis(5));
    }
    let holder = bench.left_pid();
    let _killer = Child::fork(Setup::default(), || {
        sleep(Duration::from_secs(3));
        first.kill_group();
    });
    let answer = bench.call("stop", "nothing", 6000);
    assert_eq!(reason(&answer), format!("no time left after waiting for the start that pid {holder} is doing"));
    assert_eq!(bench.keys(), "");

    let (bench, tracer, _) = Bench::with_one_left_behind("start", "hang", &[]);
    let holder = bench.left_pid();
    let _releaser = Child::fork(Setup::default(), || {
        sleep(Duration::from_millis(7200));
        tracer.kill_group();
    });
    let answer = bench.call("stop", "nothing", 10_000);
    assert_eq!(reason(&answer), format!("no time left after waiting for the start that pid {holder} did"));
    assert_eq!(bench.keys(), "");
}

fn a_file_that_forbids_a_reboot_counts_when_its_disk_no_longer_answers() {
    let outcome = |bench: &Bench, deed: &str| {
        let tracer = bench.tracer();
        let answer = bench.call("stop", deed, 20_000);
        release(&tracer);
        (reason(&answer).to_owned(), bench.keys())
    };
    let bench = Bench::new();
    bench.root.dir("/etc/ha.d").set("noreboot", "").unwrap();
    let (reason, keys) = outcome(&bench, "lose the disk and be stuck");
    assert_eq!(reason, "stop stuck: lost; reboot forbidden by noreboot_file");
    assert_eq!(keys, "");
    let bench = Bench::new();
    let (reason, keys) = outcome(&bench, "forbid it and be stuck");
    assert!(reason.ends_with("forbidden by noreboot_file") && keys.is_empty(), "the later look counts: {reason}");
}

fn an_answer_is_found_behind_many_notes_and_after_the_deadline() {
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

fn nobody_reading_standard_error_keeps_nobody_from_answering() {
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

fn a_worker_writes_log_files_and_that_of_a_stop_does_not() {
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

fn a_start_waits_a_while_for_what_was_left_behind() {
    let (bench, tracer, _) = Bench::with_one_left_behind("monitor", "hang", &[]);
    let _releaser = Child::fork(Setup::default(), || {
        sleep(Duration::from_secs(1));
        tracer.kill_group();
    });
    assert_eq!(bench.call("start", "nothing", 20_000), SUCCESS);
}

fn only_a_stop_of_an_agent_that_declares_it_escalates() {
    let bench = Bench::new();
    for action in ["start", "monitor"] {
        let answer = bench.call(action, "be stuck", 20_000);
        assert_eq!((answer.code, reason(&answer)), (Code::Generic, "disable iqn.2016-12.net.example:t1"));
    }
    let answer = bench.call_of(&ADDRESS, "stop", &Bench::env("stop", "be stuck", 20_000, &[]));
    assert_eq!(answer.code, Code::Generic);
    assert!(!bench.path("/proc/sysrq-trigger").exists(), "not even opened");
}

fn a_stop_whose_worker_can_not_be_killed_is_answered_in_time_and_reboots() {
    let (bench, tracer, answer) = Bench::with_one_left_behind("stop", "hang", &[]);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "stop stuck: doing hang; rebooting node"));
    assert_eq!(bench.keys(), "subbo");
    release(&tracer);
}

fn what_a_stop_left_behind_is_found_again_by_whatever_comes_next() {
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

fn a_stop_goes_on_when_what_was_left_behind_ends_in_time() {
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

fn a_deep_monitor_left_behind_leaves_only_the_cheap_one_and_a_warning() {
    let deep = ("OCF_CHECK_LEVEL", "20");
    let (bench, tracer, answer) = Bench::with_one_left_behind("monitor", "hang when deep", &[deep]);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "monitor stuck in the kernel: reading dm-3"));
    let pid = bench.left_pid();
    for _ in 0..3 {
        let answer = bench.call_of(&STORAGE, "monitor", &Bench::env("monitor", "hang when deep", 20_000, &[deep]));
        let expected = format!("an earlier monitor (pid {pid}) is stuck in the kernel: reading dm-3");
        assert_eq!((answer.code, reason(&answer)), (Code::Degraded, expected.as_str()));
    }
    assert_eq!(bench.call("stop", "nothing", 20_000), SUCCESS, "a stop is not kept from trying");
    release(&tracer);
    // What the deep one answers now does not matter: it runs.
    assert_eq!(bench.call("monitor", "hang when deep", 20_000), SUCCESS);
}

fn a_cheap_monitor_left_behind_is_not_followed_by_another() {
    let (bench, tracer, _) = Bench::with_one_left_behind("monitor", "hang", &[]);
    let answer = bench.call("monitor", "nothing", 20_000);
    assert_eq!(answer.code, Code::Generic);
    assert!(reason(&answer).contains("an earlier monitor"), "{answer:?}");
    assert_eq!(bench.call("stop", "nothing", 20_000), SUCCESS, "a stop is not kept from trying");
    assert_eq!(bench.call("monitor", "nothing", 6000).code, Code::Generic, "and what hangs is not forgotten over it");
    release(&tracer);
    assert_eq!(bench.call("monitor", "nothing", 20_000), SUCCESS);
}

fn a_record_of_the_dead_is_removed_in_silence() {
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
    a_file_that_forbids_a_reboot_counts_when_its_disk_no_longer_answers,
    an_answer_is_found_behind_many_notes_and_after_the_deadline,
    nobody_reading_standard_error_keeps_nobody_from_answering,
    a_worker_writes_log_files_and_that_of_a_stop_does_not,
    a_start_waits_a_while_for_what_was_left_behind,
    only_a_stop_of_an_agent_that_declares_it_escalates,
    a_stop_whose_worker_can_not_be_killed_is_answered_in_time_and_reboots,
    what_a_stop_left_behind_is_found_again_by_whatever_comes_next,
    a_stop_goes_on_when_what_was_left_behind_ends_in_time,
    a_deep_monitor_left_behind_leaves_only_the_cheap_one_and_a_warning,
    a_cheap_monitor_left_behind_is_not_followed_by_another,
    a_record_of_the_dead_is_removed_in_silence,
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
    for (name, case) in &chosen {
        print!("test {name} ... ");
        let _ = std::io::stdout().flush();
        let (passed, said) = in_a_process(*case);
        println!("{}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed += 1;
            println!("---- {name} ----\n{said}");
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let (passed, out) = (chosen.len() - failed, CASES.len() - chosen.len());
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {out} filtered out\n");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the case passed, and what it wrote on its standard error.
fn in_a_process(case: fn()) -> (bool, String) {
    let (read, write) = pipe().unwrap();
    let child = Child::fork(Setup { dies_with_parent: true, stderr: Some(write), ..Setup::default() }, case).unwrap();
    // Read along, or a case that writes much would wait for us; but only while the case runs, not for what it leaves.
    let mut said = Vec::new();
    let mut chunk = [0; 4096];
    let limit = Deadline::after(Duration::from_secs(180));
    let mut ending = None;
    while ending.is_none() && !limit.is_past() {
        ending = child.wait(Deadline::after(Duration::from_millis(10))).unwrap();
        while has_more(&read) {
            match (&read).read(&mut chunk) {
                Ok(n) if n > 0 => said.extend_from_slice(&chunk[..n]),
                _ => break,
            }
        }
    }
    child.kill_group();
    (ending == Some(Ending::Exited(0)), String::from_utf8_lossy(&said).into_owned())
}

fn has_more(pipe: &fs::File) -> bool {
    use std::os::fd::AsFd;
    ocf_san::kernel::process::wait_readable(pipe.as_fd(), Deadline::after(Duration::ZERO)).unwrap_or(false)
}
