//! The target tree of configfs as these tests see it: by `std::fs` alone, so that no code of ours vouches for itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub const TREE: &str = "/sys/kernel/config/target";

/// Every directory and link, and where links lead.
pub fn snapshot() -> Vec<String> {
    let mut found = Vec::new();
    walk(Path::new(TREE), &mut |path, kind| match kind {
        Kind::Dir => found.push(path.display().to_string()),
        Kind::Link(to) => found.push(format!("{} -> {}", path.display(), to.display())),
        Kind::File => {}
    });
    found.sort();
    found
}

/// What differs, for a message that can be read.
pub fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    gone.chain(after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"))).collect()
}

pub fn assert_unchanged(before: &[String]) {
    assert_eq!(difference(before, &snapshot()), [""; 0]);
}

/// Every value that a configuration could have set. Counters and what tells of the moment are left out.
pub fn values() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(Path::new(TREE), &mut |path, kind| {
        let text = path.display().to_string();
        let told = ["/statistics/", "fabric_statistics/", "/dynamic_sessions", "/hba_info", "/control", "/version"];
        if matches!(kind, Kind::File) && !told.iter().any(|part| text.contains(part)) {
            if let Ok(value) = fs::read(path) {
                let value = String::from_utf8_lossy(&value).into_owned();
                let mut lines: Vec<&str> = value.lines().collect();
                if text.ends_with("/members") {
                    lines.sort_unstable();
                }
                found.insert(text, lines.join("\n"));
            }
        }
    });
    found
}

pub fn read(path: &str) -> String {
    fs::read_to_string(format!("{TREE}/{path}")).unwrap_or_default().trim().to_owned()
}

pub fn exists(path: &str) -> bool {
    Path::new(TREE).join(path).exists()
}

pub fn make(path: &str) {
    fs::create_dir(Path::new(TREE).join(path)).unwrap();
}

pub fn write(path: &str, value: &str) {
    fs::write(Path::new(TREE).join(path), value).unwrap();
}

pub fn link(from: &str, to: &str) {
    std::os::unix::fs::symlink(Path::new(TREE).join(to), Path::new(TREE).join(from)).unwrap();
}

/// The `enable` of every portal group of a target.
pub fn is_enabled(iqn: &str) -> bool {
    read(&format!("iscsi/{iqn}/tpgt_1/enable")) == "1"
}

/// A target that is none of the agent's business: its own ramdisk, its own port, enabled.
pub const FOREIGN: &str = "iqn.2001-01.org.foreign:t";

pub fn make_foreign() {
    make("core/rd_mcp_9");
    make("core/rd_mcp_9/foreign");
    write("core/rd_mcp_9/foreign/control", "rd_pages=64");
    write("core/rd_mcp_9/foreign/enable", "1");
    let tpg = format!("iscsi/{FOREIGN}/tpgt_1");
    make(&format!("iscsi/{FOREIGN}"));
    make(&tpg);
    make(&format!("{tpg}/lun/lun_0"));
    link(&format!("{tpg}/lun/lun_0/x"), "core/rd_mcp_9/foreign");
    make(&format!("{tpg}/np/127.0.0.1:3299"));
    write(&format!("{tpg}/enable"), "1");
}

enum Kind {
    Dir,
    Link(PathBuf),
    File,
}

fn walk(dir: &Path, seen: &mut dyn FnMut(&Path, Kind)) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            seen(&path, Kind::Link(fs::read_link(&path).unwrap_or_default()));
        } else if kind.is_dir() {
            seen(&path, Kind::Dir);
            walk(&path, seen);
        } else {
            seen(&path, Kind::File);
        }
    }
}

/// The names of the directories below.
fn dirs(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

fn unlink_in(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_symlink()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes everything, whoever made it.
pub fn clear() {
    let is = |path: &Path, name: &str| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(name));
    let iscsi = Path::new(TREE).join("iscsi");
    for target in dirs(&iscsi).into_iter().filter(|t| !is(t, "discovery_auth")) {
        for tpg in dirs(&target).into_iter().filter(|t| is(t, "tpgt_")) {
            let _ = fs::write(tpg.join("enable"), "0");
            for acl in dirs(&tpg.join("acls")) {
                for lun in dirs(&acl).into_iter().filter(|l| is(l, "lun_")) {
                    unlink_in(&lun);
                    let _ = fs::remove_dir(lun);
                }
                let _ = fs::remove_dir(acl);
            }
            for lun in dirs(&tpg.join("lun")) {
                unlink_in(&lun);
                let _ = fs::remove_dir(lun);
            }
            for np in dirs(&tpg.join("np")) {
                let _ = fs::remove_dir(np);
            }
            let _ = fs::remove_dir(tpg);
        }
        let _ = fs::remove_dir(target);
    }
    let auth = iscsi.join("discovery_auth");
    let _ = fs::write(auth.join("enforce_discovery_auth"), "0");
    for file in ["userid", "password", "userid_mutual", "password_mutual"] {
        let _ = fs::write(auth.join(file), "NULL");
    }
    for hba in dirs(&Path::new(TREE).join("core")).into_iter().filter(|h| !is(h, "alua")) {
        for so in dirs(&hba) {
            for group in dirs(&so.join("alua")).into_iter().filter(|g| !is(g, "default_tg_pt_gp")) {
                let _ = fs::remove_dir(group);
            }
            let _ = fs::remove_dir(so);
        }
        let _ = fs::remove_dir(hba);
    }
}
