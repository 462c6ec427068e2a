//! split-brain, initial-split-brain and out-of-sync: both sides have been written to without each other, or hold different blocks.
//! This side is guarded, so that nobody promotes it before somebody has chosen.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Handler, Outcome, Turn, Work, no_options};
use crate::agents::drbd_helper::guard::{Entry, Guard, Reason};
use crate::agents::drbd_helper::last_primary::now;
use crate::agents::drbd_helper::marker;
use crate::deadline::Deadline;
use crate::kernel::process::{Child, Setup, keep, pipe, wait_readable};

const LIMIT: Duration = Duration::from_secs(20);

/// Called when a split brain is detected, before the policies of the configuration decide: only logs.
pub const INITIAL: Handler = Handler {
    name: "initial-split-brain",
    about: "Records that a split brain was detected; the after-sb policies of the configuration decide next",
    limit: LIMIT,
    broken: 1,
    good: &[0],
    turn: Turn::Within(0.0),
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
    turn: Turn::Within(0.0),
    options: no_options,
    act: |work| {
        // The marker needs no disk, and the guard may wait for one.
        let marked = marker::make(work.root, work.resource, &work.call.volumes);
        let is_new = add(work, Reason::SplitBrain, "both sides were written to without each other")?;
        marked.context("guarded, but without the marker of the split brain")?;
        Ok(guarded(is_new, "split brain: choose the side to keep by ocf-san drbd report"))
    },
};

/// Called when an online verify has found blocks that differ.
pub const OUT_OF_SYNC: Handler = Handler {
    name: "out-of-sync",
    about: "Guards this side after an online verify has found blocks that differ, unless it is the only one that is Primary",
    limit: LIMIT,
    broken: 1,
    good: &[0],
    turn: Turn::Within(0.0),
    options: no_options,
    act: |work| {
        // Its blocks are those that are in use, and with both sides guarded nobody could take over.
        if work.look().is_ok_and(|resource| resource.is_primary() && resource.primary_peers().next().is_none()) {
            return Ok(Outcome::new(
                0,
                "recorded",
                "online verify found differences: disconnect and connect resyncs the other side",
            ));
        }
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

/// As [`add`], by a child that goes on alone when the disk takes longer than the deadline: that disk may be what this is about.
pub fn add_in_time(work: &Work, reason: Reason, detail: &str, deadline: Deadline) -> Result<bool> {
    let (mut read, mut write) = pipe()?;
    let setup = Setup { keep: keep(&write), ..Setup::default() };
    let writer = Child::fork(setup, move || {
        let said = match add(work, reason, detail) {
            Ok(true) => "new".to_owned(),
            Ok(false) => "known".to_owned(),
            Err(e) => format!("{e:#}"),
        };
        // Nobody may be left to hear it.
        let _ = write.write_all(said.as_bytes());
    });
    writer.context("no process to write the guard")?;
    let mut said = [0; 1024];
    let count = if wait_readable(read.as_fd(), deadline)? {
        read.read(&mut said)?
    } else {
        bail!("the guard is not on the disk in time")
    };
    match String::from_utf8_lossy(said.get(..count).unwrap_or_default()).as_ref() {
        "new" => Ok(true),
        "known" => Ok(false),
        "" => bail!("whoever was to write the guard has ended"),
        why => bail!("{why}"),
    }
}

fn guarded(is_new: bool, why: &str) -> Outcome {
    Outcome::new(0, if is_new { "guarded" } else { "guarded-already" }, why)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::commands::drbd::handler::Call;
    use crate::kernel::attr::Root;
    use crate::ocf::env::Env;

    fn called(handler: &Handler, root: &Root) -> Result<Outcome> {
        let (env, call) = (Env::default(), Call { volumes: vec![3], minors: vec![10], ..Call::default() });
        let options = handler.command().try_get_matches_from([handler.name]).unwrap();
        let (deadline, afterwards) = (Deadline::after(LIMIT), RefCell::new(None));
        let work = Work::alone(root, &env, &call, &options, deadline, &afterwards);
        (handler.act)(&work)
    }

    /// With both sides guarded nobody could take over from a Primary that dies.
    #[test]
    fn of_what_a_verify_finds_only_the_side_that_is_not_in_use_is_guarded() {
        for (roles, is_guarded) in [("Primary/Secondary", false), ("Secondary/Primary", true), ("Primary/Primary", true)] {
            let keep = tempfile::tempdir().unwrap();
            let root = Root::fake(keep.path());
            let state = format!(
                "10: cs:Connected ro:{roles} ds:UpToDate/UpToDate C r-----\n    ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:4\n"
            );
            root.dir("/proc").set("drbd", &format!("version: 8.4.11 (api:1/proto:86-101)\n{state}")).unwrap();
            let outcome = called(&OUT_OF_SYNC, &root).unwrap();
            assert_eq!(outcome.result, if is_guarded { "guarded" } else { "recorded" }, "{roles}");
            assert_eq!(Guard::load(&root, "r0").unwrap().has(Reason::VerifyDifferences), is_guarded, "{roles}");
        }
    }

    #[test]
    fn the_marker_and_the_guard_are_made_each_without_the_other() {
        for broken in ["/var/lib", "/var/run", "/nothing"] {
            let keep = tempfile::tempdir().unwrap();
            let root = Root::fake(keep.path());
            root.dir("/").set(broken.trim_start_matches('/'), "").unwrap();
            let outcome = called(&SPLIT_BRAIN, &root);
            assert_eq!(outcome.map_or_else(|_| "error".to_owned(), |o| o.result) == "guarded", broken == "/nothing");
            assert!(Guard::load(&root, "r0").unwrap().has(Reason::SplitBrain), "{broken}");
            assert_eq!(marker::of(&root, "r0").unwrap().len(), usize::from(broken != "/var/run"), "{broken}");
        }
    }
}
