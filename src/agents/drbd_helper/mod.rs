//! `DRBD-helper`: a DRBD resource, 8.4 or 9, as a promotable clone. Monitors read what the kernel shows and run nothing on 8.4; drbdadm and
//! drbdsetup change it, and nothing is ever forced.

mod attribute;
mod checks;
mod cleared;
mod cold_start;
mod demote;
pub mod evidence;
pub mod guard;
pub mod handlers;
pub mod health;
pub mod last_primary;
mod look;
pub mod marker;
mod notify;
mod observe;
mod overflow;
mod params;
pub mod peering;
mod promote;
mod record;
mod refence;
pub mod score;
mod start;
mod stop;
mod trouble;
mod unfence;
mod uplink;
pub mod values;

use std::cell::Cell;
use std::time::Duration;

use self::attribute::Writing;
use self::look::seen;
use self::record::Record;
use self::values::{Frozen, Guarding, ModuleVersion, PeerPrimary, Reconnect, Steps};
use crate::kernel::drbd::tools::Refusal;
use crate::ocf::env::Params;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::{Agent, Context, Level, State};
use crate::ocf::spec::{ActionSpec, AgentSpec, ParamValue};

/// The declaration.
pub static DRBD_HELPER: AgentSpec = AgentSpec {
    name: "DRBD-helper",
    short: "DRBD resource as a promotable clone",
    long: "Manages a DRBD resource, with the module 8.4 of the kernel or DRBD 9, as a promotable clone. It takes the parameters of ocf:linbit:drbd, so \
           that a cluster moves over by the name of its agent. When a stop hangs in the kernel and no signal can end it, THIS NODE IS \
           REBOOTED, unless on_stop_hang or the noreboot file says otherwise.\n\n\
           A monitor reads what the kernel shows: on 8.4 it runs no program, and answers while other DRBD commands hang. It tells a split brain, \
           frozen I/O, a lost disk, two Primaries and a resync apart, and its reason says what to type next. With degraded_codes it answers 190 \
           or 191 while the resource serves and somebody should look; otherwise that is logged.\n\n\
           A side that may hold older or diverged data is guarded: it has no promotion score and is not promoted until somebody says ocf-san drbd \
           guard clear, or, after a split brain and of older data, both sides are connected and up to date. A start never connects what a split \
           brain has dropped, and nothing is ever forced.\n\n\
           Notifications are useful (notify=true) and not needed, but to connect what was promoted on both sides. It runs without Pacemaker \
           too, below the OCF wrapper of drbd-reactor: there it writes no promotion score.",
    params: params::ALL,
    actions: &[
        ActionSpec::new("start", 240),
        ActionSpec::new("promote", 90),
        ActionSpec::new("demote", 90),
        ActionSpec::new("notify", 90),
        ActionSpec::new("stop", 100),
        ActionSpec::new("monitor", 20).every(20).role("Unpromoted"),
        ActionSpec::new("monitor", 20).every(10).role("Promoted"),
        ActionSpec::new("reload-agent", 30),
    ],
    build,
};

/// The name of a resource that a monitor can not even look for.
const UNNAMED: &str = "drbd_resource: required, not set";

/// One resource.
#[expect(clippy::struct_excessive_bools, reason = "five parameters that are yes or no")]
struct Helper {
    name: Option<String>,
    config: String,
    steps: Steps,
    guarding: Guarding,
    cold_start_wait: Duration,
    uplink: Vec<String>,
    frozen_io: (Frozen, Duration),
    is_degraded_told: bool,
    reconnect: Reconnect,
    peer_primary: PeerPrimary,
    fails_early: bool,
    outdates: bool,
    wait_for_peer: Duration,
    connects_late: bool,
    unfences: bool,
    unfence_args: String,
    versions: (ModuleVersion, ModuleVersion),
    /// Whether this call has demoted it: what is then left without a disk and a connection is as demoted as can be.
    is_lowered: Cell<bool>,
    /// Whether this call has taken it down, as whoever did it has said.
    is_down: Cell<bool>,
}

fn build(params: &Params) -> Result<Box<dyn Agent>, OcfError> {
    Ok(Box::new(build_helper(params)?))
}

