//! Promise: a watch is never ahead of the store.
//!
//! > A revision that a watch names, in progress or with events, has been committed: whoever reads afterwards sees it,
//! > and no write that begins afterwards gets it. No event is newer than its response.
//!
//! Source: etcd issues 15220 and 20221 (early notifications); etcd's API guarantees. In: watches, operations with
//! times, and the commit log. Deliberately absent: what must have been delivered ([`super::bookmarkable`]).

use crate::edn;
use crate::history::{Freshness, History, Nanos, OpId, Revision, Watch, WatchEvent};
use crate::promise::{Findings, Promise, Verdict};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "watch_progress_never_ahead",
    words: "A revision that a watch names has been committed.",
    source: "etcd: issues 15220, 20221",
    check,
};

/// A revision that a watch named.
#[derive(Clone, Copy)]
struct Named {
    at: Nanos,
    revision: Revision,
    watch: u32,
}

fn check(history: &History) -> Verdict {
    let mut named = Vec::new();
    let mut findings = Findings::default();
    for (number, watch) in (0..).zip(&history.watches) {
        responses(history, number, watch, &mut named, &mut findings);
    }
    findings.checked = named.len() as u64;
    named.sort_by_key(|named| named.at);
    against_operations(history, &named, &mut findings);
    findings.verdict()
}

fn responses(history: &History, number: u32, watch: &Watch, named: &mut Vec<Named>, findings: &mut Findings) {
    let committed = history.log.as_ref().map(|log| log.last());
    for response in &watch.responses {
        let newest = match &response.what {
            WatchEvent::Events(events) => events.iter().map(|event| event.revision).max(),
            WatchEvent::Created | WatchEvent::Progress => None,
            WatchEvent::Canceled { .. } | WatchEvent::Broken(_) => continue,
        };
        let revision = newest.unwrap_or_default().max(response.header_revision);
        named.extend(revision.told().map(|revision| Named { at: response.at, revision, watch: number }));
        let problem = match (newest, response.header_revision.told()) {
            (Some(newest), Some(header)) if newest > header => {
                Some(format!("an event of revision {newest} comes in a response of revision {header}"))
            }
            _ if committed.is_some_and(|committed| committed < revision) => Some(format!(
                "it names revision {revision}, and the last that was committed is {committed:?}"
            )),
            _ => None,
        };
        if let Some(problem) = problem {
            findings.add(super::violation("ahead of the store", number, watch, &problem));
            return;
        }
    }
}

/// Walks through operations by their beginning, with the greatest revision that was named before.
fn against_operations(history: &History, named: &[Named], findings: &mut Findings) {
    let mut begun: Vec<u32> = (0..).zip(&history.operations).map(|(number, _)| number).collect();
    begun.sort_by_key(|&number| history.operations[number as usize].invoked);
    let mut named = named.iter().peekable();
    let mut greatest: Option<Named> = None;
    for number in begun {
        let operation = &history.operations[number as usize];
        while let Some(next) = named.next_if(|next| next.at < operation.invoked) {
            if greatest.is_none_or(|greatest| greatest.revision < next.revision) {
                greatest = Some(*next);
            }
        }
        let Some(greatest) = greatest else { continue };
        let Some((_, returned)) = operation.answer() else { continue };
        let Some(revision) = returned.revision().told() else { continue };
        let ahead = match returned.freshness(&operation.call) {
            Freshness::Committed => revision <= greatest.revision,
            Freshness::Current => revision < greatest.revision,
            Freshness::Local => false,
        };
        if ahead {
            let problem =
                format!("it named revision {}, before {}", greatest.revision, edn::words(number, operation));
            let watch = &history.watches[greatest.watch as usize];
            let mut violation = super::violation("ahead of the store", greatest.watch, watch, &problem);
            violation.operations.push(OpId(number));
            findings.add(violation);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{CommitLog, Operation};
    use crate::testing::{classes, log, read, watch, watched, write};

    fn the_log() -> CommitLog {
        log(&[(2, "a", Some(1)), (3, "a", Some(2))])
    }

    fn found(watch: Watch, operations: Vec<Operation>) -> Vec<&'static str> {
        classes(&PROMISE, &History { operations, ..watched(&the_log(), vec![watch]) })
    }

    #[test]
    fn a_watch_that_names_what_was_committed_passes() {
        let good = watch("a", 1).sent(5, &the_log(), &[2]).told(6, 2, WatchEvent::Progress).sent(
            9,
            &the_log(),
            &[3],
        );
        let operations = vec![write(0, 0..1, "a", 1, 2), write(0, 7..8, "a", 2, 3)];
        assert_eq!(found(good, operations), [""; 0]);
    }

    #[test]
    fn progress_before_the_commit_is_found() {
        let early = || watch("a", 1).sent(5, &the_log(), &[2]).told(6, 3, WatchEvent::Progress);
        let operations = vec![write(0, 0..1, "a", 1, 2), write(0, 7..8, "a", 2, 3)];
        assert_eq!(found(early(), operations), ["ahead of the store"]);
        assert_eq!(found(early(), vec![read(0, 7..8, "a", Some((1, 2)), 2)]), ["ahead of the store"]);
        assert_eq!(found(early(), vec![write(0, 5..8, "a", 2, 3)]), [""; 0]);
    }

    #[test]
    fn progress_beyond_everything_that_was_committed_is_found() {
        let beyond = watch("a", 1).sent(5, &the_log(), &[2]).told(6, 4, WatchEvent::Progress);
        assert_eq!(found(beyond, Vec::new()), ["ahead of the store"]);
    }

    #[test]
    fn an_event_newer_than_its_response_is_found() {
        let mut odd = watch("a", 1).sent(5, &the_log(), &[2, 3]);
        odd.responses[0].header_revision = Revision(2);
        assert_eq!(found(odd, Vec::new()), ["ahead of the store"]);
    }
}
