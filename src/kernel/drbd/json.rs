//! What `drbdsetup status --json` says of DRBD 9. Keys come and go with the versions of both the tools and the module, so each may be missing or
//! be something else; only what tells one object from another must be there.

use serde_json::Value;

use super::events2::{kibibytes, list, permille, seconds, suspension};
use super::model::{
    Connection, ConnectionState, Device, DiskState, PeerDevice, Progress, Replication, Resource, Role, Suspension,
};

/// How old the mark is that the speed is measured from when a resync counts as stalled, in milliseconds; as in 8.4.
const STALLED: u64 = 180_000;

/// All resources of the list.
///
/// # Errors
/// It is no list of resources: cut short, without a name, a volume without a number.
pub fn parse(text: &str) -> Result<Vec<Resource>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let all = value.as_array().ok_or("not a list")?;
    all.iter().map(|one| resource(one).ok_or_else(|| "a resource, volume or minor is not named".to_owned())).collect()
}

fn resource(value: &Value) -> Option<Resource> {
    let mut devices = each(value, "devices", device)?;
    devices.sort_by_key(|device| device.volume);
    Some(Resource {
        name: text(value, "name").filter(|name| !name.is_empty())?.to_owned(),
        role: text(value, "role").and_then(Role::parse),
        suspended: suspended(value),
        fails_io: flag(value, "force-io-failures"),
        devices,
        connections: each(value, "connections", connection)?,
    })
}

/// One flag that says whether, and one for each reason since 9.21 of the tools.
fn suspended(value: &Value) -> Suspension {
    let is = |key| flag(value, key) == Some(true);
    let told = Suspension {
        user: is("suspended-user"),
        no_data: is("suspended-no-data"),
        fencing: is("suspended-fencing"),
        quorum: is("suspended-quorum"),
        untold: false,
    };
    match value.get("suspended") {
        Some(Value::String(reasons)) if !told.is_any() => suspension(reasons),
        _ => Suspension { untold: is("suspended") && !told.is_any(), ..told },
    }
}

fn device(value: &Value) -> Option<Device> {
    Some(Device {
        volume: narrow(value, "volume")?,
        minor: narrow(value, "minor")?,
        role: None,
        disk: text(value, "disk-state").and_then(DiskState::parse),
        is_client: flag(value, "client"),
        has_quorum: flag(value, "quorum"),
        is_open: flag(value, "open"),
        backing: text(value, "backing_dev").filter(|path| path.starts_with('/')).map(str::to_owned),
        size: number(value, "size"),
        read: number(value, "read"),
        written: number(value, "written"),
        pending: number(value, "upper-pending"),
        is_al_suspended: flag(value, "al-suspended"),
    })
}

fn connection(value: &Value) -> Option<Connection> {
    Some(Connection {
        peer: text(value, "name").filter(|name| !name.is_empty()).map(str::to_owned),
        peer_node_id: narrow(value, "peer-node-id"),
        state: text(value, "connection-state").and_then(ConnectionState::parse),
        peer_role: text(value, "peer-role").and_then(Role::parse),
        is_congested: flag(value, "congested"),
        peer_devices: each(value, "peer_devices", peer_device)?,
    })
}

fn peer_device(value: &Value) -> Option<PeerDevice> {
    let real = |key| value.get(key).and_then(Value::as_f64);
    let progress = real("percent-resync-done").map(|done| Progress {
        permille: permille(done),
        left: real("estimated-seconds-to-finish").and_then(seconds),
        speed: real("db1/dt1 [MiB/s]").and_then(kibibytes),
        is_stalled: number(value, "rs-dt0-ms").is_some_and(|age| age > STALLED),
    });
    Some(PeerDevice {
        volume: narrow(value, "volume")?,
        replication: text(value, "replication-state").and_then(Replication::parse),
        disk: text(value, "peer-disk-state").and_then(DiskState::parse),
        is_client: flag(value, "peer-client"),
        paused_by: list(text(value, "resync-suspended").unwrap_or_default()),
        out_of_sync: number(value, "out-of-sync"),
        sent: number(value, "sent"),
        received: number(value, "received"),
        progress,
    })
}

/// The members of a list; a missing one is empty.
fn each<T>(value: &Value, key: &str, read: fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.get(key).and_then(Value::as_array).into_iter().flatten().map(read).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn flag(value: &Value, key: &str) -> Option<bool> {
    value.get(key)?.as_bool()
}

fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

fn narrow(value: &Value, key: &str) -> Option<u32> {
    number(value, key)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_a_resource_of_which_nothing_is_said() {
        let all = parse(r#"[{"name": "r0", "role": 7, "devices": {}, "connections": null}]"#).unwrap();
        assert_eq!(all, [Resource { name: "r0".to_owned(), ..Resource::default() }]);
        assert_eq!(parse("[\n]\n\n").unwrap(), []);
    }

    #[test]
    fn what_is_not_named_or_cut_short_is_an_error_and_never_an_absence() {
        let volume = r#"[{"name": "r0", "devices": [{"minor": 1}]}]"#;
        let minor = r#"[{"name": "r0", "devices": [{"volume": 1, "minor": 4294967296}]}]"#;
        let peer = r#"[{"name": "r0", "connections": [{"peer_devices": [{}]}]}]"#;
        for text in ["", "{}", "[", "null", "[{}]", r#"[{"name": ""}]"#, r#"[{"name": "a"b"}]"#, volume, minor, peer] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_suspension_is_told_with_its_reasons_or_without() {
        let suspended = |flags: &str| parse(&format!(r#"[{{"name": "r0", {flags}}}]"#)).unwrap()[0].suspended.to_string();
        assert_eq!(suspended(r#""suspended": true"#), "yes");
        assert_eq!(suspended(r#""suspended": true, "suspended-quorum": true, "suspended-fencing": true"#), "fencing,quorum");
        assert_eq!(suspended(r#""suspended": "no-data,user""#), "user,no-data");
        assert_eq!(suspended(r#""suspended": false, "suspended-user": false"#), "no");
    }

    #[test]
    fn a_resync_without_an_end_in_sight_has_no_time_left() {
        let progress = |keys: &str| {
            let text = format!(r#"[{{"name": "r0", "connections": [{{"peer_devices": [{{"volume": 0, {keys}}}]}}]}}]"#);
            parse(&text).unwrap()[0].peer_devices().next().unwrap().1.progress
        };
        let lost = r#""percent-resync-done": -3.5, "estimated-seconds-to-finish": 987654321, "db1/dt1 [MiB/s]": -0.5, "rs-dt0-ms": 180001"#;
        assert_eq!(progress(lost), Some(Progress { is_stalled: true, ..Progress::default() }));
        let well =
            progress(r#""percent-resync-done": 12.34, "estimated-seconds-to-finish": 61, "db1/dt1 [MiB/s]": 2.5"#).unwrap();
        assert_eq!((well.permille, well.left.unwrap().as_secs(), well.speed), (Some(123), 61, Some(2560)));
        assert_eq!(progress(r#""percent-in-sync": 50.0"#), None);
    }
}
