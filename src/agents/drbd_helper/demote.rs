//! The demotion: by drbdsetup, which needs no configuration. What holds the device open is named.

use std::time::Duration;

use super::attribute::Writing;
use super::record::Record;
use super::trouble::{Trouble, drbdsetup, until};
use super::{Helper, seen};
use crate::kernel::drbd::model::Resource;
use crate::kernel::drbd::{Drbd, MAJOR};
use crate::kernel::holders::holders;
use crate::ocf::error::OcfError;
use crate::ocf::run::Context;

/// How long it takes to find out who holds a device.
const FIND: Duration = Duration::from_secs(3);

impl Helper {
    /// Makes it Secondary.
    ///
    /// # Errors
    /// It is still Primary: who holds it open, or what was said.
    pub(super) fn lower(&self, cx: &Context) -> Result<(), OcfError> {
        let name = self.name()?;
        self.is_lowered.set(true);
        let was = Record::load(cx, name);
        let mut record = was.clone();
        let Some(drbd) = Drbd::open(cx.root)? else { return Ok(()) };
        let Some(before) = seen(&drbd, name, &record, cx)? else { return Ok(()) };
        until(cx.deadline, || lower_once(cx, &drbd, &before))?;
        // What was Secondary already knows better who was Primary last.
        if before.is_primary() {
            self.note_primary(cx, &before, "demoted");
            // Pacemaker demotes what has no score, too. Written down for a look that fails.
            record.doubt_score();
            record.save(cx, name, &was);
        }
        if let Some(now) = seen(&drbd, name, &record, cx)? {
            self.assess(cx, &now, &mut record, Writing::IfAnother);
        }
        record.save(cx, name, &was);
        Ok(())
    }
}

/// One attempt, of which the reason names whoever holds the device.
pub(super) fn lower_once(cx: &Context, drbd: &Drbd, resource: &Resource) -> Result<(), Trouble> {
    let name = &resource.name;
    let minors = resource.devices.iter().map(|device| device.minor.to_string());
    let what: Vec<String> = if drbd.is_84() { minors.collect() } else { vec![name.clone()] };
    let tool = drbdsetup(cx)?;
    for one in what {
        (cx.progress)(&format!("drbdsetup secondary {one}"));
        if let Err(e) = tool.secondary(&one, cx.deadline) {
            let is_held = e.refusal().is_some_and(super::Refusal::is_held_open);
            let why = if is_held { held_open(cx, resource) } else { format!("{name}: secondary: {e}") };
            return Err(Trouble::again(why));
        }
    }
    Ok(())
}

/// `r0 is held open: mounted on /srv`, and whether its I/O stands still, for then whoever reads there can not even be killed.
pub(super) fn held_open(cx: &Context, resource: &Resource) -> String {
    let found = resource.devices.iter().find_map(|device| {
        let all = holders(cx.root, MAJOR, device.minor, cx.deadline.share(0.5).within(FIND));
        let words: Vec<_> = all.iter().map(ToString::to_string).collect();
        (!words.is_empty()).then(|| words.join(", "))
    });
    let frozen = if resource.suspended.is_any() { "; its I/O is frozen" } else { "" };
    format!("{} is held open: {}{frozen}", resource.name, found.unwrap_or_else(|| "by something in the kernel".to_owned()))
}
