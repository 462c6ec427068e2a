//! A backing device that does not answer. Everything here is answered in time, and goes on when the device does.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::file::{self, IQN};
use super::initiator::{self, Writer, all_go_on};
use super::tree;
use super::world::{World, sh, sh_within, tasks, until};

/// A running target with a writer at each of its LUNs, and its devices suspended under them.
fn hung(world: &World, luns: usize) -> Vec<Writer> {
    world.write(&file::simple(world, luns));
    world.start();
    initiator::login(IQN);
    let writers: Vec<Writer> = (0..luns as u64).map(Writer::start).collect();
    world.suspend();
    // Long enough for every writer to be waiting.
    sleep(Duration::from_secs(1));
    writers
}

/// What is written down, once all of it is: that may go on beside the answer.
fn evidence() -> Vec<String> {
    let mut found = Vec::new();
    until("evidence is written", 20, || {
        let files = fs::read_dir("/var/log/ocf-san").into_iter().flatten().flatten();
        found = files.map(|entry| fs::read_to_string(entry.path()).unwrap_or_default()).collect();
        !found.is_empty() && found.iter().all(|text| text.ends_with('\n'))
    });
    found
}

/// The devices answer again; what is stuck ends, stop succeeds, and the initiator goes on after a start as if nothing had been.
fn recovers(world: &World, writers: &[Writer], empty: &[String]) {
    world.resume();
    until("what was stuck ends", 20, || tasks("LIO").is_empty());
    world.stop();
    tree::assert_unchanged(empty);
    world.start();
    all_go_on(writers, 60);
}

#[test]
#[ignore = "vm: suspends devices"]
fn a_monitor_sees_the_hang_although_everything_is_enabled() {
    let world = World::warm();
    let writers = hung(&world, 2);
    assert!(tree::is_enabled(IQN));
    world.call("monitor").run().is(190).says(&["/dev/mapper/san-t"]).within(10.0);
    world.call("monitor").set("monitor_on_hang", "fail").run().is(1).says(&["/dev/mapper/san-t"]).within(10.0);
    world.call("monitor").seconds(5).run().is(190).within(5.0);
    world.resume();
    all_go_on(&writers, 20);
    world.call("monitor").run().is(0);
}

#[test]
#[ignore = "vm: suspends devices"]
fn a_busy_disk_is_no_hang() {
    let world = World::warm();
    world.write(&file::simple(&world, 4));
    world.start();
    initiator::login(IQN);
    let writers: Vec<Writer> = (0..4).map(Writer::start).collect();
    for _ in 0..10 {
        world.call("monitor").seconds(5).run().is(0);
    }
    all_go_on(&writers, 20);
}

#[test]
#[ignore = "vm: suspends devices"]
fn a_hung_stop_answers_in_time_with_the_culprit_and_leaves_evidence() {
    let world = World::warm();
    let empty = tree::snapshot();
    let writers = hung(&world, 4);
    let stop = || world.call("stop").seconds(10).set("on_stop_hang", "fail");
    stop().run().is(1).says(&["stop stuck", "suspended", "san-t", "on_stop_hang=fail"]).within(10.0);
    assert!(tree::is_enabled(IQN), "a hung disable still reads as enabled");
    let found = evidence();
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("suspended") && found[0].contains("iscsi_t"), "{}", found[0]);
    let left = tasks("LIO");
    assert_eq!(left.len(), 1, "one worker is left in the kernel: {left:?}");
    stop().run().is(1).says(&["stop stuck", "suspended", "on_stop_hang=fail"]).within(10.0);
    assert_eq!(tasks("LIO"), left, "and no second one beside it");
    // Both give what is left behind a while to end.
    world.call("monitor").run().is(1).says(&["an earlier stop"]).within(8.0);
    world.call("start").run().is(1).within(8.0);
    assert_eq!(tasks("LIO"), left);
    recovers(&world, &writers, &empty);
}

