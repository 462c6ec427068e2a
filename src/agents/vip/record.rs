//! What a start wrote down before it changed anything, so that a stop finds it again whatever has become of the configuration.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kernel::task;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;
use crate::ocf::state_file::StateFile;

/// Where the address was put. An older version may have written it: what is missing has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The address.
    pub ip: IpAddr,
    /// How many bits of it are the network's.
    pub prefix: u8,
    /// The number of the link; 0 when it is not known. Unlike its name it stays.
    pub index: u32,
    /// The name that the parameter `nic` had.
    #[serde(default)]
    pub nic: Option<String>,
    /// The network namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The label of the source address selection, if the start added it.
    #[serde(default)]
    pub source_label: Option<u32>,
    /// When the start was, in clock ticks since boot.
    #[serde(default)]
    pub since: u64,
}

fn file(cx: &Context) -> StateFile {
    StateFile::new(cx, "VIP", "record")
}

impl Record {
    /// The record of this instance; `None` when there is none, or none that can be understood.
    #[must_use]
    pub fn load(cx: &Context) -> Option<Self> {
        let text = file(cx).read().inspect_err(|e| tracing::warn!("{e}")).ok()??;
        serde_json::from_str(&text).inspect_err(|e| tracing::warn!("the record of the start is ignored: {e}")).ok()
    }

    /// Writes it down.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn save(&self, cx: &Context) -> Result<(), OcfError> {
        let text = serde_json::to_vec(self).map_err(|e| OcfError::new(Code::Generic, e))?;
        Ok(file(cx).write(&text)?)
    }

    /// Whether the start was less than that long ago.
    #[must_use]
    pub fn is_younger_than(&self, age: Duration) -> bool {
        task::now_in_ticks().is_ok_and(|now| Duration::from_millis(now.saturating_sub(self.since) * 10) < age)
    }

    /// Forgets it. That it stays when the directory is not writable is logged: it says nothing of an address that is gone.
    pub fn forget(cx: &Context) {
        if let Err(e) = file(cx).remove() {
            tracing::warn!("{e}");
        }
    }
}
