//! The lvm commands, typed: each has a deadline and sees only the devices that it needs.

use std::io;

use super::names::VgName;
use super::report::{self, VolumeGroup};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::error::{KernelError, Result};
use crate::kernel::exec::{Output, Tool};

/// `lvm`, and which devices it may look at.
#[derive(Debug, Clone)]
pub struct Lvm {
    tool: Tool,
    devices: Vec<String>,
    is_blind_to_drbd: bool,
}

/// What keeps LVM from looking at a DRBD device, by any of its names: one that waits for its peer holds up whoever reads from it.
const NO_DRBD: &str = "devices{use_devicesfile=0 filter=[\"r|^/dev/drbd|\"] global_filter=[\"r|^/dev/drbd|\"]}";

/// What lvmlockd is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// Nothing: there is no lvmlockd, or no lock.
    Plain,
    /// A lock that nobody else may have.
    Exclusive,
    /// A lock that others may have too.
    Shared,
}

/// What may be missing (lvmraid(7), `--activationmode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing.
    Nothing,
    /// What RAID can do without.
    Degraded,
    /// Anything: an LV then has holes.
    Anything,
}

/// How logical volumes are activated.
#[derive(Debug, Clone)]
pub struct Activation<'a> {
    /// The lock.
    pub locking: Locking,
    /// What may be missing.
    pub missing: Missing,
    /// Settings instead of those in `lvm.conf`, as `--config` takes them.
    pub config: Option<&'a str>,
}

impl Lvm {
    /// The program.
    ///
    /// # Errors
    /// It is not installed.
    pub fn find(root: &Root) -> Result<Self> {
        // Of the descriptors that a worker keeps open it would complain.
        Ok(Self {
            tool: Tool::find(root, "lvm")?.env("LVM_SUPPRESS_FD_WARNINGS", "1"),
            devices: Vec::new(),
            is_blind_to_drbd: false,
        })
    }

    /// The same, blind to every other device than these, if there are any: what is dead elsewhere then does not hold it up.
    #[must_use]
    pub fn only(mut self, devices: &[String]) -> Self {
        self.devices = devices.to_vec();
        self
    }

    /// The same, for all devices but those of DRBD. Only for commands that have no settings of their own: LVM takes `--config` once.
    #[must_use]
    pub fn all_but_drbd(mut self) -> Self {
        self.devices.clear();
        self.is_blind_to_drbd = true;
        self
    }

    /// What the metadata says, internal logical volumes included if asked for; `None` when no such volume group is to be seen. Takes no lock
    /// and asks nobody but the disks.
    ///
    /// # Errors
    /// The command's complaint.
    pub fn report(&self, vg: &VgName, with_internal: bool, deadline: Deadline) -> Result<Option<VolumeGroup>> {
        let mut args = vec!["fullreport", "--reportformat", "json", "--units", "b", "--nosuffix", "--binary"];
        // Read-only it would ask lvmlockd for a lock all the same, and wait for as long as dlm waits for fencing.
        args.extend(["--readonly", "--foreign", "--shared", "--config", "global{use_lvmlockd=0}"]);
        args.extend(with_internal.then_some("--all"));
        for (kind, fields) in &report::FIELDS {
            args.extend(["--configreport", kind, "--options", fields]);
        }
        args.push(vg.as_str());
        let output = self.run("report on", vg, args, deadline)?;
        let found = report::decode(&output.stdout).map_err(|why| wrong("report on", vg, io::Error::other(why)));
        match found {
            Ok(Some(found)) => Ok(Some(found)),
            // Its code says only that something was wrong.
            Ok(None) if output.success() || output.stderr.contains(&format!("\"{vg}\" not found")) => Ok(None),
            _ if !output.success() => Err(wrong("report on", vg, io::Error::other(complaint(&output)))),
            other => other,
        }
    }

    /// The system id of this host; empty for none.
    ///
    /// # Errors
    /// The command's complaint.
    pub fn system_id(&self, deadline: Deadline) -> Result<String> {
        let said = self.tool.ok(&["systemid"], deadline)?;
        let id = said.lines().find_map(|line| line.trim().strip_prefix("system ID:"));
        id.map(|id| id.trim().to_owned()).ok_or_else(|| {
            let why = io::Error::other(format!("unexpected answer {:?}", said.trim()));
            KernelError::new("run", self.tool.program(), why)
        })
    }

    /// Activates these logical volumes, or all when there are none.
    ///
    /// # Errors
    /// The command's complaint. What is active then is device-mapper's to say, also without an error.
    pub fn activate(&self, vg: &VgName, lvs: &[String], how: &Activation, deadline: Deadline) -> Result<()> {
        let activate = match how.locking {
            Locking::Plain => "-ay",
            Locking::Exclusive => "-aey",
            Locking::Shared => "-asy",
        };
        let mut args = vec![command(lvs), "--yes", activate];
        args.extend(match how.missing {
            Missing::Nothing => ["--activationmode", "complete"],
            Missing::Degraded => ["--activationmode", "degraded"],
            Missing::Anything => ["--activationmode", "partial"],
        });
        args.extend(how.config.into_iter().flat_map(|config| ["--config", config]));
        self.on_lvs("activate", vg, args, lvs, deadline)
    }

