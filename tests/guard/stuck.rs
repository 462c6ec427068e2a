//! When a stop reboots, and above all when it does not.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use ocf_san::kernel::process::{Child, Setup};
use ocf_san::ocf::error::Code;

use super::bench::*;
use super::doer::*;

pub fn a_stop_that_says_it_is_stuck_reboots_with_evidence() {
    let bench = Bench::new();
    let sys = bench.root.dir("/sys/block/dm-3");
    sys.set("inflight", "       1        2\n").unwrap();
    sys.dir("dm").set("name", "vg1-lv--lun0\n").unwrap();
    sys.dir("dm").set("suspended", "1\n").unwrap();
    let _tracer = bench.tracer();
    let answer = bench.call("stop", "be stuck and stay", 20_000);
    assert_eq!(answer.code, Code::Generic);
    assert_eq!(reason(&answer), "stop stuck: dm-3 (vg1-lv--lun0) suspended, 3 I/O in flight; rebooting node");
    assert_eq!(bench.keys(), "subbo", "sync, read-only, reboot; and as the machine is still there, reboot again and power off");
    let kmsg = bench.text("/dev/kmsg");
    let headline = "<2>ocf-san: Storage(r1) stop is stuck in the kernel: disable iqn.2016-12.net.example:t1\n";
    assert!(kmsg.starts_with(headline), "{kmsg}");
    assert!(kmsg.ends_with("<6>ocf-san: stop is stuck, pressing sysrq s, u, Reboot\n"), "{kmsg}");
    assert!(kmsg.contains("culprit: dm-3 (vg1-lv--lun0) suspended"), "{kmsg}");
    assert_eq!(kmsg.matches("<2>").count(), 1, "a line on a slow console takes time: {kmsg}");
    let written: Vec<_> = fs::read_dir(bench.path("/var/log/ocf-san")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(written.len(), 1);
    let name = written[0].file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("hang-Storage-r1-2") && name.ends_with("Z.txt"), "{name}");
    assert!(fs::read_to_string(&written[0]).unwrap().contains("stop is stuck in the kernel: disable iqn."));
    assert!(is_private(&written[0]));
}

pub fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600
}

