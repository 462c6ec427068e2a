//! A machine with devices of its own, on which the agent is called. Whatever a test leaves behind is taken away before and after it.

use std::fs::{self, File};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::tree;
pub use crate::shell::{Said, sh, sh_within, until};

pub const AGENT: &str = "/usr/lib/ocf/resource.d/san/LIO";
const DIR: &str = "/run/ocf-san-vm";
const RECORDS: &str = "/run/resource-agents";

/// Every secret in the files of these tests contains one of these.
const SECRETS: [&str; 2] = ["S3cr3t", "password-user"];

/// Every process of this name: pid and state.
pub fn tasks(comm: &str) -> Vec<(i32, char)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        if &stat[open + 1..close] == comm {
            found.push((stat[..open].trim().parse().unwrap(), stat[close + 2..].chars().next().unwrap()));
        }
    }
    found
}

/// A machine to test on.
pub struct World {
    pub dir: PathBuf,
}

impl World {
    /// With four devices of 16 MiB, which stay for the next test: making one takes udev a second.
    pub fn new() -> Self {
        static FIRST: Once = Once::new();
        FIRST.call_once(|| {
            sweep();
            let settings = "s/^node.session.initial_login_retry_max.*/node.session.initial_login_retry_max = 1/;\
                            s/^node.conn.0..timeo.login_timeout.*/node.conn[0].timeo.login_timeout = 10/";
            sh(&format!("sed -i '{settings}' /etc/iscsi/iscsid.conf; systemctl start iscsid.socket iscsid")).ok();
        });
        fs::create_dir_all(DIR).unwrap();
        Self { dir: DIR.into() }
    }

    /// With the modules loaded and the tree there but empty, as a start and stop leave it.
    pub fn warm() -> Self {
        let world = Self::new();
        if !Path::new(tree::TREE).join("iscsi").exists() {
            sh("modprobe -a target_core_mod target_core_iblock iscsi_target_mod && mkdir -p /sys/kernel/config/target/iscsi")
                .ok();
        }
        world
    }

    pub fn dev(&self, n: usize) -> String {
        let _ = self;
        format!("/dev/mapper/san-t{n}")
    }

    /// Writes a configuration file as it should be: root's, closed to others.
    pub fn write(&self, file: &Value) -> PathBuf {
        self.write_text("saveconfig.json", &serde_json::to_string_pretty(file).unwrap())
    }

    pub fn write_text(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A call of the resource `r1` with the usual file.
    pub fn call(&self, action: &str) -> Call {
        Call::new(action).set("config", self.dir.join("saveconfig.json").to_str().unwrap())
    }

    pub fn start(&self) {
        self.call("start").run().is(0);
    }

    pub fn stop(&self) {
        self.call("stop").run().is(0);
    }

    /// From here on no I/O of any device is answered.
    pub fn suspend(&self) {
        sh("for n in 0 1 2 3; do dmsetup suspend --noflush --nolockfs san-t$n || exit; done").ok();
    }

    /// Without waiting for udev, which may be waiting for the initiator's disks.
    pub fn resume(&self) {
        sh("for n in 0 1 2 3; do dmsetup resume --noudevsync san-t$n || exit; done").ok();
    }

    /// How many hold each of the devices open.
    pub fn opened(&self) -> [u32; 4] {
        let said = sh("dmsetup info -c --noheadings --separator ' ' -o name,open | sort").ok();
        let of =
            |n: usize| said.lines().find_map(|line| line.strip_prefix(&format!("san-t{n} "))).unwrap().trim().parse().unwrap();
        [of(0), of(1), of(2), of(3)]
    }

    /// The device-mapper table of each device.
    pub fn tables(&self) -> Vec<String> {
        sh("dmsetup table | grep san-t | sort").ok().lines().map(str::to_owned).collect()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("ha.log")).unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log\n{}--- kernel\n{}", self.log(), sh("dmesg | tail -n 12").text);
        }
        sweep();
    }
}

