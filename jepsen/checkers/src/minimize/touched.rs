//! What of the commit log is about the operations and watches that are kept.
//!
//! In: operations, watches, a log. Out: the log without changes of keys that none of them touches. Deliberately absent:
//! gaps where a history counts as whole; there, commits are kept without their changes.

use rustc_hash::FxHashSet;

use crate::history::{
    Call, CommitLog, Freshness, Key, KeyRange, MicroOp, Operation, Returned, Revision, Watch, WatchEvent,
};

#[derive(Default)]
pub(super) struct Touched {
    keys: FxHashSet<Key>,
    ranges: Vec<KeyRange>,
    /// What operations made, and what watches were told of.
    revisions: FxHashSet<Revision>,
    /// All keys: that of the counter, and those of the set, are not in the calls.
    all: bool,
}

impl Touched {
    pub(super) fn by(operations: &[Operation], watches: &[Watch]) -> Self {
        let mut touched = Self::default();
        operations.iter().for_each(|operation| touched.operation(operation));
        for watch in watches {
            touched.ranges.push(watch.range.clone());
            for (_, event) in watch.events() {
                touched.keys.insert(event.key.clone());
            }
            let progress = watch.responses.iter().filter(|response| response.what == WatchEvent::Progress);
            touched.revisions.extend(progress.map(|response| response.header_revision));
        }
        touched
    }

    fn operation(&mut self, operation: &Operation) {
        if let Some((_, returned)) = operation.answer() {
            if returned.freshness(&operation.call) == Freshness::Committed {
                self.revisions.insert(returned.revision());
            }
            if let Returned::List { items, .. } = returned {
                self.keys.extend(items.iter().map(|(key, _)| key.clone()));
            }
        }
        match &operation.call {
            Call::Read { key, .. }
            | Call::Write { key, .. }
            | Call::Delete { key }
            | Call::CompareAndSet { key, .. }
            | Call::LockAcquire { lock: key }
            | Call::LockRelease { lock: key, .. }
            | Call::FencedWrite { lock: key, .. }
            | Call::LeaseAttach { key, .. }
            | Call::LeaseKeyRead { key } => drop(self.keys.insert(key.clone())),
            Call::Txn(parts) => self.keys.extend(parts.iter().map(MicroOp::key).cloned()),
            Call::List { range, .. } => self.ranges.push(range.clone()),
            Call::SetAdd(_) | Call::SetRead | Call::CounterAdd(_) | Call::CounterRead => self.all = true,
            Call::LeaseGrant { .. }
            | Call::LeaseKeepAlive { .. }
            | Call::LeaseRevoke { .. }
            | Call::LeaseTimeToLive { .. }
            | Call::Compact { .. } => {}
        }
    }

    /// Leaves out what is not touched, but never the last commit: it says how far the log goes.
    pub(super) fn cut(&self, log: &mut CommitLog, keep_commits: bool) {
        if self.all {
            return;
        }
        let last = log.last();
        for commit in log.commits.iter_mut().filter(|commit| !self.revisions.contains(&commit.revision)) {
            commit.changes.retain(|change| self.has(&change.key));
        }
        log.commits.retain(|commit| keep_commits || commit.revision == last || !commit.changes.is_empty());
    }

    fn has(&self, key: &Key) -> bool {
        self.keys.contains(key) || self.ranges.iter().any(|range| range.contains(key))
    }
}
