//! What real kernels said in a dozen states, and what the model makes of it, from every source that there is for each.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod properties;
mod rendered;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use ocf_san::deadline::Deadline;
use ocf_san::kernel::attr::Root;
use ocf_san::kernel::drbd::model::{
    Connection, ConnectionState, Device, DiskState, PeerDevice, Progress, Replication, Resource, Role,
};
use ocf_san::kernel::drbd::version::Version;
use ocf_san::kernel::drbd::{Drbd, events2, json, proc_drbd};

/// State, roles, disks, connection, replication, KiB out of sync, thousandths that are done. `*` is what no source says.
const V84: &str = "
    diskless              Secondary/Unknown    Diskless/Outdated       StandAlone  Off          *      *
    primary-connected     Primary/Secondary    UpToDate/UpToDate       Connected   Established  0      *
    primary-peer-gone     Primary/Unknown      UpToDate/Outdated       Connecting  Off          40960  *
    secondary-connected   Secondary/Primary    UpToDate/UpToDate       Connected   Established  0      *
    secondary-secondary   Secondary/Secondary  UpToDate/UpToDate       Connected   Established  0      *
    secondary-standalone  Secondary/Unknown    Outdated/DUnknown       StandAlone  Off          0      *
    split-brain-a         Secondary/Unknown    UpToDate/Outdated       StandAlone  Off          16     *
    split-brain-b         Secondary/Unknown    UpToDate/Outdated       StandAlone  Off          16     *
    syncsource            Primary/Secondary    UpToDate/Inconsistent   Connected   SyncSource   36176  273
    synctarget            Secondary/Primary    Inconsistent/UpToDate   Connected   SyncTarget   34928  273
";

/// The same. A resync was not captured at one moment, so each source has numbers of its own there: those of JSON, then those of the text.
const V9: &str = "
    diskless              Secondary/Secondary  Diskless/UpToDate          Connected   Established  0            *
    inconsistent          Secondary/Secondary  Inconsistent/Inconsistent  Connected   Established  409524       *
    primary-connected     Primary/Secondary    UpToDate/UpToDate          Connected   Established  0            *
    primary-peer-gone     Primary/Unknown      UpToDate/Outdated          Connecting  Off          61440        *
    secondary-connected   Secondary/Primary    UpToDate/UpToDate          Connected   Established  0            *
    secondary-standalone  Secondary/Unknown    Outdated/DUnknown          StandAlone  Off          0            *
    split-brain-a         Secondary/Unknown    UpToDate/Outdated          StandAlone  Off          16           *
    split-brain-b         Secondary/Unknown    UpToDate/Outdated          StandAlone  Off          16           *
    syncsource            Primary/Secondary    UpToDate/Inconsistent      Connected   SyncSource   50688,49920  175,187
    synctarget            Secondary/Primary    Inconsistent/UpToDate      Connected   SyncTarget   49152,48128  200,216
";

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn states(dir: &str, end: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(dir);
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut states: Vec<_> = names.filter_map(|name| name.strip_suffix(end).map(str::to_owned)).collect();
    states.sort();
    states
}

/// What `/proc/drbd` of 8.4 makes of r0, whose only volume the configuration gives minor 0.
fn by_proc(text: &str) -> Option<Resource> {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::fake(dir.path());
    root.dir("/proc").set("drbd", text).unwrap();
    let drbd = Drbd::open(&root).unwrap().unwrap();
    assert!(drbd.is_84());
    drbd.resource("r0", &[(0, 0)], Deadline::after(Duration::ZERO)).unwrap()
}

/// What is looked at: as the words of the table, with `*` for what is not said.
fn words(r: &Resource) -> Vec<String> {
    fn say<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(|| "*".to_owned(), |value| value.to_string())
    }
    assert_eq!((r.name.as_str(), r.devices.len(), r.connections.len()), ("r0", 1, 1), "{r:?}");
    let (device, connection, peer) = (&r.devices[0], &r.connections[0], &r.connections[0].peer_devices[0]);
    assert_eq!((device.volume, device.minor, peer.volume, connection.peer_devices.len()), (0, 0, 0, 1));
    assert!(!r.suspended.is_any() && peer.paused_by.is_empty());
    vec![
        format!("{}/{}", say(r.role), say(connection.peer_role)),
        format!("{}/{}", say(device.disk), say(peer.disk)),
        say(connection.state),
        say(peer.replication),
        say(peer.out_of_sync),
        say(peer.progress.and_then(|progress| progress.permille)),
    ]
}

