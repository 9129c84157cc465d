//! From operations to transactions.
//!
//! In: a history. Out: transactions with their parts in one arena, keys as numbers, and for each value who wrote it.
//! Deliberately absent: what depends on what.

use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::fate::{Fate, Fates};
use crate::history::{
    Call, Consistency, End, History, Key, MicroOp, MicroResult, Operation, Returned, Value,
};

/// A place in [`Transactions`].
pub(super) type TxnId = u32;

/// A key's number.
pub(super) type KeyId = u32;

/// The end of what has no end.
pub(super) const OPEN: u64 = u64::MAX;

/// Whether a transaction took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Committed,
    Aborted,
    /// Unknown; committed as soon as somebody has seen it.
    Maybe,
}

#[derive(Debug)]
pub(super) struct Txn {
    pub(super) op: u32,
    pub(super) process: u32,
    pub(super) invoked: u64,
    /// [`OPEN`] unless it was answered.
    pub(super) ended: u64,
    /// That of its own commit; 0: not told.
    pub(super) revision: u64,
    pub(super) status: Status,
    parts: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Append(KeyId, u64),
    List(KeyId, &'a [u64]),
    Put(KeyId, u64),
    Get(KeyId, Option<u64>),
    Delete(KeyId),
}

impl Part<'_> {
    pub(super) fn key(self) -> KeyId {
        match self {
            Self::Append(key, _)
            | Self::List(key, _)
            | Self::Put(key, _)
            | Self::Get(key, _)
            | Self::Delete(key) => key,
        }
    }

    /// The number that it writes.
    pub(super) fn writes(self) -> Option<u64> {
        match self {
            Self::Append(_, value) | Self::Put(_, value) => Some(value),
            Self::List(..) | Self::Get(..) | Self::Delete(_) => None,
        }
    }
}

/// Who wrote a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Writer {
    pub(super) txn: TxnId,
    pub(super) key: KeyId,
    /// Whether the transaction wrote nothing to this key afterwards.
    pub(super) is_last: bool,
}

pub(super) struct Transactions<'a> {
    txns: Vec<Txn>,
    parts: Vec<Part<'a>>,
    keys: FxHashMap<&'a Key, KeyId>,
    names: Vec<&'a Key>,
    writers: FxHashMap<u64, Writer>,
    /// Values that operations of other kinds write.
    foreign: FxHashSet<u64>,
    whole: bool,
}

