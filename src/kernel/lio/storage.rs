//! Backstores: `core/HBA/NAME`. Made in one go, closed only by removal: the kernel has no "disable" for them.

use std::collections::HashSet;

use super::Lio;
use super::config::{AluaGroup, Backstore, Kind};
use super::inventory::live_luns;
use crate::kernel::attr::{Dir, Root};
use crate::kernel::block::BlockDevice;
use crate::kernel::error::{KernelError, Result};

/// Attributes that kernels have had and lost: their absence is no news, and where they are left they do nothing.
const GONE: [&str; 3] = ["netif_timeout", "emulate_dpo", "emulate_fua_read"];

/// Whether writing this attribute has no effect on a kernel of today, so that its value is no difference.
#[must_use]
pub fn is_ignored(attribute: &str) -> bool {
    attribute.starts_with("hw_") || GONE.contains(&attribute)
}

/// A backstore that is there, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Directory below `core/`.
    pub hba: String,
    /// Its name.
    pub name: String,
    /// The device or file it says it stands on.
    pub dev: String,
}

/// Every backstore there is.
///
/// # Errors
/// Whatever reading the tree says.
pub fn all(lio: &Lio) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for hba in lio.core().dirs()?.into_iter().filter(|h| h != "alua") {
        for name in lio.core().dir(&hba).dirs()? {
            let dev = lio.storage_object(&hba, &name).read_opt("udev_path")?.unwrap_or_default();
            found.push(Found { hba: hba.clone(), name, dev });
        }
    }
    Ok(found)
}

/// The backstores, as (HBA, name), that LUNs of iSCSI targets other than `own` lead to. Looks at nothing but LUNs: ACLs of a target
/// that hangs can be locked.
///
/// # Errors
/// Whatever reading the tree says.
pub fn exported_by_others(lio: &Lio, own: &[String]) -> Result<HashSet<(String, String)>> {
    let mut exported = HashSet::new();
    for iqn in lio.iscsi().dirs()?.into_iter().filter(|iqn| !own.contains(iqn)) {
        let target = lio.target(&iqn);
        for tpg in target.dirs()?.into_iter().filter(|name| name.starts_with("tpgt_")) {
            exported.extend(live_luns(&target.dir(tpg))?.into_iter().map(|lun| lun.backstore));
        }
    }
    Ok(exported)
}

/// The numbers below `core/` that are taken, whatever the plugin: rtslib keeps them unique over all plugins.
///
/// # Errors
/// Whatever reading the tree says.
pub fn taken_numbers(lio: &Lio) -> Result<Vec<u32>> {
    let hbas = lio.core().dirs()?;
    Ok(hbas.iter().filter_map(|hba| hba.rsplit_once('_')?.1.parse().ok()).collect())
}

/// Makes the backstore in its own HBA directory and opens its device. Its serial number and attributes are set before any LUN can be.
///
/// # Errors
/// Whatever the kernel says. EBUSY at `enable`: something else holds the device.
pub fn create(lio: &Lio, hba: &str, so: &Backstore) -> Result<()> {
    lio.core().dir(hba).create()?;
    let dir = lio.storage_object(hba, &so.name);
    dir.create()?;
    if let Some(dev) = so.kind.dev() {
        dir.set("udev_path", &dev.to_string_lossy())?;
    }
    for control in controls(lio.root(), &so.kind)? {
        dir.set("control", &control)?;
    }
    dir.set("enable", "1")?;
    if let Some(wwn) = &so.wwn {
        dir.set("wwn/vpd_unit_serial", &format!("{wwn}\n"))?;
    }
    let attrib = dir.dir("attrib");
    for (name, value) in &so.attributes {
        set_attribute(&attrib, name, value)?;
    }
    so.alua.iter().try_for_each(|group| create_alua_group(&dir, group))
}

