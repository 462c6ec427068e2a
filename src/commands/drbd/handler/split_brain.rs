//! split-brain, initial-split-brain and out-of-sync: both sides have been written to without each other, or hold different blocks.
//! This side is guarded, so that nobody promotes it before somebody has chosen.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Handler, Outcome, Work, no_options};
use crate::agents::drbd_helper::guard::{Entry, Guard, Reason};
use crate::agents::drbd_helper::last_primary::now;
use crate::agents::drbd_helper::marker;

const LIMIT: Duration = Duration::from_secs(20);

/// Called when a split brain is detected, before the policies of the configuration decide: only logs.
pub const INITIAL: Handler = Handler {
    name: "initial-split-brain",
    about: "Records that a split brain was detected; the after-sb policies of the configuration decide next",
    limit: LIMIT,
    broken: 1,
    good: &[0],
    options: no_options,
    act: |_| Ok(Outcome::new(0, "recorded", "split brain detected, the after-sb policies decide")),
};

/// Called when the policies left a split brain unresolved.
pub const SPLIT_BRAIN: Handler = Handler {
    name: "split-brain",
    about: "Guards this side after an unresolved split brain, so that it is not promoted before somebody has chosen",
    limit: LIMIT,
    broken: 1,
    good: &[0],
    options: no_options,
    act: |work| {
        let is_new = add(work, Reason::SplitBrain, "both sides were written to without each other")?;
        marker::make(work.root, work.resource, &work.call.volumes)
            .context("guarded, but without the marker of the split brain")?;
        Ok(guarded(is_new, "split brain: choose the side to keep by ocf-san drbd report"))
    },
};

/// Called when an online verify has found blocks that differ.
pub const OUT_OF_SYNC: Handler = Handler {
    name: "out-of-sync",
    about: "Guards this side after an online verify has found blocks that differ",
    limit: LIMIT,
    broken: 1,
    good: &[0],
    options: no_options,
    act: |work| {
        let is_new = add(work, Reason::VerifyDifferences, "an online verify found blocks that differ")?;
        Ok(guarded(is_new, "online verify found differences: disconnect and connect resyncs them"))
    },
};

/// Guards this side for that reason; whether that is new.
pub fn add(work: &Work, reason: Reason, detail: &str) -> Result<bool> {
    let by = format!("handler for {}", work.call.peer());
    let entry = Entry { reason, since: now(), by, detail: detail.to_owned() };
    Ok(Guard::add(work.root, work.resource, entry)?)
}

fn guarded(is_new: bool, why: &str) -> Outcome {
    Outcome::new(0, if is_new { "guarded" } else { "guarded-already" }, why)
}
