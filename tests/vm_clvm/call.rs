//! A call of the agent under test, as a cluster makes it, and its answer.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Ours, where it is installed.
pub const AGENT: &str = "/usr/lib/ocf/resource.d/san/cLVM";
/// Where the agents of the package resource-agents are.
const PEERS: &str = "/usr/lib/ocf/resource.d/heartbeat";
/// Instead of a code: there was no answer within the time-out.
pub const NEVER: i32 = -9;

/// Whether the peer is under test.
pub fn peer() -> bool {
    std::env::var("OCF_UNDER_TEST").is_ok_and(|who| who == "peer")
}

/// A call that can be made more than once.
#[derive(Clone)]
pub struct Call {
    action: String,
    peer: &'static str,
    env: BTreeMap<String, String>,
    dir: PathBuf,
    nobody: bool,
}

impl Call {
    /// Without any parameter. The action `probe` is a monitor with interval 0.
    pub fn new(action: &str, dir: &Path) -> Self {
        let (action, interval) = match action {
            "probe" => ("monitor", "0"),
            "monitor" => ("monitor", "10000"),
            other => (other, "0"),
        };
        let call =
            Self { action: action.to_owned(), peer: "LVM-activate", env: BTreeMap::new(), dir: dir.to_owned(), nobody: false };
        let call = call
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("OCF_RA_VERSION_MAJOR", "1")
            .env("OCF_RA_VERSION_MINOR", "1")
            .env("OCF_ROOT", "/usr/lib/ocf")
            .env("OCF_RESOURCE_INSTANCE", "p_lvm")
            .env("OCF_CHECK_LEVEL", "0")
            .env("HA_LOGFILE", dir.join("ha.log").to_str().unwrap())
            .env("OCF_RESKEY_CRM_meta_interval", interval)
            .seconds(90);
        // Nobody's guest is rebooted by accident.
        if peer() { call } else { call.set("on_stop_hang", "fail") }
    }

    /// A variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A parameter.
    pub fn set(self, parameter: &str, value: &str) -> Self {
        self.env(&format!("OCF_RESKEY_{parameter}"), value)
    }

    /// Takes a parameter away.
    pub fn without(mut self, parameter: &str) -> Self {
        self.env.remove(&format!("OCF_RESKEY_{parameter}"));
        self
    }

    /// Its time-out.
    pub fn seconds(self, seconds: u32) -> Self {
        self.env("OCF_RESKEY_CRM_meta_timeout", &format!("{}", seconds * 1000))
    }

    /// The name of the resource.
    pub fn named(self, instance: &str) -> Self {
        self.env("OCF_RESOURCE_INSTANCE", instance)
    }

    /// How deep a monitor or validate-all looks.
    pub fn level(self, level: u32) -> Self {
        self.env("OCF_CHECK_LEVEL", &level.to_string())
    }

    /// Instead of `LVM-activate`, when the peer is under test.
    pub fn peer_is(mut self, agent: &'static str) -> Self {
        self.peer = agent;
        self
    }

    /// By somebody without any privilege.
    pub fn by_nobody(mut self) -> Self {
        self.nobody = true;
        self
    }

    /// The agent's path and what it is called with.
    pub fn command(&self) -> Command {
        let mut command = if peer() { Command::new(format!("{PEERS}/{}", self.peer)) } else { Command::new(AGENT) };
        command.arg(&self.action).env_clear().envs(&self.env).stdin(Stdio::null()).process_group(0);
        if self.nobody {
            command.uid(65534).gid(65534);
        }
        command
    }

    /// Calls, and waits for the end of the agent itself, not for what it leaves, until its time-out.
    pub fn run(&self) -> Answer {
        let limit = Duration::from_millis(self.env["OCF_RESKEY_CRM_meta_timeout"].parse().unwrap());
        let files = ["out", "err"].map(|end| self.dir.join(format!("call.{end}")));
        // Whoever still runs from a call before goes on writing into a file of its own.
        for file in &files {
            let _ = fs::remove_file(file);
        }
        let mut command = self.command();
        command.stdout(File::create(&files[0]).unwrap()).stderr(File::create(&files[1]).unwrap());
        let since = Instant::now();
        let code = end_of(command.spawn().unwrap(), limit);
        let took = since.elapsed();
        let [out, err] = files.map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned());
        Answer { what: self.action.clone(), code: code.unwrap_or(NEVER), out, text: err, took }
    }
}

/// Its code; none when it had to be killed, which is with its group, as Pacemaker does it.
fn end_of(mut child: Child, limit: Duration) -> Option<i32> {
    let since = Instant::now();
    let mut killed = false;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return if killed { None } else { Some(status.code().unwrap_or(-1)) };
        }
        if !killed && since.elapsed() > limit {
            let _ = killpg(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL);
            killed = true;
        }
        // What is stuck in the kernel is left there.
        if since.elapsed() > limit + Duration::from_secs(3) {
            return None;
        }
        sleep(Duration::from_millis(5));
    }
}

/// What came of a call.
#[derive(Debug)]
pub struct Answer {
    what: String,
    code: i32,
    out: String,
    text: String,
    took: Duration,
}

impl Answer {
    /// The same code from ours and the peer.
    #[track_caller]
    pub fn is(self, code: i32) -> Self {
        self.expect(code, code)
    }

    /// One code from ours, another from the peer. Ours writes nothing but errors, and gives one reason for what is no good news.
    #[track_caller]
    pub fn expect(self, ours: i32, peer: i32) -> Self {
        let expected = if self::peer() { peer } else { ours };
        assert_eq!(self.code, expected, "{} ({:?}): {}{}", self.what, self.took, self.out, self.text);
        if !self::peer() {
            assert_eq!(self.out, "", "{} wrote on its standard output", self.what);
            let reasons = self.reasons();
            let fits = match ours {
                0 => reasons.is_empty(),
                7 => reasons.len() <= 1,
                _ => reasons.len() == 1,
            };
            assert!(fits, "{}: {} reasons: {}", self.what, reasons.len(), self.text);
            if let [reason] = reasons[..] {
                assert!(reason.len() <= 120, "{} bytes: {reason}", reason.len());
                assert!(self.text.trim_end().ends_with(reason), "the reason comes last: {}", self.text);
                let first = reason.chars().next();
                assert!(first.is_some_and(|first| !first.is_uppercase()), "not lower case: {reason}");
            }
        }
        self
    }

    /// For an answer of several that may be right: the code, whatever it is.
    pub fn code(&self) -> i32 {
        self.code
    }

    fn reasons(&self) -> Vec<&str> {
        self.text.lines().filter_map(|line| line.strip_prefix("ocf-exit-reason:")).collect()
    }

    /// Ours names all of this in its reason.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        if !peer() {
            let reason = self.reasons().concat();
            for word in words {
                assert!(reason.contains(word), "{}: not a word of {word}: {}", self.what, self.text);
            }
        }
        self
    }
}
