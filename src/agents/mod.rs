//! The agents, one file or folder each.

pub mod lio;

use crate::ocf::spec::AgentSpec;

/// Every agent there is.
pub static ALL: &[&AgentSpec] = &[&lio::LIO];
