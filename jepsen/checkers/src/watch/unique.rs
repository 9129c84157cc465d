//! Promise: a watch is unique.
//!
//! > An event is never delivered twice; also not by the watch that goes on from another, unless it was asked for again.
//!
//! Source: etcd's watch API guarantees ("Unique"); etcd issue 17247 (duplicated event). Deliberately absent: events of
//! watches that have nothing to do with each other.

use rustc_hash::FxHashSet;

use crate::history::{History, Key, Revision, Watch};
use crate::promise::{Findings, Promise, Verdict};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "watch_unique",
    words: "No event is delivered twice.",
    source: "etcd: watch API guarantees (unique), issue 17247",
    check,
};

fn check(history: &History) -> Verdict {
    super::each(history, |number, watch, findings| check_watch(history, number, watch, findings))
}

fn check_watch(history: &History, number: u32, watch: &Watch, findings: &mut Findings) {
    let mut seen: FxHashSet<(&Key, Revision)> = FxHashSet::default();
    for (_, event) in watch.events() {
        findings.checked += 1;
        if !seen.insert((&event.key, event.revision)) {
            let problem = format!("{} comes twice", super::words(event));
            findings.add(super::violation("event twice", number, watch, &problem));
            return;
        }
    }
    let Some(start) = watch.first_owed() else { return };
    let not_asked = watch.events().map(|(_, event)| event).find(|event| event.revision < start);
    let Some(event) = not_asked else { return };
    let mut before = super::parent(history, watch);
    while let Some((other, earlier)) = before {
        if earlier.events().any(|(_, old)| (&old.key, old.revision) == (&event.key, event.revision)) {
            let problem =
                format!("{} came already to watch {other}, and was not asked for", super::words(event));
            let mut violation = super::violation("event twice", number, watch, &problem);
            violation.watches.insert(0, crate::history::WatchId(other));
            findings.add(violation);
            return;
        }
        before = super::parent(history, earlier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{classes, log, watch, watched};

    #[test]
    fn an_event_that_comes_twice_is_found() {
        let log = log(&[(2, "a", Some(1)), (3, "a", Some(2))]);
        let with = |watch| classes(&PROMISE, &watched(&log, vec![watch]));
        assert_eq!(with(watch("a", 1).sent(1, &log, &[2, 3])), [""; 0]);
        assert_eq!(with(watch("a", 1).sent(1, &log, &[2]).sent(2, &log, &[2, 3])), ["event twice"]);
    }

    #[test]
    fn an_event_that_comes_again_after_resuming_is_found_unless_it_was_asked_for() {
        let log = log(&[(2, "a", Some(1)), (3, "a", Some(2))]);
        let first = watch("a", 1).sent(1, &log, &[2]);
        let resumed = |start| watch("a", start).after(0).sent(2, &log, &[2, 3]);
        let with = |second| classes(&PROMISE, &watched(&log, vec![first.clone(), second]));
        assert_eq!(with(resumed(2)), [""; 0]);
        assert_eq!(with(resumed(3)), ["event twice"]);
    }
}
