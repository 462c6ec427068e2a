//! `LIO`: exports backstores over iSCSI, natively on configfs, from targetcli's `saveconfig.json`.

mod build;
mod check;
mod drift;
mod hang;
mod own;
mod params;
mod preflight;
mod teardown;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use self::check::Expect;
use self::hang::Hang;
use self::own::{Claims, Record};
use self::params::{ALLOW_READABLE, CONFIG, FAIL_BACKEND, IQN, MONITOR_ON_HANG, RESERVATIONS, Reservations};
use self::teardown::Teardown;
use crate::agents::jobs::{Job, Wave};
use crate::kernel::attr::Root;
use crate::kernel::block::BlockDevice;
use crate::kernel::lio::inventory::Inventory;
use crate::kernel::lio::names::IscsiName;
use crate::kernel::lio::{self, fabric};
use crate::kernel::probe_read;
use crate::ocf::doubt::OnDoubt;
use crate::ocf::env::Params;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::hang::{NOREBOOT_FILE, ON_STOP_HANG};
use crate::ocf::run::{Agent, Context, Level, State};
use crate::ocf::spec::{ActionSpec, AgentSpec};

/// The declaration.
pub static LIO: AgentSpec = AgentSpec {
    name: "LIO",
    short: "iSCSI targets of the Linux kernel (LIO)",
    long: "Builds and takes down iSCSI targets in the kernel's configfs, from the saveconfig.json that targetcli writes, without \
           targetcli, targetctl or Python. When a stop is stuck in the kernel because a backing device does not answer, this agent REBOOTS \
           THE NODE by sysrq, so that the other node can take over; on_stop_hang and noreboot_file say otherwise.\n\n\
           A target is shown to initiators only when it is complete, and a start that fails takes back what it made. Targets that are \
           not in the configuration are never touched; what was added by hand to one that is, goes with it. Put the resource after \
           its storage and before its virtual IP, and disable target.service and rtslib-fb-targetctl.service. It can not be cloned: \
           two nodes exporting one disk destroy it.",
    params: &[&CONFIG, &IQN, &ON_STOP_HANG, &NOREBOOT_FILE, &FAIL_BACKEND, &MONITOR_ON_HANG, &RESERVATIONS, &ALLOW_READABLE],
    actions: &[
        ActionSpec::new("start", 30),
        ActionSpec::new("stop", 30),
        ActionSpec::new("monitor", 20).every(10).depth(0),
        ActionSpec::new("reload-agent", 20),
    ],
    build,
};

/// One resource.
struct Lio {
    config: Option<PathBuf>,
    iqns: Vec<IscsiName>,
    /// `iqn`, or without one `config`, was set to something that names nothing: a stop then goes by the record alone.
    is_choice_refused: bool,
    fail_backend: bool,
    on_hang: OnDoubt,
    reservations: Reservations,
    allow_readable_config: bool,
}

fn build(params: &Params) -> Result<Box<dyn Agent>, OcfError> {
    let iqns = params.opt(&IQN)?.map(|iqns| iqns.0).unwrap_or_default();
    Ok(Box::new(Lio {
        config: params.opt(&CONFIG)?,
        is_choice_refused: params.is_refused(&IQN) || (iqns.is_empty() && params.is_refused(&CONFIG)),
        iqns,
        fail_backend: params.get(&FAIL_BACKEND)?,
        on_hang: params.get(&MONITOR_ON_HANG)?,
        reservations: params.get(&RESERVATIONS)?,
        allow_readable_config: params.get(&ALLOW_READABLE)?,
    }))
}

/// What is ours, and how we know.
struct Own {
    inventory: Inventory,
    /// When the start began, in clock ticks since boot; 0 when unknown.
    since: u64,
    /// Whether discovery authentication is ours to take away.
    discovery: bool,
    /// Whether a record says so.
    is_recorded: bool,
}

impl From<Record> for Own {
    fn from(record: Record) -> Self {
        Self { inventory: record.inventory, since: record.since, discovery: record.discovery, is_recorded: true }
    }
}

