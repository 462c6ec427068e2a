//! What a guided command does, one command a line: shown first, and only then done, each with a limit.

use std::io::{self, IsTerminal, Write};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::snapshots::{self, Storage};
use crate::agents::drbd_helper::guard::{Entry, Guard, records_of};
use crate::agents::drbd_helper::handlers::{lock_name, state_dir};
use crate::commands::put;
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::dm::{DeviceMapper, Which};
use crate::kernel::drbd::tools::{Drbdadm, Failure};
use crate::kernel::exec::Tool;
use crate::kernel::lock::Lock;
use crate::kernel::lvm::names::{Uuid, VgName};

/// The configuration of DRBD.
const CONFIG: &str = "/etc/drbd.conf";

/// How long a handler of the kernel may take before something is changed behind its back.
const HANDLER: Duration = Duration::from_secs(60);

/// How long a volume that nobody uses may look as if somebody did.
const SETTLES: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_secs(1);

/// One command, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Why, for whoever reads along.
    pub why: String,
    /// What.
    pub act: Act,
    /// How long it may take.
    pub limit: Duration,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// `drbdadm COMMAND… RESOURCE`; with one of these codes of the kernel's it was so already.
    Drbdadm(Vec<&'static str>, &'static [i32]),
    /// `drbdmeta …`
    Drbdmeta(Vec<String>),
    /// `lvm …` in this volume group.
    Lvm(VgName, Vec<String>),
    /// A reason not to promote this side.
    Guard(Entry),
    /// Nothing, unless somebody has this logical volume open: what is merged into one that is open waits for its next activation.
    Unused(VgName, String),
    /// Waits until this snapshot is merged.
    Merged(VgName, String),
    /// A record of this name and content beside the guard.
    Note(&'static str, String),
}

impl Step {
    /// With a limit of a minute.
    pub fn new(why: impl Into<String>, act: Act) -> Self {
        Self { why: why.into(), act, limit: Duration::from_secs(60) }
    }

    /// With another limit.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// As somebody would type it.
    #[must_use]
    pub fn command(&self, resource: &str) -> String {
        match &self.act {
            Act::Drbdadm(words, _) => format!("drbdadm {} {resource}", words.join(" ")),
            Act::Drbdmeta(words) => format!("drbdmeta {}", words.join(" ")),
            Act::Lvm(_, words) => words.join(" "),
            Act::Guard(entry) => format!("ocf-san guards {resource} here: {}", entry.reason),
            Act::Unused(vg, lv) => format!("ocf-san makes sure that nobody has {vg}/{lv} open"),
            Act::Merged(vg, lv) => format!("ocf-san waits until {vg}/{lv} is merged"),
            Act::Note(name, _) => format!("ocf-san writes {name} for {resource}"),
        }
    }
}

/// Where steps are done.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The machine.
    pub root: &'a Root,
    /// The resource.
    pub resource: &'a str,
    /// What its volumes stand on.
    pub storage: &'a Storage,
}

