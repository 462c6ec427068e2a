//! What the OCF contract makes of an agent: which action may be called with what, idempotence, re-checks, and every exit code.
//!
//! Three steps that must stay functions of their own: [`prepare`] says what is wrong before anything is built, `perform` does the
//! action and leaves it by `?` wherever it likes, and [`act`] makes the answer of whatever came out. An early return in the second can
//! not pass by the third.

use super::env::{Env, Params};
use super::error::{Code, OcfError};
use super::spec::AgentSpec;

pub use super::agent::{Agent, Context, Level, State};

/// What an action comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the process exits with.
    pub code: Code,
    /// For the human; never set when all is well.
    pub reason: Option<String>,
    /// Whether something of ours sits in the kernel and will not come back.
    pub stuck: bool,
}

impl Answer {
    /// Done, and nothing to say.
    pub const SUCCESS: Self = Self { code: Code::Success, reason: None, stuck: false };

    fn of(state: &State) -> Self {
        let (code, reason) = state.answer();
        Self { code, reason: reason.map(str::to_owned), stuck: false }
    }
}

/// An error outside of any action, such as a wrong parameter.
impl From<OcfError> for Answer {
    fn from(e: OcfError) -> Self {
        Self { code: e.code, reason: Some(e.reason), stuck: e.stuck }
    }
}

/// The actions that reach an agent. `meta-data` and help are answered from the declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Monitor,
    Start,
    Stop,
    Promote,
    Demote,
    Notify,
    ReloadAgent,
    ValidateAll,
}

impl Action {
    fn of(spec: &AgentSpec, name: &str) -> Result<Self, OcfError> {
        let action = match name {
            "status" => return Ok(Self::Monitor),
            "validate-all" => return Ok(Self::ValidateAll),
            "monitor" => Self::Monitor,
            "start" => Self::Start,
            "stop" => Self::Stop,
            "promote" => Self::Promote,
            "demote" => Self::Demote,
            "notify" => Self::Notify,
            "reload-agent" => Self::ReloadAgent,
            _ => return Err(no_such_action(name)),
        };
        spec.action(name).map(|_| action).ok_or_else(|| no_such_action(name))
    }
}

fn no_such_action(name: &str) -> OcfError {
    OcfError::new(Code::Unimplemented, format_args!("{name}: no such action"))
}

/// Checks the action, the version of the contract and the parameters, before anything is built.
///
/// A stop is lenient: it must work with a broken configuration, so what is wrong is logged and the default, or nothing, stands in.
///
/// # Errors
/// [`Code::Unimplemented`] for an action that the agent does not have, [`Code::Args`] for a caller that speaks another major version
/// of the contract, [`Code::Configured`] for a parameter, from a probe too: what is wrong everywhere is no "not running".
pub fn prepare(spec: &AgentSpec, action: &str, env: &Env) -> Result<Params, OcfError> {
    let action = Action::of(spec, action)?;
    let version = speaks_our_version(env);
    if action == Action::Stop {
        if let Err(e) = version {
            tracing::warn!("{e}");
        }
        return Ok(Params::lenient(env, spec.params));
    }
    version?;
    Params::check(env, spec.params)
}

/// "A major number mismatch between the RA and the RM must be reported as an error by both sides" (OCF API 1.1, "API Version Numbers").
/// Testers and people do not set it at all.
fn speaks_our_version(env: &Env) -> Result<(), OcfError> {
    match env.get("OCF_RA_VERSION_MAJOR").map(str::trim) {
        None | Some("" | "1") => Ok(()),
        Some(_) => Err(OcfError::new(Code::Args, "OCF_RA_VERSION_MAJOR: only version 1 is spoken here")),
    }
}

