//! What the kernel log says of a split brain. DRBD reports it there and nowhere else: afterwards a side is `StandAlone` as if somebody had
//! disconnected it.
//!
//! Seen on 8.4.11, on both sides (logs of 9 say the same of `drbd r0/0 drbd0 PEER`, and `repl( Off -> … )` where 8.4 has `conn( … )`):
//! ```text
//! block drbd0: uuid_compare()=100 by rule 90
//! block drbd0: helper command: /sbin/drbdadm initial-split-brain minor-0
//! block drbd0: Split-Brain detected but unresolved, dropping connection!
//! block drbd0: helper command: /sbin/drbdadm split-brain minor-0
//! drbd a: conn( WFReportParams -> Disconnecting )
//! ```
//! One that was solved says `Split-Brain detected, manually solved. Sync from this node`, or `automatically solved`, and the volume goes on
//! to `block drbd0: peer( Unknown -> Secondary ) conn( WFReportParams -> WFBitMapS )`. Where nothing is to be synced that is
//! `conn( WFReportParams -> Connected )`. The line `drbd a: Handshake successful` comes before the data are compared and proves nothing.
//!
//! Two Primaries whose data have one history, as after one of them stood still, part too, and both are `StandAlone` then (8.4.11). The one with
//! the newer data says the second, the other one the third of
//! ```text
//! block drbd0: uuid_compare()=1 by rule 70
//! block drbd0: State change failed: Multiple primaries not allowed by config
//! block drbd0: I shall become SyncTarget, but I am primary!
//! ```
//! Neither proves anything without the first: a split brain that after-sb policies have solved ends in the same way.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::attr::Root;
use crate::kernel::error::Result;
use crate::kernel::kmsg;

const SPLIT: &str = "Split-Brain detected but unresolved";
/// In front of every verdict, solved or not.
const ANY_SPLIT: &str = "Split-Brain detected";
const COMPARED: &str = "uuid_compare()=";
/// The farthest that two are from each other which have one history: the one a generation behind, or not initialised (`drbd_uuid_compare`).
const ONE_HISTORY: std::ops::RangeInclusive<i32> = -2..=2;
const BOTH_PRIMARY: [&str; 2] =
    ["State change failed: Multiple primaries not allowed by config", "I shall become SyncTarget, but I am primary"];
/// What a volume does that has agreed with its peer on whose data are newer.
const AGREED: [&str; 8] =
    ["Connected", "Established", "WFBitMapS", "WFBitMapT", "SyncSource", "SyncTarget", "PausedSyncS", "PausedSyncT"];

/// Whether the log says that one of these minors met a peer whose data have a history of their own, and not that the two have agreed
/// since. Lines up to that time, in µs by the log's own clock, are passed over; one without a time never is.
///
/// # Errors
/// The log can not be read.
pub fn split_brain_in_kernel_log(root: &Root, resource: &str, minors: &[u32], passed: Option<u64>) -> Result<bool> {
    Ok(Sight::of(root, resource, minors, passed)?.last(Meeting::Split))
}

/// Whether the log says of one of these minors that its data and the peer's have one history and that the two parted because both were Primary, and
/// of none that it met a history of its own. Of the volumes behind the first that was refused it says nothing. What it says of a split brain up to
/// that time is passed over.
///
/// # Errors
/// The log can not be read.
pub fn both_primary_in_kernel_log(root: &Root, resource: &str, minors: &[u32], passed: Option<u64>) -> Result<bool> {
    let sight = Sight::of(root, resource, minors, passed)?;
    Ok(sight.last(Meeting::BothPrimary) && !sight.last(Meeting::Split))
}

/// The time of the youngest line, in µs by the log's own clock; `None` where lines have none.
///
/// # Errors
/// The log can not be read.
pub fn youngest_line(root: &Root) -> Result<Option<u64>> {
    Ok(kmsg::read(root)?.lines().filter_map(|line| parts(line).0).max())
}

/// Whether it tells of a split brain, of whichever volume, in a line without a time: that one is passed over by no time.
///
/// # Errors
/// The log can not be read.
pub fn has_split_brain_without_time(root: &Root) -> Result<bool> {
    let tells = |line| matches!(parts(line), (None, text) if text.contains(SPLIT));
    Ok(kmsg::read(root)?.lines().any(tells))
}

/// Time and text of `<level>[   12.345678] text`; no time where `printk.time` is off.
fn parts(line: &str) -> (Option<u64>, &str) {
    let text = line.strip_prefix('<').and_then(|text| text.split_once('>')).map_or(line, |(_, text)| text);
    let Some((head, rest)) = text.strip_prefix('[').and_then(|text| text.split_once("] ")) else { return (None, text) };
    // Some kernels name the caller behind it: `[   12.345678][    T1] text`.
    let time = head.split(']').next().and_then(|time| time.trim().split_once('.'));
    let micros = |(seconds, rest): (&str, &str)| {
        Some(seconds.parse::<u64>().ok()? * 1_000_000 + format!("{rest:0<6}").parse::<u64>().ok()?)
    };
    (time.and_then(micros), rest)
}

