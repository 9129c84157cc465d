//! Promise: a watch is atomic.
//!
//! > All events of one revision come in one response.
//!
//! Source: etcd's watch API guarantees ("Atomic"). In: responses; fragments of one were put together by whoever
//! recorded them. Deliberately absent: revisions of which a part never comes ([`super::reliable`]).

use crate::history::{History, Revision, Watch};
use crate::promise::{Findings, Promise, Verdict};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "watch_atomic",
    words: "All events of one revision come in one response.",
    source: "etcd: watch API guarantees (atomic)",
    check,
};

fn check(history: &History) -> Verdict {
    super::each(history, check_watch)
}

fn check_watch(number: u32, watch: &Watch, findings: &mut Findings) {
    let mut last: Option<(usize, Revision)> = None;
    for (response, event) in watch.events() {
        findings.checked += 1;
        if let Some((before, revision)) = last
            && revision == event.revision
            && before != response
        {
            let problem = format!("revision {revision} comes in responses {before} and {response}");
            findings.add(super::violation("split revision", number, watch, &problem));
            return;
        }
        last = Some((response, event.revision));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{classes, log, watch, watched};

    #[test]
    fn a_revision_that_is_split_is_found() {
        let log = log(&[(2, "a1", Some(1)), (2, "a2", Some(2)), (3, "a1", Some(3))]);
        let with = |watch| classes(&PROMISE, &watched(&log, vec![watch]));
        let whole = watch("a", 1).sent(1, &log, &[2, 3]);
        assert_eq!(with(whole), [""; 0]);
        let split = watch("a", 1)
            .sent(1, &log, &[2])
            .with(0, |events| events.truncate(1))
            .sent(2, &log, &[2])
            .with(1, |events| events.truncate(1));
        assert_eq!(with(split), ["split revision"]);
    }
}