#[test]
#[ignore = "vm: suspends devices"]
fn a_hung_stop_is_answered_in_time_when_an_initiator_has_logged_in_again() {
    let world = World::warm();
    let empty = tree::snapshot();
    let writers = hung(&world, 2);
    // Its NOPs are answered, so the connection is cut under it; the new login waits for the I/O of the old session in iscsi_np.
    sh("ss -K dst 127.0.0.1 dport = 3260");
    until("the portal's thread hangs", 30, || tasks("iscsi_np").iter().any(|(_, state)| *state == 'D'));
    world.call("monitor").run().is(190).within(10.0);
    world.call("stop").seconds(10).run().is(1).says(&["stop stuck"]).within(10.0);
    recovers(&world, &writers, &empty);
}

/// What this agent replaces, with a longer time than its 3 s because Python takes as long to start here: `timeout` waits for a child
/// that can not die.
#[test]
#[ignore = "vm: suspends devices"]
fn the_replaced_way_never_returns_from_the_same_hang() {
    let world = World::warm();
    let writers = hung(&world, 2);
    let limit = Duration::from_secs(12);
    let mut old = std::process::Command::new("timeout").args(["12", "targetctl", "clear"]).spawn().unwrap();
    let begun = Instant::now();
    until("targetctl hangs in the kernel", 12, || tasks("targetctl").iter().any(|(_, state)| *state == 'D'));
    while begun.elapsed() < limit + Duration::from_secs(10) {
        assert!(old.try_wait().unwrap().is_none(), "timeout returned after {:?}: then there is no hang here", begun.elapsed());
        sleep(Duration::from_millis(200));
    }
    world.resume();
    let _ = old.wait();
    drop(writers);
}

#[test]
#[ignore = "vm: suspends devices"]
fn failing_the_backend_ends_the_hang_without_an_error_at_the_initiator() {
    let world = World::warm();
    let empty = tree::snapshot();
    let writers = hung(&world, 2);
    world.call("stop").seconds(20).set("fail_backend", "yes").run().is(0).within(20.0);
    tree::assert_unchanged(&empty);
    let tables = world.tables();
    assert!(tables[..2].iter().all(|table| table.contains("error")), "{tables:?}");
    assert!(tables[2..].iter().all(|table| table.contains("linear")), "a device of ours alone is failed: {tables:?}");
    assert_eq!(world.opened(), [0, 0, 0, 0]);
    sleep(Duration::from_secs(3));
    assert!(writers.iter().all(|writer| writer.errors().is_empty()));
    // What fails all I/O is not shown to anybody again.
    world.call("start").run().is(2).says(&["table of errors"]);
    tree::assert_unchanged(&empty);
    // The layer below comes back.
    for n in 0..2 {
        sh(&format!(
            "dmsetup load san-t{n} --table '0 32768 linear /dev/vdb {}' && dmsetup resume --noudevsync san-t{n}",
            2048 + n * 32768
        ))
        .ok();
    }
    world.resume();
    world.start();
    all_go_on(&writers, 60);
}

#[test]
#[ignore = "vm: suspends devices"]
fn failing_the_backend_touches_nothing_when_nothing_hangs() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    world.start();
    initiator::login(IQN);
    let writer = Writer::start(0);
    world.call("stop").set("fail_backend", "yes").run().is(0);
    assert!(world.tables().iter().all(|table| table.contains("linear")));
    world.start();
    writer.goes_on(60);
}

#[test]
#[ignore = "vm: suspends devices"]
fn level_20_answers_within_its_time_and_does_not_pile_up_readers() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    world.start();
    world.call("monitor").level(20).run().is(0);
    world.suspend();
    let deep = || world.call("monitor").level(20).seconds(8);
    deep().run().is(190).says(&["/dev/mapper/san-t"]).within(8.0);
    let left = tasks("LIO");
    for _ in 0..3 {
        deep().run().is(190).within(8.0);
    }
    assert!(tasks("LIO").len() <= left.len().max(1), "{left:?} {:?}", tasks("LIO"));
    deep().set("monitor_on_hang", "fail").run().is(1).within(8.0);
    world.resume();
    until("the readers end", 20, || tasks("LIO").is_empty());
    world.call("monitor").level(20).run().is(0);
    world.stop();
}

