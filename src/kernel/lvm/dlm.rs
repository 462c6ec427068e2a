//! The kernel's distributed lock manager as a volume group's locks need it: whether it is stopped, and what for. Asks the kernel first,
//! which never blocks, and `dlm_tool` only for the reason.

use crate::deadline::Deadline;
use crate::kernel::attr::{Dir, Root};
use crate::kernel::error::Result;
use crate::kernel::exec::Tool;

/// Where the kernel shows its lockspaces (fs/dlm/lockspace.c).
const LOCKSPACES: &str = "/sys/kernel/dlm";

/// The lockspace of the global lock.
const GLOBAL: &str = "global";

/// The bit of `recover_status` that says that this node has recovered (`DLM_RS_DONE`).
const DONE: u32 = 0x40;

/// Why no lock of this volume group can be had now, such as `wait fencing of node 1`; `None` when the lockspace works, or there is none.
///
/// While it waits every LVM command that asks for a lock waits as well, without limit.
///
/// # Errors
/// The kernel's files can not be read. What `dlm_tool` fails at is no error: then only the reason is missing.
pub fn blocked(root: &Root, vg: &str, deadline: Deadline) -> Result<Option<String>> {
    for name in [vg, GLOBAL] {
        let name = format!("lvm_{name}");
        if is_stopped(&root.dir(LOCKSPACES).dir(&name))? {
            let listed = Tool::find(root, "dlm_tool").and_then(|tool| tool.ok(&["ls", "-n"], deadline));
            let reason = listed.ok().and_then(|text| status(&text, &name));
            return Ok(Some(reason.unwrap_or_else(|| format!("recovery of dlm lockspace {name}"))));
        }
    }
    Ok(None)
}

/// Whether the kernel has a dlm lockspace of this volume group. One that lvmlockd does not know was left by an lvmlockd that was killed, and
/// its locks with it; starting the locks then says that it succeeded and did not.
///
/// # Errors
/// Whatever looking there says.
pub fn has_lockspace(root: &Root, vg: &str) -> Result<bool> {
    root.dir(LOCKSPACES).dir(format!("lvm_{vg}")).is_directory()
}

/// Whether it is there and has not recovered: 0 while the kernel was told to stop, some bits while it recovers.
fn is_stopped(lockspace: &Dir) -> Result<bool> {
    let Some(text) = lockspace.read_opt("recover_status")? else { return Ok(false) };
    // In hexadecimal without a prefix.
    Ok(u32::from_str_radix(text.trim(), 16).is_ok_and(|bits| bits & DONE == 0))
}

/// What the lockspace `name` waits for, out of `dlm_tool ls -n`.
fn status(text: &str, name: &str) -> Option<String> {
    let is_name = |line: &&str| line.strip_prefix("name").is_some_and(|rest| rest.trim() == name);
    let own: Vec<&str> = text.lines().skip_while(|line| !is_name(line)).take_while(|line| !line.trim().is_empty()).collect();
    let status = own.iter().find_map(|line| line.strip_prefix("new status"))?.trim();
    let fenced: Vec<&str> = own.iter().filter_map(|line| unfenced(line)).collect();
    match fenced.as_slice() {
        [] => Some(status.to_owned()),
        [node] => Some(format!("{status} of node {node}")),
        nodes => Some(format!("{status} of nodes {}", nodes.join(" "))),
    }
}

