//! The parameters of `DRBD-helper`: those of ocf:linbit:drbd by their names and defaults, better names beside some, and a few more.

use std::path::PathBuf;

use super::values::{
    Frozen, Guarding, Links, ModuleVersion, OldPeerPrimary, PeerPrimary, Reconnect, ResourceName, Seconds, Steps,
};
use crate::ocf::hang::{NOREBOOT_FILE, ON_STOP_HANG};
use crate::ocf::spec::{Declared, Param};

/// `drbd_resource`.
pub static DRBD_RESOURCE: Param<ResourceName> =
    Param::required("drbd_resource", "DRBD resource", "The name of the DRBD resource, as in its configuration.").unique();

/// `drbdconf`.
pub static DRBDCONF: Param<PathBuf> =
    Param::or("drbdconf", "/etc/drbd.conf", "Configuration of DRBD", "The full path of DRBD's configuration.");

/// `promotion_scores`.
pub static PROMOTION_SCORES: Param<Steps> = Param::or(
    "promotion_scores",
    "0 10 1000 10000",
    "Promotion scores",
    "Four ascending numbers: the promotion score of an instance whose disks are only Consistent; of one that can reach up to date data \
     only at a peer; of one whose own disks are up to date, not knowing what the peer has; and of one whose disks are up to date and that \
     knows. 0 is none at all. A promoted instance keeps the best one for as long as its disks are up to date.",
)
.reloadable();

/// `guard`.
pub static GUARD: Param<Guarding> = Param::or(
    "guard",
    "enforce",
    "What a guard leads to",
    "A side that may hold older or diverged data is guarded, by a record below /var/lib/ocf-san/drbd that outlives a reboot: after a split \
     brain, after two Primaries, after an I/O error, when a verify has found differences, and when the peer was Primary last and has not been seen \
     since this node came back. enforce: it has no promotion score and is not promoted until somebody says ocf-san drbd guard clear, or, \
     after a split brain and of older data, both sides are connected and up to date. warn: it is only logged. off: no guard is set or \
     looked at.",
)
.reloadable();

/// `cold_start_wait`.
pub static COLD_START_WAIT: Param<Seconds> = Param::or(
    "cold_start_wait",
    "0",
    "Seconds for which older data is guarded",
    "For how many seconds after its start an instance waits for a peer that was Primary last, before it may be promoted without it. With 0 it \
     waits until the peer is there or somebody clears the guard.",
)
.reloadable();

/// `uplink`.
pub static UPLINK: Param<Links> = Param::or(
    "uplink",
    "",
    "Links without which nobody can be served",
    "The network interfaces by which clients come, such as bond0, separated by blanks or commas. An instance that sees neither a peer nor, on any \
     of them, a carrier has no promotion score and is not promoted: its node may be the one that is cut off. Without fencing this keeps a node \
     with all its cables out from beginning a second history. One that is promoted already stays so. A promotion waits ten \
     seconds for a carrier. A name that is no interface counts for nothing, and every monitor says so. Empty: promotion does not depend on links.",
)
.reloadable();

/// `frozen_io`.
pub static FROZEN_IO: Param<Frozen> = Param::or(
    "frozen_io",
    "degraded",
    "What frozen I/O leads to",
    "DRBD freezes I/O until the peer is fenced, without quorum, without data and when told to. What a monitor makes of I/O that has stood \
     still for longer than frozen_io_grace: degraded (worth a look), fail (a failure, so that the cluster recovers it) or ignore. \
     Whatever this says, a promoted instance asks the handler fence-peer of ocf-san again once a minute where it has failed.",
)
.reloadable();

/// `frozen_io_grace`.
pub static FROZEN_IO_GRACE: Param<Seconds> = Param::or(
    "frozen_io_grace",
    "30",
    "Seconds for which I/O may be frozen",
    "For how many seconds I/O may stand still before frozen_io counts: a handler that fences the peer takes its time.",
)
.reloadable();

/// `degraded_codes`.
pub static DEGRADED_CODES: Param<bool> = Param::or(
    "degraded_codes",
    "false",
    "Answer 190 and 191",
    "Whether a monitor answers 190 and 191 (degraded) with its reason when it serves and somebody should look: a split brain, a resync, no disk \
     or no peer. Pacemaker shows it from version 2.1.1 on, and until a cleanup, which belongs into maintenance mode; other callers may take \
     it for a failure. With false the answer is 0 or 8, and the finding is logged when it changes.",
)
.reloadable();

/// `reconnect_policy`.
pub static RECONNECT_POLICY: Param<Reconnect> = Param::or(
    "reconnect_policy",
    "never-split-brain",
    "Whether to connect again",
    "Whether a start, a notification and a reload connect a resource that stands alone: never-split-brain does so unless a split brain is why, for \
     then a policy of DRBD may throw data away at a moment that nobody chose; always does as ocf:linbit:drbd.",
)
.reloadable();

/// `peer_primary_policy`.
pub static PEER_PRIMARY_POLICY: Param<PeerPrimary> = Param::or(
    "peer_primary_policy",
    "keep",
    "The score beside a Primary peer",
    "Whether an Unpromoted instance keeps its promotion score while a peer with up to date disks is Primary: keep; remove it; or remove it \
     only when that is unexpected, Pacemaker knowing of no promoted instance.",
)
.reloadable();

