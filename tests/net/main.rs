//! The packets and connections of an address, on a pair of links in a network namespace of their own, with the kernel as the other end.
//!
//! Only a process with one thread may make a user namespace, and libtest has several. So this has a `main` of its own: one case after
//! the other, each in a forked process with a namespace of its own, reported as libtest does. Where none can be made, that is a
//! failure, unless `OCF_SAN_NO_NAMESPACES=1` says that it is known; then every case is reported as ignored.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "tests, without libtest")]
#![allow(clippy::wildcard_imports, clippy::must_use_candidate, clippy::missing_panics_doc, reason = "parts of one test program")]

mod links;
mod streams;
mod wire;

use std::fs;
use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use ocf_san::deadline::Deadline;
use ocf_san::kernel::process::{Child, Ending, Setup, pipe};

use streams::*;
use wire::*;

macro_rules! cases {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as fn())),*] };
}

const CASES: &[(&str, fn())] = cases![
    arp_is_announced_to_the_other_end_byte_by_byte_in_the_form_asked_for,
    a_neighbor_advertisement_goes_to_every_node_byte_by_byte,
    the_other_ends_caches_follow_an_announcement,
    what_is_announced_on_a_link_that_is_down_is_an_error,
    who_has_an_address_is_found_at_once_and_an_address_nobody_has_is_free,
    of_two_who_want_an_address_at_once_one_finds_the_other,
    looking_for_a_duplicate_ends_at_the_deadline_and_fails_on_a_link_that_is_down,
    connections_are_listed_by_address_and_port_of_both_families,
    every_connection_of_an_address_is_destroyed_and_who_listens_goes_on,
    a_connection_half_way_to_its_end_is_destroyed_too,
    a_peer_that_waits_for_a_vanished_socket_is_woken_up,
    a_peer_that_can_be_told_nothing_when_its_sockets_are_destroyed_is_woken_up_later,
];

/// Enters a network namespace of its own; without the privilege, by way of a user namespace.
fn enter() {
    let (user, group) = (geteuid(), getegid());
    match unshare(CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) => {}
        other => return other.unwrap(),
    }
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).unwrap();
    fs::write("/proc/self/setgroups", "deny").unwrap();
    fs::write("/proc/self/gid_map", format!("0 {group} 1")).unwrap();
    fs::write("/proc/self/uid_map", format!("0 {user} 1")).unwrap();
}

/// Runs it in a process of its own; what it said when it failed.
fn run(body: impl FnOnce()) -> Result<(), String> {
    let (mut output, write) = pipe().unwrap();
    let child = Child::fork(Setup { dies_with_parent: true, stderr: Some(write), ..Setup::default() }, body).unwrap();
    let ending = child.wait(Deadline::after(Duration::from_secs(60))).unwrap();
    child.kill_group();
    if ending == Some(Ending::Exited(0)) {
        return Ok(());
    }
    let mut said = String::new();
    let _ = output.read_to_string(&mut said);
    Err(format!("{ending:?}\n{said}"))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let wanted = args.iter().find(|arg| !arg.starts_with('-')).map_or("", String::as_str);
    let chosen: Vec<_> = CASES.iter().filter(|(name, _)| name.contains(wanted)).collect();
    if args.iter().any(|arg| arg == "--list") {
        for (name, _) in &chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let is_known = std::env::var("OCF_SAN_NO_NAMESPACES").is_ok_and(|value| value == "1");
    let (mut failed, mut ignored) = (0, 0);
    for (name, case) in &chosen {
        if is_known {
            ignored += 1;
            println!("test {name} ... ignored, no network namespaces here");
            continue;
        }
        let result = run(enter).map_err(|said| format!("no network namespace: {said}")).and_then(|()| {
            run(|| {
                enter();
                case();
            })
        });
        println!("test {name} ... {}", if result.is_ok() { "ok" } else { "FAILED" });
        if let Err(said) = result {
            failed += 1;
            println!("---- {name} ----\n{said}");
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let (passed, out) = (chosen.len() - failed - ignored, CASES.len() - chosen.len());
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {out} filtered out\n");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
