//! `cLVM`: the volume groups and logical volumes of LVM on the right node. LVM's commands change them, device-mapper says how they are.

mod access;
pub mod checks;
mod facts;
mod health;
mod lockspace;
mod look;
mod params;
mod record;
mod start;
mod stop;
mod values;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use self::look::Device;
use self::record::Record;
pub use self::values::Mode;
use self::values::{Scope, Sharing};
use crate::kernel::dm::DeviceMapper;
use crate::kernel::exec::Tool;
use crate::kernel::lvm::command::{Lvm, Missing};
use crate::kernel::lvm::names::VgName;
use crate::ocf::env::Params;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::{Agent, Context, Level, State};
use crate::ocf::spec::{ActionSpec, AgentSpec, Declared};

/// The declaration.
pub static CLVM: AgentSpec = AgentSpec {
    name: "cLVM",
    short: "LVM volume groups and logical volumes",
    long: "Activates a volume group, or some of its logical volumes, on one node, or with lvmlockd on several. It takes the parameters of \
           ocf:heartbeat:LVM-activate and of ocf:heartbeat:LVM. When a stop hangs in the kernel and no signal can end it, THIS NODE IS \
           REBOOTED, unless on_stop_hang or the noreboot file says otherwise.\n\n\
           A start succeeds only when every logical volume is active, which device-mapper and not LVM says, and programs find its device. \
           A monitor runs no command, unless a logical volume is missing and the metadata must say whether it was removed, and never waits for a disk: it asks device-mapper whether each logical volume that the start recorded \
           is there, has a table, is writable and not suspended, and whether a disk below has gone. With OCF_CHECK_LEVEL=10 it also reads \
           from each, past the cache and with a time-out, looks at RAID, thin pools and snapshots, and compares the mappings with LVM's \
           metadata.\n\n\
           A stop that LVM can not do because the disk is gone is done by device-mapper alone, if nobody has the devices open; otherwise it \
           fails and says who has.",
    params: params::ALL,
    actions: &[
        ActionSpec::new("start", 90),
        ActionSpec::new("stop", 90),
        ActionSpec::new("monitor", 30).every(10).depth(0),
        ActionSpec::new("monitor", 60).every(60).depth(10),
        ActionSpec::new("reload-agent", 20),
    ],
    build,
};

/// What is wrong with `vgname` when there is none.
const UNNAMED: &str = "required, not set";

/// How long lvmlockd gets to say whether what is active has its locks, which a start depends on.
const LOCKS: Duration = Duration::from_secs(10);

/// One resource.
struct Clvm {
    vg: Result<VgName, String>,
    mode: Result<Mode, String>,
    scope: Result<Scope, String>,
    sharing: Sharing,
    tag: String,
    missing: Missing,
    has_majority: bool,
    system_ids: Vec<String>,
    releases: bool,
    owner_tags: Vec<String>,
    devices: Vec<String>,
    pool_warn: u8,
    read_timeout: Duration,
    /// Whether a stop has taken away all that there was.
    is_swept: Cell<bool>,
    /// The record of what a stop has taken away: by its UUID, another volume group of the same name is not what is left.
    stopped: RefCell<Option<Record>>,
}

fn build(params: &Params) -> Result<Box<dyn Agent>, OcfError> {
    let vg = params.opt(&params::VGNAME)?.or(params.opt(&params::VOLGRPNAME)?);
    let mode = match (params.opt(&params::VG_ACCESS_MODE)?, params.opt(&params::EXCLUSIVE)?) {
        (Some(text), _) => Mode::parse(&text.0),
        (None, Some(true)) => Ok(Mode::Tagging),
        (None, _) => Ok(Mode::Local),
    };
    let missing = match (params.get(&params::PARTIAL_ACTIVATION)?, params.get(&params::DEGRADED_ACTIVATION)?) {
        (true, _) => Missing::Anything,
        (false, true) => Missing::Degraded,
        (false, false) => Missing::Nothing,
    };
    Ok(Box::new(Clvm {
        vg: vg.ok_or_else(|| UNNAMED.to_owned()).and_then(|text| VgName::parse(&text)),
        mode,
        scope: Scope::parse(&params.opt(&params::LVNAME)?.unwrap_or_default()),
        sharing: params.get(&params::ACTIVATION_MODE)?,
        tag: params.get(&params::TAG)?.0,
        missing,
        has_majority: params.get(&params::MAJORITY_PVS)?,
        system_ids: params.opt(&params::SYSTEM_IDS)?.unwrap_or_default().0,
        releases: params.get(&params::RELEASE_SYSTEM_ID)?,
        owner_tags: params.opt(&params::OWNER_TAGS)?.unwrap_or_default().0,
        devices: params.opt(&params::DEVICES)?.unwrap_or_default().0,
        pool_warn: params.get(&params::POOL_WARN)?.0,
        read_timeout: params.get(&params::READ_TIMEOUT)?.0,
        is_swept: Cell::new(false),
        stopped: RefCell::new(None),
    }))
}

