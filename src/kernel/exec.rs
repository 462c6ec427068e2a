//! External commands: the one place that starts any. Absolute path, clean environment, a deadline, drained pipes; dies with its parent.
//! An error names the program, never its arguments: they may hold a secret.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpid};

use super::attr::Root;
use super::error::{KernelError, Result};
use super::process::{die_with, pidfd_open};
use crate::deadline::Deadline;

/// Where programs are looked for: never in `PATH`.
const PLACES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// What is kept of each output; the rest is read and dropped.
const KEPT: usize = 1 << 20;

/// An external program.
#[derive(Debug, Clone)]
pub struct Tool {
    program: PathBuf,
    env: Vec<(String, String)>,
    /// Whether it stays in the process group of its caller, who then ends it together with itself.
    is_in_group: bool,
}

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output, the first MiB.
    pub stdout: String,
    /// Standard error, the first MiB.
    pub stderr: String,
}

impl Output {
    /// Whether it exited with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Its last line of complaint, or how it ended.
    #[must_use]
    pub fn complaint(&self) -> String {
        let last = self.stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
        match (last, self.code, self.signal) {
            (Some(line), ..) => line.to_owned(),
            (None, Some(code), _) => format!("exit code {code}"),
            (None, None, signal) => format!("ended by signal {}", signal.unwrap_or_default()),
        }
    }
}

impl Tool {
    /// The program of this name.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when it is not installed.
    pub fn find(root: &Root, name: &str) -> Result<Self> {
        let candidates = PLACES.iter().map(|place| root.path(place).join(name));
        match candidates.into_iter().find(|path| is_executable(path)) {
            Some(program) => Ok(Self { program, env: Vec::new(), is_in_group: false }),
            None => Err(KernelError::new("find", name, io::ErrorKind::NotFound.into())),
        }
    }

    /// The program at this absolute path, or of this name.
    ///
    /// # Errors
    /// As [`Tool::find`]; a path that leads to no program is not found either.
    pub fn named(root: &Root, name: &str) -> Result<Self> {
        if !name.starts_with('/') {
            return Self::find(root, name);
        }
        let program = root.path(name);
        if is_executable(&program) {
            return Ok(Self { program, env: Vec::new(), is_in_group: false });
        }
        Err(KernelError::new("find program", program, io::ErrorKind::NotFound.into()))
    }

