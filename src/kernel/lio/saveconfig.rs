//! Reads targetcli's `saveconfig.json`, of every age since 2.1.fb41 (2013). Reads only: what it means is in [`super::config`], what does
//! not fit together is found by [`super::rules`]. Keys, ages and defaults are those of rtslib-fb (tcm.py, target.py, alua.py, fabric.py).

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use serde_json::Value;

use super::config::{AluaGroup, Backstore, BackstoreName, Chap, Config, Kind, Lun, MappedLun, NodeAcl, Portal, Target, Tpg};
use super::json::{At, ConfigError, Result};
use super::names::{IscsiName, PortalAddress, Secret};
use super::rules;
use crate::kernel::attr::Root;
use crate::kernel::error as kernel_error;
use crate::kernel::error::KernelError;

/// More than any configuration: 65,536 mapped LUNs take some 20 MiB.
const SIZE_MAX: u64 = 64 << 20;

/// Where targetcli keeps its file: upstream and Fedora, then Debian and Ubuntu.
pub const DEFAULT_PATHS: [&str; 2] = ["/etc/target/saveconfig.json", "/etc/rtslib-fb-target/saveconfig.json"];

/// The order in which the kernel takes the attributes of an ALUA group: an access state must be supported before it is set.
const ALUA_ORDER: [&str; 13] = [
    "alua_access_type",
    "alua_support_active_optimized",
    "alua_support_active_nonoptimized",
    "alua_support_standby",
    "alua_support_unavailable",
    "alua_support_offline",
    "alua_support_transitioning",
    "nonop_delay_msecs",
    "trans_delay_msecs",
    "implicit_trans_secs",
    "preferred",
    "alua_write_metadata",
    "alua_access_state",
];

/// Reads the text of `file` and checks that it fits together.
///
/// # Errors
/// The first complaint, with the file and the key.
pub fn parse(file: &Path, text: &str) -> Result<Config> {
    let value: Value = serde_json::from_str(text).map_err(|e| {
        let at = format!("line {} column {}", e.line(), e.column());
        let why = if e.is_eof() { "the file ends too early" } else { "not valid JSON" };
        ConfigError { file: file.to_owned(), key: at, why: why.to_owned() }
    })?;
    let top = At::top(&value, file);
    if !value.is_object() {
        return Err(ConfigError::file(file, "not an object"));
    }
    let backstores = top.list("storage_objects", backstore)?;
    let mut targets: Vec<Target> = top.list("targets", target)?.into_iter().flatten().collect();
    number_ports(&mut targets);
    let discovery = top.list("fabric_modules", discovery)?.into_iter().flatten().next();
    let config = Config { backstores, targets, discovery };
    rules::check(&config).map_err(|(key, why)| ConfigError { file: file.to_owned(), key, why })?;
    Ok(config)
}

fn number_ports(targets: &mut [Target]) {
    let mut names: Vec<(IscsiName, u16)> = Vec::new();
    names.extend(targets.iter().flat_map(|t| t.tpgs.iter().map(|g| (t.iqn.clone(), g.tag))));
    names.sort();
    for target in targets {
        for tpg in &mut target.tpgs {
            let place = names.iter().position(|(iqn, tag)| *iqn == target.iqn && *tag == tpg.tag).unwrap_or_default();
            tpg.rtpi = u16::try_from(place + 1).unwrap_or(u16::MAX);
        }
    }
}

fn backstore(at: &At) -> Result<Backstore> {
    let name = plain_name(&at.req("name")?)?;
    let plugin = at.req("plugin")?;
    let dev = || at.req("dev").and_then(|d| absolute(&d));
    let flag = |key, default| at.opt(key)?.map_or(Ok(default), |v| v.truth());
    let size = |key| at.req(key)?.number(u64::MAX);
    let kind = match plugin.text()? {
        "block" | "iblock" => Kind::Block {
            dev: dev()?,
            readonly: flag("readonly", false)?,
            exclusive: at.opt("exclusive")?.map(|v| v.truth()).transpose()?,
        },
        "fileio" => Kind::Fileio {
            dev: dev()?,
            size: at.opt("size")?.map(|v| v.number(u64::MAX)).transpose()?,
            write_back: flag("write_back", true)?,
            aio: flag("aio", false)?,
        },
        "ramdisk" | "rd_mcp" => Kind::Ramdisk { size: size("size")?, nullio: flag("nullio", false)? },
        "pscsi" => Kind::Pscsi { dev: dev()? },
        "user" => return Err(plugin.error("user backstores (tcmu-runner) can not be made safe for a cluster; use block")),
        _ => return Err(plugin.error("none of block, fileio, ramdisk, pscsi")),
    };
    let wwn = at.opt("wwn")?.map(|v| serial(&v)).transpose()?;
    if wwn.is_none() && !matches!(kind, Kind::Pscsi { .. }) {
        return Err(at.error_at("wwn", "missing; a random one differs from node to node"));
    }
    let alua = at.list("alua_tpgs", alua_group)?.into_iter().flatten().collect();
    Ok(Backstore { name, kind, wwn, attributes: attributes(at, "attributes")?, alua })
}

