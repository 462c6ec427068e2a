//! What an instance knows of itself until its stop or a reboot: one small file, read by each monitor and written when something changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kernel::task;
use crate::ocf::run::Context;
use crate::ocf::state_file::{StateFile, file_name};

/// The state of an instance. An older version may have written it: what is missing has a default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub struct Record {
    /// The volumes in use and their minors, as far as a start or a monitor has seen them whole.
    pub volumes: Vec<(u32, u32)>,
    /// Whether a start came to its end, and no stop has since.
    pub is_started: bool,
    /// When that was, in clock ticks since boot.
    pub started: u64,
    /// Whether a start has made it, and nothing has connected it since.
    pub never_connected: bool,
    /// Whether it stands alone because both were Primary when they met, of data that have one history.
    pub met_as_primaries: bool,
    /// Whether the peer that was Primary last has been connected since, and told of its data; any peer where it has no name.
    pub was_connected: bool,
    /// Whether the peer was Primary when last seen.
    pub peer_was_primary: Option<bool>,
    /// The name of that peer, as far as it is known.
    pub primary_peer: Option<String>,
    /// Since when I/O stands still, in clock ticks since boot.
    pub frozen_since: Option<u64>,
    /// The promotion score as it was last written.
    pub score: Option<Written>,
    /// What the log was last told of how it is; empty when all was well.
    pub finding: String,
    /// When the handler that unfences is called next, in clock ticks since boot; `None` where not all disks are up to date or it is not
    /// promoted.
    pub unfence_at: Option<u64>,
    /// When the handler fence-peer is asked again, in clock ticks since boot; `None` where no I/O waits for its answer.
    pub refence_at: Option<u64>,
    /// Whether it has been asked again since the I/O stands still.
    pub is_refenced: bool,
    /// How many peers were connected when last seen.
    pub connected_peers: usize,
    /// Whether Pacemaker knew of a promoted instance when a Primary peer was first seen.
    pub primary_is_expected: bool,
}

/// A promotion score that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The score; `None` when it was taken away.
    pub value: Option<u32>,
    /// When, in clock ticks since boot.
    pub at: u64,
    /// What became of it.
    #[serde(default)]
    pub kept: Kept,
    /// The process number and start time of the node's controller.
    #[serde(default)]
    pub controller: Option<(i32, u64)>,
    /// Since when the CIB may have lost it, as far as pacemaker-attrd is not told, in clock ticks since boot.
    #[serde(default)]
    pub doubted: Option<u64>,
}

/// What became of a score that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Nobody knows: writing it failed, or came back too late.
    #[default]
    Unsure,
    /// It was taken, by a process that was not found.
    Somewhere,
    /// The process with this number and start time keeps it.
    By(i32, u64),
}

impl Written {
    /// Whether a score may be there.
    #[must_use]
    pub fn may_stand(&self) -> bool {
        self.value.is_some() || self.kept == Kept::Unsure
    }
}

fn file(cx: &Context, resource: &str) -> StateFile {
    StateFile::new(cx, "DRBD-helper", &format!("{}.json", file_name(resource)))
}

impl Record {
    /// What is known of the resource; nothing when there is no record, or none that can be understood.
    #[must_use]
    pub fn load(cx: &Context, resource: &str) -> Self {
        let text = file(cx, resource).read().inspect_err(|e| tracing::warn!("{e}")).ok().flatten();
        let parse = |text: String| serde_json::from_str(&text).inspect_err(|e| tracing::warn!("the record is ignored: {e}")).ok();
        text.and_then(parse).unwrap_or_default()
    }

    /// Writes it down if it is not as it was. That this fails is logged: what is lost is found out again.
    pub fn save(&self, cx: &Context, resource: &str, was: &Self) {
        if self == was {
            return;
        }
        let written = serde_json::to_vec(self).map(|text| file(cx, resource).write(&text));
        match written {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!("{e}"),
            Err(e) => tracing::warn!("{e}"),
        }
    }

    /// The cluster's controller may have deleted the score from the CIB, or may still: [`super::attribute`] says when.
    pub fn doubt_score(&mut self) {
        if let Some(score) = &mut self.score {
            score.doubted = Some(now());
        }
    }

    /// So many peers are connected now. Where one has come back, Pacemaker on it may just have deleted the score.
    pub fn note_peers(&mut self, connected: usize) {
        if connected > self.connected_peers {
            self.doubt_score();
        }
        self.connected_peers = connected;
    }

    /// The resource is not there any more: what it knew of its peers while it was up proves nothing for the next time.
    pub fn forget_run(&mut self) {
        let Self { volumes, score, finding, .. } = std::mem::take(self);
        *self = Self { volumes, score, finding, ..Self::default() };
    }

    /// Forgets it.
    pub fn forget(cx: &Context, resource: &str) {
        if let Err(e) = file(cx, resource).remove() {
            tracing::warn!("{e}");
        }
    }
}

/// Now, in clock ticks since boot.
#[must_use]
pub fn now() -> u64 {
    task::now_in_ticks().unwrap_or(0)
}

/// So much later than now, in clock ticks since boot.
#[must_use]
pub fn later(by: Duration) -> u64 {
    now().saturating_add(u64::try_from(by.as_millis() / 10).unwrap_or(u64::MAX))
}

/// How long ago that was.
#[must_use]
pub fn since(moment: u64) -> Duration {
    Duration::from_millis(now().saturating_sub(moment) * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_an_older_version_is_read_and_its_score_written_again() {
        let old = r#"{"volumes":[[0,10]],"is_started":true,"score":{"value":10000,"at":7,"keeper":[812,90]}}"#;
        let record: Record = serde_json::from_str(old).unwrap();
        assert!(record.is_started && record.volumes == [(0, 10)]);
        let score = Written { value: Some(10000), at: 7, kept: Kept::Unsure, controller: None, doubted: None };
        assert_eq!(record.score, Some(score));
    }

    #[test]
    fn a_score_is_doubted_when_a_peer_comes_back_and_not_when_one_goes() {
        let written = || Written { value: Some(10), at: 0, kept: Kept::Somewhere, controller: None, doubted: None };
        for (peers, is_doubted) in
            [(&[0, 1][..], true), (&[1, 1], false), (&[2, 1], false), (&[2, 1, 1], false), (&[2, 1, 2], true), (&[1, 0], false)]
        {
            let mut record = Record { connected_peers: peers[0], score: Some(written()), ..Record::default() };
            for connected in &peers[1..] {
                record.note_peers(*connected);
            }
            assert_eq!(record.score.unwrap().doubted.is_some(), is_doubted, "{peers:?}");
        }
        let mut without = Record::default();
        without.note_peers(1);
        assert!(without.score.is_none() && without.connected_peers == 1);
    }

    #[test]
    fn a_score_whose_writing_failed_may_stand_even_if_it_was_to_go() {
        let written = |value, kept| Written { value, at: 0, kept, controller: None, doubted: None };
        assert!(written(Some(1), Kept::Somewhere).may_stand() && written(None, Kept::Unsure).may_stand());
        assert!(!written(None, Kept::By(1, 2)).may_stand());
    }
}
