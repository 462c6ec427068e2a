//! Several volumes, on 8.4: each has a disk and a role of its own.

use ocf_san::agents::drbd_helper::guard::Reason;

use super::{Beside, HEALTHY, NOTHING, SPLIT, answer, holds, minor, of_proc};

#[test]
fn the_worst_volume_decides_and_is_named() {
    let healthy = "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----";
    let lost = "cs:Connected ro:Primary/Secondary ds:Diskless/Inconsistent C r-----";
    let target = "cs:SyncTarget ro:Primary/Secondary ds:Inconsistent/UpToDate C r-----";
    let two = |other: &str| of_proc(&(minor(0, healthy) + &minor(7, other)));
    let (code, why, points) = answer(&two(lost), NOTHING);
    assert_eq!((code, points.as_str()), (9, "-"), "{why}");
    assert!(why.starts_with("r0/1: the disk is Diskless"), "{why}");
    let (code, why, points) = answer(&two(target), NOTHING);
    assert_eq!((code, points.as_str()), (191, "9999"), "{why}");
    assert!(why.starts_with("r0/1: being brought up to date"), "{why}");
}

#[test]
fn a_resource_of_which_a_part_is_primary_is_not_fine_and_no_failure() {
    let (primary, secondary) = ("cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----", HEALTHY);
    let cut = "cs:StandAlone ro:Primary/Unknown ds:UpToDate/Outdated   r-----";
    let of = |volumes| Beside { volumes, ..NOTHING };
    let guarded = Beside { guard: Some(Reason::SplitBrain), ..NOTHING };
    let new = "cs:Connected ro:Secondary/Secondary ds:Inconsistent/UpToDate C r-----";
    let mixed = format!("{primary}|{secondary}");
    let waiting = |role, disk| format!("cs:WFConnection ro:{role}/Unknown ds:{disk}/DUnknown C r-----");
    let orphan = format!("{}|{}", waiting("Primary", "UpToDate"), waiting("Secondary", "Inconsistent"));
    let says = "r0/0 is Primary and r0/1 is not: drbdadm primary r0, or secondary";
    holds(&[
        ("by halves", &mixed, NOTHING, 191, "10000", says),
        ("the other half", &format!("{secondary}|{primary}"), NOTHING, 191, "10000", "r0/1 is Primary and r0/0 is not"),
        ("as is remembered", &mixed, of(&[(0, 0), (1, 1)]), 191, "10000", says),
        ("guarded, it is no promoted one that is to stay", &format!("{cut}|{SPLIT}"), guarded, 191, "-", "split brain"),
        (
            "two Primaries come first",
            &format!("{}|{secondary}", primary.replace("/Secondary", "/Primary")),
            NOTHING,
            9,
            "10000",
            "and on the peer",
        ),
        (
            "one was added, and serves nobody yet",
            &mixed,
            of(&[(0, 0)]),
            191,
            "10000",
            "r0/1 was added and is not Primary: drbdadm primary r0",
        ),
        ("one is being added", &format!("{primary}|{new}"), of(&[(0, 0)]), 191, "10000", "r0/1: the disk is Inconsistent"),
        ("one was being added when the peer went", &orphan, of(&[(0, 0)]), 191, "10000", "r0/1: the disk is Inconsistent"),
        ("and would be missed if it were in use", &orphan, of(&[(0, 0), (1, 1)]), 9, "-", "r0/1: the disk is Inconsistent"),
        ("all of it", &format!("{primary}|{primary}"), of(&[(0, 0)]), 8, "10000", ""),
    ]);
}

/// One volume is still being copied to the peer, and the disk of the other fails.
#[test]
fn a_primary_that_serves_each_volume_from_one_side_or_the_other_keeps_a_score() {
    let copied = "cs:SyncSource ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----";
    let served = "cs:Connected ro:Primary/Secondary ds:Diskless/UpToDate C r-----";
    let lines = format!("{copied}|{served}");
    let text = |lines: &str| -> String { (0..).zip(lines.split('|')).map(|(number, line)| minor(number, line)).collect() };
    assert_eq!(answer(&of_proc(&text(&lines)), NOTHING).2, "9999");
    assert_eq!(
        answer(&of_proc(&text(&lines.replace("Primary/", "Secondary/"))), NOTHING).2,
        "-",
        "it is not to be promoted for that"
    );
    assert_eq!(answer(&of_proc(&text(&lines.replace("Diskless/UpToDate", "Diskless/Inconsistent"))), NOTHING).2, "-");
}

#[test]
fn a_volume_that_is_being_added_does_not_take_the_score_and_one_that_is_gone_is_seen() {
    let healthy = HEALTHY;
    let new = "cs:Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent C r-----";
    let of = |volumes| Beside { volumes, ..NOTHING };
    let lines = format!("{healthy}|{new}");
    let text: String = (0..).zip(lines.split('|')).map(|(number, line)| minor(number, line)).collect();
    assert_eq!(answer(&of_proc(&text), of(&[(0, 0)])).2, "10000");
    assert_eq!(answer(&of_proc(&text), of(&[(0, 0), (1, 1)])).2, "-");
    holds(&[("gone", healthy, of(&[(0, 0), (1, 1)]), 190, "10000", "r0/1 (minor 1) is gone: drbdadm adjust r0")]);
    let primary = healthy.replace("Secondary/Secondary", "Primary/Secondary");
    let says = "r0/1 (minor 1) is gone: drbdadm adjust r0; drbdadm primary r0";
    holds(&[("gone below a Primary", &primary, of(&[(0, 0), (1, 1)]), 191, "10000", says)]);
}
