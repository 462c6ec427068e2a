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

#[cfg(test)]
mod tests {
    use super::super::Removal;
    use super::*;
    use crate::deadline::Deadline;
    use crate::kernel::attr::Root;
    use crate::kernel::exec::Tool;

    #[test]
    #[ignore = "vm: makes 81 device-mapper devices; needs root and the zero target"]
    fn real_devices_are_listed_by_their_uuids_and_removed_unless_they_are_open() {
        const PREFIX: &str = "OCFSAN-test-";
        const PLAIN: &str = "ocf-san-test-plain";
        let root = Root::host();
        let soon = || Deadline::after(std::time::Duration::from_secs(60));
        let dmsetup = Tool::find(&root, "dmsetup").unwrap();
        let dm = DeviceMapper::open(&root).unwrap().unwrap();
        let before = dm.list("").unwrap().len();
        // More than fit into the first answer.
        let ends: Vec<String> = (0..80).map(|n| format!("{n:0>90}")).collect();
        let found = (|| {
            for end in &ends {
                let uuid = format!("{PREFIX}{end}");
                dmsetup.ok(&["create", end, "--uuid", &uuid, "--table", "0 2048 zero"], soon())?;
            }
            dmsetup.ok(&["create", PLAIN, "--table", "0 2048 zero"], soon())?;
            let (ours, all, none) = (dm.list(PREFIX)?, dm.list("")?, dm.list("OCFSAN-other-")?);
            let one = dm.list(&format!("{PREFIX}{}", ends[7]))?;
            let state = dm.target_status(Which::Uuid(&format!("{PREFIX}{}", ends[7])))?;
            let open = std::fs::File::open(format!("/dev/mapper/{}", ends[7]));
            let busy = dm.remove(Which::Name(&ends[7]))?;
            drop(open.map_err(|e| KernelError::new("open", "test device", e))?);
            dmsetup.ok(&["suspend", "--noflush", "--nolockfs", &ends[8]], soon())?;
            let resumed = (dm.resume(Which::Name(&ends[8]))?, dm.status(Which::Name(&ends[8]))?.map(|info| info.suspended));
            Ok::<_, KernelError>((ours, all, none, one, state, busy, resumed))
        })();
        let removed: Vec<_> =
            ends.iter().map(String::as_str).chain([PLAIN]).map(|name| dm.remove(Which::Name(name)).unwrap()).collect();
        let (ours, all, none, one, state, busy, resumed) = found.unwrap();
        assert_eq!((ours.len(), all.len(), none.len(), one.len()), (80, before + 81, 0, 1));
        assert!(ours.iter().all(|device| device.uuid == Some(format!("{PREFIX}{}", device.name)) && device.major > 0));
        assert!(all.iter().any(|device| device.name == PLAIN && device.uuid.is_none()));
        assert_eq!((one[0].name.as_str(), one[0].event_nr), (ends[7].as_str(), 0));
        let state = state.unwrap();
        assert_eq!((state.len(), state[0].kind.as_str(), state[0].params.as_str()), (1, "zero", ""));
        assert_eq!((busy, resumed), (Removal::Busy, (true, Some(false))));
        assert!(removed.iter().all(|removal| *removal == Removal::Removed), "{removed:?}");
        assert_eq!(dm.remove(Which::Name(&ends[7])).unwrap(), Removal::Absent);
        assert!(!dm.resume(Which::Name(&ends[8])).unwrap() && dm.target_status(Which::Name(&ends[8])).unwrap().is_none());
        assert_eq!(dm.list("").unwrap().len(), before);
    }
}