fn build_helper(params: &Params) -> Result<Helper, OcfError> {
    let default = |text| Steps::parse(text).map_err(|why| OcfError::new(Code::Configured, why));
    let steps = params.get(&params::PROMOTION_SCORES)?;
    let is_default = steps == default("0 10 1000 10000")?;
    let peer_primary = params.get(&params::PEER_PRIMARY_POLICY)?;
    let old_peer_primary = params.opt(&params::REMOVE_SCORE_IF_PEER_PRIMARY)?.map(|old| old.0);
    if params.opt(&params::IGNORE_MISSING_NOTIFICATIONS)?.is_some() {
        tracing::debug!("ignore_missing_notifications: notifications are not needed");
    }
    Ok(Helper {
        name: params.opt(&params::DRBD_RESOURCE)?.map(|name| name.0),
        config: params.get(&params::DRBDCONF)?.to_string_lossy().into_owned(),
        steps: params.opt(&params::ADJUST_MASTER_SCORE)?.filter(|_| is_default).unwrap_or(steps),
        guarding: params.get(&params::GUARD)?,
        cold_start_wait: params.get(&params::COLD_START_WAIT)?.0,
        uplink: params.get(&params::UPLINK)?.0,
        frozen_io: (params.get(&params::FROZEN_IO)?, params.get(&params::FROZEN_IO_GRACE)?.0),
        is_degraded_told: params.get(&params::DEGRADED_CODES)?,
        reconnect: params.get(&params::RECONNECT_POLICY)?,
        peer_primary: old_peer_primary.filter(|_| peer_primary == PeerPrimary::Keep).unwrap_or(peer_primary),
        fails_early: params.get(&params::FAIL_PROMOTE_EARLY)?,
        outdates: params.get(&params::OUTDATE_ON_STOP)? || params.opt(&params::STOP_OUTDATES_SECONDARY)? == Some(true),
        wait_for_peer: params.get(&params::WFC_TIMEOUT)?.0,
        connects_late: params.get(&params::CONNECT_ONLY_AFTER_PROMOTE)?,
        unfences: params.get(&params::UNFENCE)?,
        unfence_args: params.get(&params::UNFENCE_EXTRA_ARGS)?,
        versions: (params.get(&params::VERSION_GE)?, params.get(&params::VERSION_LT)?),
        is_lowered: Cell::new(false),
        is_down: Cell::new(false),
    })
}

impl Helper {
    fn name(&self) -> Result<&str, OcfError> {
        self.name.as_deref().ok_or_else(|| OcfError::new(Code::Configured, UNNAMED))
    }
}

impl Agent for Helper {
    fn monitor(&self, cx: &Context, level: Level) -> Result<State, OcfError> {
        let name = self.name()?;
        let was = Record::load(cx, name);
        let mut record = was.clone();
        let Some(resource) = self.look(cx, &record).map_err(|e| look::untold(cx, name, e))? else {
            if cx.env.is_probe() {
                record.forget_run();
            } else {
                observe::is_gone(cx, &mut record);
            }
            record.save(cx, name, &was);
            return Ok(State::Stopped);
        };
        // What a probe finds running, Pacemaker may know nothing of.
        let writing = if cx.env.is_probe() { Writing::Again } else { Writing::IfLost };
        let state = self.assess(cx, &resource, &mut record, writing);
        let is_to_unfence = self.is_unfencing_due(cx, &resource, &mut record);
        let is_to_refence = Self::is_refencing_due(cx, &resource, &mut record);
        record.save(cx, name, &was);
        if is_to_unfence {
            self.unfence(cx, name);
        } else if is_to_refence {
            self.refence(cx, name);
        }
        // One that was not known serves nobody yet; one that serves is left to whoever took a volume of it down.
        if cx.env.is_probe() && !was.is_started {
            if let Some(why) = health::partly_promoted(&resource, &record.volumes) {
                return Ok(State::FailedPromoted(why));
            }
        }
        Ok(if level == Level::Cheap { state } else { self.with_snapshots(cx, &resource, state) })
    }

    fn presence(&self, cx: &Context) -> Result<State, OcfError> {
        let Ok(name) = self.name() else { return Ok(State::Stopped) };
        let record = Record::load(cx, name);
        Ok(match self.look(cx, &record)? {
            None => State::Stopped,
            Some(resource) if resource.is_promoted(&record.volumes) => State::Promoted,
            Some(resource) if resource.is_primary() => {
                let why = health::partly_promoted(&resource, &record.volumes);
                State::FailedPromoted(
                    why.unwrap_or_else(|| format!("{name} is Primary in part: drbdadm primary {name}, or secondary")),
                )
            }
            Some(resource) if health::is_bare(&resource) && !self.is_lowered.get() => {
                State::Partial(format!("{name} has neither a disk nor a connection: drbdadm adjust {name}"))
            }
            Some(_) => State::Running,
        })
    }

    fn start(&self, cx: &Context) -> Result<(), OcfError> {
        self.bring_up(cx)
    }

    fn start_again(&self, cx: &Context) -> Result<(), OcfError> {
        self.bring_up(cx)
    }

    fn stop(&self, cx: &Context) -> Result<(), OcfError> {
        self.take_down(cx)
    }

    fn stop_again(&self, cx: &Context) -> Result<(), OcfError> {
        let name = self.name()?;
        observe::is_gone(cx, &mut Record::load(cx, name));
        Record::forget(cx, name);
        Ok(())
    }

    fn validate(&self, cx: &Context, level: Level) -> Result<(), OcfError> {
        self.name()?;
        if level == Level::Cheap { Ok(()) } else { self.check_machine(cx) }
    }

    fn reload_agent(&self, cx: &Context) -> Result<(), OcfError> {
        self.reload(cx)
    }

    fn promote(&self, cx: &Context) -> Result<(), OcfError> {
        self.raise(cx)
    }

    fn demote(&self, cx: &Context) -> Result<(), OcfError> {
        self.lower(cx)
    }

    fn notify(&self, cx: &Context) -> Result<(), OcfError> {
        self.hear(cx)
    }
}
