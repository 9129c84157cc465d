//! Promise: an event says what was before.
//!
//! > Where it was asked for, an event carries the version that it replaced, and nothing where there was none; else it
//! > carries nothing. A put whose creation and modification are of one revision is the key's first.
//!
//! Source: etcd's watch API (`prev_kv`); etcd robustness ("PrevKV", "IsCreate").
//!
//! In: watches; what was before comes from the commit log, without one from the watch's own events. A version may be
//! lacking where the event's revision was compacted. Deliberately absent: who asked for it in vain because a store does
//! not know it.

use rustc_hash::FxHashMap;

use super::Compactions;
use crate::history::{Event, Filters, History, Key, KeyVersion, Revision, Watch};
use crate::past::Past;
use crate::promise::{Promise, Verdict};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "watch_prev_value",
    words: "An event carries what it replaced, if that was asked for, and tells a creation from an update.",
    source: "etcd: watch API (prev_kv); etcd robustness: PrevKV, IsCreate",
    check,
};

fn check(history: &History) -> Verdict {
    let past = history.log.as_ref().map(Past::of);
    let compactions = Compactions::of(history);
    super::each(history, |number, watch, findings| {
        let mut known: FxHashMap<&Key, Option<&KeyVersion>> = FxHashMap::default();
        for (response, event) in watch.events() {
            findings.checked += 1;
            let before = match &past {
                Some(past) => was(past, event),
                None => known.get(&event.key).copied(),
            };
            let at = watch.responses[response].at;
            let compacted = compactions.may_reach(event.revision, at);
            if let Some((class, problem)) = odd(watch, event, before, compacted) {
                let problem = format!("{}: {problem}", super::words(event));
                findings.add(super::violation(class, number, watch, &problem));
                return;
            }
            if watch.filters == Filters::default() {
                known.insert(&event.key, event.became.as_ref());
            }
        }
    })
}

/// What the log says was before; `None`: it does not reach so far.
fn was<'a>(past: &Past<'a>, event: &Event) -> Option<Option<&'a KeyVersion>> {
    let before = Revision(event.revision.0.checked_sub(1)?);
    past.covers(before).then(|| past.at(&event.key, before))
}

fn odd(
    watch: &Watch,
    event: &Event,
    before: Option<Option<&KeyVersion>>,
    compacted: bool,
) -> Option<(&'static str, String)> {
    let value = |version: Option<&KeyVersion>| {
        version.map_or_else(
            || "nothing".to_owned(),
            |version| format!("{} at {}", version.value, version.mod_revision),
        )
    };
    let is = event.previous.as_ref();
    if !watch.prev_kv && is.is_some() {
        return Some(("previous value not asked for", format!("it carries {}", value(is))));
    }
    if let Some(before) = before.filter(|_| watch.prev_kv)
        && !(same(is, before) || is.is_none() && compacted)
    {
        return Some((
            "wrong previous value",
            format!("it carries {}, and {} was there", value(is), value(before)),
        ));
    }
    let became = event.became.as_ref()?;
    if became.mod_revision.told().is_some_and(|revision| revision != event.revision) {
        return Some(("wrong revision", format!("its key says {}", became.mod_revision)));
    }
    creation(event, became, before)
}

fn creation(
    event: &Event,
    became: &KeyVersion,
    before: Option<Option<&KeyVersion>>,
) -> Option<(&'static str, String)> {
    let created = became.create_revision.told()?;
    let is_create = created == event.revision;
    let contradicts = became.version != 0 && (became.version == 1) != is_create
        || before.is_some_and(|before| before.is_none() != is_create);
    contradicts.then(|| {
        ("creation and update confused", format!("created at {created}, version {}", became.version))
    })
}

fn same(a: Option<&KeyVersion>, b: Option<&KeyVersion>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            let agree = |a: u64, b: u64| a == b || a == 0 || b == 0;
            a.value == b.value
                && agree(a.mod_revision.0, b.mod_revision.0)
                && agree(a.create_revision.0, b.create_revision.0)
                && agree(a.version, b.version)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Call, CommitLog, FaultPhase, Returned, Value};
    use crate::testing::{classes, fault, log, op, watch, watched};

    fn the_log() -> CommitLog {
        log(&[(2, "a", Some(1)), (3, "a", Some(2)), (4, "a", None), (5, "a", Some(3))])
    }

    fn all() -> Watch {
        let mut watch = watch("a", 1);
        watch.prev_kv = true;
        watch.sent(1, &the_log(), &[2, 3, 4, 5])
    }

    /// With the log, and by the watch alone.
    fn found(watch: Watch) -> [Vec<&'static str>; 2] {
        let with = watched(&the_log(), vec![watch]);
        let without = History { log: None, ..with.clone() };
        [classes(&PROMISE, &with), classes(&PROMISE, &without)]
    }

    #[test]
    fn what_was_before_is_told() {
        assert_eq!(found(all()), [[""; 0]; 2]);
    }

    #[test]
    fn a_wrong_previous_value_is_found() {
        let other = |events: &mut Vec<Event>| {
            events[1].previous.as_mut().expect("there was one").value = Value::Number(9);
        };
        assert_eq!(found(all().with(0, other)), [["wrong previous value"]; 2]);
        assert_eq!(found(all().with(0, |events| events[2].previous = None)), [["wrong previous value"]; 2]);
        let left_over = |events: &mut Vec<Event>| events[3].previous = events[1].became.clone();
        assert_eq!(found(all().with(0, left_over)), [["wrong previous value"]; 2]);
    }

    #[test]
    fn a_compacted_previous_value_may_be_lacking() {
        let lacking = all().with(0, |events| events[1].previous = None);
        let mut history = watched(&the_log(), vec![lacking]);
        let returned = Returned::Compact { revision: Revision(5) };
        history.operations = vec![op(0, 0..1, Call::Compact { revision: Revision(3) }, returned)];
        assert_eq!(classes(&PROMISE, &history), [""; 0]);
        // A fault may compact without an operation.
        history.operations.clear();
        assert_eq!(classes(&PROMISE, &history), ["wrong previous value"]);
        history.faults = vec![fault(0, FaultPhase::Began)];
        history.faults[0].fault = "compaction".to_owned();
        assert_eq!(classes(&PROMISE, &history), [""; 0]);
    }

    #[test]
    fn a_previous_value_that_nobody_asked_for_is_found() {
        let mut watch = all();
        watch.prev_kv = false;
        assert_eq!(found(watch), [["previous value not asked for"]; 2]);
    }

    #[test]
    fn a_creation_that_looks_like_an_update_is_found() {
        let confused = |events: &mut Vec<Event>| {
            events[3].became.as_mut().expect("a put").create_revision = Revision(2);
        };
        assert_eq!(found(all().with(0, confused)), [["creation and update confused"]; 2]);
    }
}