impl<'a> Transactions<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut all = Self {
            txns: Vec::new(),
            parts: Vec::new(),
            keys: FxHashMap::default(),
            names: Vec::new(),
            writers: FxHashMap::default(),
            foreign: FxHashSet::default(),
            whole: history.meta.whole,
        };
        let fates = Fates::of(history);
        for (number, operation) in (0..).zip(&history.operations) {
            all.add(number, operation, &fates);
        }
        all.find_writers();
        all
    }

    fn add(&mut self, op: u32, operation: &'a Operation, fates: &Fates) {
        let first = self.parts.len();
        let returned = operation.answer().map(|(_, returned)| returned);
        self.add_parts(&operation.call, returned);
        if self.parts.len() == first {
            self.foreign.extend(operation.call.values());
            return;
        }
        let (status, ended, revision) = match &operation.end {
            End::Ok { at, returned } => (Status::Committed, at.0, returned.revision().0),
            End::Failed { .. } => (Status::Aborted, OPEN, 0),
            End::Unknown { .. } => match fates.of_call(&operation.call) {
                Fate::Happened(revision) => (Status::Committed, OPEN, revision.0),
                Fate::Never => (Status::Aborted, OPEN, 0),
                Fate::Open => (Status::Maybe, OPEN, 0),
            },
        };
        let wrote = self.parts[first..].iter().any(|part| part.writes().is_some());
        let revision = if wrote { revision } else { 0 };
        let parts = first..self.parts.len();
        let (process, invoked) = (operation.process.0, operation.invoked.0);
        self.txns.push(Txn { op, process, invoked, ended, revision, status, parts });
    }

    fn add_parts(&mut self, call: &'a Call, returned: Option<&'a Returned>) {
        match (call, returned) {
            (Call::Txn(parts), Some(Returned::Txn { results, .. })) => {
                for (part, result) in parts.iter().zip(results) {
                    self.add_part(part, Some(result));
                }
            }
            (Call::Txn(parts), _) => parts.iter().for_each(|part| self.add_part(part, None)),
            (
                Call::Read { key, revision: None, consistency: Consistency::Linearizable },
                Some(Returned::Read { found, .. }),
            ) => {
                let key = self.key(key);
                self.parts.extend(match found.as_ref().map(|found| &found.value) {
                    None => Some(Part::Get(key, None)),
                    Some(Value::Number(value)) => Some(Part::Get(key, Some(*value))),
                    Some(Value::List(_)) => None,
                });
            }
            (Call::CompareAndSet { .. }, Some(Returned::CompareAndSet { swapped: false, .. }))
            | (Call::Delete { .. }, Some(Returned::Delete { deleted: false, .. })) => {}
            (Call::Write { key, value } | Call::CompareAndSet { key, value, .. }, _) => {
                let key = self.key(key);
                self.parts.push(Part::Put(key, *value));
            }
            (Call::Delete { key }, _) => {
                let key = self.key(key);
                self.parts.push(Part::Delete(key));
            }
            _ => {}
        }
    }

    fn add_part(&mut self, part: &'a MicroOp, result: Option<&'a MicroResult>) {
        let key = self.key(part.key());
        self.parts.extend(match (part, result) {
            (MicroOp::Append { element, .. }, _) => Some(Part::Append(key, *element)),
            (MicroOp::Put { value, .. }, _) => Some(Part::Put(key, *value)),
            (MicroOp::Delete { .. }, _) => Some(Part::Delete(key)),
            (MicroOp::ReadList { .. }, Some(MicroResult::List(list))) => Some(Part::List(key, list)),
            (MicroOp::Get { .. }, Some(MicroResult::Value(value))) => Some(Part::Get(key, *value)),
            (MicroOp::ReadList { .. } | MicroOp::Get { .. }, _) => None,
        });
    }

    fn key(&mut self, key: &'a Key) -> KeyId {
        let next = self.names.len() as KeyId;
        let id = *self.keys.entry(key).or_insert(next);
        if id == next {
            self.names.push(key);
        }
        id
    }

    fn find_writers(&mut self) {
        for (id, txn) in (0..).zip(&self.txns) {
            let parts = &self.parts[txn.parts.clone()];
            for (place, part) in parts.iter().enumerate() {
                let Some(value) = part.writes() else { continue };
                let overwrites = |later: &Part<'_>| {
                    later.key() == part.key() && !matches!(later, Part::List(..) | Part::Get(..))
                };
                let is_last = !parts[place + 1..].iter().any(overwrites);
                self.writers.insert(value, Writer { txn: id, key: part.key(), is_last });
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.txns.len()
    }

    pub(super) fn key_count(&self) -> usize {
        self.names.len()
    }

    pub(super) fn key_id(&self, key: &Key) -> Option<KeyId> {
        self.keys.get(key).copied()
    }

    pub(super) fn key_name(&self, key: KeyId) -> &'a Key {
        self.names[key as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TxnId, &Txn)> {
        (0..).zip(&self.txns)
    }

    pub(super) fn get(&self, id: TxnId) -> &Txn {
        &self.txns[id as usize]
    }

    /// The number of its operation.
    pub(super) fn op(&self, id: TxnId) -> u32 {
        self.get(id).op
    }

    pub(super) fn parts(&self, txn: &Txn) -> &[Part<'a>] {
        &self.parts[txn.parts.clone()]
    }

    pub(super) fn writer(&self, value: u64) -> Option<Writer> {
        self.writers.get(&value).copied()
    }

    /// Whether no operation at all writes this. Of a sub-history nobody knows.
    pub(super) fn is_unwritten(&self, value: u64) -> bool {
        self.whole && !self.writers.contains_key(&value) && !self.foreign.contains(&value)
    }

    pub(super) fn is_committed(&self, id: TxnId) -> bool {
        self.get(id).status == Status::Committed
    }

    /// Somebody has seen what it wrote.
    pub(super) fn was_seen(&mut self, id: TxnId) {
        let status = &mut self.txns[id as usize].status;
        if *status == Status::Maybe {
            *status = Status::Committed;
        }
    }
}
