//! Asks the handler fence-peer again where it could not say that the peer is out of the way, and the I/O of a Primary stands still for that. The
//! module asks once for each loss of a connection: a cluster that was too busy just then would leave this side frozen for good.
//!
//! Only after our own handler has failed since the I/O stands still: what stands still for another reason (`drbdadm suspend-io`, no up to date
//! data) is nobody's here to let go on.

use std::time::Duration;

use super::Helper;
use super::guard::Guard;
use super::handlers::{FENCED, LastCall, OUTDATED, UNREACHABLE};
use super::peering;
use super::record::{self, Record};
use super::trouble::drbdsetup;
use crate::kernel::drbd::model::{Connection, DiskState, Resource, Suspension};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// How long the handler may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long I/O has to stand still before the first call, and how long until the next one.
const FIRST: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_secs(60);

/// How much earlier than a monitor has seen it I/O may have stopped.
const UNSEEN: Duration = Duration::from_secs(60);

impl Helper {
    /// Whether it is to be asked now. If so, the record says already when the next time is, because whoever asks may not come back.
    pub(super) fn is_refencing_due(cx: &Context, resource: &Resource, record: &mut Record) -> bool {
        let Some(since) = record.frozen_since.filter(|_| waits_for_fencing(resource)) else {
            (record.refence_at, record.is_refenced) = (None, false);
            return false;
        };
        if !cx.env.is_by_pacemaker() || cx.env.is_probe() {
            return false;
        }
        let due = *record.refence_at.get_or_insert_with(|| record::later(FIRST));
        let last = || LastCall::load(cx.root, &resource.name, "fence-peer");
        // Once asked, a good answer is none that has been used as long as the I/O stands still.
        let is_needed = || record.is_refenced || last().is_some_and(|last| !is_good(last.code) && last.is_after(since, UNSEEN));
        let is_free = || Guard::load_or_unreadable(cx.root, &resource.name).is_empty();
        let is_due = record::now() >= due && is_needed() && is_free();
        if is_due {
            (record.refence_at, record.is_refenced) = (Some(record::later(AGAIN)), true);
        }
        is_due
    }

    /// Asks it, and lets I/O go on if the peer is out of the way. What comes of it is logged.
    pub(super) fn refence(&self, cx: &Context, name: &str) {
        (cx.progress)("call the handler fence-peer");
        let asked = record::now();
        let patience = cx.deadline.share(0.55).within(PATIENCE);
        let Ok(drbdadm) = self.drbdadm(cx).inspect_err(|e| tracing::warn!("{e}")) else { return };
        // Or a limit of its own that is longer than ours would have it killed before it answers.
        let limit = patience.remaining().as_secs().saturating_sub(1).max(1);
        let drbdadm = drbdadm.env("OCF_RESKEY_fence_extra_args", &format!("--timeout {limit}"));
        match drbdadm.run(&["fence-peer"], name, patience) {
            Ok(_) => tracing::warn!("{name}: I/O stays frozen: no handler fence-peer is configured, or it answers 0"),
            Err(failure) => match failure.refusal().and_then(|refusal| u8::try_from(refusal.exit?).ok()) {
                Some(code) if is_good(code) => match self.let_go_on(cx, name, asked) {
                    Ok(()) => tracing::warn!("{name}: I/O goes on: fence-peer has answered {code} now"),
                    Err(e) => tracing::warn!("{name}: fence-peer has answered {code} now, and I/O stays frozen: {e}"),
                },
                _ => tracing::warn!("{name}: I/O stays frozen, fence-peer: {failure}"),
            },
        }
    }

    /// Lets I/O go on, if it still stands still for that reason and for no other.
    fn let_go_on(&self, cx: &Context, name: &str, asked: u64) -> Result<(), OcfError> {
        let no = |why: &str| Err(OcfError::new(Code::Generic, why));
        self.wait_for_handlers(cx, cx.deadline.share(0.3)).map_err(|trouble| trouble.error)?;
        // The peer has been there meanwhile, and is lost again.
        let last = LastCall::load(cx.root, name, "fence-peer");
        if last.is_some_and(|last| last.ticks >= asked && !is_good(last.code)) {
            return no("it has failed again since");
        }
        let tool = drbdsetup(cx)?;
        let refused = |failure| OcfError::new(Code::Generic, failure);
        // `/proc/drbd` does not tell one reason from another, and the command ends all of them.
        let reason = tool.suspension(name, cx.deadline.share(0.4)).map_err(refused)?;
        if reason != Some(Suspension { fencing: true, ..Suspension::default() }) {
            let reason = reason.map_or_else(|| "the resource is gone".to_owned(), |reason| format!("suspended: {reason}"));
            return no(&reason);
        }
        let Some(now) = self.look(cx, &Record::load(cx, name))?.filter(waits_for_fencing) else { return no("the peer is back") };
        // The first one lets all volumes go on, and each needs a generation of its own for what it writes from now on: none is left out.
        let results: Vec<_> = now.devices.iter().map(|device| tool.resume_io(device.minor, cx.deadline)).collect();
        results.into_iter().collect::<Result<(), _>>().map_err(refused)
    }
}

fn is_good(code: u8) -> bool {
    [OUTDATED, UNREACHABLE, FENCED].contains(&code)
}

/// Whether its I/O may stand still because a peer is lost, and for no other reason that can be told.
fn waits_for_fencing(resource: &Resource) -> bool {
    let suspended = resource.suspended;
    let may_be_for_that = suspended.fencing || suspended.untold;
    let is_for_another = suspended.user || suspended.no_data || suspended.quorum;
    let is_whole = resource.devices.iter().all(|device| device.disk == Some(DiskState::UpToDate));
    let has_peer = peering::is_connected(resource) || resource.connections.iter().any(Connection::is_in_handshake);
    // Whoever stands alone has met the peer, and the two have parted: that is somebody's to decide.
    let is_apart = peering::stands_alone(resource);
    resource.is_primary() && may_be_for_that && !is_for_another && is_whole && !has_peer && !is_apart
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
            with(untold, DiskState::UpToDate, ConnectionState::StandAlone),
            Resource { role: Some(Role::Secondary), ..with(untold, DiskState::UpToDate, lost) },
        ];
        for resource in not {
            assert!(!waits_for_fencing(&resource), "{resource:?}");
        }
    }
}
