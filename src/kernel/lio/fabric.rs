//! Getting to an empty tree: modules, the configfs mount, the directory for persistent reservations, discovery authentication.

use std::io;

use super::Lio;
use super::config::{Chap, Config, Kind};
use crate::deadline::Deadline;
use crate::kernel::attr::Dir;
use crate::kernel::error::{KernelError, Result};
use crate::kernel::exec::Tool;

/// The modules that a configuration needs beyond configfs and `target_core_mod`.
fn modules(config: &Config) -> Vec<&'static str> {
    let mut modules = vec!["iscsi_target_mod"];
    for so in &config.backstores {
        modules.push(match so.kind {
            Kind::Block { .. } => "target_core_iblock",
            Kind::Fileio { .. } => "target_core_file",
            Kind::Pscsi { .. } => "target_core_pscsi",
            Kind::Ramdisk { .. } => continue,
        });
    }
    modules.sort_unstable();
    modules.dedup();
    modules
}

/// Loads the modules, mounts configfs and makes `target/iscsi` and `<dbroot>/pr`, as far as they are missing.
///
/// # Errors
/// The module or directory that is not to be had.
pub fn prepare(lio: &Lio, config: &Config, deadline: Deadline) -> Result<()> {
    let root = lio.root();
    if !root.is_fake() {
        if !root.dir("/sys/kernel/config").exists()? {
            load(lio, "configfs", deadline)?;
        }
        mount_configfs(lio)?;
        if !lio.base().exists()? {
            load(lio, "target_core_mod", deadline)?;
        }
        for module in modules(config) {
            if !root.dir("/sys/module").dir(module).exists()? {
                load(lio, module, deadline)?;
            }
        }
    }
    lio.iscsi().create()?;
    prepare_dbroot(lio)
}

fn load(lio: &Lio, module: &'static str, deadline: Deadline) -> Result<()> {
    let failed = |e: KernelError| KernelError::new("load module", module, e.source);
    Tool::find(lio.root(), "modprobe").map_err(failed)?.ok(&["--", module], deadline).map(drop).map_err(failed)
}

/// Whether the target modules are loaded although no tree shows what they do, because configfs is not mounted.
///
/// # Errors
/// Whatever looking says.
pub fn is_out_of_sight(lio: &Lio) -> Result<bool> {
    Ok(!lio.base().exists()? && lio.root().dir("/sys/module/target_core_mod").exists()?)
}

/// Mounts configfs when it is not: its root is then on another device than `/sys/kernel`.
///
/// # Errors
/// Whatever `mount` says.
pub fn mount_configfs(lio: &Lio) -> Result<()> {
    let dir = lio.root().dir("/sys/kernel/config");
    if dir.device()? != lio.root().dir("/sys/kernel").device()? {
        return Ok(());
    }
    nix::mount::mount(Some("configfs"), dir.path(), Some("configfs"), nix::mount::MsFlags::empty(), None::<&str>)
        .map_err(|e| KernelError::new("mount configfs on", dir.path(), io::Error::from(e)))
}

/// Without `<dbroot>/pr` every persistent reservation fails with "not ready" (`core_scsi3_update_and_write_aptpl`, `target_core_pr.c`).
fn prepare_dbroot(lio: &Lio) -> Result<()> {
    let Some(dbroot) = lio.base().read_opt("dbroot")? else { return Ok(()) };
    for name in ["pr", "alua"] {
        lio.root().dir(&dbroot).dir(name).create_all(0o700)?;
    }
    Ok(())
}

/// `discovery_auth` of the iSCSI fabric, one for the whole machine.
#[must_use]
pub fn discovery_auth(lio: &Lio) -> Dir {
    lio.iscsi().dir("discovery_auth")
}

/// Sets all four values of the discovery authentication, so that none is left from before; demands it last.
///
/// # Errors
/// Whatever the kernel says, never with the value.
pub fn set_discovery(lio: &Lio, chap: &Chap) -> Result<()> {
    let auth = discovery_auth(lio);
    for (file, secret) in chap.all() {
        auth.set(file, if secret.is_empty() { "NULL" } else { secret.reveal() })?;
    }
    auth.set("enforce_discovery_auth", "1")
}

/// Takes the discovery authentication away.
///
/// # Errors
/// Whatever the kernel says.
pub fn clear_discovery(lio: &Lio) -> Result<()> {
    let auth = discovery_auth(lio);
    if !auth.exists()? {
        return Ok(());
    }
    auth.set("enforce_discovery_auth", "0")?;
    Chap::default().all().iter().try_for_each(|(file, _)| auth.set(file, "NULL"))
}

/// Whether discovery is authenticated now, and with exactly these values.
///
/// # Errors
/// Whatever reading says.
pub fn discovery_is(lio: &Lio, chap: &Chap) -> Result<Option<bool>> {
    let auth = discovery_auth(lio);
    if auth.read_opt("enforce_discovery_auth")?.as_deref() != Some("1") {
        return Ok(None);
    }
    for (file, secret) in chap.all() {
        let live = auth.read_opt(file)?.unwrap_or_default();
        let wanted = if secret.is_empty() { "NULL" } else { secret.reveal() };
        if live != wanted && !(secret.is_empty() && live.is_empty()) {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}
