//! What a stuck stop leads to: proof, evidence, then the keys of `on_stop_hang`, unless a file forbids it. What DRBD reports of itself may lead
//! to the same, without a proof: the kernel has said that this node must not go on.
//!
//! A stop that is stuck and says so would leave the node half in the cluster: the other node may not start what this one may still
//! write. So by default this node takes itself out; but only when two looks have shown that the kernel holds something, and a third
//! that it still does. Everything that is needed for it was opened and locked into memory beforehand.
//!
//! Whether the file that forbids it is there is looked up when the stop begins and again at the end, each time by a child, for the disk
//! it is on may be what hangs. The later look counts if it had an answer, else the earlier one; none at all is "not forbidden".

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use super::evidence::{Case, Evidence};
use super::frame::shortened;
use super::held::Suspects;
use super::noreboot::Look;
use super::press::press;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::kmsg::KernelLog;
use crate::kernel::process::lock_memory_by;
use crate::kernel::sysrq::{Key, Trigger};
use crate::ocf::env::Params;
use crate::ocf::error::Code;
use crate::ocf::hang::{NOREBOOT_FILE, ON_STOP_HANG, OnStopHang};
use crate::ocf::reason;
use crate::ocf::run::Answer;
use crate::ocf::spec::AgentSpec;

/// How far the two looks that prove a hang are apart, at least and at most.
pub const LEAST_GAP: Duration = Duration::from_millis(500);
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// How long the disk that this program is on gets to give all of it.
const LOADING: Duration = Duration::from_secs(1);
/// How long a stop waits for the first look at the file that forbids a reboot, which then goes on beside it.
pub const FIRST_LOOK: Duration = Duration::from_millis(500);

/// What was made ready before the stop began.
#[derive(Debug)]
pub struct Preparation {
    policy: OnStopHang,
    /// The file that forbids all keys, and the look at it before anything was touched.
    noreboot: PathBuf,
    first_look: Look,
    trigger: Option<Trigger>,
    kmsg: Option<KernelLog>,
    /// Whether all of this program is in memory.
    is_locked: bool,
    /// What could not be made ready.
    pub warnings: Vec<String>,
}

impl Preparation {
    /// Whether the stop of this agent can get stuck, so that there is something to prepare.
    #[must_use]
    pub fn is_for(spec: &AgentSpec) -> bool {
        spec.params.iter().any(|param| param.decl().name == "on_stop_hang")
    }

    /// For what the parameters of an agent say. A stop works with a broken configuration: then the defaults stand. `patience` is what may be
    /// spent on waiting for the first look, at most [`FIRST_LOOK`].
    #[must_use]
    pub fn new(root: &Root, params: &Params, patience: Duration) -> Self {
        let policy = params.get(&ON_STOP_HANG).unwrap_or(OnStopHang::Reboot);
        let file = params.get(&NOREBOOT_FILE).unwrap_or_else(|_| "/etc/ha.d/noreboot".into());
        Self::with(root, policy, file, patience)
    }

    /// Locks memory and opens what is needed to write evidence and press keys. What does not work is a warning, never a failure: the
    /// stop comes first.
    #[must_use]
    pub fn with(root: &Root, policy: OnStopHang, noreboot: PathBuf, patience: Duration) -> Self {
        let mut warnings = Vec::new();
        let (first_look, until) = (Look::begin(root, &noreboot), Deadline::after(patience.min(FIRST_LOOK)));
        let locked = if root.is_fake() { Ok(()) } else { lock_memory_by(Deadline::after(LOADING)) };
        let is_locked = locked.is_ok();
        if let Err(e) = locked {
            warnings.push(format!("memory not locked: {e}"));
        }
        let kmsg = KernelLog::open(root).map_err(|e| warnings.push(e.to_string())).ok();
        let trigger = Trigger::open(root).map_err(|e| warnings.push(e.to_string())).ok();
        let _ = first_look.seen_by(until);
        Self { policy, noreboot, first_look, trigger, kmsg, is_locked, warnings }
    }