    /// With one more variable in its environment, which otherwise holds only `LC_ALL` and `PATH`.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// In the process group of its caller, not in one of its own: whoever ends that group ends what this starts as well.
    #[must_use]
    pub fn in_group_of_caller(mut self) -> Self {
        self.is_in_group = true;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs it to its end, whatever that is. Call it from a thread that outlives the program: it is killed when that thread ends.
    ///
    /// # Errors
    /// It could not be started; [`io::ErrorKind::TimedOut`] when the deadline passed first: its process group then got SIGKILL, and
    /// whether that ended it is not waited for.
    pub fn run(&self, args: &[&str], deadline: Deadline) -> Result<Output> {
        tracing::debug!(program = %self.program.display(), "run");
        self.start(args).and_then(|child| finish(child, deadline)).map_err(|e| KernelError::new("run", &self.program, e))
    }

    /// Runs it and gives its standard output if it exits with 0.
    ///
    /// # Errors
    /// As [`Tool::run`]; otherwise its last line on standard error.
    pub fn ok(&self, args: &[&str], deadline: Deadline) -> Result<String> {
        let output = self.run(args, deadline)?;
        if output.success() {
            return Ok(output.stdout);
        }
        Err(KernelError::new("run", &self.program, io::Error::other(output.complaint())))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
    fn start(&self, args: &[&str]) -> io::Result<Child> {
        let parent = getpid();
        let mut command = Command::new(&self.program);
        command.args(args).env_clear().env("LC_ALL", "C").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if !self.is_in_group {
            command.process_group(0);
        }
        // SAFETY: between fork and exec this makes two system calls and allocates nothing.
        unsafe { command.pre_exec(move || die_with(parent)) };
        command.spawn()
    }
}

/// Drains both pipes until the program ends or the deadline passes.
fn finish(mut child: Child, deadline: Deadline) -> io::Result<Output> {
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let pidfd = pidfd_open(pid)?;
    let mut stdout = Drain::new(child.stdout.take().map(OwnedFd::from));
    let mut stderr = Drain::new(child.stderr.take().map(OwnedFd::from));
    loop {
        let mut fds = vec![PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        fds.extend([&stdout, &stderr].into_iter().filter_map(Drain::poll_fd));
        match poll(&mut fds, PollTimeout::from(deadline.poll_millis())) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        let ended = fds.first().is_some_and(is_ready);
        stdout.read_ready()?;
        stderr.read_ready()?;
        if ended {
            // A child of its own may hold the pipes open for ever: what is in them now is all.
            while (stdout.read_ready()? || stderr.read_ready()?) && !deadline.is_past() {}
            let status = child.wait()?;
            return Ok(Output { code: status.code(), signal: status.signal(), stdout: stdout.text(), stderr: stderr.text() });
        }
        if deadline.is_past() {
            let _ = killpg(pid, Signal::SIGKILL);
            let _ = child.try_wait();
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

fn is_ready(fd: &PollFd) -> bool {
    fd.revents().is_some_and(|events| !events.is_empty())
}

/// One end of a pipe and what came out of it.
struct Drain {
    pipe: Option<File>,
    kept: Vec<u8>,
}

impl Drain {
    fn new(pipe: Option<OwnedFd>) -> Self {
        Self { pipe: pipe.map(File::from), kept: Vec::new() }
    }

    fn poll_fd(&self) -> Option<PollFd<'_>> {
        self.pipe.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
    }

    /// Reads once if that does not block; whether something came.
    fn read_ready(&mut self) -> io::Result<bool> {
        let Some(pipe) = &mut self.pipe else { return Ok(false) };
        let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::ZERO)? == 0 {
            return Ok(false);
        }
        let mut chunk = [0; 16 * 1024];
        let n = pipe.read(&mut chunk)?;
        let room = KEPT.saturating_sub(self.kept.len()).min(n);
        self.kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
        if n == 0 {
            self.pipe = None;
        }
        Ok(n > 0)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn shell() -> Tool {
        Tool::find(&Root::host(), "sh").unwrap()
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    #[test]
    fn a_program_sees_a_clean_environment_and_no_input() {
        let output = shell().env("OWN", "1").ok(&["-c", "cat; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | sort"], soon()).unwrap();
        assert_eq!(output, "LC_ALL=C\nOWN=1\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
    }

    #[test]
    fn both_outputs_are_drained_and_bounded() {
        let much = "head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2; exit 3";
        let output = shell().run(&["-c", much], soon()).unwrap();
        assert_eq!((output.code, output.stdout.len(), output.stderr.len()), (Some(3), KEPT, KEPT));
    }

    #[test]
    fn a_failure_is_the_last_line_of_complaint_and_never_the_arguments() {
        let e = shell().ok(&["-c", "echo first >&2; echo Second >&2; echo; exit 5", "hunter2"], soon()).unwrap_err();
        assert!(e.to_string().ends_with("/sh: second"), "{e}");
        let e = shell().ok(&["-c", "exit 5"], soon()).unwrap_err();
        assert!(e.to_string().ends_with("/sh: exit code 5"), "{e}");
        let e = shell().ok(&["-c", "kill -9 $$"], soon()).unwrap_err();
        assert!(e.to_string().ends_with("/sh: ended by signal 9"), "{e}");
    }

    #[test]
    fn a_program_that_ignores_signals_and_its_children_are_gone_after_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let script = format!("trap '' TERM INT; sleep 300 & echo $! > {0}; echo $$ >> {0}; wait", pids.display());
        let e = shell().run(&["-c", &script], Deadline::after(Duration::from_millis(500))).unwrap_err();
        assert_eq!(e.source.kind(), io::ErrorKind::TimedOut);
        std::thread::sleep(Duration::from_millis(300));
        for pid in fs::read_to_string(pids).unwrap().lines() {
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            assert!(state.is_empty() || state.contains(") Z "), "{state}");
        }
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipes_does_not_keep_us() {
        let before = std::time::Instant::now();
        let output = shell().run(&["-c", "sleep 5 & echo done"], soon()).unwrap();
        assert_eq!(output.stdout, "done\n");
        assert!(before.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn a_program_that_is_not_there_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let e = Tool::find(&Root::fake(dir.path()), "lvs").unwrap_err();
        assert!(e.is_not_found() && e.to_string().starts_with("find lvs"), "{e}");
    }
}
