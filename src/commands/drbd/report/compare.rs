//! Both sides beside each other: which has less to lose, and what to type. Pure.

use super::facts::{Facts, Volume};
use crate::agents::drbd_helper::guard::Reason;
use crate::agents::drbd_helper::last_primary::Who;
use crate::kernel::drbd::model::DiskState;

/// What both sides say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They have the same data: there is nothing to choose.
    Same,
    /// One side has written nothing of its own: nothing is lost when it is discarded.
    Nothing {
        /// That side.
        victim: String,
    },
    /// Both have written, and this one less.
    Less {
        /// That side.
        victim: String,
        /// KiB that are lost with it.
        loses: u64,
        /// KiB that would be lost with the other.
        other: u64,
        /// What speaks for keeping it all the same.
        but: Vec<String>,
    },
    /// That can not be told.
    Untold(String),
}

/// Compares them.
#[must_use]
pub fn compare(here: &Facts, there: &Facts) -> Verdict {
    if here.resource != there.resource {
        return Verdict::Untold(format!("the other report is about {}", there.resource));
    }
    if here.node == there.node {
        return Verdict::Untold(format!("both reports are of {}", here.node));
    }
    if have_same_data(here, there) {
        // A verify finds what no generation tells.
        return match [here, there].map(Facts::out_of_sync) {
            [Some(0), Some(0)] => Verdict::Same,
            [Some(own), Some(other)] => {
                Verdict::Untold(format!("same generation, but {} KiB are known to differ", own.max(other)))
            }
            _ => Verdict::Untold("same generation, but how much differs is not known".to_owned()),
        };
    }
    let (Some(own), Some(others)) = (here.out_of_sync(), there.out_of_sync()) else {
        let silent = if here.out_of_sync().is_none() { here } else { there };
        return Verdict::Untold(format!("how much was written on {} is not known", silent.node));
    };
    let (victim, survivor, loses, other) = if own <= others { (here, there, own, others) } else { (there, here, others, own) };
    if own == others && own > 0 {
        return Verdict::Untold(format!("both have written {own} KiB: only a look at the data can tell"));
    }
    let mut but = Vec::new();
    if victim.is_primary() && !survivor.is_primary() {
        but.push(format!("{} is Primary now", victim.node));
    }
    but.extend(newer(victim, survivor));
    but.extend(doubts(survivor));
    match (loses, but.is_empty()) {
        (0, true) if other > 0 => Verdict::Nothing { victim: victim.node.clone() },
        (0, _) if other == 0 => Verdict::Untold(
            "neither has written anything that the other lacks, and their data are of other generations".to_owned(),
        ),
        _ => Verdict::Less { victim: victim.node.clone(), loses, other, but },
    }
}

/// The current identifiers of all volumes are equal but for the bit that says "was Primary".
fn have_same_data(here: &Facts, there: &Facts) -> bool {
    let current = |text: &str| u64::from_str_radix(text.split(':').next()?, 16).ok().map(|id| id | 1);
    let pairs: Vec<_> = here
        .volumes
        .iter()
        .map(|volume| {
            let other = there.volumes.iter().find(|other| other.number == volume.number)?;
            Some((current(volume.generation.as_deref()?)?, current(other.generation.as_deref()?)?))
        })
        .collect();
    !pairs.is_empty() && pairs.iter().all(|pair| pair.is_some_and(|(own, other)| own == other))
}

/// What speaks against keeping the data of this side.
fn doubts(survivor: &Facts) -> Vec<String> {
    let node = &survivor.node;
    let bad = |volume: &Volume| {
        let disk = volume.disk.as_deref().unwrap_or("not known");
        (disk != DiskState::UpToDate.word()).then(|| format!("the disk of volume {} on {node} is {disk}", volume.number))
    };
    let guards = survivor.guard.iter().filter(|entry| entry.reason != Reason::SplitBrain);
    let untold = survivor.missing.iter().filter(|missing| missing.starts_with("guard: "));
    let untold = untold.map(|_| format!("whether {node} is guarded is not known"));
    survivor
        .volumes
        .iter()
        .filter_map(bad)
        .chain(untold)
        .chain(guards.map(|entry| format!("{node} is guarded: {}", entry.reason)))
        .collect()
}

