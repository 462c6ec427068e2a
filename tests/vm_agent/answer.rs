//! What came of a call of an agent: its code and its reason, judged for ours and for the peer.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Instead of a code: there was no answer within the time-out.
pub const NEVER: i32 = -9;

/// Whether the peer is under test.
pub fn peer() -> bool {
    std::env::var("OCF_UNDER_TEST").is_ok_and(|who| who == "peer")
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
    /// Calls, and waits for the end of the agent itself, not for what it leaves, until its time-out. Its output goes through files in
    /// this directory.
    pub fn of(what: &str, mut command: Command, dir: &Path, limit: Duration) -> Self {
        let files = ["out", "err"].map(|end| dir.join(format!("call.{end}")));
        // Whoever still runs from a call before goes on writing into a file of its own.
        for file in &files {
            let _ = fs::remove_file(file);
        }
        command.stdout(File::create(&files[0]).unwrap()).stderr(File::create(&files[1]).unwrap());
        let since = Instant::now();
        let code = end_of(command.spawn().unwrap(), limit);
        let took = since.elapsed();
        let [out, text] = files.map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned());
        Self { what: what.to_owned(), code: code.unwrap_or(NEVER), out, text, took }
    }

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
                0 | 8 => reasons.is_empty(),
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
