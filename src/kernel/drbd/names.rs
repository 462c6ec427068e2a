//! Which minors are the volumes of a resource, on 8.4, without netlink: a request of anybody's that is stuck there holds up all others.
//!
//! debugfs knows for certain: `resources/RES/volumes/VOLUME` is a directory and `minors/MINOR` a link to it (`drbd_debugfs.c`). Reading it
//! takes no lock of DRBD's. Where it is not mounted, the links that udev makes tell, and then what the caller has from the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use crate::kernel::attr::{Dir, Root};
use crate::kernel::error::{KernelError, Result};

const DEBUGFS: &str = "/sys/kernel/debug/drbd";
const BY_RES: &str = "/dev/drbd/by-res";

/// A volume and its minor.
pub type VolumeMinor = (u32, u32);

/// The volumes of a resource, by number; `None` when the kernel certainly does not have it. `known` are the minors of `/proc/drbd`, `hint`
/// is what the configuration says.
///
/// A resource without volumes that debugfs does not show is not seen: there is nothing of it that could be open or hold data.
///
/// # Errors
/// It can not be told; `resource` is nothing that a resource may be called.
pub fn volumes_of(root: &Root, resource: &str, hint: &[VolumeMinor], known: &[u32]) -> Result<Option<Vec<VolumeMinor>>> {
    if matches!(resource, "" | "." | "..") || resource.contains('/') {
        return Err(KernelError::new("find DRBD resource", resource, io::ErrorKind::InvalidInput.into()));
    }
    match debugfs(root)? {
        Some(debugfs) => shown(root, &debugfs, resource, hint),
        None => guessed(root, resource, hint, known),
    }
}

/// The names of all resources; a minor that nothing names is `minor-N`, as drbdadm calls it.
///
/// # Errors
/// Whatever reading the directories says.
pub fn resources(root: &Root, known: &[u32]) -> Result<Vec<(String, Vec<VolumeMinor>)>> {
    let Some(debugfs) = debugfs(root)? else { return linked(root, known) };
    let volumes = |name: String| volumes_of(root, &name, &[], known).map(|volumes| volumes.map(|volumes| (name, volumes)));
    debugfs.dir("resources").dirs()?.into_iter().filter_map(|name| volumes(name).transpose()).collect()
}

/// What udev's links name, and the minors that none names.
fn linked(root: &Root, known: &[u32]) -> Result<Vec<(String, Vec<VolumeMinor>)>> {
    let links = links(root)?;
    let nameless = known.iter().filter(|minor| !links.iter().any(|link| link.minor == **minor));
    let mut all: BTreeMap<String, Vec<VolumeMinor>> =
        nameless.map(|minor| (format!("minor-{minor}"), vec![(0, *minor)])).collect();
    for link in links.into_iter().filter(|link| known.contains(&link.minor)) {
        all.entry(link.resource).or_default().push((link.volume, link.minor));
    }
    Ok(all.into_iter().collect())
}

/// DRBD's directory in debugfs, if it is mounted and we may look.
pub(super) fn debugfs(root: &Root) -> Result<Option<Dir>> {
    let dir = root.dir(DEBUGFS);
    match dir.dir("resources").is_directory() {
        Ok(is_there) => Ok(is_there.then_some(dir)),
        Err(e) if e.source.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(e) => Err(e),
    }
}

