//! Both sides beside each other: which has less to lose, and what to type. Pure.

use super::facts::Facts;
use crate::agents::drbd_helper::last_primary::Who;

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
        return Verdict::Same;
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
    if let Some(reason) = newer(victim, survivor) {
        but.push(reason);
    }
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

/// Whether the one that has less to lose was Primary later than the other.
fn newer(victim: &Facts, survivor: &Facts) -> Option<String> {
    let at = |facts: &Facts| facts.last_primary.as_ref().filter(|last| last.who == Who::Here).map(|last| last.at.clone());
    let (own, other) = (at(victim)?, at(survivor)?);
    (own > other).then(|| format!("{} was Primary later, at {own} against {other}", victim.node))
}

#[cfg(test)]
mod tests {
    use super::super::facts::Volume;
    use super::*;
    use crate::agents::drbd_helper::last_primary::LastPrimary;

    const A: &str = "6DD8000000000001:D99C000000000000:D251000000000000:0000000000000000";
    const B: &str = "D094000000000000:D99C000000000000:D250000000000000:0000000000000000";

    fn side(node: &str, generation: &str, out_of_sync: Option<u64>) -> Facts {
        let volume = Volume { generation: Some(generation.into()), out_of_sync, ..Volume::default() };
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
    fn one_that_wrote_nothing_loses_nothing_and_equal_data_have_no_victim() {
        let (one, two) = (side("node1", A, Some(256)), side("node2", B, Some(0)));
        assert_eq!(compare(&one, &two), Verdict::Nothing { victim: "node2".into() });
        let same = side("node2", "6DD8000000000000:0:0:0", Some(0));
        assert_eq!(compare(&one, &same), Verdict::Same, "but for the lowest bit");
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
