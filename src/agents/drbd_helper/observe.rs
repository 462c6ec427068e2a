//! What every look at a resource comes to: the guard and the other records kept, the finding logged when it changes, the score written.

use std::time::Duration;

use super::Helper;
use super::attribute::{self, Writing};
use super::evidence;
use super::guard::{Entry, Guard, Reason};
use super::health::{self, Facts};
use super::last_primary::{LastPeer, LastPrimary, Who, now};
use super::peering;
use super::record::{self, Record, Written};
use super::score::{self, Grounds, Score};
use super::values::{Guarding, PeerPrimary};
use crate::kernel::drbd::model::{DiskState, Resource};
use crate::kernel::exec::Tool;
use crate::ocf::run::{Context, State};

/// How long Pacemaker gets to say where an instance is promoted.
const LOCATE: Duration = Duration::from_secs(5);

impl Helper {
    /// What a monitor says of the resource; the score is written, and what is to be remembered is.
    pub(super) fn assess(&self, cx: &Context, resource: &Resource, record: &mut Record, writing: Writing) -> State {
        let is_told = self.guarding != Guarding::Off && evidence::is_told(cx.root, resource);
        self.adopt(cx, resource, record);
        self.remember(cx, resource, record);
        // The log forgets.
        let has_met = record.met_as_primaries || evidence::met_as_primaries(cx.root, resource);
        record.met_as_primaries = has_met && peering::stands_alone(resource) && !is_told;
        let guard = self.guard_now(cx, resource, record, is_told);
        let volumes = record.volumes.clone();
        let facts = Facts {
            resource,
            guard: &guard,
            was_told: is_told,
            frozen_for: record.frozen_since.map_or(Duration::ZERO, record::since),
            frozen_io: self.frozen_io,
            volumes: &volumes,
            two_primaries: may_be_two(cx),
            is_unconnected: self.connects_late,
            is_excused: evidence::is_excused(cx.root, resource, record),
        };
        let cut_off = if resource.is_promoted(&volumes) { None } else { self.cut_off(cx, resource) };
        let is_cut_off = cut_off.is_some();
        let finding = self.with_uplink(cx, health::finding(&facts), cut_off);
        log_if_new(record, &finding);
        if cx.env.is_by_pacemaker() {
            let score = self.score_of(cx, &facts, is_cut_off, record);
            attribute::write(cx, record, score, writing);
        }
        finding.state(resource.is_primary(), self.is_degraded_told)
    }

    /// Its score, to which Pacemaker's knowledge may have to be asked for.
    fn score_of(&self, cx: &Context, facts: &Facts, is_cut_off: bool, record: &mut Record) -> Score {
        let resource = facts.resource;
        let is_heeded = self.guarding == Guarding::Enforce;
        let has_primary_peer = resource.primary_peers().next().is_some();
        if self.peer_primary == PeerPrimary::Unexpected && has_primary_peer && !resource.is_primary() {
            record.primary_is_expected = record.primary_is_expected || knows_a_promoted_one(cx);
        } else {
            record.primary_is_expected = false;
        }
        let grounds = Grounds {
            steps: self.steps,
            is_guarded: is_heeded && !facts.guard.is_empty(),
            is_split: is_heeded && peering::is_split(resource, facts.guard, facts.was_told, facts.is_excused),
            is_cut_off,
            peer_primary: self.peer_primary,
            primary_is_expected: Some(record.primary_is_expected),
            volumes: facts.volumes,
        };
        score::score(resource, &grounds)
    }

