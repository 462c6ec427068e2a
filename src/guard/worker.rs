//! The worker: the forked child that does what was asked and may hang doing it.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::getppid;

use super::frame::Frame;
use super::record::{Files, Kind, Record};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::identity::Identity;
use crate::kernel::process::{PANICKED, PipeEnd, end_now};
use crate::ocf::env::{Env, Params};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::log;
use crate::ocf::run::{Answer, Context, Level, act};
use crate::ocf::spec::AgentSpec;

/// What is to be done.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    pub spec: &'static AgentSpec,
    pub action: &'a str,
    pub params: &'a Params,
    pub env: &'a Env,
    pub root: &'a Root,
    pub files: &'a Files,
    /// By when the agent should have given up of its own accord.
    pub deadline: Deadline,
    /// What may be left of the time-out, at the least, after waiting for another worker: with less, a stop does not begin.
    pub least: Duration,
    /// What went wrong before the fork.
    pub warnings: &'a [String],
}

/// Whether the action changes something, so that only one may run at a time.
pub fn changes(action: &str) -> bool {
    !matches!(action, "monitor" | "status" | "validate-all" | "notify")
}

impl Task<'_> {
    /// Does it and sends the answer down the pipe.
    pub fn work(&self, pipe: PipeEnd) {
        let pipe = Arc::new(pipe);
        report_panics(&pipe);
        // Nobody's stop hangs because of a line in a log.
        if self.action != "stop" {
            log::write_files();
        }
        for warning in self.warnings {
            tracing::warn!("{warning}");
        }
        let last = RefCell::new(String::new());
        let progress = |note: &str| {
            let mut last = last.borrow_mut();
            if *last != note {
                note.clone_into(&mut last);
                let _ = Frame::Progress(note.to_owned()).send(&*pipe);
            }
        };
        let begins = || {
            let _ = Frame::Begun.send(&*pipe);
        };
        let answer = self.locked(&progress, &begins).unwrap_or_else(Answer::from);
        let reason = answer.reason.clone().filter(|_| !matches!(answer.code, Code::Degraded | Code::DegradedPromoted));
        // A supervisor that is gone hears nothing, and there is nobody else to tell.
        let _ = Frame::Answer(answer).send(&*pipe);
        if let Some(reason) = reason {
            log::to_files(&reason);
        }
    }

    /// Under the lock when it is a change. The lock is held until this process ends, its last thread included, unless it has answered and is
    /// not stuck: what still hangs then only looks.
    fn locked(&self, progress: &dyn Fn(&str), begins: &dyn Fn()) -> Result<Answer, OcfError> {
        let cx = Context { root: self.root, env: self.env, deadline: self.deadline, progress };
        let act = || act(self.spec, self.action, self.params, &cx);
        if !changes(self.action) {
            return Ok(self.look(act));
        }
        let waited_for = RefCell::new(None);
        let say = |whom: &str| {
            *waited_for.borrow_mut() = Some(whom.to_owned());
            progress(whom);
        };
        let mut held = None;
        match self.files.lock(&say) {
            Ok(lock) => held = Some(ManuallyDrop::new(lock)),
            // A stop is not refused for want of a state directory.
            Err(e) if self.action == "stop" => tracing::warn!("{e}"),
            Err(e) => return Err(e.into()),
        }
        if let Some(whom) = waited_for.take() {
            if self.action == "stop" && self.deadline.remaining() < self.least {
                return Err(OcfError::new(Code::Generic, format_args!("no time left after {whom}")));
            }
            begins();
        }
        if let Err(e) = self.record(Kind::Change) {
            tracing::warn!("{e}");
        }
        let answer = act();
        if !answer.stuck {
            self.files.forget(Kind::Change);
            drop(held.map(ManuallyDrop::into_inner));
        }
        Ok(answer)
    }

    /// A monitor that reads from devices is on record meanwhile: when Pacemaker cancels it, its supervisor has no time to say that it hangs.
    fn look(&self, act: impl FnOnce() -> Answer) -> Answer {
        if self.env.level() == Level::Cheap || !matches!(self.action, "monitor" | "status") {
            return act();
        }
        let is_recorded = self.record(Kind::DeepLook).inspect_err(|e| tracing::warn!("{e}")).is_ok_and(|is| is);
        let answer = act();
        if is_recorded {
            self.files.forget(Kind::DeepLook);
        }
        answer
    }

    /// Writes this worker down, unless another one that looks is; whether it is done.
    fn record(&self, kind: Kind) -> Result<bool, OcfError> {
        let worker = Identity::of_self().map_err(|e| OcfError::new(Code::Generic, e))?;
        if kind == Kind::DeepLook && self.files.has_other(kind, worker) {
            return Ok(false);
        }
        let (supervisor, action) = (getppid().as_raw(), self.action.to_owned());
        self.files.write(&Record {
            kind,
            worker,
            supervisor,
            action,
            has_failed: false,
            is_by_pacemaker: self.env.is_by_pacemaker(),
            is_needless: false,
            note: String::new(),
        })?;
        Ok(true)
    }
}

/// A panic is an answer too. Works with `panic = "abort"`, where nothing can be caught; and ends here, for an abort would write a core
/// to a disk that may hang.
fn report_panics(pipe: &Arc<PipeEnd>) {
    let pipe = Arc::clone(pipe);
    panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        let reason = Some(format!("internal error{place}: {}", text.unwrap_or("panic")));
        let _ = Frame::Answer(Answer { code: Code::Generic, reason, stuck: false }).send(&*pipe);
        end_now(PANICKED);
    }));
}
