//! Calls the handler that unfences when it is due: a promoted instance finds all disks on both sides up to date. After a resync the module
//! calls it by itself; when the two meet again and there is nothing to copy, nobody else does, and the stand-by would stay locked out.

use std::time::Duration;

use super::Helper;
use super::peering;
use super::record::{self, Record};
use crate::kernel::drbd::model::Resource;
use crate::ocf::run::Context;

/// How long the handler may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long all has to be up to date before the first call: a promotion is followed by what starts on top of it, which is not to wait.
const FIRST: Duration = Duration::from_secs(10);

/// How long until the next call: between two monitors a link can come and go, and a constraint that the cluster was asked for can come late.
const AGAIN: Duration = Duration::from_secs(300);

/// The same after a call that failed, which the cluster may have been too busy for.
const AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(60);

impl Helper {
    /// Whether it is to be called now. If so, the record says already when the next time is, because whoever calls may not come back.
    pub(super) fn is_unfencing_due(&self, cx: &Context, resource: &Resource, record: &mut Record) -> bool {
        if !self.unfences || !resource.is_primary() || !peering::is_equal(resource) {
            record.unfence_at = None;
            return false;
        }
        if cx.env.is_probe() && cx.env.is_by_pacemaker() {
            return false;
        }
        let Some(due) = record.unfence_at else {
            record.unfence_at = Some(record::later(FIRST));
            return false;
        };
        let is_due = record::now() >= due;
        if is_due {
            record.unfence_at = Some(record::later(AGAIN_AFTER_FAILURE));
        }
        is_due
    }

    /// Calls it. Where there is none, drbdadm does nothing. That it fails is logged.
    pub(super) fn unfence(&self, cx: &Context, name: &str) {
        let Ok(drbdadm) = self.drbdadm(cx).inspect_err(|e| tracing::warn!("{e}")) else { return };
        let drbdadm = drbdadm.env("OCF_RESKEY_unfence_extra_args", &self.unfence_args);
        (cx.progress)("call the handler unfence-peer");
        let answer = drbdadm.run(&["unfence-peer"], name, cx.deadline.share(0.5).within(PATIENCE));
        let is_enough = match answer {
            Ok(_) => true,
            Err(e) => {
                tracing::warn!("{name}: unfence-peer: {e}");
                e.is_late() // what hangs is not to be there once a minute
            }
        };
        if is_enough {
            let was = Record::load(cx, name);
            let at = was.unfence_at.map(|_| record::later(AGAIN));
            Record { unfence_at: at, ..was.clone() }.save(cx, name, &was);
        }
    }
}
