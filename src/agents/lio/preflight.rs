//! Everything that can be known to go wrong, found before anything is touched.

use std::net::IpAddr;

use super::own::{Claims, is_same};
use crate::kernel::attr::Root;
use crate::kernel::block::BlockDevice;
use crate::kernel::dm::{DeviceMapper, Which};
use crate::kernel::error::KernelError;
use crate::kernel::lio::config::{Backstore, Config, Kind};
use crate::kernel::lio::names::PortalAddress;
use crate::kernel::lio::{Lio, fabric, storage};
use crate::kernel::listen;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// systemd units that build or clear targets behind Pacemaker's back, when something wants them at boot.
const UNITS: [&str; 3] = ["target.service", "rtslib-fb-targetctl.service", "targetclid.service"];

/// Checks the configuration against this machine. Touches nothing.
///
/// # Errors
/// The first thing that start would stumble over.
pub fn check(cx: &Context, lio: &Lio, config: &Config) -> Result<(), OcfError> {
    warn_about_units(cx.root);
    for so in &config.backstores {
        device(cx.root, so)?;
    }
    let claims = Claims::of_others(cx, lio)?;
    for target in &config.targets {
        if let Some(other) = claims.owner(target.iqn.as_str()) {
            return Err(OcfError::new(Code::Generic, format_args!("{} is run by resource {other}", target.iqn)));
        }
    }
    backstores(lio, config)?;
    portals(cx.root, lio, config)?;
    discovery(lio, config)
}

/// Says which units would interfere, and how to stop them.
fn warn_about_units(root: &Root) {
    for wants in ["multi-user.target.wants", "remote-fs-pre.target.wants", "sockets.target.wants"] {
        for unit in UNITS {
            let link = root.dir("/etc/systemd/system").dir(wants).dir(unit);
            if link.exists().unwrap_or(false) {
                tracing::warn!(
                    "{unit} is enabled at boot and would change targets behind Pacemaker: systemctl disable {unit} \
                     (not --now: stopping it clears all targets)"
                );
            }
        }
    }
}

/// The device or file is there and is what the configuration says.
fn device(root: &Root, so: &Backstore) -> Result<(), OcfError> {
    if matches!(so.kind, Kind::Fileio { write_back: true, .. }) {
        tracing::warn!("backstore {}: write_back acknowledges writes that a fail-over loses; set it to false", so.name);
    }
    let wrong = |why: String| Err(OcfError::new(Code::Args, format_args!("backstore {}: {why}", so.name)));
    let absent = |e: &KernelError| {
        let why = e.source.to_string();
        format!("{}: {}", e.path.display(), why.split(" (os").next().unwrap_or_default().to_lowercase())
    };
    match &so.kind {
        Kind::Block { dev, readonly, .. } => {
            let device = match BlockDevice::of(root, dev) {
                Ok(device) => device,
                Err(e) if e.errno() == Some(libc::ENOTBLK) => return wrong(format!("{} is no block device", dev.display())),
                Err(e) => return wrong(absent(&e)),
            };
            if !readonly && device.is_read_only().unwrap_or(false) {
                return wrong(format!("{} is read-only", dev.display()));
            }
            if fails_all_io(root, &device) {
                return wrong(format!("{} fails all I/O (table of errors): restart what is below, too", dev.display()));
            }
            Ok(())
        }
        Kind::Fileio { dev, size, .. } => match (BlockDevice::of(root, dev), size) {
            (Ok(_), _) => Ok(()),
            (Err(e), _) if e.errno() != Some(libc::ENOTBLK) => wrong(absent(&e)),
            (Err(_), None) => wrong(format!("{}: a file needs a size", dev.display())),
            (Err(_), Some(size)) => match root.dir(dev).file_size() {
                Ok(Some(actual)) if actual >= *size => Ok(()),
                Ok(Some(actual)) => wrong(format!("{} has {actual} bytes, {size} are configured", dev.display())),
                Ok(None) => wrong(format!("{} is no plain file", dev.display())),
                Err(e) => wrong(absent(&e)),
            },
        },
        Kind::Pscsi { dev } => match root.dir(dev).exists() {
            Ok(true) => Ok(()),
            Ok(false) => wrong(format!("{}: no such file or directory", dev.display())),
            Err(e) => wrong(absent(&e)),
        },
        Kind::Ramdisk { .. } => Ok(()),
    }
}

