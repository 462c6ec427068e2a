//! `ocf-san lvm repair`: what a node whose volume group another node has changed must do by hand.

use std::io;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::dm::{DeviceMapper, Removal, Which};
use crate::kernel::holders::holders;
use crate::kernel::lvm::command::Lvm;
use crate::kernel::lvm::drift::{self, Drift};
use crate::kernel::lvm::names::VgName;

/// How long one command of LVM may take.
const EACH: Duration = Duration::from_secs(60);

/// What the command says of itself.
pub const REPAIR: &str = "Makes the kernel's mappings of a volume group what its metadata says, after another node has changed it: \
    refreshes the logical volumes whose mapping is not what the metadata says (lvchange --refresh), and removes the mappings of logical \
    volumes that do not exist any more, unless somebody has them open. Changes nothing in the metadata. Make sure first that the metadata \
    is right and the mapping is not: lvs -a -o +seg_pe_ranges VG, dmsetup table.";

/// Repairs the mappings of a volume group, or only says what it would do. `say` gets a line for each thing that is done.
///
/// # Errors
/// The metadata can not be read, or something could not be done; the rest was done all the same.
pub fn repair(root: &Root, vg: &VgName, is_dry: bool, say: &mut dyn FnMut(&str) -> io::Result<()>) -> Result<()> {
    let lvm = Lvm::find(root).context("package lvm2")?;
    let dm = DeviceMapper::open(root)?.context("this kernel has no device-mapper")?;
    let facts = lvm.report(vg, true, Deadline::after(EACH))?;
    let facts = facts.with_context(|| format!("no volume group {vg} is to be seen on this node"))?;
    if facts.missing_pvs > 0 {
        bail!("{vg} lacks {} of its physical volumes: mappings with holes are not judged", facts.missing_pvs);
    }
    let found = drift::find(root, &dm, &facts)?;
    if found.is_empty() {
        say(&format!("{vg}: every mapping is what the metadata says"))?;
    }
    let mut failures = Vec::new();
    for one in &found {
        let done = match one {
            Drift::Refresh { lv, why } => {
                say(&format!("{}lvchange --refresh {vg}/{lv}   # {why}", if is_dry { "would run: " } else { "" }))?;
                if is_dry { Ok(()) } else { lvm.refresh(vg, lv, Deadline::after(EACH)).map_err(anyhow::Error::from) }
            }
            Drift::Stale { name, uuid, number } => {
                say(&format!("{}remove {name}   # no such logical volume exists any more", if is_dry { "would " } else { "" }))?;
                if is_dry { Ok(()) } else { remove(root, &dm, name, uuid, *number) }
            }
        };
        failures.extend(done.err());
    }
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return Ok(()) };
    for other in failures {
        say(&format!("failed: {other:#}"))?;
    }
    Err(first)
}

fn remove(root: &Root, dm: &DeviceMapper, name: &str, uuid: &str, number: (u32, u32)) -> Result<()> {
    match dm.remove(Which::Uuid(uuid))? {
        Removal::Removed | Removal::Absent => Ok(()),
        Removal::Busy => {
            let who = holders(root, number.0, number.1, Deadline::after(Duration::from_secs(5)));
            let who: Vec<_> = who.iter().map(ToString::to_string).collect();
            bail!(
                "{name} is in use: {}",
                if who.is_empty() { "somebody in the kernel has it open".to_owned() } else { who.join(", ") }
            )
        }
    }
}
