//! Performs an action so that the caller is answered in time.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::ocf::env::{Env, Params};
use crate::ocf::run::{Answer, Context, act};
use crate::ocf::spec::AgentSpec;

/// Performs the action in this process.
#[must_use]
pub fn call(spec: &'static AgentSpec, action: &str, params: &Params, env: &Env, root: &Root) -> Answer {
    let limit = env.timeout().unwrap_or(Duration::from_secs(20));
    act(spec, action, params, &Context { root, env, deadline: Deadline::after(limit), progress: &|_| {} })
}
