//! Exit codes and the one error that carries them.

use std::fmt;

use crate::kernel::error::KernelError;

/// OCF exit codes (OCF resource agent API 1.1, "Exit status codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// 0: the action was performed, or the resource is running.
    Success = 0,
    /// 1: something failed, or the state can not be told.
    Generic = 1,
    /// 2: the parameters do not fit this machine.
    Args = 2,
    /// 3: no such action.
    Unimplemented = 3,
    /// 4: the caller may not do this.
    Perm = 4,
    /// 5: something that is needed is not installed here.
    Installed = 5,
    /// 6: the parameters are wrong on every machine.
    Configured = 6,
    /// 7: cleanly stopped.
    NotRunning = 7,
    /// 8: running in the promoted role.
    RunningPromoted = 8,
    /// 9: failed in the promoted role.
    FailedPromoted = 9,
    /// 190: running, and worth a look.
    Degraded = 190,
    /// 191: running promoted, and worth a look.
    DegradedPromoted = 191,
}

impl Code {
    /// The code with the given number; an unknown number is [`Code::Generic`], as Pacemaker reads it.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Success,
            2 => Self::Args,
            3 => Self::Unimplemented,
            4 => Self::Perm,
            5 => Self::Installed,
            6 => Self::Configured,
            7 => Self::NotRunning,
            8 => Self::RunningPromoted,
            9 => Self::FailedPromoted,
            190 => Self::Degraded,
            191 => Self::DegradedPromoted,
            _ => Self::Generic,
        }
    }
}

/// Why an action failed: the code for the machine, the reason for the human.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcfError {
    /// What the process exits with.
    pub code: Code,
    /// Lower case, names the parameter or path, most specific fact first.
    pub reason: String,
    /// Whether something of ours sits in the kernel and will not come back: what a stop that says this leads to is decided by the guard.
    pub stuck: bool,
}

impl OcfError {
    /// An error with this code and reason.
    #[must_use]
    pub fn new(code: Code, reason: impl fmt::Display) -> Self {
        Self { code, reason: reason.to_string(), stuck: false }
    }

    /// Something is stuck in the kernel.
    #[must_use]
    pub fn stuck(reason: impl fmt::Display) -> Self {
        Self { code: Code::Generic, reason: reason.to_string(), stuck: true }
    }

    /// Says what was being done. Never changes the code.
    #[must_use]
    pub fn context(self, doing: impl fmt::Display) -> Self {
        Self { reason: format!("{doing}: {}", self.reason), ..self }
    }
}

impl fmt::Display for OcfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for OcfError {}

impl From<KernelError> for OcfError {
    fn from(e: KernelError) -> Self {
        let code = match e.source.kind() {
            std::io::ErrorKind::PermissionDenied => Code::Perm,
            _ => Code::Generic,
        };
        Self::new(code, e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_never_changes_the_code() {
        let inner = OcfError::new(Code::Configured, "iqn: empty");
        let outer = inner.context("start");
        assert_eq!((outer.code, outer.reason.as_str()), (Code::Configured, "start: iqn: empty"));
    }

    #[test]
    fn every_code_survives_the_way_through_a_number() {
        for number in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 190, 191] {
            assert_eq!(Code::from_number(number) as u8, number);
        }
        assert_eq!(Code::from_number(101), Code::Generic);
    }
}
