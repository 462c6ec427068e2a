//! Up to where the kernel log has been dealt with: what it says of a split brain from before somebody has chosen, or from before both sides
//! were equal, counts no more. It is kept where a reboot clears it together with the log.

use serde::{Deserialize, Serialize};

use super::handlers::state_dir;
use crate::kernel::attr::Root;
use crate::kernel::drbd::kernel_log::youngest_line;
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

/// Notes that all the log says now of a split brain of this resource has been dealt with.
///
/// # Errors
/// The log can not be read, or the directory is not writable.
pub fn note(root: &Root, resource: &str) -> Result<()> {
    let Some(until) = youngest_line(root)? else { return Ok(()) };
    let dir = state_dir(root);
    dir.create_all(0o755)?;
    let text = serde_json::to_vec(&Cleared { boot: boot(root), until });
    let text = text.map_err(|e| KernelError::new("write", dir.path().join(name(resource)), e.into()))?;
    dir.replace_file(&name(resource), &text)
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
        note(&root, "r0").unwrap();
        assert_eq!(until(&root, "r0"), None, "the log is empty");
        root.dir("/dev").set("kmsg", "<6>[    7.000009] drbd: initialized\n").unwrap();
        note(&root, "r0").unwrap();
        assert_eq!((until(&root, "r0"), until(&root, "r1")), (Some(7_000_009), None));
        boots("77aa\n");
        assert_eq!(until(&root, "r0"), None, "of another boot");
    }
}
