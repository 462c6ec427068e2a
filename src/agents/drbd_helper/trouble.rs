//! What a refused command means, whether to try again, and for how long.

use std::time::Duration;

use super::Helper;
use super::handlers::{STATE, lock_name, state_dir};
use crate::deadline::Deadline;
use crate::kernel::drbd::tools::{ConfigTrouble, Drbdadm, Drbdsetup, Failure};
use crate::kernel::lock::Lock;
use crate::ocf::error::{Code, OcfError};
use crate::ocf::run::Context;

/// The first pause between two attempts, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// What is kept of the time for saying why it did not work: so much at least, and this part of it.
const LAST_WORD: (Duration, f64) = (Duration::from_millis(500), 0.08);

/// An attempt that failed.
#[derive(Debug)]
pub struct Trouble {
    /// Why.
    pub error: OcfError,
    /// Whether no further attempt can help.
    pub is_final: bool,
}

impl From<OcfError> for Trouble {
    fn from(error: OcfError) -> Self {
        let is_final = matches!(error.code, Code::Installed | Code::Configured | Code::Perm);
        Self { error, is_final }
    }
}

impl Trouble {
    /// One after which to try again.
    pub fn again(reason: impl std::fmt::Display) -> Self {
        Self { error: OcfError::new(Code::Generic, reason), is_final: false }
    }

    /// One after which not to.
    pub fn last(reason: impl std::fmt::Display) -> Self {
        Self { error: OcfError::new(Code::Generic, reason), is_final: true }
    }
}

/// Does it until it works, no further attempt can help, or the time is up; the error is that of the last attempt.
///
/// # Errors
/// What the last attempt said.
pub fn until<T>(deadline: Deadline, mut attempt: impl FnMut() -> Result<T, Trouble>) -> Result<T, OcfError> {
    let mut pause = PAUSES.0;
    let last_word = LAST_WORD.0.max(deadline.remaining().mul_f64(LAST_WORD.1));
    loop {
        let begun = std::time::Instant::now();
        let trouble = match attempt() {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        // An attempt that has no time to end would be killed, and its reason lost.
        let needed = pause + begun.elapsed().mul_f64(1.2) + last_word;
        if trouble.is_final || deadline.remaining() < needed {
            return Err(trouble.error);
        }
        tracing::info!("{}: trying again", trouble.error);
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSES.1);
    }
}

impl Helper {
    /// drbdadm, with the configuration of this resource.
    pub(super) fn drbdadm(&self, cx: &Context) -> Result<Drbdadm, OcfError> {
        needs_root(cx)?;
        Drbdadm::find(cx.root, &self.config).map_err(|_| not_installed("drbdadm"))
    }

    /// What a command of drbdadm that failed means.
    pub(super) fn trouble(&self, doing: &str, failure: &Failure) -> Trouble {
        let (name, config) = (self.name.as_deref().unwrap_or_default(), &self.config);
        let installed = |text: String| Trouble { error: OcfError::new(Code::Installed, text), is_final: true };
        let Some(refusal) = failure.refusal() else {
            let what = if failure.is_late() { format!("{name}: {doing} did not come back in time") } else { failure.to_string() };
            return Trouble { error: OcfError::new(Code::Generic, what), is_final: false };
        };
        match refusal.config() {
            Some(ConfigTrouble::Unknown) => {
                installed(format!("drbd_resource: {name} is not in {config}, or not for this host (uname -n)"))
            }
            Some(ConfigTrouble::OtherHost) => installed(format!("{name}: no section on this host (uname -n) in {config}")),
            Some(ConfigTrouble::Broken) => installed(format!("{name}: {config} can not be read: {refusal}")),
            None if refusal.lacks_meta_data() => {
                Trouble::last(format_args!("{name}: the disk has no meta-data of DRBD: drbdadm create-md {name}"))
            }
            None => match refusal.kernel {
                // A wrong kind or size of meta-data.
                Some(112..=118 | 165) => Trouble::last(format_args!("{name}: {doing}: {refusal}")),
                _ => Trouble::again(format_args!("{name}: {doing}: {refusal}")),
            },
        }
    }

    /// Waits until no handler of the resource is at work: a change meanwhile would hold up all of DRBD's commands, and on 8.4 for good.
    ///
    /// # Errors
    /// One still is when the time is up.
    pub(super) fn wait_for_handlers(&self, cx: &Context, deadline: Deadline) -> Result<(), Trouble> {
        let name = self.name()?;
        let (dir, file) = (state_dir(cx.root), lock_name(name));
        if !dir.dir(&file).exists().unwrap_or(false) {
            return Ok(());
        }
        match Lock::take_until(&dir, &file, deadline, || (cx.progress)("wait for a handler")) {
            // Dropped at once: a handler must never wait for us.
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Trouble::again(format_args!("{name}: a handler of it is still at work ({STATE}/{file})"))),
            Err(e) => {
                tracing::warn!("{e}");
                Ok(())
            }
        }
    }
}

/// drbdsetup, which needs no configuration.
pub fn drbdsetup(cx: &Context) -> Result<Drbdsetup, OcfError> {
    needs_root(cx)?;
    Drbdsetup::find(cx.root).map_err(|_| not_installed("drbdsetup"))
}

fn not_installed(program: &str) -> OcfError {
    OcfError::new(Code::Installed, format_args!("{program} is not installed (package drbd-utils)"))
}

/// DRBD's commands say many things to somebody who may not use them, and this is none of them.
pub fn needs_root(cx: &Context) -> Result<(), OcfError> {
    if cx.root.is_fake() || nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(OcfError::new(Code::Perm, "only root may change a DRBD resource"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_millis(1500))
    }

    #[test]
    fn attempts_go_on_until_one_works_or_none_can() {
        let mut left = 2;
        let third = until(soon(), || {
            left -= 1;
            if left < 0 { Ok(7) } else { Err(Trouble::again("not yet")) }
        });
        assert_eq!(third, Err(OcfError::new(Code::Generic, "not yet")).or(Ok::<_, OcfError>(7)));
        let mut count = 0;
        let last = until(soon(), || -> Result<(), _> {
            count += 1;
            Err(Trouble::last("never"))
        });
        assert_eq!((last.unwrap_err().reason.as_str(), count), ("never", 1));
    }

    #[test]
    fn the_last_real_error_is_the_reason_and_the_deadline_is_kept() {
        let mut count = 0;
        let before = std::time::Instant::now();
        let e = until(soon(), || -> Result<(), _> {
            count += 1;
            Err(Trouble::again(format_args!("attempt {count}")))
        });
        assert!(count > 1 && before.elapsed() < Duration::from_millis(1600));
        assert_eq!(e.unwrap_err().reason, format!("attempt {count}"));
    }
}
