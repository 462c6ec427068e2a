//! Pressing the keys: sync, remount, the last key, and everything else behind it should the machine still be there.
//!
//! A child in a session of its own does all of it, so that the SIGKILL which Pacemaker sends at the time-out can not come between the
//! remount and the last key and leave a node that is neither dead nor alive.

use std::thread::sleep;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::kernel::attr::Root;
use crate::kernel::process::{Child, Setup, keep, lock_memory};
use crate::kernel::sysrq::{self, Key, Trigger};

/// How long sync and remount get at least and at most.
const FLUSH: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// How long the last key gets before the next is tried.
const LAST_KEY: Duration = Duration::from_secs(10);
/// How long a machine gets to power off, which shuts its devices down first.
const POWER_OFF: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// Each key and how long to wait before it. What no key ends, reboot(2) may.
fn sequence(last: Key, flush: Duration) -> Vec<(Duration, Key)> {
    let mut keys = vec![(Duration::ZERO, Key::Sync), (Duration::ZERO, Key::RemountReadOnly), (flush, last)];
    match last {
        Key::PowerOff => keys.extend([(LAST_KEY, Key::PowerOff), (POWER_OFF.saturating_sub(LAST_KEY), Key::Reboot)]),
        _ => keys.extend([(LAST_KEY, Key::Reboot), (SECOND, Key::PowerOff)]),
    }
    keys
}

/// Presses them, with the memory locked if it was before, for where it was not that might hang. Does not come back before the deadline, if at all. False when there is nothing to press: no sysrq, and not root.
#[must_use]
pub fn press(root: &Root, trigger: Option<&Trigger>, is_locked: bool, last: Key, end: Deadline) -> bool {
    let flush = end.share(0.7).remaining().clamp(FLUSH.0, FLUSH.1);
    let can_press = trigger.is_some() || (!root.is_fake() && nix::unistd::geteuid().is_root());
    if !can_press {
        return false;
    }
    let all = || press_all(root, trigger, is_locked, last, flush);
    match Child::fork(Setup { keep: trigger.map(keep).unwrap_or_default(), retry: Some(end.share(0.5)), ..Setup::default() }, all)
    {
        Ok(presser) if root.is_fake() => drop(presser.wait(end)),
        Ok(_) => sleep(end.remaining()),
        // Better half-safe than not at all.
        Err(_) => all(),
    }
    true
}

fn press_all(root: &Root, trigger: Option<&Trigger>, is_locked: bool, last: Key, flush: Duration) {
    // Below a fake root every key is pressed at once, and the machine that runs the tests is left alone.
    let pause = |time| if root.is_fake() { Duration::ZERO } else { time };
    if is_locked && !root.is_fake() {
        let _ = lock_memory();
    }
    if let Some(trigger) = trigger {
        for (before, key) in sequence(last, flush) {
            sleep(pause(before));
            let _ = trigger.press(key);
        }
        sleep(pause(SECOND));
    }
    if !root.is_fake() {
        let _ = sysrq::reboot(last == Key::PowerOff);
        let _ = sysrq::reboot(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(last: Key) -> String {
        let mut at = Duration::ZERO;
        let keys = sequence(last, Duration::from_secs(2)).into_iter().map(|(before, key)| {
            at += before;
            format!("{key:?} {}", at.as_secs())
        });
        keys.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_machine_that_is_still_there_gets_the_next_key() {
        assert_eq!(keys(Key::Reboot), "Sync 0, RemountReadOnly 0, Reboot 2, Reboot 12, PowerOff 13");
        assert_eq!(keys(Key::Crash), "Sync 0, RemountReadOnly 0, Crash 2, Reboot 12, PowerOff 13");
    }

    #[test]
    fn a_power_off_has_a_minute_before_it_becomes_a_reboot() {
        assert_eq!(keys(Key::PowerOff), "Sync 0, RemountReadOnly 0, PowerOff 2, PowerOff 12, Reboot 62");
    }
}
