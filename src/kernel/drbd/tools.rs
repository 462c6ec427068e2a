//! drbdadm and drbdsetup, typed: what was asked of them, and what they or the kernel said to it. Nothing is ever forced.

use std::fmt;
use std::io;
use std::time::Duration;

use super::events2;
use super::model::Suspension;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::error::KernelError;
use crate::kernel::exec::{Output, Tool};

/// How long until a command that found another one at work is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// A command that ran and was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its exit code (`drbdsetup.c`): 17 is "no up to date disk", 20 usage and the rest.
    pub exit: Option<i32>,
    /// The kernel's code: below zero a state that it does not go into (`SS_…`), above 100 another error (`ERR_…`).
    pub kernel: Option<i32>,
    /// What it said, on one line.
    pub text: String,
    /// Whether it reads the configuration: drbdadm does, drbdsetup does not.
    pub reads_config: bool,
}

/// Why a command did not do it.
#[derive(Debug)]
pub enum Failure {
    /// It ran, and this came of it.
    Refused(Refusal),
    /// It did not run, or not to its end.
    Tool(KernelError),
}

/// What is wrong with the configuration, as drbdadm sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigTrouble {
    /// The resource is not in it.
    Unknown,
    /// It is, and not for this host.
    OtherHost,
    /// It can not be read.
    Broken,
}

impl Refusal {
    /// What the output of a command that failed says.
    #[must_use]
    pub fn of(output: &Output, reads_config: bool) -> Self {
        let lines: Vec<&str> = output.stderr.lines().chain(output.stdout.lines()).map(str::trim).collect();
        let coded = lines.iter().enumerate().find_map(|(at, line)| Some((at, code(line)?)));
        if let Some((at, (kernel, said))) = coded {
            // "additional info from kernel:", and then the info.
            let more = lines.get(at + 1).filter(|line| line.starts_with("additional info"));
            let more = more.and(lines.get(at + 2)).map(|line| format!(": {line}")).unwrap_or_default();
            return Self { exit: output.code, kernel: Some(kernel), text: format!("{said}{more}"), reads_config };
        }
        let is_echo = |line: &&&str| {
            !line.contains(char::is_alphanumeric) || (line.starts_with("Command ") && line.contains("terminated with"))
        };
        let known = ["arse error", "an not open", "ignored, since this host", "not defined in your config", "held by pid"];
        let telling = lines.iter().find(|line| known.iter().any(|word| line.contains(word)));
        let last = lines.iter().rfind(|line| !is_echo(line));
        let text = telling.or(last).map_or_else(|| output.complaint(), |line| (*line).to_owned());
        Self { exit: output.code, kernel: None, text, reads_config }
    }

    /// No up to date data can be reached: trying again changes nothing.
    #[must_use]
    pub fn needs_data(&self) -> bool {
        self.exit == Some(17) || self.kernel == Some(-2)
    }

    /// Somebody has the device open.
    #[must_use]
    pub fn is_held_open(&self) -> bool {
        self.kernel == Some(-12)
    }

    /// Another drbdsetup is at work on this device.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.exit == Some(20) && self.text.contains("held by pid")
    }

    /// There is no meta-data on the disk: the kernel says so, or drbdmeta, which drbdadm asks before.
    #[must_use]
    pub fn lacks_meta_data(&self) -> bool {
        self.kernel == Some(119) || (self.kernel.is_none() && self.text.to_lowercase().contains("no valid meta data found"))
    }

    /// The peer is Primary, and two may not be.
    #[must_use]
    pub fn peer_is_primary(&self) -> bool {
        self.kernel == Some(-1)
    }

    /// What is wrong with the configuration, if that is it.
    #[must_use]
    pub fn config(&self) -> Option<ConfigTrouble> {
        if self.kernel.is_some() || !self.reads_config {
            return None;
        }
        if self.text.contains("ignored, since this host") {
            return Some(ConfigTrouble::OtherHost);
        }
        if self.text.contains("not defined in your config") {
            return Some(ConfigTrouble::Unknown);
        }
        let is_broken = ["arse error", "an not open"].iter().any(|word| self.text.contains(word)) || self.exit == Some(10);
        is_broken.then_some(ConfigTrouble::Broken)
    }
}