    /// Looks a second time; then writes the evidence down and does what the policy says, with the answer of the stop by the deadline, if
    /// it comes back at all. `None` when the kernel holds nothing, or lets go before a key is pressed: then nothing is.
    #[must_use]
    pub fn escalate(&self, root: &Root, stuck: &Stuck, end: Deadline) -> Option<Answer> {
        let second_look = Deadline::after(end.share(0.4).remaining().clamp(LEAST_GAP, LONGEST_GAP));
        let mut evidence = Evidence::gather(root, &stuck.case, &self.noreboot, second_look);
        sleep(second_look.remaining());
        let held = stuck.suspects.held()?;
        evidence.lines.push(held.describe());
        let plan = self.conclude(root, &stuck.case, &evidence, end);
        let what = &named(&stuck.note, evidence.culprit.as_deref());
        if !plan.presses() {
            return Some(answer(what, plan.outcome));
        }
        if !held.is_still() {
            self.say("the kernel let go in the last moment, no key is pressed");
            return None;
        }
        Some(answer(what, self.press(root, &plan, "stop is stuck", end)))
    }

    /// What the kernel's own report of the worst leads to. Writes the evidence down and presses nothing yet.
    #[must_use]
    pub fn report(&self, root: &Root, case: &Case, end: Deadline) -> Plan {
        let evidence = Evidence::gather(root, case, &self.noreboot, end.share(0.4).within(LONGEST_GAP));
        self.conclude(root, case, &evidence, end)
    }

    fn conclude(&self, root: &Root, case: &Case, evidence: &Evidence, end: Deadline) -> Plan {
        let at_first = || self.first_look.seen_by(Deadline::after(Duration::ZERO));
        let plan = Plan::new(root, self.policy, evidence.is_forbidden.or_else(at_first) == Some(true));
        if let Some(kmsg) = &self.kmsg {
            evidence.to_kernel_log(kmsg);
        }
        evidence.to_disk(root, case, end.share(0.3).within(Duration::from_secs(1)));
        plan
    }

    /// Presses the keys of the plan, if any, and does not come back before the deadline, if at all. Gives the outcome as it is then.
    #[must_use]
    pub fn press(&self, root: &Root, plan: &Plan, why: &str, end: Deadline) -> &'static str {
        let Some(last) = plan.last else { return plan.outcome };
        self.say(&format!("{why}, pressing sysrq s, u, {last:?}"));
        if press(root, self.trigger.as_ref(), self.is_locked, last, end) { plan.outcome } else { "no sysrq, node needs fencing" }
    }

    fn say(&self, record: &str) {
        if let Some(kmsg) = &self.kmsg {
            kmsg.say(record);
        }
    }
}

/// A stop that is stuck, at the first look.
#[derive(Debug)]
pub struct Stuck {
    /// For the evidence.
    pub case: Case,
    /// What it was doing.
    pub note: String,
    /// What may be held.
    pub suspects: Suspects,
}

/// The last key, if any, and how the reason says it.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    last: Option<Key>,
    outcome: &'static str,
}

impl Plan {
    /// Whether keys are to be pressed.
    #[must_use]
    pub fn presses(&self) -> bool {
        self.last.is_some()
    }

    /// In a few words: `rebooting node`.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        self.outcome
    }

    fn new(root: &Root, policy: OnStopHang, is_forbidden: bool) -> Self {
        let (last, outcome) = match policy {
            OnStopHang::Fail => (None, "on_stop_hang=fail"),
            _ if is_forbidden => (None, "reboot forbidden by noreboot_file"),
            OnStopHang::Crash if !stands_still_after_a_panic(root) => (Some(Key::Crash), "crashing node"),
            OnStopHang::Reboot | OnStopHang::Crash => (Some(Key::Reboot), "rebooting node"),
            OnStopHang::Poweroff => (Some(Key::PowerOff), "powering off node"),
        };
        Self { last, outcome }
    }
}

