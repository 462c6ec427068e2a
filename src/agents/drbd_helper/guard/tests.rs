//! Tests of the guard.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::super::handlers::state_dir;
use super::place::{PATIENCE, lock_name};
use super::*;
use crate::kernel::lock::Lock;
use crate::ocf::reason;

fn entry(reason: Reason) -> Entry {
    Entry { reason, since: "2026-01-31T12:00:00Z".into(), by: "test".into(), detail: String::new() }
}

#[test]
fn a_reason_stands_once_until_it_is_cleared() {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    assert!(Guard::load(&root, "r0").unwrap().is_empty());
    assert!(Guard::add(&root, "r0", entry(Reason::SplitBrain)).unwrap());
    assert!(!Guard::add(&root, "r0", entry(Reason::SplitBrain)).unwrap());
    assert!(Guard::add(&root, "r0", entry(Reason::IoError)).unwrap());
    assert!(Guard::load(&root, "r1").unwrap().is_empty());
    let guard = Guard::load(&root, "r0").unwrap();
    assert_eq!(guard.to_string(), "split brain since 2026-01-31T12:00:00Z and 1 more");
    assert!(Guard::clear(&root, "r0", |reason| reason == Reason::SplitBrain).unwrap());
    assert!(Guard::load(&root, "r0").unwrap().has(Reason::IoError));
    assert!(Guard::clear(&root, "r0", |_| true).unwrap());
    assert!(!Guard::clear(&root, "r0", |_| true).unwrap());
    assert!(!root.path("/var/lib/ocf-san/drbd/r0/guard.json").exists());
}

#[test]
fn two_who_change_it_at_once_both_have_their_way() {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    for round in 0..100 {
        let resource = format!("r{round}");
        Guard::add(&root, &resource, entry(Reason::OlderData)).unwrap();
        thread::scope(|scope| {
            for reason in [Reason::SplitBrain, Reason::IoError] {
                let (root, resource) = (&root, &resource);
                scope.spawn(move || Guard::add(root, resource, entry(reason)).unwrap());
            }
            scope.spawn(|| Guard::clear(&root, &resource, |reason| reason == Reason::OlderData).unwrap());
        });
        let guard = Guard::load(&root, &resource).unwrap();
        assert!(guard.has(Reason::SplitBrain) && guard.has(Reason::IoError) && !guard.has(Reason::OlderData), "{guard:?}");
    }
}

#[test]
fn whoever_holds_it_for_too_long_keeps_nobody_from_adding_a_reason_and_nothing_is_taken_away_beside_him() {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    let held = Lock::take(&state_dir(&root), &lock_name("r0"), || ()).unwrap();
    let before = Instant::now();
    assert!(Guard::add(&root, "r0", entry(Reason::SplitBrain)).unwrap());
    assert!(Guard::clear(&root, "r0", |_| true).is_err());
    assert!(!Guard::clear(&root, "r0", |reason| reason == Reason::IoError).unwrap());
    assert!(before.elapsed() < PATIENCE * 3);
    drop(held);
    assert!(Guard::clear(&root, "r0", |_| true).unwrap());
}

