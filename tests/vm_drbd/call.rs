//! A call of the agent under test, as Pacemaker makes it for one of the two instances of a promotable clone.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub use super::answer::{Answer, NEVER, peer};

/// Ours, where it is installed.
pub const AGENT: &str = "/usr/lib/ocf/resource.d/san/DRBD-helper";
const PEER: &str = "/usr/lib/ocf/resource.d/linbit/drbd";

/// A call that can be made more than once.
#[derive(Clone)]
pub struct Call {
    action: String,
    env: BTreeMap<String, String>,
    dir: PathBuf,
    nobody: bool,
}

impl Call {
    /// For this DRBD resource. The action `probe` is a monitor with interval 0.
    pub fn new(action: &str, resource: &str, dir: &Path) -> Self {
        let (action, interval) = match action {
            "probe" => ("monitor", "0"),
            "monitor" => ("monitor", "10000"),
            other => (other, "0"),
        };
        let mut call = Self { action: action.to_owned(), env: BTreeMap::new(), dir: dir.to_owned(), nobody: false };
        for (name, value) in [
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LC_ALL", "C"),
            ("OCF_RA_VERSION_MAJOR", "1"),
            ("OCF_RA_VERSION_MINOR", "1"),
            ("OCF_ROOT", "/usr/lib/ocf"),
            ("OCF_RESOURCE_INSTANCE", "p_drbd"),
            ("OCF_CHECK_LEVEL", "0"),
            ("OCF_RESKEY_crm_feature_set", "3.16.2"),
            ("OCF_RESKEY_CRM_meta_interval", interval),
            ("OCF_RESKEY_CRM_meta_on_node", "solo"),
            ("OCF_RESKEY_CRM_meta_notify", "true"),
            ("OCF_RESKEY_CRM_meta_clone_max", "2"),
            ("OCF_RESKEY_CRM_meta_clone_node_max", "1"),
            ("OCF_RESKEY_CRM_meta_master_max", "1"),
            ("OCF_RESKEY_CRM_meta_master_node_max", "1"),
            ("OCF_RESKEY_CRM_meta_promoted_max", "1"),
            ("OCF_RESKEY_CRM_meta_promoted_node_max", "1"),
        ] {
            call = call.env(name, value);
        }
        let call = call.env("HA_LOGFILE", dir.join("ha.log").to_str().unwrap()).set("drbd_resource", resource).within(120);
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

    /// As systemd would call it through drbd-reactor's ocf-rs-wrapper: nothing of Pacemaker.
    pub fn without_pacemaker(mut self) -> Self {
        self.env.retain(|name, _| !name.contains("CRM_meta") && !name.contains("crm_feature_set"));
        self
    }

    /// Its time-out.
    pub fn seconds(self, seconds: u32) -> Self {
        self.env("OCF_RESKEY_CRM_meta_timeout", &format!("{}", seconds * 1000))
    }

    /// Its time-out for ours; the peer has ten minutes, which it needs where processors are emulated and busy.
    pub fn within(self, seconds: u32) -> Self {
        self.seconds(if peer() { 600 } else { seconds })
    }

    /// How deep a monitor or validate-all looks.
    pub fn level(self, level: u32) -> Self {
        self.env("OCF_CHECK_LEVEL", &level.to_string())
    }

    /// A notification of this type and operation, as in `post`, `promote`.
    pub fn of(self, kind: &str, operation: &str) -> Self {
        self.env("OCF_RESKEY_CRM_meta_notify_type", kind)
            .env("OCF_RESKEY_CRM_meta_notify_operation", operation)
            .env("OCF_RESKEY_CRM_meta_notify_start_uname", "")
    }

    /// By somebody without any privilege.
    pub fn by_nobody(mut self) -> Self {
        self.nobody = true;
        self
    }

    /// The agent's path and what it is called with.
    pub fn command(&self) -> Command {
        let mut command = Command::new(if peer() { PEER } else { AGENT });
        command.arg(&self.action).env_clear().envs(&self.env).stdin(Stdio::null()).process_group(0);
        if self.nobody {
            command.uid(65534).gid(65534);
        }
        command
    }

    /// Calls, and waits for the end of the agent itself, not for what it leaves, until its time-out.
    pub fn run(&self) -> Answer {
        let text = self.env.get("OCF_RESKEY_CRM_meta_timeout").map_or("60000", String::as_str);
        Answer::of(&self.action, self.command(), &self.dir, Duration::from_millis(text.parse().unwrap()))
    }
}
