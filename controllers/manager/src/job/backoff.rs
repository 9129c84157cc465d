//! How long a Job waits before it replaces failed pods: pure.
//!
//! In: pods that have newly ended. Out: how many failed since the last success, and how much of the wait is left:
//! 10 s after the first failure, doubled with each, no more than 10 min.
//!
//! Source: `pkg/controller/job/backoff_utils.go` of Kubernetes.

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;

use super::pods::{finished_at, index_failures, index_ignored_failures};

/// After the first failure.
const FIRST: Duration = Duration::from_secs(10);

/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(600);

/// The failures since the last success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    count: u32,
    last: Option<Timestamp>,
}

impl Failures {
    /// After these pods have ended too.
    pub(super) fn after(self, succeeded: &[Arc<Pod>], failed: &[Arc<Pod>]) -> Self {
        let last_success = succeeded.iter().map(|pod| finished_at(pod)).max();
        let before = if last_success.is_some() { Self::default() } else { self };
        let failures = failed.iter().map(|pod| finished_at(pod));
        failures
            .filter(|at| last_success.is_none_or(|success| *at > success))
            .fold(before, |it, at| Self { count: it.count.saturating_add(1), last: it.last.max(Some(at)) })
    }

    /// How much of the wait is left.
    pub(super) fn remaining(self, now: Timestamp) -> Duration {
        self.last.map_or(Duration::ZERO, |last| remaining(self.count, last, now))
    }
}

/// How much of the wait is left in the index of a failed pod, which knows how many failed before it.
pub(super) fn remaining_in_index(failed: &Pod, now: Timestamp) -> Duration {
    let before = index_failures(failed).saturating_add(index_ignored_failures(failed));
    remaining(before.unsigned_abs().saturating_add(1), finished_at(failed), now)
}

fn remaining(failures: u32, last: Timestamp, now: Timestamp) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    let factor = 2u32.checked_pow(doublings);
    let wait = factor.and_then(|factor| FIRST.checked_mul(factor)).map_or(LONGEST, |it| it.min(LONGEST));
    // A clock that is behind the one that wrote the time must not make the wait longer.
    let elapsed = Duration::try_from(now.duration_since(last)).unwrap_or(Duration::ZERO);
    wait.saturating_sub(elapsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::testing::{at, failed_at, succeeded_at};

    fn failures(seconds: &[i64]) -> Vec<Arc<Pod>> {
        seconds.iter().map(|second| Arc::new(failed_at("p", *second))).collect()
    }

    fn successes(seconds: &[i64]) -> Vec<Arc<Pod>> {
        seconds.iter().map(|second| Arc::new(succeeded_at("p", *second))).collect()
    }

    #[test]
    fn the_wait_doubles_from_ten_seconds_to_ten_minutes() {
        let waits: Vec<_> = (0..9)
            .map(|count| {
                let ends = vec![100; count];
                Failures::default().after(&[], &failures(&ends)).remaining(at(100)).as_secs()
            })
            .collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 320, 600, 600]);
    }

    #[test]
    fn the_wait_runs_from_the_last_failure() {
        let two = Failures::default().after(&[], &failures(&[100])).after(&[], &failures(&[107, 90]));
        assert_eq!(two.remaining(at(107)), Duration::from_secs(40));
        assert_eq!(two.remaining(at(117)), Duration::from_secs(30));
        assert_eq!(two.remaining(at(147)), Duration::ZERO);
        assert_eq!(two.remaining(at(50)), Duration::from_secs(40), "a clock that is behind");
    }

    #[test]
    fn a_success_forgives_all_failures_before_it() {
        let many = Failures::default().after(&[], &failures(&[1, 2, 3]));
        assert_eq!(many.after(&successes(&[4]), &[]), Failures::default());
        let one = many.after(&successes(&[4]), &failures(&[4, 5]));
        assert_eq!(one.remaining(at(5)), Duration::from_secs(10));
    }

    #[test]
    fn an_index_counts_its_own_failures_also_those_that_are_ignored() {
        use keelson_controller_runtime::pod::{INDEX_FAILURES, INDEX_IGNORED_FAILURES};
        let mut pod = failed_at("p", 100);
        assert_eq!(remaining_in_index(&pod, at(100)), Duration::from_secs(10));
        let annotations = [(INDEX_FAILURES, "2"), (INDEX_IGNORED_FAILURES, "1")];
        pod.metadata.annotations =
            Some(annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!(remaining_in_index(&pod, at(100)), Duration::from_secs(80));
    }
}
