//! Proof that the kernel does not have a resource where nobody can be asked for its state: without drbdsetup, or with a version that is not
//! known here. debugfs tells, which 8.4 and 9 have alike, or that there are no such devices. Runs nothing.

use super::super::attr::Root;
use super::super::error::Result;
use super::names::{self, VolumeMinor};

const BLOCK: &str = "/sys/block";

/// Whether the resource is certainly not there. `known` are its volumes and minors, as configured or as last seen; empty when nobody knows.
///
/// # Errors
/// It can not be told.
pub fn is_absent(root: &Root, resource: &str, known: &[VolumeMinor]) -> Result<bool> {
    let block = root.dir(BLOCK);
    if !block.is_directory()? {
        return Ok(false);
    }
    let devices = block.links()?;
    let devices: Vec<u32> = devices.iter().filter_map(|name| name.strip_prefix("drbd")?.parse().ok()).collect();
    match names::volumes_of(root, resource, known, &devices) {
        Ok(found) => Ok(found.is_none()),
        // There are devices of which nobody tells whose they are, and none of them is one of these.
        Err(_) if names::debugfs(root)?.is_none() && !known.is_empty() => {
            Ok(known.iter().all(|(_, minor)| !devices.contains(minor)))
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn machine(minors: &[u32]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        let block = root.dir(BLOCK);
        block.create_all(0o755).unwrap();
        for name in minors.iter().map(|minor| format!("drbd{minor}")).chain(["sda".to_owned()]) {
            symlink(format!("../devices/virtual/block/{name}"), block.dir(&name).path()).unwrap();
        }
        (dir, root)
    }

    #[test]
    fn without_any_device_there_is_no_resource_and_without_sysfs_there_is_no_proof() {
        let (_keep, root) = machine(&[]);
        assert!(is_absent(&root, "r0", &[]).unwrap());
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_absent(&Root::fake(dir.path()), "r0", &[]).unwrap());
    }

    #[test]
    fn what_debugfs_lists_is_there_and_nothing_else_is() {
        let (_keep, root) = machine(&[3]);
        let debugfs = root.dir("/sys/kernel/debug/drbd");
        debugfs.dir("resources/r0/volumes/0").create_all(0o755).unwrap();
        debugfs.dir("minors").create_all(0o755).unwrap();
        // A volume without a minor: it is there by half.
        is_absent(&root, "r0", &[(0, 9)]).unwrap_err();
        symlink("../resources/r0/volumes/0", debugfs.dir("minors/3").path()).unwrap();
        assert!(!is_absent(&root, "r0", &[(0, 9)]).unwrap());
        assert!(is_absent(&root, "r1", &[(0, 3)]).unwrap());
    }

    #[test]
    fn without_debugfs_the_devices_that_it_would_have_decide() {
        let (_keep, root) = machine(&[3, 4]);
        assert!(!is_absent(&root, "r0", &[(0, 3)]).unwrap());
        assert!(is_absent(&root, "r0", &[(0, 7), (1, 8)]).unwrap());
        assert!(!is_absent(&root, "r0", &[(0, 7), (1, 4)]).unwrap(), "one of them is there");
        is_absent(&root, "r0", &[]).unwrap_err();
    }
}