    /// Keeps up what is remembered of the resource.
    fn remember(&self, cx: &Context, resource: &Resource, record: &mut Record) {
        let now: Vec<_> = resource.devices.iter().map(|device| (device.volume, device.minor)).collect();
        let is_of_one_role = resource.is_primary() == resource.is_promoted(&[]);
        let is_whole = is_of_one_role && resource.devices.iter().all(|device| device.disk == Some(DiskState::UpToDate));
        // One that is being added counts from when it is up to date, and in the role of the others.
        if record.volumes.is_empty() || (is_whole && now.len() >= record.volumes.len()) {
            record.volumes = now;
        }
        record.never_connected &= peering::all_stand_alone(resource);
        record.frozen_since = if resource.suspended.is_any() { record.frozen_since.or(Some(record::now())) } else { None };
        record.note_peers(resource.connections.iter().filter(|peer| peer.is_connected()).count());
        if !peering::is_connected(resource) || self.guarding == Guarding::Off {
            return;
        }
        remember_primary(cx, resource, record);
        if !record.was_connected {
            let has_met = || resource.connections.iter().any(|peer| peering::has_met(resource, peer));
            record.was_connected = LastPeer::load(cx.root, &resource.name).map_or_else(has_met, |last| last.is_met(resource));
        }
    }

    /// The guard, after what is seen now has been added to it or has cleared it.
    pub(super) fn guard_now(&self, cx: &Context, resource: &Resource, record: &Record, is_told: bool) -> Guard {
        if self.guarding == Guarding::Off {
            forget_solved(cx, resource);
            return Guard::default();
        }
        let name = &resource.name;
        let mut guard = self.standing_guard(cx, name, record);
        // A disk that is slow to write must not keep a Primary from answering; it is written once that is none any more.
        if !guard.is_empty() && !resource.is_primary() {
            if let Err(e) = Guard::settle(cx.root, name) {
                tracing::debug!("{e}");
            }
        }
        let mut found = Vec::new();
        if is_told && !guard.has(Reason::SplitBrain) {
            found.push(entry(Reason::SplitBrain, "monitor", "the kernel or its handler has told of it"));
        }
        if peering::has_two_primaries(resource) && may_be_two(cx) == Some(false) && !guard.has(Reason::TwoPrimaries) {
            found.push(entry(Reason::TwoPrimaries, "monitor", "Primary here and on the peer"));
        }
        for new in found {
            tracing::error!("{name} is guarded from now on: {}", new.reason);
            if let Err(e) = Guard::add(cx.root, name, new.clone()) {
                tracing::error!("{e}");
            }
            guard.entries.push(new);
        }
        end_what_is_over(cx, resource, &mut guard);
        guard
    }
}

/// Where no guard is kept, what a handler has told of a split brain ends all the same when both sides are equal: a start heeds it.
fn forget_solved(cx: &Context, resource: &Resource) {
    if peering::is_equal(resource) && evidence::has_marker(cx.root, &resource.name) {
        if let Err(e) = evidence::forget_split_brain(cx.root, &resource.name) {
            tracing::warn!("{e}");
        }
    }
}

/// Clears what ends by itself: a split brain and differing blocks when all are equal, older data when this side has those of the peer that
/// was Primary last.
fn end_what_is_over(cx: &Context, resource: &Resource, guard: &mut Guard) {
    let name = &resource.name;
    let is_equal = peering::is_equal(resource);
    let has_newest = || LastPeer::load_any(cx.root, name).is_some_and(|last| last.is_equal(resource));
    let has_newest = is_equal || (guard.has(Reason::OlderData) && has_newest());
    // Those blocks are in the bitmap until a resync has copied them.
    let has_no_difference = || resource.peer_devices().all(|(_, peer)| peer.out_of_sync == Some(0));
    let is_over = |reason| match reason {
        Reason::SplitBrain => is_equal,
        Reason::VerifyDifferences => is_equal && has_no_difference(),
        Reason::OlderData => has_newest,
        _ => false,
    };
    let over: Vec<String> = guard.entries.iter().filter(|e| is_over(e.reason)).map(|e| e.reason.to_string()).collect();
    if over.is_empty() {
        return;
    }
    if let Err(e) = Guard::clear(cx.root, name, is_over) {
        tracing::warn!("{e}");
        return;
    }
    tracing::info!("{name}: connected and up to date on both sides, no longer guarded: {}", over.join(", "));
    guard.entries.retain(|entry| !is_over(entry.reason));
    if is_equal {
        if let Err(e) = evidence::forget_split_brain(cx.root, name) {
            tracing::warn!("{e}");
        }
    }
}

