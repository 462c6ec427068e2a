//! The LIO target in configfs: `/sys/kernel/config/target`. Facts about it are from Linux 6.1 and 6.12, drivers/target.

pub mod config;
pub mod fabric;
pub mod inventory;
pub mod json;
pub mod names;
pub mod reservations;
pub mod rules;
pub mod saveconfig;
pub mod storage;
pub mod tpg;

use super::attr::{Dir, Root};

/// The target subsystem. Naming it touches nothing.
#[derive(Debug, Clone)]
pub struct Lio {
    root: Root,
}

impl Lio {
    /// The target subsystem below `root`.
    #[must_use]
    pub fn new(root: &Root) -> Self {
        Self { root: root.clone() }
    }

    /// The machine it is on.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// `/sys/kernel/config/target`.
    #[must_use]
    pub fn base(&self) -> Dir {
        self.root.dir("/sys/kernel/config/target")
    }

    /// `target/core`, the backstores.
    #[must_use]
    pub fn core(&self) -> Dir {
        self.base().dir("core")
    }

    /// `target/iscsi`, the iSCSI fabric.
    #[must_use]
    pub fn iscsi(&self) -> Dir {
        self.base().dir("iscsi")
    }

    /// `target/iscsi/IQN`.
    #[must_use]
    pub fn target(&self, iqn: &str) -> Dir {
        self.iscsi().dir(iqn)
    }

    /// `target/iscsi/IQN/tpgt_TAG`.
    #[must_use]
    pub fn tpg(&self, iqn: &str, tag: u16) -> Dir {
        self.target(iqn).dir(format!("tpgt_{tag}"))
    }

    /// `target/core/HBA/NAME`.
    #[must_use]
    pub fn storage_object(&self, hba: &str, name: &str) -> Dir {
        self.core().dir(hba).dir(name)
    }
}
