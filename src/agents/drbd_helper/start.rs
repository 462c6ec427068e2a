//! The start: the module, the resource, its disks, its connection, each only where it is missing. What a start that fails has made is taken
//! away again. A connection that a split brain has dropped is left as it is.

use std::time::Duration;

use super::attribute::Writing;
use super::demote::lower_once;
use super::evidence;
use super::guard::Guard;
use super::peering;
use super::record::{self, Record};
use super::trouble::{Trouble, drbdsetup, needs_root, until};
use super::values::{Guarding, Reconnect};
use super::{Helper, seen};
use crate::deadline::Deadline;
use crate::kernel::block::BlockDevice;
use crate::kernel::drbd::model::{Device, DiskState, Resource};
use crate::kernel::drbd::tools::Drbdadm;
use crate::kernel::drbd::{Drbd, module};
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// How long udev gets to make the device nodes.
const NODES: Duration = Duration::from_secs(20);
/// How long between two looks at what comes by itself.
const AGAIN: Duration = Duration::from_millis(250);

/// A start under way.
struct Start<'a> {
    helper: &'a Helper,
    cx: &'a Context<'a>,
    name: &'a str,
    drbd: Drbd,
    drbdadm: Drbdadm,
    nodes: Vec<String>,
    record: Record,
}

impl Helper {
    /// Makes it run, as Secondary.
    ///
    /// # Errors
    /// Nothing that this has made is left.
    pub(super) fn bring_up(&self, cx: &Context) -> Result<(), OcfError> {
        let name = self.name()?;
        let drbdadm = self.drbdadm(cx)?;
        let drbd = self.module(cx)?;
        (cx.progress)(&format!("drbdadm sh-dev {name}"));
        let nodes = drbdadm.devices(name, cx.deadline.share(0.3)).map_err(|e| self.trouble("drbdadm sh-dev", &e).error)?;
        self.check_clone(cx, &drbd, &drbdadm)?;
        let was = Record::load(cx, name);
        let before = seen(&drbd, name, &was, cx)?;
        let mut record = was.clone();
        if before.is_none() {
            record.forget_run();
            record.never_connected = true;
            // Before it is made, for a start that does not come to its end.
            record.save(cx, name, &was);
        }
        let saved = record.clone();
        let mut start = Start { helper: self, cx, name, drbd, drbdadm, nodes, record };
        let done = until(cx.deadline.share(0.8), || start.step());
        match &done {
            Ok(resource) => start.conclude(resource),
            Err(_) if before.is_none() => start.undo(),
            Err(_) => {}
        }
        start.record.save(cx, name, &saved);
        done.map(drop)
    }

    /// The module, loaded if need be, of a version that will do.
    pub(super) fn module(&self, cx: &Context) -> Result<Drbd, OcfError> {
        needs_root(cx)?;
        let open = || Drbd::open(cx.root);
        let mut drbd = open()?;
        if drbd.is_none() {
            (cx.progress)("modprobe drbd");
            if let Err(e) = module::load(cx.root, cx.deadline.share(0.3)) {
                return Err(OcfError::new(Code::Installed, format_args!("the module drbd can not be loaded: {e}")));
            }
            drbd = open()?;
        }
        let drbd = drbd.ok_or_else(|| OcfError::new(Code::Installed, "/proc/drbd is not there although drbd is loaded"))?;
        self.check_version(&drbd)?;
        Ok(drbd)
    }

    /// Whether the version of the module will do.
    pub(super) fn check_version(&self, drbd: &Drbd) -> Result<(), OcfError> {
        let version = drbd.version();
        let number = [version.major, version.minor, version.patch];
        let (least, limit) = (self.versions.0.0, self.versions.1.0);
        let wrong = |why: String| Err(OcfError::new(Code::Installed, why));
        if !version.is_84() && !version.is_9() {
            return wrong(format!("the module drbd is {version}: only 8.4 and 9 are supported"));
        }
        if number < least || number >= limit {
            let text = |v: [u32; 3]| format!("{}.{}.{}", v[0], v[1], v[2]);
            return wrong(format!(
                "the module drbd is {version}: require_drbd_module_version wants {} or later, below {}",
                text(least),
                text(limit)
            ));
        }
        Ok(())
    }

