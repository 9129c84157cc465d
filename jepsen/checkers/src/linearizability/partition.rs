//! From a history to one list of steps for each key.
//!
//! In: operations, the fates of those without an answer, and the log's changes. Out: steps, with everything that is
//! known of them filled in: revisions of values that somebody has read, changes that no recorded operation explains.
//! Deliberately absent: the search.

use rustc_hash::{FxHashMap, FxHashSet};

use super::step::{NOBODY, OPEN, Order, Sees, Step, Then};
use crate::fate::{Fate, Fates};
use crate::history::{
    Call, Consistency, End, History, Key, KeyVersion, MicroOp, MicroResult, Operation, Returned, Revision,
    Value,
};
use crate::past::Past;

/// All steps of one key.
pub(super) struct Partition<'a> {
    pub(super) key: &'a Key,
    pub(super) steps: Vec<Step>,
    /// Unknown deletes, which the log's deletes stand for when there is a log.
    deletes: Vec<Step>,
    /// Answered transactions that may be the ones that deleted: the revision of the delete, and when they were invoked.
    may_have_deleted: Vec<(Revision, u64)>,
    /// Changes of this key also come from where no step is made: its lease ends, it is a lock or a list.
    foreign: bool,
}

/// The keys' steps, in the order in which the keys occur first.
pub(super) fn all<'a>(history: &'a History, fates: &Fates, past: Option<&Past<'a>>) -> Vec<Partition<'a>> {
    let mut split = Split { past, places: FxHashMap::default(), partitions: Vec::new() };
    for (number, operation) in (0..).zip(&history.operations) {
        split.operation(number, operation, fates);
    }
    let mut partitions = split.partitions;
    for partition in &mut partitions {
        match past {
            Some(past) => partition.complete(past),
            None => {
                let deletes = std::mem::take(&mut partition.deletes);
                partition.steps.extend(deletes);
            }
        }
        partition.bind_revisions();
        partition.drop_what_nobody_notices();
    }
    partitions.retain(|partition| past.is_some() || !partition.foreign);
    partitions.retain(|partition| partition.steps.iter().any(|step| step.op != NOBODY));
    partitions
}

struct Split<'a, 'p> {
    past: Option<&'p Past<'p>>,
    places: FxHashMap<&'a Key, usize>,
    partitions: Vec<Partition<'a>>,
}

