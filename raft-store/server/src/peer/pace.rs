//! How fast snapshots leave a replica.
//!
//! In: what is about to be sent. Out: the moment at which it may go. All transfers of a replica share one pace: a
//! leader that serves clients has so much to spare, however many followers lag. One that cannot serve anybody before a
//! follower has its snapshot has everything to spare. Pure; the caller reads the clock, and sleeps.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::runtime::clock::Instant;

/// Bytes per second, and until when they are spent.
#[derive(Debug)]
pub(crate) struct Pace {
    /// `None`: as fast as it goes.
    bytes_per_second: Option<u64>,
    next: Mutex<Option<Instant>>,
    hurries: watch::Sender<bool>,
}

impl Pace {
    /// A pace; 0 means as fast as it goes.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        let bytes_per_second = (bytes_per_second > 0).then_some(bytes_per_second);
        Self { bytes_per_second, next: Mutex::new(None), hurries: watch::Sender::new(false) }
    }

    /// From now on everything goes at once, or not any more.
    pub(crate) fn hurry(&self, hurries: bool) {
        if self.hurries.send_if_modified(|before| std::mem::replace(before, hurries) != hurries) {
            // What waits is let go.
            *self.next.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Completes when everything goes at once because it is waited for.
    pub(crate) async fn hurried(&self) {
        // The sender lives as long as this.
        let _ = self.hurries.subscribe().wait_for(|hurries| *hurries).await;
    }

    /// Whether everything goes at once because it is waited for.
    pub(crate) fn hurries(&self) -> bool {
        *self.hurries.borrow()
    }

    /// When so many bytes may go, if not at once. Time that nobody used is not saved up.
    pub(crate) fn reserve(&self, now: Instant, bytes: usize) -> Option<Instant> {
        let rate = self.bytes_per_second.filter(|_| !self.hurries())?;
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        // A poisoned lock holds a moment, old or new.
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let goes =
            next.map_or(now, |next| if next.saturating_duration_since(now).is_zero() { now } else { next });
        *next = Some(goes + takes);
        (goes != now).then_some(goes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_share_the_pace_and_save_nothing_up() {
        let pace = Pace::new(1000);
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        assert_eq!(pace.reserve(now, 500), None);
        assert_eq!(pace.reserve(now, 500), Some(after(500)));
        assert_eq!(pace.reserve(after(100), 100), Some(after(1000)));
        assert_eq!(pace.reserve(after(60_000), 500), None, "what was reserved has long gone");
        assert_eq!(pace.reserve(after(60_000), 1), Some(after(60_500)));
    }

    #[test]
    fn who_hurries_has_no_pace() {
        let (pace, now) = (Pace::new(1000), Instant::now());
        assert_eq!((pace.reserve(now, 500), pace.hurries()), (None, false));
        pace.hurry(true);
        assert!((0..100).all(|_| pace.reserve(now, 500).is_none()));
        pace.hurry(false);
        assert_eq!(pace.reserve(now, 500), None);
        assert!(pace.reserve(now, 500).is_some());
    }

    #[test]
    fn without_a_rate_everything_goes_at_once() {
        let (pace, now) = (Pace::new(0), Instant::now());
        assert!((0..100).all(|_| pace.reserve(now, usize::MAX).is_none()));
    }
}