    /// Connects what stands alone, unless a split brain is why. Whether it did; then the record no longer says `never_connected`.
    pub(super) fn connect(
        &self,
        cx: &Context,
        drbd: &Drbd,
        resource: &Resource,
        record: &mut Record,
        deadline: Deadline,
    ) -> Result<bool, Trouble> {
        let name = &resource.name;
        let is_wanted = |resource: &Resource| peering::lacks_peer(resource) && (!drbd.is_84() || peering::stands_alone(resource));
        if !is_wanted(resource) {
            return Ok(false);
        }
        // The handler at work may be the one that is told of a split brain: what counts is what there is to see after it.
        self.wait_for_handlers(cx, deadline.share(0.5))?;
        let now = seen(drbd, name, record, cx)?;
        let Some(resource) = now.as_ref().filter(|now| is_wanted(now)) else { return Ok(false) };
        if self.is_split_now(cx, resource, record) && self.reconnect == Reconnect::NeverSplitBrain {
            tracing::warn!(
                "{name} stays unconnected, because there was a split brain or may have been: ocf-san drbd report {name}"
            );
            return Ok(false);
        }
        let command: &[&str] = if drbd.is_84() { &["connect"] } else { &["adjust"] };
        (cx.progress)(&format!("drbdadm {} {name}", command.join(" ")));
        match self.drbdadm(cx)?.run(command, name, deadline) {
            Ok(_) => {}
            // Somebody was faster.
            Err(e) if e.refusal().is_some_and(|refusal| refusal.kernel == Some(125)) => {}
            Err(e) => return Err(self.trouble(&command.join(" "), &e)),
        }
        record.never_connected = false;
        Ok(true)
    }

    /// Whether a split brain is why the resource is not connected.
    pub(super) fn is_split_now(&self, cx: &Context, resource: &Resource, record: &Record) -> bool {
        let guard = match self.guarding {
            Guarding::Off => Guard::default(),
            _ => Guard::load_or_unreadable(cx.root, &resource.name),
        };
        peering::is_split(resource, &guard, evidence::is_told(cx.root, resource), evidence::is_excused(cx.root, resource, record))
    }
}

