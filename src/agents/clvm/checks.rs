//! What this machine's configuration will do to a volume group, before it does: LVM that sees a disk twice, that activates at boot, that
//! activates nothing, or that lacks a daemon. Changes nothing; each finding says what to write where.

use std::fmt;
use std::time::Duration;

use super::values::Mode;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::block::BlockDevice;
use crate::kernel::drbd_disks::backing_disks;
use crate::kernel::error::Result;
use crate::kernel::lvm::command::Lvm;
use crate::kernel::lvm::lockd::{self, Manager};
use crate::kernel::lvm::names::VgName;
use crate::kernel::lvm::report::VolumeGroup;
use crate::kernel::lvm_config::{LvmConfig, rejects};
use crate::ocf::agent::Context;

const LVM_CONF: &str = "/etc/lvm/lvm.conf";
/// How long a daemon gets to answer what it answers at once.
const ANSWER: Duration = Duration::from_secs(5);
const DEVICES_DIR: &str = "/etc/lvm/devices";
/// Makes units that activate everything at boot where events do not; not every distribution has it.
const GENERATOR: &str = "system-generators/lvm2-activation-generator";

/// What the caller knows.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The volume group.
    pub vg: &'a VgName,
    /// How it is protected.
    pub mode: Mode,
    /// The tag of [`Mode::Tagging`].
    pub tag: &'a str,
    /// The physical volumes that LVM is confined to; empty when it is not.
    pub devices: &'a [String],
}

/// Something that will go wrong, or may, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What.
    pub what: String,
    /// The line to write, or the command to run.
    pub remedy: Remedy,
    /// Whether nothing can start as it is.
    pub is_fatal: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Write this line into this file.
    Write {
        /// The file.
        file: String,
        /// The line.
        line: String,
    },
    /// Run this.
    Run(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remedy {
            Remedy::Write { file, line } => write!(f, "{}; write to {file}: {line}", self.what),
            Remedy::Run(command) => write!(f, "{}; run: {command}", self.what),
        }
    }
}

impl Warning {
    fn write(what: impl fmt::Display, file: &str, line: impl fmt::Display) -> Self {
        let remedy = Remedy::Write { file: file.to_owned(), line: line.to_string() };
        Self { what: what.to_string(), remedy, is_fatal: false }
    }

    fn run(what: impl fmt::Display, command: impl fmt::Display) -> Self {
        Self { what: what.to_string(), remedy: Remedy::Run(command.to_string()), is_fatal: false }
    }

    /// What, and which setting: what a reason has room for.
    #[must_use]
    pub fn short(&self) -> String {
        let setting = match &self.remedy {
            Remedy::Write { line, .. } => line.split(" = ").next().filter(|setting| !self.what.contains(setting)),
            Remedy::Run(_) => None,
        };
        setting.map_or_else(|| self.what.clone(), |setting| format!("{} ({setting})", self.what))
    }

    fn fatal(self) -> Self {
        Self { is_fatal: true, ..self }
    }
}

/// What is wrong with this machine for this group. Two LVM commands, both without locks; what they do not answer is not judged.
#[must_use]
pub fn warnings(cx: &Context, facts: &Facts, deadline: Deadline) -> Vec<Warning> {
    (cx.progress)("ask lvm for its configuration");
    let config = match LvmConfig::read(cx.root, deadline.share(0.5)) {
        Ok(config) => config,
        Err(e) => return vec![Warning::run(format_args!("the configuration of lvm can not be checked: {e}"), "lvmconfig")],
    };
    (cx.progress)("ask lvm for the volume group");
    let report = |lvm: Lvm| lvm.report(facts.vg, false, deadline);
    let seen = Lvm::find(cx.root).and_then(report).unwrap_or_else(|e| {
        tracing::info!("{}: can not be looked at: {e}", facts.vg);
        None
    });
    let look = Look { root: cx.root, facts, config: &config, seen: seen.as_ref(), deadline };
    let mut found = Vec::new();
    look.access(&mut found);
    look.volume_list(&mut found);
    look.autoactivation(&mut found);
    look.seen_twice(&mut found);
    found
}

struct Look<'a> {
    root: &'a Root,
    facts: &'a Facts<'a>,
    config: &'a LvmConfig,
    seen: Option<&'a VolumeGroup>,
    deadline: Deadline,
}