/// The default group is always in the file and never restored.
fn alua_group(at: &At) -> Result<Option<AluaGroup>> {
    let name = plain_name(&at.req("name")?)?;
    if name == "default_tg_pt_gp" {
        return Ok(None);
    }
    let id = at.req("tg_pt_gp_id")?.number(u64::from(u16::MAX))?;
    let id = u16::try_from(id).map_err(|e| at.error_at("tg_pt_gp_id", e))?;
    let mut attributes = Vec::new();
    for key in ALUA_ORDER {
        if let Some(value) = at.opt(key)? {
            attributes.push((key.to_owned(), value.number(u64::from(u32::MAX))?.to_string()));
        }
    }
    Ok(Some(AluaGroup { name, id, attributes }))
}

/// Other fabrics (loopback, vhost…) are none of our business.
fn target(at: &At) -> Result<Option<Target>> {
    if at.req("fabric")?.text()? != "iscsi" {
        return Ok(None);
    }
    let wwn = at.req("wwn")?;
    let iqn = iscsi_name(&wwn)?;
    Ok(Some(Target { iqn, tpgs: at.list("tpgs", tpg)? }))
}

fn tpg(at: &At) -> Result<Tpg> {
    let tag = at.opt("tag")?.map_or(Ok(1), |v| v.number(u64::from(u16::MAX)))?;
    Ok(Tpg {
        tag: u16::try_from(tag).map_err(|e| at.error_at("tag", e))?,
        rtpi: 0,
        enable: at.opt("enable")?.map_or(Ok(true), |v| v.truth())?,
        attributes: attributes(at, "attributes")?,
        parameters: attributes(at, "parameters")?,
        chap: chap(at, "chap_")?,
        luns: at.list("luns", lun)?,
        portals: at.list("portals", portal)?,
        acls: at.list("node_acls", node_acl)?,
    })
}

fn lun(at: &At) -> Result<Lun> {
    let index = at.req("index")?.number(65535)?;
    let path = at.req("storage_object")?;
    let backstore = path
        .text()?
        .strip_prefix("/backstores/")
        .and_then(|rest| rest.split_once('/'))
        .and_then(|(plugin, name)| Some(BackstoreName { hba: hba_of(plugin)?.to_owned(), name: name.to_owned() }))
        .ok_or_else(|| path.error("not /backstores/PLUGIN/NAME"))?;
    let alias = at.opt("alias")?.map_or_else(|| Ok(format!("lun_{index}")), |v| plain_name(&v))?;
    let alua_group = at.opt("alua_tg_pt_gp_name")?.map(|v| plain_name(&v)).transpose()?;
    Ok(Lun { index, backstore, alias, alua_group: alua_group.filter(|g| g != "default_tg_pt_gp") })
}

fn portal(at: &At) -> Result<Portal> {
    let port = at.req("port")?.number(u64::from(u16::MAX))?;
    let ip = at.req("ip_address")?;
    let port = u16::try_from(port).map_err(|e| at.error_at("port", e))?;
    let address = PortalAddress::parse(ip.text()?, port).map_err(|why| ip.error(why))?;
    let flag = |key| at.opt(key)?.map_or(Ok(false), |v| v.truth());
    Ok(Portal { address, iser: flag("iser")?, offload: flag("offload")? })
}

fn node_acl(at: &At) -> Result<NodeAcl> {
    let tag = match at.opt("tag")? {
        Some(tag) if tag.text()?.len() > 63 => return Err(tag.error("longer than 63 bytes")),
        Some(tag) => Some(tag.scalar()?).filter(|t| !t.is_empty()),
        None => None,
    };
    Ok(NodeAcl {
        initiator: iscsi_name(&at.req("node_wwn")?)?,
        attributes: attributes(at, "attributes")?,
        chap: chap(at, "chap_")?,
        tag,
        mapped: at.list("mapped_luns", mapped_lun)?,
    })
}

