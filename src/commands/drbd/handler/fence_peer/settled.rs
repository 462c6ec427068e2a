//! Whether what this node knows of the cluster is what all its members know. One that stood still and goes on, or whose network is back, takes
//! part again at once, and for a moment has the CIB that it had before: in it the other one is a member that has placed no constraint yet, or
//! one that has just gone. A constraint that is placed then is placed in that CIB alone, and is gone once the CIBs are one again.
//!
//! Without fencing nothing else keeps such a node from going on with its I/O; with fencing it does not live that long. A node that hears nobody
//! for longer than this is a part of its own, and without fencing nothing tells it from one that is left.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use crate::kernel::attr::Root;

/// Where corosync notes the number of each new membership, in `ringid_NODE` (`exec/totemsrp.c`, `memb_ring_id_store`).
pub const RINGS: &str = "/var/lib/corosync";

/// How long after a change of the membership the CIBs are one again. On an emulated processor Pacemaker (2.1.5) took no more than 5 s in one run and
/// 6 s in another, in which it was not looked at in between.
const SETTLES: Duration = Duration::from_secs(6);

/// The membership as it is seen over the time of a call.
#[derive(Debug)]
pub struct Membership {
    began: Instant,
    /// When the membership changed, by the clock of the machine.
    changed: Cell<Option<SystemTime>>,
    /// Since when it is that, if it changed during the call: that clock may be put right after a machine stood still.
    since: Cell<Option<Instant>>,
}

impl Membership {
    /// As it is now.
    pub fn new(root: &Root) -> Self {
        Self { began: Instant::now(), changed: Cell::new(newest(root)), since: Cell::new(None) }
    }

    /// Whether it was settled when a look began that has taken so long. Where corosync does not say since when the membership is what it is, or
    /// says a moment to come, the time of this call counts.
    pub fn is_settled(&self, root: &Root, look: Duration) -> bool {
        let changed = newest(root);
        if changed != self.changed.replace(changed) {
            self.since.set(Some(Instant::now()));
        }
        let by_clock = || changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
        let age = match self.since.get() {
            Some(since) => since.elapsed(),
            None => by_clock().unwrap_or_else(|| self.began.elapsed()),
        };
        age >= SETTLES + look
    }
}

/// When it changed last.
fn newest(root: &Root) -> Option<SystemTime> {
    let dir = root.dir(RINGS);
    let rings = dir.entries().inspect_err(|e| tracing::debug!("{e}")).ok()?;
    let rings = rings.iter().filter(|entry| entry.name.starts_with("ringid_"));
    rings.filter_map(|entry| dir.dir(&entry.name).written().inspect_err(|e| tracing::debug!("{e}")).ok()).max()
}

#[cfg(test)]
mod tests {
    use super::super::tests::write_ring;
    use super::*;

    #[test]
    fn a_membership_that_changed_since_a_little_before_the_look_is_not_settled() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let is_settled = |look| Membership::new(&root).is_settled(&root, Duration::from_secs(look));
        assert!(!is_settled(0), "without corosync the time of the call counts");
        write_ring(&root, "other", 60);
        assert!(!is_settled(0));
        write_ring(&root, "ringid_1", 60);
        assert!(is_settled(0));
        write_ring(&root, "ringid_2", 2);
        assert!(!is_settled(0), "the newest counts");
        write_ring(&root, "ringid_2", 8);
        assert!(is_settled(1) && !is_settled(3), "it changed before the look began that took 1 s, and too soon for one of 3 s");
        write_ring(&root, "ringid_2", -3600);
        let membership = Membership::new(&root);
        assert!(!membership.is_settled(&root, Duration::ZERO));
        let earlier = Membership { began: Instant::now().checked_sub(SETTLES).unwrap(), ..membership };
        assert!(earlier.is_settled(&root, Duration::ZERO), "a clock that was put back");
    }

    #[test]
    fn one_that_changes_during_the_call_counts_from_then_whatever_the_clock_says() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        write_ring(&root, "ringid_1", 60);
        let membership = Membership::new(&root);
        assert!(membership.is_settled(&root, Duration::ZERO));
        write_ring(&root, "ringid_1", 30);
        assert!(!membership.is_settled(&root, Duration::ZERO));
        membership.since.set(Instant::now().checked_sub(SETTLES));
        assert!(membership.is_settled(&root, Duration::ZERO));
    }
}
