//! What a replica counts and times of its own work, station by station of a write.
//!
//! In: how long each station took, each time. Out: histograms for the page of metrics, and what took longest
//! lately, for whoever wants to know where the time went. Deliberately absent: names and formats of metrics
//! ([`crate::grpc`] has them).

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::runtime::clock::Instant;

/// Upper ends of the buckets, in seconds: a millisecond and its doublings, as etcd has them.
pub(crate) const BUCKETS: usize = 14;
/// How many times are remembered one by one.
const RECENT: usize = 256;

/// The stations' times and counts.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// Of the log reaching the disk.
    pub(crate) fsync: Timings,
    /// Of a batch of entries becoming state.
    pub(crate) apply: Timings,
    /// Writes that wait for their fate.
    pub(crate) pending: AtomicU64,
    /// Writes that were rejected, or whose fate is unknown.
    pub(crate) failed: AtomicU64,
    /// Writes that took longer than they should.
    pub(crate) slow: AtomicU64,
    /// Leases that were granted,
    pub(crate) leases_granted: AtomicU64,
    /// renewed through this replica,
    pub(crate) leases_renewed: AtomicU64,
    /// revoked,
    pub(crate) leases_revoked: AtomicU64,
    /// or ended by this replica because their time had passed.
    pub(crate) leases_expired: AtomicU64,
}

/// How long something takes.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    buckets: [AtomicU64; BUCKETS],
    count: AtomicU64,
    nanos: AtomicU64,
    /// When the last ones ended, and how long they took.
    recent: Mutex<VecDeque<(Instant, Duration)>>,
}

/// Counts.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The upper end of a bucket, in seconds.
pub(crate) fn bucket_end(bucket: usize) -> f64 {
    0.001 * (1_u64 << bucket) as f64
}

impl Timings {
    /// Something that began at a moment has ended.
    pub(crate) fn since(&self, began: Instant) {
        let now = Instant::now();
        self.record(now, now.saturating_duration_since(began));
    }

    fn record(&self, ended: Instant, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(bucket) = (0..BUCKETS).find(|bucket| seconds <= bucket_end(*bucket)) {
            count(&self.buckets[bucket]);
        }
        count(&self.count);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back((ended, took));
    }

    /// The longest of those that ended after a moment; of the last few hundred.
    pub(crate) fn longest_since(&self, moment: Instant) -> Duration {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let later = recent.iter().rev().take_while(|(ended, _)| *ended >= moment);
        later.map(|(_, took)| *took).max().unwrap_or_default()
    }

    /// How many ended within each bucket, alone.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(|count| count.load(Ordering::Relaxed))
    }

    /// How many ended, and how long all took together.
    pub(crate) fn total(&self) -> (u64, Duration) {
        (self.count.load(Ordering::Relaxed), Duration::from_nanos(self.nanos.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_by_bucket_and_the_longest_of_late_is_known() {
        let (timings, start) = (Timings::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        for (ended, took) in [(10, 1), (20, 3), (30, 60_000), (40, 5)] {
            timings.record(after(ended), Duration::from_millis(took));
        }
        assert_eq!(timings.buckets().collect::<Vec<_>>()[..4], [1, 0, 1, 1]);
        assert_eq!(timings.total(), (4, Duration::from_millis(60_009)));
        assert_eq!(timings.longest_since(after(20)), Duration::from_secs(60));
        assert_eq!(timings.longest_since(after(35)), Duration::from_millis(5));
        assert_eq!(timings.longest_since(after(50)), Duration::ZERO);
    }
}
