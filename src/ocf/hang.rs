//! The parameters that say what a stuck stop leads to, shared by the agents whose stop can hang. What is done about it is the guard's.

use std::path::PathBuf;

use super::spec::{Content, Param, ParamValue};

/// What a stuck stop leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStopHang {
    /// sysrq s, u, b.
    Reboot,
    /// sysrq s, u, c; b where c would stand still for ever.
    Crash,
    /// sysrq s, u, o.
    Poweroff,
    /// A failed stop, and nothing else.
    Fail,
}

impl ParamValue for OnStopHang {
    const CONTENT: Content = Content::Select(&["reboot", "crash", "poweroff", "fail"]);
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "reboot" => Ok(Self::Reboot),
            "crash" => Ok(Self::Crash),
            "poweroff" => Ok(Self::Poweroff),
            "fail" => Ok(Self::Fail),
            _ => Err("none of reboot, crash, poweroff, fail".to_owned()),
        }
    }
}

/// `on_stop_hang`: see [`OnStopHang`].
pub static ON_STOP_HANG: Param<OnStopHang> = Param::or(
    "on_stop_hang",
    "reboot",
    "What a stuck stop leads to",
    "What to do when a stop is stuck in the kernel and no signal can end it: reboot (sysrq s, u, b), crash (sysrq s, u, c, for a crash \
     dump; b where no crash kernel is loaded and kernel.panic is 0), poweroff (sysrq s, u, o) or fail (report a failed stop and leave \
     the rest to Pacemaker's fencing). Evidence is written down first. Needs a time-out of at least 5 s: within less a hang can not \
     be told from a busy machine, and the stop only fails.",
)
.reloadable();

/// `noreboot_file`: while it exists a stuck stop only fails.
pub static NOREBOOT_FILE: Param<PathBuf> = Param::or(
    "noreboot_file",
    "/etc/ha.d/noreboot",
    "File that forbids the reboot",
    "While this file exists a stuck stop is reported as failed and this node is not rebooted, whatever on_stop_hang says. It is looked \
     for when the stop begins and again before anything drastic; the later look counts, unless the disk does not answer it. A file that \
     may not be looked at (permission denied, a loop of links) counts as there, a disk that answers neither look as without.",
)
.reloadable();
