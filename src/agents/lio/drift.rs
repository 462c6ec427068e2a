//! Check level 10: does the machine still do what the configuration says? The first difference, without any secret.

use crate::kernel::attr::Dir;
use crate::kernel::error::Result;
use crate::kernel::lio::config::{Backstore, Config, Kind, NodeAcl, Tpg};
use crate::kernel::lio::inventory::Inventory;
use crate::kernel::lio::storage::is_ignored;
use crate::kernel::lio::{Lio, fabric};

/// The first difference between the configuration and the tree; `None` when there is none. `own` says where the backstores are.
///
/// # Errors
/// Whatever reading says but "not found".
pub fn first(lio: &Lio, config: &Config, own: &Inventory) -> Result<Option<String>> {
    let started: Vec<String> = own.targets.iter().map(|t| t.iqn.clone()).collect();
    let configured: Vec<String> = config.targets.iter().map(|t| t.iqn.to_string()).collect();
    if let Some(difference) = compare("target", &started, &configured) {
        return Ok(Some(difference));
    }
    for so in &config.backstores {
        let Some(made) = own.backstores.iter().find(|made| made.name == so.name && made.hba.starts_with(so.kind.hba())) else {
            return Ok(Some(format!("backstore {} is new in the configuration", so.name)));
        };
        if let Some(difference) = backstore(&lio.storage_object(&made.hba, &made.name), so)? {
            return Ok(Some(format!("backstore {}: {difference}", so.name)));
        }
    }
    for target in &config.targets {
        for tpg in &target.tpgs {
            if let Some(difference) = portal_group(&lio.tpg(target.iqn.as_str(), tpg.tag), tpg)? {
                return Ok(Some(format!("{} tpgt_{}: {difference}", target.iqn, tpg.tag)));
            }
        }
    }
    match &config.discovery {
        Some(chap) if fabric::discovery_is(lio, chap)? != Some(true) => {
            Ok(Some("discovery authentication differs from the configuration".to_owned()))
        }
        _ => Ok(None),
    }
}

fn backstore(dir: &Dir, so: &Backstore) -> Result<Option<String>> {
    if let Some(wwn) = &so.wwn {
        let serial = dir.read_opt("wwn/vpd_unit_serial")?.unwrap_or_default();
        if serial.rsplit(": ").next() != Some(wwn.as_str()) {
            return Ok(Some("the unit serial number differs from wwn".to_owned()));
        }
    }
    if let Kind::Block { dev, .. } | Kind::Fileio { dev, .. } = &so.kind {
        let live = dir.read_opt("udev_path")?.unwrap_or_default();
        if dev.as_os_str() != live.as_str() {
            return Ok(Some(format!("stands on {live:?}, configured is {}", dev.display())));
        }
    }
    for group in &so.alua {
        let group_dir = dir.dir("alua").dir(&group.name);
        if !group_dir.exists()? {
            return Ok(Some(format!("ALUA group {} is missing", group.name)));
        }
    }
    attributes(&dir.dir("attrib"), &so.attributes)
}

