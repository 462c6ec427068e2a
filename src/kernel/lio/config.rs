//! A LIO configuration as typed data: what a `saveconfig.json` says, checked. [`super::saveconfig`] reads it, the agent builds it.

use std::fmt;
use std::path::PathBuf;

use super::names::{IscsiName, PortalAddress, Secret};

/// Everything the file describes that concerns iSCSI.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The backstores, in the order of the file.
    pub backstores: Vec<Backstore>,
    /// The iSCSI targets, in the order of the file.
    pub targets: Vec<Target>,
    /// Discovery authentication, when the file enables it.
    pub discovery: Option<Chap>,
}

/// What a backstore stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A block device, by the kernel's iblock.
    Block {
        /// The device.
        dev: PathBuf,
        /// Write-protected for every initiator.
        readonly: bool,
        /// Whether the kernel claims the device for itself alone (Linux 6.17 lets one say no).
        exclusive: Option<bool>,
    },
    /// A file (or a block device through the page cache).
    Fileio {
        /// The file.
        dev: PathBuf,
        /// Its size in bytes; `None` only for block devices.
        size: Option<u64>,
        /// Acknowledges writes before they are on disk.
        write_back: bool,
        /// Asynchronous I/O.
        aio: bool,
    },
    /// Memory.
    Ramdisk {
        /// Bytes.
        size: u64,
        /// Throws everything away.
        nullio: bool,
    },
    /// A SCSI device passed through.
    Pscsi {
        /// The device.
        dev: PathBuf,
    },
}

impl Kind {
    /// The prefix of the directory below `core/`.
    #[must_use]
    pub fn hba(&self) -> &'static str {
        match self {
            Self::Block { .. } => "iblock",
            Self::Fileio { .. } => "fileio",
            Self::Ramdisk { .. } => "rd_mcp",
            Self::Pscsi { .. } => "pscsi",
        }
    }

    /// Device or file, if it has one.
    #[must_use]
    pub fn dev(&self) -> Option<&PathBuf> {
        match self {
            Self::Block { dev, .. } | Self::Fileio { dev, .. } | Self::Pscsi { dev } => Some(dev),
            Self::Ramdisk { .. } => None,
        }
    }
}

/// A plugin's short name in the file and the name of the object: what a LUN refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackstoreName {
    /// The prefix below `core/`: iblock, fileio, `rd_mcp`, pscsi.
    pub hba: String,
    /// The object's name.
    pub name: String,
}

impl fmt::Display for BackstoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hba, self.name)
    }
}

/// A storage object.
#[derive(Debug, Clone)]
pub struct Backstore {
    /// Its name below the HBA.
    pub name: String,
    /// What it stands on.
    pub kind: Kind,
    /// The unit serial number: the identity that initiators know the disk by. Absent only for pscsi.
    pub wwn: Option<String>,
    /// `attrib/*`, in the order of the file.
    pub attributes: Vec<(String, String)>,
    /// Its ALUA groups but the default one.
    pub alua: Vec<AluaGroup>,
}

impl Backstore {
    /// What LUNs call it.
    #[must_use]
    pub fn id(&self) -> BackstoreName {
        BackstoreName { hba: self.kind.hba().to_owned(), name: self.name.clone() }
    }
}

/// A target port group of a backstore.
#[derive(Debug, Clone)]
pub struct AluaGroup {
    /// Its name.
    pub name: String,
    /// `tg_pt_gp_id`, 1 to 65535.
    pub id: u16,
    /// The other attributes, in the order in which the kernel takes them.
    pub attributes: Vec<(String, String)>,
}

/// The four values of CHAP. Empty ones are unset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chap {
    /// The initiator's name.
    pub userid: Secret,
    /// The initiator's password.
    pub password: Secret,
    /// The target's name.
    pub userid_mutual: Secret,
    /// The target's password.
    pub password_mutual: Secret,
}

impl Chap {
    /// File name and value of each that is set.
    pub fn set(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        self.all().into_iter().filter(|(_, secret)| !secret.is_empty())
    }

    /// File name and value of all four.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &Secret); 4] {
        [
            ("userid", &self.userid),
            ("password", &self.password),
            ("userid_mutual", &self.userid_mutual),
            ("password_mutual", &self.password_mutual),
        ]
    }
}

/// An iSCSI target.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub iqn: IscsiName,
    /// Its portal groups.
    pub tpgs: Vec<Tpg>,
}

/// A target portal group.
#[derive(Debug, Clone)]
pub struct Tpg {
    /// `tpgt_N`.
    pub tag: u16,
    /// The relative target port identifier that initiators see: its place among all portal groups of the file by name, so that it is the
    /// same on every node, however the file is ordered.
    pub rtpi: u16,
    /// Whether initiators may see it.
    pub enable: bool,
    /// `attrib/*`.
    pub attributes: Vec<(String, String)>,
    /// `param/*`.
    pub parameters: Vec<(String, String)>,
    /// CHAP for initiators without an ACL of their own.
    pub chap: Chap,
    /// What it exports.
    pub luns: Vec<Lun>,
    /// Where it listens.
    pub portals: Vec<Portal>,
    /// Who may see what.
    pub acls: Vec<NodeAcl>,
}

/// A LUN of a portal group.
#[derive(Debug, Clone)]
pub struct Lun {
    /// `lun_N`.
    pub index: u64,
    /// What it exports.
    pub backstore: BackstoreName,
    /// The name of the symbolic link.
    pub alias: String,
    /// Its ALUA group, when not the default one.
    pub alua_group: Option<String>,
}

/// A network portal.
#[derive(Debug, Clone)]
pub struct Portal {
    /// Where it listens.
    pub address: PortalAddress,
    /// iSCSI extensions for RDMA.
    pub iser: bool,
    /// Chelsio's cxgbit.
    pub offload: bool,
}

/// What one initiator may see.
#[derive(Debug, Clone)]
pub struct NodeAcl {
    /// The initiator.
    pub initiator: IscsiName,
    /// `attrib/*`.
    pub attributes: Vec<(String, String)>,
    /// Its CHAP values.
    pub chap: Chap,
    /// Its tag, at most 63 bytes.
    pub tag: Option<String>,
    /// Its view of the LUNs.
    pub mapped: Vec<MappedLun>,
}

/// One LUN as one initiator sees it.
#[derive(Debug, Clone)]
pub struct MappedLun {
    /// The number that the initiator sees.
    pub index: u64,
    /// The LUN of the portal group.
    pub tpg_lun: u64,
    /// Whether this initiator may only read.
    pub write_protect: bool,
    /// The name of the symbolic link.
    pub alias: String,
}
