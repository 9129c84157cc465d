//! Dependencies through registers.
//!
//! In: transactions that put, get and delete. The order of a register's versions is that of the commit log; without
//! one, of the revisions that writers were told; without those, whoever read a version and wrote another came after it,
//! and nothing came before everything. Out: edges ww, wr and rw, and lost updates.
//!
//! Deliberately absent: reads of nothing where a key may have been deleted; several versions are nothing then.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::graph::{Edges, Kind};
use super::transactions::{KeyId, Part, Status, Transactions, TxnId};
use crate::edn;
use crate::history::{History, Value};
use crate::promise::{Findings, Violation};

/// What is known of one register.
#[derive(Default)]
struct Register {
    /// Versions in the order of their revisions, with who wrote them.
    versions: BTreeMap<u64, Version>,
    /// Writers whose revision is not known.
    unplaced: Vec<TxnId>,
    /// Who saw which value; `None`: nothing.
    readers: FxHashMap<Option<u64>, Vec<TxnId>>,
    /// Who saw a value and then wrote another: the value, the transaction.
    replaced: Vec<(Option<u64>, TxnId)>,
    deleted: bool,
}

#[derive(Clone, Copy)]
struct Version {
    /// `None`: deleted.
    value: Option<u64>,
    writer: Option<TxnId>,
}

pub(super) fn check(
    history: &History,
    all: &mut Transactions<'_>,
    edges: &mut Edges,
    findings: &mut Findings,
) {
    let seen: Vec<TxnId> = all
        .iter()
        .filter(|(_, txn)| txn.status == Status::Committed)
        .flat_map(|(_, txn)| all.parts(txn))
        .filter_map(|part| match part {
            Part::Get(_, Some(value)) => all.writer(*value).map(|writer| writer.txn),
            Part::Get(_, None) | Part::Append(..) | Part::List(..) | Part::Put(..) | Part::Delete(_) => None,
        })
        .collect();
    seen.into_iter().for_each(|txn| all.was_seen(txn));
    for (key, register) in (0..).zip(collect(history, all)) {
        lost_updates(history, all, key, &register, findings);
        register.edges(all, edges);
    }
}

fn collect(history: &History, all: &Transactions<'_>) -> Vec<Register> {
    let mut registers: Vec<Register> = Vec::new();
    registers.resize_with(all.key_count(), Register::default);
    for (id, txn) in all.iter().filter(|(_, txn)| txn.status == Status::Committed) {
        let parts = all.parts(txn);
        for (place, part) in parts.iter().enumerate() {
            let register = &mut registers[part.key() as usize];
            let first = !parts[..place].iter().any(|before| before.key() == part.key());
            match *part {
                Part::Get(_, value) if first => register.read(parts, *part, value, id),
                Part::Put(_, value) if is_last_write(&parts[place..]) => {
                    register.written(txn.revision, value, id)
                }
                Part::Delete(_) => register.deleted = true,
                Part::Get(..) | Part::Put(..) | Part::Append(..) | Part::List(..) => {}
            }
        }
    }
    for (_, txn) in all.iter().filter(|(_, txn)| txn.status == Status::Maybe) {
        for part in all.parts(txn).iter().filter(|part| matches!(part, Part::Delete(_))) {
            registers[part.key() as usize].deleted = true;
        }
    }
    place_by_log(history, all, &mut registers);
    registers
}