/// Takes away whatever a test, also one that failed, has left, and makes the devices what they were.
fn sweep() {
    sh(&format!(
        "for n in 0 1 2 3; do
             table=\"0 32768 linear /dev/vdb $((2048 + n * 32768))\"
             now=$(dmsetup table san-t$n 2>/dev/null) || {{ dmsetup create san-t$n --table \"$table\"; continue; }}
             [[ $now == *linear* ]] || dmsetup load san-t$n --table \"$table\"
             dmsetup resume --noudevsync san-t$n
         done
         for p in $(cat {DIR}/pids 2>/dev/null); do kill -9 -- -$p $p 2>/dev/null; done"
    ));
    if fs::read_dir("/sys/class/iscsi_session").is_ok_and(|mut all| all.next().is_some()) {
        sh_within(40, "iscsiadm -m node -U all");
    }
    let end = Instant::now() + Duration::from_secs(15);
    while !tasks("LIO").is_empty() && Instant::now() < end {
        sleep(Duration::from_millis(50));
    }
    sh(&format!(
        "umount {DIR}/mnt 2>/dev/null && wipefs -qa /dev/mapper/san-t3
         rm -rf {DIR} /var/log/ocf-san {RECORDS}/ocf-san.LIO-* /etc/modprobe.d/vm-* /etc/iscsi/nodes/* /etc/iscsi/send_targets/*
         mountpoint -q /sys/kernel/config || mount -t configfs c /sys/kernel/config"
    ));
    tree::clear();
}

/// A call of the agent, as Pacemaker would make it.
pub struct Call {
    action: String,
    env: Vec<(String, String)>,
    nobody: bool,
}

/// What came of a call.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    /// Without its prefix; empty when there is none.
    pub reason: String,
    pub took: Duration,
}

impl Call {
    pub fn new(action: &str) -> Self {
        let call = Self { action: action.to_owned(), env: Vec::new(), nobody: false };
        let call =
            call.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("OCF_RA_VERSION_MAJOR", "1").env("OCF_RA_VERSION_MINOR", "1");
        let call =
            call.env("OCF_ROOT", "/usr/lib/ocf").env("OCF_RESOURCE_INSTANCE", "r1").env("HA_LOGFILE", &format!("{DIR}/ha.log"));
        // Nobody's guest is rebooted by accident.
        call.seconds(30).env("OCF_RESKEY_CRM_meta_interval", "10000").set("on_stop_hang", "fail")
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn set(self, parameter: &str, value: &str) -> Self {
        self.env(&format!("OCF_RESKEY_{parameter}"), value)
    }

    pub fn seconds(self, seconds: u32) -> Self {
        self.env("OCF_RESKEY_CRM_meta_timeout", &format!("{}", seconds * 1000))
    }

    pub fn named(self, instance: &str) -> Self {
        self.env("OCF_RESOURCE_INSTANCE", instance)
    }

    pub fn level(self, level: u32) -> Self {
        self.env("OCF_CHECK_LEVEL", &level.to_string())
    }

    pub fn file(self, path: &Path) -> Self {
        self.set("config", path.to_str().unwrap())
    }

    pub fn by_nobody(mut self) -> Self {
        self.nobody = true;
        self
    }

    /// Starts it in a process group of its own, without waiting.
    pub fn spawn(&self, name: &str) -> std::process::Child {
        let out =
            |end: &str| File::options().write(true).create(true).truncate(true).mode(0o666).open(format!("{DIR}/{name}.{end}"));
        let mut command = Command::new(AGENT);
        command.arg(&self.action).env_clear().envs(self.env.iter().map(|(k, v)| (k, v))).process_group(0);
        if self.nobody {
            command.uid(65534).gid(65534);
        }
        command.stdin(Stdio::null()).stdout(out("out").unwrap()).stderr(out("err").unwrap()).spawn().unwrap()
    }

    /// Runs it. It has to answer within its time-out, to write nothing but errors, at most one reason, and no secret anywhere.
    pub fn run(&self) -> Outcome {
        let timeout = self.env.iter().rev().find(|(k, _)| k.ends_with("meta_timeout")).map(|(_, v)| v.parse::<u64>().unwrap());
        let limit = Duration::from_millis(timeout.unwrap());
        let begun = Instant::now();
        let mut child = self.spawn("call");
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < limit, "{} has not answered within {limit:?}", self.action);
            sleep(Duration::from_millis(5));
        };
        let took = begun.elapsed();
        let read = |end: &str| String::from_utf8_lossy(&fs::read(format!("{DIR}/call.{end}")).unwrap()).into_owned();
        let (stdout, text) = (read("out"), read("err"));
        assert_eq!(stdout, "", "{} wrote on its standard output", self.action);
        let reasons: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("ocf-exit-reason:")).collect();
        assert!(reasons.len() <= 1, "{text}");
        let reason = reasons.first().copied().unwrap_or_default().to_owned();
        assert!(reason.len() <= 120, "{} bytes: {reason}", reason.len());
        assert!(
            reason.is_empty() || text.lines().last().is_some_and(|last| last.ends_with(&reason)),
            "the reason comes last: {text}"
        );
        let log = fs::read_to_string(format!("{DIR}/ha.log")).unwrap_or_default();
        let secret = SECRETS.iter().find(|secret| text.contains(**secret) || log.contains(**secret));
        assert_eq!(secret, None, "{text}\n{log}");
        let code = status.code().unwrap_or_else(|| -status.signal().unwrap_or(0));
        Outcome { code, reason, took }
    }
}

impl Outcome {
    /// Has this code, and a reason exactly when it is no good news.
    #[track_caller]
    pub fn is(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.reason.is_empty(), matches!(code, 0 | 7), "{self:?}");
        self
    }

    /// Its reason names these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.reason.contains(word), "{word:?} is not in: {}", self.reason);
        }
        self
    }

    #[track_caller]
    pub fn within(self, seconds: f64) -> Self {
        assert!(self.took.as_secs_f64() < seconds, "took {:?}: {}", self.took, self.reason);
        self
    }
}

/// Whether a file below a directory contains one of the secrets.
pub fn find_secret(dir: &str) -> String {
    sh(&format!("grep -rlE '{}' {dir} 2>/dev/null | grep -v json", SECRETS.join("|"))).text
}
