//! Writes the promotion score: by `crm_attribute`, only when Pacemaker has called, and only when it is not what was written last or may be
//! lost. That this does not work never makes an action fail.
//!
//! pacemaker-attrd keeps the score, and writes it into the CIB when it changes. When the controller of a node dies, the cluster's controller
//! deletes the node's scores from the CIB, and pacemaker-attrd, which has them still, is not told (seen with 2.1.5): from then on the
//! node is not promoted, and if it was, it is demoted. A node that stood still and goes on takes all others for dead, and does the same to
//! them. So a score that may be lost in this way is written by `attrd_updater --refresh` too: for a while after the controller was
//! replaced, after a peer has come back, and after what was Primary was demoted; and when it is old.

use std::time::Duration;

use nix::unistd::Pid;

use super::record::{Kept, Record, Written, now, since};
use super::score::Score;
use crate::kernel::exec::Tool;
use crate::kernel::identity::Identity;
use crate::kernel::task::Task;
use crate::ocf::run::Context;

/// How long a score is believed to be what was written.
const BELIEVED: Duration = Duration::from_secs(600);
/// How long after a reason for doubt it may still be deleted.
const UNSETTLED: Duration = Duration::from_secs(60);
/// How long writing one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The processes that keep node attributes, or pass them on from a remote node, by what the kernel calls them: 15 bytes.
const KEEPERS: [&str; 2] = ["pacemaker-attrd", "pacemaker-remot"];
/// The controller, `pacemaker-controld`, in the same way.
const CONTROLLER: &str = "pacemaker-contr";

/// What `crm_attribute` must know of the caller.
const PASSED: [&str; 6] = [
    "OCF_RESOURCE_INSTANCE",
    "OCF_RESKEY_crm_feature_set",
    "OCF_RESKEY_CRM_meta_on_node",
    "OCF_RESKEY_CRM_meta_on_node_uuid",
    "OCF_RESKEY_CRM_meta_physical_host",
    "OCF_RESKEY_CRM_meta_container_attribute_target",
];

/// When to write a score that is what was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Only when whoever kept it is gone.
    IfAnother,
    /// Then, and when it may be lost from the CIB.
    IfLost,
    /// In any case.
    Again,
}

/// Writes the score if need be.
pub fn write(cx: &Context, record: &mut Record, score: Score, writing: Writing) {
    let value = match score {
        Score::Is(value) => Some(value),
        Score::None => None,
        Score::Untouched => return,
    };
    let last = record.score.take();
    let doubt = last.as_ref().map_or(Doubt::New, |last| doubt(last, value));
    let is_due = match writing {
        Writing::IfAnother => doubt == Doubt::New,
        Writing::IfLost => doubt != Doubt::None,
        Writing::Again => true,
    };
    if !is_due || !cx.env.is_by_pacemaker() {
        record.score = last;
        return;
    }
    let Ok(tool) = Tool::find(cx.root, "crm_attribute") else {
        record.score = last;
        return;
    };
    let tool = PASSED.iter().fold(tool, |tool, name| match cx.env.get(name) {
        Some(text) => tool.env(name, text),
        None => tool,
    });
    let text = value.map(|value| value.to_string());
    let what = text.as_deref().map_or(vec!["--delete"], |text| vec!["--update", text]);
    let args: Vec<&str> = ["--promotion", "--lifetime", "reboot", "--quiet"].into_iter().chain(what).collect();
    let kept = match tool.ok(&args, cx.deadline.share(0.5).within(PATIENCE)) {
        Ok(_) => {
            if last.as_ref().is_none_or(|last| last.value != value || last.kept == Kept::Unsure) {
                tracing::info!("promotion score: {}", text.as_deref().unwrap_or("none"));
            }
            // Only a monitor takes the time; the others leave the doubt to it.
            doubt != Doubt::Copy || writing == Writing::IfLost && refresh(cx)
        }
        Err(e) => {
            tracing::warn!("the promotion score was not written: {e}");
            false
        }
    };
    record.score = Some(written(cx, value, kept, last.as_ref()));
}

/// Has pacemaker-attrd write all that it keeps into the CIB.
fn refresh(cx: &Context) -> bool {
    let answer = Tool::find(cx.root, "attrd_updater").map_err(|e| e.to_string());
    let answer = answer
        .and_then(|tool| tool.ok(&["--refresh"], cx.deadline.share(0.5).within(PATIENCE)).map(drop).map_err(|e| e.to_string()));
    if let Err(e) = &answer {
        tracing::warn!("the promotion score may be missing in the CIB: {e}");
    }
    answer.is_ok()
}

