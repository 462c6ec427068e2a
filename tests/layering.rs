//! The picture in `src/lib.rs`, held: who may import whom, who may touch the file system, who may start a program, how long a file may be.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Each layer, and what it may know beside itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("deadline", &[]),
    ("kernel", &["deadline"]),
    ("ocf", &["deadline", "kernel"]),
    ("agents", &["deadline", "kernel", "ocf"]),
    ("guard", &["deadline", "kernel", "ocf", "agents"]),
    ("commands", &["deadline", "kernel", "ocf", "agents", "guard"]),
    ("lib", &[]),
    ("main", &["deadline", "kernel", "ocf", "agents", "guard", "commands"]),
];

/// Outside of `kernel/`, who may use `std::fs`: each for something that is no kernel tree.
const FILE_SYSTEM: &[&str] = &["ocf/log.rs"];

const MAX_LINES: usize = 400;

/// Every source file below `src`, by its path there.
fn sources() -> BTreeMap<String, String> {
    fn walk(dir: &Path, top: &Path, found: &mut BTreeMap<String, String>) {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                walk(&path, top, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    walk(&top, &top, &mut found);
    found
}

/// The code without comments and without its tests, which may do as they like.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// A pattern whose classes are ASCII, as is all of our code that matters here.
fn pattern(text: &str) -> Regex {
    Regex::new(&text.replace(r"\b", r"(?-u:\b)").replace(r"\s", r"(?-u:\s)")).unwrap()
}

/// The modules of this crate that the code names.
fn known(text: &str, layer: &str) -> Vec<String> {
    let one = pattern(r"\b(?:crate|ocf_san)::([a-z_]+)");
    let several = pattern(r"\b(?:crate|ocf_san)::\{([^;]*)\}");
    let first = pattern(r"(?:^|,)\s*([a-z_]+)");
    let code = code(text);
    let mut known: Vec<String> = one.captures_iter(&code).map(|found| found[1].to_owned()).collect();
    for group in several.captures_iter(&code) {
        // Commas inside of inner braces separate no modules.
        let flat = pattern(r"\{[^{}]*\}").replace_all(&group[1], "").into_owned();
        known.extend(first.captures_iter(&flat).map(|found| found[1].to_owned()));
    }
    known.retain(|name| name != layer);
    known
}

fn layer_of(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn each_layer_knows_only_those_below_it() {
    for (file, text) in sources() {
        let layer = layer_of(&file);
        let (_, may) = LAYERS.iter().find(|(name, _)| *name == layer).unwrap_or_else(|| panic!("{file}: not in the picture"));
        // What is relative must stay inside of the layer.
        let out_of_it = "super::".repeat(file.matches('/').count() + usize::from(!file.ends_with("/mod.rs")));
        assert!(!code(&text).contains(&out_of_it), "{file} reaches out by {out_of_it}");
        for name in known(&text, layer) {
            assert!(may.contains(&name.as_str()), "{file} knows {name}");
        }
    }
}

#[test]
fn the_reader_of_imports_sees_every_way_to_write_one() {
    let text = "use crate::{agents, guard::{call, crate_of}};\nuse crate::ocf::env::Env;\nlet x = crate::commands::put;\n// crate::main\n\
                #[cfg(test)]\nmod tests { use crate::kernel; }";
    assert_eq!(known(text, "ocf"), ["commands", "agents", "guard"]);
}

#[test]
fn only_the_kernel_layer_touches_the_file_system() {
    let file_system = pattern(r"\bstd::fs\b|\bstd::\{[^;]*\bfs\b|\bnix::(?:fcntl|dir)\b|\blibc::open");
    for (file, text) in sources() {
        let is_test = file.ends_with("/tests.rs");
        if layer_of(&file) != "kernel" && !is_test && !FILE_SYSTEM.contains(&file.as_str()) {
            assert!(
                !file_system.is_match(&code(&text)),
                "{file}: goes through kernel::attr, or is named in FILE_SYSTEM with a reason"
            );
        }
    }
}

#[test]
fn only_exec_starts_a_program() {
    let starts = pattern(r"\bprocess::Command\b|\bprocess::\{[^}]*\bCommand\b|\bexecv|\bposix_spawn|\blibc::system\b");
    for (file, text) in sources() {
        if file != "kernel/exec.rs" {
            assert!(!starts.is_match(&code(&text)), "{file}: goes through kernel::exec::Tool");
        }
    }
}

/// A change that waits for the call which runs the handler waits for good (DRBD 8.4).
#[test]
fn a_handler_knows_only_the_reading_side_of_drbd() {
    let changes = pattern(r"\bdrbd::(?:tools|netlink)\b|\bdrbd::\{[^;]*\b(?:tools|netlink)\b|\bDrbd(?:adm|setup)\b");
    let handlers: Vec<_> = sources().into_iter().filter(|(file, _)| file.starts_with("commands/drbd/handler/")).collect();
    assert!(!handlers.is_empty());
    for (file, text) in handlers {
        assert!(!changes.is_match(&code(&text)), "{file}: records an intent for the agent instead");
    }
    assert!(changes.is_match("use crate::kernel::drbd::{model, tools::Drbdadm};"));
}

#[test]
fn only_main_stands_on_the_machine_itself_and_makes_an_exit_code() {
    let main_only = pattern(r"\bRoot::host\(|\bprocess::exit\b|\bExitCode\b");
    for (file, text) in sources() {
        if file != "main.rs" && file != "kernel/attr.rs" {
            assert!(!main_only.is_match(&code(&text)), "{file}");
        }
    }
}

#[test]
fn no_file_is_too_long_and_each_says_what_it_is_for() {
    for (file, text) in sources() {
        assert!(text.lines().count() <= MAX_LINES, "{file}: {} lines: is there a noun to split by?", text.lines().count());
        assert!(text.starts_with("//! "), "{file}: begins with what it is for");
    }
}

/// Debian 13 has Rust 1.85, and clippy's `incompatible_msrv` knows the library only: let chains came with 1.88. rustfmt puts every link of
/// one on a line of its own.
#[test]
fn no_let_chains_because_rust_1_85_does_not_know_them() {
    for (name, text) in sources() {
        let code = code(&text);
        let lines: Vec<&str> = code.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            let after_let = pair[0].starts_with("if let ") || pair[0].starts_with("while let ");
            let is_link = pair[1].starts_with("&& ") && (after_let || pair[1].starts_with("&& let "));
            assert!(!is_link, "{name}: {}", pair[1]);
        }
    }
}
