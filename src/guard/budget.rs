//! By when what has to be over.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::identity::age;
use crate::ocf::env::Env;
use crate::ocf::run::Level;
use crate::ocf::spec::AgentSpec;

/// The time-out of an action that nobody gave one.
const TIMEOUT: Duration = Duration::from_secs(20);
/// What is kept back for killing a worker and answering, at least.
const RESERVE: Duration = Duration::from_millis(300);
/// What is kept back where a hang may have to be proved, at least: [`DEATH`], the gap between two looks, evidence and keys.
const PROOF: Duration = Duration::from_millis(1900);
/// How long what got SIGKILL gets to end before it is looked at: shorter than this a busy machine may just not have come to it.
pub const DEATH: Duration = Duration::from_secs(1);
/// What a worker must have had before its hanging may lead to a reboot.
pub const LEAST_TRY: Duration = Duration::from_secs(3);

/// The time of one call, divided.
#[derive(Debug)]
pub struct Budget {
    /// The time-out, for the reason.
    pub timeout: Duration,
    /// Whether there is time to prove that a stop hangs. Without, it can only fail.
    pub can_prove: bool,
    /// When the agent should have given up of its own accord.
    pub worker: Deadline,
    /// When the worker is killed.
    pub kill: Deadline,
    /// When the answer must be out.
    pub end: Deadline,
}

impl Budget {
    /// A worker gets 90 % of the time-out, or 80 % where proof, evidence and keys have to fit in behind it. The start of this process
    /// counts, because Pacemaker counts it: on a busy machine that is not nothing. But not for more than a tenth, for a process that
    /// another program became (`exec` from a shell) is older than the call.
    pub fn new(spec: &AgentSpec, action: &str, env: &Env, root: &Root, may_escalate: bool) -> Self {
        let timeout = env.timeout().or_else(|| advised(spec, action, env)).unwrap_or(TIMEOUT);
        let spent = if root.is_fake() { Duration::ZERO } else { age().unwrap_or_default().min(timeout / 10) };
        let share = |share: f64, reserve| timeout.mul_f64(share).min(timeout.saturating_sub(reserve));
        let with_proof = share(0.8, PROOF);
        let can_prove = may_escalate && with_proof.saturating_sub(spent) >= LEAST_TRY;
        let share = if can_prove { with_proof } else { share(0.9, RESERVE) };
        let kill = share.max(timeout / 2);
        let worker = kill.saturating_sub(timeout.mul_f64(0.05).min(Duration::from_millis(500)));
        let end = timeout.saturating_sub(timeout.mul_f64(0.02).max(Duration::from_millis(50)));
        let after = |limit: Duration| Deadline::after(limit.saturating_sub(spent));
        Self { timeout, can_prove, worker: after(worker), kill: after(kill), end: after(end) }
    }
}

/// What the meta-data advises: for a monitor that of its level, or of the next lower one that is declared.
fn advised(spec: &AgentSpec, action: &str, env: &Env) -> Option<Duration> {
    let action = if action == "status" { "monitor" } else { action };
    let level = env.level();
    let declared = spec.actions.iter().filter(|a| a.name == action);
    let fits = declared.clone().filter(|a| Level::from_number(u32::from(a.depth.unwrap_or_default())) <= level);
    fits.max_by_key(|a| a.depth).or_else(|| declared.min_by_key(|a| a.depth)).map(|a| a.timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::lio::LIO;

    fn budget(action: &str, millis: &str, may_escalate: bool) -> [f64; 3] {
        let dir = tempfile::tempdir().unwrap();
        let env: Env = [("OCF_RESKEY_CRM_meta_timeout".to_owned(), millis.to_owned())].into_iter().collect();
        let budget = Budget::new(&LIO, action, &env, &Root::fake(dir.path()), may_escalate);
        [budget.worker, budget.kill, budget.end].map(|moment| moment.remaining().as_secs_f64())
    }

    #[test]
    fn every_stage_ends_before_the_one_around_it_and_all_before_the_time_out() {
        for millis in [400, 1000, 5000, 20_000, 600_000] {
            for may_escalate in [false, true] {
                let [worker, kill, end] = budget("stop", &millis.to_string(), may_escalate);
                let timeout = f64::from(millis) / 1000.0;
                assert!(0.0 < worker && worker < kill && kill < end && end < timeout, "{millis} {may_escalate}");
            }
        }
    }

    #[test]
    fn a_stop_that_may_escalate_keeps_a_fifth_of_its_time_for_that() {
        let near = |got: f64, wanted: f64| (got - wanted).abs() < 0.2;
        assert!(near(budget("stop", "10000", true)[1], 8.0));
        assert!(near(budget("stop", "5000", true)[1], 3.1), "and never less than a proof takes");
        assert!(near(budget("stop", "4500", true)[1], 4.1), "unless it is too short for one");
        assert!(near(budget("stop", "10000", false)[1], 9.0));
        assert!(near(budget("monitor", "", false)[1], 18.0), "20 s by the declaration");
    }
}