/// Whether the one that has less to lose was Primary later than the other.
fn newer(victim: &Facts, survivor: &Facts) -> Option<String> {
    let at = |facts: &Facts| facts.last_primary.as_ref().filter(|last| last.who == Who::Here).map(|last| last.at.clone());
    let (own, other) = (at(victim)?, at(survivor)?);
    (own > other).then(|| format!("{} was Primary later, at {own} against {other}", victim.node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::drbd_helper::guard::Entry;
    use crate::agents::drbd_helper::last_primary::LastPrimary;

    const A: &str = "6DD8000000000001:D99C000000000000:D251000000000000:0000000000000000";
    const B: &str = "D094000000000000:D99C000000000000:D250000000000000:0000000000000000";

    fn side(node: &str, generation: &str, out_of_sync: Option<u64>) -> Facts {
        let disk = Some("UpToDate".to_owned());
        let volume = Volume { disk, generation: Some(generation.into()), out_of_sync, ..Volume::default() };
        Facts { node: node.into(), resource: "r0".into(), volumes: vec![volume], ..Facts::default() }
    }

    fn primary_at(facts: Facts, at: &str) -> Facts {
        let last = LastPrimary { at: at.into(), ..LastPrimary::now(Who::Here, None, "promoted") };
        Facts { last_primary: Some(last), ..facts }
    }

    #[test]
    fn the_side_that_wrote_less_has_less_to_lose_whichever_is_asked() {
        let (one, two) = (side("node1", A, Some(256)), side("node2", B, Some(128)));
        let expected = Verdict::Less { victim: "node2".into(), loses: 128, other: 256, but: vec![] };
        assert_eq!(compare(&one, &two), expected);
        assert_eq!(compare(&two, &one), expected);
    }

    #[test]
    fn what_speaks_against_it_is_said() {
        let one = primary_at(side("node1", A, Some(256)), "2026-01-31T11:00:00Z");
        let mut two = primary_at(side("node2", B, Some(128)), "2026-01-31T12:00:00Z");
        two.role = Some("Primary".into());
        let Verdict::Less { but, .. } = compare(&one, &two) else { panic!() };
        assert_eq!(
            but,
            ["node2 is Primary now", "node2 was Primary later, at 2026-01-31T12:00:00Z against 2026-01-31T11:00:00Z"]
        );
    }

    #[test]
    fn the_side_with_a_bad_disk_or_a_guard_is_not_kept_without_a_word() {
        let objections = |survivor: &Facts, loses: u64| {
            let verdict = compare(survivor, &side("node2", B, Some(loses)));
            let Verdict::Less { victim, but, .. } = verdict else { panic!("{verdict:?}") };
            assert_eq!(victim, "node2");
            but
        };
        for loses in [0, 128] {
            for disk in ["Inconsistent", "Outdated"] {
                let mut survivor = side("node1", A, Some(256));
                survivor.volumes[0].disk = Some(disk.into());
                assert_eq!(objections(&survivor, loses), [format!("the disk of volume 0 on node1 is {disk}")]);
            }
            let mut survivor = side("node1", A, Some(256));
            survivor.volumes[0].disk = None;
            assert_eq!(objections(&survivor, loses).len(), 1, "it is down");
            let mut survivor = side("node1", A, Some(256));
            for reason in [Reason::SplitBrain, Reason::IoError] {
                let entry = Entry { reason, since: String::new(), by: "test".into(), detail: String::new() };
                survivor.guard.push(entry);
            }
            assert_eq!(objections(&survivor, loses), ["node1 is guarded: I/O error"]);
        }
    }

    #[test]
    fn the_same_generation_is_not_the_same_data_after_a_verify() {
        let (one, two) = (side("node1", A, Some(0)), side("node2", A, Some(12)));
        assert_eq!(compare(&one, &two), Verdict::Untold("same generation, but 12 KiB are known to differ".into()));
        assert!(matches!(compare(&side("node1", A, None), &side("node2", A, Some(0))), Verdict::Untold(_)));
    }

    #[test]
    fn one_that_wrote_nothing_loses_nothing_and_equal_data_have_no_victim() {
        let (one, two) = (side("node1", A, Some(256)), side("node2", B, Some(0)));
        assert_eq!(compare(&one, &two), Verdict::Nothing { victim: "node2".into() });
        let same = side("node2", "6DD8000000000000:0:0:0", Some(0));
        assert_eq!(compare(&side("node1", A, Some(0)), &same), Verdict::Same, "but for the lowest bit");
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let one = side("node1", A, Some(256));
        for other in [side("node2", B, None), side("node2", B, Some(256)), side("node1", B, Some(0)), Facts::default()] {
            assert!(matches!(compare(&one, &other), Verdict::Untold(_)), "{other:?}");
        }
        assert!(matches!(compare(&side("node1", A, Some(0)), &side("node2", B, Some(0))), Verdict::Untold(_)));
    }
}
