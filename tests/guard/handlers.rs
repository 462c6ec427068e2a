//! What DRBD's handlers of the last resort do while something else holds them up: the keys are pressed all the same.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use ocf_san::commands;
use ocf_san::deadline::Deadline;
use ocf_san::kernel::lock::Lock;
use ocf_san::kernel::process::{Child, Ending, Setup};
use ocf_san::ocf::env::Env;

use super::bench::*;

/// The exit code of a handler of r0 that has so many seconds, called as DRBD calls it.
fn handled(bench: &Bench, name: &str, seconds: u64) -> Option<Ending> {
    let code = bench.path("/code");
    let args = ["ocf-san", "drbd", "handler", name, "--timeout", &seconds.to_string(), "r0"].map(Into::into);
    let caller = Child::fork(Setup::default(), || {
        let given = commands::run(&bench.root, &Env::default(), &args);
        fs::write(&code, format!("{given:?}")).unwrap();
    });
    let before = Instant::now();
    let ending = caller.unwrap().wait(Deadline::after(Duration::from_secs(30))).unwrap();
    let limit = Duration::from_secs(seconds) + Duration::from_millis(700);
    assert!(before.elapsed() < limit, "{name} took {:?}", before.elapsed());
    ending
}

/// Whether the keys are pressed, also after the handler has ended.
fn does_press(bench: &Bench) -> bool {
    let end = Deadline::after(Duration::from_secs(10));
    while bench.keys().is_empty() && !end.is_past() {
        sleep(Duration::from_millis(50));
    }
    bench.keys().starts_with("sub")
}

pub fn a_last_resort_waits_for_no_other_handler() {
    for name in ["pri-lost", "pri-lost-after-sb", "pri-on-incon-degr", "local-io-error"] {
        let bench = Bench::new();
        let held = Lock::take(&bench.root.dir("/run/ocf-san/drbd"), "r0.handler.lock", || ()).unwrap();
        assert_eq!(handled(&bench, name, 4), Some(Ending::Exited(0)));
        assert_eq!(bench.text("/code"), "Ok(0)", "{name}");
        assert!(does_press(&bench), "{name}");
        drop(held);
    }
}

pub fn a_last_resort_goes_on_when_nobody_waits_for_it_any_more() {
    let bench = Bench::new();
    let args = ["ocf-san", "drbd", "handler", "pri-lost", "r0"].map(Into::into);
    let caller = Child::fork(Setup::default(), || drop(commands::run(&bench.root, &Env::default(), &args))).unwrap();
    // What it says comes first, and the keys half a second later.
    while bench.text("/run/ocf-san/drbd/r0.pri-lost.json").is_empty() {
        sleep(Duration::from_millis(5));
    }
    assert_eq!(bench.keys(), "");
    kill(caller.pid(), Signal::SIGKILL).unwrap();
    assert!(does_press(&bench));
}

pub fn an_error_of_the_disk_that_the_guard_is_on_takes_the_node_down_too() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("/var/lib")).unwrap();
    fs::write(bench.path("/var/lib/ocf-san"), "no directory").unwrap();
    let _ = handled(&bench, "local-io-error", 6);
    assert!(does_press(&bench), "{}", bench.text("/code"));
    let bench = Bench::new();
    mkfifo_at(&bench.path("/var/lib/ocf-san/drbd/r0/guard.json"));
    let _ = handled(&bench, "local-io-error", 6);
    assert!(does_press(&bench), "a disk that does not answer: {}", bench.text("/code"));
}

fn mkfifo_at(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    mkfifo(path, Mode::S_IRWXU).unwrap();
}
