//! A call of the agent under test, as Pacemaker makes it. What one agent alone is told is its suite's to add.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::answer::{Answer, peer};

/// A call that can be made more than once.
#[derive(Clone)]
pub struct Call {
    /// The agent's path.
    pub program: String,
    /// All of its environment.
    pub env: BTreeMap<String, String>,
    action: String,
    dir: PathBuf,
    nobody: bool,
}

impl Call {
    /// With what every agent is told. The action `probe` is a monitor with interval 0.
    pub fn plain(program: &str, action: &str, instance: &str, dir: &Path) -> Self {
        let (action, interval) = match action {
            "probe" => ("monitor", "0"),
            "monitor" => ("monitor", "10000"),
            other => (other, "0"),
        };
        let (program, action) = (program.to_owned(), action.to_owned());
        let call = Self { program, env: BTreeMap::new(), action, dir: dir.to_owned(), nobody: false };
        let call = call
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("OCF_RA_VERSION_MAJOR", "1")
            .env("OCF_RA_VERSION_MINOR", "1")
            .env("OCF_ROOT", "/usr/lib/ocf")
            .env("OCF_RESOURCE_INSTANCE", instance)
            .env("OCF_CHECK_LEVEL", "0")
            .env("HA_LOGFILE", dir.join("ha.log").to_str().unwrap())
            .env("OCF_RESKEY_CRM_meta_interval", interval);
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

    /// How deep a monitor or validate-all looks.
    pub fn level(self, level: u32) -> Self {
        self.env("OCF_CHECK_LEVEL", &level.to_string())
    }

    /// By somebody without any privilege.
    pub fn by_nobody(mut self) -> Self {
        self.nobody = true;
        self
    }

    /// The agent's path and what it is called with.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(&self.action).env_clear().envs(&self.env).stdin(Stdio::null()).process_group(0);
        if self.nobody {
            command.uid(65534).gid(65534);
        }
        command
    }

    /// Calls, and waits for the end of the agent itself, not for what it leaves, until its time-out: a minute if it has none.
    pub fn run(&self) -> Answer {
        let text = self.env.get("OCF_RESKEY_CRM_meta_timeout").map_or("60000", String::as_str);
        Answer::of(&self.action, self.command(), &self.dir, Duration::from_millis(text.parse().unwrap()))
    }
}