/// Whether it is a device-mapper device with nothing but errors in its table, as `fail_backend` leaves it.
fn fails_all_io(root: &Root, device: &BlockDevice) -> bool {
    if !device.is_dm().unwrap_or(false) {
        return false;
    }
    let table = || DeviceMapper::open(root).ok()??.table(Which::Number(device.major(), device.minor())).ok()?;
    table().is_some_and(|lines| !lines.is_empty() && lines.iter().all(|line| line.kind == "error"))
}

/// No name and no device is in foreign hands.
fn backstores(lio: &Lio, config: &Config) -> Result<(), OcfError> {
    let conflict = |why: String| Err(OcfError::new(Code::Generic, why));
    let device = |dev: &str| BlockDevice::of(lio.root(), dev).ok().map(|d| (d.major(), d.minor()));
    for found in storage::all(lio)? {
        for so in &config.backstores {
            if is_same(&found, so) {
                continue;
            }
            let place = format!("{}/{}", found.hba, found.name);
            let same_plugin = found.hba.rsplit_once('_').is_some_and(|(plugin, _)| plugin == so.kind.hba());
            if same_plugin && found.name == so.name {
                return conflict(format!("backstore {place} is there with another device, {}", found.dev));
            }
            let Some(dev) = so.kind.dev().and_then(|d| d.to_str()) else { continue };
            if found.dev == dev || device(dev).is_some() && device(dev) == device(&found.dev) {
                return conflict(format!("{dev} is in use by backstore {place}"));
            }
        }
    }
    Ok(())
}

/// Every portal can be bound: nothing but LIO itself listens there, and no wildcard stands against an address.
fn portals(root: &Root, lio: &Lio, config: &Config) -> Result<(), OcfError> {
    let taken = |address: &PortalAddress, by: &dyn std::fmt::Display| {
        Err(OcfError::new(Code::Generic, format_args!("portal {address} is taken by {by}")))
    };
    let live = lio_portals(lio)?;
    let listening = listen::listening(root)?;
    let ours: Vec<_> = config.targets.iter().flat_map(|t| &t.tpgs).flat_map(|g| &g.portals).map(|p| &p.address).collect();
    for (index, address) in ours.iter().enumerate() {
        if let Some(other) = ours[..index].iter().find(|o| **o != *address && o.collides(address)) {
            return taken(address, other);
        }
        if live.iter().any(|l| l == *address) {
            // LIO listens there already and lets several targets share the socket.
            continue;
        }
        if let Some(other) = live.iter().find(|l| l.collides(address)) {
            return taken(address, &format_args!("LIO's {other}"));
        }
        let socket = |(ip, port): &&(IpAddr, u16)| PortalAddress { ip: *ip, scope: None, port: *port }.collides(address);
        if let Some((ip, port)) = listening.iter().find(socket) {
            return taken(address, &format_args!("another program on {ip} port {port}"));
        }
    }
    Ok(())
}

/// Every portal that LIO has now.
fn lio_portals(lio: &Lio) -> Result<Vec<PortalAddress>, OcfError> {
    let mut portals = Vec::new();
    for iqn in lio.iscsi().dirs()? {
        for tpg in lio.target(&iqn).dirs()?.into_iter().filter(|d| d.starts_with("tpgt_")) {
            let names = lio.target(&iqn).dir(tpg).dir("np").dirs()?;
            portals.extend(names.iter().filter_map(|n| PortalAddress::from_dir_name(n)));
        }
    }
    Ok(portals)
}

/// Discovery authentication is one for the machine: not changed under somebody else's targets.
fn discovery(lio: &Lio, config: &Config) -> Result<(), OcfError> {
    let Some(chap) = &config.discovery else { return Ok(()) };
    let foreign = foreign_target(lio, config)?;
    match (fabric::discovery_is(lio, chap)?, foreign) {
        (Some(false) | None, Some(iqn)) => {
            Err(OcfError::new(Code::Generic, format_args!("fabric_modules: discovery authentication would change for {iqn}")))
        }
        _ => Ok(()),
    }
}

/// A target that is there and that the configuration does not name.
fn foreign_target(lio: &Lio, config: &Config) -> Result<Option<String>, OcfError> {
    let is_target = |name: &String| *name != "discovery_auth" && !config.targets.iter().any(|t| t.iqn.as_str() == name.as_str());
    Ok(lio.iscsi().dirs()?.into_iter().find(is_target))
}
