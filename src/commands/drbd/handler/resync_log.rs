//! What the kernel log says of the resync that is about to begin: nothing else tells it without a request to DRBD, which on 8.4 can wait for
//! the very handler that asks.
//!
//! Seen on 8.4.11:
//! ```text
//! drbd r0: Handshake successful: Agreed network protocol version 101
//! block drbd10: drbd_sync_handshake:
//! block drbd10: self 64AF5629DBCD46B2:0000000000000000:0000000000000000:0000000000000000 bits:1024 flags:0
//! ```
//! and, instead of these, when the device has grown while connected:
//! ```text
//! block drbd10: Resync of new storage after online grow
//! block drbd10: conn( Connected -> WFSyncUUID ) disk( UpToDate -> Outdated )
//! ```
//! The states of the device are the same in both cases when the handler is called, so the log decides. A resync that somebody asks for while
//! connected goes through `StartingSyncT`, and with the same step makes `Inconsistent` what was whole until then:
//! ```text
//! block drbd10: conn( Connected -> StartingSyncT ) disk( UpToDate -> Inconsistent )
//! ```
//! A disk that is attached while the two are connected is compared without a handshake of the connection:
//! ```text
//! block drbd10: drbd_sync_handshake:
//! block drbd10: conn( Connected -> WFBitMapT ) disk( Negotiating -> Outdated )
//! ```

use crate::commands::drbd::snapshots::Resync;

/// What the log tells of the beginning of a resync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// What started it.
    pub resync: Resync,
    /// Whether the data was whole until then although the disk is called `Inconsistent`: it was invalidated.
    pub was_whole: bool,
}

/// What started the resync of this minor: the last of the lines above that is about it.
#[must_use]
pub fn started(log: &str, resource: &str, minor: u32) -> Start {
    let device = format!("drbd{minor}");
    let mut lines = log.lines().rev().filter_map(Line::of);
    let mut has_compared = false;
    while let Some(line) = lines.next() {
        let mut start = Start { resync: line.micros.map_or(Resync::Untold, Resync::Began), was_whole: false };
        if !line.is_of_device(&device) {
            let is_handshake = line.what.starts_with("Handshake") && line.what.contains("successful");
            if is_handshake && line.is_of_resource(resource) {
                return start;
            }
        } else if line.what.contains("-> StartingSyncT ") {
            // 9 says it in two lines, that of the disk first.
            let is_whole = match line.disk() {
                Some(change) => was_whole(change),
                None if line.what.contains("repl( ") => {
                    lines.find(|line| line.is_of_device(&device)).and_then(|line| line.disk()).is_some_and(was_whole)
                }
                None => false,
            };
            start.was_whole = is_whole;
            return start;
        } else if ["conn( Connected -> WFBitMapT ", "repl( Established -> WFBitMapT "].iter().any(|text| line.what.contains(text))
        {
            return start;
        } else if line.what.starts_with("drbd_sync_handshake") {
            has_compared = true;
        } else if line.what.starts_with("Resync of new storage after online grow") && !has_compared {
            return Start { resync: Resync::Grown, was_whole: false };
        }
    }
    Start { resync: Resync::Untold, was_whole: false }
}

/// `UpToDate -> Inconsistent`.
fn was_whole(change: &str) -> bool {
    matches!(change.split_once(" -> "), Some(("UpToDate" | "Consistent" | "Outdated", "Inconsistent")))
}

