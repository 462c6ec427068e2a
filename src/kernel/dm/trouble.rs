//! What is wrong with a target, for the one line that says why a resource is degraded.

use super::decode::TargetLine;
use super::health::{Health, Ratio};

/// What is wrong with a target, in short lower-case words; `None` when nothing is, or when it is of a kind that says nothing about itself.
/// A pool, a snapshot or a VDO volume that is used by `warn_percent` or more is.
#[must_use]
pub fn trouble(line: &TargetLine, warn_percent: u8) -> Option<String> {
    match Health::of(line)? {
        Health::Good | Health::Multipath { failed: 0, .. } => None,
        Health::Broken(what) => Some(what.to_owned()),
        Health::Unreadable => Some(format!("unreadable status of {}", line.kind)),
        Health::Raid { legs, done, action, mismatches, journal_failed } => failed_legs("raid", &legs, |leg| leg == 'D')
            .or_else(|| journal_failed.then(|| "raid journal failed".to_owned()))
            .or_else(|| out_of_sync(&legs, done, &action))
            .or_else(|| (mismatches > 0).then(|| format!("raid legs differ in {mismatches} sectors"))),
        Health::Mirror { legs, synced, log_failed } => failed_legs("mirror", &legs, |leg| leg != 'A')
            .or_else(|| log_failed.then(|| "mirror log failed".to_owned()))
            .or_else(|| (synced.percent() < 100).then(|| format!("mirror {} % in sync", synced.percent()))),
        Health::Striped { legs } => failed_legs("stripe", &legs, |leg| leg != 'A'),
        Health::ThinPool { metadata, data, mode, needs_check } => pool(metadata, data, &mode, needs_check, warn_percent),
        Health::Snapshot { used } => used.past(warn_percent).then(|| format!("snapshot {} % full", used.percent())),
        Health::Cache { needs_check: true, .. } => Some("cache metadata needs a check".to_owned()),
        Health::Cache { read_only, .. } => read_only.then(|| "cache metadata read-only".to_owned()),
        Health::WriteCache { error } => (error != 0).then(|| format!("writecache error {}", error.unsigned_abs())),
        Health::Multipath { paths, failed } if failed == paths => Some("every path failed".to_owned()),
        Health::Multipath { paths, failed } => Some(format!("{failed} of {paths} paths failed")),
        Health::Vdo { mode, .. } if mode != "normal" => Some(format!("vdo {mode}")),
        Health::Vdo { used, .. } => used.past(warn_percent).then(|| format!("vdo {} % full", used.percent())),
    }
}

/// `raid leg 1 failed`, `raid legs 0, 2 failed`: counted from 0, as LVM names them.
fn failed_legs(of: &str, legs: &str, failed: impl Fn(char) -> bool) -> Option<String> {
    let failed: Vec<String> = legs.chars().enumerate().filter(|(_, leg)| failed(*leg)).map(|(n, _)| n.to_string()).collect();
    let many = if failed.len() == 1 { "leg" } else { "legs" };
    (!failed.is_empty()).then(|| format!("{of} {many} {} failed", failed.join(", ")))
}

fn out_of_sync(legs: &str, done: Ratio, action: &str) -> Option<String> {
    // These go over legs that are in sync, so how far they are says nothing.
    if ["check", "repair", "reshape"].contains(&action) {
        return None;
    }
    if done.percent() < 100 {
        return Some(format!("raid {} % in sync", done.percent()));
    }
    legs.contains('a').then(|| "raid not in sync".to_owned())
}

