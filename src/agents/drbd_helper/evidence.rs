//! Whether a connection was dropped because of a split brain: what the handler or the kernel log says of it. Looked at only while something
//! is not connected.

use super::marker;
use crate::kernel::attr::Root;
use crate::kernel::drbd::kernel_log::split_brain_in_kernel_log;
use crate::kernel::drbd::model::Resource;

/// Whether the handler or the kernel has told of a split brain since this resource was last connected.
#[must_use]
pub fn of_split_brain(root: &Root, resource: &Resource) -> bool {
    let name = &resource.name;
    let or_not = |e| tracing::debug!("{e}");
    if marker::of(root, name).map_err(or_not).is_ok_and(|markers| !markers.is_empty()) {
        return true;
    }
    let minors: Vec<_> = resource.devices.iter().map(|device| device.minor).collect();
    split_brain_in_kernel_log(root, name, &minors).map_err(or_not).unwrap_or(false)
}

/// Takes away the marks of a split brain that is over.
pub fn forget_split_brain(root: &Root, resource: &Resource) {
    if let Err(e) = marker::forget(root, &resource.name) {
        tracing::warn!("{e}");
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
        marker::make(&root, "r0", &[1]).unwrap();
        assert!(of_split_brain(&root, &resource));
        forget_split_brain(&root, &resource);
        assert!(!of_split_brain(&root, &resource));
        root.dir("/dev")
            .set("kmsg", "<1>[   12.3] block drbd3: Split-Brain detected but unresolved, dropping connection!")
            .unwrap();
        assert!(of_split_brain(&root, &resource));
    }
}
