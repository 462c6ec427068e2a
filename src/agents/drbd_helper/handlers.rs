//! Where the agent, the handlers that DRBD calls and the guided commands meet: the directory of what handlers keep until the next boot, and the
//! lock that one holds while it is at work.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record;
use crate::kernel::attr::{Dir, Root};
use crate::ocf::state_file::file_name;

/// Where handlers keep what a reboot clears.
pub const STATE: &str = "/run/ocf-san/drbd";

/// What fence-peer answers, as the module reads it (`drbd_nl.c`, `conn_try_outdate_peer`): the peer is outdated or can not be promoted.
pub const OUTDATED: u8 = 4;
/// The peer can not be reached and is assumed to be dead.
pub const UNREACHABLE: u8 = 5;
/// The peer was fenced by the cluster.
pub const FENCED: u8 = 7;

/// The directory of what handlers keep until the next boot. Touches nothing.
#[must_use]
pub fn state_dir(root: &Root) -> Dir {
    root.dir(STATE)
}

/// The name of the lock in [`state_dir`] that a handler of this resource holds.
#[must_use]
pub fn lock_name(resource: &str) -> String {
    format!("{}.handler.lock", file_name(resource))
}

/// What a handler said last, until the next boot: a file of its own in [`state_dir`].
#[derive(Debug, Serialize, Deserialize)]
pub struct LastCall {
    /// When, for people.
    pub at: String,
    /// When, in clock ticks since boot.
    #[serde(default)]
    pub ticks: u64,
    /// Which peers it was about.
    pub peer: String,
    /// One word for what came of it.
    pub result: String,
    /// Its exit code.
    pub code: u8,
    /// Why.
    pub why: String,
}

impl LastCall {
    /// That of this handler for this resource; `None` when it has not been called since the boot, or that can not be told.
    #[must_use]
    pub fn load(root: &Root, resource: &str, handler: &str) -> Option<Self> {
        let text = state_dir(root).read_opt(Self::file(resource, handler)).inspect_err(|e| tracing::debug!("{e}")).ok()??;
        serde_json::from_str(&text).inspect_err(|e| tracing::debug!("{e}")).ok()
    }

    /// Writes it down. A handler does not fail for want of a place for it.
    pub fn save(&self, root: &Root, resource: &str, handler: &str) {
        let kept = serde_json::to_vec(self).map(|text| state_dir(root).replace_file(&Self::file(resource, handler), &text));
        if let Ok(Err(e)) = kept {
            tracing::debug!("{e}");
        }
    }

    /// Whether it was made after this moment, in clock ticks since boot, or not more than so much before it.
    #[must_use]
    pub fn is_after(&self, moment: u64, before: Duration) -> bool {
        record::since(self.ticks) <= record::since(moment) + before
    }

    fn file(resource: &str, handler: &str) -> String {
        format!("{}.{handler}.json", file_name(resource))
    }
}