/// Whether nothing after the first of these parts replaces what it wrote.
fn is_last_write(parts: &[Part<'_>]) -> bool {
    let replaces =
        |later: &Part<'_>| later.key() == parts[0].key() && matches!(later, Part::Put(..) | Part::Delete(_));
    !parts[1..].iter().any(replaces)
}

fn place_by_log(history: &History, all: &Transactions<'_>, registers: &mut [Register]) {
    for commit in history.log.iter().flat_map(|log| &log.commits) {
        for change in &commit.changes {
            let Some(key) = all.key_id(&change.key) else { continue };
            let value = match change.became.as_ref().map(|version| &version.value) {
                Some(Value::List(_)) => continue,
                Some(Value::Number(value)) => Some(*value),
                None => None,
            };
            let register = &mut registers[key as usize];
            register.deleted |= value.is_none();
            let writer = value.and_then(|value| all.writer(value)).map(|writer| writer.txn);
            let writer = writer.filter(|&txn| all.is_committed(txn));
            register.versions.entry(commit.revision.0).or_insert(Version { value, writer });
        }
    }
    for register in registers {
        let placed: FxHashSet<TxnId> =
            register.versions.values().filter_map(|version| version.writer).collect();
        register.unplaced.retain(|txn| !placed.contains(txn));
    }
}

impl Register {
    fn read(&mut self, parts: &[Part<'_>], get: Part<'_>, value: Option<u64>, txn: TxnId) {
        self.readers.entry(value).or_default().push(txn);
        if parts.iter().any(|part| part.key() == get.key() && matches!(part, Part::Put(..))) {
            self.replaced.push((value, txn));
        }
    }

    fn written(&mut self, revision: u64, value: u64, txn: TxnId) {
        if revision == 0 {
            self.unplaced.push(txn);
        } else {
            self.versions.insert(revision, Version { value: Some(value), writer: Some(txn) });
        }
    }

    fn readers_of(&self, value: Option<u64>) -> &[TxnId] {
        self.readers.get(&value).map_or(&[], Vec::as_slice)
    }

    fn edges(&self, all: &Transactions<'_>, edges: &mut Edges) {
        for (value, readers) in &self.readers {
            let writer =
                value.and_then(|value| all.writer(value)).filter(|writer| all.is_committed(writer.txn));
            if let Some(writer) = writer {
                readers.iter().for_each(|&reader| edges.add(writer.txn, reader, Kind::Wr));
            }
        }
        self.edges_of_order(edges);
        self.edges_of_replacements(all, edges);
        self.edges_of_nothing(edges);
    }

    fn edges_of_order(&self, edges: &mut Edges) {
        let mut next_writer: Option<TxnId> = None;
        for version in self.versions.values().rev() {
            if let Some(after) = next_writer {
                if let Some(before) = version.writer {
                    edges.add(before, after, Kind::Ww);
                }
                if version.value.is_some() {
                    self.readers_of(version.value)
                        .iter()
                        .for_each(|&reader| edges.add(reader, after, Kind::Rw));
                }
            }
            next_writer = version.writer.or(next_writer);
        }
    }

    /// Where revisions do not tell: a transaction that saw a version and wrote another.
    fn edges_of_replacements(&self, all: &Transactions<'_>, edges: &mut Edges) {
        let unplaced: FxHashSet<TxnId> = self.unplaced.iter().copied().collect();
        for (value, txn) in self.replaced.iter().filter(|(_, txn)| unplaced.contains(txn)) {
            let Some(value) = value else { continue };
            if let Some(writer) = all.writer(*value).filter(|writer| all.is_committed(writer.txn)) {
                edges.add(writer.txn, *txn, Kind::Ww);
            }
            self.readers_of(Some(*value)).iter().for_each(|&reader| edges.add(reader, *txn, Kind::Rw));
        }
    }

    /// Who saw nothing came before whoever wrote first.
    fn edges_of_nothing(&self, edges: &mut Edges) {
        if self.deleted {
            return;
        }
        let mut first: Vec<TxnId> =
            self.versions.values().next().and_then(|version| version.writer).into_iter().collect();
        first.extend(&self.unplaced);
        edges.all_to_all(self.readers_of(None), &first, Kind::Rw);
    }
}

/// Two transactions that saw one version and both replaced it.
fn lost_updates(
    history: &History,
    all: &Transactions<'_>,
    key: KeyId,
    register: &Register,
    findings: &mut Findings,
) {
    let mut by_value: FxHashMap<Option<u64>, TxnId> = FxHashMap::default();
    for (value, txn) in &register.replaced {
        if value.is_none() && register.deleted {
            continue;
        }
        let other = *by_value.entry(*value).or_insert(*txn);
        if other != *txn {
            let words = |txn| edn::words(all.op(txn), &history.operations[all.op(txn) as usize]);
            let text =
                format!("{} and {} replace one version of {}", words(other), words(*txn), all.key_name(key));
            findings.add(Violation::of_operations("lost update", text, [all.op(other), all.op(*txn)]));
        }
    }
}
