//! A worker as its supervisor sees it: two pipes and a pidfd, waited for together.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use super::frame::{Frame, Frames};
use super::worker::Task;
use crate::deadline::Deadline;
use crate::kernel::process::{Child, Ending, PipeEnd, Setup, keep, pipe, wait_writable};
use crate::ocf::run::Answer;

const EXIT_REASON: &str = "ocf-exit-reason:";
/// What a pipe that takes anything takes without blocking (`PIPE_BUF`, pipe(7)).
const LONGEST_LINE: usize = 4096;

/// What the supervisor saw of the worker.
#[derive(Debug)]
pub enum Seen {
    /// It answered.
    Answer(Answer),
    /// It ended without an answer.
    End(Ending),
    /// The deadline passed.
    Nothing,
}

/// A worker, what it says, and what it writes on its standard error, which is handed on: it has none of our own pipes, for a worker
/// left behind would keep them open.
pub struct Watched {
    child: Child,
    pipe: Option<PipeEnd>,
    frames: Frames,
    stderr: Option<PipeEnd>,
    line: Vec<u8>,
    last_line: String,
    /// What it was doing last.
    pub note: String,
    /// When it began, if it had to wait for another worker.
    pub begun: Option<Instant>,
}

impl Watched {
    /// Forks it; while there is no room for a further process, again and again until `retry`.
    ///
    /// # Errors
    /// No further process or file.
    pub fn start(task: Task, retry: Deadline) -> io::Result<Self> {
        let (from_worker, write) = pipe()?;
        let (stderr, write_stderr) = pipe()?;
        let setup = Setup { dies_with_parent: true, stderr: Some(write_stderr), keep: keep(&write), retry: Some(retry) };
        let child = Child::fork(setup, move || task.work(write))?;
        let (pipe, stderr, none) = (Some(from_worker), Some(stderr), String::new);
        let (frames, line) = (Frames::default(), Vec::new());
        Ok(Self { child, pipe, frames, stderr, line, last_line: none(), note: none(), begun: None })
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// SIGKILL to it and its process group. That it ends is another matter.
    pub fn kill(&self) {
        self.child.kill_group();
    }

    /// Until it answers, ends, or the deadline passes.
    ///
    /// # Errors
    /// Whatever `poll` and `read` say.
    pub fn watch(&mut self, deadline: Deadline) -> io::Result<Seen> {
        loop {
            let has_ended = self.listen(deadline)?;
            let answer = self.take_frames();
            if let Some(answer) = answer {
                return Ok(Seen::Answer(answer));
            }
            if has_ended {
                let ending = self.child.wait(Deadline::after(Duration::ZERO))?.unwrap_or(Ending::Unknown);
                self.take_rest();
                return Ok(self.take_frames().map_or(Seen::End(ending), Seen::Answer));
            }
            if deadline.is_past() {
                // It may have written more than one read takes in.
                self.take_rest();
                return Ok(self.take_frames().map_or(Seen::Nothing, Seen::Answer));
            }
        }
    }

    /// Whether it ends, all its threads included. Reaps it and hands on what it wrote last.
    pub fn ends_by(&mut self, deadline: Deadline) -> bool {
        let has_ended = matches!(self.child.wait(deadline), Ok(Some(_)));
        self.take_rest();
        has_ended
    }

    /// Takes in what is there without waiting, the last line even if it has no end. What a child of the worker's writes from now on
    /// is lost.
    fn take_rest(&mut self) {
        // A child of the worker's may write for ever.
        for _ in 0..1000 {
            if !self.read_ready().unwrap_or(false) {
                break;
            }
        }
        if !self.line.is_empty() {
            self.line.push(b'\n');
            self.hand_on_lines();
        }
    }

    /// Waits for whatever comes first and takes it in; whether the worker has ended.
    fn listen(&mut self, deadline: Deadline) -> io::Result<bool> {
        let ready = self.ready(true, PollTimeout::from(deadline.poll_millis()))?;
        self.take_in(ready)?;
        Ok(ready.ended)
    }

    /// One read of what is there without waiting; whether there was anything.
    fn read_ready(&mut self) -> io::Result<bool> {
        if self.pipe.is_none() && self.stderr.is_none() {
            return Ok(false);
        }
        let ready = self.ready(false, PollTimeout::ZERO)?;
        self.take_in(ready)
    }

    fn ready(&self, with_end: bool, limit: PollTimeout) -> io::Result<Ready> {
        let pipe = self.pipe.as_ref().map(|f| PollFd::new(f.as_fd(), PollFlags::POLLIN));
        let stderr = self.stderr.as_ref().map(|f| PollFd::new(f.as_fd(), PollFlags::POLLIN));
        let end = with_end.then(|| PollFd::new(self.child.pidfd(), PollFlags::POLLIN));
        let which = [pipe.is_some(), stderr.is_some(), end.is_some()];
        let mut fds: Vec<PollFd> = [pipe, stderr, end].into_iter().flatten().collect();
        match poll(&mut fds, limit) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Ready::default()),
            Err(e) => return Err(e.into()),
        }
        let mut events = fds.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
        let [pipe, stderr, ended] = which.map(|is_asked| is_asked && events.next().unwrap_or(false));
        Ok(Ready { pipe, stderr, ended })
    }

    /// Whether anything came.
    fn take_in(&mut self, ready: Ready) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        let mut has_come = false;
        if ready.pipe {
            let bytes = read_some(&mut self.pipe, &mut chunk)?;
            self.frames.feed(bytes);
            has_come |= !bytes.is_empty();
        }
        if ready.stderr {
            let bytes = read_some(&mut self.stderr, &mut chunk)?;
            self.line.extend_from_slice(bytes);
            has_come |= !bytes.is_empty();
            self.hand_on_lines();
        }
        Ok(has_come)
    }

    /// The answer, if one has been taken in.
    pub fn take_frames(&mut self) -> Option<Answer> {
        for frame in self.frames.by_ref() {
            match frame {
                Frame::Progress(note) => self.note = note,
                Frame::Begun => self.begun = Some(Instant::now()),
                Frame::Answer(answer) => return Some(answer),
            }
        }
        None
    }

    /// Hands complete lines on, but for an exit reason: of that there is one, and the answer has it. A line that is too long to be
    /// written at once is cut.
    fn hand_on_lines(&mut self) {
        if self.line.len() >= LONGEST_LINE && !self.line.contains(&b'\n') {
            self.line.truncate(LONGEST_LINE - 1);
            self.line.push(b'\n');
        }
        let Some(end) = self.line.iter().rposition(|b| *b == b'\n') else { return };
        let lines: Vec<u8> = self.line.drain(..=end).collect();
        for line in lines.split_inclusive(|b| *b == b'\n') {
            let text = String::from_utf8_lossy(line);
            let reason = text.strip_prefix(EXIT_REASON);
            reason.unwrap_or(&text).trim().clone_into(&mut self.last_line);
            if reason.is_none() {
                line.chunks(LONGEST_LINE).for_each(hand_on);
            }
        }
    }

    /// For a reason: what it was doing and what it wrote last.
    pub fn last_words(&self) -> String {
        let doing = if self.note.is_empty() { String::new() } else { format!(" while: {}", self.note) };
        let said = if self.last_line.is_empty() { String::new() } else { format!(" ({})", self.last_line) };
        doing + &said
    }
}

/// What there is to take in.
#[derive(Default, Clone, Copy)]
struct Ready {
    pipe: bool,
    stderr: bool,
    ended: bool,
}

/// One read; at the end of the pipe it is given up.
fn read_some<'b>(pipe: &mut Option<PipeEnd>, chunk: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let Some(file) = pipe else { return Ok(&[]) };
    let n = file.read(chunk)?;
    if n == 0 {
        *pipe = None;
    }
    Ok(chunk.get(..n).unwrap_or_default())
}

/// To our own standard error, unless whoever reads that does not: then it is lost, and we are not.
fn hand_on(line: &[u8]) {
    let stderr = io::stderr();
    if wait_writable(stderr.as_fd(), Deadline::after(Duration::ZERO)) {
        let _ = stderr.lock().write_all(line);
    }
}
