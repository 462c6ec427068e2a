//! `lio_floor up|down SAVECONFIG.JSON`: the operations on configfs that the file needs, in one flat loop, and nothing else: no check, no
//! thread, no record, no way back. What no program can be much faster than, one operation after the other; `scripts/bench` measures
//! against it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ocf_san::kernel::lio::config::{Config, Kind, NodeAcl, Tpg};
use ocf_san::kernel::lio::saveconfig;

const BASE: &str = "/sys/kernel/config/target";

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [action, file] = args.as_slice() else { return Err(io::Error::other("usage: lio_floor up|down FILE")) };
    let config = saveconfig::parse(Path::new(file), &fs::read_to_string(file)?).map_err(io::Error::other)?;
    if action == "up" { up(&config) } else { down(&config) }
}

fn write(path: PathBuf, value: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

/// Attributes that this kernel does not have, or that are only read, are passed over.
fn attributes(dir: &Path, values: &[(String, String)]) {
    for (name, value) in values.iter().filter(|(name, _)| !name.starts_with("hw_")) {
        let _ = write(dir.join(name), value);
    }
}

fn hba(config: &Config, name: &str) -> io::Result<PathBuf> {
    let index = config.backstores.iter().position(|so| so.name == name).ok_or(io::ErrorKind::NotFound)?;
    Ok(Path::new(BASE).join(format!("core/iblock_{index}")))
}

fn tpgs(config: &Config) -> impl Iterator<Item = (PathBuf, PathBuf, &Tpg)> {
    config.targets.iter().flat_map(|target| {
        let dir = Path::new(BASE).join("iscsi").join(target.iqn.as_str());
        target.tpgs.iter().map(move |tpg| (dir.clone(), dir.join(format!("tpgt_{}", tpg.tag)), tpg))
    })
}

fn up(config: &Config) -> io::Result<()> {
    for so in &config.backstores {
        let Kind::Block { dev, .. } = &so.kind else { return Err(io::Error::other("only block backstores")) };
        let hba = hba(config, &so.name)?;
        let dir = hba.join(&so.name);
        fs::create_dir(&hba)?;
        fs::create_dir(&dir)?;
        write(dir.join("udev_path"), &dev.to_string_lossy())?;
        write(dir.join("control"), &format!("udev_path={},readonly=0", dev.display()))?;
        write(dir.join("enable"), "1")?;
        write(dir.join("wwn/vpd_unit_serial"), so.wwn.as_deref().unwrap_or_default())?;
        attributes(&dir.join("attrib"), &so.attributes);
    }
    for (target, dir, tpg) in tpgs(config) {
        fs::create_dir(target)?;
        fs::create_dir(&dir)?;
        attributes(&dir.join("attrib"), &tpg.attributes);
        attributes(&dir.join("param"), &tpg.parameters);
        for lun in &tpg.luns {
            let lun_dir = dir.join(format!("lun/lun_{}", lun.index));
            fs::create_dir(&lun_dir)?;
            symlink(hba(config, &lun.backstore.name)?.join(&lun.backstore.name), lun_dir.join(&lun.alias))?;
        }
        tpg.acls.iter().try_for_each(|acl| acl_up(&dir, acl))?;
        for portal in &tpg.portals {
            fs::create_dir(dir.join("np").join(portal.address.to_string()))?;
        }
        write(dir.join("enable"), "1")?;
    }
    Ok(())
}

fn acl_up(tpg: &Path, acl: &NodeAcl) -> io::Result<()> {
    let dir = tpg.join("acls").join(acl.initiator.as_str());
    fs::create_dir(&dir)?;
    attributes(&dir.join("attrib"), &acl.attributes);
    for (file, secret) in acl.chap.set() {
        write(dir.join("auth").join(file), secret.reveal())?;
    }
    for mapped in &acl.mapped {
        let lun = dir.join(format!("lun_{}", mapped.index));
        fs::create_dir(&lun)?;
        symlink(tpg.join(format!("lun/lun_{}", mapped.tpg_lun)), lun.join(&mapped.alias))?;
        write(lun.join("write_protect"), if mapped.write_protect { "1" } else { "0" })?;
    }
    Ok(())
}

fn down(config: &Config) -> io::Result<()> {
    for (target, dir, tpg) in tpgs(config) {
        write(dir.join("enable"), "0")?;
        for acl in &tpg.acls {
            let acl_dir = dir.join("acls").join(acl.initiator.as_str());
            for mapped in &acl.mapped {
                let lun = acl_dir.join(format!("lun_{}", mapped.index));
                fs::remove_file(lun.join(&mapped.alias))?;
                fs::remove_dir(lun)?;
            }
            fs::remove_dir(acl_dir)?;
        }
        for lun in &tpg.luns {
            let lun_dir = dir.join(format!("lun/lun_{}", lun.index));
            fs::remove_file(lun_dir.join(&lun.alias))?;
            fs::remove_dir(lun_dir)?;
        }
        for portal in &tpg.portals {
            fs::remove_dir(dir.join("np").join(portal.address.to_string()))?;
        }
        fs::remove_dir(dir)?;
        fs::remove_dir(target)?;
    }
    for so in &config.backstores {
        let hba = hba(config, &so.name)?;
        fs::remove_dir(hba.join(&so.name))?;
        fs::remove_dir(hba)?;
    }
    Ok(())
}