/// What `control` wants to hear. The kernel silently accepts what it does not know, so the result is read back by [`verify`].
fn controls(root: &Root, kind: &Kind) -> Result<Vec<String>> {
    Ok(match kind {
        Kind::Block { dev, readonly, exclusive } => {
            let exclusive = exclusive.filter(|e| !e).map(|_| ",exclusive=0").unwrap_or_default();
            vec![format!("udev_path={},readonly={}{exclusive}", dev.display(), u8::from(*readonly))]
        }
        Kind::Fileio { dev, size, write_back, aio } => {
            let mut controls = vec![format!("fd_dev_name={}", dev.display())];
            controls.extend(size.map(|size| format!("fd_dev_size={size}")));
            controls.extend(write_back.then(|| "fd_buffered_io=1".to_owned()));
            controls.extend(aio.then(|| "fd_async_io=1".to_owned()));
            controls
        }
        Kind::Ramdisk { size, nullio } => {
            let mut controls = vec![format!("rd_pages={}", size.div_ceil(4096))];
            controls.extend(nullio.then(|| "rd_nullio=1".to_owned()));
            controls
        }
        Kind::Pscsi { dev } => {
            let [host, channel, target, lun] = BlockDevice::of(root, dev)?.scsi_address()?;
            vec![format!("scsi_host_id={host},scsi_channel_id={channel},scsi_target_id={target},scsi_lun_id={lun}")]
        }
    })
}

/// Reads back what the kernel made of it.
///
/// # Errors
/// `InvalidData` that says what differs.
pub fn verify(lio: &Lio, hba: &str, so: &Backstore) -> Result<()> {
    let dir = lio.storage_object(hba, &so.name);
    if lio.root().is_fake() {
        return Ok(());
    }
    let info = dir.read("info")?;
    let wrong = |what: &str| {
        Err(KernelError::new("verify", dir.path().join("info"), std::io::Error::new(std::io::ErrorKind::InvalidData, what)))
    };
    // `info` says "ACTIVATED" only once a LUN leads to it.
    if dir.read("enable")? != "1" {
        return wrong("not enabled");
    }
    let serial = dir.read_opt("wwn/vpd_unit_serial")?.unwrap_or_default();
    if so.wwn.as_deref().is_some_and(|wwn| serial.rsplit(": ").next() != Some(wwn)) {
        return wrong("the unit serial number differs from wwn");
    }
    match &so.kind {
        Kind::Block { readonly, .. } if !info.contains(&format!("readonly: {}", u8::from(*readonly))) => {
            wrong("readonly differs from the configuration")
        }
        Kind::Fileio { size: Some(size), .. } if !info.contains(&format!("Size: {size} ")) => {
            wrong("size differs from the configuration")
        }
        _ => Ok(()),
    }
}

/// Sets one attribute. One that this kernel does not have is passed over, one that has the value already may refuse to be written.
///
/// # Errors
/// The kernel has it and refuses the value.
pub fn set_attribute(attrib: &Dir, name: &str, value: &str) -> Result<()> {
    if name.starts_with("hw_") {
        return Ok(());
    }
    let Err(e) = attrib.set(name, value) else { return Ok(()) };
    if is_ignored(name) {
        tracing::debug!("{e}: this attribute does nothing any more");
        return Ok(());
    }
    if e.is_not_found() {
        tracing::warn!("{}: this kernel has no such attribute", e.path.display());
        return Ok(());
    }
    if attrib.read_opt(name)?.as_deref() == Some(value) { Ok(()) } else { Err(e) }
}

fn create_alua_group(so: &Dir, group: &AluaGroup) -> Result<()> {
    let dir = so.dir("alua").dir(&group.name);
    dir.create()?;
    dir.set("tg_pt_gp_id", &group.id.to_string())?;
    for (name, value) in &group.attributes {
        set_attribute(&dir, name, value)?;
    }
    Ok(())
}

/// Removes the backstore, which closes its device, and its HBA directory when that is empty. What is gone already is no error.
///
/// # Errors
/// EBUSY while a LUN leads to it.
pub fn remove(lio: &Lio, hba: &str, name: &str) -> Result<()> {
    let dir = lio.storage_object(hba, name);
    for group in dir.dir("alua").dirs()?.into_iter().filter(|g| g != "default_tg_pt_gp") {
        dir.dir("alua").dir(group).remove()?;
    }
    dir.remove()?;
    let hba = lio.core().dir(hba);
    if hba.dirs()?.is_empty() {
        hba.remove()?;
    }
    Ok(())
}
