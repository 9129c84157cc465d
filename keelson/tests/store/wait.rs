//! Waiting for what another process does: asked again until it holds, within a deadline.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// For anything that should happen soon, on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at another process, which cannot tell this one that something has changed.
const PACE: Duration = Duration::from_millis(10);

/// Asks `probe` until it has an answer. Panics when there is none within `patience`; `what` says what was awaited.
pub(crate) async fn until<T>(
    what: &str,
    patience: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    let mut looks = interval(PACE);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
    }
}
