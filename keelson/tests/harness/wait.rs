//! Waiting for what another process does: looked at again until it holds, within a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// For anything that should happen soon, on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at another process, which cannot tell this one that something has changed.
const PACE: Duration = Duration::from_millis(50);

/// Asks `probe` until it has an answer. Panics when there is none in time; `what` says what was awaited. The last
/// reason why there was none is in the panic's text.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reason = match probe() {
            Ok(answer) => return answer,
            Err(reason) => reason,
        };
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}: {reason}");
        thread::sleep(PACE);
    }
}
