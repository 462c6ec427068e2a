//! A call of the agent under test, as a cluster makes it, and its answer.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::world::{DIR, STATE, VIP, VIP6, inside};

/// Ours, where it is installed.
pub const INSTALLED: &str = "/usr/lib/ocf/resource.d/san/VIP";
const PEER: &str = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2";
const BUILT: &str = env!("CARGO_BIN_EXE_ocf-san");

/// Whether `IPaddr2` is under test.
pub fn peer() -> bool {
    std::env::var("OCF_UNDER_TEST").is_ok_and(|who| who == "peer")
}

/// A call that can be made more than once.
#[derive(Clone)]
pub struct Call {
    node: String,
    action: String,
    env: BTreeMap<String, String>,
    nobody: bool,
}

/// The usual call for the IPv4 address: nic and mask given.
pub fn v4(node: &str, action: &str) -> Call {
    bare(node, action).set("ip", VIP).set("nic", "eth0").set("cidr_netmask", "24")
}

/// The usual call for the IPv6 address: nic and mask given.
pub fn v6(node: &str, action: &str) -> Call {
    bare(node, action).set("ip", VIP6).set("nic", "eth0").set("cidr_netmask", "64")
}

/// A call without any parameter. The action `probe` is a monitor with interval 0.
pub fn bare(node: &str, action: &str) -> Call {
    let (action, interval) = match action {
        "probe" => ("monitor", "0"),
        "monitor" => ("monitor", "10000"),
        other => (other, "0"),
    };
    let call = Call { node: node.to_owned(), action: action.to_owned(), env: BTreeMap::new(), nobody: false };
    call.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("OCF_RA_VERSION_MAJOR", "1")
        .env("OCF_RA_VERSION_MINOR", "1")
        .env("OCF_ROOT", "/usr/lib/ocf")
        .env("OCF_RESOURCE_INSTANCE", "p_vip")
        .env("OCF_RESOURCE_TYPE", if peer() { "IPaddr2" } else { "VIP" })
        .env("OCF_RESOURCE_PROVIDER", if peer() { "heartbeat" } else { "san" })
        .env("HA_RSCTMP", &format!("{STATE}/{node}"))
        .env("HA_LOGFILE", &format!("{DIR}/ha.log"))
        .env("OCF_RESKEY_CRM_meta_timeout", "20000")
        .env("OCF_RESKEY_CRM_meta_interval", interval)
}

impl Call {
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

    /// The name of the resource.
    pub fn named(self, instance: &str) -> Self {
        self.env("OCF_RESOURCE_INSTANCE", instance)
    }

    /// How deep a monitor or validate-all looks.
    pub fn level(self, level: u32) -> Self {
        self.env("OCF_CHECK_LEVEL", &level.to_string())
    }

    /// By somebody without any privilege, who may all the same read and write what root may.
    pub fn by_nobody(mut self) -> Self {
        self.nobody = true;
        self
    }

    /// The same call with another action.
    pub fn action(&self, action: &str) -> Self {
        let mut call = self.clone();
        let fresh = bare("", action);
        call.action = fresh.action;
        call.env("OCF_RESKEY_CRM_meta_interval", &fresh.env["OCF_RESKEY_CRM_meta_interval"])
    }

    /// The program, ready but for its output.
    pub fn command(&self) -> Command {
        let mut line: Vec<&str> = if self.nobody { vec!["unshare", "--user"] } else { Vec::new() };
        if peer() {
            line.push(PEER);
        } else if Path::new(BUILT).exists() {
            line.extend([BUILT, "VIP"]);
        } else {
            line.push(INSTALLED);
        }
        line.push(&self.action);
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).env_clear().envs(&self.env).stdin(Stdio::null());
        command
    }

    /// Calls, and waits for the end of the agent itself, not for what it leaves.
    pub fn run(&self) -> Answer {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let (out, err) = ["out", "err"].map(|end| format!("{DIR}/{number}.{end}")).into();
        let mut command = self.command();
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let since = Instant::now();
        let mut child = inside(&self.node, || command.spawn().unwrap());
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if since.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
            }
            sleep(Duration::from_millis(2));
        };
        let took = since.elapsed();
        let read = |path: &str| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let text = read(&out) + &read(&err);
        let reasons = text.lines().filter_map(|line| line.strip_prefix("ocf-exit-reason:").map(str::to_owned)).collect();
        let what = format!("{} on {}", self.action, self.node);
        Answer { what, code: status.code().unwrap_or(-1), reasons, text, took }
    }
}

/// What came of a call.
#[derive(Debug)]
pub struct Answer {
    what: String,
    pub code: i32,
    pub reasons: Vec<String>,
    pub text: String,
    pub took: Duration,
}

impl Answer {
    /// The same code from ours and the peer.
    #[track_caller]
    pub fn is(self, code: i32) -> Self {
        self.differs(code, code)
    }

    /// One code from ours, another from the peer. Ours gives exactly one reason for a failure, and none for a success.
    #[track_caller]
    pub fn differs(self, ours: i32, peer: i32) -> Self {
        let expected = if self::peer() { peer } else { ours };
        assert_eq!(self.code, expected, "{}: {}", self.what, self.text);
        if !self::peer() {
            let reasons = self.reasons.len();
            let fits = match ours {
                0 => reasons == 0,
                7 => reasons <= 1,
                _ => reasons == 1,
            };
            assert!(fits, "{}: {reasons} reasons: {}", self.what, self.text);
        }
        self
    }

    /// Ours names all of this in its reason.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        if !peer() {
            let reason = self.reasons.concat();
            for word in words {
                assert!(reason.contains(word), "{}: not a word of {word}: {}", self.what, self.text);
            }
        }
        self
    }
}