impl Look<'_> {
    /// What the mode of access needs.
    fn access(&self, found: &mut Vec<Warning>) {
        let vg = self.facts.vg;
        let lock_type = self.seen.map(|seen| seen.lock_type.as_str());
        match self.facts.mode {
            Mode::Lvmlockd => {
                if !self.config.is_on("global/use_lvmlockd") {
                    found.push(Warning::write("lvm does not use lvmlockd", LVM_CONF, "global/use_lvmlockd = 1").fatal());
                }
                if lock_type == Some("") {
                    let command = format_args!("vgchange --lock-type dlm {vg} (or sanlock), with lvmlockd running");
                    found.push(Warning::run(format_args!("{vg} is not a shared volume group"), command).fatal());
                }
                self.daemons(lock_type.unwrap_or_default(), found);
            }
            _ if lock_type.is_some_and(|kind| !kind.is_empty()) => {
                let what = format_args!("{vg} is a shared volume group, which only vg_access_mode=lvmlockd can activate");
                found.push(Warning::run(what, format_args!("vgchange --lock-type none {vg}, or use that mode")).fatal());
            }
            Mode::SystemId if matches!(self.config.text("global/system_id_source"), "" | "none") => {
                let line = "global/system_id_source = \"uname\"";
                found.push(Warning::write("this machine has no system id", LVM_CONF, line).fatal());
            }
            Mode::SystemId
                if self.config.text("global/system_id_source") == "lvmlocal"
                    && self.config.text("local/system_id").is_empty() =>
            {
                let line = "local/system_id = \"NAME\"";
                found.push(Warning::write("this machine has no system id", "/etc/lvm/lvmlocal.conf", line).fatal());
            }
            Mode::Local | Mode::SystemId | Mode::Tagging => {}
        }
    }

    fn daemons(&self, lock_type: &str, found: &mut Vec<Warning>) {
        // One that does not answer runs, and what a start then says is more than can be said here.
        let is_down = |running: Result<bool>| running.is_ok_and(|runs| !runs);
        if is_down(lockd::is_running(self.root, self.deadline.within(ANSWER))) {
            found.push(Warning::run("lvmlockd is not running", "systemctl enable --now lvmlockd").fatal());
        }
        let runs = |manager: Manager| !is_down(manager.is_running(self.root, self.deadline.within(ANSWER)));
        let (dlm, sanlock) = (runs(Manager::Dlm), runs(Manager::Sanlock));
        match lock_type {
            "dlm" if !dlm => found.push(Warning::run("dlm_controld is not running", "systemctl enable --now dlm").fatal()),
            "sanlock" if !sanlock => {
                found.push(Warning::run("sanlock is not running", "systemctl enable --now wdmd sanlock").fatal());
            }
            "" if !dlm && !sanlock => {
                let what = "no lock manager is running behind lvmlockd";
                found.push(Warning::run(what, "systemctl enable --now dlm (or wdmd sanlock)").fatal());
            }
            _ => {}
        }
    }

    /// `activation/volume_list`: in tagging mode it must keep the group from everybody who does not say the tag, otherwise it must not keep it
    /// from us.
    fn volume_list(&self, found: &mut Vec<Warning>) {
        let Facts { vg, tag, .. } = *self.facts;
        let list = self.config.list("activation/volume_list");
        if self.facts.mode != Mode::Tagging {
            if list.is_some_and(|list| !self.is_listed(list)) {
                let what = format_args!("activation/volume_list leaves out {vg}, so that nothing of it can be activated");
                let line = written("activation/volume_list", list.unwrap_or_default().iter().cloned().chain([vg.to_string()]));
                found.push(Warning::write(what, LVM_CONF, line).fatal());
            }
            return;
        }
        let Some(list) = list else {
            let what = format_args!("without activation/volume_list any node can activate {vg}, whatever its tags");
            found.push(Warning::write(what, LVM_CONF, "activation/volume_list = [ the volume groups of this machine alone ]"));
            return;
        };
        let is_open = |item: &String| is_group(item, vg.as_str()) || *item == format!("@{tag}") || item == "@*";
        if list.iter().any(is_open) {
            let what = format_args!("activation/volume_list lets this machine activate {vg} without the cluster");
            let line = written("activation/volume_list", list.iter().filter(|item| !is_open(item)).cloned());
            found.push(Warning::write(what, LVM_CONF, line));
        }
    }

    /// Whether one of the items may mean this group. Tags that are not known may.
    fn is_listed(&self, list: &[String]) -> bool {
        list.iter().any(|item| match item.strip_prefix('@') {
            Some("*") => true,
            Some(tag) => self.seen.is_none_or(|seen| seen.tags.iter().any(|own| own == tag)),
            None => is_group(item, self.facts.vg.as_str()),
        })
    }

    /// A group that protects itself by locks is never activated by an event, and one with a tag is a matter of `activation/volume_list`.
    fn autoactivation(&self, found: &mut Vec<Warning>) {
        let Facts { vg, mode, .. } = *self.facts;
        let has_generator =
            ["/usr/lib/systemd", "/lib/systemd"].iter().any(|dir| self.root.dir(dir).dir(GENERATOR).exists().unwrap_or(false));
        let is_activated = self.config.is_on("global/event_activation") || has_generator;
        let lists = ["activation/volume_list", "activation/auto_activation_volume_list"];
        let is_kept_out = lists.iter().any(|list| self.config.list(list).is_some_and(|list| !self.is_listed(list)));
        let is_ours = matches!(mode, Mode::Local | Mode::SystemId);
        // Whether a group that is not seen may be activated stands in its metadata, which is elsewhere now.
        if is_ours && is_activated && !is_kept_out && self.seen.is_some_and(|seen| seen.has_autoactivation) {
            let what = format_args!("lvm activates {vg} when its disks appear, without the cluster");
            found.push(Warning::run(what, format_args!("vgchange --setautoactivation n {vg}")));
        }
    }

    /// A disk below DRBD that LVM looks at too: a physical volume on DRBD is then found twice and may be written to past DRBD.
    fn seen_twice(&self, found: &mut Vec<Warning>) {
        let disks = backing_disks(self.root).unwrap_or_else(|e| {
            tracing::warn!("the disks below DRBD can not be told: {e}");
            std::collections::BTreeMap::new()
        });
        let disks: Vec<_> = disks
            .into_iter()
            .map(|(path, device)| {
                let mut names = device.nodes(self.root).unwrap_or_default();
                if !names.contains(&path) {
                    names.push(path.clone());
                }
                (path, device, names)
            })
            .collect();
        let is_below = |pv: &String| pv.starts_with("/dev/drbd") || disks.iter().any(|(_, _, names)| names.contains(pv));
        if self.seen.is_some_and(|seen| !seen.pvs.iter().any(|pv| is_below(&pv.name))) {
            return;
        }
        let mut filter = self.config.list("devices/global_filter").unwrap_or_default().to_vec();
        for (path, device, names) in &disks {
            found.extend(self.seen_below_drbd(path, device, names, &mut filter));
        }
    }

    /// `filter` is what `global_filter` should be as far as is known: each line that is proposed has what those before it propose.
    fn seen_below_drbd(&self, path: &str, device: &BlockDevice, names: &[String], filter: &mut Vec<String>) -> Option<Warning> {
        let what = format_args!("lvm sees {path} beside the drbd device on it").to_string();
        let uuid = device.dm_uuid().ok().flatten().unwrap_or_default();
        if uuid.starts_with("LVM-") && !self.config.is_on("devices/scan_lvs") {
            return None;
        }
        if !self.facts.devices.is_empty() {
            let is_given = self.facts.devices.iter().any(|device| names.contains(device));
            return is_given.then(|| Warning::run(what, format_args!("name the drbd device in devices instead of {path}")));
        }
        let file = self.config.text("devices/devicesfile");
        let entries =
            self.root.dir(DEVICES_DIR).read_opt(file).ok().flatten().filter(|_| self.config.is_on("devices/use_devicesfile"));
        if let Some(entries) = entries {
            let wwid = device.sys().read_opt("wwid").ok().flatten().unwrap_or_default();
            let is_entry = |word: &str| match word.split_once('=') {
                Some(("DEVNAME", name)) => names.iter().any(|own| own == name),
                Some(("IDNAME", id)) => !id.is_empty() && (id == uuid || id == wwid),
                _ => false,
            };
            let is_in = entries.lines().any(|line| !line.starts_with('#') && line.split_whitespace().any(is_entry));
            return is_in.then(|| Warning::run(what, format_args!("lvmdevices --deldev {path}")));
        }
        if self.config.filters_reject(names)? {
            return None;
        }
        *filter = filter_without(path, names, filter);
        Some(Warning::write(what, LVM_CONF, written("devices/global_filter", filter.iter().cloned())))
    }
}

