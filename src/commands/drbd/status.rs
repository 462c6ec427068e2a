//! `ocf-san drbd status`: the resources of this node as a tree, or as JSON with the keys of `drbdsetup status --json`, on 8.4 as well.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::volumes::{need_root, resource_arg};
use crate::commands::put;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::drbd::Drbd;
use crate::kernel::drbd::model::{Connection, ConnectionState, Device, PeerDevice, Replication, Resource};

const LIMIT: Duration = Duration::from_secs(20);

/// What drbdsetup prints for "no telling".
const NO_ETA: u64 = 987_654_321;

/// Its command line.
#[must_use]
pub fn command() -> Command {
    Command::new("status")
        .about("Shows the resources of this node, without waiting for DRBD")
        .arg(resource_arg().required(false))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("With the keys of drbdsetup status --json"))
}

/// Shows one resource or all.
///
/// # Errors
/// There is no such resource, or its state can not be told.
pub fn run(root: &Root, matches: &ArgMatches) -> Result<u8> {
    let name = matches.get_one::<String>("RESOURCE");
    let is_json = matches.get_flag("json");
    let deadline = Deadline::after(LIMIT);
    let Some(drbd) = Drbd::open(root)? else {
        anyhow::ensure!(name.is_none(), "the DRBD module is not loaded: modprobe drbd");
        put(if is_json { "[]\n" } else { "the DRBD module is not loaded\n" })?;
        return Ok(0);
    };
    if !drbd.is_84() {
        need_root(root)?;
    }
    let all = match name {
        Some(name) => {
            let found = drbd.resource(name, &[], deadline)?;
            vec![found.with_context(|| format!("the kernel has no resource {name}: it is down, or not configured"))?]
        }
        None => drbd.resources(deadline)?,
    };
    let text = if is_json { format!("{:#}\n", Value::from(all.iter().map(value).collect::<Vec<_>>())) } else { tree(&all) };
    put(&text)?;
    Ok(0)
}

/// For people.
#[must_use]
pub fn tree(all: &[Resource]) -> String {
    let mut out = String::new();
    for resource in all {
        // Writing to a String does not fail.
        let _ = one(&mut out, resource);
    }
    if out.is_empty() { "no resource is configured in the kernel\n".to_owned() } else { out }
}

fn one(out: &mut String, resource: &Resource) -> std::fmt::Result {
    write!(out, "{} role:{}", resource.name, word(resource.role))?;
    if resource.suspended.is_any() {
        write!(out, " I/O SUSPENDED:{}", resource.suspended)?;
    }
    out.push('\n');
    let last = resource.devices.len() + resource.connections.len();
    let branch = |at: usize| if at + 1 == last { ("└─", "  ") } else { ("├─", "│ ") };
    for (at, device) in resource.devices.iter().enumerate() {
        let size = device.size.map(|kib| format!(" {}", size(kib))).unwrap_or_default();
        let other = device.role.filter(|_| device.role != resource.role);
        let role = other.map(|role| format!(" role:{role}")).unwrap_or_default();
        writeln!(out, "{} volume:{} minor:{}{role} disk:{}{size}", branch(at).0, device.volume, device.minor, word(device.disk))?;
    }
    for (at, connection) in resource.connections.iter().enumerate() {
        let (fork, line) = branch(resource.devices.len() + at);
        let peer = connection.peer.as_deref().unwrap_or("peer");
        writeln!(out, "{fork} {peer} connection:{} role:{}", word(connection.state), word(connection.peer_role))?;
        for (at, device) in connection.peer_devices.iter().enumerate() {
            let fork = if at + 1 == connection.peer_devices.len() { "└─" } else { "├─" };
            writeln!(out, "{line} {fork} volume:{}{}", device.volume, peer_device(device))?;
        }
    }
    Ok(())
}

fn word(state: Option<impl std::fmt::Display>) -> String {
    state.map_or_else(|| "?".to_owned(), |state| state.to_string())
}