/// Holds what the sources say of one state, in their order, against its line of the table. Returns whether each word was said by one.
fn hold(line: &str, sources: &[Resource]) {
    let mut expected = line.split_whitespace();
    let state = expected.next().unwrap();
    let said: Vec<_> = sources.iter().map(words).collect();
    for (column, expected) in expected.enumerate() {
        let mut was_said = false;
        for (source, said) in said.iter().enumerate() {
            let expected = expected.split(',').nth(source).unwrap_or(expected.split(',').next_back().unwrap());
            for (said, expected) in said[column].split('/').zip(expected.split('/')) {
                assert!(said == expected || said == "*", "{state}, source {source}: {said} instead of {expected}");
                was_said |= said != "*";
            }
        }
        assert!(was_said || expected == "*", "{state}: nobody says {expected}");
    }
}

fn lines(table: &str) -> impl Iterator<Item = (&str, &str)> {
    table.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| (line.split_whitespace().next().unwrap(), line))
}

#[test]
fn every_state_of_8_4_is_told_alike_by_proc_and_by_the_tools() {
    for (state, line) in lines(V84) {
        let proc_drbd = by_proc(&fixture(&format!("drbd84/{state}.proc-drbd"))).unwrap();
        let mut text = events2::parse(&fixture(&format!("drbd84/{state}.events2"))).unwrap();
        hold(line, &[proc_drbd, text.remove(0)]);
        assert!(text.is_empty());
    }
    assert_eq!(states("drbd84", ".events2").len(), lines(V84).count() + 1, "and unconfigured");
    assert_eq!(by_proc(&fixture("drbd84/unconfigured.proc-drbd")), None);
    assert_eq!(events2::parse(&fixture("drbd84/unconfigured.events2")).unwrap(), []);
}

#[test]
fn every_state_of_9_is_told_alike_by_json_and_by_text() {
    for (state, line) in lines(V9) {
        let mut json = json::parse(&fixture(&format!("drbd9/{state}.status.json"))).unwrap();
        let mut text = events2::parse(&fixture(&format!("drbd9/{state}.events2"))).unwrap();
        assert_eq!((json.len(), text.len()), (1, 1));
        let (json, text) = (json.remove(0), text.remove(0));
        hold(line, &[json.clone(), text.clone()]);
        let peer = |r: &Resource| (r.connections[0].peer.clone().unwrap(), r.connections[0].peer_node_id.unwrap());
        assert_eq!(peer(&json), peer(&text));
        for r in [&json, &text] {
            assert_eq!((r.fails_io, r.devices[0].has_quorum, r.devices[0].is_client), (Some(false), Some(true), Some(false)));
            assert_eq!(r.connections[0].is_congested, Some(false));
            assert!(r.devices[0].size.unwrap() == 409_524 && r.devices[0].pending == Some(0));
        }
        let backing = (state != "diskless").then_some("/dev/vg0/lv-drbd0");
        assert_eq!(text.devices[0].backing.as_deref(), backing, "{state}");
    }
    assert_eq!(states("drbd9", ".status.json").len(), lines(V9).count() + 1, "and down");
    assert_eq!(json::parse(&fixture("drbd9/down.status.json")).unwrap(), []);
    assert_eq!(events2::parse(&fixture("drbd9/down.events2")).unwrap(), []);
}

#[test]
fn a_resync_is_told_with_its_speed_and_end() {
    let progress = |r: &Resource| r.connections[0].peer_devices[0].progress.unwrap();
    let told = |permille, left, speed| Progress {
        permille: Some(permille),
        left: Some(Duration::from_secs(left)),
        speed: Some(speed),
        is_stalled: false,
    };
    assert_eq!(progress(&by_proc(&fixture("drbd84/synctarget.proc-drbd")).unwrap()), told(273, 16, 2008));
    let json = json::parse(&fixture("drbd9/syncsource.status.json")).unwrap();
    assert_eq!(progress(&json[0]), told(175, 17, 2938));
    let text = events2::parse(&fixture("drbd9/synctarget.events2")).unwrap();
    assert_eq!(progress(&text[0]), told(216, 17, 2897));
}

