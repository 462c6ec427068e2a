//! What the kernel has of a resource, and what it means that nobody can be asked.

use super::Helper;
use super::record::Record;
use crate::kernel::drbd::model::Resource;
use crate::kernel::drbd::{Drbd, absence};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

impl Helper {
    /// What the kernel has of it; `None` when that is certainly nothing. Loads no module.
    pub(super) fn look(&self, cx: &Context, record: &Record) -> Result<Option<Resource>, OcfError> {
        let name = self.name()?;
        let Some(drbd) = Drbd::open(cx.root)? else { return Ok(None) };
        match seen(&drbd, name, record, cx) {
            // The kernel itself has taken it down and said so, and nobody else can be asked.
            Err(e) if e.code == Code::Installed && self.is_down.get() => Ok(None),
            other => other,
        }
    }
}

/// What the kernel has of this resource. [`Code::Installed`] is for what can not be told for lack of a program or of a version that is known
/// here, and not even that it is absent.
pub fn seen(drbd: &Drbd, name: &str, record: &Record, cx: &Context) -> Result<Option<Resource>, OcfError> {
    let why = if !drbd.is_84() && !drbd.version().is_9() {
        format!("the module drbd is {}: only 8.4 and 9 are supported", drbd.version())
    } else {
        match drbd.resource(name, &record.volumes, cx.deadline) {
            // DRBD 9 is asked by drbdsetup.
            Err(e) if e.is_not_found() => format!("{e} (package drbd-utils)"),
            other => return Ok(other?),
        }
    };
    match absence::is_absent(cx.root, name, &record.volumes) {
        Ok(true) => return Ok(None),
        Ok(false) => {}
        Err(e) => tracing::info!("{e}"),
    }
    Err(OcfError::new(Code::Installed, why))
}

/// What a probe says where nobody can be asked: what may run must not count as not running, as it does where nothing is installed.
pub fn untold(cx: &Context, name: &str, e: OcfError) -> OcfError {
    if e.code != Code::Installed || !cx.env.is_probe() {
        return e;
    }
    OcfError::new(Code::Generic, format_args!("{name}: whether it runs can not be told: {}", e.reason))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::super::{DRBD_HELPER, build_helper};
    use super::*;
    use crate::deadline::Deadline;
    use crate::kernel::attr::Root;
    use crate::ocf::env::Env;
    use crate::ocf::run::{Agent, Answer, State, act, prepare};

    const V9: &str = "version: 9.3.3 (api:2/proto:118-124)\nTransports (api:22): tcp (9.3.3)\n";
    const V10: &str = "version: 10.0.0 (api:2/proto:118-124)\n";

    /// A machine without drbd-utils that has this module and these minors, of which nobody tells whose they are.
    fn machine(proc_drbd: &str, minors: &[u32]) -> (tempfile::TempDir, Root) {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        root.dir("/proc").set("drbd", proc_drbd).unwrap();
        root.dir("/sys/block").create_all(0o755).unwrap();
        for minor in minors {
            symlink("..", root.path(format!("/sys/block/drbd{minor}"))).unwrap();
        }
        (keep, root)
    }

    fn env(interval: &str) -> Env {
        let of = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        [("OCF_RESKEY_drbd_resource", "r0"), ("OCF_RESKEY_CRM_meta_interval", interval)].map(of).into_iter().collect()
    }

    fn answer(root: &Root, action: &str, interval: &str) -> Answer {
        let env = env(interval);
        let params = prepare(&DRBD_HELPER, action, &env).unwrap();
        let cx = Context { root, env: &env, deadline: Deadline::after(Duration::from_secs(5)), progress: &|_| () };
        act(&DRBD_HELPER, action, &params, &cx)
    }

    #[test]
    fn what_may_run_is_not_called_stopped_by_a_probe_that_can_ask_nobody() {
        for (version, says) in [(V9, "package drbd-utils"), (V10, "10.0.0")] {
            let (_keep, root) = machine(version, &[7]);
            let probe = answer(&root, "monitor", "0");
            assert_eq!(probe.code, Code::Generic);
            let reason = probe.reason.unwrap();
            assert!(reason.starts_with("r0: whether it runs can not be told: ") && reason.contains(says), "{reason}");
            assert!(reason.len() <= 120, "{reason}");
            assert_eq!(answer(&root, "monitor", "10000").code, Code::Installed);
            assert_eq!(answer(&root, "start", "0").code, Code::Installed);
        }
    }

    #[test]
    fn where_it_is_certainly_absent_it_is_stopped_whatever_is_missing() {
        for version in [V9, V10] {
            let (_keep, root) = machine(version, &[]);
            assert_eq!(answer(&root, "monitor", "0").code, Code::NotRunning);
            assert_eq!(answer(&root, "monitor", "10000").code, Code::NotRunning);
            assert_eq!(answer(&root, "stop", "0"), Answer::SUCCESS);
            assert_eq!(answer(&root, "start", "0").code, Code::Installed);
        }
    }

    #[test]
    fn what_the_kernel_has_taken_down_is_down_though_nobody_can_be_asked() {
        let (_keep, root) = machine(V9, &[7]);
        let env = env("0");
        let helper = build_helper(&prepare(&DRBD_HELPER, "stop", &env).unwrap()).unwrap();
        let cx = Context { root: &root, env: &env, deadline: Deadline::after(Duration::from_secs(5)), progress: &|_| () };
        assert_eq!(helper.presence(&cx).unwrap_err().code, Code::Installed);
        helper.is_down.set(true);
        assert_eq!(helper.presence(&cx).unwrap(), State::Stopped);
        // A state that can be told is what counts.
        root.dir("/proc").set("drbd", "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: 0\n 7: cs:Unconfigured\n").unwrap();
        root.dir("/sys/kernel/debug/drbd/resources/r0/volumes/0").create_all(0o755).unwrap();
        root.dir("/sys/kernel/debug/drbd/minors").create_all(0o755).unwrap();
        symlink("../resources/r0/volumes/0", root.path("/sys/kernel/debug/drbd/minors/7")).unwrap();
        assert_ne!(helper.presence(&cx).unwrap(), State::Stopped);
    }
}