/// Writes down, when it changes, whether a connected peer is Primary.
pub(super) fn remember_primary(cx: &Context, resource: &Resource, record: &mut Record) {
    let primary = resource.primary_peers().next();
    let node = primary.and_then(|peer| peer.peer.clone());
    // Somebody who clears a guard may have written down another.
    let is_written = || match LastPrimary::load(cx.root, &resource.name) {
        Ok(Some(last)) => last.who == Who::Peer && last.node == node,
        _ => false,
    };
    let is_known = record.peer_was_primary == Some(primary.is_some()) && record.primary_peer == node;
    if resource.is_primary() || (is_known && (primary.is_none() || is_written())) {
        return;
    }
    let save = |last: LastPrimary| last.save(cx.root, &resource.name).inspect_err(|e| tracing::warn!("{e}")).is_ok();
    let is_noted = match primary {
        Some(_) => save(LastPrimary::now(Who::Peer, node.clone(), "seen")),
        None => match LastPeer::load(cx.root, &resource.name) {
            None => peering::is_equal(resource),
            Some(last) if last.is_equal(resource) => save(LastPrimary::now(Who::Nobody, last.node, "demoted")),
            // Until the disks are equal, what the peer has as the last Primary counts.
            Some(_) => false,
        },
    };
    if is_noted {
        record.peer_was_primary = Some(primary.is_some());
        record.primary_peer = node;
    }
}

/// The resource is gone without a stop, or is to be: its score goes too.
pub(super) fn is_gone(cx: &Context, record: &mut Record) {
    if record.score.as_ref().is_some_and(Written::may_stand) {
        attribute::write(cx, record, Score::None, Writing::Again);
    }
    record.forget_run();
}

/// An entry of the guard that is made now.
pub(super) fn entry(reason: Reason, by: &str, detail: &str) -> Entry {
    Entry { reason, since: now(), by: by.to_owned(), detail: detail.to_owned() }
}

/// Whether Pacemaker has more than one instance promoted; `None` without Pacemaker.
fn may_be_two(cx: &Context) -> Option<bool> {
    promoted_max(cx).map(|max| max > 1)
}

/// How many instances may be promoted, by its new name and its old one.
pub(super) fn promoted_max(cx: &Context) -> Option<u32> {
    meta(cx, &["promoted_max", "master_max"])?.trim().parse().ok()
}

/// The first of these variables that Pacemaker has set for the clone.
pub(super) fn meta<'a>(cx: &'a Context, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| cx.env.get(&format!("OCF_RESKEY_CRM_meta_{name}")))
}

/// Whether Pacemaker knows of a promoted instance: as a notification says, or else by asking.
fn knows_a_promoted_one(cx: &Context) -> bool {
    let told = ["notify_promoted_uname", "notify_master_uname"].iter().find_map(|name| meta(cx, &[name]));
    if let Some(nodes) = told {
        return !nodes.trim().is_empty();
    }
    let ask = |tool: Tool| tool.ok(&["--resource", cx.env.instance(), "--locate"], cx.deadline.share(0.3).within(LOCATE));
    match Tool::find(cx.root, "crm_resource").and_then(ask) {
        // " Promoted" since Pacemaker 2.1, " Master" before.
        Ok(text) => text.lines().any(|line| [" Promoted", " Master"].iter().any(|role| line.trim_end().ends_with(role))),
        Err(e) => {
            tracing::debug!("{e}");
            true
        }
    }
}

/// Logs a finding that is not what was logged last. Numbers that go up or down make none new.
fn log_if_new(record: &mut Record, finding: &health::Finding) {
    let key: String = finding.text().chars().filter(|c| !c.is_ascii_digit()).collect();
    if record.finding == key {
        return;
    }
    match finding {
        health::Finding::Fine => tracing::info!("all is well again"),
        health::Finding::Look(why) => tracing::warn!("{why}"),
        health::Finding::Broken(why) | health::Finding::Partial(why) => tracing::error!("{why}"),
    }
    record.finding = key;
}
