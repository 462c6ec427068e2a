//! Whether what this node knows of the cluster is what all its members know. One that stood still and goes on, or whose network is back, takes
//! part again at once, and for a moment has the CIB that it had before: in it the other one is a member that has placed no constraint yet, or
//! one that has just gone. A constraint that is placed then is placed in that CIB alone, and is gone once the CIBs are one again.
//!
//! Without fencing nothing else keeps such a node from going on with its I/O; with fencing it does not live that long.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::kernel::attr::Root;

/// Where corosync notes the number of each new membership, in `ringid_NODE` (`exec/totemsrp.c`, `memb_ring_id_store`).
const RINGS: &str = "/var/lib/corosync";

/// How long after a change of the membership the CIBs are one again: Pacemaker (2.1.5) took 5 s on an emulated processor.
pub const SETTLES: Duration = Duration::from_secs(6);

/// Whether the membership is as it was [`SETTLES`] ago; where corosync does not say, whether the handler has been looking for as long.
pub fn is_settled(root: &Root, looking: Duration) -> bool {
    since_change(root).unwrap_or(looking) >= SETTLES
}

/// How long ago the membership changed; nothing ago when that is in the future.
fn since_change(root: &Root) -> Option<Duration> {
    let rings = root.dir(RINGS).entries().inspect_err(|e| tracing::debug!("{e}")).ok()?;
    let rings = rings.iter().filter(|entry| entry.name.starts_with("ringid_"));
    let changed = rings.filter_map(|entry| fs::metadata(root.path(RINGS).join(&entry.name)).ok()?.modified().ok()).max()?;
    Some(SystemTime::now().duration_since(changed).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_that_has_just_changed_is_not_settled() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        assert!(
            !is_settled(&root, Duration::ZERO) && is_settled(&root, SETTLES),
            "without corosync the handler's own time counts"
        );
        root.dir(RINGS).create_all(0o755).unwrap();
        assert!(is_settled(&root, SETTLES));
        let write = |name: &str, ago: i64| {
            let now = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap();
            let moment = u64::try_from(now - ago).unwrap();
            let file = fs::File::create(root.path(RINGS).join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(moment)).unwrap();
        };
        write("other", 0);
        write("ringid_1", 60);
        assert!(is_settled(&root, Duration::ZERO));
        write("ringid_2", 2);
        assert!(!is_settled(&root, SETTLES), "the newest counts");
        write("ringid_2", -3600);
        assert!(!is_settled(&root, SETTLES), "a clock that was put back");
    }
}
