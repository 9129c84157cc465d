//! Says where the time went when a write took long.
//!
//! In: how long a write waited for its turn, and how long it was carried. Out: a line in the log with both, and
//! with what took longest at this replica meanwhile. At most one line a second: a disk that is slow makes
//! every write slow, and the log is on a disk, too.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    membership::Route,
    meters::{Meters, count},
    runtime::clock::Instant,
};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Watches how long writes take.
pub(super) struct SlowLog {
    pub(super) meters: Arc<Meters>,
    /// From here on a write is slow.
    threshold: Duration,
    /// When the last line was written, and how many slow writes there were since.
    said: Mutex<(Option<Instant>, u64)>,
}

/// One write's way.
pub(super) struct Way<'r> {
    /// When it was asked for,
    pub(super) came: Instant,
    /// when its turn came,
    pub(super) began: Instant,
    /// and who decided it.
    pub(super) route: &'r Route,
    pub(super) bytes: usize,
}

impl SlowLog {
    pub(super) fn new(meters: Arc<Meters>, threshold: Duration) -> Self {
        Self { meters, threshold, said: Mutex::new((None, 0)) }
    }

    /// A write has its fate now.
    pub(super) fn decided(&self, now: Instant, way: &Way<'_>) {
        let took = now.saturating_duration_since(way.came);
        if took < self.threshold {
            return;
        }
        count(&self.meters.slow);
        let Some(others) = self.may_speak(now) else { return };
        let waited = way.began.saturating_duration_since(way.came);
        let carried = now.saturating_duration_since(way.began);
        let leader = match way.route {
            Route::Here => "this member",
            Route::To(_, member) => &member.name,
            Route::Nowhere => "nobody",
        };
        tracing::warn!(
            ?took,
            expected = ?self.threshold,
            ?waited,
            ?carried,
            longest_fsync = ?self.meters.fsync.longest_since(way.came),
            longest_apply = ?self.meters.apply.longest_since(way.came),
            bytes = way.bytes,
            leader,
            others,
            "apply request took too long"
        );
    }

    /// How many slow writes nothing was said of, if it is time to say something.
    fn may_speak(&self, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, silent) = *said;
        if last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            said.1 += 1;
            return None;
        }
        *said = (Some(now), 0);
        Some(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slow_write_is_counted_and_one_a_second_is_spoken_of() {
        let log = SlowLog::new(Arc::default(), Duration::ZERO);
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        assert_eq!(log.may_speak(now), Some(0));
        assert_eq!((log.may_speak(after(1)), log.may_speak(after(999))), (None, None));
        assert_eq!(log.may_speak(after(1000)), Some(2));
        log.decided(now, &Way { came: now, began: now, route: &Route::Here, bytes: 1 });
        assert_eq!(log.meters.slow.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
