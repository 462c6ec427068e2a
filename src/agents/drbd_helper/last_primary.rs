//! Which node was Primary last, as far as this one has seen: kept over a reboot, so that a node that comes up alone knows whether the other one
//! may have newer data.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::guard::records_of;
use crate::kernel::attr::Root;
use crate::kernel::error::{KernelError, Result};
use crate::ocf::log;

const FILE: &str = "last-primary.json";

/// Who was Primary last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// This node.
    Here,
    /// A peer.
    Peer,
    /// Nobody since the disks were last seen to be equal.
    Nobody,
}

/// What was last seen of a Primary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPrimary {
    /// Who it was.
    pub who: Who,
    /// The name of the node, as far as it is known: the host name of this one, what DRBD 9 calls the peer.
    #[serde(default)]
    pub node: Option<String>,
    /// When that was seen, in UTC: `2026-01-31T12:00:00Z`.
    pub at: String,
    /// What happened: `promoted`, `demoted`, `seen`.
    pub event: String,
    /// The data generation at that time, where it was to be had.
    #[serde(default)]
    pub generation: Option<String>,
}

impl LastPrimary {
    /// What is seen now.
    #[must_use]
    pub fn now(who: Who, node: Option<String>, event: &str) -> Self {
        Self { who, node, at: now(), event: event.to_owned(), generation: None }
    }

    /// What was last seen of this resource; `None` when nothing was, or nothing that can be understood.
    #[must_use]
    pub fn load(root: &Root, resource: &str) -> Option<Self> {
        let text = records_of(root, resource).read_opt(FILE).inspect_err(|e| tracing::warn!("{e}")).ok()??;
        serde_json::from_str(&text).inspect_err(|e| tracing::warn!("{FILE} is ignored: {e}")).ok()
    }

    /// Writes it down, on the disk when this returns.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn save(&self, root: &Root, resource: &str) -> Result<()> {
        let dir = records_of(root, resource);
        dir.create_all(0o755)?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| KernelError::new("write", dir.path().join(FILE), e.into()))?;
        dir.replace_file_for_good(FILE, &text)
    }

    /// As [`LastPrimary::save`]; that it fails is logged.
    pub fn note(&self, root: &Root, resource: &str) {
        if let Err(e) = self.save(root, resource) {
            tracing::warn!("{e}");
        }
    }
}

/// Now, in UTC, as the records have it.
#[must_use]
pub fn now() -> String {
    let ((year, month, day), time) = log::utc(SystemTime::now());
    format!("{year:04}-{month:02}-{day:02}T{time}Z")
}

/// The name of this node.
#[must_use]
pub fn this_node(root: &Root) -> Option<String> {
    let name = root.dir("/proc/sys/kernel").read_opt("hostname").ok().flatten()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_last_is_read_back_and_rubbish_is_nothing() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        assert_eq!(LastPrimary::load(&root, "r0"), None);
        let seen = LastPrimary::now(Who::Peer, Some("node2".into()), "seen");
        seen.save(&root, "r0").unwrap();
        assert_eq!(LastPrimary::load(&root, "r0"), Some(seen));
        records_of(&root, "r0").set(FILE, "{").unwrap();
        assert_eq!(LastPrimary::load(&root, "r0"), None);
    }
}
