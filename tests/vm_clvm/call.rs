//! A call of the agent under test, as a cluster makes it.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub use super::answer::{Answer, NEVER, peer};

/// Ours, where it is installed.
pub const AGENT: &str = "/usr/lib/ocf/resource.d/san/cLVM";
/// Where the agents of the package resource-agents are.
const PEERS: &str = "/usr/lib/ocf/resource.d/heartbeat";
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
        Answer::of(&self.action, self.command(), &self.dir, limit)
    }
}
