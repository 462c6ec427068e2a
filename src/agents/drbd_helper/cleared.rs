//! Up to where the kernel log has been dealt with: what it says of a split brain from before somebody has chosen, or from before both sides
//! were equal, counts no more. It is kept where a reboot clears it together with the log.

use serde::{Deserialize, Serialize};

use super::handlers::state_dir;
use crate::kernel::attr::Root;
use crate::kernel::drbd::kernel_log::{has_split_brain_without_time, youngest_line};
use crate::kernel::error::{KernelError, Result};
use crate::ocf::state_file::file_name;

#[derive(Debug, Serialize, Deserialize)]
struct Cleared {
    /// The boot whose log that is.
    boot: Option<String>,
    /// The time of the youngest line then, in µs by the log's own clock.
    until: u64,
}

fn name(resource: &str) -> String {
    format!("{}.cleared.json", file_name(resource))
}

fn boot(root: &Root) -> Option<String> {
    root.dir("/proc/sys/kernel/random").read_opt("boot_id").inspect_err(|e| tracing::debug!("{e}")).ok().flatten()
}

/// What has become of what the log says.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It counts no more.
    All,
    /// It tells of a split brain in lines without a time (`printk.time=0`), and those go on counting.
    LinesWithoutTime,
}

impl Noted {
    /// A line for whoever has chosen; empty when nothing is left to be done.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::All => "",
            Self::LinesWithoutTime => {
                "run dmesg --clear on this node: old lines of the kernel log have no time, and while the peer is away they guard it again\n"
            }
        }
    }
}

/// Notes that all the log says now of a split brain of this resource has been dealt with.
///
/// # Errors
/// The log can not be read, or the directory is not writable.
pub fn note(root: &Root, resource: &str) -> Result<Noted> {
    if let Some(until) = youngest_line(root)? {
        let dir = state_dir(root);
        dir.create_all(0o755)?;
        let text = serde_json::to_vec(&Cleared { boot: boot(root), until });
        let text = text.map_err(|e| KernelError::new("write", dir.path().join(name(resource)), e.into()))?;
        dir.replace_file(&name(resource), &text)?;
    }
    Ok(if has_split_brain_without_time(root)? { Noted::LinesWithoutTime } else { Noted::All })
}

/// Up to which time the log has been dealt with; `None` when there is no telling.
#[must_use]
pub fn until(root: &Root, resource: &str) -> Option<u64> {
    let text = state_dir(root).read_opt(name(resource)).inspect_err(|e| tracing::debug!("{e}")).ok()??;
    let cleared: Cleared = serde_json::from_str(&text).inspect_err(|e| tracing::debug!("{}: {e}", name(resource))).ok()?;
    (cleared.boot.is_some() && cleared.boot == boot(root)).then_some(cleared.until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_of_one_resource_and_of_this_boot() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let boots = |id: &str| root.dir("/proc/sys/kernel/random").set("boot_id", id).unwrap();
        boots("6d1f\n");
        assert_eq!(note(&root, "r0").unwrap(), Noted::All);
        assert_eq!(until(&root, "r0"), None, "the log is empty");
        root.dir("/dev").set("kmsg", "<6>[    7.000009] drbd: initialized\n").unwrap();
        assert_eq!(note(&root, "r0").unwrap(), Noted::All);
        assert_eq!((until(&root, "r0"), until(&root, "r1")), (Some(7_000_009), None));
        boots("77aa\n");
        assert_eq!(until(&root, "r0"), None, "of another boot");
    }

    #[test]
    fn lines_without_a_time_can_not_be_dealt_with() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let log = |text: &str| root.dir("/dev").set("kmsg", text).unwrap();
        log("<6>drbd: initialized\n");
        assert_eq!(note(&root, "r0").unwrap(), Noted::All, "they tell of no split brain");
        let line = "block drbd10: Split-Brain detected but unresolved, dropping connection!\n";
        for begin in ["<1>", "", "<1>[    7.000009] drbd: initialized\n<1>"] {
            log(&format!("{begin}{line}"));
            assert_eq!(note(&root, "r0").unwrap(), Noted::LinesWithoutTime, "{begin}");
        }
        log(&format!("<1>[    7.000009] {line}"));
        assert_eq!(note(&root, "r0").unwrap(), Noted::All);
        assert!(Noted::All.advice().is_empty() && Noted::LinesWithoutTime.advice().contains("dmesg --clear"));
    }
}
