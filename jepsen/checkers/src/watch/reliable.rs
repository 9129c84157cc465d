//! Promise: a watch is reliable.
//!
//! > Between the first and the last event that a watch delivers none is missing, and none is delivered that was not
//! > committed, or not so.
//!
//! Source: etcd's watch API guarantees ("Reliable"); etcd issues 17529, 18089 and 19179 (events lost). In: watches and
//! the commit log; without one, who wrote what, and whether watches agree. Deliberately absent: what comes before the first event ([`super::resumable`]) and after the last
//! ([`super::bookmarkable`], [`crate::liveness`]).

use rustc_hash::FxHashMap;

use crate::history::{Change, CommitLog, Event, History, Key, Revision, Value, Watch};
use crate::promise::{Findings, Promise, Verdict};
use crate::writers::Writers;

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "watch_reliable",
    words: "No event is missing between the first and the last, and every event was committed.",
    source: "etcd: watch API guarantees (reliable), issues 17529, 18089, 19179",
    check,
};

fn check(history: &History) -> Verdict {
    if let Some(log) = &history.log {
        return super::each(history, |number, watch, findings| check_watch(log, number, watch, findings));
    }
    let writers = Writers::of(history);
    let mut told: FxHashMap<(&Key, Revision), (u32, bool)> = FxHashMap::default();
    let mut findings = Findings::default();
    for (number, watch) in (0..).zip(&history.watches) {
        for (_, event) in watch.events() {
            findings.checked += 1;
            if let Some((class, problem)) = odd(&writers, &mut told, number, event) {
                let problem = format!("{}: {problem}", super::words(event));
                findings.add(super::violation(class, number, watch, &problem));
                break;
            }
        }
    }
    findings.verdict()
}

/// What can be said of an event without a log. Values that differ are for [`crate::versions`].
fn odd<'a>(
    writers: &Writers<'_>,
    told: &mut FxHashMap<(&'a Key, Revision), (u32, bool)>,
    number: u32,
    event: &'a Event,
) -> Option<(&'static str, String)> {
    if let Some(Value::Number(value)) = event.became.as_ref().map(|became| &became.value)
        && let Some((_, problem, _)) = writers.odd(&event.key, *value)
    {
        return Some(("phantom event", problem));
    }
    let is_put = event.became.is_some();
    let (other, was_put) = *told.entry((&event.key, event.revision)).or_insert((number, is_put));
    (was_put != is_put).then(|| ("wrong event", format!("watch {other} was told otherwise")))
}

fn check_watch(log: &CommitLog, number: u32, watch: &Watch, findings: &mut Findings) {
    let mut delivered: FxHashMap<(&Key, Revision), &Event> = FxHashMap::default();
    for (_, event) in watch.events() {
        findings.checked += 1;
        delivered.insert((&event.key, event.revision), event);
    }
    let revisions = || watch.events().map(|(_, event)| event.revision);
    let (Some(first), Some(last)) = (revisions().min(), revisions().max()) else { return };
    let from = watch.first_owed().map_or(first, |owed| owed.max(first));
    for (revision, change) in super::owed(watch, log, from, last) {
        let problem = match delivered.get(&(&change.key, revision)) {
            None => Some(("event missing", format!("{} of revision {revision} is missing", change.key))),
            Some(event) if !same(event, change) => {
                let is = change.became.as_ref().map_or("a delete", |_| "another put");
                Some(("wrong event", format!("{}, but {is} was committed there", super::words(event))))
            }
            Some(_) => None,
        };
        if let Some((class, problem)) = problem {
            findings.add(super::violation(class, number, watch, &problem));
            return;
        }
    }
    if let Some((_, event)) = watch.events().find(|(_, event)| !is_committed(log, event)) {
        let problem = format!("{} was never committed", super::words(event));
        findings.add(super::violation("phantom event", number, watch, &problem));
    }
}

fn is_committed(log: &CommitLog, event: &Event) -> bool {
    if event.revision <= log.base {
        // Before the log begins nothing is known.
        return true;
    }
    let place = log.commits.partition_point(|commit| commit.revision < event.revision);
    log.commits.get(place).is_some_and(|commit| {
        commit.revision == event.revision && commit.changes.iter().any(|change| change.key == event.key)
    })
}

fn same(event: &Event, change: &Change) -> bool {
    match (&event.became, &change.became) {
        (None, None) => true,
        (Some(event), Some(change)) => event.may_be(change),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{classes, failed, log, version, watch, watched, write};

    fn the_log() -> CommitLog {
        log(&[(2, "a1", Some(1)), (3, "b", Some(2)), (4, "a1", None), (4, "a2", Some(3)), (5, "a1", Some(4))])
    }

    fn found(watch: Watch) -> Vec<&'static str> {
        classes(&PROMISE, &watched(&the_log(), vec![watch]))
    }

    #[test]
    fn a_watch_that_has_everything_passes() {
        assert_eq!(found(watch("a", 1).sent(1, &the_log(), &[2]).sent(2, &the_log(), &[4, 5])), [""; 0]);
        let mut puts = watch("a", 1);
        puts.filters.no_delete = true;
        assert_eq!(found(puts.sent(1, &the_log(), &[2, 4, 5])), [""; 0]);
    }

    #[test]
    fn an_event_that_is_missing_is_found() {
        assert_eq!(
            found(watch("a", 1).sent(1, &the_log(), &[2]).sent(2, &the_log(), &[5])),
            ["event missing"]
        );
        let half = watch("a", 1).sent(1, &the_log(), &[2, 4, 5]).with(0, |events| drop(events.remove(1)));
        assert_eq!(found(half), ["event missing"]);
    }

    #[test]
    fn an_event_that_was_not_committed_so_is_found() {
        let other =
            |events: &mut Vec<Event>| events[0].became.as_mut().expect("a put").value = Value::Number(9);
        assert_eq!(found(watch("a", 1).sent(1, &the_log(), &[2]).with(0, other)), ["wrong event"]);
        let phantom = |events: &mut Vec<Event>| {
            let (key, became) = ("a7".into(), Some(version((9, 2))));
            events.push(Event { revision: Revision(2), key, became, previous: None });
        };
        assert_eq!(found(watch("a", 1).sent(1, &the_log(), &[2]).with(0, phantom)), ["phantom event"]);
    }

    #[test]
    fn without_a_log_events_of_nobody_and_of_refused_writes_are_found() {
        let log = log(&[(2, "a", Some(1)), (3, "a", None)]);
        let with = |operation| {
            let watches = vec![watch("a", 1).sent(1, &log, &[2])];
            let history = History { operations: vec![operation], watches, ..History::default() };
            classes(&PROMISE, &history)
        };
        assert_eq!(with(write(0, 0..1, "a", 1, 2)), [""; 0]);
        assert_eq!(with(write(0, 0..1, "a", 9, 2)), ["phantom event"]);
        assert_eq!(with(write(0, 0..1, "b", 1, 2)), ["phantom event"]);
        assert_eq!(with(failed(write(0, 0..1, "a", 1, 0))), ["phantom event"]);
    }

    #[test]
    fn without_a_log_watches_that_disagree_are_found() {
        let log = log(&[(2, "a", Some(1)), (3, "a", None)]);
        let good = || watch("a", 1).sent(1, &log, &[2, 3]);
        let other = good().with(0, |events| events[1].became = Some(version((1, 3))));
        let operations = vec![write(0, 0..1, "a", 1, 2)];
        let history = History { operations, watches: vec![good(), other], ..History::default() };
        assert_eq!(classes(&PROMISE, &history), ["wrong event"]);
    }
}