/// The data generation that this minor had when the two compared theirs last.
#[must_use]
pub fn generation(log: &str, minor: u32) -> Option<String> {
    let device = format!("drbd{minor}");
    let told = |line: &str| -> Option<String> {
        let line = Line::of(line).filter(|line| line.is_of_device(&device))?;
        line.what.strip_prefix("self ")?.split(' ').next().map(str::to_owned)
    };
    log.lines().rev().find_map(told).filter(|text| text.len() == 67 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'))
}

/// `<6>[ 1001.525484] block drbd10: drbd_sync_handshake:`
struct Line<'a> {
    micros: Option<u64>,
    who: &'a str,
    what: &'a str,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let line = line.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(line, |(_, rest)| rest);
        let stamped = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
        let (stamp, text) = stamped.map_or((None, line), |(stamp, text)| (Some(stamp), text));
        let (who, what) = text.split_once(": ").or_else(|| text.strip_suffix(':').map(|who| (who, "")))?;
        let micros = stamp.and_then(|stamp| {
            let (seconds, part) = stamp.trim().split_once('.')?;
            Some(seconds.parse::<u64>().ok()? * 1_000_000 + part.parse::<u64>().ok()?)
        });
        Some(Self { micros, who, what })
    }

    /// The change of the disk that it tells, if any.
    fn disk(&self) -> Option<&'a str> {
        Some(self.what.split_once("disk( ")?.1.split_once(" )")?.0)
    }

    /// `block drbd10` of 8.4, `drbd r0/0 drbd10 node2` of 9.
    fn is_of_device(&self, device: &str) -> bool {
        self.who.split(' ').skip(1).any(|word| word == device)
    }

    /// `drbd r0` of 8.4, `drbd r0 node2` of 9.
    fn is_of_resource(&self, resource: &str) -> bool {
        let mut words = self.who.split(' ');
        words.next() == Some("drbd") && words.next() == Some(resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
<6>[ 1001.461045] drbd r0: Handshake successful: Agreed network protocol version 101
<6>[ 1001.464175] drbd r0: Feature flags enabled on protocol level: 0xf TRIM THIN_RESYNC WRITE_SAME WRITE_ZEROES.
<6>[ 1001.525484] block drbd10: drbd_sync_handshake:
<6>[ 1001.525648] block drbd10: self 64AF5629DBCD46B2:0000000000000000:0000000000000000:0000000000000000 bits:1024 flags:0
<6>[ 1001.525774] block drbd10: peer 967AF643EA7FFDF3:64AF5629DBCD46B3:64AE5629DBCD46B3:0000000000000000 bits:1024 flags:0
<6>[ 1001.525991] block drbd10: peer( Unknown -> Primary ) conn( WFReportParams -> WFBitMapT ) pdsk( DUnknown -> UpToDate ) 
<6>[ 1002.600513] block drbd10: helper command: /sbin/drbdadm before-resync-target minor-10
";

    fn began(log: &str, resource: &str, minor: u32) -> Resync {
        started(log, resource, minor).resync
    }

    #[test]
    fn a_resync_is_known_by_the_handshake_before_it() {
        assert_eq!(began(LOG, "r0", 10), Resync::Began(1_001_461_045));
        assert_eq!(began(LOG, "r0", 11), Resync::Began(1_001_461_045), "of another volume of the same resource");
        assert_eq!(began(LOG, "r", 10), Resync::Untold);
        assert_eq!(began("", "r0", 10), Resync::Untold);
        assert_eq!(began("drbd r0: Handshake successful: no time", "r0", 10), Resync::Untold);
    }

    #[test]
    fn a_device_that_has_grown_is_told_from_one_that_was_away() {
        let grown = "<6>[ 1053.051061] block drbd10: Resync of new storage after online grow\n\
                     <6>[ 1053.059219] block drbd10: conn( Connected -> WFSyncUUID ) disk( UpToDate -> Outdated ) \n";
        let log = format!("{LOG}{grown}");
        assert_eq!(began(&log, "r0", 10), Resync::Grown);
        assert_eq!(began(&log, "r0", 1), Resync::Began(1_001_461_045), "drbd10 is not drbd1");
        assert_eq!(began(&format!("{log}{LOG}"), "r0", 10), Resync::Began(1_001_461_045), "connected again since");
        let invalidated = "<6>[ 1060.5] block drbd10: conn( Connected -> StartingSyncT ) disk( UpToDate -> Inconsistent ) \n";
        assert!(matches!(began(&format!("{log}{invalidated}"), "r0", 10), Resync::Began(_)));
    }

    #[test]
    fn a_disk_that_was_attached_while_connected_is_not_what_has_grown_before() {
        let log = format!(
            "{LOG}<6>[ 1053.051061] block drbd10: Resync of new storage after online grow\n\
             <6>[ 2000.000001] block drbd10: drbd_sync_handshake:\n\
             <6>[ 2000.000002] block drbd10: self 64AF5629DBCD46B2:0:0:0 bits:0 flags:0\n"
        );
        assert_eq!(began(&log, "r0", 10), Resync::Began(1_001_461_045));
        let attached = "<6>[ 2000.000003] block drbd10: conn( Connected -> WFBitMapT ) disk( Negotiating -> Outdated ) \n";
        let log = format!("{log}{attached}");
        assert_eq!(began(&log, "r0", 10), Resync::Began(2_000_000_003), "a resync of its own");
        assert_eq!(
            began(&format!("{log}<6>[ 2001.0] block drbd10: Resync of new storage after online grow"), "r0", 10),
            Resync::Grown
        );
    }

    #[test]
    fn what_somebody_has_invalidated_was_whole_until_then() {
        let is_whole = |lines: &str| started(&format!("{LOG}{lines}"), "r0", 10).was_whole;
        for disk in ["UpToDate", "Consistent", "Outdated"] {
            let line = format!("<6>[ 1060.5] block drbd10: conn( Connected -> StartingSyncT ) disk( {disk} -> Inconsistent ) \n");
            assert!(is_whole(&line));
            let since = format!("{line}<6>[ 1060.6] block drbd10: conn( StartingSyncT -> WFSyncUUID ) \n");
            assert!(is_whole(&since));
            assert!(!is_whole(&format!("{since}{LOG}")), "connected again: the first resync has been at it");
        }
        assert!(!is_whole("<6>[ 1060.5] block drbd10: conn( Connected -> StartingSyncT ) \n"), "Inconsistent already");
        let nine = "<6>[ 1060.5] drbd r0/0 drbd10: disk( UpToDate -> Inconsistent ) [invalidate]\n\
                    <6>[ 1060.5] drbd r0/0 drbd10 node2: repl( Established -> StartingSyncT ) [invalidate]\n";
        assert!(is_whole(nine));
        assert!(!is_whole("<6>[ 1060.5] drbd r0/0 drbd10 node2: repl( Established -> StartingSyncT ) [invalidate]\n"));
    }

    #[test]
    fn drbd_9_names_the_peer_too() {
        let log = "<6>[   12.000001] drbd r0 node2: Handshake to peer 1 successful: Agreed network protocol version 122\n\
                   <6>[   12.000002] drbd r0/0 drbd10 node2: self AAAAAAAAAAAAAAA0:0000000000000000:0000000000000000:0000000000000000 bits:0 flags:120\n";
        assert_eq!(began(log, "r0", 10), Resync::Began(12_000_001));
        assert_eq!(generation(log, 10).unwrap().len(), 67);
        let grown = format!("{log}<6>[   13.0] drbd r0/0 drbd10 node2: Resync of new storage after online grow\n");
        assert_eq!(began(&grown, "r0", 10), Resync::Grown);
    }

    #[test]
    fn the_generation_is_the_one_of_this_side() {
        assert_eq!(generation(LOG, 10).as_deref(), Some("64AF5629DBCD46B2:0000000000000000:0000000000000000:0000000000000000"));
        assert_eq!(generation(LOG, 1), None);
        assert_eq!(generation("<6>[ 1.0] block drbd10: self rubbish bits:0", 10), None);
    }
}
