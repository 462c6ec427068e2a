//! Why a side is guarded, who found it and when.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a side is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Both sides have been written to without each other, and somebody must choose.
    SplitBrain,
    /// An online verify found blocks that differ.
    VerifyDifferences,
    /// The local disk has reported an error.
    IoError,
    /// The other node was Primary later than this one could see.
    OlderData,
    /// Two nodes were Primary that may not be.
    TwoPrimaries,
    /// The guard is there, and can not be read or understood: it may have been any of the others.
    Unreadable,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SplitBrain => "split brain",
            Self::VerifyDifferences => "verify found differences",
            Self::IoError => "I/O error",
            Self::OlderData => "older data",
            Self::TwoPrimaries => "two Primaries",
            Self::Unreadable => "the guard can not be read",
        })
    }
}

/// One reason, with who found it and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Why.
    pub reason: Reason,
    /// When, in UTC: `2026-01-31T12:00:00Z`.
    pub since: String,
    /// Who found it: `handler split-brain`, `monitor`.
    pub by: String,
    /// What there was to see.
    #[serde(default)]
    pub detail: String,
}