#[test]
fn many_minors_at_once_are_each_what_their_lines_say() {
    use ConnectionState::{Connected, Connecting, StandAlone};
    use DiskState::{Diskless, Inconsistent, Outdated, UpToDate};

    let minors = proc_drbd::parse(&fixture("drbd84/many.proc-drbd")).unwrap();
    let of = |number| minors.iter().find(|minor| minor.minor == number).unwrap();
    assert_eq!(minors.iter().map(|minor| minor.minor).collect::<Vec<_>>(), [0, 1, 10, 11, 12, 20, 21, 22, 23]);
    assert!(of(1).is_unconfigured && of(1).disk == Some(Diskless) && of(1).connection == Some(StandAlone));
    assert_eq!(minors.iter().filter(|minor| minor.is_suspended).map(|minor| minor.minor).collect::<Vec<_>>(), [10]);
    assert_eq!((of(10).connection, of(10).pending, of(10).out_of_sync), (Some(Connecting), Some(1), Some(128)));
    assert_eq!(of(11).progress.unwrap().permille, Some(16));
    let verify = of(12).progress.unwrap();
    assert_eq!((of(12).replication, verify.permille, verify.speed), (Some(Replication::VerifyS), Some(141), Some(7180)));
    assert_eq!((of(20).disk, of(20).peer_disk, of(20).paused_by.len()), (Some(UpToDate), Some(Outdated), 0));
    assert_eq!((of(21).replication, of(21).progress), (Some(Replication::PausedSyncT), None));
    assert_eq!((of(21).paused_by.as_slice(), of(21).disk), (&["peer".to_owned()][..], Some(Inconsistent)));
    assert_eq!((of(22).connection, of(22).disk, of(22).peer_disk), (Some(Connected), Some(Diskless), Some(UpToDate)));
    let mebibytes = of(23).progress.unwrap();
    assert!(mebibytes.is_stalled && mebibytes.permille == Some(275) && mebibytes.left == Some(Duration::from_secs(724)));
    assert_eq!(of(23).role, Some(Role::Primary));
}

#[test]
fn drbd_9_is_known_as_such_whatever_its_proc_file_has_below() {
    for name in ["primary-connected", "plain", "compat"] {
        let text = fixture(&format!("drbd9/{name}.proc-drbd"));
        assert!(Version::parse(&text).unwrap().is_9(), "{name}");
        assert_eq!(proc_drbd::parse(&text).unwrap().len(), usize::from(name == "compat"));
    }
    let minor = proc_drbd::parse(&fixture("drbd9/compat.proc-drbd")).unwrap().remove(0);
    assert_eq!(minor.progress, Some(Progress { permille: Some(84), ..Progress::default() }), "no speed, and no end in sight");
}

/// A resource of DRBD 9 about which everything is said, with its JSON and its text.
#[test]
fn a_suspended_resource_with_two_peers_is_told_whole() {
    let text = "exists resource name:r0 role:Primary suspended:quorum force-io-failures:yes\n\
                exists connection name:r0 peer-node-id:1 conn-name:b connection:Connecting role:Unknown congested:yes\n\
                exists device name:r0 volume:3 minor:1048575 backing_dev:/dev/x disk:Failed client:no quorum:no open:yes size:8 read:1 \
                written:2 upper-pending:7 al-suspended:yes\n\
                exists peer-device name:r0 peer-node-id:1 conn-name:b volume:3 replication:PausedSyncS peer-disk:Diskless peer-client:yes \
                resync-suspended:user,peer received:4 sent:5 out-of-sync:6\nexists -\n";
    let peer = PeerDevice {
        volume: 3,
        replication: Some(Replication::PausedSyncS),
        disk: Some(DiskState::Diskless),
        is_client: Some(true),
        paused_by: vec!["user".to_owned(), "peer".to_owned()],
        out_of_sync: Some(6),
        sent: Some(5),
        received: Some(4),
        progress: None,
    };
    let device = Device {
        volume: 3,
        minor: 1_048_575,
        role: None,
        disk: Some(DiskState::Failed),
        is_client: Some(false),
        has_quorum: Some(false),
        is_open: Some(true),
        backing: Some("/dev/x".to_owned()),
        size: Some(8),
        read: Some(1),
        written: Some(2),
        pending: Some(7),
        is_al_suspended: Some(true),
    };
    let connection = Connection {
        peer: Some("b".to_owned()),
        peer_node_id: Some(1),
        state: Some(ConnectionState::Connecting),
        peer_role: Some(Role::Unknown),
        is_congested: Some(true),
        peer_devices: vec![peer],
    };
    let r = events2::parse(text).unwrap().remove(0);
    assert_eq!((r.devices, r.connections), (vec![device], vec![connection]));
    assert!(r.suspended.quorum && r.suspended.to_string() == "quorum" && r.fails_io == Some(true));
}
