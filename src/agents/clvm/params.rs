//! The parameters of `cLVM`: those of LVM-activate and of the older LVM by their names and defaults, and a few more.

use super::values::{DeviceList, Percent, Sharing, SystemIds, Tag, TagPatterns};
use crate::ocf::hang::{NOREBOOT_FILE, ON_STOP_HANG};
use crate::ocf::spec::{Declared, Param};

/// `vgname`. Read by [`crate::kernel::lvm::names::VgName`] later, so that a stop and a probe can say what an unreadable one means to them.
pub static VGNAME: Param<String> =
    Param::optional("vgname", "Volume group", "The volume group. Required, here or by its older name volgrpname.");

/// `volgrpname`: the name that the LVM agent has for it.
pub static VOLGRPNAME: Param<String> =
    Param::optional("volgrpname", "Volume group", "The name that ocf:heartbeat:LVM has for vgname, which comes first.")
        .replaced_by("vgname");

/// `lvname`.
pub static LVNAME: Param<String> = Param::optional(
    "lvname",
    "Logical volumes",
    "The logical volumes, by name or by patterns with * and ?, separated by blanks or commas; !PATTERN leaves out what it matches. When \
     unset: all of the volume group, but for those with the activation-skip flag.",
);

/// `vg_access_mode`.
pub static VG_ACCESS_MODE: Param<super::values::ModeText> = Param::optional(
    "vg_access_mode",
    "How it is ensured that only one node writes",
    "local: by what is below the volume group, such as DRBD in the Primary role or a disk that only one node can log in to; \
     system_id: by the owner in its metadata, taken over only from a member of this cluster or a host in system_ids; \
     tagging: by a tag, with activation/volume_list in lvm.conf; \
     lvmlockd: by locks over dlm or sanlock, with vgcreate --shared. \
     clvmd is gone from LVM since 2.03; lvmlockd has replaced it. When unset: tagging if exclusive is true, otherwise local.",
);

/// `activation_mode`.
pub static ACTIVATION_MODE: Param<Sharing> = Param::or(
    "activation_mode",
    "exclusive",
    "Exclusive or shared",
    "With vg_access_mode=lvmlockd: exclusive on one node, or shared, for a clone on several nodes whose contents can stand it.",
);

/// `tag`.
pub static TAG: Param<Tag> = Param::or(
    "tag",
    "pacemaker",
    "The tag",
    "With vg_access_mode=tagging: the tag by which the volume group is activated. A stop removes this tag and no other one.",
);

/// `exclusive`: of the LVM agent.
pub static EXCLUSIVE: Param<bool> = Param::optional(
    "exclusive",
    "Exclusive activation",
    "The parameter of ocf:heartbeat:LVM: true means vg_access_mode=tagging. Without effect where vg_access_mode is set.",
)
.replaced_by("vg_access_mode");

/// `partial_activation`.
pub static PARTIAL_ACTIVATION: Param<bool> = Param::or(
    "partial_activation",
    "false",
    "Activate with holes",
    "Activates although physical volumes are missing, also logical volumes that then have holes: reading there fails. Usually \
     degraded_activation is what is wanted.",
);

/// `degraded_activation`.
pub static DEGRADED_ACTIVATION: Param<bool> = Param::or(
    "degraded_activation",
    "false",
    "Activate RAID without its missing legs",
    "Activates although physical volumes are missing, as far as RAID can do without them.",
);

/// `majority_pvs`.
pub static MAJORITY_PVS: Param<bool> = Param::or(
    "majority_pvs",
    "false",
    "Take over with a majority of the physical volumes",
    "With vg_access_mode=system_id: takes the volume group over although a minority of its physical volumes is missing (vgchange \
     --majoritypvs, lvm2 2.03.24). In every mode it activates as degraded_activation does.",
);

/// `system_ids`.
pub static SYSTEM_IDS: Param<SystemIds> = Param::optional(
    "system_ids",
    "Hosts to take over from",
    "With vg_access_mode=system_id: system ids from which the volume group may be taken over, beside the names of this cluster's members; \
     separated by blanks or commas. Needed where system_id_source is not uname, and on Pacemaker Remote nodes, which know no members.",
);

/// `release_system_id`.
pub static RELEASE_SYSTEM_ID: Param<bool> = Param::or(
    "release_system_id",
    "false",
    "Give the system id back",
    "With vg_access_mode=system_id: a stop leaves the volume group without an owner. Any host that sees it may then use it.",
);

/// `owner_tags`.
pub static OWNER_TAGS: Param<TagPatterns> = Param::optional(
    "owner_tags",
    "Tags of other owners",
    "With vg_access_mode=tagging: tags, or patterns with * and ?, that mean that somebody else owns the volume group; a start then refuses. \
     The names of the other nodes of this cluster always do.",
);

/// `devices`.
pub static DEVICES: Param<DeviceList> = Param::optional(
    "devices",
    "Physical volumes",
    "The devices of the volume group, such as /dev/drbd0, separated by blanks or commas: LVM then looks at no other one, and a dead disk \
     elsewhere does not hold it up. All of them must be named.",
);

/// `pool_warn`.
pub static POOL_WARN: Param<Percent> = Param::or(
    "pool_warn",
    "90",
    "Full enough to be worth a look",
    "A monitor with OCF_CHECK_LEVEL=10 is degraded when the data or metadata of a thin pool, or a snapshot, is fuller than this many per cent.",
)
.reloadable();

/// `read_timeout`.
pub static READ_TIMEOUT: Param<super::values::Seconds> = Param::or(
    "read_timeout",
    "10",
    "Seconds for a read",
    "A monitor with OCF_CHECK_LEVEL=10 reads from every logical volume; one that does not answer within this many seconds has failed.",
)
.reloadable();

/// All of them, in the order in which they are shown.
pub static ALL: &[&dyn Declared] = &[
    &VGNAME,
    &LVNAME,
    &VG_ACCESS_MODE,
    &ACTIVATION_MODE,
    &TAG,
    &PARTIAL_ACTIVATION,
    &DEGRADED_ACTIVATION,
    &MAJORITY_PVS,
    &SYSTEM_IDS,
    &RELEASE_SYSTEM_ID,
    &OWNER_TAGS,
    &DEVICES,
    &POOL_WARN,
    &READ_TIMEOUT,
    &ON_STOP_HANG,
    &NOREBOOT_FILE,
    &VOLGRPNAME,
    &EXCLUSIVE,
];
