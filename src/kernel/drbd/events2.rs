//! The text of `drbdsetup events2 --now --statistics` of DRBD 9: one object a line, `exists KIND key:value …`, and `exists -` at the end. The
//! tools for 8.4 write the same words, but invent a name and a node id of the peer, and call done what is in sync.
//!
//! Without its end it is an error, and so is a line that is none: what can not be read must not look like what is not there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::model::{
    Connection, ConnectionState, Device, DiskState, PeerDevice, Progress, Replication, Resource, Role, Suspension,
};

/// What begins a line. Only `exists` describes; the others report what happens later, and handlers that are called.
const ACTIONS: [&str; 7] = ["exists", "create", "change", "destroy", "rename", "call", "response"];

/// All resources that are described.
///
/// # Errors
/// The end is missing, or a line is not understood.
pub fn parse(text: &str) -> Result<Vec<Resource>, String> {
    let mut all: Vec<Resource> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '-'])) {
        let mut words = line.split_ascii_whitespace();
        let (action, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let keys = Keys(words.filter_map(|word| word.split_once(':')).collect());
        match (action, kind) {
            ("exists", "-") if line.len() == "exists -".len() => return Ok(all),
            ("exists", "resource" | "connection" | "device" | "peer-device") => {
                describe(kind, &keys, &mut all).ok_or_else(|| format!("not understood: {line:.60}"))?;
            }
            (action, kind) if kind != "-" && ACTIONS.contains(&action) => {}
            _ => return Err(format!("not understood: {line:.60}")),
        }
    }
    Err("the end is missing".to_owned())
}

/// What one line has behind its kind.
struct Keys<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Keys<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.parse().ok()
    }

    fn flag(&self, key: &str) -> Option<bool> {
        match self.text(key)? {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    }
}

/// Adds what a line says. `None` when it does not say of what.
fn describe(kind: &str, keys: &Keys, all: &mut Vec<Resource>) -> Option<()> {
    let name = keys.text("name").filter(|name| !name.is_empty())?;
    let at = all.iter().position(|resource| resource.name == name).unwrap_or_else(|| {
        all.push(Resource { name: name.to_owned(), ..Resource::default() });
        all.len() - 1
    });
    let resource = all.get_mut(at)?;
    match kind {
        "resource" => {
            resource.role = keys.text("role").and_then(Role::parse);
            resource.suspended = suspension(keys.text("suspended").unwrap_or_default());
            resource.fails_io = keys.flag("force-io-failures");
        }
        "connection" => {
            let connection = connection(keys, &mut resource.connections);
            connection.state = keys.text("connection").and_then(ConnectionState::parse);
            connection.peer_role = keys.text("role").and_then(Role::parse);
            connection.is_congested = keys.flag("congested");
        }
        "device" => resource.devices.push(device(keys)?),
        _ => {
            let peer_device = peer_device(keys)?;
            connection(keys, &mut resource.connections).peer_devices.push(peer_device);
        }
    }
    Some(())
}

/// The connection that a line is about; it is added when it is new.
fn connection<'a>(keys: &Keys, all: &'a mut Vec<Connection>) -> &'a mut Connection {
    let id = keys.number("peer-node-id");
    let peer = keys.text("conn-name").map(str::to_owned);
    let at = all.iter().position(|one| one.peer_node_id == id && one.peer == peer).unwrap_or(all.len());
    if at == all.len() {
        all.push(Connection { peer, peer_node_id: id, ..Connection::default() });
    }
    &mut all[at]
}

fn device(keys: &Keys) -> Option<Device> {
    Some(Device {
        volume: keys.number("volume")?,
        minor: keys.number("minor")?,
        role: None,
        disk: keys.text("disk").and_then(DiskState::parse),
        is_client: keys.flag("client"),
        has_quorum: keys.flag("quorum"),
        is_open: keys.flag("open"),
        backing: keys.text("backing_dev").filter(|path| path.starts_with('/')).map(str::to_owned),
        size: keys.number("size"),
        read: keys.number("read"),
        written: keys.number("written"),
        pending: keys.number("upper-pending"),
        is_al_suspended: keys.flag("al-suspended"),
    })
}

