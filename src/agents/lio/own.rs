//! What is ours: the chosen part of the configuration, and the record of what the last start made.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Lio;
use crate::agents::jobs::{Job, Wave};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::error::KernelError;
use crate::kernel::lio::config::Config;
use crate::kernel::lio::inventory::{self, Inventory};
use crate::kernel::lio::json::ConfigError;
use crate::kernel::lio::{self, saveconfig, storage};
use crate::kernel::task;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;
use crate::ocf::state_file::{StateFile, file_name};

/// What a start wrote down before it made anything. Lives below `/run`, so a reboot clears it together with configfs. An older version may
/// have written it: every field has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Everything that start made or was about to make.
    pub inventory: Inventory,
    /// Whether it set the discovery authentication.
    pub discovery: bool,
    /// When it began, in clock ticks since boot: younger kernel threads may be ours.
    pub since: u64,
    /// Whether no start has written it, but a monitor that found it all running.
    pub is_adopted: bool,
}

impl Record {
    /// The record of this instance; `None` when there is none, or none that can be understood.
    ///
    /// # Errors
    /// It is there and can not be read.
    pub fn load(cx: &Context) -> Result<Option<Self>, OcfError> {
        Ok(Self::parse(StateFile::new(cx, "LIO", "record").read()?, cx.env.instance()))
    }

    fn parse(text: Option<String>, whose: &str) -> Option<Self> {
        let parse = |text: String| {
            serde_json::from_str(&text).inspect_err(|e| tracing::warn!("the record of {whose} is ignored: {e}")).ok()
        };
        let says_something = |r: &Self| !r.inventory.targets.is_empty() || !r.inventory.backstores.is_empty();
        text.and_then(parse).filter(says_something)
    }

    /// Writes it down.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn save(&self, cx: &Context) -> Result<(), OcfError> {
        let text = serde_json::to_vec(self).map_err(|e| OcfError::new(Code::Generic, e))?;
        Ok(StateFile::new(cx, "LIO", "record").write(&text)?)
    }

    /// Adds backstores that were found on the way, so that a stop that ends before they are gone knows them the next time.
    pub fn remember(cx: &Context, found: &[inventory::Backstore]) {
        let Ok(Some(mut record)) = Self::load(cx) else { return };
        let known = record.inventory.backstores.len();
        for so in found {
            if !record.inventory.backstores.iter().any(|b| b.hba == so.hba && b.name == so.name) {
                record.inventory.backstores.push(so.clone());
            }
        }
        if record.inventory.backstores.len() > known {
            if let Err(e) = record.save(cx) {
                tracing::warn!("{e}");
            }
        }
    }

    /// Forgets it.
    ///
    /// # Errors
    /// The directory is not writable.
    pub fn forget(cx: &Context) -> Result<(), OcfError> {
        Ok(StateFile::new(cx, "LIO", "record").remove()?)
    }
}

/// What other instances have on this machine, by their records. A record whose targets are gone claims nothing, unless its start is so
/// young that it may be building yet.
#[derive(Debug, Default)]
pub struct Claims(Vec<(String, Inventory)>);

/// How long a disk may take to bring up the configuration file; longer, and it hangs.
const GLANCE: Duration = Duration::from_secs(3);

/// A start takes no longer than this, in clock ticks.
const BUILDING: u64 = 120 * 100;

impl Claims {
    /// The claims of all instances but this one.
    ///
    /// # Errors
    /// The directory can not be listed. A record that can not be read claims nothing.
    pub fn of_others(cx: &Context, lio: &lio::Lio) -> Result<Self, OcfError> {
        let own = file_name(cx.env.instance());
        let dir = cx.root.dir(cx.env.state_dir());
        let now = task::now_in_ticks().unwrap_or(0);
        let mut claims = Vec::new();
        for name in dir.entries()?.into_iter().map(|e| e.name) {
            let instance = name.strip_prefix("ocf-san.LIO-").and_then(|n| n.strip_suffix(".record"));
            let Some(instance) = instance.filter(|instance| *instance != own) else { continue };
            let record = Record::parse(dir.read_opt(&name).ok().flatten(), instance).unwrap_or_default();
            // Nobody is kept from what only ran when this was written.
            if record.is_adopted {
                continue;
            }
            let is_young = now.saturating_sub(record.since) < BUILDING;
            let is_live = |t: &lio::inventory::Target| lio.target(&t.iqn).exists().unwrap_or(true);
            if is_young || record.inventory.targets.iter().any(is_live) {
                claims.push((instance.to_owned(), record.inventory));
            }
        }
        Ok(Self(claims))
    }

    /// Whether nobody else has anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The instance that has this target.
    #[must_use]
    pub fn owner(&self, iqn: &str) -> Option<&str> {
        let has = |inventory: &Inventory| inventory.targets.iter().any(|t| t.iqn == iqn);
        self.0.iter().find(|(_, inventory)| has(inventory)).map(|(instance, _)| instance.as_str())
    }

    /// Whether somebody has this backstore.
    #[must_use]
    pub fn has_backstore(&self, hba: &str, name: &str) -> bool {
        self.0.iter().flat_map(|(_, inventory)| &inventory.backstores).any(|so| so.hba == hba && so.name == name)
    }

    /// Takes everything out that somebody else has.
    pub fn subtract_from(&self, inventory: &mut Inventory) {
        inventory.targets.retain(|t| self.owner(&t.iqn).is_none());
        inventory.backstores.retain(|so| !self.has_backstore(&so.hba, &so.name));
    }
}