pub fn the_policy_decides_which_key_is_last_and_a_file_forbids_them_all() {
    type File = (&'static str, &'static str, &'static str);
    let crash_kernel = ("/sys/kernel", "kexec_crash_loaded", "1\n");
    let panic_reboots = ("/proc/sys/kernel", "panic", "10\n");
    let noreboot = ("/etc/ha.d", "noreboot", "");
    let own_noreboot = ("/etc/own", "noreboot", "");
    let cases: [(&str, &[File], &str, &str); 10] = [
        ("reboot", &[], "subbo", "rebooting node"),
        ("reboot", &[crash_kernel], "subbo", "rebooting node"),
        ("reboot", &[noreboot], "", "reboot forbidden by noreboot_file"),
        ("reboot", &[own_noreboot], "subbo", "rebooting node"),
        ("crash", &[], "subbo", "rebooting node"),
        ("crash", &[crash_kernel], "sucbo", "crashing node"),
        ("crash", &[panic_reboots], "sucbo", "crashing node"),
        ("crash", &[crash_kernel, noreboot], "", "reboot forbidden by noreboot_file"),
        ("poweroff", &[], "suoob", "powering off node"),
        ("fail", &[], "", "on_stop_hang=fail"),
    ];
    for (policy, files, keys, outcome) in cases {
        let bench = Bench::new();
        for (dir, name, text) in files {
            bench.root.dir(dir).set(name, text).unwrap();
        }
        let tracer = bench.tracer();
        let env = Bench::env("stop", "be stuck and stay", 20_000, &[("OCF_RESKEY_on_stop_hang", policy)]);
        let answer = bench.call_of(&STORAGE, "stop", &env);
        assert_eq!((bench.keys().as_str(), answer.code), (keys, Code::Generic), "{policy} {files:?}");
        assert_eq!(reason(&answer), format!("stop stuck: disable iqn.2016-12.net.example:t1; {outcome}"));
        release(&tracer);
    }
    let bench = Bench::new();
    bench.root.dir("/etc/own").set("noreboot", "").unwrap();
    let _tracer = bench.tracer();
    let env = Bench::env("stop", "be stuck and stay", 20_000, &[("OCF_RESKEY_noreboot_file", "/etc/own/noreboot")]);
    assert_eq!(bench.call_of(&STORAGE, "stop", &env).code, Code::Generic);
    assert_eq!(bench.keys(), "");
}

pub fn a_stop_that_says_it_is_stuck_and_is_not_only_fails() {
    let bench = Bench::new();
    let answer = bench.call("stop", "be stuck", 20_000);
    assert_eq!((answer.code, reason(&answer)), (Code::Generic, "disable iqn.2016-12.net.example:t1"));
    assert_eq!(bench.keys(), "", "its worker has ended and nothing of the target is held");
    let thread = |state: char| {
        let stat = format!("812 (iscsi_np) {state} 2 0 0 0 -1 0 0 0 0 0 0 3 0 0 20 0 1 0 90210 0 0\n");
        bench.root.dir("/proc/812").set("stat", &stat).unwrap();
        bench.root.dir("/proc/812").set("schedstat", "1 2 3\n").unwrap();
        bench.root.dir("/proc/2/task/2").set("children", "812").unwrap();
    };
    thread('S');
    assert_eq!(reason(&bench.call("stop", "be stuck", 20_000)), "disable iqn.2016-12.net.example:t1");
    assert_eq!(bench.keys(), "");
    thread('D');
    assert_eq!(bench.call("stop", "sleep", 6000).code, Code::Generic);
    assert_eq!(bench.keys(), "", "a thread that hangs is no reason where the stop does not say that it is stuck");
    let answer = bench.call("stop", "be stuck", 20_000);
    assert_eq!(reason(&answer), "stop stuck: disable iqn.2016-12.net.example:t1; rebooting node");
    assert_eq!(bench.keys(), "subbo");
}

pub fn a_stop_whose_worker_ends_between_the_two_looks_only_fails() {
    let bench = Bench::new();
    let tracer = bench.tracer();
    let _releaser = Child::fork(Setup::default(), || {
        // Killed after 4.1 s, looked at after 5.1 s and again half a second later.
        sleep(Duration::from_millis(5300));
        tracer.kill_group();
    });
    let answer = bench.call("stop", "hang", 6000);
    assert_eq!(reason(&answer), "stop did not finish within its 6 s, was doing: doing hang");
    assert_eq!(bench.keys(), "");
}

pub fn a_time_out_that_is_too_short_to_prove_a_hang_reboots_nothing() {
    for (millis, expected) in [
        (2500, "stop: no reboot with a time-out of only 2.5 s: doing hang"),
        (4500, "stop: no reboot with a time-out of only 4.5 s: doing hang"),
        (900, "stop: no reboot with a time-out of only 0.9 s (CRM_meta_timeout is in milliseconds): doing hang"),
    ] {
        let bench = Bench::new();
        let tracer = bench.tracer();
        let answer = bench.call("stop", "hang", millis);
        assert_eq!((answer.code, reason(&answer), bench.keys().as_str()), (Code::Generic, expected, ""));
        release(&tracer);
    }
}

/// It has the lock when this returns.
fn begin_a_start_that_is_killed_after(bench: &Bench, time: Duration) {
    let first = Child::fork(Setup { dies_with_parent: true, ..Setup::default() }, || {
        bench.call("start", "sleep", 60_000);
    });
    let first = first.unwrap();
    while !bench.record().exists() {
        sleep(Duration::from_millis(5));
    }
    let killer = Child::fork(Setup::default(), || {
        sleep(time);
        first.kill_group();
    });
    killer.unwrap();
}

pub fn a_stop_with_no_time_left_after_waiting_does_not_begin() {
    let bench = Bench::new();
    begin_a_start_that_is_killed_after(&bench, Duration::from_secs(3));
    let holder = bench.left_pid();
    let answer = bench.call("stop", "nothing", 6000);
    assert_eq!(reason(&answer), format!("no time left after waiting for the start that pid {holder} is doing"));
    assert_eq!(bench.keys(), "");

    let (bench, tracer, _) = Bench::with_one_left_behind("start", "hang", &[]);
    let holder = bench.left_pid();
    let _releaser = Child::fork(Setup::default(), || {
        sleep(Duration::from_millis(7200));
        tracer.kill_group();
    });
    let answer = bench.call("stop", "nothing", 10_000);
    assert_eq!(reason(&answer), format!("no time left after waiting for the start that pid {holder} did"));
    assert_eq!(bench.keys(), "");
}

pub fn a_stop_that_had_little_time_after_waiting_reboots_nothing() {
    let bench = Bench::new();
    let tracer = bench.tracer();
    begin_a_start_that_is_killed_after(&bench, Duration::from_millis(5500));
    let answer = bench.call("stop", "hang", 10_000);
    assert!(reason(&answer).starts_with("stop: no reboot after a try of only "), "{answer:?}");
    assert_eq!(bench.keys(), "");
    release(&tracer);
}

pub fn a_file_that_forbids_a_reboot_counts_when_its_disk_no_longer_answers() {
    let outcome = |bench: &Bench, deed: &str| {
        let tracer = bench.tracer();
        let answer = bench.call("stop", deed, 20_000);
        release(&tracer);
        (reason(&answer).to_owned(), bench.keys())
    };
    let bench = Bench::new();
    bench.root.dir("/etc/ha.d").set("noreboot", "").unwrap();
    let (reason, keys) = outcome(&bench, "lose the disk and be stuck");
    assert_eq!(reason, "stop stuck: lost; reboot forbidden by noreboot_file");
    assert_eq!(keys, "");
    let bench = Bench::new();
    let (reason, keys) = outcome(&bench, "forbid it and be stuck");
    assert!(reason.ends_with("forbidden by noreboot_file") && keys.is_empty(), "the later look counts: {reason}");
}

pub fn a_file_that_forbids_a_reboot_is_looked_at_before_an_earlier_change_is_waited_for() {
    let (bench, tracer, _) = Bench::with_one_left_behind("start", "hang", &[]);
    let dir = bench.root.dir("/etc/ha.d");
    dir.set("noreboot", "").unwrap();
    let hanger = Child::fork(Setup::default(), || {
        sleep(Duration::from_secs(2));
        // Neither there nor not there, as on a disk that does not answer.
        dir.unlink("noreboot").unwrap();
        std::os::unix::fs::symlink("x".repeat(300), bench.path("/etc/ha.d/noreboot")).unwrap();
    });
    let answer = bench.call("stop", "nothing", 6000);
    drop(hanger);
    assert!(reason(&answer).ends_with("; reboot forbidden by noreboot_file"), "{answer:?}");
    assert_eq!(bench.keys(), "");
    release(&tracer);
}