impl<'a> Split<'a, '_> {
    fn key(&mut self, key: &'a Key) -> &mut Partition<'a> {
        let next = self.partitions.len();
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.partitions.push(Partition {
                key,
                steps: Vec::new(),
                deletes: Vec::new(),
                may_have_deleted: Vec::new(),
                foreign: false,
            });
        }
        &mut self.partitions[place]
    }

    fn operation(&mut self, number: u32, operation: &'a Operation, fates: &Fates) {
        let invoked = operation.invoked.0;
        match &operation.end {
            End::Ok { at, returned } => self.answered(number, invoked..at.0, &operation.call, returned),
            End::Failed { .. } => {}
            End::Unknown { .. } => match fates.of_call(&operation.call) {
                Fate::Happened(revision) => self.unanswered(number, invoked, &operation.call, Some(revision)),
                Fate::Open => self.unanswered(number, invoked, &operation.call, None),
                Fate::Never => {}
            },
        }
    }

    fn answered(&mut self, op: u32, time: std::ops::Range<u64>, call: &'a Call, returned: &Returned) {
        let revision = returned.revision().0;
        let step = |sees, then| Step {
            op,
            invoked: time.start,
            returned: time.end,
            must: true,
            order: if then == Then::Same { Order::read(revision) } else { Order::wrote(revision) },
            sees,
            then,
        };
        match (call, returned) {
            (
                Call::Read { key, revision: None, consistency: Consistency::Linearizable },
                Returned::Read { found, .. },
            ) => {
                let partition = self.key(key);
                partition.steps.push(step(sees(found.as_ref()), Then::Same));
                // Appends make no steps.
                partition.foreign |=
                    found.as_ref().is_some_and(|found| matches!(found.value, Value::List(_)));
            }
            (Call::Write { key, value }, _) => {
                self.key(key).steps.push(step(Sees::Anything, Then::Put { value: *value, revision }));
            }
            (Call::Delete { key }, Returned::Delete { deleted, .. }) => {
                let (sees, then) =
                    if *deleted { (Sees::Present, Then::Delete) } else { (Sees::Absent, Then::Same) };
                self.key(key).steps.push(step(sees, then));
            }
            (
                Call::CompareAndSet { key, expected, value },
                Returned::CompareAndSet { swapped, current, .. },
            ) => {
                let (sees, then) = match swapped {
                    true => (expects(*expected), Then::Put { value: *value, revision }),
                    false => (sees(current.as_ref()), Then::Same),
                };
                self.key(key).steps.push(step(sees, then));
            }
            (Call::Txn(parts), Returned::Txn { results, .. }) => {
                self.txn(parts, Some(results), revision, step);
            }
            (
                Call::LeaseAttach { key, .. }
                | Call::LockAcquire { lock: key }
                | Call::LockRelease { lock: key, .. },
                _,
            ) => {
                self.key(key).foreign = true;
            }
            _ => {}
        }
    }

    /// One step for each register of a transaction: what it saw first, and what it wrote last.
    fn txn(
        &mut self,
        parts: &'a [MicroOp],
        results: Option<&[MicroResult]>,
        revision: u64,
        step: impl Fn(Sees, Then) -> Step,
    ) {
        let writes = parts.iter().any(|part| part.written().is_some());
        let deletes = parts.iter().any(|part| matches!(part, MicroOp::Delete { .. }));
        let keys = registers(parts);
        for &key in &keys {
            let (sees, then) = seen_and_written(parts, results, revision, key);
            let mut step = step(sees, then);
            match (writes, deletes) {
                (true, _) => step.order = Order::wrote(revision),
                (false, false) => step.order = Order::read(revision),
                (false, true) => self.deletes_only(key, revision, &mut step),
            }
            let partition = self.key(key);
            match (results, step.then) {
                (None, Then::Same) => {}
                (None, Then::Delete) if !step.must => {
                    partition.deletes.push(Step { sees: Sees::Present, ..step })
                }
                (Some(_), _) | (None, Then::Put { .. } | Then::Delete) => partition.steps.push(step),
            }
        }
    }

    /// Whether a revision is the own one of a transaction that only deletes depends on whether it found something. When
    /// it did not, its revision may be that of another one's delete: the log's delete then stands for whoever it was,
    /// and every candidate has seen the key absent right after it.
    fn deletes_only(&mut self, key: &'a Key, revision: u64, step: &mut Step) {
        if step.then != Then::Delete {
            // Another key is deleted; this one was read, before or at the revision.
            step.order = None;
            return;
        }
        let revision = Revision(revision);
        let past = self.past.filter(|past| step.order.is_some() && past.covers(revision));
        let Some(deleted) = past.map(|past| past.was_deleted_at(key, revision)) else {
            step.order = None;
            return;
        };
        match step.sees {
            // It saw what it then deleted.
            Sees::Version { .. } | Sees::Revision(_) | Sees::Present if deleted => return,
            Sees::Anything => step.sees = Sees::Absent,
            Sees::Absent | Sees::Version { .. } | Sees::Revision(_) | Sees::Present => {}
        }
        if deleted {
            self.key(key).may_have_deleted.push((revision, step.invoked));
        }
        (step.order, step.then) = (Order::read(revision.0), Then::Same);
    }

    fn unanswered(&mut self, op: u32, invoked: u64, call: &'a Call, happened: Option<Revision>) {
        let revision = happened.unwrap_or_default().0;
        let step = |sees, then| Step {
            op,
            invoked,
            returned: OPEN,
            must: happened.is_some(),
            order: Order::wrote(revision),
            sees,
            then,
        };
        match call {
            Call::Write { key, value } => {
                self.key(key).steps.push(step(Sees::Anything, Then::Put { value: *value, revision }));
            }
            Call::CompareAndSet { key, expected, value } => {
                self.key(key).steps.push(step(expects(*expected), Then::Put { value: *value, revision }));
            }
            Call::Delete { key } => self.key(key).deletes.push(step(Sees::Present, Then::Delete)),
            Call::Txn(parts) => self.txn(parts, None, revision, step),
            Call::LeaseAttach { key, .. }
            | Call::LockAcquire { lock: key }
            | Call::LockRelease { lock: key, .. } => {
                self.key(key).foreign = true;
            }
            _ => {}
        }
    }
}

/// The registers of a transaction, each once.
fn registers(parts: &[MicroOp]) -> Vec<&Key> {
    let mut keys: Vec<&Key> = Vec::new();
    for part in parts {
        let is_register = !matches!(part, MicroOp::Append { .. } | MicroOp::ReadList { .. });
        if is_register && !keys.contains(&part.key()) {
            keys.push(part.key());
        }
    }
    keys
}

