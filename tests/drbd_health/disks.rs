//! The disks on both sides and what they are doing, on 8.4.

use super::{NOTHING, holds};

#[test]
fn the_disk_and_who_serves_instead_decide_between_degraded_and_failed() {
    holds(&[
        (
            "promoted on the peer's disk",
            "cs:Connected ro:Primary/Secondary ds:Diskless/UpToDate C r-----",
            NOTHING,
            191,
            "9999",
            "attach r0",
        ),
        (
            "without any good disk",
            "cs:Connected ro:Primary/Secondary ds:Diskless/Inconsistent C r-----",
            NOTHING,
            9,
            "-",
            "Diskless and no peer",
        ),
        (
            "not promoted, without any",
            "cs:WFConnection ro:Secondary/Unknown ds:Diskless/DUnknown C r-----",
            NOTHING,
            1,
            "-",
            "no peer has",
        ),
        ("failed", "cs:WFConnection ro:Primary/Unknown ds:Failed/DUnknown C r-----", NOTHING, 9, "-", "the disk is Failed"),
        (
            "cut off within a resync",
            "cs:WFConnection ro:Secondary/Unknown ds:Inconsistent/DUnknown C r-----",
            NOTHING,
            190,
            "-",
            "Inconsistent",
        ),
        (
            "promoted, and cut off within it",
            "cs:WFConnection ro:Primary/Unknown ds:Inconsistent/DUnknown C r-----",
            NOTHING,
            9,
            "-",
            "Inconsistent",
        ),
        (
            "only consistent",
            "cs:WFConnection ro:Secondary/Unknown ds:Consistent/DUnknown C r-----",
            NOTHING,
            190,
            "-",
            "Consistent",
        ),
        ("being attached", "cs:WFConnection ro:Secondary/Unknown ds:Attaching/DUnknown C r-----", NOTHING, 0, "=", ""),
        ("made, and no more", "cs:Unconfigured", NOTHING, 1, "-", "neither a disk nor a connection"),
        ("paused", "cs:PausedSyncT ro:Secondary/Primary ds:Inconsistent/UpToDate C r--u--", NOTHING, 190, "10", "resume-sync r0"),
        (
            "the peer paused",
            "cs:PausedSyncS ro:Primary/Secondary ds:UpToDate/Inconsistent C r-p---",
            NOTHING,
            191,
            "10000",
            "paused",
        ),
        (
            "the peer lost its disk",
            "cs:Connected ro:Primary/Secondary ds:UpToDate/Diskless C r-----",
            NOTHING,
            191,
            "10000",
            "peer's disk is Diskless",
        ),
        (
            "first attached",
            "cs:StandAlone ro:Secondary/Unknown ds:Inconsistent/DUnknown   r----s",
            NOTHING,
            190,
            "-",
            "Inconsistent",
        ),
        (
            "log suspended",
            "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C r----s",
            NOTHING,
            190,
            "10000",
            "activity log",
        ),
        ("congested", "cs:Ahead ro:Primary/Secondary ds:UpToDate/Consistent A r-----", NOTHING, 191, "10000", "congested"),
        ("verified", "cs:VerifyS ro:Primary/Secondary ds:UpToDate/UpToDate C r-----", NOTHING, 8, "10000", ""),
    ]);
}

/// Whether there was a split brain, and whose data are newer, shows only after it.
#[test]
fn a_handshake_is_no_connection_and_no_failure() {
    holds(&[
        (
            "about to be compared, promoted",
            "cs:WFReportParams ro:Primary/Unknown ds:UpToDate/DUnknown C r-----",
            NOTHING,
            8,
            "10000",
            "",
        ),
        (
            "about to be compared, without a disk of its own",
            "cs:WFReportParams ro:Secondary/Unknown ds:Diskless/DUnknown C r-----",
            NOTHING,
            190,
            "-",
            "Diskless: mend it",
        ),
        (
            "about to be compared, not promoted",
            "cs:WFReportParams ro:Secondary/Primary ds:UpToDate/DUnknown C r-----",
            NOTHING,
            0,
            "1000",
            "",
        ),
        ("being negotiated", "cs:WFReportParams ro:Secondary/Unknown ds:Negotiating/DUnknown C r-----", NOTHING, 0, "=", ""),
    ]);
}