/// What is there of a resource.
struct Seen {
    dm: DeviceMapper,
    /// The devices of the volume group.
    all: Vec<Device>,
    /// Those in scope.
    own: Vec<Device>,
}

impl Clvm {
    /// What was asked for, if that is possible anywhere.
    fn sound(&self) -> Result<(VgName, Mode, Scope), OcfError> {
        let wrong =
            |param: &dyn Declared, why: &String| OcfError::new(Code::Configured, format_args!("{}: {why}", param.decl().name));
        let vg = self.vg.clone().map_err(|why| wrong(&params::VGNAME, &why))?;
        let mode = self.mode.clone().map_err(|why| wrong(&params::VG_ACCESS_MODE, &why))?;
        let scope = self.scope.clone().map_err(|why| wrong(&params::LVNAME, &why))?;
        if self.sharing == Sharing::Shared && mode != Mode::Lvmlockd {
            return Err(wrong(&params::ACTIVATION_MODE, &"shared needs vg_access_mode=lvmlockd".to_owned()));
        }
        Ok((vg, mode, scope))
    }

    /// Whether nothing of the recorded volume group is active, and another one of its name is: somebody has made it anew, and by its name it
    /// must go. One that is active beside it is nobody's business.
    ///
    /// # Errors
    /// Device-mapper does not answer.
    fn is_made_anew(&self, cx: &Context, record: &Record) -> Result<bool, OcfError> {
        let is_there = |record| self.look(cx, record).map(|seen| seen.is_some_and(|seen| !seen.own.is_empty()));
        let is_its_name = self.vg.as_ref().is_ok_and(|vg| vg.as_str() == record.vg);
        Ok(is_its_name && !is_there(Some(record))? && is_there(None)?)
    }

    /// What device-mapper shows; `None` where there is no device-mapper, so that nothing is there.
    fn look(&self, cx: &Context, record: Option<&Record>) -> Result<Option<Seen>, OcfError> {
        let Some(dm) = DeviceMapper::open(cx.root)? else { return Ok(None) };
        let uuid = record.and_then(Record::vg_uuid);
        let all = look::devices(&dm, self.vg.as_ref().ok(), uuid.as_ref())?;
        let scope = self.scope.clone().unwrap_or_else(|_| Scope::nothing());
        let own = look::in_scope(&dm, all.clone(), &scope, record)?;
        Ok(Some(Seen { dm, all, own }))
    }
}

impl Agent for Clvm {
    fn monitor(&self, cx: &Context, level: Level) -> Result<State, OcfError> {
        let mut record = Record::load(cx);
        let seen = self.look(cx, record.as_ref())?;
        if let (Some(record), false) = (&record, seen.as_ref().is_some_and(|seen| !seen.own.is_empty())) {
            if self.is_made_anew(cx, record)? {
                return Ok(State::Partial(format!("{} is active, and is not the volume group that was started", record.vg)));
            }
        }
        let scope = match self.sound() {
            Ok((_, _, scope)) => scope,
            // Without any name it is no resource at all.
            Err(e) if cx.env.is_probe() && self.vg != Err(UNNAMED.to_owned()) => {
                tracing::warn!("{e}");
                let active = seen.and_then(|seen| seen.own.into_iter().next());
                let is_active = |device: Device| State::Partial(format!("{} is active, and {e}", device.spoken()));
                return Ok(active.map_or(State::Stopped, is_active));
            }
            Err(e) => return Err(e),
        };
        let Some(seen) = seen else { return Ok(State::Stopped) };
        if let Some(record) = record.as_ref().filter(|record| !record.is_complete && !seen.own.is_empty()) {
            return Ok(State::Partial(format!("an earlier start of {} did not come to its end", record.vg)));
        }
        let mut state = look::state(cx, &seen.dm, &seen.own, &scope, record.as_ref())?;
        if let (State::Partial(_), Some(record)) = (&state, &mut record) {
            if self.has_forgotten(cx, &seen.dm, &scope, record)? {
                let now = self.look(cx, Some(record))?;
                let own = now.map(|now| now.own).unwrap_or_default();
                state = look::state(cx, &seen.dm, &own, &scope, Some(record))?;
            }
        }
        if level < Level::Config || !state.is_active() {
            return Ok(state);
        }
        Ok(self.deep_look(cx, &seen.dm, &seen.all, &seen.own, record.as_ref())?.unwrap_or(state))
    }