/// The id of a node of which dlm waits to hear that it was fenced: `nodeid 1 member 0 failed 3 start 0 seq_add 7 seq_rem 8 check fence 1088`.
fn unfenced(line: &str) -> Option<&str> {
    line.strip_prefix("nodeid ")?.split_once(' ').filter(|(_, rest)| rest.contains("check fence")).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// `dlm_tool ls -n` of dlm 4.2.0, 90 s after the power of node 1 was cut and with fencing that always fails.
    const WAITS: &str = "dlm lockspaces\nname          lvm_vgs\nid            0xf3dc35a5\nflags         0x00000004 kern_stop\n\
        change        member 2 joined 1 remove 0 failed 0 seq 7,7\nmembers       1 2 \nnew change    member 1 joined 0 remove 1 failed 1 seq 8,8\n\
        new status    wait fencing\nnew members   2 \nall nodes\n\
        nodeid 1 member 0 failed 3 start 0 seq_add 7 seq_rem 8 check fence 1088\n\
        nodeid 2 member 1 failed 0 start 0 seq_add 1 seq_rem 0 check none\n\n\
        name          lvm_global\nid            0x12aabd2d\nflags         0x00000000 \n\
        change        member 2 joined 1 remove 0 failed 0 seq 11,11\nmembers       1 2 \nall nodes\n\
        nodeid 1 member 1 failed 0 start 1 seq_add 7 seq_rem 0 check none\nnodeid 2 member 1 failed 0 start 1 seq_add 1 seq_rem 0 check none\n\n";

    fn machine(recover_status: &str) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::fake(dir.path());
        let spaces = root.dir(LOCKSPACES);
        std::fs::create_dir_all(spaces.dir("lvm_vgs").path()).unwrap();
        spaces.dir("lvm_vgs").set("recover_status", recover_status).unwrap();
        (dir, root)
    }

    fn program(root: &Root, name: &str, script: &str) {
        crate::script::write(root.path("/usr/sbin").join(name), script);
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    #[test]
    fn a_lockspace_that_waits_says_for_what_and_for_whom() {
        assert_eq!(status(WAITS, "lvm_vgs").as_deref(), Some("wait fencing of node 1"));
        let two =
            WAITS.replace("nodeid 2 member 1 failed 0 start 0 seq_add 1 seq_rem 0 check none", "nodeid 3 member 0 check fence 7");
        assert_eq!(status(&two, "lvm_vgs").as_deref(), Some("wait fencing of nodes 1 3"));
        let quorum = WAITS.replace("wait fencing", "wait quorum").replace("check fence", "check none");
        assert_eq!(status(&quorum, "lvm_vgs").as_deref(), Some("wait quorum"));
    }

    #[test]
    fn a_lockspace_that_works_or_is_another_ones_has_no_status() {
        assert_eq!(status(WAITS, "lvm_global"), None);
        assert_eq!(status(WAITS, "lvm_vg"), None);
        assert_eq!(status("", "lvm_vgs"), None);
    }

    #[test]
    fn whatever_is_cut_off_is_read_as_far_as_it_goes() {
        for end in (0..WAITS.len()).filter(|end| WAITS.is_char_boundary(*end)) {
            let _ = status(&WAITS[..end], "lvm_vgs");
        }
    }

    #[test]
    fn a_lockspace_that_has_recovered_is_not_asked_about() {
        for done in ["55\n", "ff\n", "40"] {
            let (_keep, root) = machine(done);
            program(&root, "dlm_tool", "#!/bin/sh\nexit 1\n");
            assert_eq!(blocked(&root, "vgs", soon()).unwrap(), None);
        }
    }

    #[test]
    fn a_stopped_lockspace_is_blocked_with_the_reason_that_dlm_tool_knows() {
        let (keep, root) = machine("0\n");
        std::fs::write(keep.path().join("answer"), WAITS).unwrap();
        program(&root, "dlm_tool", &format!("#!/bin/sh\nexec cat {}\n", keep.path().join("answer").display()));
        assert_eq!(blocked(&root, "vgs", soon()).unwrap().as_deref(), Some("wait fencing of node 1"));
        program(&root, "dlm_tool", "#!/bin/sh\nexit 1\n");
        assert_eq!(blocked(&root, "vgs", soon()).unwrap().as_deref(), Some("recovery of dlm lockspace lvm_vgs"));
    }

    #[test]
    fn the_global_lock_counts_for_every_group_and_another_group_for_none() {
        let (_keep, root) = machine("0\n");
        assert_eq!(blocked(&root, "other", soon()).unwrap(), None);
        assert!(has_lockspace(&root, "vgs").unwrap() && !has_lockspace(&root, "other").unwrap());
        let global = root.dir(LOCKSPACES).dir("lvm_global");
        std::fs::create_dir_all(global.path()).unwrap();
        global.set("recover_status", "15\n").unwrap();
        assert_eq!(blocked(&root, "other", soon()).unwrap().as_deref(), Some("recovery of dlm lockspace lvm_global"));
    }
}
