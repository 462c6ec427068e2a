//! How a resource is, from what was seen of it: the worst thing first, with what to type next. Decides from what it is given; asks and
//! writes nothing.

use std::time::Duration;

use super::guard::Guard;
use super::peering::{has_two_primaries, is_certainly_split, is_connected, is_cut, lacks_peer, stands_alone};
use super::values::Frozen;
use crate::kernel::drbd::model::{
    Connection, ConnectionState, Device, DiskState, PeerDevice, Progress, Replication, Resource, Role, Suspension,
};
use crate::ocf::run::State;

/// What was seen, and what is allowed.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The resource.
    pub resource: &'a Resource,
    /// Its guard; empty where none is looked at.
    pub guard: &'a Guard,
    /// Whether something says that a connection was dropped because of a split brain: the marker of the handler, or the kernel log.
    pub was_told: bool,
    /// For how long I/O has stood still.
    pub frozen_for: Duration,
    /// What I/O that stands still leads to, and from when on.
    pub frozen_io: (Frozen, Duration),
    /// The volumes in use; empty when that is not known.
    pub volumes: &'a [(u32, u32)],
    /// Whether two may be Primary; `None` when nobody has said.
    pub two_primaries: Option<bool>,
    /// Whether it is left unconnected on purpose until a promotion.
    pub is_unconnected: bool,
    /// Whether that it stands alone with an outdated peer has a reason that is none to fear.
    pub is_excused: bool,
}

/// What there is to say of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nothing.
    Fine,
    /// It serves, and somebody should look.
    Look(String),
    /// It does not serve, or must not.
    Broken(String),
    /// It is there by half.
    Partial(String),
}

impl Finding {
    /// The text; empty when all is well.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Fine => "",
            Self::Look(why) | Self::Broken(why) | Self::Partial(why) => why,
        }
    }

    /// The state of an instance in this role. Where degraded is no answer, what is worth a look is running all the same.
    #[must_use]
    pub fn state(self, is_primary: bool, is_degraded_told: bool) -> State {
        match (self, is_primary) {
            (Self::Look(why), true) if is_degraded_told => State::DegradedPromoted(why),
            (Self::Look(why), false) if is_degraded_told => State::Degraded(why),
            (Self::Fine | Self::Look(_), true) => State::Promoted,
            (Self::Fine | Self::Look(_), false) => State::Running,
            (Self::Broken(why) | Self::Partial(why), true) => State::FailedPromoted(why),
            (Self::Broken(why), false) => State::Failed(why),
            (Self::Partial(why), false) => State::Partial(why),
        }
    }
}

/// What there is to say of one that is Primary with some of the volumes in use: it may be written to, and does not serve. 8.4 promotes and
/// demotes each volume by itself.
#[must_use]
pub fn partly_promoted(resource: &Resource, volumes: &[(u32, u32)]) -> Option<String> {
    let other = resource.unpromoted(volumes).filter(|_| resource.is_primary())?;
    let one = resource.devices.iter().find(|device| device.role == Some(Role::Primary))?;
    let name = &resource.name;
    Some(format!("{name}/{} is Primary and {name}/{} is not: drbdadm primary {name}, or secondary", one.volume, other.volume))
}

/// What there is to say, the worst first.
#[must_use]
pub fn finding(facts: &Facts) -> Finding {
    let look = Look { facts, resource: facts.resource };
    look.partial()
        .map(Finding::Partial)
        .or_else(|| look.broken().map(Finding::Broken))
        .or_else(|| look.doubt().map(Finding::Look))
        .unwrap_or(Finding::Fine)
}

struct Look<'a> {
    facts: &'a Facts<'a>,
    resource: &'a Resource,
}

