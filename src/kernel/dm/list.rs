//! Which devices there are.

use super::decode::{self, Entry, Said};
use super::request::{Call, Request, Which};
use super::{DeviceMapper, Result};
use crate::kernel::error::KernelError;

/// A device in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without `/dev/mapper/`.
    pub name: String,
    /// Its UUID, if it has one.
    pub uuid: Option<String>,
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// How many events it had; 0 before Linux 4.13, which does not say.
    pub event_nr: u32,
}

impl DeviceMapper {
    /// All devices whose UUID begins like this; all there are for an empty beginning, those without a UUID too.
    ///
    /// One call, which waits for no disk; before Linux 5.13 one more for each device there is.
    ///
    /// # Errors
    /// A beginning that is longer than a UUID, or whatever the kernel says.
    pub fn list(&self, uuid_prefix: &str) -> Result<Vec<Listed>> {
        const DOING: &str = "list";
        let failed = |e: std::io::Error| KernelError::new(DOING, super::CONTROL, e);
        let answer = Request::list(uuid_prefix).and_then(|request| request.send(&self.control, Call::ListDevices));
        let answer = answer.map_err(|e| failed(e.into()))?;
        let entries = decode::list(answer.payload()).ok_or_else(|| failed(std::io::ErrorKind::InvalidData.into()))?;
        let mut found = Vec::new();
        for Entry { name, uuid, major, minor, event_nr } in entries {
            let uuid = match uuid {
                Said::Uuid(uuid) => Some(uuid),
                Said::None => None,
                Said::Nothing => match self.status(Which::Number(major, minor))? {
                    Some(info) => Some(info.uuid).filter(|uuid| !uuid.is_empty()),
                    // It went away since.
                    None => continue,
                },
            };
            // A kernel that can not filter gives them all.
            if uuid.as_deref().unwrap_or_default().starts_with(uuid_prefix) {
                found.push(Listed { name, uuid, major, minor, event_nr });
            }
        }
        Ok(found)
    }
}