/// The kernel's code and text in a line such as `0: State change failed: (-2) Need access to UpToDate data`.
fn code(line: &str) -> Option<(i32, String)> {
    let after = ["State change failed: (", "Failure: ("].iter().find_map(|mark| line.split_once(mark))?.1;
    let (code, text) = after.split_once(')')?;
    Some((code.parse().ok()?, text.trim().to_owned()))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.to_lowercase().replace("uptodate", "UpToDate");
        match (self.kernel, self.exit) {
            (Some(code), _) => write!(f, "{text} ({code})"),
            (None, _) => f.write_str(&text),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Tool(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// The refusal, if it was one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Tool(_) => None,
        }
    }

    /// Whether it did not come to its end in time.
    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Tool(e) if e.source.kind() == io::ErrorKind::TimedOut)
    }
}

/// Runs it, and again for as long as another drbdsetup holds the lock of the device.
fn run(tool: &Tool, args: &[&str], deadline: Deadline) -> Result<String, Failure> {
    loop {
        let output = tool.run(args, deadline).map_err(Failure::Tool)?;
        if output.success() {
            return Ok(output.stdout);
        }
        let refusal = Refusal::of(&output, tool.program().ends_with("drbdadm"));
        if !refusal.is_locked() || deadline.remaining() <= AGAIN {
            return Err(Failure::Refused(refusal));
        }
        std::thread::sleep(AGAIN);
    }
}

/// `drbdadm`: by the configuration.
#[derive(Debug)]
pub struct Drbdadm {
    tool: Tool,
    config: String,
}

impl Drbdadm {
    /// It, with this configuration.
    ///
    /// # Errors
    /// It is not installed.
    pub fn find(root: &Root, config: &str) -> Result<Self, KernelError> {
        Ok(Self { tool: Tool::find(root, "drbdadm")?, config: config.to_owned() })
    }

    /// With one more variable in its environment, for the handlers that it runs.
    #[must_use]
    pub fn env(self, name: &str, value: &str) -> Self {
        Self { tool: self.tool.env(name, value), ..self }
    }

    /// `drbdadm COMMAND… RESOURCE`, and what it printed.
    ///
    /// # Errors
    /// It was refused, or not done by the deadline.
    pub fn run(&self, command: &[&str], resource: &str, deadline: Deadline) -> Result<String, Failure> {
        let args: Vec<&str> = ["-c", &self.config].into_iter().chain(command.iter().copied()).chain([resource]).collect();
        run(&self.tool, &args, deadline)
    }

    /// The device nodes of the resource, by its configuration. Asks no kernel.
    ///
    /// # Errors
    /// As [`Drbdadm::run`].
    pub fn devices(&self, resource: &str, deadline: Deadline) -> Result<Vec<String>, Failure> {
        let text = self.run(&["sh-dev"], resource, deadline)?;
        Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// The configuration of the resource as drbdadm reads it.
    ///
    /// # Errors
    /// As [`Drbdadm::run`].
    pub fn dump(&self, resource: &str, deadline: Deadline) -> Result<String, Failure> {
        self.run(&["dump"], resource, deadline)
    }
}

/// `drbdsetup`: by name and minor, without any configuration.
#[derive(Debug)]
pub struct Drbdsetup {
    tool: Tool,
}

impl Drbdsetup {
    /// It.
    ///
    /// # Errors
    /// It is not installed.
    pub fn find(root: &Root) -> Result<Self, KernelError> {
        Ok(Self { tool: Tool::find(root, "drbdsetup")? })
    }

    /// Takes the whole resource down, demoted first. That there is none is no error.
    ///
    /// # Errors
    /// It was refused, or not done by the deadline.
    pub fn down(&self, resource: &str, deadline: Deadline) -> Result<(), Failure> {
        run(&self.tool, &["down", resource], deadline).map(drop)
    }

    /// Makes it Primary: a resource by its name (DRBD 9), a device by its minor (8.4).
    ///
    /// # Errors
    /// As [`Drbdsetup::down`].
    pub fn primary(&self, what: &str, deadline: Deadline) -> Result<(), Failure> {
        run(&self.tool, &["primary", what], deadline).map(drop)
    }