impl Lio {
    /// The chosen part of the configuration, and its file. A file with secrets that others can read is refused.
    pub(super) fn load_config(&self, cx: &Context) -> Result<(PathBuf, Config), OcfError> {
        let (text, file) = self.read_config(cx, self.allow_readable_config, cx.deadline.share(0.5))?;
        let config = self.parse(&file, &text.map_err(|e| unreadable(&e))?)?;
        Ok((file, config))
    }

    /// The chosen part of the configuration, to tell what is ours: whoever else can read the file is of no matter here. `None` when there
    /// is no file. Its file system may hang while LIO does not, so nobody waits long for it.
    pub(super) fn glance_at_config(&self, cx: &Context) -> Result<Option<Config>, OcfError> {
        match self.read_config(cx, true, cx.deadline.share(0.3).within(GLANCE))? {
            (Ok(text), file) => self.parse(&file, &text).map(Some),
            (Err(e), _) if e.is_not_found() => Ok(None),
            (Err(e), _) => Err(unreadable(&e)),
        }
    }

    /// What the file says, and which it is. By a thread, which is left alone when the file does not answer in time.
    fn read_config(
        &self,
        cx: &Context,
        allow_readable: bool,
        until: Deadline,
    ) -> Result<(Result<String, KernelError>, PathBuf), OcfError> {
        let (tell, told) = channel();
        let (root, named) = (cx.root.clone(), self.config.clone());
        let look = Job::new("read the configuration", move || {
            let file = config_file(&root, named.as_deref())?;
            let _ = tell.send((saveconfig::read_private(&root, &file, allow_readable), file));
            Ok(())
        });
        let mut wave = Wave::start(vec![look], 1);
        wave.wait(until);
        told.try_recv().map_err(|_| match wave.take_failed().pop() {
            Some(e) => e.into(),
            None => OcfError::new(Code::Generic, "the configuration file does not answer"),
        })
    }

    fn parse(&self, file: &Path, text: &str) -> Result<Config, OcfError> {
        let config = saveconfig::parse(file, text).map_err(|e| unusable(&e))?;
        self.choose(config, file)
    }

    /// The targets that `iqn` names and the backstores that they export; everything when it names none.
    fn choose(&self, mut config: Config, file: &Path) -> Result<Config, OcfError> {
        if self.iqns.is_empty() {
            return Ok(config);
        }
        if let Some(missing) = self.iqns.iter().find(|iqn| !config.targets.iter().any(|t| t.iqn == **iqn)) {
            return Err(OcfError::new(Code::Args, format_args!("iqn: {missing} is not in {}", file.display())));
        }
        config.targets.retain(|t| self.iqns.contains(&t.iqn));
        let exported = |so: &lio::config::Backstore| {
            config.targets.iter().flat_map(|t| &t.tpgs).flat_map(|g| &g.luns).any(|l| l.backstore == so.id())
        };
        config.backstores.retain(exported);
        Ok(config)
    }

    /// What is ours by the configuration, where configfs shows it: for an instance without a record.
    pub(super) fn inventory_of(lio: &lio::Lio, config: &Config) -> Result<Inventory, OcfError> {
        let mut inventory = Inventory::planned(config);
        let found = storage::all(lio)?;
        for (entry, so) in inventory.backstores.iter_mut().zip(&config.backstores) {
            let same = |f: &&storage::Found| is_same(f, so);
            entry.hba = found.iter().find(same).map(|f| f.hba.clone()).unwrap_or_default();
        }
        assign_hbas(&mut inventory, config);
        Ok(inventory)
    }
}

/// The configuration file: as named, else the first default that is there, else the first default.
fn config_file(root: &Root, named: Option<&Path>) -> Result<PathBuf, KernelError> {
    if let Some(file) = named {
        return Ok(file.to_owned());
    }
    for file in saveconfig::DEFAULT_PATHS {
        if root.dir(file).exists()? {
            return Ok(file.into());
        }
    }
    Ok(saveconfig::DEFAULT_PATHS[0].into())
}

/// Whether what configfs shows is the backstore that the configuration means: same plugin, name and device.
pub fn is_same(found: &storage::Found, so: &lio::config::Backstore) -> bool {
    let plugin = found.hba.rsplit_once('_').map(|(plugin, _)| plugin);
    let dev = so.kind.dev().is_none_or(|dev| found.dev.is_empty() || dev.as_os_str() == found.dev.as_str());
    plugin == Some(so.kind.hba()) && found.name == so.name && dev
}

/// Fills in where the backstore of each LUN is.
pub fn assign_hbas(inventory: &mut Inventory, config: &Config) {
    let hba_of = |id: &lio::config::BackstoreName| {
        let index = config.backstores.iter().position(|so| so.id() == *id);
        index.and_then(|i| inventory.backstores.get(i)).map(|b| b.hba.clone()).unwrap_or_default()
    };
    let luns = config.targets.iter().flat_map(|t| &t.tpgs).flat_map(|g| &g.luns);
    let hbas: Vec<String> = luns.map(|lun| hba_of(&lun.backstore)).collect();
    let entries = inventory.targets.iter_mut().flat_map(|t| &mut t.tpgs).flat_map(|g| &mut g.luns);
    for (entry, hba) in entries.zip(hbas) {
        entry.backstore.0 = hba;
    }
}

/// The file can not be read. It differs from node to node, so never a reason to start nowhere.
fn unreadable(e: &KernelError) -> OcfError {
    let code = match e.source.kind() {
        // Refused by us for its mode, not by the kernel.
        std::io::ErrorKind::PermissionDenied if e.errno().is_some() => Code::Perm,
        _ => Code::Args,
    };
    OcfError::new(code, e)
}

/// The file says something that can not be. As above.
fn unusable(e: &ConfigError) -> OcfError {
    OcfError::new(Code::Args, e)
}
