//! What every agent is, and what the OCF contract makes of it.

use super::env::{Env, Params};
use super::error::{Code, OcfError};
use super::spec::AgentSpec;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;

/// What a monitor found. "Not running" is a finding, never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing of it is there: 7.
    Stopped,
    /// Complete: 0.
    Running,
    /// Complete, in the promoted role: 8.
    Promoted,
    /// Serving, but someone should look: 190.
    Degraded(String),
    /// Serving in the promoted role, but someone should look: 191.
    DegradedPromoted(String),
    /// Half-built: neither running nor stopped: 1.
    Partial(String),
    /// Broken: 1.
    Failed(String),
}

impl State {
    /// The exit code of a monitor and the reason that goes with it.
    #[must_use]
    pub fn answer(&self) -> (Code, Option<&str>) {
        match self {
            Self::Stopped => (Code::NotRunning, None),
            Self::Running => (Code::Success, None),
            Self::Promoted => (Code::RunningPromoted, None),
            Self::Degraded(why) => (Code::Degraded, Some(why)),
            Self::DegradedPromoted(why) => (Code::DegradedPromoted, Some(why)),
            Self::Partial(why) | Self::Failed(why) => (Code::Generic, Some(why)),
        }
    }

    /// Whether it serves.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Running | Self::Promoted | Self::Degraded(_) | Self::DegradedPromoted(_))
    }
}

/// How deep a monitor or `validate-all` looks (OCF API 1.1, "Check levels"). An unknown level falls to the next lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 0: cheap.
    Cheap,
    /// 10: compares with the configuration; for `validate-all`, with this machine.
    Config,
    /// 20: reads from the device.
    Device,
}

impl Level {
    /// The level that `OCF_CHECK_LEVEL` asks for.
    #[must_use]
    pub fn from_number(level: u32) -> Self {
        match level {
            0..=9 => Self::Cheap,
            10..=19 => Self::Config,
            _ => Self::Device,
        }
    }
}

/// What an action gets beside its parameters.
pub struct Context<'a> {
    /// The machine.
    pub root: &'a Root,
    /// The environment.
    pub env: &'a Env,
    /// By when the action must have answered.
    pub deadline: Deadline,
    /// Says what is being done now, in words for the evidence should it hang: "disable iqn…". Cheap.
    pub progress: &'a dyn Fn(&str),
}

/// A resource agent: monitor, start, stop, and the rest only where it means something.
pub trait Agent {
    /// What is there now. Changes nothing.
    ///
    /// # Errors
    /// Only when the state can not be told.
    fn monitor(&self, cx: &Context, level: Level) -> Result<State, OcfError>;

    /// Makes it run. Called only when [`Agent::monitor`] did not find it running.
    ///
    /// # Errors
    /// Nothing of this start is left behind.
    fn start(&self, cx: &Context) -> Result<(), OcfError>;

    /// Takes it away. Needs nothing but the name of what it stops.
    ///
    /// # Errors
    /// Something is still there.
    fn stop(&self, cx: &Context) -> Result<(), OcfError>;

    /// Checks parameters beyond their syntax, and from [`Level::Config`] on this machine.
    ///
    /// # Errors
    /// What start would refuse.
    fn validate(&self, cx: &Context, level: Level) -> Result<(), OcfError>;

    /// Takes over changed reloadable parameters.
    ///
    /// # Errors
    /// They did not take effect.
    fn reload_agent(&self, _cx: &Context) -> Result<(), OcfError> {
        Ok(())
    }
}

/// What is answered to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the process exits with.
    pub code: Code,
    /// For the human; never set when all is well.
    pub reason: Option<String>,
    /// Whether something of ours sits in the kernel and will not come back.
    pub stuck: bool,
}

/// Does an action. A stand-in: the real one knows the whole contract.
#[must_use]
pub fn act(spec: &AgentSpec, action: &str, params: &Params, cx: &Context) -> Answer {
    let done = (spec.build)(params).and_then(|agent| match action {
        "monitor" => {
            let level = cx.env.get("OCF_CHECK_LEVEL").and_then(|text| text.parse().ok()).unwrap_or_default();
            let state = agent.monitor(cx, Level::from_number(level))?;
            let (code, reason) = state.answer();
            Ok(Answer { code, reason: reason.map(str::to_owned), stuck: false })
        }
        "start" => agent.start(cx).map(|()| Answer { code: Code::Success, reason: None, stuck: false }),
        "stop" => agent.stop(cx).map(|()| Answer { code: Code::Success, reason: None, stuck: false }),
        _ => Err(OcfError::new(Code::Unimplemented, "no such action")),
    });
    done.unwrap_or_else(|e| Answer { code: e.code, reason: Some(e.reason), stuck: e.stuck })
}
