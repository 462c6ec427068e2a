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
const AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(30);

impl Helper {
    /// Calls it if that is wanted and due. That it fails is logged.
    pub(super) fn unfence_if_due(&self, cx: &Context, resource: &Resource, record: &mut Record) {
        if !self.unfences || !resource.is_primary() || !peering::is_equal(resource) {
            record.unfence_at = None;
            return;
        }
        if cx.env.is_probe() && cx.env.get("OCF_RESKEY_CRM_meta_interval").is_some() {
            return;
        }
        let Some(due) = record.unfence_at else {
            record.unfence_at = Some(record::later(FIRST));
            return;
        };
        if record::now() < due {
            return;
        }
        let Ok(drbdadm) = self.drbdadm(cx).inspect_err(|e| tracing::warn!("{e}")) else { return };
        let drbdadm = drbdadm.env("OCF_RESKEY_unfence_extra_args", &self.unfence_args);
        (cx.progress)("call the handler unfence-peer");
        let answer = drbdadm.run(&["unfence-peer"], &resource.name, cx.deadline.share(0.5).within(PATIENCE));
        record.unfence_at = Some(match answer {
            Ok(_) => record::later(AGAIN),
            // It has no such handler.
            Err(e) if e.refusal().is_some_and(|refusal| refusal.exit == Some(20)) => {
                tracing::debug!("{}: unfence-peer: {e}", resource.name);
                u64::MAX
            }
            Err(e) => {
                tracing::warn!("{}: unfence-peer: {e}", resource.name);
                record::later(AGAIN_AFTER_FAILURE)
            }
        });
    }
}
