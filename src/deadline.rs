//! A moment by which something must be over. Made once, passed down, never recomputed.

use std::time::{Duration, Instant};

/// A moment on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `limit` from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    /// What is left until then; zero when it is past.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether the moment has come.
    #[must_use]
    pub fn is_past(self) -> bool {
        self.remaining().is_zero()
    }

    /// The earlier of this moment and `limit` from now: a stage never outlives the whole.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        self.min(Self::after(limit))
    }

    /// The moment after `share` (0 to 1) of what is left, for splitting a time budget.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        Self::after(self.remaining().mul_f64(share.clamp(0.0, 1.0)))
    }

    /// What is left in whole milliseconds, rounded up, as `poll(2)` takes it.
    #[must_use]
    pub fn poll_millis(self) -> u16 {
        let millis = self.remaining().as_micros().div_ceil(1000);
        u16::try_from(millis).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_never_outlives_the_whole() {
        let whole = Deadline::after(Duration::from_millis(50));
        assert!(whole.within(Duration::from_secs(9)) <= whole);
        assert!(whole.within(Duration::from_millis(1)) < whole);
        assert!(whole.share(0.5) < whole);
    }

    #[test]
    fn poll_waits_at_least_until_the_moment_and_not_at_all_after_it() {
        assert_eq!(Deadline::after(Duration::ZERO).poll_millis(), 0);
        assert!(Deadline::after(Duration::from_micros(900)).poll_millis() >= 1);
        assert_eq!(Deadline::after(Duration::from_secs(3600)).poll_millis(), u16::MAX);
    }
}
