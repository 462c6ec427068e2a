//! Whether a connection was dropped because of a split brain: what the handler or the kernel log says of it. Looked at only while something
//! is not connected.

use crate::kernel::attr::{Dir, Root};
use crate::kernel::drbd::model::Resource;
use crate::kernel::kmsg;

/// Where the handler leaves a file for each volume; `ha_cluster_exporter` looks there too.
const MARKERS: &str = "/var/run/drbd/splitbrain";

/// What the kernel says of a split brain that no policy has solved (`drbd_receiver.c`, `drbd_asb_recover…`).
const SPLIT: &str = "Split-Brain detected but unresolved";
/// What it says of a connection that has come to be, after which an earlier split brain is history.
const JOINED: [&str; 3] = ["-> Connected", "-> Established", "-> WFBitMap"];

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
    let log = kmsg::read(root).unwrap_or_else(|e| {
        tracing::debug!("{e}");
        String::new()
    });
    resource.devices.iter().any(|device| tells_of_split_brain(&log, device.minor))
}

/// Takes away the marks of a split brain that is over.
pub fn forget_split_brain(root: &Root, resource: &Resource) {
    for (dir, file) in markers(root, resource) {
        if let Err(e) = dir.unlink(&file) {
            tracing::warn!("{e}");
        }
    }
}

/// Whether the last word of the log on this device is a split brain, and not a connection.
#[must_use]
pub fn tells_of_split_brain(log: &str, minor: u32) -> bool {
    let device = format!("drbd{minor}");
    let is_about = |line: &&str| {
        let named = |(at, _): (usize, &str)| !line[at + device.len()..].starts_with(|c: char| c.is_ascii_digit());
        line.match_indices(&device).any(named)
    };
    let last =
        log.lines().rev().filter(is_about).find(|line| line.contains(SPLIT) || JOINED.iter().any(|word| line.contains(word)));
    last.is_some_and(|line| line.contains(SPLIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
<6>[   10.1] block drbd0: peer( Unknown -> Secondary ) conn( WFReportParams -> Connected ) pdsk( DUnknown -> UpToDate )
<6>[   11.1] block drbd10: Split-Brain detected, 1 primaries, automatically solved. Sync from peer node
<1>[   20.1] block drbd0: Split-Brain detected but unresolved, dropping connection!
<3>[   20.2] drbd r0: conn( WFReportParams -> Disconnecting )
<1>[   30.1] drbd r9/0 drbd9 node2: Split-Brain detected but unresolved, dropping connection!
<6>[   40.1] drbd r9/0 drbd9 node2: repl( Off -> WFBitMapT )
";

    #[test]
    fn the_log_tells_of_a_split_brain_until_the_device_is_connected_again() {
        assert!(tells_of_split_brain(LOG, 0));
        assert!(!tells_of_split_brain(LOG, 1), "that is another device");
        assert!(!tells_of_split_brain(LOG, 10), "that one was solved");
        assert!(!tells_of_split_brain(LOG, 9), "that one is connected again");
        assert!(!tells_of_split_brain("", 0));
    }

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
        root.dir("/dev").set("kmsg", "block drbd3: Split-Brain detected but unresolved, dropping connection!").unwrap();
        assert!(of_split_brain(&root, &resource));
    }
}