    /// Makes it Secondary, named in the same way.
    ///
    /// # Errors
    /// As [`Drbdsetup::down`].
    pub fn secondary(&self, what: &str, deadline: Deadline) -> Result<(), Failure> {
        run(&self.tool, &["secondary", what], deadline).map(drop)
    }

    /// Lets the I/O of the device with this minor go on, for whichever reason it stands still.
    ///
    /// # Errors
    /// As [`Drbdsetup::down`].
    pub fn resume_io(&self, minor: u32, deadline: Deadline) -> Result<(), Failure> {
        run(&self.tool, &["resume-io", &minor.to_string()], deadline).map(drop)
    }

    /// Why the I/O of the resource stands still, which `/proc/drbd` does not tell; `None` when there is no such resource. On 8.4 it may wait for
    /// another command.
    ///
    /// # Errors
    /// As [`Drbdsetup::down`], or what it printed is not understood.
    pub fn suspension(&self, resource: &str, deadline: Deadline) -> Result<Option<Suspension>, Failure> {
        let text = run(&self.tool, &["events2", "--now", resource], deadline)?;
        let unclear = |why| Failure::Tool(KernelError::new("run", self.tool.program(), io::Error::other(why)));
        let all = events2::parse(&text).map_err(unclear)?;
        Ok(all.into_iter().find(|found| found.name == resource).map(|found| found.suspended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: i32, stderr: &str) -> Refusal {
        Refusal::of(&Output { code: Some(code), signal: None, stdout: String::new(), stderr: stderr.to_owned() }, true)
    }

    #[test]
    fn the_kernels_code_and_text_are_found_behind_what_the_tools_put_around_them() {
        let refused = said(
            17,
            "0: State change failed: (-2) Need access to UpToDate data\nCommand 'drbdsetup-84 primary 0' terminated with exit code 17\n",
        );
        assert_eq!((refused.exit, refused.kernel), (Some(17), Some(-2)));
        assert!(refused.needs_data() && !refused.is_held_open());
        assert_eq!(refused.to_string(), "need access to UpToDate data (-2)");
        let open =
            said(11, "0: State change failed: (-12) Device is held open by someone\nCommand 'x' terminated with exit code 11");
        assert!(open.is_held_open());
        let coded = said(10, "1: Failure: (104) Can not open backing device.\nadditional info from kernel:\nno such file\n");
        assert_eq!((coded.kernel, coded.text.as_str()), (Some(104), "Can not open backing device.: no such file"));
        assert_eq!(coded.config(), None);
    }

    #[test]
    fn what_is_wrong_with_the_configuration_is_told_apart() {
        let rows = [
            (1, "'nope' not defined in your config (for this host).", Some(ConfigTrouble::Unknown)),
            (
                10,
                "'r0' ignored, since this host (x) is not mentioned with an 'on' keyword.\n'r0' not defined in your config (for this host).",
                Some(ConfigTrouble::OtherHost),
            ),
            (10, "/etc/drbd.d/r0.res:3: Parse error: 'a | b' expected,\n\tbut got 'x'\n", Some(ConfigTrouble::Broken)),
            (20, "Can not open '/etc/no-such.conf'.\n.\n", Some(ConfigTrouble::Broken)),
            (20, "lock on /var/lock/drbd-147-0 currently held by pid:77", None),
            (11, "0: State change failed: (-1) Multiple primaries not allowed by config", None),
        ];
        for (code, text, expected) in rows {
            assert_eq!(said(code, text).config(), expected, "{text}");
        }
        let of_drbdsetup = Refusal { reads_config: false, ..said(10, "no answer") };
        assert_eq!((said(10, "no answer").config(), of_drbdsetup.config()), (Some(ConfigTrouble::Broken), None));
        assert!(said(20, "lock on /var/lock/drbd-147-0 currently held by pid:77").is_locked());
        assert!(said(11, "0: State change failed: (-1) Multiple primaries not allowed by config").peer_is_primary());
    }

    #[test]
    fn a_command_that_says_nothing_is_told_by_its_exit_code() {
        assert_eq!(said(20, "\nCommand 'x' terminated with exit code 20\n").text, "Command 'x' terminated with exit code 20");
        assert_eq!(said(3, "").text, "exit code 3");
    }
}
