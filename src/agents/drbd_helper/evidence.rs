//! Whether a connection was dropped because of a split brain: what the handler or the kernel log says of it. Looked at only while something
//! is not connected.

use crate::kernel::attr::{Dir, Root};
use crate::kernel::drbd::kernel_log::split_brain_in_kernel_log;
use crate::kernel::drbd::model::Resource;

/// Where the handler leaves a file for each volume; `ha_cluster_exporter` looks there too.
const MARKERS: &str = "/var/run/drbd/splitbrain";

fn markers(root: &Root, resource: &Resource) -> Vec<(Dir, String)> {
    let file = |volume: u32| format!("drbd-split-brain-detected-{}-{volume}", resource.name.replace('/', "_"));
    resource.devices.iter().map(|device| (root.dir(MARKERS), file(device.volume))).collect()
}

/// Whether the handler or the kernel has told of a split brain since this resource was last connected.
#[must_use]
pub fn of_split_brain(root: &Root, resource: &Resource) -> bool {
    let is_marked = |(dir, file): (Dir, String)| dir.dir(file).exists().unwrap_or(false);
    if markers(root, resource).into_iter().any(is_marked) {
        return true;
    }
    let minors: Vec<_> = resource.devices.iter().map(|device| device.minor).collect();
    split_brain_in_kernel_log(root, &resource.name, &minors).unwrap_or_else(|e| {
        tracing::debug!("{e}");
        false
    })
}

/// Takes away the marks of a split brain that is over.
pub fn forget_split_brain(root: &Root, resource: &Resource) {
    for (dir, file) in markers(root, resource) {
        if let Err(e) = dir.unlink(&file) {
            tracing::warn!("{e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_tells_until_it_is_taken_away() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let device = crate::kernel::drbd::model::Device { volume: 1, minor: 3, ..Default::default() };
        let resource = Resource { name: "r0".into(), devices: vec![device], ..Resource::default() };
        assert!(!of_split_brain(&root, &resource));
        root.dir(MARKERS).set("drbd-split-brain-detected-r0-1", "").unwrap();
        assert!(of_split_brain(&root, &resource));
        forget_split_brain(&root, &resource);
        assert!(!of_split_brain(&root, &resource));
        root.dir("/dev")
            .set("kmsg", "<1>[   12.3] block drbd3: Split-Brain detected but unresolved, dropping connection!")
            .unwrap();
        assert!(of_split_brain(&root, &resource));
    }
}
