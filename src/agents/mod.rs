//! The agents, one file or folder each.

pub mod clvm;
pub mod drbd_helper;
mod jobs;
pub mod lio;
pub mod vip;

use crate::ocf::spec::AgentSpec;

/// Every agent there is.
pub static ALL: &[&AgentSpec] = &[&lio::LIO, &vip::VIP, &drbd_helper::DRBD_HELPER, &clvm::CLVM];

/// The agent of exactly this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static AgentSpec> {
    ALL.iter().copied().find(|spec| spec.name == name)
}