/// What came of it when two sides met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meeting {
    /// They have agreed on whose data are newer.
    Agreed,
    /// Each has a history of its own.
    Split,
    /// Both were Primary.
    BothPrimary,
}

/// What was seen last of each volume and peer.
struct Sight<'a> {
    resource: &'a str,
    minors: &'a [u32],
    meetings: BTreeMap<String, Meeting>,
    /// Those that have been compared just now, and have one history.
    related: BTreeSet<String>,
}

impl<'a> Sight<'a> {
    fn of(root: &Root, resource: &'a str, minors: &'a [u32], passed: Option<u64>) -> Result<Self> {
        let mut sight = Self { resource, minors, meetings: BTreeMap::new(), related: BTreeSet::new() };
        sight.see(&kmsg::read(root)?, passed);
        Ok(sight)
    }

    fn see(&mut self, log: &str, passed: Option<u64>) {
        for line in log.lines() {
            let (time, text) = parts(line);
            let Some((who, what)) = text.split_once(": ").filter(|(who, _)| self.is_ours(who)) else { continue };
            if let Some(verdict) = what.strip_prefix(COMPARED).and_then(|rest| rest.split(' ').next()?.parse().ok()) {
                if ONE_HISTORY.contains(&verdict) {
                    self.related.insert(who.to_owned());
                } else {
                    self.related.remove(who);
                }
                continue;
            }
            let is_passed = time.is_some_and(|time| passed.is_some_and(|passed| time <= passed));
            let is_both = BOTH_PRIMARY.iter().any(|text| what.starts_with(text));
            let meeting = if what.starts_with(SPLIT) && !is_passed {
                Meeting::Split
            } else if has_agreed(what) {
                Meeting::Agreed
            } else if is_both && self.related.contains(who) && self.meetings.get(who) != Some(&Meeting::Split) {
                Meeting::BothPrimary
            } else {
                if is_both || what.starts_with(ANY_SPLIT) {
                    self.related.remove(who);
                }
                continue;
            };
            self.related.remove(who);
            self.meetings.insert(who.to_owned(), meeting);
        }
    }

    /// `block drbd0` of 8.4, `drbd r0/0 drbd0 node2` of 9.
    fn is_ours(&self, who: &str) -> bool {
        let is_minor =
            |word: &str| word.strip_prefix("drbd").and_then(|n| n.parse().ok()).is_some_and(|n| self.minors.contains(&n));
        let mut words = who.split(' ');
        match (words.next(), words.next()) {
            (Some("block"), Some(device)) => is_minor(device),
            (Some("drbd"), Some(volume)) => {
                volume.rsplit_once('/').is_some_and(|(name, _)| name == self.resource) && words.any(is_minor)
            }
            _ => false,
        }
    }

    fn last(&self, meeting: Meeting) -> bool {
        self.meetings.values().any(|last| *last == meeting)
    }
}

