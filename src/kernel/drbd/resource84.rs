//! A resource of 8.4, put together from its minors. There each minor has a role and a connection state of its own, and a resource has one
//! peer, whose name is not told.

use super::model::{Connection, Device, PeerDevice, Resource, Suspension};
use super::names::VolumeMinor;
use super::proc_drbd::Minor;

/// The resource `name` with these volumes. A volume whose minor `/proc/drbd` does not show is there, and nothing is said of it.
#[must_use]
pub fn resource(name: &str, volumes: &[VolumeMinor], minors: &[Minor]) -> Resource {
    let volumes =
        || volumes.iter().map(|(volume, number)| (*volume, *number, minors.iter().find(|minor| minor.minor == *number)));
    let ours = || volumes().filter_map(|(_, _, minor)| minor);
    let connection = Connection {
        // What has come furthest counts, as with the roles: a volume that was just added is behind the others.
        state: ours().filter_map(|minor| minor.connection).max(),
        peer_role: ours().filter_map(|minor| minor.peer_role).min_by_key(|role| rank(*role)),
        peer_devices: volumes().filter_map(|(volume, _, minor)| minor.map(|minor| peer_device(volume, minor))).collect(),
        ..Connection::default()
    };
    Resource {
        name: name.to_owned(),
        role: ours().filter_map(|minor| minor.role).min_by_key(|role| rank(*role)),
        suspended: Suspension { untold: ours().any(|minor| minor.is_suspended), ..Suspension::default() },
        devices: volumes().map(|(volume, number, minor)| device(volume, number, minor)).collect(),
        connections: ours().next().map(|_| connection).into_iter().collect(),
        ..Resource::default()
    }
}

/// One that is Primary anywhere is Primary: it may be written to.
fn rank(role: super::model::Role) -> u8 {
    use super::model::Role::{Primary, Secondary, Unknown};
    match role {
        Primary => 0,
        Secondary => 1,
        Unknown => 2,
    }
}

fn device(volume: u32, number: u32, minor: Option<&Minor>) -> Device {
    let about = Device { volume, minor: number, ..Device::default() };
    let Some(minor) = minor else { return about };
    Device {
        role: minor.role,
        disk: minor.disk,
        read: minor.read,
        written: minor.written,
        pending: minor.pending,
        is_al_suspended: minor.is_al_suspended,
        ..about
    }
}

fn peer_device(volume: u32, minor: &Minor) -> PeerDevice {
    PeerDevice {
        volume,
        replication: minor.replication,
        disk: minor.peer_disk,
        is_client: None,
        paused_by: minor.paused_by.clone(),
        out_of_sync: minor.out_of_sync,
        sent: minor.sent,
        received: minor.received,
        progress: minor.progress,
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{ConnectionState, DiskState, Role};
    use super::super::proc_drbd;
    use super::*;

    #[test]
    fn the_volumes_make_one_resource_that_is_primary_when_one_of_them_is() {
        let text = " 0: cs:Unconfigured\n\
                    \x201: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C s-----\n    ns:0 nr:0 dw:0 dr:0 ap:0 oos:0\n\
                    \x202: cs:StandAlone ro:Secondary/Unknown ds:Failed/DUnknown   r-----\n    ns:0 nr:0 dw:0 dr:0 ap:0 oos:0\n";
        let r = resource("r0", &[(0, 0), (1, 1), (2, 2), (3, 9)], &proc_drbd::parse(text).unwrap());
        assert_eq!((r.role, r.connections[0].state), (Some(Role::Primary), Some(ConnectionState::Connected)));
        assert_eq!(r.connections[0].peer_role, Some(Role::Secondary));
        let roles: Vec<_> = r.devices.iter().map(|device| device.role).collect();
        assert_eq!(roles, [Some(Role::Secondary), Some(Role::Primary), Some(Role::Secondary), None]);
        assert!(r.is_primary() && !r.is_promoted(&[]) && r.is_promoted(&[(1, 1)]));
        let disks: Vec<_> = r.devices.iter().map(|device| (device.minor, device.disk)).collect();
        let [diskless, good, failed] = [DiskState::Diskless, DiskState::UpToDate, DiskState::Failed].map(Some);
        assert_eq!(disks, [(0, diskless), (1, good), (2, failed), (9, None)]);
        assert_eq!(r.peer_devices().count(), 3);
        assert_eq!(r.suspended.to_string(), "yes");
    }

    #[test]
    fn a_resource_of_which_proc_shows_nothing_is_no_secondary() {
        let r = resource("r0", &[(0, 0)], &[]);
        assert_eq!((r.role, r.devices.len(), r.connections.len()), (None, 1, 0));
        assert_eq!(resource("r0", &[], &[]).devices, []);
    }
}