#[test]
fn what_can_not_be_written_stands_until_it_is_cleared_and_is_written_once_that_works() {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    let broken = root.path("/var/lib/ocf-san/drbd/r0");
    fs::create_dir_all(broken.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("nowhere", &broken).unwrap();
    let until_boot = root.path("/run/ocf-san/drbd/r0.guard.json");
    for reason in [Reason::OlderData, Reason::SplitBrain, Reason::SplitBrain] {
        Guard::add(&root, "r0", entry(reason)).unwrap_err();
    }
    let guard = Guard::load(&root, "r0").unwrap();
    assert!(guard.has(Reason::OlderData) && guard.has(Reason::SplitBrain) && guard.entries.len() == 2);
    assert!(Guard::clear(&root, "r0", |reason| reason == Reason::OlderData).unwrap());
    assert!(!Guard::load(&root, "r0").unwrap().has(Reason::OlderData) && until_boot.exists());
    Guard::settle(&root, "r0").unwrap_err();
    fs::remove_file(&broken).unwrap();
    Guard::settle(&root, "r0").unwrap();
    assert!(broken.join(FILE).exists() && !until_boot.exists());
    assert!(Guard::load(&root, "r0").unwrap().has(Reason::SplitBrain));
    assert!(Guard::clear(&root, "r0", |_| true).unwrap() && Guard::load(&root, "r0").unwrap().is_empty());
    Guard::settle(&root, "r0").unwrap();
    assert!(!broken.join(FILE).exists());
}

#[test]
fn what_stands_until_the_next_boot_is_seen_beside_a_guard_that_can_not_be_read() {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    root.dir("/var/lib/ocf-san/drbd/r0/guard.json").create_all(0o755).unwrap();
    Guard::add(&root, "r0", entry(Reason::IoError)).unwrap_err();
    let guard = Guard::load_or_unreadable(&root, "r0");
    assert!(guard.has(Reason::IoError) && guard.has(Reason::Unreadable));
    let says = "r0: I/O error, the guard could not be read (/var/lib/ocf-san/drbd/r0/guard.json): ocf-san drbd guard clear r0";
    assert_eq!(guard.complaint("r0").as_deref(), Some(says));
    assert!(says.len() <= reason::MAX);
    root.dir("/var/lib/ocf-san/drbd/r0/guard.json").remove().unwrap();
    assert_eq!(Guard::load(&root, "r0").unwrap().complaint("r0").as_deref(), Some(says), "it is remembered");
    Guard::discard(&root, "r0").unwrap();
    root.dir("/run/ocf-san/drbd").set("r0.guard.json", "{").unwrap();
    let guard = Guard::load_or_unreadable(&root, "r0");
    assert!(guard.complaint("r0").unwrap().contains(" (/run/ocf-san/drbd/r0.guard.json): "), "{guard:?}");
    Guard::discard(&root, "r0").unwrap();
    assert_eq!(Guard::load_or_unreadable(&root, "r0").complaint("r0"), None);
}

#[test]
fn a_guard_that_can_not_be_understood_is_an_error_and_not_none() {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    records_of(&root, "r0").set(FILE, "{").unwrap();
    assert!(Guard::load(&root, "r0").is_err());
    assert!(Guard::add(&root, "r0", entry(Reason::IoError)).unwrap());
    let guard = Guard::load(&root, "r0").unwrap();
    assert!(guard.has(Reason::IoError) && guard.has(Reason::Unreadable));
}

#[test]
fn what_has_no_place_on_the_disk_stands_all_the_same() {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    fs::write(root.path("/var"), "").unwrap();
    Guard::add(&root, "r0", entry(Reason::OlderData)).unwrap_err();
    assert!(Guard::load(&root, "r0").unwrap().has(Reason::OlderData));
    fs::remove_file(root.path("/var")).unwrap();
    assert!(!Guard::add(&root, "r0", entry(Reason::OlderData)).unwrap(), "known, and on the disk from now on");
    assert!(root.path("/var/lib/ocf-san/drbd/r0/guard.json").exists() && !is_unwritten(&root, "r0"));
}

#[test]
fn a_reason_stands_before_a_disk_that_hangs_is_touched() {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    let (disk, until_boot) = (root.path("/var/lib/ocf-san/drbd/r0/guard.json"), root.path("/run/ocf-san/drbd/r0.guard.json"));
    fs::create_dir_all(disk.parent().unwrap()).unwrap();
    // Whoever opens it waits until somebody writes.
    mkfifo(&disk, Mode::S_IRWXU).unwrap();
    let machine = root.clone();
    let adding = thread::spawn(move || Guard::add(&machine, "r0", entry(Reason::IoError)).unwrap());
    let began = Instant::now();
    while !until_boot.exists() {
        assert!(began.elapsed() < Duration::from_secs(20) && !adding.is_finished());
        thread::sleep(Duration::from_millis(5));
    }
    assert!(fs::read_to_string(&until_boot).unwrap().contains("io-error"));
    fs::write(&disk, "{}").unwrap();
    assert!(adding.join().unwrap());
    assert!(!until_boot.exists() && Guard::load(&root, "r0").unwrap().has(Reason::IoError));
}

#[test]
fn whoever_reads_it_while_it_moves_to_the_disk_sees_it() {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    let text = serde_json::to_string(&Guard { entries: vec![entry(Reason::SplitBrain)] }).unwrap();
    for round in 0..200 {
        let resource = format!("r{round}");
        state_dir(&root).set(format!("{resource}.guard.json"), &text).unwrap();
        thread::scope(|scope| {
            let moving = scope.spawn(|| Guard::settle(&root, &resource).unwrap());
            while !moving.is_finished() {
                assert!(Guard::load(&root, &resource).unwrap().has(Reason::SplitBrain));
            }
        });
        assert!(!is_unwritten(&root, &resource) && Guard::load(&root, &resource).unwrap().has(Reason::SplitBrain));
    }
}

#[test]
fn what_was_added_beside_the_lock_is_not_taken_away_with_what_is_on_the_disk() {
    let keep = tempfile::tempdir().unwrap();
    let root = Root::fake(keep.path());
    let of = |reasons: &[Reason]| Guard { entries: reasons.iter().copied().map(entry).collect() };
    let both = of(&[Reason::SplitBrain, Reason::IoError]);
    both.write(&state_dir(&root), "r0.guard.json").unwrap();
    of(&[Reason::SplitBrain]).save_for_good(&root, "r0").unwrap();
    assert_eq!(Guard::load(&root, "r0").unwrap(), both);
    both.save_for_good(&root, "r0").unwrap();
    assert!(!is_unwritten(&root, "r0"));
}
