//! Which value a mod revision stands for.
//!
//! In: the commit log, writes whose revisions were told, and what reads found. Out: the value that a compare-and-set
//! expects. Deliberately absent: lists, which no register holds.

use rustc_hash::FxHashMap;

use crate::history::{Call, Freshness, History, Key, KeyVersion, MicroOp, Returned, Revision, Value};

pub(super) struct Values<'a>(FxHashMap<(&'a Key, Revision), u64>);

impl<'a> Values<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut values = Self(FxHashMap::default());
        for commit in history.log.iter().flat_map(|log| &log.commits) {
            for change in &commit.changes {
                let became = change.became.as_ref();
                values.know(&change.key, commit.revision, became.map(|version| &version.value));
            }
        }
        for operation in &history.operations {
            if let Some((_, returned)) = operation.answer() {
                values.answered(&operation.call, returned);
            }
        }
        values
    }

    fn answered(&mut self, call: &'a Call, returned: &'a Returned) {
        let own = returned.revision();
        match (call, returned) {
            (Call::Write { key, value }, _)
            | (Call::CompareAndSet { key, value, .. }, Returned::CompareAndSet { swapped: true, .. }) => {
                self.know(key, own, Some(&Value::Number(*value)));
            }
            (Call::Read { key, .. }, Returned::Read { found: Some(found), .. })
            | (Call::CompareAndSet { key, .. }, Returned::CompareAndSet { current: Some(found), .. }) => {
                self.seen(key, found);
            }
            (_, Returned::List { items, .. }) => items.iter().for_each(|(key, found)| self.seen(key, found)),
            (Call::Txn(parts), _) if returned.freshness(call) == Freshness::Committed => {
                for part in parts {
                    if let MicroOp::Put { key, value } = part {
                        self.know(key, own, Some(&Value::Number(*value)));
                    }
                }
            }
            _ => {}
        }
    }

    fn seen(&mut self, key: &'a Key, found: &KeyVersion) {
        self.know(key, found.mod_revision, Some(&found.value));
    }

    fn know(&mut self, key: &'a Key, revision: Revision, value: Option<&Value>) {
        if let (Some(revision), Some(Value::Number(number))) = (revision.told(), value) {
            self.0.insert((key, revision), *number);
        }
    }

    /// The value that a key had at a mod revision, `Some(None)`: it was absent; `None`: nobody knows.
    pub(super) fn at(&self, key: &Key, revision: Revision) -> Option<Option<u64>> {
        match revision.told() {
            None => Some(None),
            Some(revision) => self.0.get(&(key, revision)).copied().map(Some),
        }
    }
}