#[test]
#[ignore = "vm: suspends devices"]
fn level_20_reports_a_device_that_answers_with_errors() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    world.start();
    sh("dmsetup load san-t1 --table '0 32768 error' && dmsetup resume --noudevsync san-t1").ok();
    world.call("monitor").run().is(0);
    world.call("monitor").level(20).run().is(1).says(&["/dev/mapper/san-t1"]);
    world.stop();
}

/// It is served all the same, but not found under its name.
#[test]
#[ignore = "vm: renames a device"]
fn level_20_says_of_a_device_that_was_renamed_that_the_next_start_will_fail() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    world.start();
    sh("dmsetup rename san-t1 san-renamed").ok();
    world.call("monitor").level(20).run().is(190).says(&["next start", "/dev/mapper/san-t1"]);
    world.call("monitor").set("monitor_on_hang", "fail").level(20).run().is(190);
    sh("dmsetup rename san-renamed san-t1").ok();
    world.call("monitor").level(20).run().is(0);
    world.stop();
}

#[test]
#[ignore = "vm: suspends devices"]
fn a_configuration_file_whose_disk_hangs_is_told_in_time_and_is_no_failure() {
    let world = World::warm();
    let dir = world.dir.join("mnt");
    sh(&format!("mkfs.ext4 -q {} && mkdir -p {1} && mount {0} {1}", world.dev(3), dir.display())).ok();
    let written = world.write(&file::simple(&world, 2));
    let saved = dir.join("saveconfig.json");
    sh(&format!("cp -p {} {} && sync", written.display(), saved.display())).ok();
    let of = |action: &str| world.call(action).file(&saved);
    of("start").run().is(0);
    of("monitor").level(20).run().is(0);
    sh("echo 3 >/proc/sys/vm/drop_caches && dmsetup suspend --noflush --nolockfs san-t3").ok();
    of("monitor").level(20).seconds(20).run().is(190).says(&["configuration"]).within(20.0);
    of("monitor").level(10).seconds(20).run().is(190).within(20.0);
    // Degraded where what reads it can not be ended.
    let cheap = of("monitor").run();
    assert!([0, 190].contains(&cheap.code), "{cheap:?}");
    of("stop").seconds(20).run().is(0).within(20.0);
    // Probes beside what hangs already, and a start of which nothing is made.
    for _ in 0..2 {
        of("monitor").seconds(20).run().is(7).within(20.0);
    }
    of("start").seconds(20).run().is(1).says(&["configuration"]).within(20.0);
    of("stop").seconds(20).run().is(0).within(20.0);
    sh("dmsetup resume --noudevsync san-t3").ok();
    until("what was stuck ends", 20, || tasks("LIO").is_empty());
    sh(&format!("umount {}", dir.display())).ok();
}

#[test]
#[ignore = "vm: suspends devices"]
fn a_stop_without_any_session_does_not_mind_a_suspended_device() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    let empty = tree::snapshot();
    world.start();
    world.suspend();
    world.call("stop").seconds(10).run().is(0).within(10.0);
    tree::assert_unchanged(&empty);
    world.resume();
}

#[test]
#[ignore = "vm: suspends devices"]
fn a_start_on_a_suspended_device_is_answered_in_time_and_can_be_stopped() {
    let world = World::warm();
    world.write(&file::simple(&world, 2));
    let empty = tree::snapshot();
    world.suspend();
    let outcome = world.call("start").seconds(10).run().within(10.0);
    assert!([0, 1].contains(&outcome.code), "{outcome:?}");
    world.resume();
    until("what was stuck ends", 20, || tasks("LIO").is_empty());
    world.stop();
    tree::assert_unchanged(&empty);
}

#[test]
#[ignore = "vm: suspends devices"]
fn a_hang_under_a_foreign_target_is_not_ours() {
    let world = World::warm();
    world.write(&file::simple(&world, 1));
    world.start();
    sh("dmsetup suspend --noflush --nolockfs san-t3").ok();
    world.call("monitor").run().is(0);
    world.stop();
    assert_eq!(sh_within(5, "dmsetup resume --noudevsync san-t3").code, 0);
}
