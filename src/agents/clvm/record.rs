//! What a start wrote down: which volume group and logical volumes these are, whatever becomes of names, metadata and configuration.

use serde::{Deserialize, Serialize};

use super::look::Device;
use super::values::Mode;
use crate::kernel::lvm::names::Uuid;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;
use crate::ocf::state_file::StateFile;

/// A start, finished or not. An older version may have written it: what is missing has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The name of the volume group.
    pub vg: String,
    /// Its UUID.
    pub uuid: String,
    /// `vg_access_mode`.
    pub mode: String,
    /// The tag, in mode tagging.
    #[serde(default)]
    pub tag: Option<String>,
    /// The system id of this host, in mode `system_id`.
    #[serde(default)]
    pub system_id: Option<String>,
    /// The logical volumes that are to be active.
    pub lvs: Vec<Recorded>,
    /// The paths of the physical volumes.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Whether the start came to its end.
    #[serde(default)]
    pub is_complete: bool,
}

/// A logical volume of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// Whether it refused writes when it was started.
    #[serde(default)]
    pub is_read_only: bool,
}

impl Recorded {
    /// The logical volumes of these devices, for want of a record.
    #[must_use]
    pub fn of(devices: &[Device]) -> Vec<Self> {
        let volumes = devices.iter().filter(|device| device.is_volume());
        let recorded = |device: &Device| Self {
            name: device.mapping.base().to_owned(),
            uuid: device.mapping.lv_uuid.to_string(),
            is_read_only: false,
        };
        volumes.map(recorded).collect()
    }

    /// Whether this is the logical volume of that UUID.
    #[must_use]
    pub fn is(&self, uuid: &Uuid) -> bool {
        Uuid::parse(&self.uuid).is_ok_and(|own| own == *uuid)
    }
}

fn file(cx: &Context) -> StateFile {
    StateFile::new(cx, "cLVM", "record")
}

impl Record {
    /// The record of this instance; `None` when there is none, or none that can be understood.
    #[must_use]
    pub fn load(cx: &Context) -> Option<Self> {
        let text = file(cx).read().inspect_err(|e| tracing::warn!("{e}")).ok()??;
        let record: Self =
            serde_json::from_str(&text).inspect_err(|e| tracing::warn!("the record of the start is ignored: {e}")).ok()?;
        record.vg_uuid().map(|_| record)
    }

    /// The UUID of the volume group.
    #[must_use]
    pub fn vg_uuid(&self) -> Option<Uuid> {
        Uuid::parse(&self.uuid).ok()
    }

    /// The mode of the start.
    #[must_use]
    pub fn mode(&self) -> Mode {
        Mode::parse(&self.mode).unwrap_or(Mode::Local)
    }

    /// Writes it down.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn save(&self, cx: &Context) -> Result<(), OcfError> {
        let text = serde_json::to_vec(self).map_err(|e| OcfError::new(Code::Generic, e))?;
        Ok(file(cx).write(&text)?)
    }

    /// The records of other instances on this machine, with the names of their files.
    ///
    /// # Errors
    /// The directory can not be read.
    pub fn of_others(cx: &Context) -> Result<Vec<(String, Self)>, OcfError> {
        let dir = cx.root.dir(cx.env.state_dir());
        let own = file(cx).name().to_owned();
        let mut found = Vec::new();
        for entry in dir.entries()? {
            if entry.name == own || !entry.name.starts_with("ocf-san.cLVM-") || !entry.name.ends_with(".record") {
                continue;
            }
            // Gone meanwhile, or of an unknown form: nobody's.
            let Some(text) = dir.read_opt(&entry.name)? else { continue };
            found.extend(serde_json::from_str(&text).ok().map(|record| (entry.name, record)));
        }
        Ok(found)
    }

    /// Forgets it. That it stays when the directory is not writable is logged: it says nothing of what is not active.
    pub fn forget(cx: &Context) {
        if let Err(e) = file(cx).remove() {
            tracing::warn!("{e}");
        }
    }
}