fn shown(root: &Root, debugfs: &Dir, resource: &str, hint: &[VolumeMinor]) -> Result<Option<Vec<VolumeMinor>>> {
    let here = debugfs.dir("resources").dir(resource);
    let volumes: BTreeSet<u32> = here.dir("volumes").dirs()?.iter().filter_map(|name| name.parse().ok()).collect();
    if volumes.is_empty() {
        return Ok(here.is_directory()?.then(Vec::new));
    }
    let minors = debugfs.dir("minors");
    let mut found = BTreeMap::new();
    let mut try_minor = |minor: &str| -> Result<usize> {
        if let Some((name, volume)) = minors.read_link(minor)?.as_deref().and_then(volume_of) {
            if name == resource {
                found.extend(minor.parse().ok().map(|minor: u32| (volume, minor)));
            }
        }
        Ok(volumes.iter().filter(|volume| !found.contains_key(*volume)).count())
    };
    // One link a volume is read where the others can tell, and every link of the machine otherwise.
    let mut missing = volumes.len();
    for (_, minor) in hint {
        missing = try_minor(&minor.to_string())?;
    }
    if missing > 0 {
        for (_, minor) in links_of(root, resource)? {
            missing = try_minor(&minor.to_string())?;
        }
    }
    if missing > 0 {
        for minor in minors.links()? {
            missing = try_minor(&minor)?;
        }
    }
    if missing > 0 {
        let why = io::Error::other("a volume of it has no minor");
        return Err(KernelError::new("find the minors of DRBD resource", resource, why));
    }
    Ok(Some(found.into_iter().filter(|(volume, _)| volumes.contains(volume)).collect()))
}

/// `../resources/RES/volumes/VOLUME`.
fn volume_of(link: &Path) -> Option<(&str, u32)> {
    let mut parts = link.iter().rev().map(|part| part.to_str());
    let volume = parts.next()??.parse().ok()?;
    let is_volume = parts.next()? == Some("volumes");
    parts.next()?.filter(|_| is_volume).map(|name| (name, volume))
}

fn guessed(root: &Root, resource: &str, hint: &[VolumeMinor], known: &[u32]) -> Result<Option<Vec<VolumeMinor>>> {
    let links = links(root)?;
    let mut ours: BTreeMap<u32, u32> =
        links.iter().filter(|link| link.resource == resource).map(|link| (link.volume, link.minor)).collect();
    // udev is late: links to minors that are all gone are no resource.
    if !ours.values().any(|minor| known.contains(minor)) {
        ours.clear();
    }
    let is_free =
        |minor: &u32| known.contains(minor) && !links.iter().any(|link| link.minor == *minor && link.resource != resource);
    for (volume, minor) in hint.iter().filter(|(_, minor)| is_free(minor)) {
        ours.entry(*volume).or_insert(*minor);
    }
    if !ours.is_empty() {
        return Ok(Some(ours.into_iter().collect()));
    }
    match known.iter().find(|minor| is_free(minor)) {
        None => Ok(None),
        Some(minor) => {
            let why = io::Error::other(format!("neither debugfs nor udev tells whose minor {minor} is"));
            Err(KernelError::new("find DRBD resource", resource, why))
        }
    }
}

/// A link of udev's to a DRBD device.
struct Link {
    resource: String,
    volume: u32,
    minor: u32,
}

fn links(root: &Root) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    for entry in root.dir(BY_RES).entries()? {
        for (volume, minor) in links_of(root, &entry.name)? {
            links.push(Link { resource: entry.name.clone(), volume, minor });
        }
    }
    Ok(links)
}

/// `by-res/RES/VOLUME` for each volume, or `by-res/RES` where the configuration has no `volume` section (`drbd.rules`).
fn links_of(root: &Root, resource: &str) -> Result<Vec<VolumeMinor>> {
    let by_res = root.dir(BY_RES);
    if let Some(target) = by_res.read_link(resource)? {
        return Ok(minor_of(&target).map(|minor| (0, minor)).into_iter().collect());
    }
    let dir = by_res.dir(resource);
    let mut found = Vec::new();
    for name in dir.links()? {
        let minor = dir.read_link(&name)?.as_deref().and_then(minor_of);
        found.extend(name.parse().ok().zip(minor));
    }
    Ok(found)
}