impl Lio {
    /// What is ours and how it is: what the last start recorded, as long as any of it is there; otherwise what the configuration names;
    /// without that what `iqn` names. Never what another instance has. `None` when there is nothing to go by.
    fn own(&self, cx: &Context, lio: &lio::Lio) -> Result<Option<(Own, State)>, OcfError> {
        let claims = Claims::of_others(cx, lio)?;
        let record = Record::load(cx)?;
        let was_recorded = record.is_some();
        if let Some(mut record) = record {
            record.inventory.targets.retain(|t| claims.owner(&t.iqn).is_none());
            let state = check::state(lio, &record.inventory, Expect::Enabled)?;
            // One that no start has written is right only as long as all of it runs: another agent may have started something else since.
            if state == State::Running || (state != State::Stopped && !record.is_adopted) {
                return Ok(Some((record.into(), state)));
            }
        }
        if self.is_choice_refused || !lio.base().exists()? {
            return Ok(None);
        }
        let named = |mut inventory: Inventory, discovery| {
            claims.subtract_from(&mut inventory);
            number_devices(cx, &mut inventory);
            let state = check::state(lio, &inventory, Expect::Enabled)?;
            Ok(Some((Own { inventory, since: 0, discovery, is_recorded: false }, state)))
        };
        let why = match self.glance_at_config(cx) {
            Ok(Some(config)) => return named(Self::inventory_of(lio, &config)?, config.discovery.is_some()),
            Ok(None) => None,
            Err(why) => Some(why),
        };
        if !self.iqns.is_empty() {
            return named(Inventory::live(lio, self.iqns.iter().map(IscsiName::as_str))?, false);
        }
        let unclaimed = |name: &String| name != "discovery_auth" && claims.owner(name).is_none();
        match (why, lio.iscsi().dirs()?.into_iter().find(unclaimed)) {
            // Something runs that the file may well name, and no record says otherwise: "not running" would invite a second writer.
            (Some(why), Some(iqn)) if !was_recorded => Err(OcfError::new(Code::Generic, format_args!("is {iqn} ours? {why}"))),
            _ => Ok(None),
        }
    }

    /// Takes away what is ours, but not yet the record of it.
    fn take_down(cx: &Context, lio: &lio::Lio, own: &Own, fail_backend: bool) -> Result<(), OcfError> {
        Teardown { cx, lio, own: &own.inventory, fail_backend, is_disabled: Cell::new(false) }.run()?;
        let is_last = || lio.iscsi().dirs().map(|names| names.iter().all(|name| name == "discovery_auth"));
        if own.discovery && Claims::of_others(cx, lio)?.is_empty() && is_last()? {
            fabric::clear_discovery(lio)?;
        }
        Ok(())
    }

    /// What check levels 10 and 20 find wrong with something that runs.
    fn deep_check(&self, cx: &Context, lio: &lio::Lio, own: &Own, level: Level) -> Result<State, OcfError> {
        let config = match self.load_config(cx) {
            Ok((_, config)) => config,
            Err(why) => return Ok(State::Degraded(format!("the next start will fail: {why}"))),
        };
        if let Some(difference) = drift::first(lio, &config, &own.inventory)? {
            return Ok(State::Degraded(difference));
        }
        if level < Level::Device {
            return Ok(State::Running);
        }
        let moved = Arc::new(Mutex::new(Vec::new()));
        let read = |so: &lio::inventory::Backstore| {
            let (path, root, number) = (cx.root.path(so.dev.as_ref()?), cx.root.clone(), so.number);
            let moved = Arc::clone(&moved);
            Some(Job::new(path.display().to_string(), move || match probe_read::read_first_page(&path) {
                // A volume that was renamed is served all the same.
                Err(e) if e.is_not_found() && number.is_some_and(|(major, minor)| is_there(&root, major, minor)) => {
                    moved.lock().unwrap_or_else(PoisonError::into_inner).push(e.to_string());
                    Ok(())
                }
                other => other,
            }))
        };
        let reads: Vec<_> = own.inventory.backstores.iter().filter_map(read).collect();
        let width = reads.len();
        let mut wave = Wave::start(reads, width);
        if !wave.wait(cx.deadline.share(0.5)) {
            let device = wave.outstanding().next().unwrap_or_default();
            return Ok(self.hung(Hang { what: format!("{device} does not answer a read"), is_certain: true }));
        }
        if let Some(e) = wave.take_failed().first() {
            return Ok(State::Failed(e.to_string()));
        }
        let moved = moved.lock().unwrap_or_else(PoisonError::into_inner).first().cloned();
        Ok(moved.map_or(State::Running, |why| State::Degraded(format!("the next start will fail: {why}"))))
    }

    fn hung(&self, hang: Hang) -> State {
        match self.on_hang {
            OnDoubt::Fail if hang.is_certain => State::Failed(hang.what),
            _ => State::Degraded(hang.what),
        }
    }
}

impl Agent for Lio {
    fn monitor(&self, cx: &Context, level: Level) -> Result<State, OcfError> {
        let lio = lio::Lio::new(cx.root);
        in_sight(&lio)?;
        let Some((own, state)) = self.own(cx, &lio)? else { return Ok(State::Stopped) };
        if state != State::Running {
            return Ok(state);
        }
        if let Some(hang) = hang::look(cx.root, &own.inventory, own.since, cx.deadline.share(0.5))? {
            return Ok(self.hung(hang));
        }
        if !own.is_recorded && cx.env.is_by_pacemaker() && !cx.env.is_probe() {
            adopt(cx, &own);
        }
        if level == Level::Cheap { Ok(state) } else { self.deep_check(cx, &lio, &own, level) }
    }