    fn presence(&self, cx: &Context) -> Result<State, OcfError> {
        let record = Record::load(cx).or_else(|| self.stopped.borrow().clone());
        let seen = self.look(cx, record.as_ref())?;
        let own = seen.as_ref().map(|seen| seen.own.clone()).unwrap_or_default();
        let Some(record) = record else {
            // What was not started here is not known to be complete, so a start does its work and a stop too.
            return Ok(match own.first() {
                Some(device) => State::Partial(format!("{} is active, and no start of it is recorded", device.spoken())),
                None => State::Stopped,
            });
        };
        if own.is_empty() {
            // A tag or a lockspace may be left.
            let is_swept = self.is_swept.get();
            return Ok(if is_swept { State::Stopped } else { State::Partial("an earlier start was never stopped".to_owned()) });
        }
        let absent = look::absent(own.iter(), &record);
        Ok(match absent.first() {
            Some(lv) => State::Partial(format!("{}/{} is not active", record.vg, lv.name)),
            None if !record.is_complete => State::Partial("an earlier start did not come to its end".to_owned()),
            None => {
                let volumes: Vec<_> = own.iter().filter(|device| device.is_volume()).collect();
                // A start takes the lock again, or finds that another node has it.
                let unlocked = seen.and_then(|seen| self.unlocked(cx, &seen.dm, &seen.all, &volumes, LOCKS));
                unlocked.map_or(State::Running, State::Partial)
            }
        })
    }

    fn start(&self, cx: &Context) -> Result<(), OcfError> {
        self.activate(cx)
    }

    fn stop(&self, cx: &Context) -> Result<(), OcfError> {
        self.deactivate(cx)
    }

    fn validate(&self, cx: &Context, level: Level) -> Result<(), OcfError> {
        let (vg, mode, _) = self.sound()?;
        if level == Level::Cheap {
            return Ok(());
        }
        device_mapper(cx)?;
        lvm(cx)?;
        let facts = checks::Facts { vg: &vg, mode, tag: &self.tag, devices: &self.devices };
        let found = checks::warnings(cx, &facts, cx.deadline.share(0.8));
        for warning in &found {
            tracing::warn!("{warning}");
        }
        let fatal = found.into_iter().find(|warning| warning.is_fatal);
        fatal.map_or(Ok(()), |warning| Err(OcfError::new(Code::Args, warning.short())))
    }
}

/// LVM's commands.
fn lvm(cx: &Context) -> Result<Lvm, OcfError> {
    Lvm::find(cx.root).map_err(|_| OcfError::new(Code::Installed, "lvm is not installed (package lvm2)"))
}

/// Device-mapper, loaded if need be.
fn device_mapper(cx: &Context) -> Result<DeviceMapper, OcfError> {
    if let Some(dm) = DeviceMapper::open(cx.root)? {
        return Ok(dm);
    }
    if let Ok(modprobe) = Tool::find(cx.root, "modprobe") {
        let _ = modprobe.run(&["dm_mod"], cx.deadline.share(0.3));
    }
    let why = "/dev/mapper/control: this kernel has no device-mapper (module dm_mod)";
    DeviceMapper::open(cx.root)?.ok_or_else(|| OcfError::new(Code::Installed, why))
}
