//! Runs an action in a worker and answers in time, whatever becomes of the worker.

use std::time::Duration;

use super::budget::{Budget, DEATH, LEAST_TRY};
use super::escalate::{Preparation, Stuck};
use super::evidence::Case;
use super::held::{self, Suspects};
use super::record::{Files, Kind, Record};
use super::watch::{Seen, Watched};
use super::worker::{Task, changes};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::identity::{Alive, Identity};
use crate::kernel::process::Ending;
use crate::ocf::env::{Env, Params};
use crate::ocf::error::Code;
use crate::ocf::run::{Answer, Level};
use crate::ocf::spec::AgentSpec;
use crate::ocf::state_file::file_name;

/// With less left after waiting, a stop does not begin: a healthy one takes a tenth of it.
const LEAST_RUN: Duration = Duration::from_secs(1);

/// How long a worker that has answered gets to end.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a worker that an earlier call left behind gets to end before it is called stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does `action` in a worker and answers before the time-out that Pacemaker gave.
///
/// An action that changes something holds the resource's lock. What an earlier worker left behind in the kernel is found again: no
/// second one is put beside it. A stop that is stuck leads to what `on_stop_hang` says, if the agent has that parameter.
#[must_use]
pub fn call(spec: &'static AgentSpec, action: &str, params: &Params, env: &Env, root: &Root) -> Answer {
    let may_escalate = action == "stop" && Preparation::is_for(spec);
    // Before the preparation, which takes its time too.
    let budget = Budget::new(spec, action, env, root, may_escalate);
    let preparation = may_escalate.then(|| Preparation::new(root, params, budget.kill.remaining().saturating_sub(LEAST_TRY)));
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
    /// What is done although a worker of an earlier call may hang in the kernel.
    fn run_beside(&self, record: &Record, alive: &Alive) -> Answer {
        alive.kill();
        let looks = matches!(self.action, "monitor" | "status");
        match (record.kind, self.action) {
            // The read hangs, what is cheap need not. Should that hang too, no further one is put beside it.
            (Kind::DeepLook, _) if looks => {
                let cheap = self.run(&self.env.clone().with("OCF_CHECK_LEVEL", "0"));
                let has_ended = alive.ends_by(Deadline::after(Duration::ZERO));
                if has_ended && self.env.level() == Level::Cheap { cheap } else { self.beside_a_deep_one(cheap, record) }
            }
            // A monitor holds no lock and changes nothing: taking the resource away may be what frees it.
            (Kind::Look | Kind::DeepLook, action) if action != "start" && !looks => self.run(self.env),
            // One that was ended before it had an answer, or another start, may just have been slow.
            (Kind::DeepLook, "start") if !record.has_failed => self.run(self.env),
            (_, "stop") => self.stop_behind(record, alive),
            _ if alive.ends_by(Deadline::after(PATIENCE.min(self.budget.timeout / 3))) => self.run(self.env),
            _ => failure(record.describe()),
        }
    }

    /// What the answer of a cheap monitor comes to while one of a higher level hangs.
    ///
    /// If that one has failed, it goes on failing, and a cheap one that Pacemaker asks for is not degraded: Pacemaker keeps one failure of a
    /// resource, the newest, and takes "degraded" for one (`last_failure_0`, seen with 2.1.5), so it would forget what it has to recover
    /// from. The cheap one is asked for at the latest when the other one has answered.
    fn beside_a_deep_one(&self, cheap: Answer, record: &Record) -> Answer {
        let (good, doubtful, bad) = match cheap.code {
            Code::Success | Code::Degraded => (Code::Success, Code::Degraded, Code::Generic),
            Code::RunningPromoted | Code::DegradedPromoted => {
                (Code::RunningPromoted, Code::DegradedPromoted, Code::FailedPromoted)
            }
            _ => return cheap,
        };
        // What is wrong now is more than that something hung a while ago.
        if !record.has_failed && cheap.code == doubtful {
            return cheap;
        }
        if let Some(doubt) = cheap.reason {
            tracing::warn!("beside {}: {doubt}", record.describe());
        }
        let because = |code| Answer { code, reason: Some(record.describe()), stuck: false };
        match record.has_failed {
            true if self.env.level() > Level::Cheap => because(bad),
            true if record.is_by_pacemaker && self.env.is_by_pacemaker() => Answer { code: good, ..Answer::SUCCESS },
            _ => because(doubtful),
        }
    }

    /// A stop for which an earlier change is in the way: it waits for that as long as it would for its own worker.
    fn stop_behind(&self, record: &Record, alive: &Alive) -> Answer {
        let had = self.budget.kill.remaining();
        let has_ended = alive.ends_by(self.budget.kill);
        if has_ended && self.budget.worker.remaining() < LEAST_RUN {
            return failure(format!("no time left after waiting for the {} that pid {} did", record.action, record.worker.pid));
        }
        if has_ended {
            return self.run(self.env);
        }
        let Some(preparation) = &self.preparation else { return failure(record.describe()) };
        let _ = alive.ends_by(self.budget.end.within(DEATH));
        let suspects = Suspects::of_process(self.root, record.worker.pid);
        let stuck = self.stuck(preparation, record.worker.pid, &record.describe(), suspects, had);
        stuck.unwrap_or_else(|| failure(record.describe()))
    }

    fn run(&self, env: &Env) -> Answer {
        let had = self.budget.kill.remaining();
        let warnings = self.preparation.as_ref().map(|p| p.warnings.as_slice()).unwrap_or_default();
        let (spec, action, params, root) = (self.spec, self.action, self.params, self.root);
        let (deadline, least) = (self.budget.worker, LEAST_RUN);
        let task = Task { spec, action, params, env, root, files: &self.files, deadline, least, warnings };
        match Watched::start(task, self.budget.end.share(0.33)) {
            Ok(watched) => self.conclude(watched, env, had),
            Err(e) => failure(format!("{}: no worker: {e}", self.action)),
        }
    }

    fn conclude(&self, mut watched: Watched, env: &Env, had: Duration) -> Answer {
        let mut answer = match watched.watch(self.budget.kill) {
            Ok(Seen::Answer(answer)) => Some(answer),
            Ok(Seen::Nothing) => None,
            Ok(Seen::End(ending)) => return failure(format!("{} worker {}{}", self.action, how(ending), watched.last_words())),
            Err(e) => {
                watched.kill();
                return failure(format!("{}: worker lost: {e}", self.action));
            }
        };
        let had = watched.begun.map_or(had, |begun| begun.elapsed() + self.budget.kill.remaining());
        let is_stuck = answer.as_ref().is_none_or(|a| a.stuck && self.preparation.is_some());
        if is_stuck {
            watched.kill();
        }
        let until = match (is_stuck, self.preparation.is_some() && self.budget.can_prove) {
            (true, true) => self.budget.end.within(DEATH),
            // Where nothing is to be proved the rest is for the answer, which takes its time on a busy machine.
            (true, false) => self.budget.end.share(0.5).within(DEATH),
            (false, _) => self.budget.end.within(SETTLE),
        };
        let has_ended = watched.ends_by(until);
        if is_stuck && has_ended {
            held::programs_end_by(watched.pid().as_raw(), until);
        }
        if answer.is_none() {
            answer = watched.take_frames();
        }
        if has_ended {
            self.leave_program_behind(&watched, env, answer.as_ref());
            self.forget_of_changes(answer.as_ref());
        } else if let Ok(worker) = Identity::of(watched.pid()) {
            let kind = self.kind_of(env, answer.as_ref());
            // It is known to only look, and the answer did without it.
            let is_deep = self.monitors_at(env).is_some_and(|level| level > Level::Cheap);
            let is_needless = kind == Kind::DeepLook && !is_deep && answer.is_some();
            self.leave_behind(kind, worker, &watched.note, env, answer.as_ref(), is_needless);
        }
        match answer {
            Some(answer) if !(answer.stuck && self.preparation.is_some()) => answer,
            answer => self.hung(&mut watched, answer, has_ended, had),
        }
    }

    /// A worker that did not answer, or a stop's that says it is stuck; SIGKILL has been sent.
    fn hung(&self, watched: &mut Watched, answer: Option<Answer>, has_ended: bool, had: Duration) -> Answer {
        let pid = watched.pid().as_raw();
        // Threads that hang do so on their way out too. When all of them are gone, what the worker left may still be there.
        let suspects = match (has_ended, &answer) {
            (false, _) => Suspects::of_process(self.root, pid).and(Suspects::of_session(pid)),
            (true, Some(_)) => {
                // A read of an earlier monitor may be what has the device open for good.
                let earlier = self.files.left_behind().filter(|(record, _)| !record.is_needless);
                let earlier = earlier.map(|(record, _)| Suspects::of_process(self.root, record.worker.pid));
                let started = Suspects::of_the_target(self.root).and(Suspects::of_session(pid));
                earlier.into_iter().fold(started, Suspects::and)
            }
            (true, None) => Suspects::of_session(pid),
        };
        let note = answer.as_ref().and_then(|answer| answer.reason.as_deref()).unwrap_or(&watched.note);
        if let Some(preparation) = self.preparation.as_ref().filter(|_| !suspects.is_empty()) {
            let stuck = self.stuck(preparation, pid, note, suspects, had);
            return stuck.unwrap_or_else(|| self.late(answer, &watched.note));
        }
        if suspects.any_waits() {
            let note = if note.is_empty() { "no progress reported" } else { note };
            return Answer { stuck: true, ..failure(format!("{} stuck in the kernel: {note}", self.action)) };
        }
        self.late(answer, &watched.note)
    }

    /// The worker's own reason, or that it was not done in time. Nothing is stuck.
    fn late(&self, answer: Option<Answer>, note: &str) -> Answer {
        if let Some(answer) = answer {
            return Answer { stuck: false, ..answer };
        }
        let at = if note.is_empty() { String::new() } else { format!(", was doing: {note}") };
        failure(format!("{} did not finish within its {} s{}{at}", self.action, self.budget.timeout.as_secs_f64(), self.hint()))
    }

    /// For whoever wrote seconds.
    fn hint(&self) -> &'static str {
        if self.budget.timeout < Duration::from_secs(1) { " (CRM_meta_timeout is in milliseconds)" } else { "" }
    }

    /// A stop for which something may sit in the kernel that no signal ends; `None` when it turns out that nothing does.
    fn stuck(&self, preparation: &Preparation, pid: i32, note: &str, suspects: Suspects, had: Duration) -> Option<Answer> {
        let note = if note.is_empty() { "no progress reported" } else { note };
        if !self.budget.can_prove {
            let timeout = self.budget.timeout.as_secs_f64();
            return Some(failure(format!("stop: no reboot with a time-out of only {timeout} s{}: {note}", self.hint())));
        }
        if had < LEAST_TRY {
            return Some(failure(format!("stop: no reboot after a try of only {:.1} s: {note}", had.as_secs_f64())));
        }
        let (who, file) = (self.env.instance(), file_name(self.env.instance()));
        let case = Case {
            headline: format!("{}({who}) stop is stuck in the kernel: {note}", self.spec.name),
            file: format!("hang-{}-{file}", self.spec.name),
            worker: Some(pid),
        };
        let stuck = Stuck { case, note: note.to_owned(), suspects };
        preparation.escalate(self.root, &stuck, self.budget.end)
    }

    /// What a worker that does not end was at.
    fn kind_of(&self, env: &Env, answer: Option<&Answer>) -> Kind {
        match self.monitors_at(env) {
            // What hangs of a change that is not stuck only looks, and is no reason to reboot at a stop.
            None if changes(self.action) && answer.is_none_or(|answer| answer.stuck) => Kind::Change,
            // What a cheap monitor did not need for its answer the next one does not need either.
            Some(Level::Cheap) if answer.is_none() => Kind::Look,
            _ => Kind::DeepLook,
        }
    }

    /// At which level, if this is a monitor.
    fn monitors_at(&self, env: &Env) -> Option<Level> {
        matches!(self.action, "monitor" | "status").then(|| env.level())
    }

    /// Writes down a program that the worker, which has ended, started and that hangs: none is put beside it by the next deep monitor, and
    /// it is evidence for a stop. As a look, for what it would have changed is not known, and a stop may well do without it.
    fn leave_program_behind(&self, watched: &Watched, env: &Env, answer: Option<&Answer>) {
        let is_well = |answer: &Answer| match answer.code {
            Code::Success | Code::RunningPromoted | Code::NotRunning => true,
            Code::Degraded | Code::DegradedPromoted => env.level() == Level::Cheap,
            _ => false,
        };
        if answer.is_some_and(is_well) {
            return;
        }
        let kind = if self.monitors_at(env) == Some(Level::Cheap) { Kind::Look } else { Kind::DeepLook };
        if let Some(program) = held::program_of(watched.pid().as_raw()) {
            self.leave_behind(kind, program, &watched.note, env, answer, false);
        }
    }

    /// What an earlier start has left hanging was none of this resource's disks, or this one would not have succeeded: no evidence, no doubt.
    fn forget_of_changes(&self, answer: Option<&Answer>) {
        let has_started = self.action == "start" && answer.is_some_and(|answer| answer.code == Code::Success);
        let is_none_of_ours = |record: Record| record.is_needless || changes(&record.action);
        if has_started && self.files.record(Kind::DeepLook).is_some_and(is_none_of_ours) {
            self.files.forget(Kind::DeepLook);
        }
    }

    /// Writes down what does not end, for the next call.
    fn leave_behind(&self, kind: Kind, worker: Identity, doing: &str, env: &Env, answer: Option<&Answer>, is_needless: bool) {
        // Nobody's resource minds what somebody tried by hand; and the older one is what the newer waits for.
        if self.action == "validate-all" || (kind == Kind::DeepLook && self.files.has_other(kind, worker)) {
            return;
        }
        let is_good = |answer: &Answer| {
            matches!(
                answer.code,
                Code::Success | Code::RunningPromoted | Code::Degraded | Code::DegradedPromoted | Code::NotRunning
            )
        };
        let is_bad = answer.is_none_or(|answer| !is_good(answer));
        let note = answer.filter(|_| is_bad).and_then(|answer| answer.reason.clone()).unwrap_or_else(|| doing.to_owned());
        let (supervisor, action) = (nix::unistd::getpid().as_raw(), self.action.to_owned());
        let _ = self.files.write(&Record {
            kind,
            worker,
            supervisor,
            action,
            // Only a monitor goes on failing for it.
            has_failed: is_bad && matches!(self.action, "monitor" | "status"),
            is_by_pacemaker: env.is_by_pacemaker(),
            is_needless,
            note,
        });
    }
}

fn failure(reason: String) -> Answer {
    Answer { code: Code::Generic, reason: Some(reason), stuck: false }
}

fn how(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("ended with code {code} and no answer"),
        Ending::Signaled(signal) => format!("was killed by {signal}"),
        Ending::Unknown => "is gone".to_owned(),
    }
}