/// Performs the action and says what it comes to.
///
/// What is not installed here is "not running" to a probe ([`Code::Installed`], and [`Code::Args`], which says as much of this machine).
/// To a stop it is nothing of the kind: a target lives on without the program that made it. An agent whose resource is gone with
/// what it needs says so by [`State::Stopped`].
#[must_use]
pub fn act(spec: &AgentSpec, action: &str, params: &Params, cx: &Context) -> Answer {
    let action = match Action::of(spec, action) {
        Ok(action) => action,
        Err(e) => return e.into(),
    };
    match perform(spec, action, params, cx) {
        Ok(answer) => answer,
        Err(e) if is_absence(&e) && action == Action::Monitor && cx.env.is_probe() => {
            tracing::info!("{e}: taken as not running");
            Answer { code: Code::NotRunning, ..Answer::SUCCESS }
        }
        Err(e) if action == Action::Notify && e.code != Code::Unimplemented => {
            tracing::error!("notify: {e}");
            Answer { stuck: e.stuck, ..Answer::SUCCESS }
        }
        Err(e) => Answer { code: failing_code(action, e.code), ..e.into() },
    }
}

/// Whether the error means that what is needed is not on this machine.
fn is_absence(e: &OcfError) -> bool {
    matches!(e.code, Code::Installed | Code::Args) && !e.stuck
}

/// The code of a failed action: an error never says "success", "not running", "promoted" or "degraded", whatever the agent put in it.
fn failing_code(action: Action, code: Code) -> Code {
    match code {
        Code::Args | Code::Unimplemented | Code::Perm | Code::Installed | Code::Configured => code,
        Code::FailedPromoted if action == Action::Monitor => code,
        _ => Code::Generic,
    }
}

fn perform(spec: &AgentSpec, action: Action, params: &Params, cx: &Context) -> Result<Answer, OcfError> {
    let agent = (spec.build)(params)?;
    let now = || agent.presence(cx);
    match action {
        Action::Monitor => return Ok(Answer::of(&agent.monitor(cx, cx.env.level())?)),
        Action::ValidateAll => agent.validate(cx, cx.env.level())?,
        Action::ReloadAgent => agent.reload_agent(cx)?,
        Action::Notify => agent.notify(cx)?,
        Action::Stop => return stop(agent.as_ref(), cx),
        Action::Start => {
            if now()?.is_active() {
                let _ = agent.start_again(cx).inspect_err(|e| tracing::warn!("start of what runs already: {e}"));
            } else {
                agent.start(cx)?;
                settled("start", &now()?, State::is_active)?;
            }
        }
        Action::Promote => {
            let before = now()?;
            if !before.is_promoted() {
                settled("promote", &before, State::is_active)?;
                agent.promote(cx)?;
                settled("promote", &now()?, State::is_promoted)?;
            }
        }
        // Of a dead promoted instance the recovery is demote, stop, start: "not running" is as demoted as can be.
        Action::Demote => {
            if !now().is_ok_and(|state| state.is_demoted()) {
                agent.demote(cx)?;
                settled("demote", &now()?, State::is_demoted)?;
            }
        }
    }
    Ok(Answer::SUCCESS)
}

/// A stop that can not tell what is there tries all the same.
fn stop(agent: &dyn Agent, cx: &Context) -> Result<Answer, OcfError> {
    match agent.presence(cx) {
        Ok(State::Stopped) => {
            let _ = agent.stop_again(cx).inspect_err(|e| tracing::warn!("stop of what does not run: {e}"));
            return Ok(Answer::SUCCESS);
        }
        Ok(_) => {}
        Err(e) => tracing::warn!("stop: the state can not be told: {e}"),
    }
    agent.stop(cx)?;
    settled("stop", &agent.presence(cx)?, State::is_stopped)?;
    Ok(Answer::SUCCESS)
}

/// The re-check: the machine, not the absence of an error, says whether it worked.
fn settled(action: &str, state: &State, as_it_should: fn(&State) -> bool) -> Result<(), OcfError> {
    if as_it_should(state) {
        return Ok(());
    }
    let reason = match state {
        State::Stopped => format!("{action}: not running"),
        State::Running => format!("{action}: running"),
        State::Promoted => format!("{action}: running promoted"),
        State::Degraded(why) => format!("{action}: running, degraded: {why}"),
        State::DegradedPromoted(why) => format!("{action}: running promoted, degraded: {why}"),
        State::Partial(why) | State::Failed(why) | State::FailedPromoted(why) => format!("{action}: {why}"),
    };
    Err(OcfError::new(Code::Generic, reason))
}
