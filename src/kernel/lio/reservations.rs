//! Persistent reservations that a start gives back to the kernel: `<dbroot>/pr/aptpl_SERIAL`, as the kernel itself wrote it
//! (`core_scsi3_update_aptpl_buf`, `target_core_pr.c`), into `pr/res_aptpl_metadata` of a backstore that nothing exports yet.

use std::path::PathBuf;

use super::Lio;
use crate::kernel::attr::Dir;
use crate::kernel::error::Result;

/// What the kernel and rtslib have for a `dbroot`: which of them it is depends on what was loaded first (`target_core_configfs.c`; rtslib's
/// `root.py`).
const DBROOTS: [&str; 3] = ["/var/target", "/etc/target", "/etc/rtslib-fb-target"];

/// The directory of the kernel's reservation files, and whether it is one that follows the resource.
#[derive(Debug, Clone)]
pub struct Store {
    dir: Dir,
    /// Whether `pr` is mounted from elsewhere or a link to elsewhere: a local one was written when this node last had the resource,
    /// and what it says may long be over.
    pub follows: bool,
}

impl Store {
    /// The directory that the kernel writes to now; `None` when there is none.
    ///
    /// # Errors
    /// Whatever looking says.
    pub fn find(lio: &Lio) -> Result<Option<Self>> {
        let Some(dbroot) = lio.base().read_opt("dbroot")? else { return Ok(None) };
        let dbroot = lio.root().dir(dbroot);
        let dir = dbroot.dir("pr");
        if !dir.exists()? {
            return Ok(None);
        }
        let follows = dir.device()? != dbroot.device()?;
        Ok(Some(Self { dir, follows }))
    }

    /// A directory that would follow the resource and that the kernel does not use on this node.
    #[must_use]
    pub fn elsewhere(&self, lio: &Lio) -> Option<PathBuf> {
        let follows = |dbroot: &str| {
            let dbroot = lio.root().dir(dbroot);
            let device = dbroot.dir("pr").device().ok()?;
            (device != dbroot.device().ok()?).then(|| dbroot.dir("pr").path().to_owned())
        };
        DBROOTS.iter().find_map(|dbroot| follows(dbroot)).filter(|_| !self.follows)
    }

    /// The registrations of the backstore with this serial number, each as the one line that the kernel takes.
    ///
    /// # Errors
    /// The file is there and can not be read.
    pub fn registrations(&self, serial: &str) -> Result<Vec<String>> {
        let text = self.dir.read_opt(format!("aptpl_{serial}"))?;
        Ok(text.map(|text| parse(&text)).unwrap_or_default())
    }
}

/// Gives one registration back. Before the first LUN, after the serial number.
///
/// # Errors
/// Whatever the kernel says; EINVAL when a field is missing.
pub fn give_back(storage_object: &Dir, registration: &str) -> Result<()> {
    storage_object.set("pr/res_aptpl_metadata", registration)
}

/// `PR_REG_START: 0`, one `key=value` a line, `PR_REG_END: 0`, over and over, then a NUL.
fn parse(text: &str) -> Vec<String> {
    let mut registrations = Vec::new();
    let mut fields: Option<Vec<&str>> = None;
    for line in text.trim_end_matches('\0').lines().map(str::trim) {
        if line.starts_with("PR_REG_START:") {
            fields = Some(Vec::new());
        } else if line.starts_with("PR_REG_END:") {
            registrations.extend(fields.take().map(|f| f.join(",")));
        } else if let Some(fields) = &mut fields {
            fields.push(line);
        }
    }
    registrations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attr::Root;

    #[test]
    fn a_directory_that_follows_the_resource_and_is_not_the_kernels_is_told() {
        let keep = tempfile::tempdir().unwrap();
        let lio = Lio::new(&Root::fake(keep.path()));
        let root = lio.root();
        root.dir("/etc/target/pr").create_all(0o755).unwrap();
        root.dir("/var/target").create_all(0o755).unwrap();
        lio.base().create_all(0o755).unwrap();
        lio.base().set("dbroot", "/etc/target").unwrap();
        let find = || Store::find(&lio).unwrap().unwrap();
        assert_eq!(find().elsewhere(&lio), None, "there is only this one, and it is local");
        std::os::unix::fs::symlink("/proc", root.path("/var/target/pr")).unwrap();
        assert_eq!(find().elsewhere(&lio), Some(root.path("/var/target/pr")));
        root.dir("/etc/target/pr").remove().unwrap();
        std::os::unix::fs::symlink("/proc", root.path("/etc/target/pr")).unwrap();
        assert_eq!(find().elsewhere(&lio), None, "the kernel's own does");
    }

    #[test]
    fn each_complete_registration_is_one_line() {
        let text = "PR_REG_START: 0\ninitiator_fabric=iSCSI\nsa_res_key=2748\nPR_REG_END: 0\n\
                    PR_REG_START: 1\nsa_res_key=1\nPR_REG_END: 1\nPR_REG_START: 2\nsa_res_key=3\n\0";
        assert_eq!(parse(text), ["initiator_fabric=iSCSI,sa_res_key=2748", "sa_res_key=1"]);
        assert_eq!(parse("No Registrations or Reservations"), [""; 0]);
    }
}