fn seen_and_written(
    parts: &[MicroOp],
    results: Option<&[MicroResult]>,
    revision: u64,
    key: &Key,
) -> (Sees, Then) {
    let (mut sees, mut then) = (Sees::Anything, Then::Same);
    for (number, part) in parts.iter().enumerate().filter(|(_, part)| part.key() == key) {
        match part {
            MicroOp::Put { value, .. } => then = Then::Put { value: *value, revision },
            MicroOp::Delete { .. } => then = Then::Delete,
            MicroOp::Get { .. } if then == Then::Same && sees == Sees::Anything => {
                sees = match results.map(|results| &results[number]) {
                    Some(MicroResult::Value(Some(value))) => Sees::Version { value: *value, revision: 0 },
                    Some(MicroResult::Value(None)) => Sees::Absent,
                    Some(MicroResult::List(_) | MicroResult::Written) | None => Sees::Anything,
                };
            }
            MicroOp::Get { .. } | MicroOp::Append { .. } | MicroOp::ReadList { .. } => {}
        }
    }
    (sees, then)
}

fn expects(revision: Revision) -> Sees {
    match revision.told() {
        Some(Revision(revision)) => Sees::Revision(revision),
        None => Sees::Absent,
    }
}

fn sees(found: Option<&KeyVersion>) -> Sees {
    match found {
        None => Sees::Absent,
        Some(KeyVersion { value: Value::Number(value), mod_revision, .. }) => {
            Sees::Version { value: *value, revision: mod_revision.0 }
        }
        // No register; what it holds is judged with the transactions.
        Some(KeyVersion { value: Value::List(_), mod_revision, .. }) => match mod_revision.told() {
            Some(Revision(revision)) => Sees::Revision(revision),
            None => Sees::Present,
        },
    }
}

impl Partition<'_> {
    /// Adds the log's changes that no step explains: unknown deletes, leases that ended, writes that were not recorded.
    fn complete(&mut self, past: &Past<'_>) {
        let claimed: FxHashSet<Order> = self.steps.iter().filter_map(changes_at).collect();
        for (revision, became) in past.changes(self.key) {
            let Some(order) = Order::wrote(revision.0).filter(|order| !claimed.contains(order)) else {
                continue;
            };
            let (invoked, then) = match became {
                None => (self.unclaimed_delete_since(*revision), Then::Delete),
                Some(version) => {
                    let value = match version.value {
                        Value::Number(value) => value,
                        Value::List(_) => u64::MAX,
                    };
                    (0, Then::Put { value, revision: revision.0 })
                }
            };
            self.steps.push(Step {
                op: NOBODY,
                invoked,
                returned: OPEN,
                must: true,
                order: Some(order),
                sees: Sees::Anything,
                then,
            });
        }
        self.deletes.clear();
    }

    /// When the log's delete, which no step explains, can have been asked for at the earliest.
    fn unclaimed_delete_since(&self, revision: Revision) -> u64 {
        if self.foreign {
            return 0;
        }
        let answered = self.may_have_deleted.iter().filter(|(at, _)| *at == revision).map(|(_, at)| *at);
        let unknown = self.deletes.iter().map(|step| step.invoked);
        answered.chain(unknown).min().unwrap_or_default()
    }

    /// Values are unique, so whoever has read one together with its revision tells when it was written.
    fn bind_revisions(&mut self) {
        let mut revisions: FxHashMap<u64, u64> = FxHashMap::default();
        let mut values: FxHashMap<u64, u64> = FxHashMap::default();
        for step in &self.steps {
            if let Sees::Version { value, revision } = step.sees
                && revision != 0
            {
                revisions.insert(value, revision);
            }
        }
        for step in &mut self.steps {
            let Then::Put { value, revision } = &mut step.then else { continue };
            if *revision == 0
                && let Some(known) = revisions.get(value)
            {
                *revision = *known;
                step.must = true;
                step.order = step.order.or_else(|| Order::wrote(*known));
            }
            if *revision != 0 {
                values.insert(*revision, *value);
            }
        }
        for step in &mut self.steps {
            if let Sees::Revision(revision) = step.sees
                && let Some(value) = values.get(&revision)
            {
                step.sees = Sees::Version { value: *value, revision };
            }
        }
    }

    /// An unknown write that nobody can have noticed need not be tried.
    fn drop_what_nobody_notices(&mut self) {
        let mut seen: FxHashSet<u64> = FxHashSet::default();
        let (mut presence, mut absence) = (false, false);
        for step in &self.steps {
            match step.sees {
                Sees::Version { value, .. } => {
                    seen.insert(value);
                }
                Sees::Absent => absence = true,
                Sees::Present | Sees::Revision(_) => presence = true,
                Sees::Anything => {}
            }
        }
        self.steps.retain(|step| match step.then {
            _ if step.must => true,
            Then::Put { value, .. } => presence || seen.contains(&value),
            Then::Delete => absence,
            Then::Same => false,
        });
    }
}

fn changes_at(step: &Step) -> Option<Order> {
    if step.is_pure() { None } else { step.order }
}
