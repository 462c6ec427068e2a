//! Commands, waiting, and a look at processes.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub text: String,
}

impl Said {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.text);
        self.text
    }
}

/// A shell command, killed after `seconds`.
pub fn sh_within(seconds: u32, command: &str) -> Said {
    let limit = format!("{seconds}");
    let out = Command::new("timeout").args(["-s", "KILL", &limit, "bash", "-c", command]).stdin(Stdio::null()).output().unwrap();
    let text = [out.stdout, out.stderr].concat();
    Said { code: out.status.code().unwrap_or(137), text: String::from_utf8_lossy(&text).trim_end().to_owned() }
}

pub fn sh(command: &str) -> Said {
    sh_within(60, command)
}

/// Waits for something to become true.
#[track_caller]
pub fn until(what: &str, seconds: u64, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !is_so() {
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        sleep(Duration::from_millis(50));
    }
}

/// The processes of this test beside this program: those that share its mounts. With names, for whoever reads of them.
pub fn processes() -> Vec<(i32, String)> {
    let ours = fs::read_link("/proc/thread-self/ns/mnt").unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let is_ours = fs::read_link(entry.path().join("ns/mnt")).is_ok_and(|theirs| theirs == ours);
        if is_ours && u32::try_from(pid) != Ok(std::process::id()) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push((pid, name.trim_end().to_owned()));
        }
    }
    found
}
