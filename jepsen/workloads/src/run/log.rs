//! The commit log, from what observers saw.
//!
//! In: a history with watches of everything, one observer per replica. Out: every commit from the first to the last,
//! or why that cannot be said. Deliberately absent: a judgement of observers who disagree; the promises find whoever
//! deviates from the log, whichever of them it was written by.

use std::collections::{BTreeMap, BTreeSet};

use keelson_checkers::history::{
    Change, Commit, CommitLog, Event, History, ProcessId, Revision, Watch, WatchEvent,
};

/// Why there is no commit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no commit log: no observer saw revision {missing}, and the store got to {last}")]
pub struct Gap {
    missing: Revision,
    last: Revision,
}

/// All commits after `base`, of which `last` is known to be one (or `base` itself). What observers were told beyond
/// `last` is in the log, too, as far as it is without a gap.
pub(crate) fn assemble(
    history: &History,
    observers: &BTreeSet<ProcessId>,
    base: Revision,
    last: Revision,
) -> Result<CommitLog, Gap> {
    let mut commits: BTreeMap<Revision, Vec<Change>> = BTreeMap::new();
    for (revision, changes) in
        history.watches.iter().filter(|watch| observers.contains(&watch.process)).flat_map(told)
    {
        let known = commits.entry(revision).or_default();
        // If one was told of half a transaction, the other half happened, too.
        if known.len() < changes.len() {
            *known = changes;
        }
    }
    let mut log = CommitLog { base, commits: Vec::new() };
    for (revision, changes) in commits.into_iter().skip_while(|(revision, _)| *revision <= base) {
        if revision != log.last().next() {
            break;
        }
        log.commits.push(Commit { revision, changes });
    }
    if log.last() < last { Err(Gap { missing: log.last().next(), last }) } else { Ok(log) }
}

/// What a watch was told, revision by revision.
fn told(watch: &Watch) -> Vec<(Revision, Vec<Change>)> {
    let mut commits: Vec<(Revision, Vec<Change>)> = Vec::new();
    for response in &watch.responses {
        let WatchEvent::Events(events) = &response.what else { continue };
        for Event { revision, key, became, .. } in events {
            let change = Change { key: key.clone(), became: became.clone() };
            match commits.last_mut() {
                Some((last, changes)) if last == revision => changes.push(change),
                _ => commits.push((*revision, vec![change])),
            }
        }
    }
    commits
}

#[cfg(test)]
mod tests {
    use keelson_checkers::history::{Filters, KeyRange, Nanos, WatchResponse};

    use super::*;

    fn event(revision: u64, key: &str) -> Event {
        Event { revision: Revision(revision), key: key.into(), became: None, previous: None }
    }

    fn observer(events: Vec<Event>) -> Watch {
        let response =
            WatchResponse { at: Nanos(1), header_revision: Revision::ZERO, what: WatchEvent::Events(events) };
        Watch {
            process: ProcessId(0),
            replica: None,
            range: KeyRange::all(),
            start: Revision(2),
            filters: Filters::default(),
            prev_kv: true,
            progress_asked: true,
            opened: Nanos(0),
            responses: vec![response],
            resumed_from: None,
        }
    }

    fn assembled(watches: Vec<Watch>, last: u64) -> Result<Vec<(u64, usize)>, Gap> {
        let history = History { watches, ..History::default() };
        let log = assemble(&history, &[ProcessId(0)].into(), Revision(1), Revision(last))?;
        Ok(log.commits.iter().map(|commit| (commit.revision.0, commit.changes.len())).collect())
    }

    #[test]
    fn observers_complete_each_other() {
        let one = observer(vec![event(2, "a"), event(4, "a")]);
        let other = observer(vec![event(3, "a"), event(4, "a"), event(4, "b")]);
        assert_eq!(assembled(vec![one, other], 4), Ok(vec![(2, 1), (3, 1), (4, 2)]));
    }

    #[test]
    fn a_revision_that_nobody_saw_is_a_gap_and_one_beyond_the_end_is_not() {
        let watches = || vec![observer(vec![event(2, "a"), event(4, "a")])];
        assert_eq!(assembled(watches(), 2), Ok(vec![(2, 1)]));
        assert_eq!(assembled(watches(), 4), Err(Gap { missing: Revision(3), last: Revision(4) }));
        assert_eq!(assembled(Vec::new(), 1), Ok(vec![]));
    }

    #[test]
    fn watchers_who_are_no_observers_are_not_believed() {
        let mut watcher = observer(vec![event(2, "a")]);
        watcher.process = ProcessId(1);
        assert!(assembled(vec![watcher], 2).is_err());
    }
}
