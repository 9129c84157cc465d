//! Promise: a watch is ordered.
//!
//! > Events come in the order of their revisions; an event is never followed by one of an earlier time. What a watch
//! > reports of its progress does not go back either, and once the store has ended a watch nothing comes any more.
//!
//! Source: etcd's watch API guarantees ("Ordered"); etcd robustness. Deliberately absent: order within one revision.

use crate::history::{History, Revision, Watch, WatchEvent};
use crate::promise::{Findings, Promise, Verdict};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "watch_ordered",
    words: "Events come in the order of their revisions.",
    source: "etcd: watch API guarantees (ordered)",
    check,
};

fn check(history: &History) -> Verdict {
    super::each(history, check_watch)
}

fn check_watch(number: u32, watch: &Watch, findings: &mut Findings) {
    let mut last = Revision::ZERO;
    for (_, event) in watch.events() {
        findings.checked += 1;
        if event.revision < last {
            let problem = format!("{} comes after revision {last}", super::words(event));
            findings.add(super::violation("events out of order", number, watch, &problem));
            return;
        }
        last = event.revision;
    }
    let mut last = Revision::ZERO;
    for response in watch.responses.iter().filter(|response| matches!(response.what, WatchEvent::Progress)) {
        if response.header_revision < last {
            let problem = format!("progress {} comes after progress {last}", response.header_revision);
            findings.add(super::violation("progress went back", number, watch, &problem));
            return;
        }
        last = response.header_revision;
    }
    after_the_end(number, watch, findings);
}

fn after_the_end(number: u32, watch: &Watch, findings: &mut Findings) {
    let mut responses = watch.responses.iter();
    let has_ended = responses.any(|response| matches!(response.what, WatchEvent::Canceled { .. }));
    let says_something = |what: &WatchEvent| match what {
        WatchEvent::Events(_) | WatchEvent::Progress | WatchEvent::Created => true,
        WatchEvent::Canceled { .. } | WatchEvent::Broken(_) => false,
    };
    if has_ended && responses.any(|response| says_something(&response.what)) {
        let problem = "it goes on after the store has ended it";
        findings.add(super::violation("response after the end", number, watch, problem));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{classes, log, watch, watched};

    #[test]
    fn events_out_of_order_are_found() {
        let log = log(&[(2, "a", Some(1)), (3, "b", Some(2)), (4, "a", Some(3))]);
        let with = |watch| classes(&PROMISE, &watched(&log, vec![watch]));
        assert_eq!(with(watch("a", 1).sent(1, &log, &[2]).sent(2, &log, &[4])), [""; 0]);
        assert_eq!(with(watch("a", 1).sent(1, &log, &[4]).sent(2, &log, &[2])), ["events out of order"]);
        assert_eq!(with(watch("a", 1).sent(1, &log, &[4, 2])), ["events out of order"]);
    }

    #[test]
    fn progress_that_goes_back_is_found() {
        let log = log(&[(2, "a", Some(1))]);
        let told = |second| {
            watch("a", 1).sent(1, &log, &[2]).told(2, 4, WatchEvent::Progress).told(
                3,
                second,
                WatchEvent::Progress,
            )
        };
        assert_eq!(classes(&PROMISE, &watched(&log, vec![told(4)])), [""; 0]);
        assert_eq!(classes(&PROMISE, &watched(&log, vec![told(3)])), ["progress went back"]);
    }

    #[test]
    fn what_comes_after_the_end_is_found() {
        let log = log(&[(2, "a", Some(1)), (3, "a", Some(2))]);
        let end =
            || WatchEvent::Canceled { compact_revision: Revision::ZERO, reason: "no leader".to_owned() };
        let ended = || watch("a", 1).sent(1, &log, &[2]).told(2, 0, end());
        let with = |watch| classes(&PROMISE, &watched(&log, vec![watch]));
        assert_eq!(with(ended().told(3, 0, WatchEvent::Broken("reset".to_owned()))), [""; 0]);
        assert_eq!(with(ended().sent(3, &log, &[3])), ["response after the end"]);
    }
}