/// The peer's side of a volume: how it replicates, how far it is, what differs.
#[must_use]
pub fn peer_device(device: &PeerDevice) -> String {
    let mut out = format!(" replication:{} disk:{}", word(device.replication), word(device.disk));
    if let Some(progress) = device.progress {
        // Writing to a String does not fail.
        let _ = match progress.permille {
            Some(permille) => write!(out, " {}.{}%", permille / 10, permille % 10),
            None => Ok(()),
        };
        out.push_str(&progress.left.map(|left| format!(" {} left", clock(left))).unwrap_or_default());
        out.push_str(if progress.is_stalled { " stalled" } else { "" });
    }
    if !device.paused_by.is_empty() {
        let _ = write!(out, " paused by {}", device.paused_by.join(","));
    }
    if device.out_of_sync.is_some_and(|kib| kib > 0) {
        let _ = write!(out, " out-of-sync:{}", size(device.out_of_sync.unwrap_or(0)));
    }
    out
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// So many KiB, in a unit that leaves few digits.
#[must_use]
pub fn size(kib: u64) -> String {
    let units = [("TiB", 30), ("GiB", 20), ("MiB", 10)];
    let unit = units.into_iter().find(|(_, shift)| kib >= 10 << shift);
    unit.map_or_else(|| format!("{kib} KiB"), |(name, shift)| format!("{} {name}", kib >> shift))
}

/// Only what is told.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn text(state: Option<impl std::fmt::Display>) -> Option<Value> {
    state.map(|state| state.to_string().into())
}

fn value(resource: &Resource) -> Value {
    let suspended = resource.suspended;
    let told = |is: bool| (!suspended.untold).then(|| is.into());
    Value::Object(object([
        ("name", Some(resource.name.as_str().into())),
        ("role", text(resource.role)),
        ("suspended", Some(suspended.is_any().into())),
        ("suspended-user", told(suspended.user)),
        ("suspended-no-data", told(suspended.no_data)),
        ("suspended-fencing", told(suspended.fencing)),
        ("suspended-quorum", told(suspended.quorum)),
        ("force-io-failures", resource.fails_io.map(Value::from)),
        ("devices", Some(resource.devices.iter().map(device_value).collect())),
        ("connections", Some(resource.connections.iter().map(connection_value).collect())),
    ]))
}

fn device_value(device: &Device) -> Value {
    Value::Object(object([
        ("volume", Some(device.volume.into())),
        ("minor", Some(device.minor.into())),
        ("role", text(device.role)),
        ("disk-state", text(device.disk)),
        ("client", device.is_client.map(Value::from)),
        ("open", device.is_open.map(Value::from)),
        ("quorum", device.has_quorum.map(Value::from)),
        ("size", device.size.map(Value::from)),
        ("read", device.read.map(Value::from)),
        ("written", device.written.map(Value::from)),
        ("upper-pending", device.pending.map(Value::from)),
        ("al-suspended", device.is_al_suspended.map(Value::from)),
        ("backing-dev", text(device.backing.as_ref())),
    ]))
}

fn connection_value(connection: &Connection) -> Value {
    Value::Object(object([
        ("peer-node-id", connection.peer_node_id.map(Value::from)),
        ("name", text(connection.peer.as_ref())),
        ("connection-state", text(connection.state)),
        ("congested", connection.is_congested.map(Value::from)),
        ("peer-role", text(connection.peer_role)),
        ("peer_devices", Some(connection.peer_devices.iter().map(|device| peer_value(connection, device)).collect())),
    ]))
}

