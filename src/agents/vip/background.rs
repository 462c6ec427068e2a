//! Processes that go on after the action has answered: they announce, keep the list of connections, wake up peers. Each is written down,
//! so that a stop finds and ends it, and no second one is put beside one that hangs.

use std::os::fd::{AsFd, RawFd};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::kernel::identity::{Alive, Identity};
use crate::kernel::process::{Child, PipeEnd, Setup, keep, pipe, wait_readable};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;
use crate::ocf::state_file::StateFile;

/// How long one that is killed gets to end. One that hangs in the kernel does not, and changes nothing any more if it ever comes back.
const DEATH: Duration = Duration::from_millis(200);

/// One of the background processes of this resource, by what it does. Naming it touches nothing.
pub struct Background {
    file: StateFile,
}

/// A background process, as seen by the one that started it.
pub struct Started {
    done: PipeEnd,
}

impl Started {
    /// Whether it has done the first part of its work by then (see [`Report::done`]), or ended.
    #[must_use]
    pub fn is_done_by(&self, deadline: Deadline) -> bool {
        wait_readable(self.done.as_fd(), deadline).unwrap_or(false)
    }
}

/// What a background process says of itself.
pub struct Report<'a> {
    file: &'a StateFile,
    done: Option<PipeEnd>,
}

impl Report<'_> {
    /// The first part is done: an action that waits for it goes on.
    pub fn done(&mut self) {
        self.done = None;
    }

    /// It has failed: monitors say so until the next one starts.
    pub fn failed(&self, why: &str) {
        tracing::warn!("{why}");
        let why = why.replace('\n', " ");
        if let Err(e) = self.file.write(format!("0 0\n{why}\n").as_bytes()) {
            tracing::warn!("{e}");
        }
    }
}

impl Background {
    /// The one that does `what`: a plain word.
    #[must_use]
    pub fn new(cx: &Context, what: &str) -> Self {
        Self { file: StateFile::new(cx, "VIP", what) }
    }

    /// Starts it with the open files `kept`; one of the same name should have been ended before. Must be called from a process with one
    /// thread.
    ///
    /// # Errors
    /// No further process.
    pub fn start(&self, mut kept: Vec<RawFd>, body: impl FnOnce(&mut Report)) -> Result<Started, OcfError> {
        let wrong = |e: std::io::Error| OcfError::new(Code::Generic, format_args!("no further process: {e}"));
        let (done, in_child) = pipe().map_err(wrong)?;
        kept.extend(keep(&in_child));
        let (go, not_yet) = pipe().map_err(wrong)?;
        kept.extend(keep(&go));
        let setup = Setup { keep: kept, ..Setup::default() };
        let file = self.file.clone();
        let child = Child::fork(setup, move || {
            // Or one that is done at once would have written its report before it is written down.
            let _ = wait_readable(go.as_fd(), Deadline::after(DEATH));
            let mut report = Report { file: &file, done: Some(in_child) };
            body(&mut report);
        });
        let child = child.map_err(wrong)?;
        // By the parent, so that it is there when the next action looks.
        let identity = Identity::of(child.pid()).map_err(wrong)?;
        if let Err(e) = self.file.write(format!("{} {}\n", identity.pid, identity.start).as_bytes()) {
            tracing::warn!("{e}");
        }
        drop(not_yet);
        Ok(Started { done })
    }

    fn text(&self) -> String {
        self.file.read().ok().flatten().unwrap_or_default()
    }

    /// The one that is running, if so.
    #[must_use]
    pub fn alive(&self) -> Option<Alive> {
        let text = self.text();
        let mut words = text.lines().next()?.split(' ').map(str::parse);
        let (pid, start) = (words.next()?.ok()?, words.next()?.ok()?);
        let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0)?;
        Identity { pid, start }.alive()
    }

    /// Why the last one failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.text().lines().nth(1).map(str::to_owned)
    }

    /// Ends it and forgets it.
    pub fn end(&self) {
        if let Some(alive) = self.alive() {
            alive.kill();
            if !alive.ends_by(Deadline::after(DEATH)) {
                tracing::warn!("a background process hangs in the kernel");
            }
        }
        if let Err(e) = self.file.remove() {
            tracing::warn!("{e}");
        }
    }
}