/// What to remember of a score that was written just now.
fn written(cx: &Context, value: Option<u32>, is_kept: bool, last: Option<&Written>) -> Written {
    let (kept, controller) = processes(cx);
    let had = last.and_then(|last| last.controller);
    let is_another = had.is_some() && controller != had;
    Written {
        value,
        at: now(),
        kept: if is_kept { kept } else { Kept::Unsure },
        controller: controller.or(had), // one that is gone comes back as another one
        doubted: if is_another { Some(now()) } else { last.and_then(|last| last.doubted) },
    }
}

/// Why a score may not be what was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// It is.
    None,
    /// It is another one, or whoever kept it is gone.
    New,
    /// It may have been deleted from the CIB, or not have come that far; or it is old.
    Copy,
}

fn doubt(last: &Written, value: Option<u32>) -> Doubt {
    let runs = |pid, start| Identity::of(Pid::from_raw(pid)).is_ok_and(|it| it.start == start);
    let is_kept = match last.kept {
        Kept::By(pid, start) => runs(pid, start),
        Kept::Unsure | Kept::Somewhere => true,
    };
    if !is_kept || last.value != value {
        return Doubt::New;
    }
    let is_unsettled = last.doubted.is_some_and(|at| since(at) < UNSETTLED);
    let is_another = last.controller.is_some_and(|(pid, start)| !runs(pid, start));
    if last.kept == Kept::Unsure || value.is_some() && (is_unsettled || is_another) {
        Doubt::Copy
    } else if since(last.at) >= BELIEVED {
        // And what was not seen to be a reason for doubt ends here.
        if value.is_some() { Doubt::Copy } else { Doubt::New }
    } else {
        Doubt::None
    }
}

