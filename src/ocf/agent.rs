//! What every agent is: the verbs it must know, the states it can find, and what it gets to work with.

use super::env::Env;
use super::error::{Code, OcfError};
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
    /// Broken in the promoted role: 9, after which the resource manager demotes before it stops.
    FailedPromoted(String),
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
            Self::FailedPromoted(why) => (Code::FailedPromoted, Some(why)),
        }
    }

    /// Whether it serves.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Running | Self::Promoted | Self::Degraded(_) | Self::DegradedPromoted(_))
    }

    /// Whether nothing of it is there.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }

    /// Whether it serves in the promoted role.
    #[must_use]
    pub fn is_promoted(&self) -> bool {
        matches!(self, Self::Promoted | Self::DegradedPromoted(_))
    }

    /// Whether it serves, or is absent, and at any rate not promoted.
    #[must_use]
    pub fn is_demoted(&self) -> bool {
        matches!(self, Self::Stopped | Self::Running | Self::Degraded(_))
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

    /// What is there now, without asking how well it does: what start and stop need to know before and after. Unlike a monitor it never
    /// waits to see whether something moves.
    ///
    /// # Errors
    /// Only when the state can not be told.
    fn presence(&self, cx: &Context) -> Result<State, OcfError> {
        self.monitor(cx, Level::Cheap)
    }

    /// Makes it run. Called only when [`Agent::monitor`] did not find it running.
    ///
    /// # Errors
    /// Nothing of this start is left behind.
    fn start(&self, cx: &Context) -> Result<(), OcfError>;

    /// What there is to do for a start that finds it running already.
    ///
    /// # Errors
    /// Are logged and nothing else: it runs.
    fn start_again(&self, _cx: &Context) -> Result<(), OcfError> {
        Ok(())
    }

    /// Takes it away. Needs nothing but the name of what it stops.
    ///
    /// # Errors
    /// Something is still there.
    fn stop(&self, cx: &Context) -> Result<(), OcfError>;

    /// What there is to do for a stop that finds nothing of it: such as what it has left elsewhere.
    ///
    /// # Errors
    /// Are logged and nothing else: it does not run.
    fn stop_again(&self, _cx: &Context) -> Result<(), OcfError> {
        Ok(())
    }

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

    /// Brings it into the promoted role. Called only when [`Agent::monitor`] found it running and not promoted.
    ///
    /// # Errors
    /// It is not promoted. An agent that does not declare `promote` is never asked.
    fn promote(&self, _cx: &Context) -> Result<(), OcfError> {
        Err(unimplemented("promote"))
    }

    /// Takes it out of the promoted role.
    ///
    /// # Errors
    /// It may still be promoted. An agent that does not declare `demote` is never asked.
    fn demote(&self, _cx: &Context) -> Result<(), OcfError> {
        Err(unimplemented("demote"))
    }

    /// Hears what happens to the other instances; the environment says what.
    ///
    /// # Errors
    /// Are logged and nothing else: the result of a notification changes nothing.
    fn notify(&self, _cx: &Context) -> Result<(), OcfError> {
        Err(unimplemented("notify"))
    }
}

fn unimplemented(action: &str) -> OcfError {
    OcfError::new(Code::Unimplemented, format_args!("{action}: no such action"))
}