    /// Deactivates these logical volumes, or all when there are none. Does not wait for one that is in use.
    ///
    /// # Errors
    /// The command's complaint: one is in use, or the metadata can not be read.
    pub fn deactivate(&self, vg: &VgName, lvs: &[String], deadline: Deadline) -> Result<()> {
        let args = vec![command(lvs), "--yes", "-an", "--config", "activation{retry_deactivation=0}"];
        self.on_lvs("deactivate", vg, args, lvs, deadline)
    }

    /// Makes the kernel's mapping of a logical volume what the metadata says.
    ///
    /// # Errors
    /// The command's complaint.
    pub fn refresh(&self, vg: &VgName, lv: &str, deadline: Deadline) -> Result<()> {
        self.on_lvs("refresh", vg, vec!["lvchange", "--refresh"], &[lv.to_owned()], deadline)
    }

    /// Changes what the metadata says of the volume group, by the options of `vgchange` that follow.
    ///
    /// # Errors
    /// The command's complaint.
    pub fn change(&self, doing: &'static str, vg: &VgName, options: &[&str], deadline: Deadline) -> Result<()> {
        let mut args = vec!["vgchange", "--yes"];
        args.extend(options);
        args.push(vg.as_str());
        let output = self.run(doing, vg, args, deadline)?;
        if output.success() { Ok(()) } else { Err(wrong(doing, vg, io::Error::other(complaint(&output)))) }
    }

    fn on_lvs(&self, doing: &'static str, vg: &VgName, args: Vec<&str>, lvs: &[String], deadline: Deadline) -> Result<()> {
        let paths: Vec<_> = lvs.iter().map(|lv| format!("{vg}/{lv}")).collect();
        let mut args: Vec<&str> = args;
        if paths.is_empty() {
            args.push(vg.as_str());
        }
        args.extend(paths.iter().map(String::as_str));
        let output = self.run(doing, vg, args, deadline)?;
        if output.success() { Ok(()) } else { Err(wrong(doing, vg, io::Error::other(complaint(&output)))) }
    }

    pub(super) fn run(&self, doing: &'static str, vg: &VgName, args: Vec<&str>, deadline: Deadline) -> Result<Output> {
        let devices = self.devices.join(",");
        let mut args: Vec<&str> = args;
        if !devices.is_empty() {
            args.extend(["--devices", &devices]);
        }
        if self.is_blind_to_drbd {
            args.extend(["--config", NO_DRBD]);
        }
        let had = deadline.remaining();
        self.tool.run(&args, deadline).map_err(|e| match e.source.kind() {
            io::ErrorKind::TimedOut => {
                let why = format!("lvm did not answer within {:.0} s", had.as_secs_f64());
                wrong(doing, vg, io::Error::new(io::ErrorKind::TimedOut, why))
            }
            _ => e,
        })
    }
}

fn command(lvs: &[String]) -> &'static str {
    if lvs.is_empty() { "vgchange" } else { "lvchange" }
}

pub(super) fn wrong(doing: &'static str, vg: &VgName, source: io::Error) -> KernelError {
    KernelError::new(doing, vg.as_str(), source)
}

/// The first line of complaint that is no warning: the last ones say only that something failed.
pub(super) fn complaint(output: &Output) -> String {
    let lines = || output.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    // lvm says so of every thin pool where the checking programs are not installed.
    let is_specific = |line: &&str| !line.starts_with("WARNING") && !line.contains("_check: ");
    let line = lines().find(is_specific).map_or_else(|| output.complaint(), str::to_owned);
    // A device-mapper UUID would leave no room for the rest.
    line.split(' ').filter(|word| !word.starts_with("LVM-")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complaint_is_the_first_line_that_is_no_warning() {
        let output = |stderr: &str| Output { code: Some(5), signal: None, stdout: String::new(), stderr: stderr.to_owned() };
        let said = "  WARNING: locks disabled\n  /usr/sbin/thin_check: No such file or directory\n  \
                    Volume group \"vg1\" not found\n  Cannot process volume group vg1\n";
        assert_eq!(complaint(&output(said)), "Volume group \"vg1\" not found");
        assert_eq!(complaint(&output("  WARNING: only this\n")), "WARNING: only this");
        assert_eq!(complaint(&output("")), "exit code 5");
        let said = format!("  device-mapper: create ioctl on vg1-lv1 LVM-{} failed: Device or resource busy\n", "u".repeat(64));
        assert_eq!(complaint(&output(&said)), "device-mapper: create ioctl on vg1-lv1 failed: Device or resource busy");
    }
}
