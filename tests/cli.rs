//! The binary, called through symbolic links as Pacemaker calls it: codes, reasons, and what is on which stream.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "runs the binary")]

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ocf_san::agents;
use ocf_san::ocf::metadata;

const BINARY: &str = env!("CARGO_BIN_EXE_ocf-san");

/// A directory with a link for every agent, one for no agent, and the binary by its own name.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        for name in agents::ALL.iter().map(|spec| spec.name).chain(["XLIO", "LIO.bak", "ocf-san.bak", "ocf-san"]) {
            symlink(BINARY, bench.path(name)).unwrap();
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs it with this environment and no other.
    fn run(&self, name: &str, args: &[&str], vars: &[(&str, &str)]) -> Seen {
        let mut command = Command::new(self.path(name));
        seen(command.args(args).env_clear().envs(vars.iter().copied()))
    }
}

#[derive(Debug)]
struct Seen {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Seen {
    fn reasons(&self) -> Vec<&str> {
        self.stderr.lines().filter_map(|line| line.strip_prefix("ocf-exit-reason:")).collect()
    }
}

fn seen(command: &mut Command) -> Seen {
    let Output { status, stdout, stderr } = loop {
        match command.stdin(Stdio::null()).output() {
            // A copy that has just been written: the fork of another test still has it open.
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            other => break other.unwrap(),
        }
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Seen { code: status.code().expect("it exits"), stdout: text(stdout), stderr: text(stderr) }
}

#[test]
fn every_call_has_its_code_and_a_reason_when_it_fails() {
    let bench = Bench::new();
    let cases: [(&str, &[&str], i32); 10] = [
        ("LIO", &["bogus"], 3),
        ("LIO", &[""], 3),
        ("LIO", &[], 3),
        ("LIO", &["promote"], 3),
        ("LIO", &["migrate_to"], 3),
        ("LIO", &["--version"], 3),
        ("XLIO", &["monitor"], 5),
        ("XLIO", &["meta-data"], 5),
        ("LIO.bak", &["monitor"], 5),
        ("ocf-san.bak", &["agents"], 5),
    ];
    for (name, args, code) in cases {
        let seen = bench.run(name, args, &[]);
        assert_eq!(seen.code, code, "{name} {args:?}: {seen:?}");
        assert_eq!(
            (seen.stdout.as_str(), seen.stderr.lines().count(), seen.reasons().len()),
            ("", 1, 1),
            "{name} {args:?}: {seen:?}"
        );
    }
}

#[test]
fn an_action_that_only_looks_gives_exactly_one_reason_unless_all_is_well() {
    let bench = Bench::new();
    for spec in agents::ALL {
        for action in ["monitor", "status", "validate-all"] {
            let seen = bench.run(spec.name, &[action], &[]);
            let well = matches!(seen.code, 0 | 7 | 8);
            assert_eq!(seen.reasons().len(), usize::from(!well), "{} {action}: {seen:?}", spec.name);
            assert!(!well || seen.stderr.is_empty(), "silent on success: {seen:?}");
            assert!(
                seen.stderr.is_empty() || seen.stderr.ends_with(&format!("{}\n", seen.reasons()[0])),
                "the reason is last: {seen:?}"
            );
            assert_eq!(seen.stdout, "", "{} {action}", spec.name);
            assert!(matches!(seen.code, 0..=7 | 190), "{} {action}: {seen:?}", spec.name);
        }
    }
}

#[test]
fn a_wrong_parameter_is_6_before_anything_is_done() {
    let seen = Bench::new().run("LIO", &["start"], &[("OCF_RESKEY_on_stop_hang", "explode")]);
    assert_eq!((seen.code, seen.reasons().len(), seen.stdout.as_str()), (6, 1, ""), "{seen:?}");
}

#[test]
fn what_is_answered_before_any_worker_is_written_to_no_log_file() {
    let bench = Bench::new();
    let log = bench.path("log");
    let vars = [("HA_LOGFILE", log.to_str().unwrap()), ("OCF_RESOURCE_INSTANCE", "t1")];
    assert_eq!(bench.run("LIO", &["meta-data"], &vars).code, 0);
    let seen = bench.run("LIO", &["start"], &[vars[0], vars[1], ("OCF_RESKEY_on_stop_hang", "explode")]);
    assert_eq!((seen.stderr.lines().count(), seen.reasons().len()), (1, 1), "{seen:?}");
    assert!(!log.exists(), "a file may be on a disk that hangs");
}

#[test]
fn the_caller_may_name_the_prefix_of_the_reason() {
    let seen = Bench::new().run("LIO", &["bogus"], &[("OCF_EXIT_REASON_PREFIX", "because:")]);
    assert_eq!(seen.stderr, "because:bogus: no such action\n");
}

#[test]
fn a_reason_stays_one_short_line_whatever_the_caller_says() {
    let seen = Bench::new().run("LIO", &[&format!("a\nocf-exit-reason:ü{}", "x".repeat(500))], &[]);
    assert_eq!((seen.code, seen.stderr.lines().count()), (3, 1), "{seen:?}");
    assert!(seen.stderr.is_ascii() && seen.reasons()[0].len() <= 120, "{seen:?}");
}

#[test]
fn all_other_arguments_are_ignored() {
    // "To allow for further extensions, the RA shall ignore all other arguments."
    let bench = Bench::new();
    let alone = bench.run("LIO", &["meta-data"], &[]);
    let more = bench.run("LIO", &["meta-data", "--help", "bogus", "-x"], &[]);
    assert_eq!((alone.code, &alone.stdout), (more.code, &more.stdout));
}

#[test]
fn an_agent_is_reached_by_link_by_any_path_and_as_first_argument() {
    let bench = Bench::new();
    for spec in agents::ALL {
        let expected = metadata::xml(spec).unwrap();
        assert_eq!(bench.run(spec.name, &["meta-data"], &[]).stdout, expected);
        assert_eq!(bench.run("ocf-san", &[spec.name, "meta-data"], &[]).stdout, expected);
        assert_eq!(bench.run("ocf-san", &["metadata", spec.name], &[]).stdout, expected);
        let renamed = seen(Command::new(BINARY).arg0(format!("./some/where/{}", spec.name)).arg("meta-data").env_clear());
        assert_eq!(renamed.stdout, expected, "argv[0] decides, not the file");
    }
}

#[test]
fn meta_data_needs_no_environment_and_is_xml_whatever_the_output_format() {
    let bench = Bench::new();
    let bare = bench.run("LIO", &["meta-data"], &[]);
    assert_eq!((bare.code, bare.stderr.as_str()), (0, ""));
    let vars = [
        ("OCF_OUTPUT_FORMAT", "log"),
        ("OCF_RA_VERSION_MAJOR", "1"),
        ("HA_LOGFACILITY", "daemon"),
        ("OCF_TESTER_FAIL_HAVE_BINARY", "1"),
    ];
    assert_eq!(bench.run("LIO", &["meta-data"], &vars).stdout, bare.stdout);
}

#[test]
fn meta_data_needs_no_privilege() {
    if !nix::unistd::geteuid().is_root() {
        // An ordinary user has none to give up: every other test of meta-data is this one.
        assert_eq!(Bench::new().run("LIO", &["meta-data"], &[]).code, 0);
        return;
    }
    let bench = Bench::new();
    fs::set_permissions(bench.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = bench.path("copy");
    fs::copy(BINARY, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let seen = seen(Command::new(&copy).arg0("LIO").arg("meta-data").env_clear().current_dir("/").uid(65534).gid(65534));
    assert_eq!((seen.code, seen.stderr.as_str()), (0, ""), "{seen:?}");
    assert_eq!(seen.stdout, metadata::xml(agents::by_name("LIO").unwrap()).unwrap());
}

#[test]
fn a_closed_stdout_is_no_panic() {
    let bench = Bench::new();
    for (name, args) in
        [("LIO", vec!["meta-data"]), ("LIO", vec!["--help"]), ("ocf-san", vec!["agents"]), ("ocf-san", vec!["--help"])]
    {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let output =
            Command::new(bench.path(name)).args(&args).env_clear().stdout(std::os::fd::OwnedFd::from(ours)).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name} {args:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{name} {args:?}: {output:?}");
    }
}

#[test]
fn a_full_stdout_is_a_failure_with_a_reason() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(Bench::new().path("LIO")).arg("meta-data").env_clear().stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("ocf-exit-reason:stdout: "), "{output:?}");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(Bench::new().path("ocf-san")).arg("agents").env_clear().stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("ocf-san: stdout: "), "{output:?}");
}

#[test]
fn help_explains_every_parameter() {
    let bench = Bench::new();
    for spec in agents::ALL {
        let calls: [(&str, &[&str]); 5] = [
            (spec.name, &["help"]),
            (spec.name, &["usage"]),
            (spec.name, &["--help"]),
            (spec.name, &["-h"]),
            ("ocf-san", &["help", spec.name]),
        ];
        for (name, args) in calls {
            let seen = bench.run(name, args, &[]);
            assert_eq!((seen.code, seen.stderr.as_str()), (0, ""), "{name} {args:?}");
            assert!(
                spec.params.iter().all(|param| seen.stdout.contains(&format!("  {} (", param.decl().name))),
                "{}",
                seen.stdout
            );
            assert!(seen.stdout.lines().all(|line| line.chars().count() <= 100), "{}", seen.stdout);
        }
    }
}

#[test]
fn the_command_has_the_codes_of_a_command() {
    let bench = Bench::new();
    let cases: [(&[&str], i32); 9] = [
        (&["--help"], 0),
        (&["help"], 0),
        (&["--version"], 0),
        (&["agents"], 0),
        (&[], 2),
        (&["bogus"], 2),
        (&["metadata"], 2),
        (&["metadata", "XLIO"], 2),
        (&["help", "lio"], 2),
    ];
    for (args, code) in cases {
        let seen = bench.run("ocf-san", args, &[]);
        assert_eq!(seen.code, code, "{args:?}: {seen:?}");
        assert_eq!((seen.stdout.is_empty(), seen.stderr.is_empty()), (code != 0, code == 0), "{args:?}: {seen:?}");
    }
    let names: Vec<_> = agents::ALL.iter().map(|spec| spec.name).collect();
    assert_eq!(bench.run("ocf-san", &["agents"], &[]).stdout.lines().collect::<Vec<_>>(), names);
    assert!(bench.run("ocf-san", &["--version"], &[]).stdout.starts_with(concat!("ocf-san ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_tree_has_a_link_for_every_agent_and_no_other() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("agents");
    let mut links: Vec<_> =
        fs::read_dir(dir).unwrap().map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_symlink()).collect();
    links.sort_by_key(fs::DirEntry::file_name);
    let mut names: Vec<_> = agents::ALL.iter().map(|spec| spec.name).collect();
    names.sort_unstable();
    assert_eq!(links.iter().map(fs::DirEntry::file_name).collect::<Vec<_>>(), names);
    for link in links {
        assert_eq!(fs::read_link(link.path()).unwrap(), Path::new("../target/release/ocf-san"));
    }
}
