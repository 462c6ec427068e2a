//! `LIO`: exports backstores over iSCSI, natively on configfs, from targetcli's `saveconfig.json`.

mod build;
mod check;
mod drift;
mod hang;
mod jobs;
mod own;
mod params;
mod preflight;
mod teardown;

use std::path::PathBuf;

use self::check::Expect;
use self::own::Record;
use self::params::{ALLOW_READABLE, CONFIG, FAIL_BACKEND, IQN, MONITOR_ON_HANG, OnHang, RESERVATIONS, Reservations};
use self::teardown::Teardown;
use crate::kernel::lio::inventory::Inventory;
use crate::kernel::lio::names::IscsiName;
use crate::kernel::lio::{self, fabric};
use crate::kernel::probe_read;
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
           A target is shown to initiators only when it is complete; a start that fails leaves nothing behind. Targets that are not \
           in the configuration are never touched. Put the resource after its storage and before its virtual IP, and disable \
           target.service and rtslib-fb-targetctl.service. It can not be cloned: two nodes exporting one disk destroy it.",
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
    fail_backend: bool,
    on_hang: OnHang,
    reservations: Reservations,
    allow_readable_config: bool,
}

fn build(params: &Params) -> Result<Box<dyn Agent>, OcfError> {
    Ok(Box::new(Lio {
        config: params.opt(&CONFIG)?,
        iqns: params.opt(&IQN)?.map(|iqns| iqns.0).unwrap_or_default(),
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
}

impl Lio {
    /// What is ours: what the last start recorded; without a record what the configuration names; without that what `iqn` names.
    /// `None` when there is nothing to go by.
    fn own(&self, cx: &Context, lio: &lio::Lio) -> Result<Option<Own>, OcfError> {
        if let Some(record) = Record::load(cx)? {
            return Ok(Some(Own { inventory: record.inventory, since: record.since, discovery: record.discovery }));
        }
        if !lio.base().exists()? {
            // The target modules are not even loaded.
            return Ok(None);
        }
        let why = match self.glance_at_config(cx) {
            Ok(Some(config)) => {
                let inventory = Self::inventory_of(lio, &config)?;
                return Ok(Some(Own { inventory, since: 0, discovery: config.discovery.is_some() }));
            }
            Ok(None) => None,
            Err(why) => Some(why),
        };
        if !self.iqns.is_empty() {
            let inventory = Inventory::live(lio, self.iqns.iter().map(IscsiName::as_str))?;
            return Ok(Some(Own { inventory, since: 0, discovery: false }));
        }
        match (why, lio.iscsi().dirs()?.into_iter().find(|name| name != "discovery_auth")) {
            // Something runs that the file may well name: "not running" would invite a second writer.
            (Some(why), Some(iqn)) => Err(OcfError::new(Code::Generic, format_args!("is {iqn} ours? {why}"))),
            _ => Ok(None),
        }
    }

    /// Takes away what is ours, and then the record of it.
    fn take_down(&self, cx: &Context, lio: &lio::Lio, own: &Own) -> Result<(), OcfError> {
        Teardown { cx, lio, own: &own.inventory, fail_backend: self.fail_backend }.run()?;
        if own.discovery && lio.iscsi().dirs()?.iter().all(|name| name == "discovery_auth") {
            fabric::clear_discovery(lio)?;
        }
        Record::forget(cx)
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
        let read = |so: &lio::inventory::Backstore| {
            let path = cx.root.path(so.dev.as_ref()?);
            Some(jobs::Job::new(path.display().to_string(), move || probe_read::read_first_page(&path)))
        };
        let reads: Vec<_> = own.inventory.backstores.iter().filter_map(read).collect();
        let width = reads.len();
        let mut wave = jobs::Wave::start(reads, width);
        if !wave.wait(cx.deadline.share(0.5)) {
            let device = wave.outstanding().next().unwrap_or_default();
            return Ok(self.hung(format!("{device} does not answer a read")));
        }
        Ok(wave.into_failed().first().map_or(State::Running, |e| State::Failed(e.to_string())))
    }

    fn hung(&self, why: String) -> State {
        match self.on_hang {
            OnHang::Degraded => State::Degraded(why),
            OnHang::Fail => State::Failed(why),
        }
    }
}

impl Agent for Lio {
    fn monitor(&self, cx: &Context, level: Level) -> Result<State, OcfError> {
        let lio = lio::Lio::new(cx.root);
        let Some(mut own) = self.own(cx, &lio)? else { return Ok(State::Stopped) };
        let state = check::state(&lio, &own.inventory, Expect::Enabled)?;
        if state != State::Running {
            return Ok(state);
        }
        own.number_devices(cx);
        if let Some(why) = hang::look(cx.root, &own.inventory, own.since, cx.deadline.share(0.4))? {
            return Ok(self.hung(why));
        }
        if level == Level::Cheap { Ok(state) } else { self.deep_check(cx, &lio, &own, level) }
    }

    fn presence(&self, cx: &Context) -> Result<State, OcfError> {
        let lio = lio::Lio::new(cx.root);
        let own = self.own(cx, &lio)?;
        own.map_or(Ok(State::Stopped), |own| Ok(check::state(&lio, &own.inventory, Expect::Enabled)?))
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
        if let Some(own) = self.own(cx, &lio)? {
            if check::state(&lio, &own.inventory, Expect::Enabled)? != State::Stopped {
                tracing::warn!("half-built targets of ours are removed first");
                self.take_down(cx, &lio, &own)?;
            }
        }
        (cx.progress)("load modules");
        fabric::prepare(&lio, &config, cx.deadline.share(0.5)).map_err(not_installed)?;
        build::build(cx, &lio, &file, config, self.reservations).map_err(|why| self.roll_back(cx, &lio, why))
    }

    fn stop(&self, cx: &Context) -> Result<(), OcfError> {
        let lio = lio::Lio::new(cx.root);
        let Some(own) = self.own(cx, &lio)? else { return Ok(()) };
        self.take_down(cx, &lio, &own)
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
            Some(r) => self.take_down(cx, lio, &Own { inventory: r.inventory, since: r.since, discovery: r.discovery }),
            None => Ok(()),
        });
        match undone {
            Ok(()) => why,
            Err(e) => {
                tracing::error!("roll back: {e}");
                OcfError { stuck: e.stuck, ..why }
            }
        }
    }
}

impl Own {
    /// Finds the device numbers that no record gave.
    fn number_devices(&mut self, cx: &Context) {
        for so in self.inventory.backstores.iter_mut().filter(|so| so.number.is_none()) {
            let device = so.dev.as_ref().and_then(|dev| crate::kernel::block::BlockDevice::of(cx.root, dev).ok());
            so.number = device.map(|d| (d.major(), d.minor()));
        }
    }
}

/// A module or program that is not there is "not installed".
fn not_installed(e: crate::kernel::error::KernelError) -> OcfError {
    let code = if e.doing == "load module" && e.source.kind() != std::io::ErrorKind::PermissionDenied {
        Code::Installed
    } else {
        return e.into();
    };
    OcfError::new(code, e)
}
