//! What a monitor makes of a doubt: something is wrong, and what the resource does may not be. Shared by the agents that let the user say.

use super::agent::State;
use super::spec::{Content, ParamValue};

/// What is said of something that still serves although it should not be as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDoubt {
    /// Running, but worth a look.
    Degraded,
    /// Broken.
    Fail,
}

impl OnDoubt {
    /// The state that goes with it.
    #[must_use]
    pub fn state(self, why: String) -> State {
        match self {
            Self::Degraded => State::Degraded(why),
            Self::Fail => State::Failed(why),
        }
    }
}

impl ParamValue for OnDoubt {
    const CONTENT: Content = Content::Select(&["degraded", "fail"]);
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "degraded" => Ok(Self::Degraded),
            "fail" => Ok(Self::Fail),
            _ => Err("neither degraded nor fail".to_owned()),
        }
    }
}
