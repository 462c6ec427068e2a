//! What a start wrote down before it changed anything, so that a stop finds it again whatever has become of the configuration.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

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
    /// The link's own name; empty when it is not known.
    pub nic: String,
    /// The network namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The label of the source address selection, if the start added it.
    #[serde(default)]
    pub source_label: Option<u32>,
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

    /// The link, if it is known.
    #[must_use]
    pub fn nic(&self) -> Option<&str> {
        Some(self.nic.as_str()).filter(|nic| !nic.is_empty())
    }

    /// Forgets it. That it stays when the directory is not writable is logged: it says nothing of an address that is gone.
    pub fn forget(cx: &Context) {
        if let Err(e) = file(cx).remove() {
            tracing::warn!("{e}");
        }
    }
}
