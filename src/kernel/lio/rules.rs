//! What must fit together in a configuration before anything is built from it.

use std::collections::{HashMap, HashSet};

use super::config::{Backstore, Config, Kind, NodeAcl, Tpg};

/// A complaint: the key and what is wrong there.
pub type Complaint = (String, String);

/// Checks names, references and duplicates.
///
/// # Errors
/// The first complaint.
pub fn check(config: &Config) -> Result<(), Complaint> {
    let mut names = HashSet::new();
    let mut serials = HashMap::new();
    let mut devices = HashMap::new();
    for (i, so) in config.backstores.iter().enumerate() {
        let key = |field: &str| format!("storage_objects[{i}].{field}");
        if !names.insert(so.id()) {
            return Err((key("name"), format!("{} twice", so.id())));
        }
        if let Some(other) = so.wwn.as_ref().and_then(|wwn| serials.insert(naa_digits(wwn), &so.name)) {
            return Err((key("wwn"), format!("gives the same disk identity as that of {other}")));
        }
        if let Some(other) = so.kind.dev().and_then(|dev| devices.insert(dev, &so.name)) {
            return Err((key("dev"), format!("is also that of {other}")));
        }
        if matches!(so.kind, Kind::Ramdisk { size: 0, .. } | Kind::Fileio { size: Some(0), .. }) {
            return Err((key("size"), "0 bytes".to_owned()));
        }
        groups(so).map_err(|(field, why)| (key(&field), why))?;
    }
    let backstores: HashMap<_, _> = config.backstores.iter().map(|so| (so.id(), so)).collect();
    let mut iqns = HashSet::new();
    for (t, target) in config.targets.iter().enumerate() {
        if !iqns.insert(&target.iqn) {
            return Err((format!("targets[{t}].wwn"), format!("{} twice", target.iqn)));
        }
        let mut tags = HashSet::new();
        let mut portals: Vec<&super::names::PortalAddress> = Vec::new();
        for (g, tpg) in target.tpgs.iter().enumerate() {
            let key = |field: &str| format!("targets[{t}].tpgs[{g}].{field}");
            if !tags.insert(tpg.tag) {
                return Err((key("tag"), format!("{} twice", tpg.tag)));
            }
            luns(tpg, &backstores).map_err(|(field, why)| (key(&field), why))?;
            for (p, portal) in tpg.portals.iter().enumerate() {
                if let Some(other) = portals.iter().find(|o| o.collides(&portal.address)) {
                    let why = format!("{} collides with {other} of the same target", portal.address);
                    return Err((key(&format!("portals[{p}]")), why));
                }
                portals.push(&portal.address);
            }
            let mut initiators = HashSet::new();
            for (a, acl) in tpg.acls.iter().enumerate() {
                let key = |field: &str| key(&format!("node_acls[{a}].{field}"));
                if !initiators.insert(&acl.initiator) {
                    return Err((key("node_wwn"), format!("{} twice", acl.initiator)));
                }
                mapped(acl, tpg).map_err(|(field, why)| (key(&field), why))?;
            }
        }
    }
    Ok(())
}

fn groups(so: &Backstore) -> Result<(), Complaint> {
    let mut ids = HashSet::new();
    let mut names = HashSet::new();
    for (g, group) in so.alua.iter().enumerate() {
        if group.id == 0 {
            return Err((format!("alua_tpgs[{g}].tg_pt_gp_id"), "0 is the default group's".to_owned()));
        }
        if !ids.insert(group.id) || !names.insert(&group.name) {
            return Err((format!("alua_tpgs[{g}]"), "name or tg_pt_gp_id twice".to_owned()));
        }
    }
    Ok(())
}

fn luns(tpg: &Tpg, backstores: &HashMap<super::config::BackstoreName, &Backstore>) -> Result<(), Complaint> {
    let mut seen = HashSet::new();
    for (l, lun) in tpg.luns.iter().enumerate() {
        if !seen.insert(lun.index) {
            return Err((format!("luns[{l}].index"), format!("{} twice", lun.index)));
        }
        let Some(so) = backstores.get(&lun.backstore) else {
            return Err((format!("luns[{l}].storage_object"), format!("no storage object {}", lun.backstore)));
        };
        let unknown = |group: &String| !so.alua.iter().any(|g| &g.name == group);
        if lun.alua_group.as_ref().is_some_and(unknown) {
            return Err((format!("luns[{l}].alua_tg_pt_gp_name"), format!("{} has no such group", so.name)));
        }
    }
    Ok(())
}

fn mapped(acl: &NodeAcl, tpg: &Tpg) -> Result<(), Complaint> {
    let mut seen = HashSet::new();
    for (m, lun) in acl.mapped.iter().enumerate() {
        if !seen.insert(lun.index) {
            return Err((format!("mapped_luns[{m}].index"), format!("{} twice", lun.index)));
        }
        if !tpg.luns.iter().any(|l| l.index == lun.tpg_lun) {
            return Err((format!("mapped_luns[{m}].tpg_lun"), format!("no LUN {}", lun.tpg_lun)));
        }
    }
    Ok(())
}

/// What of a serial number goes into the NAA identifier: its first 25 hexadecimal digits (`spc_gen_naa_6h_vendor_specific`,
/// `target_core_spc.c`), filled up with zeros.
fn naa_digits(serial: &str) -> String {
    let digits: String = serial.chars().filter(char::is_ascii_hexdigit).take(25).collect();
    format!("{:0<25}", digits.to_ascii_lowercase())
}
