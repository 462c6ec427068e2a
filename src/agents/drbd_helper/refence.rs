//! Asks the handler fence-peer again where it could not say that the peer is out of the way, and the I/O of a Primary stands still for that. The
//! module asks once for each loss of a connection: a cluster that was too busy just then would leave this side frozen for good.
//!
//! Only after our own handler has failed since the I/O stands still: what stands still for another reason (`drbdadm suspend-io`, no up to date
//! data) is nobody's here to let go on.

use std::time::Duration;

use super::Helper;
use super::handlers::LastCall;
use super::peering;
use super::record::{self, Record};
use crate::kernel::drbd::model::{Connection, DiskState, Resource};
use crate::ocf::run::Context;

/// How long the handler may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long I/O has to stand still before the first call, and how long until the next one.
const FIRST: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_secs(60);

/// How much earlier than a monitor has seen it I/O may have stopped.
const UNSEEN: Duration = Duration::from_secs(60);

/// What the handler answers where nobody else will be promoted (`drbd_nl.c`, `conn_try_outdate_peer`).
const OUT_OF_THE_WAY: [i32; 3] = [4, 5, 7];

impl Helper {
    /// Whether it is to be asked now. If so, the record says already when the next time is, because whoever asks may not come back.
    pub(super) fn is_refencing_due(cx: &Context, resource: &Resource, record: &mut Record) -> bool {
        let Some(since) = record.frozen_since.filter(|_| waits_for_fencing(resource)) else {
            record.refence_at = None;
            return false;
        };
        if !cx.env.is_by_pacemaker() || cx.env.is_probe() {
            return false;
        }
        let due = *record.refence_at.get_or_insert_with(|| record::later(FIRST));
        let last = LastCall::load(cx.root, &resource.name, "fence-peer");
        let has_failed = last.is_some_and(|last| !is_good(i32::from(last.code)) && last.is_after(since, UNSEEN));
        let is_due = has_failed && record::now() >= due;
        if is_due {
            record.refence_at = Some(record::later(AGAIN));
        }
        is_due
    }

    /// Asks it, and lets I/O go on if the peer is out of the way. What else comes of it is logged.
    pub(super) fn refence(&self, cx: &Context, name: &str) {
        (cx.progress)("call the handler fence-peer");
        let patience = cx.deadline.share(0.7).within(PATIENCE);
        let Ok(drbdadm) = self.drbdadm(cx).inspect_err(|e| tracing::warn!("{e}")) else { return };
        let code = match drbdadm.run(&["fence-peer"], name, patience) {
            // It is how drbdadm itself ends where none is configured.
            Ok(_) => return,
            Err(failure) => match failure.refusal().and_then(|refusal| refusal.exit) {
                Some(code) if is_good(code) => code,
                _ => return tracing::warn!("{name}: I/O stays frozen, fence-peer: {failure}"),
            },
        };
        // The peer may have come back meanwhile, and then this is done already.
        let is_frozen = || self.look(cx, &Record::load(cx, name)).is_ok_and(|now| now.is_some_and(|now| waits_for_fencing(&now)));
        if self.wait_for_handlers(cx, cx.deadline.share(0.5)).is_err() || !is_frozen() {
            return;
        }
        match drbdadm.run(&["resume-io"], name, cx.deadline.share(0.8)) {
            Ok(_) => tracing::warn!("{name}: I/O goes on: fence-peer has answered {code} now"),
            Err(failure) => tracing::warn!("{name}: resume-io: {failure}"),
        }
    }
}

fn is_good(code: i32) -> bool {
    OUT_OF_THE_WAY.contains(&code)
}

/// Whether its I/O may stand still because a peer is lost, and for no other reason that can be told.
fn waits_for_fencing(resource: &Resource) -> bool {
    let suspended = resource.suspended;
    let may_be_for_that = suspended.fencing || suspended.untold;
    let is_for_another = suspended.user || suspended.no_data || suspended.quorum;
    let is_whole = resource.devices.iter().all(|device| device.disk == Some(DiskState::UpToDate));
    let has_peer = peering::is_connected(resource) || resource.connections.iter().any(Connection::is_in_handshake);
    resource.is_primary() && may_be_for_that && !is_for_another && is_whole && !has_peer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::drbd::model::{ConnectionState, Device, Role, Suspension};

    #[test]
    fn only_a_primary_with_good_disks_that_has_lost_its_peer_waits_for_fencing() {
        let device = |disk| Device { disk: Some(disk), role: Some(Role::Primary), ..Device::default() };
        let peer = |state| Connection { state: Some(state), ..Connection::default() };
        let with = |suspended, disk, state| Resource {
            role: Some(Role::Primary),
            devices: vec![device(disk)],
            connections: vec![peer(state)],
            suspended,
            ..Resource::default()
        };
        let untold = Suspension { untold: true, ..Suspension::default() };
        let fencing = Suspension { fencing: true, ..Suspension::default() };
        let (lost, there) = (ConnectionState::Connecting, ConnectionState::Connected);
        assert!(waits_for_fencing(&with(untold, DiskState::UpToDate, lost)));
        assert!(waits_for_fencing(&with(fencing, DiskState::UpToDate, lost)));
        let not = [
            with(Suspension::default(), DiskState::UpToDate, lost),
            with(Suspension { user: true, ..fencing }, DiskState::UpToDate, lost),
            with(Suspension { quorum: true, ..fencing }, DiskState::UpToDate, lost),
            with(Suspension { no_data: true, ..fencing }, DiskState::UpToDate, lost),
            with(untold, DiskState::Diskless, lost),
            with(untold, DiskState::UpToDate, there),
            Resource { role: Some(Role::Secondary), ..with(untold, DiskState::UpToDate, lost) },
        ];
        for resource in not {
            assert!(!waits_for_fencing(&resource), "{resource:?}");
        }
    }
}
