//! The files that tell of a split brain: an empty one for each volume, made by the handler, gone when the split brain is or with a reboot.
//! `ha_cluster_exporter` looks for them too.

use crate::kernel::attr::Root;
use crate::kernel::error::Result;

/// Their directory.
pub const MARKERS: &str = "/var/run/drbd/splitbrain";

/// `drbd-split-brain-detected-RES-`, before the number of the volume.
fn begin(resource: &str) -> String {
    format!("drbd-split-brain-detected-{}-", resource.replace('/', "_"))
}

/// Makes one for each of these volumes; for the first one where none is known.
///
/// # Errors
/// The directory is not writable.
pub fn make(root: &Root, resource: &str, volumes: &[u32]) -> Result<()> {
    let dir = root.dir(MARKERS);
    dir.create_all(0o755)?;
    let volumes = if volumes.is_empty() { &[0] } else { volumes };
    volumes.iter().try_for_each(|volume| dir.replace_file(&format!("{}{volume}", begin(resource)), b""))
}

/// The names of those that the resource has.
///
/// # Errors
/// The directory can not be read.
pub fn of(root: &Root, resource: &str) -> Result<Vec<String>> {
    let begin = begin(resource);
    let is_ours = |name: &String| name.strip_prefix(&begin).is_some_and(|volume| volume.parse::<u32>().is_ok());
    Ok(root.dir(MARKERS).entries()?.into_iter().map(|entry| entry.name).filter(is_ours).collect())
}

/// Takes them away: the split brain is over.
///
/// # Errors
/// They can not be removed.
pub fn forget(root: &Root, resource: &str) -> Result<()> {
    of(root, resource)?.iter().try_for_each(|name| root.dir(MARKERS).unlink(name).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_its_own_until_they_are_taken_away() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        assert!(of(&root, "r0").unwrap().is_empty());
        make(&root, "r0", &[1, 7]).unwrap();
        make(&root, "r0-1", &[]).unwrap();
        assert_eq!(of(&root, "r0").unwrap().len(), 2);
        assert_eq!(of(&root, "r0-1").unwrap(), ["drbd-split-brain-detected-r0-1-0"]);
        forget(&root, "r0").unwrap();
        assert!(of(&root, "r0").unwrap().is_empty() && of(&root, "r0-1").unwrap().len() == 1);
        forget(&root, "r0").unwrap();
    }
}