fn mapped_lun(at: &At) -> Result<MappedLun> {
    let index = at.req("index")?.number(65535)?;
    Ok(MappedLun {
        index,
        tpg_lun: at.req("tpg_lun")?.number(65535)?,
        write_protect: at.opt("write_protect")?.map_or(Ok(false), |v| v.truth())?,
        alias: at.opt("alias")?.map_or_else(|| Ok(format!("lun_{index}")), |v| plain_name(&v))?,
    })
}

fn discovery(at: &At) -> Result<Option<Chap>> {
    let enabled = at.opt("discovery_enable_auth")?.map_or(Ok(false), |v| v.truth())?;
    if at.req("name")?.text()? != "iscsi" || !enabled { Ok(None) } else { chap(at, "discovery_").map(Some) }
}

fn chap(at: &At, prefix: &str) -> Result<Chap> {
    let secret = |name: &str| -> Result<Secret> {
        let key = format!("{prefix}{name}");
        let Some(value) = at.opt(&key)? else { return Ok(Secret::default()) };
        Secret::parse(value.text()?).map_err(|why| value.error(why))
    };
    Ok(Chap {
        userid: secret("userid")?,
        password: secret("password")?,
        userid_mutual: secret("mutual_userid")?,
        password_mutual: secret("mutual_password")?,
    })
}

fn attributes(at: &At, key: &str) -> Result<Vec<(String, String)>> {
    let Some(map) = at.opt(key)? else { return Ok(Vec::new()) };
    map.object()?
        .map(|(name, value)| {
            if name.is_empty() || name.contains('/') || name.starts_with('.') {
                return Err(value.error("no attribute has such a name"));
            }
            Ok((name.to_owned(), value.scalar()?))
        })
        .collect()
}

fn hba_of(plugin: &str) -> Option<&'static str> {
    match plugin {
        "block" | "iblock" => Some("iblock"),
        "fileio" => Some("fileio"),
        "ramdisk" | "rd_mcp" => Some("rd_mcp"),
        "pscsi" => Some("pscsi"),
        _ => None,
    }
}

fn iscsi_name(at: &At) -> Result<IscsiName> {
    IscsiName::parse(at.text()?).map_err(|why| at.error(why))
}

/// A name that is one directory entry.
fn plain_name(at: &At) -> Result<String> {
    let name = at.text()?;
    if name.len() > 255 {
        return Err(at.error(format_args!("{} characters, at most 255", name.len())));
    }
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\n', '\0']) {
        return Err(at.error("not a name for a directory entry"));
    }
    Ok(name.to_owned())
}

/// The kernel has 254 bytes for the serial, and the write ends with a newline (`INQUIRY_VPD_SERIAL_LEN`, `target_core_configfs.c`).
fn serial(at: &At) -> Result<String> {
    let text = at.text()?;
    if text.is_empty() || text.len() > 252 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(at.error("not 1 to 252 printable characters without blanks"));
    }
    Ok(text.to_owned())
}

/// The kernel's limit for `udev_path` is 512 bytes, and its `control` file splits at commas and blanks.
fn absolute(at: &At) -> Result<std::path::PathBuf> {
    let text = at.text()?;
    if !text.starts_with('/') || text.len() > 500 || text.contains([',', ' ', '\n', '\t', '\0']) {
        return Err(at.error("not an absolute path of at most 500 characters without commas and blanks"));
    }
    Ok(text.into())
}

/// Reads the file, which holds secrets in clear: unless `allow_readable` it must belong to root (or to the caller) and be closed to others.
///
/// # Errors
/// Whatever `open` or `read` says; `InvalidInput` without an error number when it is no plain file, too large, or open to others.
pub fn read_private(root: &Root, file: &Path, allow_readable: bool) -> kernel_error::Result<String> {
    let refused = |why: String| KernelError::new("use", file, io::Error::new(io::ErrorKind::InvalidInput, why));
    let failed = |e| KernelError::new("read", file, e);
    let path = root.path(file);
    let mut opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    let meta = opened.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(refused("not a plain file".to_owned()));
    }
    if meta.len() > SIZE_MAX {
        return Err(refused(format!("larger than {} MiB", SIZE_MAX >> 20)));
    }
    let mine = meta.uid() == 0 || meta.uid() == nix::unistd::geteuid().as_raw();
    if !allow_readable && !mine {
        return Err(refused("does not belong to root; chown it, or set allow_readable_config".to_owned()));
    }
    if !allow_readable && meta.mode() & 0o077 != 0 {
        let mode = meta.mode() & 0o777;
        return Err(refused(format!("mode {mode:04o} is open to others; chmod 600, or set allow_readable_config")));
    }
    let mut text = String::new();
    opened.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
