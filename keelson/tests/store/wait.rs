//! Waiting for what another process does: asked again until it holds, within a deadline.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// For anything that should happen soon, on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at another process, which cannot tell this one that something has changed.
const PACE: Duration = Duration::from_millis(10);

/// Looks at something again and again, within a deadline.
pub(crate) struct Looks<'a> {
    what: &'a str,
    patience: Duration,
    deadline: Instant,
    ticks: Interval,
}

impl<'a> Looks<'a> {
    /// `what` says what is awaited.
    pub(crate) fn within(patience: Duration, what: &'a str) -> Self {
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { what, patience, deadline: Instant::now() + patience, ticks }
    }

    /// Returns when it is time for the next look; the first is at once. Panics when time is up.
    pub(crate) async fn next(&mut self) {
        assert!(Instant::now() < self.deadline, "not within {:?}: {}", self.patience, self.what);
        self.ticks.tick().await;
    }
}

/// Asks `probe` until it has an answer. Panics when there is none within `patience`; `what` says what was awaited.
pub(crate) async fn until<T>(what: &str, patience: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let mut looks = Looks::within(patience, what);
    loop {
        looks.next().await;
        if let Some(answer) = probe().await {
            return answer;
        }
    }
}
