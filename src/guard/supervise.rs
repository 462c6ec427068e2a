//! Runs an action in a worker and answers in time, whatever becomes of the worker.

use std::time::Duration;

use nix::unistd::Pid;

use super::budget::Budget;
use super::escalate::Preparation;
use super::evidence::Case;
use super::record::{Files, Record, file_name};
use super::watch::{Seen, Watched};
use super::worker::Task;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::identity::{Alive, Dying, Identity};
use crate::kernel::process::Ending;
use crate::ocf::env::{Env, Params};
use crate::ocf::error::Code;
use crate::ocf::log;
use crate::ocf::run::{Answer, Level};
use crate::ocf::spec::AgentSpec;

/// How long a worker that has answered gets to end.
const SETTLE: Duration = Duration::from_millis(300);

/// Does `action` in a worker and answers before the time-out that Pacemaker gave.
///
/// An action that changes something holds the resource's lock. What an earlier worker left behind in the kernel is found again: no
/// second one is put beside it. A stop that is stuck leads to what `on_stop_hang` says, if the agent has that parameter.
#[must_use]
pub fn call(spec: &'static AgentSpec, action: &str, params: &Params, env: &Env, root: &Root) -> Answer {
    let preparation = (action == "stop" && Preparation::is_for(spec)).then(|| Preparation::new(root, params));
    let budget = Budget::new(spec, action, env, root, preparation.is_some());
    let files = Files::new(root, env, spec.name);
    let call = Call { spec, action, params, env, root, preparation, budget, files };
    match call.files.left_behind() {
        None => call.run(env),
        Some((record, alive)) => call.run_beside(&record, &alive),
    }
}

struct Call<'a> {
    spec: &'static AgentSpec,
    action: &'a str,
    params: &'a Params,
    env: &'a Env,
    root: &'a Root,
    preparation: Option<Preparation>,
    budget: Budget,
    files: Files,
}

impl Call<'_> {
    /// What is done although a worker of an earlier call hangs in the kernel.
    fn run_beside(&self, record: &Record, alive: &Alive) -> Answer {
        let is_monitor = record.action == "monitor" || record.action == "status";
        match self.action {
            // The read hangs, what is cheap need not. Should that hang too, it is the one that is written down, and the last.
            "monitor" | "status" if is_monitor && record.is_deep => {
                degraded(self.run(&self.env.clone().with("OCF_CHECK_LEVEL", "0")), &record.describe())
            }
            // A monitor holds no lock and changes nothing: taking the resource away may be what frees it.
            "stop" if is_monitor => self.run(self.env),
            "stop" if alive.ends_by(self.budget.kill) => self.run(self.env),
            "stop" if Dying::new(Pid::from_raw(record.worker.pid)).is_held() => self.stuck(record.worker.pid, &record.describe()),
            _ => late(record.describe()),
        }
    }

    fn run(&self, env: &Env) -> Answer {
        let warnings = self.preparation.as_ref().map(|p| p.warnings.as_slice()).unwrap_or_default();
        let (spec, action, params, root) = (self.spec, self.action, self.params, self.root);
        let task = Task { spec, action, params, env, root, files: &self.files, deadline: self.budget.worker, warnings };
        match Watched::start(task) {
            Ok(watched) => self.conclude(watched, env),
            Err(e) => failure(format!("{}: no worker: {e}", self.action)),
        }
    }

    fn conclude(&self, mut watched: Watched, env: &Env) -> Answer {
        match watched.watch(self.budget.kill) {
            Ok(Seen::Answer(answer)) => {
                let is_stop_stuck = answer.stuck && self.preparation.is_some();
                if !watched.ends_by(Deadline::after(SETTLE).min(self.budget.end)) {
                    self.leave_behind(&watched, env);
                }
                if is_stop_stuck {
                    return self.stuck(watched.pid().as_raw(), answer.reason.as_deref().unwrap_or(&watched.note));
                }
                answer
            }
            Ok(Seen::End(ending)) => failure(format!("{} worker {}{}", self.action, how(ending), watched.last_words())),
            Ok(Seen::Nothing) => {
                watched.kill();
                let dying = Dying::new(watched.pid());
                let has_ended = watched.ends_by(self.budget.end.share(0.3).within(Duration::from_secs(1)));
                if !has_ended {
                    self.leave_behind(&watched, env);
                }
                if !has_ended && dying.is_held() {
                    return self.stuck(watched.pid().as_raw(), &watched.note);
                }
                let at = if watched.note.is_empty() { String::new() } else { format!(", was doing: {}", watched.note) };
                late(format!("{} did not finish within its {} s{at}", self.action, self.budget.timeout.as_secs_f64()))
            }
            Err(e) => {
                watched.kill();
                failure(format!("{}: worker lost: {e}", self.action))
            }
        }
    }

    /// Something sits in the kernel and no signal ends it.
    fn stuck(&self, pid: i32, note: &str) -> Answer {
        let note = if note.is_empty() { "no progress reported" } else { note };
        let Some(preparation) = &self.preparation else {
            return Answer { stuck: true, ..failure(format!("{} stuck in the kernel: {note}", self.action)) };
        };
        let (who, file) = (self.env.instance(), file_name(self.env.instance()));
        let case = Case {
            who: format!("{}({who})", self.spec.name),
            file: format!("{}-{file}", self.spec.name),
            note: note.to_owned(),
            pid,
        };
        preparation.escalate(self.root, &case, self.budget.end)
    }

    /// Writes down a worker that does not end, for the next call.
    fn leave_behind(&self, watched: &Watched, env: &Env) {
        let Ok(worker) = Identity::of(watched.pid()) else { return };
        let is_deep = matches!(self.action, "monitor" | "status") && env.level() > Level::Cheap;
        let (supervisor, note) = (nix::unistd::getpid().as_raw(), watched.note.clone());
        let _ = self.files.write(&Record { worker, supervisor, action: self.action.to_owned(), is_deep, note });
    }
}

fn failure(reason: String) -> Answer {
    Answer { code: Code::Generic, reason: Some(reason), stuck: false }
}

/// A failure that may well come from a disk that hangs. So from here on nothing is written to one.
fn late(reason: String) -> Answer {
    log::leave_files_alone();
    failure(reason)
}

/// A good answer with a doubt.
fn degraded(answer: Answer, why: &str) -> Answer {
    let code = match answer.code {
        Code::Success => Code::Degraded,
        Code::RunningPromoted => Code::DegradedPromoted,
        _ => return answer,
    };
    Answer { code, reason: Some(why.to_owned()), ..answer }
}

fn how(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("ended with code {code} and no answer"),
        Ending::Signaled(signal) => format!("was killed by {signal}"),
        Ending::Unknown => "is gone".to_owned(),
    }
}
