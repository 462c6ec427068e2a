//! What there was to see when a stop was stuck or a handler was told of the worst, written down before anything drastic: to the kernel log,
//! which a crash dump and pstore keep, and to a file.
//!
//! Looking may hang and so may writing a file, so each is done by a child of its own that is waited for a bounded time. Its findings
//! come through a pipe, so what it saw in time counts.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::frame::shortened;
use super::hung;
use super::noreboot::Look;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::kmsg::KernelLog;
use crate::kernel::process::{Child, Setup, keep, pipe, wait_readable};
use crate::ocf::log::{self, utc};

pub use super::hung::culprit;

const DIR: &str = "/var/log/ocf-san";

/// What has happened.
#[derive(Debug)]
pub struct Case {
    /// In a line: `LIO(lun1) stop is stuck in the kernel: configfs enable`.
    pub headline: String,
    /// The beginning of the file's name: `hang-LIO-lun1`.
    pub file: String,
    /// The worker that is stuck, if one is.
    pub worker: Option<i32>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Whether the file that forbids a reboot is there; `None` when looking for it hung.
    pub is_forbidden: Option<bool>,
    /// The likeliest reason.
    pub culprit: Option<String>,
    /// Everything, the most telling first.
    pub lines: Vec<String>,
}

const CULPRIT: &str = "culprit: ";

impl Evidence {
    /// Looks for at most until the deadline. Never fails: what could not be seen is not there.
    #[must_use]
    pub fn gather(root: &Root, case: &Case, noreboot: &Path, deadline: Deadline) -> Self {
        let mut lines = vec![case.headline.clone()];
        let mut evidence = Self::default();
        let forbids = Look::begin(root, noreboot);
        for line in seen_by_a_child(root, case.worker, deadline).lines() {
            if let Some(culprit) = line.strip_prefix(CULPRIT) {
                evidence.culprit = Some(culprit.to_owned());
            }
            lines.push(line.to_owned());
        }
        evidence.lines = lines;
        evidence.is_forbidden = forbids.seen_by(deadline);
        evidence
    }

    /// To the kernel log, as much as it takes: the beginning, several lines to a record. Only the first goes to the consoles.
    pub fn to_kernel_log(&self, kmsg: &KernelLog) {
        let records = packed(&self.lines);
        let (headline, rest) = records.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        kmsg.cry(headline);
        for record in rest.iter().take(KernelLog::RECORDS - 1) {
            kmsg.whisper(record);
        }
    }

    /// To a file below `/var/log/ocf-san` and to the log, by a child that goes on alone when the disk takes longer than the deadline.
    pub fn to_disk(&self, root: &Root, case: &Case, deadline: Deadline) {
        let writer = Child::fork(Setup::default(), || {
            let ((year, month, day), time) = utc(SystemTime::now());
            let name = format!("{}-{year:04}{month:02}{day:02}T{}Z.txt", case.file, time.replace(':', ""));
            let dir = root.dir(DIR);
            let text = self.lines.join("\n") + "\n";
            log::write_files();
            let written = dir.create_all(0o700).and_then(|()| dir.replace_file(&name, text.as_bytes()));
            for line in self.lines.iter().take(KernelLog::RECORDS) {
                tracing::error!("{line}");
            }
            match written {
                Ok(()) => tracing::error!("more in {DIR}/{name}"),
                Err(e) => tracing::error!("{e}"),
            }
        });
        if let Ok(writer) = writer {
            let _ = writer.wait(deadline);
        }
    }
}

/// Lines joined into records of at most [`KernelLog::RECORD`] bytes; the first, which says it all, stands alone.
fn packed(lines: &[String]) -> Vec<String> {
    let mut records: Vec<String> = Vec::new();
    for line in lines {
        let line = shortened(line, KernelLog::RECORD);
        match records.last_mut().filter(|last| last.len() + line.len() + 3 <= KernelLog::RECORD) {
            Some(last) if records_may_grow(last, lines) => {
                last.push_str(" | ");
                last.push_str(line);
            }
            _ => records.push(line.to_owned()),
        }
    }
    records
}

fn records_may_grow(last: &str, lines: &[String]) -> bool {
    lines.first().is_none_or(|first| first != last)
}

fn seen_by_a_child(root: &Root, worker: Option<i32>, deadline: Deadline) -> String {
    let Ok((mut read, mut write)) = pipe() else { return String::new() };
    let setup = Setup { dies_with_parent: true, keep: keep(&write), retry: Some(deadline), ..Setup::default() };
    let looker = Child::fork(setup, move || {
        look(root, worker, |line| {
            let _ = writeln!(write, "{line}");
        });
    });
    let Ok(looker) = looker else { return String::new() };
    let mut text = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while wait_readable(read.as_fd(), deadline).unwrap_or(false) {
        match read.read(&mut chunk) {
            Ok(n) if n > 0 => text.extend_from_slice(chunk.get(..n).unwrap_or_default()),
            _ => break,
        }
    }
    looker.kill_group();
    let _ = looker.wait(Deadline::after(Duration::from_millis(20)));
    String::from_utf8_lossy(&text).into_owned()
}

/// In the child: what matters most first, what may hang last.
fn look(root: &Root, worker: Option<i32>, mut say: impl FnMut(String)) {
    if let Some(culprit) = culprit(root) {
        say(format!("{CULPRIT}{culprit}"));
    }
    for line in worker.map(|pid| hung::threads_of(root, pid)).unwrap_or_default() {
        say(format!("worker {line}"));
    }
    for line in hung::devices_in_trouble(root) {
        say(format!("device {line}"));
    }
    hung::tasks_in_trouble(root, worker, |line| say(format!("task {line}")));
    for line in hung::drbd(root).lines() {
        say(format!("drbd {}", line.trim()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_log_gets_few_and_short_records_and_the_summary_alone_in_the_first() {
        let mut lines = vec!["LIO(lun1) stop is stuck".to_owned(), "culprit: dm-3".to_owned()];
        lines.extend((0..200).map(|n| format!("task {n} (iscsi_np) D")));
        lines.push("x".repeat(5000));
        let records = packed(&lines);
        assert_eq!(records[0], lines[0]);
        assert!(records[1].starts_with("culprit: dm-3 | task 0 (iscsi_np) D | task 1"), "{}", records[1]);
        assert!(records.iter().all(|r| r.len() <= KernelLog::RECORD));
    }
}