fn peer_value(connection: &Connection, device: &PeerDevice) -> Value {
    let is_off = connection.state != Some(ConnectionState::Connected);
    let replication = device.replication.or(is_off.then_some(Replication::Off));
    let progress = device.progress;
    let percent = |progress: crate::kernel::drbd::model::Progress| Some(json!(f64::from(progress.permille?) / 10.0));
    let is_verify = matches!(replication, Some(Replication::VerifyS | Replication::VerifyT));
    let paused = if device.paused_by.is_empty() { "no".to_owned() } else { device.paused_by.join(",") };
    Value::Object(object([
        ("volume", Some(device.volume.into())),
        ("replication-state", text(replication)),
        ("peer-disk-state", text(device.disk)),
        ("peer-client", device.is_client.map(Value::from)),
        ("resync-suspended", Some(paused.into())),
        ("received", device.received.map(Value::from)),
        ("sent", device.sent.map(Value::from)),
        ("out-of-sync", device.out_of_sync.map(Value::from)),
        ("has-sync-details", Some((progress.is_some() && !is_verify).into())),
        ("has-online-verify-details", Some((progress.is_some() && is_verify).into())),
        ("percent-resync-done", progress.filter(|_| !is_verify).and_then(percent)),
        ("estimated-seconds-to-finish", progress.map(|progress| progress.left.map_or(NO_ETA, |left| left.as_secs()).into())),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::drbd::model::{DiskState, Progress, Role, Suspension};

    fn resource() -> Resource {
        let device = |volume: u32| Device {
            volume,
            minor: 10 + volume,
            disk: Some(DiskState::Inconsistent),
            size: Some(163_796),
            ..Device::default()
        };
        let progress = Progress { permille: Some(421), left: Some(Duration::from_secs(125)), ..Progress::default() };
        let syncing = PeerDevice {
            volume: 0,
            replication: Some(Replication::SyncTarget),
            disk: Some(DiskState::UpToDate),
            out_of_sync: Some(20_000),
            progress: Some(progress),
            ..PeerDevice::default()
        };
        let quiet = PeerDevice {
            volume: 1,
            replication: Some(Replication::Established),
            disk: Some(DiskState::UpToDate),
            out_of_sync: Some(0),
            ..PeerDevice::default()
        };
        Resource {
            name: "r0".into(),
            role: Some(Role::Secondary),
            devices: vec![device(0), device(1)],
            connections: vec![Connection {
                state: Some(ConnectionState::Connected),
                peer_role: Some(Role::Primary),
                peer_devices: vec![syncing, quiet],
                ..Connection::default()
            }],
            ..Resource::default()
        }
    }

    #[test]
    fn a_resource_is_a_tree() {
        assert_eq!(
            tree(&[resource()]),
            "r0 role:Secondary\n\
             ├─ volume:0 minor:10 disk:Inconsistent 159 MiB\n\
             ├─ volume:1 minor:11 disk:Inconsistent 159 MiB\n\
             └─ peer connection:Connected role:Primary\n\
             \x20  ├─ volume:0 replication:SyncTarget disk:UpToDate 42.1% 0:02:05 left out-of-sync:19 MiB\n\
             \x20  └─ volume:1 replication:Established disk:UpToDate\n"
        );
        assert_eq!(tree(&[]), "no resource is configured in the kernel\n");
        let frozen = Resource { suspended: Suspension { fencing: true, ..Suspension::default() }, ..resource() };
        assert!(tree(&[frozen]).starts_with("r0 role:Secondary I/O SUSPENDED:fencing\n"));
    }

    #[test]
    fn what_is_not_told_is_no_key_and_the_keys_are_those_of_drbdsetup() {
        let value = value(&resource());
        assert_eq!(value["devices"][1]["minor"], 11);
        assert_eq!(value["devices"][0].get("open"), None);
        let peer = &value["connections"][0]["peer_devices"][0];
        assert_eq!((&peer["replication-state"], &peer["percent-resync-done"]), (&json!("SyncTarget"), &json!(42.1)));
        assert_eq!((&peer["estimated-seconds-to-finish"], &peer["has-sync-details"]), (&json!(125), &json!(true)));
        assert_eq!(value["connections"][0]["peer_devices"][1].get("percent-resync-done"), None);
        assert_eq!(value["suspended"], false);
        let alone = Resource {
            connections: vec![Connection {
                state: Some(ConnectionState::StandAlone),
                peer_devices: vec![PeerDevice::default()],
                ..Connection::default()
            }],
            suspended: Suspension { untold: true, ..Suspension::default() },
            ..resource()
        };
        let value = super::value(&alone);
        assert_eq!(value["connections"][0]["peer_devices"][0]["replication-state"], "Off");
        assert_eq!((&value["suspended"], value.get("suspended-fencing")), (&json!(true), None));
    }

    #[test]
    fn a_json_of_ours_is_read_by_the_reader_of_drbdsetups() {
        let text = Value::from(vec![value(&resource())]).to_string();
        let read = crate::kernel::drbd::json::parse(&text).unwrap();
        assert_eq!((read[0].name.as_str(), read[0].role), ("r0", Some(Role::Secondary)));
        assert_eq!(read[0].devices[0].disk, Some(DiskState::Inconsistent));
        assert_eq!(read[0].connections[0].peer_devices[0].out_of_sync, Some(20_000));
    }
}
