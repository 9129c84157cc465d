//! Waiting for conditions.

use std::time::{Duration, Instant};

/// How long anything may take: much longer than it does, for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Pause between two looks at something that tells nothing by itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until `look` finds something; `what` is for the message of a test that fails.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Waits until a condition holds.
pub(crate) fn until_true(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(()));
}
