//! Runs scenarios side by side, each a process in namespaces of its own, and reports as libtest does.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, getegid, geteuid};

use crate::{Case, Needs, Of, call, world};

/// Longer than any scenario may take, in a guest with an emulated processor too.
const LIMIT: Duration = Duration::from_secs(240);

struct Options {
    exact: bool,
    list: bool,
    /// What is left to the guests on a machine is to be run here.
    everything: bool,
    at_once: usize,
    /// Any of these is wanted, or all where there is none.
    wanted: Vec<String>,
}

/// The whole program.
pub fn all(cases: &[&[Case]]) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = args.as_slice() {
        if flag == "--one" {
            let case = cases.iter().copied().flatten().find(|case| case.name == name).unwrap();
            return one(case);
        }
    }
    let value = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name).map(str::to_owned));
    let options = Options {
        exact: args.iter().any(|arg| arg == "--exact"),
        list: args.iter().any(|arg| arg == "--list"),
        everything: args.iter().any(|arg| arg == "--ignored" || arg == "--include-ignored"),
        at_once: value("--test-threads=").map_or(6, |count| count.parse().unwrap()),
        wanted: args.iter().filter(|arg| !arg.starts_with('-')).cloned().collect(),
    };
    report(cases, &options)
}

fn report(cases: &[&[Case]], options: &Options) -> ExitCode {
    let fits = |case: &&Case| {
        let is_it = |name: &String| if options.exact { case.name == *name } else { case.name.contains(name) };
        (options.wanted.is_empty() || options.wanted.iter().any(is_it)) && !(call::peer() && case.of == Of::Ours)
    };
    let chosen: Vec<&Case> = cases.iter().copied().flatten().filter(fits).collect();
    let filtered = cases.iter().map(|part| part.len()).sum::<usize>() - chosen.len();
    if options.list {
        for case in &chosen {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let world = enter();
    let (here, left): (Vec<&Case>, Vec<&Case>) =
        chosen.into_iter().partition(|case| options.everything || (world.is_ok() && is_had(case.needs)));
    for case in &left {
        println!("test {} ... ignored", case.name);
    }
    if let Err(why) = world {
        println!("no network namespace can be made here ({why}): all of this is left to the guests");
    }
    let (mut failed, passed_before) = (0, here.len());
    let mut waiting = here.iter();
    let mut running: Vec<Running> = Vec::new();
    loop {
        while running.len() < options.at_once.max(1) {
            let Some(case) = waiting.next() else { break };
            running.push(Running::start(case));
        }
        if running.is_empty() {
            break;
        }
        sleep(Duration::from_millis(5));
        running.retain_mut(|case| {
            let Some(passed) = case.ended() else { return true };
            println!("test {} ... {}", case.name, if passed { "ok" } else { "FAILED" });
            if !passed {
                failed += 1;
                let said = case.said();
                println!("---- {} ----\n{said}", case.name);
            }
            false
        });
    }
    let (passed, ignored) = (passed_before - failed, left.len());
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {filtered} filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_had(needs: Needs) -> bool {
    match needs {
        Needs::Nothing => true,
        Needs::Bonding => Path::new("/sys/module/bonding").exists(),
        Needs::OcfTester => Path::new("/usr/sbin/ocf-tester").exists() && Path::new(call::INSTALLED).exists(),
    }
}

/// Where this is not root, becomes it in a user namespace; and tries what every scenario will do.
fn enter() -> Result<(), String> {
    let (user, group) = (geteuid(), getegid());
    if user == Uid::from_raw(0) {
        // Only matters where the driver is a module that nobody loaded yet.
        let _ = Command::new("modprobe").arg("bonding").stderr(Stdio::null()).status();
    } else {
        unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| format!("user namespace: {error}"))?;
        become_root(user, group).map_err(|error| format!("user namespace: {error}"))?;
    }
    let trial = Command::new("unshare").args(["-nm", "true"]).stderr(Stdio::null()).status();
    match trial {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("unshare: {status}")),
        Err(error) => Err(format!("unshare: {error}")),
    }
}

fn become_root(user: Uid, group: Gid) -> std::io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))
}

/// One scenario: this process is its own.
fn one(case: &Case) -> ExitCode {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).unwrap();
    let passed = std::panic::catch_unwind(|| {
        world::build();
        (case.run)();
    })
    .is_ok();
    if !passed {
        eprintln!("{}", world::picture());
    }
    for pid in world::processes() {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A scenario under way.
struct Running {
    name: &'static str,
    child: Child,
    output: File,
    since: Instant,
}

impl Running {
    fn start(case: &Case) -> Self {
        let output = tempfile::tempfile().unwrap();
        let child = Command::new("/proc/self/exe")
            .args(["--one", case.name])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output.try_clone().unwrap())
            .spawn()
            .unwrap();
        Self { name: case.name, child, output, since: Instant::now() }
    }

    fn ended(&mut self) -> Option<bool> {
        if let Some(status) = self.child.try_wait().unwrap() {
            return Some(status.success());
        }
        if self.since.elapsed() < LIMIT {
            return None;
        }
        for pid in world::processes_beside(i32::try_from(self.child.id()).unwrap()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Some(false)
    }

    fn said(&mut self) -> String {
        let mut text = Vec::new();
        self.output.rewind().unwrap();
        self.output.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }
}
