//! What an operation has seen, and so must not be left out while it is there.
//!
//! In: a history. Out: for a selection of operations and watches the smallest one that contains everything that it
//! depends on. Deliberately absent: why the promise is broken.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::Item;
use crate::history::{
    Call, Freshness, History, Key, KeyVersion, LeaseId, MicroOp, MicroResult, Operation, Returned, Revision,
    Value, Watch,
};

pub(super) struct Dependencies<'a> {
    history: &'a History,
    /// Who wrote a value.
    writers: FxHashMap<u64, u32>,
    /// Who was told a revision as its own.
    revisions: FxHashMap<Revision, Vec<u32>>,
    /// Who may have deleted a key.
    deleters: FxHashMap<&'a Key, Vec<u32>>,
    /// Who may have made a key exist.
    makers: FxHashMap<&'a Key, Vec<u32>>,
    leases: FxHashMap<LeaseId, Vec<u32>>,
    /// Who attached a key to a lease.
    attached: FxHashMap<&'a Key, Vec<u32>>,
    counter: Vec<u32>,
    compactions: Vec<u32>,
}

impl<'a> Dependencies<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut all = Self {
            history,
            writers: FxHashMap::default(),
            revisions: FxHashMap::default(),
            deleters: FxHashMap::default(),
            makers: FxHashMap::default(),
            leases: FxHashMap::default(),
            attached: FxHashMap::default(),
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
        if let Some((_, returned)) = operation.answer()
            && returned.freshness(&operation.call) == Freshness::Committed
        {
            self.revisions.entry(returned.revision()).or_default().push(number);
        }
        match &operation.call {
            Call::Delete { key } | Call::LockRelease { lock: key, .. } => {
                self.deleters.entry(key).or_default().push(number);
            }
            Call::Write { key, .. } | Call::CompareAndSet { key, .. } | Call::LockAcquire { lock: key } => {
                self.makers.entry(key).or_default().push(number);
            }
            Call::Txn(parts) => self.add_txn(number, parts),
            Call::LeaseGrant { id, .. }
            | Call::LeaseKeepAlive { id }
            | Call::LeaseRevoke { id }
            | Call::LeaseTimeToLive { id } => self.leases.entry(*id).or_default().push(number),
            Call::LeaseAttach { id, key, .. } => {
                self.leases.entry(*id).or_default().push(number);
                self.attached.entry(key).or_default().push(number);
                self.makers.entry(key).or_default().push(number);
            }
            Call::CounterAdd(_) => self.counter.push(number),
            Call::Compact { .. } => self.compactions.push(number),
            Call::Read { .. }
            | Call::List { .. }
            | Call::SetAdd(_)
            | Call::SetRead
            | Call::CounterRead
            | Call::FencedWrite { .. }
            | Call::LeaseKeyRead { .. } => {}
        }
    }

    fn add_txn(&mut self, number: u32, parts: &'a [MicroOp]) {
        for part in parts {
            match part {
                MicroOp::Delete { key } => self.deleters.entry(key).or_default().push(number),
                MicroOp::Put { key, .. } => self.makers.entry(key).or_default().push(number),
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
        earlier.into_iter().chain(self.compactions.iter().map(|&number| Item::Operation(number))).collect()
    }

    fn seen_by(&self, operation: &Operation) -> Vec<u32> {
        let mut seen = Vec::new();
        let returned = operation.answer().map(|(_, returned)| returned);
        match (&operation.call, returned) {
            (Call::Read { key, .. }, Some(Returned::Read { found, .. })) => {
                self.version(key, found.as_ref(), &mut seen)
            }
            (Call::List { .. }, Some(Returned::List { items, .. })) => {
                items.iter().for_each(|(key, version)| self.version(key, Some(version), &mut seen));
            }
            (Call::CompareAndSet { key, expected, .. }, returned) => {
                match expected.told() {
                    Some(revision) => seen.extend(self.revisions.get(&revision).into_iter().flatten()),
                    None => self.absent(key, &mut seen),
                }
                if let Some(Returned::CompareAndSet { swapped: false, current, .. }) = returned {
                    self.version(key, current.as_ref(), &mut seen);
                }
            }
            (Call::Delete { key }, Some(Returned::Delete { deleted, .. })) => {
                self.absent(key, &mut seen);
                if *deleted {
                    seen.extend(self.makers.get(key).into_iter().flatten());
                }
            }
            (Call::Txn(parts), Some(Returned::Txn { results, .. })) => {
                parts.iter().zip(results).for_each(|(part, result)| self.result(part, result, &mut seen));
            }
            (Call::SetRead, Some(Returned::SetRead { elements, .. })) => {
                seen.extend(elements.iter().filter_map(|element| self.writers.get(element)));
            }
            (Call::CounterRead, _) => seen.extend(&self.counter),
            (Call::LeaseKeyRead { key }, _) => seen.extend(self.attached.get(key).into_iter().flatten()),
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

    fn result(&self, part: &MicroOp, result: &MicroResult, seen: &mut Vec<u32>) {
        match result {
            MicroResult::Value(None) => self.absent(part.key(), seen),
            MicroResult::Value(Some(value)) => seen.extend(self.writers.get(value)),
            MicroResult::List(list) => {
                seen.extend(list.iter().filter_map(|element| self.writers.get(element)))
            }
            MicroResult::Written => {}
        }
    }

    fn version(&self, key: &Key, version: Option<&KeyVersion>, seen: &mut Vec<u32>) {
        match version.map(|version| &version.value) {
            None => self.absent(key, seen),
            Some(Value::Number(value)) => seen.extend(self.writers.get(value)),
            Some(Value::List(list)) => {
                seen.extend(list.iter().filter_map(|element| self.writers.get(element)))
            }
        }
    }

    fn absent(&self, key: &Key, seen: &mut Vec<u32>) {
        seen.extend(self.deleters.get(key).into_iter().flatten());
    }
}
