//! Who writes which value, and under which key.
//!
//! In: calls; values are unique within a run. Out: for a value that somebody saw, whether it can have been there.
//! Deliberately absent: when.

use rustc_hash::FxHashMap;

use crate::edn;
use crate::history::{Call, End, History, Key};

/// Who writes a value.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) op: u32,
    /// `None`: the workload chose it.
    pub(crate) key: Option<&'a Key>,
    refused: bool,
}

pub(crate) struct Writers<'a> {
    history: &'a History,
    writers: FxHashMap<u64, Writer<'a>>,
    /// Every value has a call that names it, and that is in the history.
    complete: bool,
}

impl<'a> Writers<'a> {
    pub(crate) fn of(history: &'a History) -> Self {
        let mut all = Self { history, writers: FxHashMap::default(), complete: history.meta.whole };
        for (op, operation) in (0..).zip(&history.operations) {
            let refused = matches!(operation.end, End::Failed { .. });
            let mut add = |value, key| all.writers.insert(value, Writer { op, key, refused });
            match &operation.call {
                Call::Write { key, value }
                | Call::CompareAndSet { key, value, .. }
                | Call::LeaseAttach { key, value, .. } => drop(add(*value, Some(key))),
                Call::SetAdd(value) | Call::FencedWrite { value, .. } => drop(add(*value, None)),
                Call::Txn(parts) => {
                    for part in parts {
                        part.written().map(|value| add(value, Some(part.key())));
                    }
                }
                // What they write is not in the call.
                Call::CounterAdd(_) | Call::LockAcquire { .. } => all.complete = false,
                _ => {}
            }
        }
        all
    }

    pub(crate) fn get(&self, value: u64) -> Option<Writer<'a>> {
        self.writers.get(&value).copied()
    }

    /// Why a value cannot have been under a key: what kind of reason, in words, and whose value it is.
    pub(crate) fn odd(&self, key: &Key, value: u64) -> Option<(Odd, String, Option<u32>)> {
        let Some(writer) = self.get(value) else {
            return self.complete.then(|| (Odd::Nobody, format!("nobody wrote {value}"), None));
        };
        let words = || edn::words(writer.op, &self.history.operations[writer.op as usize]);
        match writer.key {
            Some(other) if other != key => {
                Some((Odd::Elsewhere, format!("{value} is of {}", words()), Some(writer.op)))
            }
            _ if writer.refused => {
                Some((Odd::Refused, format!("{value} is of {}", words()), Some(writer.op)))
            }
            _ => None,
        }
    }
}

/// Why a value cannot have been where it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// Nobody wrote it.
    Nobody,
    /// It was written to another key.
    Elsewhere,
    /// Its write was refused.
    Refused,
}
