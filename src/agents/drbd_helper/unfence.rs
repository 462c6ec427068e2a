//! Calls the handler that unfences, once, when it is due: a promoted instance finds all disks on both sides up to date.

use std::time::Duration;

use super::Helper;
use super::peering;
use super::record::Record;
use crate::kernel::drbd::model::Resource;
use crate::ocf::run::Context;

/// How long the handler may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Helper {
    /// Calls it if that is wanted, due and not done. That it fails is logged, and tried again by the next monitor.
    pub(super) fn unfence_if_due(&self, cx: &Context, resource: &Resource, record: &mut Record) {
        if !self.unfences || !resource.is_primary() {
            record.is_unfenced = false;
            return;
        }
        if !peering::is_equal(resource) {
            record.is_unfenced = false;
            return;
        }
        if record.is_unfenced || cx.env.is_probe() && cx.env.get("OCF_RESKEY_CRM_meta_interval").is_some() {
            return;
        }
        let Ok(drbdadm) = self.drbdadm(cx).inspect_err(|e| tracing::warn!("{e}")) else { return };
        let drbdadm = drbdadm.env("OCF_RESKEY_unfence_extra_args", &self.unfence_args);
        (cx.progress)("call the handler unfence-peer");
        match drbdadm.run(&["unfence-peer"], &resource.name, cx.deadline.share(0.5).within(PATIENCE)) {
            Ok(_) => {
                tracing::info!("{}: unfenced, all disks are up to date", resource.name);
                record.is_unfenced = true;
            }
            Err(e) => {
                tracing::warn!("{}: unfence-peer: {e}", resource.name);
                // It knows no such handler, and will not.
                record.is_unfenced = e.refusal().is_some_and(|refusal| refusal.exit == Some(20));
            }
        }
    }
}
