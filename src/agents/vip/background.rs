//! Processes that go on after the action has answered: they announce, keep the list of connections, wake up peers. Each is written down,
//! so that a stop finds and ends it, and no second one is put beside one that hangs.

use std::os::fd::{AsFd, RawFd};
use std::panic;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::kernel::identity::{Alive, Identity};
use crate::kernel::process::{Child, PANICKED, PipeEnd, Setup, end_group, end_now, keep, pipe, wait_readable};
use crate::kernel::task;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;
use crate::ocf::state_file::StateFile;

/// How long one that is killed gets to end. One that hangs in the kernel does not, and ends with the call that it is in.
const DEATH: Duration = Duration::from_millis(200);

/// One of the background processes of this resource, by what it does. Naming it touches nothing.
pub struct Background {
    /// Which process it is.
    who: StateFile,
    /// Why the last one failed; stays until one succeeds.
    failure: StateFile,
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
    failure: &'a StateFile,
    done: Option<PipeEnd>,
}

impl Report<'_> {
    /// The first part is done: an action that waits for it goes on.
    pub fn done(&mut self) {
        self.done = None;
    }

    /// How it went: monitors tell of a failure until a later process succeeds.
    pub fn conclude(&self, result: Result<(), String>) {
        let noted = match result {
            Ok(()) => self.failure.remove(),
            Err(why) => {
                tracing::warn!("{why}");
                self.failure.write(why.replace('\n', " ").as_bytes())
            }
        };
        if let Err(e) = noted {
            tracing::warn!("{e}");
        }
    }
}

impl Background {
    /// The one that does `what`: a plain word.
    #[must_use]
    pub fn new(cx: &Context, what: &str) -> Self {
        Self { who: StateFile::new(cx, "VIP", what), failure: StateFile::new(cx, "VIP", &format!("{what}-failure")) }
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
        let (who, failure) = (self.who.clone(), self.failure.clone());
        let child = Child::fork(setup, move || {
            // The worker's would write to a pipe that this process does not have.
            panic::set_hook(Box::new(|info| {
                tracing::error!("internal error: {info}");
                end_now(PANICKED);
            }));
            // Or one that is done at once would be written down after it has ended.
            let _ = wait_readable(go.as_fd(), Deadline::after(DEATH));
            body(&mut Report { failure: &failure, done: Some(in_child) });
            if let Err(e) = who.remove() {
                tracing::warn!("{e}");
            }
            // A program that was given up has children of its own.
            end_group();
        });
        let child = child.map_err(wrong)?;
        // By the parent, so that it is there when the next action looks.
        let identity = Identity::of(child.pid()).map_err(wrong)?;
        if let Err(e) = self.who.write(format!("{} {}", identity.pid, identity.start).as_bytes()) {
            tracing::warn!("{e}");
        }
        drop(not_yet);
        Ok(Started { done })
    }

    /// The one that is running, if so.
    #[must_use]
    pub fn alive(&self) -> Option<Alive> {
        self.identity()?.alive()
    }

    fn identity(&self) -> Option<Identity> {
        let text = self.who.read().ok().flatten()?;
        let (pid, start) = text.split_once(' ')?;
        Some(Identity { pid: pid.parse().ok()?, start: start.parse().ok()? })
    }

    /// Why the last one failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.read().ok().flatten()
    }

    /// Forgets that the last one failed.
    pub fn forgive(&self) {
        if let Err(e) = self.failure.remove() {
            tracing::warn!("{e}");
        }
    }

    /// For how long it has been running, if it is.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let identity = self.identity()?;
        identity.alive()?;
        Some(Duration::from_millis(task::now_in_ticks().ok()?.saturating_sub(identity.start) * 10))
    }

    /// Ends it, and what it has started; whether there is none any more. One that hangs in the kernel stays known, so that nobody puts a second one beside it.
    pub fn end(&self) -> bool {
        if let Some((identity, alive)) = self.identity().and_then(|identity| Some((identity, identity.alive()?))) {
            alive.kill_with_group(identity);
            if !alive.ends_by(Deadline::after(DEATH)) {
                tracing::warn!("a background process hangs in the kernel");
                return false;
            }
        }
        if let Err(e) = self.who.remove() {
            tracing::warn!("{e}");
        }
        true
    }
}