impl Ground<'_> {
    /// Shows all of them.
    ///
    /// # Errors
    /// stdout can not be written to.
    pub fn show(&self, steps: &[Step]) -> Result<()> {
        for step in steps {
            put(&format!("  # {}\n  {}\n", step.why, step.command(self.resource)))?;
        }
        Ok(())
    }

    /// Does all of them, one after the other, up to the first that fails.
    ///
    /// # Errors
    /// What failed, with the complaint.
    pub fn walk(&self, steps: &[Step]) -> Result<()> {
        for step in steps {
            put(&format!("{}\n", step.command(self.resource)))?;
            self.one(step).with_context(|| step.command(self.resource))?;
        }
        Ok(())
    }

    fn one(&self, step: &Step) -> Result<()> {
        let deadline = Deadline::after(step.limit);
        match &step.act {
            Act::Drbdadm(words, accepted) => match Drbdadm::find(self.root, CONFIG)?.run(words, self.resource, deadline) {
                Err(Failure::Refused(refusal)) if refusal.kernel.is_some_and(|code| accepted.contains(&code)) => Ok(()),
                Err(e) => Err(e.into()),
                Ok(_) => Ok(()),
            },
            Act::Drbdmeta(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                Tool::find(self.root, "drbdmeta").context("package drbd-utils")?.ok(&words, deadline)?;
                Ok(())
            }
            Act::Lvm(vg, words) => {
                let held = self.storage.held(vg).with_context(|| format!("volume group {vg}"))?;
                snapshots::change(self.root, held, "change", words, deadline)
            }
            Act::Guard(entry) => Guard::add(self.root, self.resource, entry.clone()).map(drop).map_err(Into::into),
            Act::Unused(vg, lv) => self.must_be_unused(vg, lv),
            Act::Merged(vg, lv) => {
                let held = self.storage.held(vg).with_context(|| format!("volume group {vg}"))?;
                while held.lvm.space(vg, deadline.within(Duration::from_secs(60)))?.is_some_and(|space| space.lv(lv).is_some()) {
                    if deadline.is_past() {
                        bail!("{vg}/{lv} is not merged yet");
                    }
                    sleep(POLL);
                }
                Ok(())
            }
            Act::Note(name, text) => {
                let dir = records_of(self.root, self.resource);
                dir.create_all(0o755)?;
                Ok(dir.replace_file_for_good(name, text.as_bytes())?)
            }
        }
    }

    /// Looked at again and again for a few seconds: udev opens whatever has changed.
    fn must_be_unused(&self, vg: &VgName, lv: &str) -> Result<()> {
        let held = self.storage.held(vg).with_context(|| format!("volume group {vg}"))?;
        let uuid = held.space.lv(lv).map(|lv| Uuid::parse(&lv.uuid)).transpose().map_err(anyhow::Error::msg)?;
        let uuid = held.space.uuid.dm_uuid(&uuid.with_context(|| format!("{vg}/{lv}"))?);
        let dm = DeviceMapper::open(self.root)?.context("this kernel has no device-mapper")?;
        let settles = Deadline::after(SETTLES);
        loop {
            let open = dm.status(Which::Uuid(&uuid))?.with_context(|| format!("{vg}/{lv} is not active"))?.open_count;
            if open == 0 {
                return Ok(());
            }
            if settles.is_past() {
                bail!(
                    "{vg}/{lv} is in use: is {} up again? Take it out of Pacemaker's hands, then run the same again",
                    self.resource
                );
            }
            sleep(POLL);
        }
    }
}

/// Asks whether to go on. Where nobody can be asked that is a refusal.
///
/// # Errors
/// No, or nobody to ask.
pub fn confirm(question: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!("{question} nobody can be asked here: say --yes");
    }
    put(&format!("{question} Type yes to go on: "))?;
    io::stdout().flush().ok();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("stdin")?;
    if answer.trim() == "yes" { Ok(()) } else { bail!("nothing was done") }
}

/// Waits until no handler of the kernel is at work: a change behind the back of one can wait for it in the kernel, and everything else with it.
///
/// # Errors
/// One still is after a minute.
pub fn wait_for_handlers(root: &Root, resource: &str) -> Result<()> {
    let lock = Lock::take_until(&state_dir(root), &lock_name(resource), Deadline::after(HANDLER), || ())?;
    lock.map(drop).with_context(|| format!("{resource}: a handler of the kernel has been at work for a minute"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_shown_as_it_is_typed() {
        let connect = Step::new("x", Act::Drbdadm(vec!["connect", "--discard-my-data"], &[]));
        assert_eq!(connect.command("r0"), "drbdadm connect --discard-my-data r0");
        let merge = Act::Lvm(VgName::parse("vg0").unwrap(), vec!["lvconvert".into(), "--merge".into(), "vg0/s".into()]);
        assert_eq!(Step::new("x", merge).command("r0"), "lvconvert --merge vg0/s");
    }

    #[test]
    fn a_missing_program_is_named() {
        let keep = tempfile::tempdir().unwrap();
        let root = Root::fake(keep.path());
        let ground = Ground { root: &root, resource: "r0", storage: &Storage::default() };
        let e = ground.walk(&[Step::new("x", Act::Drbdmeta(vec!["10".into()]))]).unwrap_err();
        let text = format!("{e:#}");
        assert!(text.starts_with("drbdmeta 10: package drbd-utils: find drbdmeta"), "{text}");
    }
}
