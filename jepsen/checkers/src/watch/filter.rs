//! Promise: a watch delivers what was asked for.
//!
//! > Every event is of a key in the watch's range, and of a kind that its filters let through.
//!
//! Source: etcd's watch API (range, filters); etcd robustness ("Filter"). Deliberately absent: revisions
//! ([`super::resumable`]).

use crate::history::{History, Watch};
use crate::promise::{Findings, Promise, Verdict};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "watch_filter",
    words: "Every event is of a key and of a kind that was asked for.",
    source: "etcd: watch API; etcd robustness: filter",
    check,
};

fn check(history: &History) -> Verdict {
    super::each(history, check_watch)
}

fn check_watch(number: u32, watch: &Watch, findings: &mut Findings) {
    for (_, event) in watch.events() {
        findings.checked += 1;
        let class = match (watch.range.contains(&event.key), watch.filters.wants(event.became.as_ref())) {
            (false, _) => "event outside the range",
            (true, false) => "event that was filtered out",
            (true, true) => continue,
        };
        findings.add(super::violation(class, number, watch, &super::words(event)));
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{classes, log, watch, watched};

    #[test]
    fn events_that_nobody_asked_for_are_found() {
        let log = log(&[(2, "a", Some(1)), (3, "a", None)]);
        let with = |watch| classes(&PROMISE, &watched(&log, vec![watch]));
        assert_eq!(with(watch("a", 1).sent(1, &log, &[2, 3])), [""; 0]);
        let elsewhere = watch("a", 1).sent(1, &log, &[2]).with(0, |events| events[0].key = "b".into());
        assert_eq!(with(elsewhere), ["event outside the range"]);
        let mut filtered = watch("a", 1).sent(1, &log, &[2, 3]);
        filtered.filters.no_delete = true;
        assert_eq!(with(filtered), ["event that was filtered out"]);
    }
}