    fn presence(&self, cx: &Context) -> Result<State, OcfError> {
        let lio = lio::Lio::new(cx.root);
        if fabric::is_out_of_sight(&lio)? {
            fabric::mount_configfs(&lio)?;
        }
        Ok(self.own(cx, &lio)?.map_or(State::Stopped, |(_, state)| state))
    }

    fn start(&self, cx: &Context) -> Result<(), OcfError> {
        let lio = lio::Lio::new(cx.root);
        (cx.progress)("read the configuration");
        let (file, config) = self.load_config(cx)?;
        if config.targets.is_empty() && config.backstores.is_empty() {
            return Err(OcfError::new(Code::Args, format_args!("{}: no target and no backstore in it", file.display())));
        }
        (cx.progress)("preflight");
        preflight::check(cx, &lio, &config)?;
        // Only a state that is neither running nor stopped leaves something to take down first.
        if let Some((own, state)) = self.own(cx, &lio)? {
            if state != State::Stopped {
                tracing::warn!("half-built targets of ours are removed first");
                // What is built next stands on the same devices.
                Self::take_down(cx, &lio, &own, false)?;
            }
        }
        (cx.progress)("load modules");
        fabric::prepare(&lio, &config, cx.deadline.share(0.5)).map_err(not_installed)?;
        build::build(cx, &lio, config, self.reservations).map_err(|why| self.roll_back(cx, &lio, why))
    }

    fn stop(&self, cx: &Context) -> Result<(), OcfError> {
        let lio = lio::Lio::new(cx.root);
        let Some((own, _)) = self.own(cx, &lio)? else { return Ok(()) };
        Self::take_down(cx, &lio, &own, self.fail_backend)?;
        // The configuration may name what was added by hand since the start. Where it can not be read the record is the whole truth, and
        // stays: it says that something was ours, and is gone.
        if self.glance_at_config(cx).is_ok() {
            match self.own(cx, &lio)? {
                Some((rest, state)) if state != State::Stopped => Self::take_down(cx, &lio, &rest, self.fail_backend)?,
                _ => {}
            }
            Record::forget(cx)?;
        }
        Ok(())
    }

    fn validate(&self, cx: &Context, level: Level) -> Result<(), OcfError> {
        let (_, config) = self.load_config(cx)?;
        if level == Level::Cheap {
            return Ok(());
        }
        preflight::check(cx, &lio::Lio::new(cx.root), &config)
    }
}

impl Lio {
    /// Takes away what the failed start made, which is all in the record.
    fn roll_back(&self, cx: &Context, lio: &lio::Lio, why: OcfError) -> OcfError {
        if why.stuck {
            return why;
        }
        (cx.progress)("roll back");
        let undone = Record::load(cx).and_then(|record| match record {
            Some(record) => Self::take_down(cx, lio, &record.into(), self.fail_backend),
            None => Ok(()),
        });
        let undone = undone.and_then(|()| Record::forget(cx));
        match undone {
            Ok(()) => why,
            Err(e) => {
                tracing::error!("roll back: {e}");
                OcfError { stuck: e.stuck, ..why }
            }
        }
    }
}

/// Writes down what another agent has started, so that it stays ours whatever becomes of the file that names it.
fn adopt(cx: &Context, own: &Own) {
    let record = Record { inventory: own.inventory.clone(), discovery: own.discovery, since: own.since, is_adopted: true };
    match record.save(cx) {
        Ok(()) => tracing::info!("no start was recorded: what the configuration names, and runs, is taken over"),
        Err(e) => tracing::warn!("{e}"),
    }
}

fn is_there(root: &Root, major: u32, minor: u32) -> bool {
    BlockDevice::numbered(root, major, minor).exists().unwrap_or(false)
}

/// Finds the numbers of block devices that no record gave. A file is not asked: its file system may hang.
fn number_devices(cx: &Context, inventory: &mut Inventory) {
    for so in &mut inventory.backstores {
        let device = so.dev.as_ref().filter(|dev| dev.starts_with("/dev")).and_then(|dev| BlockDevice::of(cx.root, dev).ok());
        so.number = device.map(|d| (d.major(), d.minor()));
    }
}

/// A target that runs while configfs is not mounted can not be seen, and must not be called "not running".
fn in_sight(lio: &lio::Lio) -> Result<(), OcfError> {
    if fabric::is_out_of_sight(lio)? {
        return Err(OcfError::new(
            Code::Generic,
            "/sys/kernel/config: configfs is not mounted, so what LIO does can not be seen",
        ));
    }
    Ok(())
}

/// A module or program that is not there is "not installed". One that does not load in time is there.
fn not_installed(e: crate::kernel::error::KernelError) -> OcfError {
    use std::io::ErrorKind::{PermissionDenied, TimedOut};
    let code = if e.doing == "load module" && !matches!(e.source.kind(), PermissionDenied | TimedOut) {
        Code::Installed
    } else {
        return e.into();
    };
    OcfError::new(code, e)
}
