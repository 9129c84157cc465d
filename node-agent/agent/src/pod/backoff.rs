//! Delays that double with every failure: restarts of containers (CrashLoopBackOff) and pulls of images.
//!
//! In: what failed, when, and the time. Out: how long it has to wait. Pure; remembered as long as the agent runs.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// The delay after the first failure.
pub(crate) const INITIAL: Duration = Duration::from_secs(10);

/// The longest delay.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);

/// Who failed, and how long each has to wait now.
#[derive(Debug)]
pub(crate) struct Backoff<K> {
    entries: HashMap<K, Entry>,
}

#[derive(Debug)]
struct Entry {
    delay: Duration,
    updated: Timestamp,
}

impl Entry {
    /// What held for twice the longest delay counts as stable: its failures are forgotten.
    fn is_forgotten(&self, at: Timestamp) -> bool {
        at.duration_since(self.updated) > signed(LONGEST * 2)
    }
}

impl<K: Eq + Hash> Backoff<K> {
    /// Nobody has failed.
    pub(crate) fn new() -> Self {
        Self { entries: HashMap::new() }
    }

    /// The delay that `key` is under.
    pub(crate) fn delay(&self, key: &K) -> Duration {
        self.entries.get(key).map_or(Duration::ZERO, |entry| entry.delay)
    }

    /// Until when `key` has to wait, which failed at `failed`; `None` if it may go on now. A failure that is still to come
    /// means that the clock was set back since: rather once too early than not before the clock has caught up.
    pub(crate) fn held_until(&self, key: &K, failed: Timestamp, now: Timestamp) -> Option<Timestamp> {
        if failed > now {
            return None;
        }
        let entry = self.entries.get(key).filter(|entry| !entry.is_forgotten(failed))?;
        let until = failed.checked_add(signed(entry.delay)).unwrap_or(Timestamp::MAX);
        (now < until).then_some(until)
    }

    /// Until when `key` has to wait, counted from its last failure.
    pub(crate) fn held_since_failure(&self, key: &K, now: Timestamp) -> Option<Timestamp> {
        self.held_until(key, self.entries.get(key)?.updated, now)
    }

    /// `key`, which failed at `failed`, is tried again: the next time it waits longer.
    pub(crate) fn advance(&mut self, key: K, failed: Timestamp, now: Timestamp) {
        let delay = match self.entries.get(&key) {
            Some(entry) if !entry.is_forgotten(failed) => (entry.delay * 2).min(LONGEST),
            Some(_) | None => INITIAL,
        };
        self.entries.insert(key, Entry { delay, updated: now });
    }

    /// Forgets what nobody will ask for any more.
    pub(crate) fn forget(&mut self, mut is_gone: impl FnMut(&K) -> bool) {
        self.entries.retain(|key, _| !is_gone(key));
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// A duration as Go writes it, in whole seconds: `10s`, `1m20s`, `5m0s`.
pub(crate) fn go_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn the_first_restart_is_immediate_and_each_later_one_waits_twice_as_long_up_to_five_minutes() {
        let mut backoff = Backoff::new();
        assert_eq!(backoff.held_until(&"a", at(0), at(0)), None);
        let mut failed = 0;
        for seconds in [10, 20, 40, 80, 160, 300, 300] {
            backoff.advance("a", at(failed), at(failed));
            failed += 1;
            assert_eq!(backoff.delay(&"a"), Duration::from_secs(seconds));
            let until = at(failed + i64::try_from(seconds).unwrap());
            assert_eq!(backoff.held_until(&"a", at(failed), at(failed)), Some(until));
            assert_eq!(backoff.held_until(&"a", at(failed), until), None);
        }
    }

    #[test]
    fn a_container_that_ran_for_more_than_ten_minutes_begins_anew() {
        let mut backoff = Backoff::new();
        backoff.advance("a", at(0), at(0));
        backoff.advance("a", at(10), at(10));
        assert_eq!(backoff.delay(&"a"), Duration::from_secs(20));
        assert!(backoff.held_until(&"a", at(610), at(610)).is_some(), "exactly ten minutes are not enough");
        assert_eq!(backoff.held_until(&"a", at(611), at(611)), None);
        backoff.advance("a", at(611), at(611));
        assert_eq!(backoff.delay(&"a"), INITIAL);
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nobody_up() {
        let mut backoff = Backoff::new();
        backoff.advance("a", at(86_400), at(86_400));
        assert_eq!(backoff.held_until(&"a", at(86_401), at(0)), None);
        assert_eq!(backoff.held_since_failure(&"a", at(0)), None);
    }

    #[test]
    fn keys_do_not_hold_each_other_up() {
        let mut backoff = Backoff::new();
        backoff.advance("a", at(0), at(0));
        assert_eq!(backoff.held_since_failure(&"b", at(1)), None);
        assert_eq!(backoff.held_since_failure(&"a", at(1)), Some(at(10)));
        backoff.forget(|key| *key == "a");
        assert_eq!(backoff.held_since_failure(&"a", at(1)), None);
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (seconds, text) in [(10, "10s"), (80, "1m20s"), (300, "5m0s"), (3661, "1h1m1s")] {
            assert_eq!(go_text(Duration::from_secs(seconds)), text);
        }
    }
}