impl Look<'_> {
    /// `r0`, or `r0/1` where there are several volumes.
    fn name(&self, device: &Device) -> String {
        let name = &self.resource.name;
        if self.resource.devices.len() > 1 { format!("{name}/{}", device.volume) } else { name.clone() }
    }

    fn partial(&self) -> Option<String> {
        let name = &self.resource.name;
        if self.resource.devices.is_empty() {
            return Some(format!("{name} is there without any volume: drbdadm adjust {name}"));
        }
        is_bare(self.resource).then(|| format!("{name} has neither a disk nor a connection: drbdadm adjust {name}"))
    }

    fn broken(&self) -> Option<String> {
        let (resource, name) = (self.resource, &self.resource.name);
        if has_two_primaries(resource) && self.facts.two_primaries == Some(false) {
            return Some(format!("{name}: Primary here and on the peer, which promoted-max does not allow"));
        }
        if resource.fails_io == Some(true) {
            return Some(format!("{name}: all I/O fails (secondary --force): drbdadm secondary {name}"));
        }
        // What the peer has is about to be known.
        let is_asking = resource.connections.iter().any(Connection::is_in_handshake);
        let is_out = |d: &&Device| {
            let is_lost = matches!(d.disk, Some(DiskState::Diskless | DiskState::Failed | DiskState::Detaching));
            // Of a disk that is out of date, a Primary without a peer serves what is out of date, or nothing.
            let is_old = resource.is_primary() && d.disk == Some(DiskState::Inconsistent);
            let is_meant = d.is_client == Some(true) && !resource.is_primary();
            // One that is being added matters to nothing above it yet.
            let is_in_use = d.is_among(self.facts.volumes) || d.role == Some(Role::Primary);
            is_in_use && !is_meant && (is_lost || is_old) && !is_asking && !self.has_good_peer(d)
        };
        if let Some(device) = resource.devices.iter().find(is_out) {
            let (at, disk) = (self.name(device), word(device.disk));
            return Some(format!("{at}: the disk is {disk} and no peer has up to date data: mend it, drbdadm attach {name}"));
        }
        if resource.is_primary() && !resource.suspended.is_any() {
            if let Some(device) = resource.devices.iter().find(|d| d.has_quorum == Some(false)) {
                return Some(format!("{}: without quorum, so that I/O fails: bring a peer back", self.name(device)));
            }
        }
        (self.facts.frozen_io.0 == Frozen::Fail).then(|| self.frozen()).flatten()
    }

    fn doubt(&self) -> Option<String> {
        let (resource, name) = (self.resource, &self.resource.name);
        if is_certainly_split(resource, self.facts.guard, self.facts.was_told, self.facts.is_excused) {
            return Some(format!("{name}: split brain, not connected: ocf-san drbd report {name}"));
        }
        if let Some(why) = self.facts.guard.complaint(name) {
            return Some(why);
        }
        if !self.facts.guard.is_empty() {
            return Some(format!("{name} is guarded ({}): ocf-san drbd guard clear {name}", self.facts.guard));
        }
        if let Some(why) = partly_promoted(resource, self.facts.volumes) {
            return Some(why);
        }
        if self.facts.frozen_io.0 == Frozen::Degraded {
            if let Some(why) = self.frozen() {
                return Some(why);
            }
        }
        if has_two_primaries(resource) && self.facts.two_primaries.is_none() {
            return Some(format!("{name}: Primary here and on the peer"));
        }
        if let Some(device) = resource.devices.iter().find(|d| d.has_quorum == Some(false)) {
            return Some(format!("{}: no quorum: bring a peer back", self.name(device)));
        }
        let is_there = |volume: u32| resource.devices.iter().any(|device| device.volume == volume);
        if let Some((volume, minor)) = self.facts.volumes.iter().find(|(volume, _)| !is_there(*volume)) {
            let next = if resource.is_primary() { format!("; drbdadm primary {name}") } else { String::new() };
            return Some(format!("{name}/{volume} (minor {minor}) is gone: drbdadm adjust {name}{next}"));
        }
        let worst = resource.devices.iter().min_by_key(|d| d.disk.unwrap_or(DiskState::UpToDate));
        worst
            .and_then(|device| self.disk(device))
            .or_else(|| self.connection())
            .or_else(|| resource.devices.iter().find_map(|device| self.peer(device)))
            .or_else(|| {
                let device = resource.unpromoted(&[]).filter(|_| resource.is_primary())?;
                Some(format!("{} was added and is not Primary: drbdadm primary {name}", self.name(device)))
            })
            .or_else(|| {
                let device = resource.devices.iter().find(|d| d.is_al_suspended == Some(true))?;
                Some(format!("{}: the activity log is suspended: drbdadm adjust {name}", self.name(device)))
            })
    }

    /// What is to be said of I/O that stands still for too long.
    fn frozen(&self) -> Option<String> {
        let Resource { name, suspended, .. } = self.resource;
        let (_, grace) = self.facts.frozen_io;
        if !suspended.is_any() || self.facts.frozen_for < grace {
            return None;
        }
        let seconds = self.facts.frozen_for.as_secs();
        let next = match suspended {
            _ if stands_alone(self.resource) => {
                format!("parted from the peer, do not resume: demote it, or ocf-san drbd report {name}")
            }
            Suspension { quorum: true, .. } => "no quorum: bring a peer back".to_owned(),
            Suspension { fencing: true, .. } => format!("peer not fenced; once it is down: drbdadm resume-io {name}"),
            Suspension { no_data: true, .. } => "no up to date data: bring a disk or a peer back".to_owned(),
            Suspension { user: true, .. } => format!("drbdadm suspend-io was said: drbdadm resume-io {name}"),
            _ => format!("once the peer is certainly down: drbdadm resume-io {name}"),
        };
        Some(format!("{name}: I/O is frozen for {seconds} s: {next}"))
    }

    fn has_good_peer(&self, device: &Device) -> bool {
        self.resource
            .peers_of(device.volume)
            .any(|(connection, peer)| !is_cut(connection) && peer.disk == Some(DiskState::UpToDate))
    }

    /// What is to be said of a disk here that is not up to date.
    fn disk(&self, device: &Device) -> Option<String> {
        use DiskState::{
            Attaching, Consistent, DUnknown, Detaching, Diskless, Failed, Inconsistent, Negotiating, Outdated, UpToDate,
        };
        let (name, at) = (&self.resource.name, self.name(device));
        match device.disk? {
            UpToDate | Attaching | Negotiating | DUnknown => None,
            Diskless if device.is_client == Some(true) => None,
            Diskless | Failed | Detaching => {
                let by = if self.has_good_peer(device) { ", served by the peer" } else { "" };
                Some(format!("{at}: the disk is {}{by}: mend it, drbdadm attach {name}", word(device.disk)))
            }
            Inconsistent => {
                let sync = self.resource.peers_of(device.volume).find(|(_, p)| p.replication.is_some_and(Replication::is_target));
                if let Some((_, peer)) = sync {
                    return Some(format!("{at}: being brought up to date{}", progress(peer, name)));
                }
                let mut peers = self.resource.peers_of(device.volume).peekable();
                let is_new = peers.peek().is_some() && peers.all(|(_, peer)| peer.disk == Some(Inconsistent));
                Some(if is_new && is_connected(self.resource) {
                    format!("{at}: Inconsistent on both sides, never synchronised: drbdadm primary --force {name} on one")
                } else {
                    format!("{at}: the disk is Inconsistent, and is not being brought up to date: connect the peer")
                })
            }
            Outdated => Some(format!("{at}: the disk is Outdated: connect the peer (drbdadm connect {name})")),
            Consistent => Some(format!("{at}: the disk is Consistent, whether it is the newest only a peer can say")),
        }
    }

    /// What is to be said of the connection. That an Unpromoted instance waits for its peer is nothing to do with it.
    fn connection(&self) -> Option<String> {
        let (resource, name) = (self.resource, &self.resource.name);
        if !lacks_peer(resource) {
            return None;
        }
        if self.facts.is_unconnected && !resource.is_primary() {
            return None;
        }
        // Pacemaker keeps the first reason it hears with a code: let that be the frozen I/O, if the handler does not end it before.
        if self.facts.frozen_io.0 == Frozen::Degraded
            && resource.suspended.is_any()
            && self.facts.frozen_for < self.facts.frozen_io.1
        {
            return None;
        }
        if stands_alone(resource) {
            return Some(format!("{name} stands alone: drbdadm connect {name}"));
        }
        let cut = resource.connections.iter().find(|it| is_cut(it) && !it.is_in_handshake())?;
        let peer = cut.peer.as_deref().map(|peer| format!(" {peer}")).unwrap_or_default();
        let state = cut.state.map_or("unknown", ConnectionState::word);
        resource.is_primary().then(|| format!("{name}: the peer{peer} is not connected ({state})"))
    }

    /// What is to be said of the peers' side of a volume that is up to date here.
    fn peer(&self, device: &Device) -> Option<String> {
        let (name, at) = (&self.resource.name, self.name(device));
        self.resource.peers_of(device.volume).filter(|(connection, _)| !is_cut(connection)).find_map(|(_, peer)| {
            let replication = peer.replication?;
            if replication.is_resync() {
                let what =
                    if replication.is_target() { "being brought up to date" } else { "the peer is being brought up to date" };
                return Some(format!("{at}: {what}{}", progress(peer, name)));
            }
            match (replication, peer.disk?) {
                (Replication::Ahead, _) => Some(format!("{at}: does not mirror, the network is congested")),
                (Replication::Behind, _) => Some(format!("{at}: falls behind the peer, the network is congested")),
                (_, DiskState::Diskless) if peer.is_client == Some(true) => None,
                (_, disk @ (DiskState::Diskless | DiskState::Failed | DiskState::Inconsistent | DiskState::Outdated)) => {
                    Some(format!("{at}: the peer's disk is {disk}"))
                }
                _ => None,
            }
        })
    }
}