fn peer_device(keys: &Keys) -> Option<PeerDevice> {
    let progress = keys.number("done").map(|done| Progress {
        permille: permille(done),
        left: keys.number("eta").and_then(seconds),
        speed: keys.number("dbdt1").and_then(kibibytes),
        is_stalled: false,
    });
    Some(PeerDevice {
        volume: keys.number("volume")?,
        replication: keys.text("replication").and_then(Replication::parse),
        disk: keys.text("peer-disk").and_then(DiskState::parse),
        is_client: keys.flag("peer-client"),
        paused_by: list(keys.text("resync-suspended").unwrap_or_default()),
        out_of_sync: keys.number("out-of-sync"),
        sent: keys.number("sent"),
        received: keys.number("received"),
        progress,
    })
}

/// `no`, or names with commas between.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !matches!(*word, "" | "no")).map(str::to_owned).collect()
}

pub(super) fn suspension(text: &str) -> Suspension {
    let mut suspended = Suspension::default();
    for reason in list(text) {
        match reason.as_str() {
            "user" => suspended.user = true,
            "no-data" => suspended.no_data = true,
            "fencing" => suspended.fencing = true,
            "quorum" => suspended.quorum = true,
            _ => suspended.untold = true,
        }
    }
    suspended
}

/// Thousandths; `None` for what is no part of a whole, as a resync that loses ground has it.
pub(super) fn permille(percent: f64) -> Option<u16> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    (0.0..=100.0).contains(&percent).then_some((percent * 10.0) as u16)
}

/// Seconds that are left. drbdsetup says 987654321, or that it is no number, where there is no telling.
pub(super) fn seconds(left: f64) -> Option<Duration> {
    (0.0..987_654_321.0).contains(&left).then(|| Duration::from_secs_f64(left))
}

/// KiB a second, given MiB: up to one TiB.
pub(super) fn kibibytes(mebibytes: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2^30")]
    (0.0..=1_048_576.0).contains(&mebibytes).then_some((mebibytes * 1024.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_alone_is_nothing_at_all_and_no_end_is_an_error() {
        assert_eq!(parse("exists -\n").unwrap(), []);
        assert_eq!(parse("# nothing here\n\n- skipped 3\nexists -\nchange resource name:r0 role:Primary\n").unwrap(), []);
        assert!(parse("").unwrap_err().contains("end"));
        assert!(parse("exists resource name:r0 role:Primary\n").is_err());
    }

    #[test]
    fn a_line_that_is_none_or_says_not_of_what_is_an_error() {
        for line in [
            "drbdsetup: killed",
            "exists resource role:Primary",
            "exists device name:r0 volume:0",
            "exists peer-device name:r0",
            "r0",
        ] {
            assert!(parse(&format!("{line}\nexists -\n")).unwrap_err().contains(line), "{line}");
        }
        for line in ["exists path name:r0 local:ipv4:1.2.3.4:7788", "exists", "call helper name:r0 helper:fence-peer"] {
            assert_eq!(parse(&format!("{line}\nexists -\n")).unwrap(), [], "{line}");
        }
    }

    #[test]
    fn every_reason_of_a_suspension_is_told() {
        let r = &parse("exists resource name:r0 suspended:user,no-data,fencing,quorum,moon\nexists -\n").unwrap()[0];
        assert!(r.suspended.untold && r.suspended.to_string() == "user,no-data,fencing,quorum");
        assert_eq!((r.role, r.fails_io), (None, None));
        let line = "exists peer-device name:r0 volume:0 resync-suspended:user,dependency done:-5 dbdt1:-1.00 eta:nan";
        let r = &parse(&format!("{line}\nexists -\n")).unwrap()[0];
        let (_, peer) = r.peer_devices().next().unwrap();
        assert_eq!(peer.paused_by, ["user", "dependency"]);
        assert_eq!(peer.progress, Some(Progress::default()));
    }

    #[test]
    fn each_peer_has_its_connection_and_each_connection_its_volumes() {
        let text = "exists resource name:r0 role:Secondary\n\
                    exists connection name:r0 peer-node-id:1 conn-name:n1 connection:Connected\n\
                    exists connection name:r0 peer-node-id:2 conn-name:n2 connection:Connecting\n\
                    exists peer-device name:r0 peer-node-id:2 conn-name:n2 volume:0\n\
                    exists peer-device name:r0 peer-node-id:2 conn-name:n2 volume:1\n\
                    exists peer-device name:r0 peer-node-id:1 conn-name:n1 volume:0\nexists -\n";
        let connections = parse(text).unwrap().remove(0).connections;
        let counts: Vec<_> = connections.iter().map(|c| (c.peer.clone(), c.peer_devices.len())).collect();
        assert_eq!(counts, [(Some("n1".to_owned()), 1), (Some("n2".to_owned()), 2)]);
    }
}