fn portal_group(dir: &Dir, tpg: &Tpg) -> Result<Option<String>> {
    // generate_node_acls=1 forces cache_dynamic_acls=1, whatever was written to that.
    let generated = tpg.attributes.iter().any(|(name, value)| name == "generate_node_acls" && value == "1");
    let attribs: Vec<_> =
        tpg.attributes.iter().filter(|(name, _)| !(generated && name == "cache_dynamic_acls")).cloned().collect();
    if let Some(difference) = attributes(&dir.dir("attrib"), &attribs)? {
        return Ok(Some(difference));
    }
    // Enabling an authenticated portal group takes None out of AuthMethod (iscsit_ta_authentication, iscsi_target_tpg.c).
    let is_authenticated = tpg.attributes.iter().all(|(name, value)| name != "authentication" || value == "1");
    let lowered = |value: &str| value.split(',').filter(|method| *method != "None").collect::<Vec<_>>().join(",");
    let params = tpg.parameters.iter().map(|(name, value)| match name.as_str() {
        "AuthMethod" if is_authenticated && tpg.enable => (name.clone(), lowered(value)),
        _ => (name.clone(), value.clone()),
    });
    if let Some(difference) = attributes(&dir.dir("param"), &params.collect::<Vec<_>>())? {
        return Ok(Some(difference));
    }
    if let Some(difference) = chap(&dir.dir("auth"), &tpg.chap)? {
        return Ok(Some(difference));
    }
    let luns: Vec<String> = tpg.luns.iter().map(|l| format!("lun_{}", l.index)).collect();
    if let Some(difference) = names("LUN", &dir.dir("lun"), &luns)? {
        return Ok(Some(difference));
    }
    for lun in &tpg.luns {
        let lun_dir = dir.dir("lun").dir(format!("lun_{}", lun.index));
        for link in lun_dir.links()? {
            let leads_to = lun_dir.read_link(&link)?.and_then(|t| t.file_name()?.to_str().map(str::to_owned));
            if leads_to.as_deref() != Some(lun.backstore.name.as_str()) {
                return Ok(Some(format!("LUN {} exports another backstore than {}", lun.index, lun.backstore.name)));
            }
        }
    }
    let portals: Vec<String> = tpg.portals.iter().map(|p| p.address.to_string()).collect();
    if let Some(difference) = names("portal", &dir.dir("np"), &portals)? {
        return Ok(Some(difference));
    }
    let initiators: Vec<String> = tpg.acls.iter().map(|a| a.initiator.to_string()).collect();
    if let Some(difference) = names("ACL", &dir.dir("acls"), &initiators)? {
        return Ok(Some(difference));
    }
    for node in &tpg.acls {
        if let Some(difference) = acl(&dir.dir("acls").dir(node.initiator.as_str()), node)? {
            return Ok(Some(format!("ACL {}: {difference}", node.initiator)));
        }
    }
    Ok(None)
}

fn acl(dir: &Dir, acl: &NodeAcl) -> Result<Option<String>> {
    if let Some(difference) = attributes(&dir.dir("attrib"), &acl.attributes)? {
        return Ok(Some(difference));
    }
    if let Some(difference) = chap(&dir.dir("auth"), &acl.chap)? {
        return Ok(Some(difference));
    }
    let live: Vec<String> = dir.dirs()?.into_iter().filter(|d| d.starts_with("lun_")).collect();
    let configured: Vec<String> = acl.mapped.iter().map(|m| format!("lun_{}", m.index)).collect();
    if let Some(difference) = compare("mapped LUN", &live, &configured) {
        return Ok(Some(difference));
    }
    for mapped in &acl.mapped {
        let lun = dir.dir(format!("lun_{}", mapped.index));
        if lun.read_opt("write_protect")?.as_deref() != Some(if mapped.write_protect { "1" } else { "0" }) {
            return Ok(Some(format!("write_protect of mapped LUN {} differs", mapped.index)));
        }
        for link in lun.links()? {
            if !lun.read_link(&link)?.is_some_and(|t| t.ends_with(format!("lun/lun_{}", mapped.tpg_lun))) {
                return Ok(Some(format!("mapped LUN {} leads to another LUN than {}", mapped.index, mapped.tpg_lun)));
            }
        }
    }
    Ok(None)
}

/// Attributes that the kernel has, by what reads back. What it does not have was passed over at start too.
fn attributes(dir: &Dir, configured: &[(String, String)]) -> Result<Option<String>> {
    for (name, value) in configured.iter().filter(|(name, _)| !is_ignored(name)) {
        match dir.read_opt(name)? {
            Some(live) if live != *value => return Ok(Some(format!("{name} is {live}, configured is {value}"))),
            _ => {}
        }
    }
    Ok(None)
}

/// The four CHAP values; which one differs, never what it is.
fn chap(auth: &Dir, chap: &crate::kernel::lio::config::Chap) -> Result<Option<String>> {
    for (file, secret) in chap.all() {
        let live = auth.read_opt(file)?.unwrap_or_default();
        let live = if live == "NULL" { "" } else { live.as_str() };
        if live != secret.reveal() {
            return Ok(Some(format!("auth/{file} differs from the configuration")));
        }
    }
    Ok(None)
}

fn names(what: &str, dir: &Dir, configured: &[String]) -> Result<Option<String>> {
    Ok(compare(what, &dir.dirs()?, configured))
}

/// The first name that only one side has.
fn compare(what: &str, live: &[String], configured: &[String]) -> Option<String> {
    if let Some(missing) = configured.iter().find(|name| !live.contains(name)) {
        return Some(format!("{what} {} is missing", missing.trim_start_matches("lun_")));
    }
    let extra = live.iter().find(|name| !configured.contains(name))?;
    Some(format!("{what} {} is not in the configuration", extra.trim_start_matches("lun_")))
}