/// Whether nothing was attached and nothing connected: made, and no more.
#[must_use]
pub fn is_bare(resource: &Resource) -> bool {
    let is_gone = |c: &Connection| matches!(c.state, None | Some(ConnectionState::StandAlone));
    let is_empty = |d: &Device| d.is_client != Some(true) && matches!(d.disk, None | Some(DiskState::Diskless));
    !resource.is_primary() && resource.devices.iter().all(is_empty) && resource.connections.iter().all(is_gone)
}

fn word(disk: Option<DiskState>) -> &'static str {
    disk.map_or("unknown", DiskState::word)
}

/// ` (27.3 %, 15 s left)`, or why it does not go on.
fn progress(peer: &PeerDevice, name: &str) -> String {
    if matches!(peer.replication, Some(Replication::PausedSyncS | Replication::PausedSyncT)) || !peer.paused_by.is_empty() {
        return format!(", paused: drbdadm resume-sync {name}");
    }
    let Some(Progress { permille, left, is_stalled, .. }) = peer.progress else { return String::new() };
    let done = permille.map(|n| format!("{}.{} %", n / 10, n % 10));
    let left = left.map(|left| format!("{} left", spoken(left)));
    let parts: Vec<_> =
        done.into_iter().chain(left.filter(|_| !is_stalled)).chain(is_stalled.then(|| "stalled".to_owned())).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn spoken(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..=119 => format!("{s} s"),
        s @ 120..=7199 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}