/// `conn( X -> Y )` of 8.4 or `repl( X -> Y )` of 9, with a Y that needs an agreement.
fn has_agreed(what: &str) -> bool {
    let after = |key| what.split_once(key).and_then(|(_, change)| change.split_once(" -> "));
    let change = after("conn( ").or_else(|| after("repl( "));
    change.and_then(|(_, to)| to.split(' ').next()).is_some_and(|to| AGREED.contains(&to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(texts: &[&str]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        let records = texts.iter().enumerate().map(|(n, text)| format!("<1>[   {n}.000001] {text}\n"));
        root.dir("/dev").set("kmsg", &records.collect::<String>()).unwrap();
        (dir, root)
    }

    /// Whether a log of these texts tells of a split brain of r0, which has minors 0 and 11.
    fn is_split(texts: &[&str]) -> bool {
        let (_keep, root) = log_of(texts);
        split_brain_in_kernel_log(&root, "r0", &[0, 11], None).unwrap()
    }

    const SPLIT_84: &str = "block drbd11: Split-Brain detected but unresolved, dropping connection!";
    const SPLIT_9: &str = "drbd r0/1 drbd11 node2: Split-Brain detected but unresolved, dropping connection!";

    #[test]
    fn a_split_brain_lasts_until_the_same_volume_agrees_with_its_peer() {
        assert!(!is_split(&[]));
        assert!(is_split(&[SPLIT_84]) && is_split(&[SPLIT_9]));
        let other = "block drbd0: peer( Unknown -> Secondary ) conn( WFReportParams -> Connected ) pdsk( DUnknown -> UpToDate ) ";
        assert!(is_split(&[SPLIT_84, other]), "of the other volume");
        for state in ["Connected", "WFBitMapS", "WFBitMapT"] {
            let agreed = format!("block drbd11: peer( Unknown -> Secondary ) conn( WFReportParams -> {state} ) ");
            assert!(!is_split(&[SPLIT_84, &agreed]));
            assert!(is_split(&[&agreed, SPLIT_84]));
        }
        assert!(!is_split(&[SPLIT_9, "drbd r0/1 drbd11 node2: repl( Off -> WFBitMapS ) [connected]"]));
        assert!(is_split(&[SPLIT_9, "drbd r0/1 drbd11 node3: repl( Off -> Established )"]), "with another peer");
    }

    #[test]
    fn two_primaries_of_one_history_part_without_a_split_brain() {
        let refused = "block drbd11: State change failed: Multiple primaries not allowed by config";
        let older = "block drbd11: I shall become SyncTarget, but I am primary!";
        let compared = |verdict: i32| format!("block drbd11: uuid_compare()={verdict} by rule 70");
        let (newer, two) = (compared(1), compared(100));
        let (related, split) = (newer.as_str(), two.as_str());
        let agreed = "block drbd11: peer( Unknown -> Secondary ) conn( WFReportParams -> WFBitMapS ) ";
        let solved = "block drbd11: Split-Brain detected, 1 primaries, automatically solved. Sync from this node";
        let other = "block drbd0: Split-Brain detected but unresolved, dropping connection!";
        let have = |texts: &[&str]| {
            let (_keep, root) = log_of(texts);
            both_primary_in_kernel_log(&root, "r0", &[0, 11], None).unwrap()
        };
        assert!(have(&[related, refused]) && have(&[&compared(-1), older]) && have(&[agreed, related, refused]));
        assert!(!is_split(&[related, refused]));
        assert!(!have(&[]) && !have(&[related, refused, agreed]) && !have(&[related, refused, split, SPLIT_84]));
        assert!(!have(&[split, solved, refused]) && !have(&[split, solved, older]), "by a policy");
        assert!(!have(&[refused]) && !have(&[agreed, refused]), "nothing was compared");
        assert!(!have(&[related, agreed, refused]) && have(&[related, refused, refused]), "a verdict counts once");
        assert!(!have(&[SPLIT_84, related, refused]), "a split brain is not over by that");
        assert!(!have(&[related, refused, other]), "of another volume");
        assert!(!have(&[
            "block drbd7: uuid_compare()=1 by rule 70",
            "block drbd7: State change failed: Multiple primaries not allowed by config"
        ]));
    }

    #[test]
    fn a_new_attempt_or_an_order_to_disconnect_changes_nothing() {
        let after = [
            SPLIT_84,
            "drbd r0: conn( WFReportParams -> Disconnecting ) ",
            "drbd r0: conn( Unconnected -> WFConnection ) ",
            "drbd r0: Handshake successful: Agreed network protocol version 101",
            "drbd r0: conn( WFConnection -> WFReportParams ) ",
            "block drbd11: disk( Diskless -> Attaching ) ",
        ];
        assert!(is_split(&after));
        assert!(!is_split(&after[1..]));
    }

    #[test]
    fn what_was_said_up_to_a_moment_is_passed_over_if_it_has_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        let log = |text: &str| root.dir("/dev").set("kmsg", text).unwrap();
        let is_split = |passed| split_brain_in_kernel_log(&root, "r0", &[11], passed).unwrap();
        log(&format!("<1>[   12.345678] {SPLIT_84}\n<6>[   12.400001][    T7] block drbd11: bitmap\n"));
        let now = youngest_line(&root).unwrap();
        assert_eq!(now, Some(12_400_001));
        assert!(is_split(None) && is_split(Some(12_345_677)) && !is_split(now));
        log(&format!("<1>[   12.345678] {SPLIT_84}\n<1>[   12.400002] {SPLIT_84}\n"));
        assert!(is_split(now), "a younger one");
        log(&format!("<1>{SPLIT_84}\n"));
        assert!(youngest_line(&root).unwrap().is_none() && is_split(now));
    }

    #[test]
    fn what_was_solved_or_is_anothers_is_no_split_brain_of_ours() {
        for text in [
            "block drbd11: Split-Brain detected, manually solved. Sync from this node",
            "block drbd1: Split-Brain detected but unresolved, dropping connection!",
            "block drbd110: Split-Brain detected but unresolved, dropping connection!",
            "drbd r01/1 drbd11 node2: Split-Brain detected but unresolved, dropping connection!",
            "drbd r0/1 drbd12 node2: Split-Brain detected but unresolved, dropping connection!",
            "ocf-san: block drbd11: Split-Brain detected but unresolved, dropping connection!",
            "block drbd11: helper command: /sbin/drbdadm split-brain minor-11",
        ] {
            assert!(!is_split(&[text]), "{text}");
        }
    }
}