/// Who keeps the attributes on this node, and its controller. A walk over all processes: only after something was written.
fn processes(cx: &Context) -> (Kept, Option<(i32, u64)>) {
    let pids = cx.root.dir("/proc").dirs().unwrap_or_default();
    let (mut keeper, mut controller) = (None, None);
    for task in pids.iter().filter_map(|pid| Task::read(cx.root, pid.parse().ok()?).ok().flatten()) {
        let found = i32::try_from(task.pid).ok().map(|pid| (pid, task.start_time));
        if KEEPERS.contains(&task.comm.as_str()) {
            keeper = keeper.or(found);
        } else if task.comm == CONTROLLER {
            controller = controller.or(found);
        }
    }
    (keeper.map_or(Kept::Somewhere, |(pid, start)| Kept::By(pid, start)), controller)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_written_again_when_it_may_be_lost() {
        let me = Identity::of_self().unwrap();
        let by_me = Kept::By(me.pid, me.start);
        let written = |kept| Written { value: Some(10), at: now(), kept, controller: None, doubted: None };
        assert_eq!(doubt(&written(Kept::Somewhere), Some(10)), Doubt::None);
        assert_eq!(doubt(&written(by_me), Some(10)), Doubt::None);
        assert_eq!(doubt(&written(Kept::Unsure), Some(10)), Doubt::Copy, "writing it failed");
        assert_eq!(doubt(&written(Kept::By(me.pid, me.start + 1)), Some(10)), Doubt::New, "whoever kept it is gone");
        assert_eq!(doubt(&written(Kept::Somewhere), None), Doubt::New);
        let old = |value| Written { value, at: 0, ..written(Kept::Somewhere) };
        if since(0) >= BELIEVED {
            assert_eq!(doubt(&old(Some(10)), Some(10)), Doubt::Copy, "it is old");
            assert_eq!(doubt(&old(None), None), Doubt::New, "there is nothing to be in the CIB");
        }
    }

    #[test]
    fn a_score_may_be_missing_in_the_cib_once_the_controller_is_another_one_and_for_a_while_after_that() {
        let me = Identity::of_self().unwrap();
        let written = |start, doubted| Written {
            value: Some(10),
            at: now(),
            kept: Kept::By(me.pid, me.start),
            controller: Some((me.pid, start)),
            doubted,
        };
        assert_eq!(doubt(&written(me.start, None), Some(10)), Doubt::None);
        assert_eq!(doubt(&written(me.start + 1, None), Some(10)), Doubt::Copy);
        assert_eq!(doubt(&written(me.start, Some(now())), Some(10)), Doubt::Copy);
        let later = if since(0) < UNSETTLED { Doubt::Copy } else { Doubt::None };
        assert_eq!(doubt(&written(me.start, Some(0)), Some(10)), later);
    }

    /// A node whose tools note how they are called, and fail while there is a file of their name.
    struct Node {
        keep: tempfile::TempDir,
        record: Record,
    }

    impl Node {
        /// It has written 10 under this controller.
        fn new(controller: (i32, u64)) -> Self {
            let keep = tempfile::tempdir().unwrap();
            let tool =
                format!("#!/bin/sh\ncd {}\necho \"${{0##*/}} $*\" >>calls\n[ ! -e \"${{0##*/}}\" ]\n", keep.path().display());
            for name in ["crm_attribute", "attrd_updater"] {
                crate::script::write(keep.path().join("usr/sbin").join(name), &tool);
            }
            let me = Identity::of_self().unwrap();
            let stat = format!("{} ({CONTROLLER}) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {}\n", me.pid, me.start);
            let proc = keep.path().join("proc").join(me.pid.to_string());
            std::fs::create_dir_all(&proc).unwrap();
            std::fs::write(proc.join("stat"), stat).unwrap();
            let score =
                Written { value: Some(10), at: now(), kept: Kept::Somewhere, controller: Some(controller), doubted: None };
            Self { keep, record: Record { score: Some(score), ..Record::default() } }
        }

        /// The calls that writing this needs.
        fn calls(&mut self, score: Score, writing: Writing) -> Vec<String> {
            let (root, calls) = (crate::kernel::attr::Root::fake(self.keep.path()), self.keep.path().join("calls"));
            let env = [("OCF_RESKEY_crm_feature_set".to_owned(), "3.16.2".to_owned())].into_iter().collect();
            let deadline = crate::deadline::Deadline::after(Duration::from_secs(20));
            let cx = Context { root: &root, env: &env, deadline, progress: &|_| () };
            write(&cx, &mut self.record, score, writing);
            let made = std::fs::read_to_string(&calls).unwrap_or_default();
            let _ = std::fs::remove_file(calls);
            made.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
        }
    }

    #[test]
    fn a_score_under_another_controller_is_written_into_the_cib_too_until_that_has_worked_and_for_a_while() {
        let me = Identity::of_self().unwrap();
        let mut node = Node::new((me.pid, me.start + 1));
        assert_eq!(node.calls(Score::Is(10), Writing::IfAnother), [""; 0]);
        let fails = node.keep.path().join("attrd_updater");
        std::fs::write(&fails, "").unwrap();
        assert_eq!(node.calls(Score::Is(10), Writing::IfLost), ["crm_attribute", "attrd_updater"]);
        assert_eq!(node.record.score.as_ref().unwrap().kept, Kept::Unsure);
        std::fs::remove_file(fails).unwrap();
        for _ in 0..2 {
            assert_eq!(node.calls(Score::Is(10), Writing::IfLost), ["crm_attribute", "attrd_updater"]);
        }
        node.record.score.as_mut().unwrap().doubted = None;
        assert_eq!(node.calls(Score::Is(10), Writing::IfLost), [""; 0]);
        assert_eq!(node.calls(Score::Untouched, Writing::Again), [""; 0]);
        assert_eq!(node.calls(Score::Is(10), Writing::Again), ["crm_attribute"]);
        assert_eq!(node.calls(Score::None, Writing::IfLost), ["crm_attribute"]);
    }

    #[test]
    fn whoever_does_not_refresh_the_cib_leaves_that_to_the_next_monitor() {
        let me = Identity::of_self().unwrap();
        let mut node = Node::new((me.pid, me.start + 1));
        assert_eq!(node.calls(Score::Is(10), Writing::Again), ["crm_attribute"]);
        assert_eq!(node.calls(Score::Is(10), Writing::IfAnother), [""; 0]);
        node.record.score.as_mut().unwrap().doubted = None;
        assert_eq!(node.calls(Score::Is(10), Writing::IfLost), ["crm_attribute", "attrd_updater"]);
        node.record.score.as_mut().unwrap().doubted = None;
        assert_eq!(node.calls(Score::Is(10), Writing::IfLost), [""; 0]);
    }

    #[test]
    fn a_score_that_was_not_written_is_tried_again() {
        let me = Identity::of_self().unwrap();
        let mut node = Node::new((me.pid, me.start));
        let fails = node.keep.path().join("crm_attribute");
        std::fs::write(&fails, "").unwrap();
        assert_eq!(node.calls(Score::Is(1000), Writing::IfLost), ["crm_attribute"]);
        std::fs::remove_file(fails).unwrap();
        assert_eq!(node.calls(Score::Is(1000), Writing::IfLost), ["crm_attribute", "attrd_updater"]);
        assert_eq!(node.calls(Score::Is(1000), Writing::IfLost), [""; 0]);
    }
}
