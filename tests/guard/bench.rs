//! A machine that is a directory, and calls on it.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::unistd::Pid;
use ocf_san::deadline::Deadline;
use ocf_san::guard::supervise;
use ocf_san::kernel::attr::Root;
use ocf_san::kernel::process::{Child, Ending, Setup, pipe};
use ocf_san::ocf::env::{Env, Params};
use ocf_san::ocf::error::Code;
use ocf_san::ocf::run::Answer;
use ocf_san::ocf::spec::AgentSpec;

use super::doer::*;

/// A machine with one resource.
pub struct Bench {
    pub _keep: tempfile::TempDir,
    pub root: Root,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        Self { _keep: dir, root }
    }

    pub fn env(action: &str, deed: &str, millis: u32, more: &[(&str, &str)]) -> Env {
        let millis = millis.to_string();
        let interval = ("OCF_RESKEY_CRM_meta_interval", "10000");
        let deed = [("OCF_RESKEY_deed", deed), ("OCF_RESKEY_when", action)];
        let fixed = [("OCF_RESOURCE_INSTANCE", "r1"), ("OCF_RESKEY_CRM_meta_timeout", &millis), interval];
        let fixed: Vec<_> = fixed.into_iter().chain(deed).collect();
        fixed.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    pub fn call_of(&self, spec: &'static AgentSpec, action: &str, env: &Env) -> Answer {
        let params = Params::check(env, spec.params).unwrap();
        let limit = Duration::from_millis(env.get("OCF_RESKEY_CRM_meta_timeout").unwrap().parse().unwrap());
        let before = Instant::now();
        let answer = supervise::call(spec, action, &params, env, &self.root);
        assert!(before.elapsed() < limit, "{action} answered after {:?}, too late for {limit:?}", before.elapsed());
        answer
    }

    pub fn call(&self, action: &str, deed: &str, millis: u32) -> Answer {
        self.call_of(&STORAGE, action, &Self::env(action, deed, millis, &[]))
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path(path)
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub fn keys(&self) -> String {
        self.text("/proc/sysrq-trigger")
    }

    pub fn record(&self) -> PathBuf {
        self.path("/run/resource-agents/ocf-san.Storage-r1.worker")
    }

    /// The record of whatever was left behind.
    pub fn left_record(&self) -> Option<String> {
        let path = |ending: &str| self.path(&format!("/run/resource-agents/ocf-san.Storage-r1.{ending}"));
        ["worker", "monitor", "deep-monitor"].iter().find_map(|ending| fs::read_to_string(path(ending)).ok())
    }

    /// The process id in it.
    pub fn left_pid(&self) -> String {
        self.left_record().unwrap().split(' ').next().unwrap().to_owned()
    }

    /// In a process of its own, which has ended when this returns: as Pacemaker calls.
    pub fn call_from_outside(&self, action: &str, deed: &str, millis: u32, more: &[(&str, &str)]) -> Answer {
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
    pub fn tracer(&self) -> Child {
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
    pub fn with_one_left_behind(action: &str, deed: &str, more: &[(&str, &str)]) -> (Self, Child, Answer) {
        let bench = Self::new();
        let tracer = bench.tracer();
        let answer = bench.call_from_outside(action, deed, if action == "stop" { 6000 } else { 2000 }, more);
        assert!(bench.left_record().is_some(), "{answer:?}");
        (bench, tracer, answer)
    }
}

/// Lets what the tracer holds go.
pub fn release(tracer: &Child) {
    tracer.kill_group();
    assert!(tracer.wait(Deadline::after(Duration::from_secs(10))).unwrap().is_some());
    sleep(Duration::from_millis(200));
}

pub fn reason(answer: &Answer) -> &str {
    answer.reason.as_deref().unwrap_or_default()
}

pub const SUCCESS: Answer = Answer { code: Code::Success, reason: None, stuck: false };
