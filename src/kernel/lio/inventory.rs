//! The names of everything that makes up some targets: what a start made, what configfs shows. Holds no secrets, so it can be kept in a file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Lio;
use super::config::Config;
use crate::kernel::attr::Dir;
use crate::kernel::error::Result;

/// Backstores and targets by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The backstores.
    pub backstores: Vec<Backstore>,
    /// The targets.
    pub targets: Vec<Target>,
}

/// A backstore's directory and device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Backstore {
    /// Directory below `core/`, such as `iblock_0`; empty while none is assigned.
    pub hba: String,
    /// The object's name.
    pub name: String,
    /// Its device or file.
    pub dev: Option<PathBuf>,
    /// The device's number, when it is a block device.
    pub number: Option<(u32, u32)>,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub iqn: String,
    /// Its portal groups.
    pub tpgs: Vec<Tpg>,
}

/// A portal group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tpg {
    /// `tpgt_N`.
    pub tag: u16,
    /// Whether it is to be enabled.
    pub enable: bool,
    /// Its LUNs.
    pub luns: Vec<Lun>,
    /// The directories below `np/`.
    pub portals: Vec<String>,
    /// Its ACLs.
    pub acls: Vec<Acl>,
}

/// A LUN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lun {
    /// `lun_N`.
    pub index: u64,
    /// The symbolic link in it; empty when there is none.
    pub alias: String,
    /// HBA and name of the backstore that the link points to.
    pub backstore: (String, String),
}

/// An ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// The initiator.
    pub initiator: String,
    /// Its mapped LUNs: index and symbolic link (empty when there is none).
    pub mapped: Vec<(u64, String)>,
}

impl Inventory {
    /// What building `config` will make. HBA directories are not assigned yet.
    #[must_use]
    pub fn planned(config: &Config) -> Self {
        let backstores = config.backstores.iter().map(|so| Backstore {
            hba: String::new(),
            name: so.name.clone(),
            dev: so.kind.dev().cloned(),
            number: None,
        });
        let targets = config
            .targets
            .iter()
            .map(|target| Target { iqn: target.iqn.to_string(), tpgs: target.tpgs.iter().map(planned_tpg).collect() });
        Self { backstores: backstores.collect(), targets: targets.collect() }
    }

    /// What configfs shows below the given targets, and the backstores that their LUNs lead to.
    ///
    /// # Errors
    /// Whatever reading the tree says; what vanishes meanwhile is no error.
    pub fn live<'a>(lio: &Lio, iqns: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut targets = Vec::new();
        let mut backstores = BTreeSet::new();
        for iqn in iqns {
            let dir = lio.target(iqn);
            if !dir.exists()? {
                continue;
            }
            let numbers: Vec<u16> = dir.dirs()?.iter().filter_map(|d| d.strip_prefix("tpgt_")?.parse().ok()).collect();
            let tpgs = numbers.into_iter().map(|tag| live_tpg(lio, iqn, tag)).collect::<Result<Vec<_>>>()?;
            for (hba, name) in tpgs.iter().flat_map(|t| &t.luns).map(|l| &l.backstore).filter(|(hba, _)| !hba.is_empty()) {
                let dev = lio.storage_object(hba, name).read_opt("udev_path")?.filter(|d| !d.is_empty()).map(PathBuf::from);
                backstores.insert(Backstore { hba: hba.clone(), name: name.clone(), dev, number: None });
            }
            targets.push(Target { iqn: iqn.to_owned(), tpgs });
        }
        Ok(Self { backstores: backstores.into_iter().collect(), targets })
    }

    /// Every portal group with the name of its target.
    pub fn tpgs(&self) -> impl Iterator<Item = (&str, &Tpg)> {
        self.targets.iter().flat_map(|t| t.tpgs.iter().map(|g| (t.iqn.as_str(), g)))
    }
}

fn planned_tpg(tpg: &super::config::Tpg) -> Tpg {
    Tpg {
        tag: tpg.tag,
        enable: tpg.enable,
        luns: tpg
            .luns
            .iter()
            .map(|l| Lun { index: l.index, alias: l.alias.clone(), backstore: (String::new(), l.backstore.name.clone()) })
            .collect(),
        portals: tpg.portals.iter().map(|p| p.address.to_string()).collect(),
        acls: tpg
            .acls
            .iter()
            .map(|a| Acl {
                initiator: a.initiator.to_string(),
                mapped: a.mapped.iter().map(|m| (m.index, m.alias.clone())).collect(),
            })
            .collect(),
    }
}

fn live_tpg(lio: &Lio, iqn: &str, tag: u16) -> Result<Tpg> {
    let dir = lio.tpg(iqn, tag);
    let acls = dir.dir("acls").dirs()?.into_iter().map(|initiator| {
        let acl = dir.dir("acls").dir(&initiator);
        let mapped = numbered(&acl)?.into_iter().map(|index| Ok((index, first_link(&acl.dir(format!("lun_{index}")))?)));
        Ok(Acl { initiator, mapped: mapped.collect::<Result<_>>()? })
    });
    Ok(Tpg { tag, enable: true, luns: live_luns(&dir)?, portals: dir.dir("np").dirs()?, acls: acls.collect::<Result<_>>()? })
}

/// The LUNs that configfs shows below a portal group.
///
/// # Errors
/// Whatever reading the tree says.
pub fn live_luns(tpg: &Dir) -> Result<Vec<Lun>> {
    let luns = numbered(&tpg.dir("lun"))?.into_iter().map(|index| {
        let lun = tpg.dir("lun").dir(format!("lun_{index}"));
        let alias = first_link(&lun)?;
        let target = lun.read_link(&alias)?.unwrap_or_default();
        Ok(Lun { index, alias, backstore: last_two(&target).unwrap_or_default() })
    });
    luns.collect()
}

/// The numbers of the directories `lun_N`.
fn numbered(dir: &Dir) -> Result<Vec<u64>> {
    Ok(dir.dirs()?.iter().filter_map(|name| name.strip_prefix("lun_")?.parse().ok()).collect())
}

fn first_link(dir: &Dir) -> Result<String> {
    Ok(dir.links()?.into_iter().next().unwrap_or_default())
}

/// HBA and name at the end of a link's target.
fn last_two(target: &Path) -> Option<(String, String)> {
    let name = target.file_name()?.to_str()?;
    let hba = target.parent()?.file_name()?.to_str()?;
    Some((hba.to_owned(), name.to_owned()))
}