impl Start<'_> {
    /// One attempt: does what is missing.
    fn step(&mut self) -> Result<Resource, Trouble> {
        let Some(resource) = self.made()?.filter(|resource| !resource.devices.is_empty()) else {
            return Err(Trouble::again(format_args!("{}: the kernel does not show what was just made", self.name)));
        };
        if resource.is_primary() {
            // One that is held open serves somebody.
            lower_once(self.cx, &self.drbd, &resource).map_err(|trouble| Trouble::last(trouble.error))?;
            return Err(Trouble::again(format_args!("{}: was Primary before anybody promoted it", self.name)));
        }
        self.await_nodes()?;
        self.attach(&resource)?;
        let resource = self.now()?;
        if !self.helper.connects_late {
            self.helper.connect(self.cx, &self.drbd, &resource, &mut self.record, self.cx.deadline.share(0.5))?;
        }
        self.await_peer()
    }

    fn look(&self) -> Result<Option<Resource>, Trouble> {
        Ok(seen(&self.drbd, self.name, &self.record, self.cx)?)
    }

    /// What is there, of which something must be.
    fn now(&self) -> Result<Resource, Trouble> {
        self.look()?.ok_or_else(|| Trouble::again(format_args!("{} is gone again", self.name)))
    }

    /// The resource with its devices, made where they are missing.
    fn made(&self) -> Result<Option<Resource>, Trouble> {
        let found = self.look()?;
        if found.as_ref().is_some_and(|resource| resource.devices.len() >= self.nodes.len()) {
            return Ok(found);
        }
        if self.drbd.is_84() {
            if found.is_none() {
                // After a resize of the disk below, the meta-data must be moved to its new end first.
                if let Err(e) = self.run(&["check-resize"]) {
                    tracing::warn!("{}", e.error);
                }
                self.run(&["new-resource"])?;
            }
            if let Err(e) = self.run(&["new-minor"]) {
                // Where some are there already, it complains of those.
                let now = self.look()?.filter(|now| now.devices.len() >= self.nodes.len());
                return now.map(Some).ok_or(e);
            }
        } else {
            self.helper.wait_for_handlers(self.cx, self.cx.deadline.share(0.3))?;
            self.run(&["adjust", "--skip-net"])?;
        }
        self.look()
    }

    fn run(&self, command: &[&str]) -> Result<String, Trouble> {
        (self.cx.progress)(&format!("drbdadm {} {}", command.join(" "), self.name));
        let done = self.drbdadm.run(command, self.name, self.cx.deadline.share(0.6));
        done.map_err(|e| self.helper.trouble(&command.join(" "), &e))
    }

    /// Programs find the devices only by their nodes.
    fn await_nodes(&self) -> Result<(), Trouble> {
        let until = self.cx.deadline.share(0.3).within(NODES);
        loop {
            let missing = self.nodes.iter().find(|node| BlockDevice::of(self.cx.root, node).is_err());
            let Some(node) = missing else { return Ok(()) };
            if until.is_past() {
                return Err(Trouble::again(format_args!("{node} does not appear (is udevd running?)")));
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Attaches what has no disk and should have one.
    fn attach(&self, resource: &Resource) -> Result<(), Trouble> {
        let lacks = |d: &&Device| d.is_client != Some(true) && matches!(d.disk, None | Some(DiskState::Diskless));
        let lacking: Vec<_> = resource.devices.iter().filter(lacks).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        if !self.drbd.is_84() {
            return self.run(&["adjust", "--skip-net"]).map(drop);
        }
        for device in lacking {
            let volume = format!("{}/{}", self.name, device.volume);
            (self.cx.progress)(&format!("drbdadm attach {volume}"));
            match self.drbdadm.run(&["attach"], &volume, self.cx.deadline.share(0.6)) {
                Ok(_) => {}
                // It has one already.
                Err(e) if e.refusal().is_some_and(|refusal| refusal.kernel == Some(124)) => {}
                Err(e) => return Err(self.helper.trouble("attach", &e)),
            }
        }
        Ok(())
    }

    /// Gives the peer its time. That it does not come is no failure.
    fn await_peer(&self) -> Result<Resource, Trouble> {
        let until = self.cx.deadline.share(0.5).within(self.helper.wait_for_peer);
        loop {
            let resource = self.now()?;
            let is_vain = self.helper.connects_late || peering::stands_alone(&resource);
            if is_vain || until.is_past() || self.helper.has_met_last_primary(self.cx, &resource) {
                return Ok(resource);
            }
            // On DRBD 9 a look is a command.
            std::thread::sleep(if self.drbd.is_84() { AGAIN } else { AGAIN * 4 });
        }
    }

    /// Writes down what runs now, and how good it is.
    fn conclude(&mut self, resource: &Resource) {
        let record = &mut self.record;
        if !record.is_started {
            record.started = record::now();
            record.was_connected = false;
            record.unfence_at = None;
        }
        record.is_started = true;
        record.volumes = resource.devices.iter().map(|device| (device.volume, device.minor)).collect();
        self.helper.guard_older_data(self.cx, resource, record);
        self.helper.assess(self.cx, resource, record, Writing::Again);
    }

    /// Takes down what this start has made.
    fn undo(&self) {
        (self.cx.progress)(&format!("take down what was made of {}", self.name));
        let undone = drbdsetup(self.cx).map(|tool| tool.down(self.name, self.cx.deadline.share(0.8)));
        match undone {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!("{}: what was made could not be taken down: {e}", self.name),
            Err(e) => tracing::warn!("{e}"),
        }
    }
}