/// `../../../drbd11`.
fn minor_of(target: &Path) -> Option<u32> {
    target.file_name()?.to_str()?.strip_prefix("drbd")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn machine() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        (dir, root)
    }

    fn shows(root: &Root, resource: &str, volumes: &[VolumeMinor]) {
        let debugfs = root.dir(DEBUGFS);
        debugfs.dir("minors").create_all(0o755).unwrap();
        debugfs.dir("resources").dir(resource).create_all(0o755).unwrap();
        for (volume, minor) in volumes {
            debugfs.dir(format!("resources/{resource}/volumes/{volume}")).create_all(0o755).unwrap();
            let link = debugfs.dir("minors").dir(minor.to_string());
            symlink(format!("../resources/{resource}/volumes/{volume}"), link.path()).unwrap();
        }
    }

    fn link(root: &Root, name: &str, minor: u32) {
        let link = root.dir(BY_RES).dir(name);
        std::fs::create_dir_all(link.path().parent().unwrap()).unwrap();
        symlink(format!("../../../drbd{minor}"), link.path()).unwrap();
    }

    #[test]
    fn debugfs_knows_whatever_the_configuration_and_udev_say() {
        let (_keep, root) = machine();
        shows(&root, "r0", &[(0, 3), (7, 1_048_575)]);
        shows(&root, "r1", &[(0, 4)]);
        link(&root, "r0/0", 4);
        link(&root, "r1/0", 3);
        let r0 = vec![(0, 3), (7, 1_048_575)];
        for hint in [&[][..], &[(0, 3), (7, 1_048_575)], &[(0, 4), (1, 9)], &[(7, 3)]] {
            assert_eq!(volumes_of(&root, "r0", hint, &[3, 4, 1_048_575]).unwrap().as_ref(), Some(&r0), "{hint:?}");
        }
        assert_eq!(volumes_of(&root, "r2", &[(0, 3)], &[3]).unwrap(), None);
        assert_eq!(resources(&root, &[]).unwrap(), [("r0".to_owned(), r0), ("r1".to_owned(), vec![(0, 4)])]);
    }

    #[test]
    fn a_resource_without_volumes_is_not_absent() {
        let (_keep, root) = machine();
        shows(&root, "r0", &[]);
        assert_eq!(volumes_of(&root, "r0", &[], &[]).unwrap(), Some(vec![]));
        shows(&root, "r1", &[(0, 1)]);
        root.dir(DEBUGFS).dir("minors").unlink("1").unwrap();
        assert!(volumes_of(&root, "r1", &[(0, 1)], &[1]).unwrap_err().to_string().contains("r1"));
    }

    #[test]
    fn without_debugfs_the_links_tell_and_the_hint_what_they_leave_out() {
        let (_keep, root) = machine();
        link(&root, "r0/0", 0);
        link(&root, "r1", 5);
        assert_eq!(volumes_of(&root, "r0", &[(1, 1), (2, 5), (3, 9)], &[0, 1, 5]).unwrap(), Some(vec![(0, 0), (1, 1)]));
        assert_eq!(volumes_of(&root, "r1", &[], &[5]).unwrap(), Some(vec![(0, 5)]));
        assert_eq!(volumes_of(&root, "r1", &[], &[]).unwrap(), None, "udev is late");
        assert_eq!(volumes_of(&root, "r2", &[(0, 8)], &[0, 5]).unwrap(), None, "all minors are others'");
        assert_eq!(volumes_of(&root, "r2", &[(0, 8)], &[0, 5, 8]).unwrap(), Some(vec![(0, 8)]));
        let e = volumes_of(&root, "r2", &[(0, 8)], &[0, 5, 9]).unwrap_err();
        assert_eq!(e.to_string(), "find DRBD resource r2: neither debugfs nor udev tells whose minor 9 is");
        let all = resources(&root, &[0, 5, 9]).unwrap();
        assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["minor-9", "r0", "r1"]);
    }

    #[test]
    fn what_leads_out_of_the_directory_is_no_name() {
        let (_keep, root) = machine();
        for name in ["", ".", "..", "a/b", "../resources"] {
            assert_eq!(volumes_of(&root, name, &[], &[]).unwrap_err().source.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }
}
