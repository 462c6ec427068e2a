//! Targets and their portal groups: `iscsi/IQN/tpgt_N`. Built disabled, shown last.

use super::Lio;
use super::config::{Chap, Lun, NodeAcl, Portal, Target};
use super::storage::set_attribute;
use crate::kernel::attr::Dir;
use crate::kernel::error::{KernelError, Result};

/// Makes the target and its portal groups, disabled, with attributes, parameters and CHAP but nothing in them.
///
/// # Errors
/// Whatever the kernel says; for a name it does not like that is EINVAL.
pub fn create_target(lio: &Lio, target: &Target) -> Result<()> {
    lio.target(target.iqn.as_str()).create()?;
    for tpg in &target.tpgs {
        let dir = lio.tpg(target.iqn.as_str(), tpg.tag);
        dir.create()?;
        // Before anything refers to it: an ACL made earlier would keep 0. Linux before 6.4 has no such file.
        if dir.read_opt("rtpi")?.is_some() {
            dir.set("rtpi", &tpg.rtpi.to_string())?;
        }
        for (name, value) in &tpg.attributes {
            set_attribute(&dir.dir("attrib"), name, value)?;
        }
        for (name, value) in &tpg.parameters {
            set_attribute(&dir.dir("param"), name, value)?;
        }
        set_chap(&dir.dir("auth"), &tpg.chap)?;
    }
    Ok(())
}

/// The relative target port identifiers that portal groups have now (Linux 6.4 and later show them, as `0x1`).
///
/// # Errors
/// Whatever reading the tree says.
pub fn taken_rtpis(lio: &Lio) -> Result<Vec<u16>> {
    let mut taken = Vec::new();
    for iqn in lio.iscsi().dirs()? {
        for tpg in lio.target(&iqn).dirs()?.iter().filter(|name| name.starts_with("tpgt_")) {
            let rtpi = lio.target(&iqn).dir(tpg).read_opt("rtpi")?;
            taken.extend(rtpi.and_then(|text| u16::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()));
        }
    }
    Ok(taken)
}

/// Writes the CHAP values that are set, without a newline: the kernel would take it as part of the secret.
///
/// # Errors
/// Whatever the kernel says, never with the value.
pub fn set_chap(auth: &Dir, chap: &Chap) -> Result<()> {
    chap.set().try_for_each(|(file, secret)| auth.set(file, secret.reveal()))
}

/// Makes one LUN. `hba` is where its backstore is.
///
/// # Errors
/// Whatever the kernel says.
pub fn create_lun(lio: &Lio, tpg: &Dir, lun: &Lun, hba: &str) -> Result<()> {
    let dir = tpg.dir("lun").dir(format!("lun_{}", lun.index));
    dir.create()?;
    dir.link(&lun.alias, &lio.storage_object(hba, &lun.backstore.name))?;
    lun.alua_group.as_ref().map_or(Ok(()), |group| dir.set("alua_tg_pt_gp", group))
}

/// Makes one ACL with its mapped LUNs.
///
/// # Errors
/// Whatever the kernel says.
pub fn create_acl(tpg: &Dir, acl: &NodeAcl) -> Result<()> {
    let dir = tpg.dir("acls").dir(acl.initiator.as_str());
    dir.create()?;
    for (name, value) in &acl.attributes {
        set_attribute(&dir.dir("attrib"), name, value)?;
    }
    set_chap(&dir.dir("auth"), &acl.chap)?;
    if let Some(tag) = &acl.tag {
        dir.set("tag", tag)?;
    }
    for mapped in &acl.mapped {
        let lun = dir.dir(format!("lun_{}", mapped.index));
        lun.create()?;
        lun.link(&mapped.alias, &tpg.dir("lun").dir(format!("lun_{}", mapped.tpg_lun)))?;
        lun.set("write_protect", if mapped.write_protect { "1" } else { "0" })?;
    }
    Ok(())
}

/// Makes one portal: the socket listens from here on, but no disabled portal group lets anyone in.
///
/// # Errors
/// The kernel says EINVAL whatever is wrong; the reason is in its log only.
pub fn create_portal(tpg: &Dir, portal: &Portal) -> Result<()> {
    let dir = tpg.dir("np").dir(portal.address.to_string());
    dir.create().map_err(|e| match e.errno() {
        Some(libc::EINVAL) => KernelError::new(
            "listen on",
            e.path.clone(),
            std::io::Error::new(std::io::ErrorKind::AddrInUse, "refused by the kernel: address taken? (see dmesg)"),
        ),
        _ => e,
    })?;
    if portal.iser {
        dir.set("iser", "1")?;
    }
    if portal.offload {
        dir.set("cxgbit", "1")?;
    }
    Ok(())
}

/// Removes one ACL and its mapped LUNs. `mapped` are those it is known to have; only when there turn out to be others is it listed, which
/// costs more than the removal. What is gone already is no error.
///
/// # Errors
/// Whatever the kernel says.
pub fn remove_acl(acl: &Dir, mapped: &[(u64, String, u64)]) -> Result<()> {
    mapped.iter().try_for_each(|(index, alias, _)| remove_linked(&acl.dir(format!("lun_{index}")), alias))?;
    if remove_empty(acl)? {
        return Ok(());
    }
    for lun in acl.dirs()?.into_iter().filter(|d| d.starts_with("lun_")) {
        remove_linked(&acl.dir(lun), "")?;
    }
    acl.remove().map(drop)
}

/// Removes one LUN or mapped LUN with its link, which is known as `alias`; only when there turns out to be another is it listed. What is
/// gone already is no error.
///
/// # Errors
/// Whatever the kernel says.
pub fn remove_linked(lun: &Dir, alias: &str) -> Result<()> {
    if !alias.is_empty() {
        lun.unlink(alias)?;
    }
    if remove_empty(lun)? {
        return Ok(());
    }
    for link in lun.links()? {
        lun.unlink(&link)?;
    }
    lun.remove().map(drop)
}

/// Removes the directory, or finds it gone; `false` when there is still something in it.
fn remove_empty(dir: &Dir) -> Result<bool> {
    match dir.remove() {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.errno(), Some(libc::ENOTEMPTY | libc::EBUSY)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Lets initiators in, or sends them away and waits until their sessions are gone (which is where it hangs when a disk does).
///
/// # Errors
/// Whatever the kernel says. A portal group that is not there is no error when it is to be disabled.
pub fn set_enabled(tpg: &Dir, enabled: bool) -> Result<()> {
    match tpg.set("enable", if enabled { "1" } else { "0" }) {
        Err(e) if !enabled && e.is_not_found() => Ok(()),
        // Disabling a disabled portal group is EINVAL.
        Err(e) if !enabled && e.errno() == Some(libc::EINVAL) && tpg.read_opt("enable")?.as_deref() != Some("1") => Ok(()),
        other => other,
    }
}

/// How many sessions the target has; 0 when it is not there.
///
/// # Errors
/// Whatever reading says.
pub fn sessions(lio: &Lio, iqn: &str) -> Result<u32> {
    let text = lio.target(iqn).read_opt("fabric_statistics/iscsi_instance/sessions")?;
    Ok(text.and_then(|t| t.trim().parse().ok()).unwrap_or(0))
}