/// `fail_promote_early_if_peer_primary`.
pub static FAIL_PROMOTE_EARLY: Param<bool> = Param::or(
    "fail_promote_early_if_peer_primary",
    "false",
    "Fail a promotion at once beside a Primary peer",
    "Whether a promotion that is refused while a peer is Primary fails at once, instead of trying until its time is up.",
)
.reloadable();

/// `outdate_on_stop`.
pub static OUTDATE_ON_STOP: Param<bool> = Param::or(
    "outdate_on_stop",
    "false",
    "Outdate the disks after a stop",
    "Whether this side marks its own disks as outdated when it stops, or hears of it by a notification, while another node is promoted and \
     not connected: it then can not be promoted by mistake. Needs notifications.",
)
.reloadable();

/// `wfc_timeout`.
pub static WFC_TIMEOUT: Param<Seconds> = Param::or(
    "wfc_timeout",
    "5",
    "Seconds to wait for the connection",
    "For how many seconds a start waits for the peer to connect. That it does not is no failure.",
)
.reloadable();

/// `connect_only_after_promote`.
pub static CONNECT_ONLY_AFTER_PROMOTE: Param<bool> = Param::or(
    "connect_only_after_promote",
    "false",
    "Connect only after a promotion",
    "Whether a start leaves the resource unconnected, and only a promotion connects it: for sites whose disks follow the node.",
)
.reloadable();

/// `unfence_if_all_uptodate`.
pub static UNFENCE: Param<bool> = Param::or(
    "unfence_if_all_uptodate",
    "true",
    "Unfence when all is up to date",
    "Whether a promoted instance calls the handler unfence-peer when it finds all disks on both sides up to date, and every five minutes \
     after that. Without it a constraint that fence-peer has placed stays when the two sides meet again with nothing to copy.",
)
.reloadable();

/// `unfence_extra_args`.
pub static UNFENCE_EXTRA_ARGS: Param<String> = Param::or(
    "unfence_extra_args",
    "--quiet --flock-required --flock-timeout 0 --unfence-only-if-owner-match",
    "Arguments for the handler",
    "What the handler unfence-peer is given in OCF_RESKEY_unfence_extra_args, beside its own arguments.",
)
.reloadable();

/// `require_drbd_module_version_ge`.
pub static VERSION_GE: Param<ModuleVersion> = Param::or(
    "require_drbd_module_version_ge",
    "8.0.0",
    "Lowest version of the module",
    "The lowest version of DRBD's module with which this may start. Below 8.4 it never does.",
);

/// `require_drbd_module_version_lt`.
pub static VERSION_LT: Param<ModuleVersion> = Param::or(
    "require_drbd_module_version_lt",
    "10.0.0",
    "Versions of the module from here on",
    "The version of DRBD's module from which on this may not start.",
);

/// `adjust_master_score`.
pub static ADJUST_MASTER_SCORE: Param<Steps> =
    Param::optional("adjust_master_score", "Promotion scores", "The name that ocf:linbit:drbd has for promotion_scores.")
        .reloadable()
        .replaced_by("promotion_scores");

/// `stop_outdates_secondary`.
pub static STOP_OUTDATES_SECONDARY: Param<bool> = Param::optional(
    "stop_outdates_secondary",
    "Outdate the disks after a stop",
    "The name that ocf:linbit:drbd has for outdate_on_stop.",
)
.reloadable()
.replaced_by("outdate_on_stop");

/// `remove_master_score_if_peer_primary`.
pub static REMOVE_SCORE_IF_PEER_PRIMARY: Param<OldPeerPrimary> = Param::optional(
    "remove_master_score_if_peer_primary",
    "The score beside a Primary peer",
    "The name that ocf:linbit:drbd has for peer_primary_policy: false is keep, true is remove, unexpected is unexpected.",
)
.reloadable()
.replaced_by("peer_primary_policy");

/// `ignore_missing_notifications`.
pub static IGNORE_MISSING_NOTIFICATIONS: Param<bool> = Param::optional(
    "ignore_missing_notifications",
    "No notifications",
    "A parameter of ocf:linbit:drbd. Notifications are not needed here.",
)
.obsolete();

/// All of them, in the order in which they are shown.
pub static ALL: &[&dyn Declared] = &[
    &DRBD_RESOURCE,
    &DRBDCONF,
    &PROMOTION_SCORES,
    &GUARD,
    &COLD_START_WAIT,
    &UPLINK,
    &FROZEN_IO,
    &FROZEN_IO_GRACE,
    &DEGRADED_CODES,
    &RECONNECT_POLICY,
    &PEER_PRIMARY_POLICY,
    &FAIL_PROMOTE_EARLY,
    &OUTDATE_ON_STOP,
    &WFC_TIMEOUT,
    &CONNECT_ONLY_AFTER_PROMOTE,
    &UNFENCE,
    &UNFENCE_EXTRA_ARGS,
    &VERSION_GE,
    &VERSION_LT,
    &ON_STOP_HANG,
    &NOREBOOT_FILE,
    &ADJUST_MASTER_SCORE,
    &STOP_OUTDATES_SECONDARY,
    &REMOVE_SCORE_IF_PEER_PRIMARY,
    &IGNORE_MISSING_NOTIFICATIONS,
];