/// Without a crash kernel and with `kernel.panic=0` a panic ends nothing (Documentation/admin-guide/sysctl/kernel.rst, "panic").
/// Both are read from kernel memory, so reading does not hang; what can not be read counts as 0.
fn stands_still_after_a_panic(root: &Root) -> bool {
    let is_zero = |dir: &str, attr: &str| !matches!(root.dir(dir).read_opt(attr), Ok(Some(text)) if text.trim() != "0");
    is_zero("/sys/kernel", "kexec_crash_loaded") && is_zero("/proc/sys/kernel", "panic")
}

/// What the stop was at, and what is likely to hang. A device that is suspended says it all; that one is busy may be of no matter.
fn named(note: &str, culprit: Option<&str>) -> String {
    match culprit {
        Some(culprit) if culprit.contains(" suspended") => culprit.to_owned(),
        Some(culprit) => format!("{note} ({culprit})"),
        None => note.to_owned(),
    }
}

fn answer(what: &str, outcome: &str) -> Answer {
    Answer { code: Code::Generic, reason: Some(sentence(what, outcome)), stuck: true }
}

/// `stop stuck: WHAT; OUTCOME`, shortened in the middle.
fn sentence(what: &str, outcome: &str) -> String {
    let head = "stop stuck: ";
    format!("{head}{}; {outcome}", shortened(what, reason::MAX.saturating_sub(head.len() + 2 + outcome.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(policy: OnStopHang, is_forbidden: bool, crash_kernel: &str, panic: &str) -> Option<Key> {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        root.dir("/sys/kernel").set("kexec_crash_loaded", crash_kernel).unwrap();
        root.dir("/proc/sys/kernel").set("panic", panic).unwrap();
        Plan::new(&root, policy, is_forbidden).last
    }

    #[test]
    fn a_crash_is_asked_for_only_where_something_follows_it() {
        use OnStopHang::{Crash, Fail, Poweroff, Reboot};
        let cases = [
            (Reboot, "1\n", "10\n", Some(Key::Reboot)),
            (Crash, "1\n", "0\n", Some(Key::Crash)),
            (Crash, "0\n", "10\n", Some(Key::Crash)),
            (Crash, "0\n", "-1\n", Some(Key::Crash)),
            (Crash, "0\n", "0\n", Some(Key::Reboot)),
            (Poweroff, "0\n", "0\n", Some(Key::PowerOff)),
            (Fail, "1\n", "10\n", None),
        ];
        for (policy, crash_kernel, panic, last) in cases {
            assert_eq!(plan(policy, false, crash_kernel, panic), last, "{policy:?} {crash_kernel:?} {panic:?}");
            assert_eq!(plan(policy, true, crash_kernel, panic), None, "{policy:?}, forbidden");
        }
    }

    #[test]
    fn a_disk_that_is_only_busy_does_not_take_the_place_of_what_the_stop_was_at() {
        let named = |culprit| named("drbdsetup down r0", culprit);
        assert_eq!(named(None), "drbdsetup down r0");
        assert_eq!(named(Some("sda 1 I/O in flight")), "drbdsetup down r0 (sda 1 I/O in flight)");
        assert_eq!(named(Some("dm-3 (vg1-lun0) suspended, 3 I/O in flight")), "dm-3 (vg1-lun0) suspended, 3 I/O in flight");
    }

    #[test]
    fn a_reason_fits_pcs_status_and_keeps_its_end() {
        let short = sentence("dm-3 (vg1-lv--lun0) suspended", "rebooting node");
        assert_eq!(short, "stop stuck: dm-3 (vg1-lv--lun0) suspended; rebooting node");
        let long = sentence(&"x".repeat(500), "rebooting node");
        assert!(long.len() == reason::MAX && long.ends_with("; rebooting node"));
    }
}
