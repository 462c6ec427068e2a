//! What a command is about: a resource, known to the kernel or to the configuration or to both.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgMatches};
use nix::unistd::Uid;

use super::snapshots::Storage;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::block::BlockDevice;
use crate::kernel::drbd::Drbd;
use crate::kernel::drbd::config::Config;
use crate::kernel::drbd::model::Resource;
use crate::kernel::lvm::below::disk_below;

/// How long drbdadm may take to read its configuration.
const CONFIG: Duration = Duration::from_secs(10);

/// The resource, as an argument.
#[must_use]
pub fn resource_arg() -> Arg {
    Arg::new("RESOURCE").required(true).value_parser(name).help("The resource, as the configuration of DRBD names it")
}

fn name(text: &str) -> Result<String, String> {
    // `drbdadm` takes no other characters (drbd.conf(5)).
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-%+./:=@_".contains(*c))) {
        _ if text.is_empty() => Err("empty name".to_owned()),
        Some(bad) => Err(format!("{bad:?} can not be in the name of a resource")),
        None if text.starts_with('-') => Err("the name of a resource does not begin with '-'".to_owned()),
        None => Ok(text.to_owned()),
    }
}

/// What was given for it.
///
/// # Errors
/// Nothing was.
pub fn resource_of(matches: &ArgMatches) -> Result<&str> {
    matches.get_one::<String>("RESOURCE").map(String::as_str).context("RESOURCE")
}

/// Refuses whoever is not root: DRBD, device-mapper and LVM answer nobody else.
///
/// # Errors
/// Not root.
pub fn need_root(root: &Root) -> Result<()> {
    if !root.is_fake() && !Uid::effective().is_root() {
        bail!("only root can do this");
    }
    Ok(())
}

/// A resource, from where it is known.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// As the kernel has it; `None` when it is down.
    pub kernel: Option<Resource>,
    /// As it is configured.
    pub config: Option<Config>,
    /// What could not be told, and why.
    pub missing: Vec<String>,
}

/// Looks for a resource.
///
/// # Errors
/// Nobody knows it.
pub fn know(root: &Root, resource: &str, deadline: Deadline) -> Result<Known> {
    let mut known = Known::default();
    match Config::of(root, resource, None, deadline.within(CONFIG)) {
        Ok(config) => known.config = Some(config),
        // drbdadm has printed all there is, and it is not among that.
        Err(e) if e.doing == "understand" && e.is_not_found() => {
            known.missing.push("not in the configuration of DRBD".to_owned());
        }
        Err(e) => known.missing.push(format!("configuration: {e}")),
    }
    let own = known.config.as_ref().and_then(|config| config.host(&host(root)));
    let hint: Vec<(u32, u32)> =
        own.map(|host| host.volumes.iter().filter_map(|v| Some((v.number, v.minor?))).collect()).unwrap_or_default();
    match Drbd::open(root).map_err(anyhow::Error::from) {
        Ok(Some(drbd)) => match drbd.resource(resource, &hint, deadline) {
            Ok(found) => known.kernel = found,
            Err(e) => known.missing.push(format!("state: {e}")),
        },
        Ok(None) => known.missing.push("state: the DRBD module is not loaded".to_owned()),
        Err(e) => known.missing.push(format!("state: {e}")),
    }
    if known.kernel.is_none() && known.config.is_none() {
        bail!("no resource {resource} here: {}", known.missing.join("; "));
    }
    Ok(known)
}

impl Known {
    /// Its volumes here: number, minor and disk of each, from the kernel where that has it attached.
    ///
    /// # Errors
    /// sysfs can not be read.
    pub fn disks(&self, root: &Root) -> Result<Vec<(u32, u32, Option<BlockDevice>)>> {
        let own = self.config.as_ref().and_then(|config| config.host(&host(root)));
        let configured = own.map(|host| host.volumes.as_slice()).unwrap_or_default();
        let mut all: Vec<(u32, u32)> = configured.iter().filter_map(|volume| Some((volume.number, volume.minor?))).collect();
        for device in self.kernel.iter().flat_map(|resource| &resource.devices) {
            if !all.iter().any(|(number, _)| *number == device.volume) {
                all.push((device.volume, device.minor));
            }
        }
        all.sort_unstable();
        let disk = |(number, minor): (u32, u32)| {
            let attached = disk_below(root, minor)?;
            let path = configured.iter().find(|volume| volume.number == number).and_then(|volume| volume.disk.as_deref());
            let configured = || path.and_then(|path| BlockDevice::of(root, path).ok());
            Ok((number, minor, attached.or_else(configured)))
        };
        all.into_iter().map(disk).collect()
    }
}

/// The name of this host.
#[must_use]
pub fn host(root: &Root) -> String {
    root.dir("/proc/sys/kernel").read_opt("hostname").ok().flatten().unwrap_or_default()
}

/// What the volumes of a resource stand on.
///
/// # Errors
/// The resource is unknown, or LVM can not be asked.
pub fn storage(root: &Root, resource: &str, deadline: Deadline) -> Result<Storage> {
    need_root(root)?;
    let known = know(root, resource, deadline)?;
    Storage::look(root, known.disks(root)?, deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_drbd_would_not_take_is_refused_and_the_reason_says_what_is_wrong() {
        assert_eq!(name("r0/a:1%2@x.y+z=-_").as_deref(), Ok("r0/a:1%2@x.y+z=-_"));
        for (bad, why) in [("", "empty"), ("r 0", "' '"), ("-r", "begin with"), ("r\n", "'\\n'"), ("r;x", "';'")] {
            assert!(name(bad).unwrap_err().contains(why), "{bad}");
        }
    }

    #[test]
    fn a_resource_that_nobody_knows_is_an_error_that_says_who_was_asked() {
        let keep = tempfile::tempdir().unwrap();
        let e = know(&Root::fake(keep.path()), "r9", Deadline::after(Duration::from_secs(1))).unwrap_err().to_string();
        assert!(e.starts_with("no resource r9 here: configuration: find drbdadm"), "{e}");
        assert!(e.ends_with("state: the DRBD module is not loaded"), "{e}");
    }
}
