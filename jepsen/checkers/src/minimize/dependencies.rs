//! What an operation has seen, and so must not be left out while it is there.
//!
//! Most of what is left out cannot break a promise in the same way: a value whose writer is gone is a phantom, and no
//! stale read or cycle. So values bind only where phantoms are looked for, and where the search for an order would
//! otherwise grope about. What was found absent, the state that a compare held against, sums and lives of leases
//! always bind.
//!
//! In: a history. Out: for a selection of operations and watches the smallest one that contains everything that it
//! depends on. Deliberately absent: why the promise is broken.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::Item;
use crate::fate::{Fate, Fates};
use crate::history::{
    Call, End, Freshness, History, Key, KeyVersion, LeaseId, MicroOp, MicroResult, Operation, Returned,
    Revision, Value, Watch,
};

/// Whose writers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Those of every value that was read.
    All,
    /// Those of registers.
    OfRegisters,
    /// Those of single reads.
    OfReads,
}

pub(super) struct Dependencies<'a> {
    history: &'a History,
    fates: Fates,
    values: Values,
    /// Who wrote a value.
    writers: FxHashMap<u64, u32>,
    /// Who was told a revision as its own.
    revisions: FxHashMap<Revision, Vec<u32>>,
    /// Who may have deleted a key.
    deleters: FxHashMap<&'a Key, Changes>,
    /// Who may have made a key exist.
    makers: FxHashMap<&'a Key, Changes>,
    /// What decides how long a lease lives.
    leases: FxHashMap<LeaseId, Vec<u32>>,
    counter: Vec<u32>,
    compactions: Vec<u32>,
}

/// Operations that change a key in one way.
#[derive(Default)]
struct Changes {
    /// Those that were told their revision, in its order.
    told: BTreeMap<Revision, u32>,
    /// Those that were not.
    untold: Vec<u32>,
}

impl Changes {
    fn add(&mut self, revision: Option<Revision>, number: u32) {
        match revision {
            Some(revision) => drop(self.told.insert(revision, number)),
            None => self.untold.push(number),
        }
    }

    /// Who may have made a key what it was at a revision; 0: at any.
    fn at(&self, revision: Revision) -> impl Iterator<Item = u32> {
        let last = revision.told().and_then(|revision| self.told.range(..=revision).next_back());
        let all = revision.told().is_none().then_some(&self.told);
        let told = all.into_iter().flatten().chain(last).map(|(_, number)| *number);
        told.chain(self.untold.iter().copied())
    }
}

impl<'a> Dependencies<'a> {
    pub(super) fn of(history: &'a History, values: Values) -> Self {
        let mut all = Self {
            history,
            fates: Fates::of(history),
            values,
            writers: FxHashMap::default(),
            revisions: FxHashMap::default(),
            deleters: FxHashMap::default(),
            makers: FxHashMap::default(),
            leases: FxHashMap::default(),
            counter: Vec::new(),
            compactions: Vec::new(),
        };
        for (number, operation) in (0..).zip(&history.operations) {
            all.add(number, operation);
        }
        all
    }

    fn add(&mut self, number: u32, operation: &'a Operation) {
        for value in operation.call.values() {
            self.writers.insert(value, number);
        }
        let changed = self.changed(operation);
        if let Some(Some(revision)) = changed {
            self.revisions.entry(revision).or_default().push(number);
        }
        if let Some(own) = changed {
            self.add_changes(number, operation, own);
        }
        match &operation.call {
            Call::LeaseGrant { id, .. } | Call::LeaseKeepAlive { id } | Call::LeaseRevoke { id } => {
                self.leases.entry(*id).or_default().push(number);
            }
            Call::CounterAdd(_) => self.counter.push(number),
            Call::Compact { .. } => self.compactions.push(number),
            _ => {}
        }
    }

    /// Whether an operation may have changed something, and if so at which revision, if that is known.
    fn changed(&self, operation: &Operation) -> Option<Option<Revision>> {
        match &operation.end {
            End::Failed { .. } => None,
            End::Unknown { .. } => match self.fates.of_call(&operation.call) {
                Fate::Happened(revision) => Some(Some(revision)),
                Fate::Open => Some(None),
                Fate::Never => None,
            },
            End::Ok { returned, .. } => match returned.freshness(&operation.call) {
                Freshness::Committed => Some(returned.revision().told()),
                Freshness::Current | Freshness::Local => {
                    // Its deletes may have found something.
                    matches!(&operation.call, Call::Txn(_)).then_some(None)
                }
            },
        }
    }

    fn add_changes(&mut self, number: u32, operation: &'a Operation, own: Option<Revision>) {
        match &operation.call {
            Call::Delete { key } | Call::LockRelease { lock: key, .. } => {
                self.deleters.entry(key).or_default().add(own, number);
            }
            Call::Write { key, .. }
            | Call::CompareAndSet { key, .. }
            | Call::LockAcquire { lock: key }
            | Call::LeaseAttach { key, .. } => self.makers.entry(key).or_default().add(own, number),
            Call::Txn(parts) => self.add_txn(number, parts, own),
            _ => {}
        }
    }

    fn add_txn(&mut self, number: u32, parts: &'a [MicroOp], own: Option<Revision>) {
        for part in parts {
            match part {
                MicroOp::Delete { key } => self.deleters.entry(key).or_default().add(own, number),
                MicroOp::Put { key, .. } => self.makers.entry(key).or_default().add(own, number),
                MicroOp::Append { .. } | MicroOp::ReadList { .. } | MicroOp::Get { .. } => {}
            }
        }
    }

