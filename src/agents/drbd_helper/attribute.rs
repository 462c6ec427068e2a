//! Writes the promotion score: by `crm_attribute`, only when Pacemaker has called, and only when it is not what was written last. That this
//! does not work never makes an action fail.

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
/// How long writing one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The processes that keep node attributes, or pass them on from a remote node, by what the kernel calls them: 15 bytes.
const KEEPERS: [&str; 2] = ["pacemaker-attrd", "pacemaker-remot"];

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
    /// Only when it may be lost.
    IfLost,
    /// In any case.
    Again,
}

/// Whether Pacemaker has called.
#[must_use]
pub fn is_by_pacemaker(cx: &Context) -> bool {
    cx.env.get("OCF_RESKEY_crm_feature_set").is_some_and(|version| !version.is_empty())
}

/// Writes the score if need be.
pub fn write(cx: &Context, record: &mut Record, score: Score, writing: Writing) {
    let value = match score {
        Score::Is(value) => Some(value),
        Score::None => None,
        Score::Untouched => return,
    };
    if !is_by_pacemaker(cx) || (writing == Writing::IfLost && record.score.as_ref().is_some_and(|last| is_kept(last, value))) {
        return;
    }
    let Ok(tool) = Tool::find(cx.root, "crm_attribute") else { return };
    let tool = PASSED.iter().fold(tool, |tool, name| match cx.env.get(name) {
        Some(text) => tool.env(name, text),
        None => tool,
    });
    let text = value.map(|value| value.to_string());
    let what = text.as_deref().map_or(vec!["--delete"], |text| vec!["--update", text]);
    let args: Vec<&str> = ["--promotion", "--lifetime", "reboot", "--quiet"].into_iter().chain(what).collect();
    match tool.ok(&args, cx.deadline.share(0.5).within(PATIENCE)) {
        Ok(_) => {
            if record.score.as_ref().is_none_or(|last| last.value != value || last.kept == Kept::Unsure) {
                tracing::info!("promotion score: {}", text.as_deref().unwrap_or("none"));
            }
            record.score = Some(Written { value, at: now(), kept: keeper(cx) });
        }
        Err(e) => {
            tracing::warn!("the promotion score was not written: {e}");
            record.score = Some(Written { value, at: now(), kept: Kept::Unsure });
        }
    }
}

/// Whether what was written last is this, and whoever keeps it is still the same.
fn is_kept(last: &Written, value: Option<u32>) -> bool {
    let is_same = match last.kept {
        Kept::Unsure => false,
        Kept::Somewhere => true,
        Kept::By(pid, start) => Identity::of(Pid::from_raw(pid)).is_ok_and(|it| it.start == start),
    };
    is_same && last.value == value && since(last.at) < BELIEVED
}

/// Who keeps the attributes on this node. A walk over all processes: only after something was written.
fn keeper(cx: &Context) -> Kept {
    let pids = cx.root.dir("/proc").dirs().unwrap_or_default();
    let tasks = pids.iter().filter_map(|pid| Task::read(cx.root, pid.parse().ok()?).ok().flatten());
    let found = tasks.into_iter().find(|task| KEEPERS.contains(&task.comm.as_str()));
    let by = found.and_then(|task| Some(Kept::By(i32::try_from(task.pid).ok()?, task.start_time)));
    by.unwrap_or(Kept::Somewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_written_again_when_it_may_be_lost() {
        let me = Identity::of_self().unwrap();
        let written = |kept| Written { value: Some(10), at: now(), kept };
        assert!(is_kept(&written(Kept::Somewhere), Some(10)) && is_kept(&written(Kept::By(me.pid, me.start)), Some(10)));
        assert!(!is_kept(&written(Kept::Unsure), Some(10)), "writing it failed");
        assert!(!is_kept(&written(Kept::By(me.pid, me.start + 1)), Some(10)), "whoever kept it is gone");
        assert!(!is_kept(&written(Kept::Somewhere), None));
    }
}
