//! open-iscsi in the same guest, over the loopback. Nothing here waits for a disk: a process that does may never come back.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::file::PORTAL;
use super::world::{Said, sh, sh_within, until};

/// This guest's initiator.
pub fn name() -> String {
    let text = fs::read_to_string("/etc/iscsi/initiatorname.iscsi").unwrap();
    text.lines().find_map(|line| line.strip_prefix("InitiatorName=")).unwrap().trim().to_owned()
}

/// Logs in with these settings of the node.
pub fn try_login(iqn: &str, portal: &str, settings: &[(&str, &str)]) -> Said {
    let node = format!("iscsiadm -m node -T {iqn} -p {portal}");
    let settings: Vec<String> =
        settings.iter().map(|(key, value)| format!(" && {node} -o update -n '{key}' -v '{value}'")).collect();
    sh(&format!("{node} -o new{}", settings.concat())).ok();
    sh_within(50, &format!("{node} --login"))
}

pub fn login(iqn: &str) {
    try_login(iqn, PORTAL, &[]).ok();
}

pub fn logout(iqn: &str) -> Said {
    sh_within(30, &format!("iscsiadm -m node -T {iqn} --logout"))
}

/// The kernel's name of a LUN of any of our sessions, when udev and the scan are done.
pub fn disk(lun: u64) -> String {
    let find = || {
        fs::read_dir("/sys/class/scsi_device").into_iter().flatten().flatten().find_map(|entry| {
            let hctl = entry.file_name().to_string_lossy().into_owned();
            let device = fs::canonicalize(entry.path()).ok()?;
            let is_ours = device.to_string_lossy().contains("/session") && hctl.ends_with(&format!(":{lun}"));
            let name = fs::read_dir(entry.path().join("device/block")).ok()?.flatten().next()?.file_name();
            is_ours.then(|| name.to_string_lossy().into_owned())
        })
    };
    until(&format!("LUN {lun} at the initiator"), 20, || find().is_some_and(|name| Path::new("/dev").join(name).exists()));
    find().unwrap()
}

/// Writes all the time, past the page cache, and counts.
pub struct Writer {
    count: String,
    error: String,
}

impl Writer {
    #[expect(clippy::zombie_processes, reason = "the sweep after the test ends it; waiting for it may take for ever")]
    pub fn start(lun: u64) -> Self {
        let disk = disk(lun);
        let (count, error) = (format!("/run/ocf-san-vm/{disk}.count"), format!("/run/ocf-san-vm/{disk}.error"));
        let script = format!(
            "n=0; while :; do dd if=/dev/zero of=/dev/{disk} bs=16k count=32 oflag=direct conv=notrunc,fsync status=none 2>>{error} || exit; \
             n=$((n+1)); echo $n >{count}; done"
        );
        let child = Command::new("bash")
            .args(["-c", &script])
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sh(&format!("echo {} >>/run/ocf-san-vm/pids", child.id())).ok();
        let writer = Self { count, error };
        writer.goes_on(20);
        writer
    }

    pub fn count(&self) -> u64 {
        fs::read_to_string(&self.count).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// What it could not write.
    pub fn errors(&self) -> String {
        fs::read_to_string(&self.error).unwrap_or_default()
    }

    /// Writes again within so many seconds.
    pub fn goes_on(&self, seconds: u64) {
        let before = self.count();
        until("the writer goes on", seconds, || self.count() > before + 1);
        assert_eq!(self.errors(), "");
    }
}

pub fn all_go_on(writers: &[Writer], seconds: u64) {
    for writer in writers {
        writer.goes_on(seconds);
    }
}
