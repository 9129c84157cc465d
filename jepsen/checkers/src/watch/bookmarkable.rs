//! Promise: a watch is bookmarkable.
//!
//! > When a watch reports progress at a revision, everything up to that revision has been delivered: nothing of it
//! > comes later, and nothing is missing.
//!
//! Source: etcd's watch API guarantees ("Bookmarkable"); etcd issue 15220 (progress ahead of events). In: watches, and
//! the commit log if there is one. Deliberately absent: progress of what nobody has committed
//! ([`super::progress_never_ahead`]), and progress behind what was delivered ([`super::progress_never_behind`]).

use rustc_hash::FxHashSet;

use crate::history::{CommitLog, History, Key, Revision, Watch, WatchEvent};
use crate::promise::{Findings, Promise, Verdict};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "watch_bookmarkable",
    words: "When progress is reported at a revision, everything up to it has been delivered.",
    source: "etcd: watch API guarantees (bookmarkable), issue 15220",
    check,
};

fn check(history: &History) -> Verdict {
    super::each(history, |number, watch, findings| {
        bookmarks(number, watch, findings);
        if let Some(log) = &history.log {
            complete(log, number, watch, findings);
        }
    })
}

/// What the responses alone tell.
fn bookmarks(number: u32, watch: &Watch, findings: &mut Findings) {
    let mut bookmark = Revision::ZERO;
    for response in &watch.responses {
        match &response.what {
            WatchEvent::Progress => {
                findings.checked += 1;
                bookmark = bookmark.max(response.header_revision);
            }
            WatchEvent::Events(events) => {
                if let Some(late) = events.iter().find(|event| event.revision <= bookmark) {
                    let problem = format!("{} comes after progress {bookmark}", super::words(late));
                    findings.add(super::violation("event after its bookmark", number, watch, &problem));
                    return;
                }
            }
            WatchEvent::Created | WatchEvent::Canceled { .. } | WatchEvent::Broken(_) => {}
        }
    }
}

/// What the log says was due.
fn complete(log: &CommitLog, number: u32, watch: &Watch, findings: &mut Findings) {
    let Some(mut from) = watch.first_owed() else { return };
    let mut delivered: FxHashSet<(&Key, Revision)> = FxHashSet::default();
    for response in &watch.responses {
        match &response.what {
            WatchEvent::Events(events) => {
                delivered.extend(events.iter().map(|event| (&event.key, event.revision)));
            }
            WatchEvent::Progress => {
                let to = response.header_revision;
                let missing = super::owed(watch, log, from, to)
                    .find(|(revision, change)| !delivered.contains(&(&change.key, *revision)));
                if let Some((revision, change)) = missing {
                    let problem = format!("progress {to}, but {} of {revision} has not come", change.key);
                    findings.add(super::violation(
                        "event missing before its bookmark",
                        number,
                        watch,
                        &problem,
                    ));
                    return;
                }
                from = from.max(to.next());
            }
            WatchEvent::Created | WatchEvent::Canceled { .. } | WatchEvent::Broken(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{classes, log, watch, watched};

    fn found(watch: impl Fn(&CommitLog) -> Watch) -> Vec<&'static str> {
        let log = log(&[(2, "a", Some(1)), (3, "b", Some(2)), (4, "a", Some(3))]);
        classes(&PROMISE, &watched(&log, vec![watch(&log)]))
    }

    #[test]
    fn progress_after_everything_was_delivered_passes() {
        let good = |log: &CommitLog| {
            let begun = watch("a", 1).sent(1, log, &[2]).told(2, 3, WatchEvent::Progress);
            begun.sent(3, log, &[4]).told(4, 4, WatchEvent::Progress)
        };
        assert_eq!(found(good), [""; 0]);
    }

    #[test]
    fn progress_before_an_event_is_found() {
        let late = |log: &CommitLog| {
            watch("a", 1).sent(1, log, &[2]).told(2, 4, WatchEvent::Progress).sent(3, log, &[4])
        };
        assert!(found(late).contains(&"event after its bookmark"));
        let never = |log: &CommitLog| watch("a", 1).sent(1, log, &[2]).told(2, 4, WatchEvent::Progress);
        assert_eq!(found(never), ["event missing before its bookmark"]);
    }
}
