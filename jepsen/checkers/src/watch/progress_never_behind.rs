//! Promise: a watch's progress never falls behind what the watch has delivered.
//!
//! > When a watch reports progress, the revision that it names is at least that of every event it has sent before.
//!
//! Source: Keelson's own. etcd answers a question about progress with the revision of all its watches that are in step,
//! which may be behind what one of them was sent since; a client that takes the report for its place goes back then.
//! In: watches alone. Deliberately absent: everything that etcd promises, too ([`super::bookmarkable`]).

use crate::history::{History, Revision, Watch, WatchEvent};
use crate::promise::{Findings, Promise, Verdict};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "watch_progress_never_behind",
    words: "Progress names no revision below that of an event that was delivered before.",
    source: "Keelson: stricter than etcd, whose reports may lag behind the events of a watch",
    check,
};

fn check(history: &History) -> Verdict {
    super::each(history, never_behind)
}

fn never_behind(number: u32, watch: &Watch, findings: &mut Findings) {
    let mut delivered = Revision::ZERO;
    for response in &watch.responses {
        match &response.what {
            WatchEvent::Progress => {
                findings.checked += 1;
                if response.header_revision < delivered {
                    let progress = response.header_revision;
                    let problem = format!("progress {progress} comes after an event of {delivered}");
                    findings.add(super::violation("progress behind events", number, watch, &problem));
                    return;
                }
            }
            WatchEvent::Events(events) => {
                delivered = events.iter().map(|event| event.revision).fold(delivered, Revision::max);
            }
            WatchEvent::Created | WatchEvent::Canceled { .. } | WatchEvent::Broken(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::CommitLog;
    use crate::testing::{classes, log, watch, watched};

    fn found(watch: impl Fn(&CommitLog) -> Watch) -> Vec<&'static str> {
        let log = log(&[(2, "a", Some(1)), (3, "b", Some(2)), (4, "a", Some(3))]);
        classes(&PROMISE, &watched(&log, vec![watch(&log)]))
    }

    #[test]
    fn progress_at_or_beyond_what_was_delivered_passes() {
        let good = |log: &CommitLog| {
            let begun = watch("a", 1).sent(1, log, &[2]).told(2, 3, WatchEvent::Progress);
            begun.sent(3, log, &[4]).told(4, 4, WatchEvent::Progress)
        };
        assert_eq!(found(good), [""; 0]);
    }

    #[test]
    fn progress_behind_what_was_delivered_is_found() {
        let behind = |log: &CommitLog| watch("a", 1).sent(1, log, &[2, 4]).told(2, 3, WatchEvent::Progress);
        assert_eq!(found(behind), ["progress behind events"]);
    }
}