/// What rejects this disk, and then the rest of `filter`. A pattern that accepts everything is left out: it accepts the disk by its other
/// names, and says nothing that no pattern at all would not say.
fn filter_without(path: &str, names: &[String], filter: &[String]) -> Vec<String> {
    let is_needless = |item: &str| item.len() == 5 && item.starts_with('a') && item.get(2..4) == Some(".*");
    let without = |rejected: &[String]| -> Vec<String> {
        let ours: Vec<String> = rejected.iter().map(|name| format!("r|^{}$|", name.replace('+', r"\+"))).collect();
        let kept = filter.iter().filter(|item| !is_needless(item) && !ours.contains(item)).cloned();
        ours.iter().cloned().chain(kept).collect()
    };
    let by_path = without(&[path.to_owned()]);
    if rejects(&by_path, names) == Some(true) { by_path } else { without(names) }
}

fn written(setting: &str, items: impl Iterator<Item = String>) -> String {
    let quoted = |item: String| format!("\"{}\"", item.replace('\\', r"\\").replace('"', r#"\""#));
    let items: Vec<String> = items.map(quoted).collect();
    format!("{setting} = [ {} ]", items.join(", "))
}

/// `vg1` or `vg1/lv`.
fn is_group(item: &str, vg: &str) -> bool {
    item.split('/').next() == Some(vg)
}
