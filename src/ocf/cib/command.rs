//! What is asked of Pacemaker and given to it, by its own commands, each with a deadline.

use std::io;
use std::time::Duration;

use super::{Cib, Fence};
use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::error::{KernelError, Result};
use crate::kernel::exec::{Output, Tool};

/// How long one command may take: the cluster's coordinator may just be changing, and asking again is better than waiting.
const EACH: Duration = Duration::from_secs(8);

/// `EEXIST` as Pacemaker's commands exit with it (`CRM_EX_EXISTS`; before 2.0 `-EEXIST`, 17 and 21 were seen).
const EXISTS: i32 = 108;

/// `ENXIO` and the like: what should be deleted is not there (`CRM_EX_NOSUCH`).
const NO_SUCH: i32 = 105;

/// Pacemaker's commands on this node.
#[derive(Debug)]
pub struct Pacemaker {
    cibadmin: Tool,
    crmadmin: Tool,
}

/// What became of a new constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    Done,
    /// Something with its id is there already.
    Exists,
}

impl Pacemaker {
    /// Those that are installed.
    ///
    /// # Errors
    /// One is not.
    pub fn find(root: &Root) -> Result<Self> {
        Ok(Self { cibadmin: Tool::find(root, "cibadmin")?, crmadmin: Tool::find(root, "crmadmin")? })
    }

    /// The CIB as this node has it.
    ///
    /// # Errors
    /// Nobody answers in time, or what is no CIB.
    pub fn cib(&self, deadline: Deadline) -> Result<Cib> {
        let text = self.cibadmin.ok(&["--query"], deadline.within(EACH))?;
        Cib::parse(&text).map_err(|e| KernelError::new("understand", "cibadmin --query", e))
    }

    /// Whether the controller of that node answers: a membership that has just broken still stands in the CIB.
    #[must_use]
    pub fn answers(&self, node: &str, deadline: Deadline) -> bool {
        let seconds = deadline.within(EACH).remaining().as_secs().max(1).to_string();
        let timeout = format!("--timeout={seconds}s");
        let asked = self.crmadmin.run(&[&timeout, "--status", node], deadline.within(EACH));
        asked.is_ok_and(|output| output.success() && is_well(&output.stdout))
    }

    /// Places a constraint.
    ///
    /// # Errors
    /// The coordinator refuses it or does not answer in time.
    pub fn create(&self, fence: &Fence, deadline: Deadline) -> Result<Created> {
        let output = self.constraints("--create", &fence.xml(), deadline)?;
        match output.code {
            Some(0) => Ok(Created::Done),
            Some(EXISTS) => Ok(Created::Exists),
            _ => Err(self.refused(&output)),
        }
    }

    /// Puts a constraint in the place of another one with its id.
    ///
    /// # Errors
    /// As [`Pacemaker::create`].
    pub fn replace(&self, fence: &Fence, deadline: Deadline) -> Result<()> {
        let output = self.constraints("--replace", &fence.xml(), deadline)?;
        if output.success() { Ok(()) } else { Err(self.refused(&output)) }
    }

    /// Takes a constraint away; that it is not there is no error.
    ///
    /// # Errors
    /// As [`Pacemaker::create`].
    pub fn delete(&self, fence: &Fence, deadline: Deadline) -> Result<()> {
        let output = self.constraints("--delete", &fence.reference(), deadline)?;
        if output.success() || output.code == Some(NO_SUCH) { Ok(()) } else { Err(self.refused(&output)) }
    }

    fn constraints(&self, act: &str, xml: &str, deadline: Deadline) -> Result<Output> {
        self.cibadmin.run(&[act, "--scope", "constraints", "--xml-text", xml], deadline.within(EACH))
    }

    fn refused(&self, output: &Output) -> KernelError {
        KernelError::new("run", self.cibadmin.program(), io::Error::other(output.complaint()))
    }
}

/// `Controller on node2 in state S_IDLE: ok`; before 2.1 `Status of crmd@node2: S_IDLE (ok)`.
fn is_well(text: &str) -> bool {
    text.lines().any(|line| line.trim_end().ends_with(": ok") || line.trim_end().ends_with("(ok)"))
}