fn pool(metadata: Ratio, data: Ratio, mode: &str, needs_check: bool, warn_percent: u8) -> Option<String> {
    let full = |what, of: Ratio| of.past(warn_percent).then(|| format!("pool {what} {} % full", of.percent()));
    match mode {
        _ if needs_check => Some("pool metadata needs a check".to_owned()),
        "ro" => Some("pool metadata read-only".to_owned()),
        "out_of_data_space" => Some("pool out of data space".to_owned()),
        _ => full("data", data).or_else(|| full("metadata", metadata)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, params: &str) -> Option<String> {
        trouble(&TargetLine { start: 0, length: 40960, kind: kind.into(), params: params.into() }, 90)
    }

    #[test]
    fn what_a_kernel_said_of_targets_that_work_is_no_trouble() {
        for (kind, params) in [
            ("raid", "raid1 2 AA 81920/81920 idle 0 0 -"),
            ("raid", "raid5_ls 3 AAA 40960/40960 idle 0 0 -"),
            ("raid", "raid0 2 AA 40960/40960 idle 0 0 -"),
            ("raid", "raid1 2 AA 0/81920 check 0 0 -"),
            ("raid", "raid1 2 AA 81920/81920"),
            ("mirror", "2 253:16 253:17 10/10 1 AA 3 disk 253:15 A"),
            ("mirror", "2 253:16 253:17 10/10 1 AA 1 core"),
            ("striped", "2 7:1 7:2 1 AA"),
            ("thin-pool", "1 112/1024 0/320 - rw discard_passdown queue_if_no_space - 256 "),
            ("thin", "0 -"),
            ("thin", "39040 39039"),
            ("snapshot", "3096/8192 24"),
            ("snapshot-origin", ""),
            ("linear", ""),
            ("cache", "8 9/2048 128 0/128 0 35 0 0 0 0 0 2 metadata2 writethrough 2 migration_threshold 2048 smq 0 rw - "),
            (
                "cache",
                "8 9/2048 128 0/64 0 35 0 0 0 0 0 2 metadata2 writethrough 2 migration_threshold 2048 mq 10 random_threshold 0 \
                 sequential_threshold 0 discard_promote_adjustment 0 read_promote_adjustment 0 write_promote_adjustment 0 rw - ",
            ),
            ("writecache", "0 3060 3060 0 84 0 0 0 0 0 0 0 0 0"),
            ("multipath", "2 0 0 0 2 1 A 0 1 2 8:16 A 0 0 1 E 0 1 2 8:32 A 0 0 1 "),
            ("vdo", "/dev/dm-3 normal - online online 524288 1048576"),
            ("zero", "whatever"),
        ] {
            assert_eq!(of(kind, params), None, "{kind} {params}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_a_few_words() {
        for (kind, params, words) in [
            ("raid", "raid1 2 AD 81920/81920 idle 3968 0 -", "raid leg 1 failed"),
            ("raid", "raid6_zr 5 DAADA 100/100 idle 0 0 -", "raid legs 0, 3 failed"),
            ("raid", "raid1 2 aa 31104/163840 resync 0 0 -", "raid 18 % in sync"),
            ("raid", "raid1 2 Aa 100/100 frozen 0 0 -", "raid not in sync"),
            ("raid", "raid1 2 AA 100/100 idle 128 0 -", "raid legs differ in 128 sectors"),
            ("raid", "raid5_ls 3 AAA 100/100 idle 0 0 D", "raid journal failed"),
            ("mirror", "2 253:16 253:17 10/10 1 AD 3 disk 253:15 A", "mirror leg 1 failed"),
            ("mirror", "2 253:16 253:17 10/10 1 AA 3 disk 253:15 D", "mirror log failed"),
            ("mirror", "2 253:16 253:17 4/10 1 AA 1 core", "mirror 40 % in sync"),
            ("striped", "2 253:15 7:4 1 DA", "stripe leg 0 failed"),
            ("thin-pool", "1 118/1024 305/320 - rw discard_passdown queue_if_no_space - 256 ", "pool data 95 % full"),
            ("thin-pool", "1 1000/1024 3/320 - rw discard_passdown queue_if_no_space - 256 ", "pool metadata 97 % full"),
            (
                "thin-pool",
                "1 114/1024 320/320 - out_of_data_space discard_passdown error_if_no_space - 256 ",
                "pool out of data space",
            ),
            ("thin-pool", "1 114/1024 3/320 - ro discard_passdown error_if_no_space - 256", "pool metadata read-only"),
            (
                "thin-pool",
                "1 114/1024 3/320 - ro discard_passdown error_if_no_space needs_check 256",
                "pool metadata needs a check",
            ),
            ("thin-pool", "Fail", "pool failed"),
            ("thin", "Fail", "thin volume failed"),
            ("snapshot", "7700/8192 24", "snapshot 93 % full"),
            ("snapshot", "Invalid", "snapshot invalid"),
            ("snapshot-merge", "Merge failed", "snapshot merge failed"),
            ("snapshot", "Overflow", "snapshot overflowed"),
            ("cache", "Fail", "cache failed"),
            ("cache", "8 9/2048 128 0/128 0 35 0 0 0 0 0 1 writethrough 0 smq 0 ro needs_check ", "cache metadata needs a check"),
            ("cache", "8 9/2048 128 0/128 0 35 0 0 0 0 0 1 writethrough 0 smq 0 ro - ", "cache metadata read-only"),
            ("writecache", "-5 3060 3060 0", "writecache error 5"),
            ("multipath", "2 0 0 0 2 1 A 0 1 2 8:16 A 0 0 1 E 0 1 2 8:32 F 3 0 1 ", "1 of 2 paths failed"),
            ("multipath", "2 0 0 0 1 1 E 0 2 0 8:16 F 1 8:32 F 3", "every path failed"),
            ("vdo", "/dev/dm-3 read-only - online online 524288 1048576", "vdo read-only"),
            ("vdo", "/dev/dm-3 normal - online online 1000000 1048576", "vdo 95 % full"),
            ("error", "", "every i/o fails: error target"),
        ] {
            assert_eq!(of(kind, params).as_deref(), Some(words), "{kind} {params}");
        }
    }

    #[test]
    fn a_state_that_is_cut_short_is_no_good_one() {
        for (kind, params, enough) in [
            ("raid", "raid1 2 AA 81920/81920 idle 0 0 -", 4),
            ("mirror", "2 253:16 253:17 10/10 1 AA 3 disk 253:15 A", 10),
            ("striped", "2 7:1 7:2 1 AA", 5),
            ("thin-pool", "1 112/1024 0/320 - rw discard_passdown queue_if_no_space - 256", 5),
            ("thin", "0 -", 1),
            ("snapshot", "16/8192 16", 1),
            ("cache", "8 9/2048 128 0/128 0 35 0 0 0 0 0 1 writethrough 0 smq 0 rw -", 17),
            ("writecache", "0 3060 3060 0", 1),
            ("multipath", "2 0 0 0 2 1 A 0 1 2 8:16 A 0 0 1 E 0 1 2 8:32 A 0 0 1", 24),
            ("vdo", "/dev/dm-3 normal - online online 524288 1048576", 7),
        ] {
            let words: Vec<&str> = params.split(' ').collect();
            for end in 0..=words.len() {
                let unreadable = of(kind, &words[..end].join(" ")).map(|words| words.starts_with("unreadable status of "));
                assert_eq!(unreadable.is_some(), end < enough, "{kind}: {end} words");
                assert!(unreadable.unwrap_or(true), "{kind}: {end} words");
            }
        }
        for (kind, params) in
            [("raid", "raid1 3 AA 1/1"), ("raid", "raid1 99999999999999999999 AA 1/1"), ("mirror", "4294967295 1")]
        {
            assert_eq!(of(kind, params), Some(format!("unreadable status of {kind}")));
        }
    }

    #[test]
    fn the_limit_is_the_callers() {
        let line = TargetLine { start: 0, length: 8, kind: "snapshot".into(), params: "50/100 0".into() };
        assert_eq!((trouble(&line, 51), trouble(&line, 50).as_deref()), (None, Some("snapshot 50 % full")));
        let nothing = Ratio { used: 0, total: 0 };
        assert!(!nothing.past(0) && nothing.percent() == 100);
        assert_eq!(Ratio { used: u64::MAX, total: 1 }.percent(), u64::MAX);
    }
}