    /// The items with everything that they depend on, in order.
    pub(super) fn close(&self, items: &[Item]) -> Vec<Item> {
        let mut closed: BTreeSet<Item> = BTreeSet::new();
        let mut open: Vec<Item> = items.to_vec();
        while let Some(item) = open.pop() {
            if !closed.insert(item) {
                continue;
            }
            match item {
                Item::Operation(number) => {
                    let operation = &self.history.operations[number as usize];
                    open.extend(self.seen_by(operation).into_iter().map(Item::Operation));
                }
                Item::Watch(number) => {
                    open.extend(self.seen_by_watch(&self.history.watches[number as usize]))
                }
            }
        }
        closed.into_iter().collect()
    }

    fn seen_by_watch(&self, watch: &Watch) -> Vec<Item> {
        let earlier = watch.resumed_from.map(|earlier| Item::Watch(earlier.0));
        let told = watch.events().filter(|_| self.values == Values::All);
        let told = told.filter_map(|(_, event)| match &event.became.as_ref()?.value {
            Value::Number(value) => self.writers.get(value),
            Value::List(_) => None,
        });
        let operations = self.compactions.iter().chain(told).map(|&number| Item::Operation(number));
        earlier.into_iter().chain(operations).collect()
    }

    fn seen_by(&self, operation: &Operation) -> Vec<u32> {
        let mut seen = Vec::new();
        let returned = operation.answer().map(|(_, returned)| returned);
        let before = state_seen(operation);
        match (&operation.call, returned) {
            (Call::Read { key, .. }, Some(Returned::Read { found, .. })) => {
                self.version(key, found.as_ref(), before, &mut seen);
            }
            (Call::List { .. }, Some(Returned::List { items, .. })) if self.values == Values::All => {
                items.iter().for_each(|(key, version)| self.version(key, Some(version), before, &mut seen));
            }
            (Call::CompareAndSet { key, expected, .. }, returned) => {
                match expected.told() {
                    Some(revision) => seen.extend(self.revisions.get(&revision).into_iter().flatten()),
                    None => self.absent(key, before, &mut seen),
                }
                if let Some(Returned::CompareAndSet { swapped: false, current, .. }) = returned {
                    self.version(key, current.as_ref(), before, &mut seen);
                }
            }
            (Call::Delete { key }, Some(Returned::Delete { deleted, .. })) => match deleted {
                true => seen.extend(self.makers.get(key).into_iter().flat_map(|makers| makers.at(before))),
                false => self.absent(key, before, &mut seen),
            },
            (Call::Txn(parts), Some(Returned::Txn { results, .. })) => {
                parts
                    .iter()
                    .zip(results)
                    .for_each(|(part, result)| self.result(part, result, before, &mut seen));
            }
            (Call::SetRead, Some(Returned::SetRead { elements, .. })) if self.values == Values::All => {
                seen.extend(elements.iter().filter_map(|element| self.writers.get(element)));
            }
            (Call::CounterRead, _) => seen.extend(&self.counter),
            (Call::LeaseKeyRead { .. }, Some(Returned::LeaseKeyRead { holder: Some(id), .. })) => {
                seen.extend(self.leases.get(id).into_iter().flatten());
            }
            (
                Call::LeaseGrant { id, .. }
                | Call::LeaseKeepAlive { id }
                | Call::LeaseRevoke { id }
                | Call::LeaseTimeToLive { id }
                | Call::LeaseAttach { id, .. },
                _,
            ) => seen.extend(self.leases.get(id).into_iter().flatten()),
            _ => {}
        }
        seen
    }

    fn result(&self, part: &MicroOp, result: &MicroResult, before: Revision, seen: &mut Vec<u32>) {
        match result {
            MicroResult::Value(None) => self.absent(part.key(), before, seen),
            MicroResult::Value(Some(value)) if self.values != Values::OfReads => {
                seen.extend(self.writers.get(value))
            }
            MicroResult::List(list) if self.values == Values::All => {
                seen.extend(list.iter().filter_map(|element| self.writers.get(element)));
            }
            MicroResult::Value(Some(_)) | MicroResult::List(_) | MicroResult::Written => {}
        }
    }

    fn version(&self, key: &Key, version: Option<&KeyVersion>, before: Revision, seen: &mut Vec<u32>) {
        match version.map(|version| &version.value) {
            None => self.absent(key, before, seen),
            Some(Value::Number(value)) => seen.extend(self.writers.get(value)),
            Some(Value::List(list)) => {
                seen.extend(list.iter().filter_map(|element| self.writers.get(element)))
            }
        }
    }

    fn absent(&self, key: &Key, at: Revision, seen: &mut Vec<u32>) {
        seen.extend(self.deleters.get(key).into_iter().flat_map(|deleters| deleters.at(at)));
    }
}

/// The revision of an operation's own commit.
fn own_revision(operation: &Operation) -> Option<Revision> {
    let (_, returned) = operation.answer()?;
    let committed = returned.freshness(&operation.call) == Freshness::Committed;
    returned.revision().told().filter(|_| committed)
}

/// The revision of the state that an operation saw; 0: not told.
fn state_seen(operation: &Operation) -> Revision {
    let own = own_revision(operation).map(|own| Revision(own.0.saturating_sub(1)));
    let asked = match &operation.call {
        Call::Read { revision, .. } | Call::List { revision, .. } => *revision,
        _ => None,
    };
    let header = operation.answer().map(|(_, returned)| returned.revision());
    own.or(asked).or(header).unwrap_or_default()
}
