//! The parameters of `LIO` and what their texts mean.

use std::path::PathBuf;

use crate::kernel::lio::names::IscsiName;
use crate::ocf::doubt::OnDoubt;
use crate::ocf::spec::{Content, Param, ParamValue};

/// `config`: the file that describes the targets.
pub static CONFIG: Param<PathBuf> = Param::optional(
    "config",
    "Configuration file",
    "targetcli's saveconfig.json that describes the targets. When unset: /etc/target/saveconfig.json, or \
     /etc/rtslib-fb-target/saveconfig.json (Debian, Ubuntu) when the first is not there. Keep it the same on every node.",
);

/// `iqn`: which of them.
pub static IQN: Param<Iqns> = Param::optional(
    "iqn",
    "Targets to run",
    "The IQNs of the targets that this resource runs, separated by blanks, so that several resources can share one file and one host. When \
     unset: every iSCSI target and every backstore of the file.",
)
.unique();

/// `fail_backend`: see [`super::teardown`].
pub static FAIL_BACKEND: Param<bool> = Param::or(
    "fail_backend",
    "no",
    "Fail the I/O of a hung backing device",
    "When a stop hangs because a backing device does not answer, load an error table into the device-mapper devices of this resource's own \
     backstores, after every target was told to disable, so that the stop can end without a reboot. Initiators see no error: their \
     sessions are closed before the I/O fails. The device stays failed until the layer below is restarted.",
)
.reloadable();

/// `monitor_on_hang`: see [`super::hang`].
pub static MONITOR_ON_HANG: Param<OnDoubt> = Param::or(
    "monitor_on_hang",
    "degraded",
    "What a monitor says of a hang",
    "What a monitor reports while sessions, portals or backing devices stand still in the kernel although everything is enabled: degraded \
     (running, shown with its reason, no recovery) or fail (recover the resource, which normally means a hung stop; only for a device of \
     this resource, and with a monitor time-out of 7 s or more, so that a hang can be told from a slow disk).",
)
.reloadable();

/// `reservations`: see [`super::build`].
pub static RESERVATIONS: Param<Reservations> = Param::or(
    "reservations",
    "auto",
    "Persistent reservations at start",
    "Whether a start gives persistent reservations back that the kernel saved in DBROOT/pr (for initiators that ask for APTPL, or with \
     force_pr_aptpl=1): auto (only when that directory is mounted from or linked to another file system, which then must be one that \
     moves with the resource), keep (always: a file that another node has outdated brings dead reservations back) or drop.",
);

/// `allow_readable_config`.
pub static ALLOW_READABLE: Param<bool> = Param::or(
    "allow_readable_config",
    "no",
    "Accept a configuration file that others can read",
    "The configuration file holds CHAP secrets in clear. It must belong to root and be closed to group and others, unless this is set.",
)
.reloadable();

/// The targets to run.
pub struct Iqns(pub Vec<IscsiName>);

impl ParamValue for Iqns {
    const CONTENT: Content = Content::String;
    fn parse(text: &str) -> Result<Self, String> {
        let names = text.split_whitespace().map(IscsiName::parse).collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() { Err("no name in it".to_owned()) } else { Ok(Self(names)) }
    }
}

/// Whether saved reservations are given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservations {
    /// Where the file follows the resource.
    Auto,
    /// Always.
    Keep,
    /// Never.
    Drop,
}

impl ParamValue for Reservations {
    const CONTENT: Content = Content::Select(&["auto", "keep", "drop"]);
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "keep" => Ok(Self::Keep),
            "drop" => Ok(Self::Drop),
            _ => Err("none of auto, keep, drop".to_owned()),
        }
    }
}
