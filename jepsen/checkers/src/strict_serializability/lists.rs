//! Dependencies through lists that grow.
//!
//! In: transactions that append and read, and the commit log's lists. A list tells the order of its own writers; the
//! longest one known, the order of all. Out: edges: who appended before whom (ww), who read whose element (wr), who
//! read before whose append (rw); lists that contradict each other, elements that occur twice, appends that were lost.
//!
//! Deliberately absent: appends that nobody saw and whose fate is unknown; they may never have happened.

use rustc_hash::{FxHashMap, FxHashSet};

use super::graph::{Edges, Kind};
use super::transactions::{KeyId, Part, Status, Transactions, TxnId};
use crate::edn;
use crate::history::{CommitLog, History, KeyVersion, Step, Value};
use crate::promise::{Findings, Violation};

/// All that is known of one list.
#[derive(Default)]
struct List<'a> {
    /// The longest one.
    order: &'a [u64],
    /// Who read it; the log has no transaction.
    order_from: Option<TxnId>,
    reads: Vec<Read<'a>>,
    appenders: Vec<(TxnId, u64)>,
}

struct Read<'a> {
    txn: TxnId,
    list: &'a [u64],
    /// How many elements at the end are the reader's own.
    own: usize,
}

impl Read<'_> {
    /// How many elements there were before the reader's own.
    fn outside(&self) -> usize {
        self.list.len() - self.own
    }
}

pub(super) fn check<'a>(
    history: &'a History,
    all: &mut Transactions<'a>,
    edges: &mut Edges,
    findings: &mut Findings,
) {
    let lists = collect(history, all);
    overwritten(history, all, findings);
    for list in &lists {
        for element in list.order {
            if let Some(writer) = all.writer(*element) {
                all.was_seen(writer.txn);
            }
        }
    }
    for (key, list) in (0..).zip(&lists) {
        if list.order.is_empty() && list.reads.is_empty() {
            continue;
        }
        contradictions(history, all, key, list, findings);
        lost_updates(history, all, key, list, findings);
        let unseen = unseen(all, list);
        write_edges(all, list, &unseen, edges);
        read_edges(all, list, &unseen, edges);
    }
}

fn collect<'a>(history: &'a History, all: &Transactions<'a>) -> Vec<List<'a>> {
    let mut lists: Vec<List<'a>> = Vec::new();
    lists.resize_with(all.key_count(), List::default);
    for (id, txn) in all.iter().filter(|(_, txn)| txn.status != Status::Aborted) {
        let parts = all.parts(txn);
        for (place, part) in parts.iter().enumerate() {
            match *part {
                Part::Append(key, element) => lists[key as usize].appenders.push((id, element)),
                Part::List(key, list) => {
                    let appended = |part: &&Part<'_>| matches!(part, Part::Append(other, _) if *other == key);
                    let own = parts[..place].iter().filter(appended).count().min(list.len());
                    let known = &mut lists[key as usize];
                    if list.len() > known.order.len() {
                        (known.order, known.order_from) = (list, Some(id));
                    }
                    known.reads.push(Read { txn: id, list, own });
                }
                Part::Put(..) | Part::Get(..) | Part::Delete(_) => {}
            }
        }
    }
    let commits = history.log.iter().flat_map(|log| &log.commits);
    for change in commits.flat_map(|commit| &commit.changes) {
        if let Some(list) = change.became.as_ref().and_then(list)
            && let Some(key) = all.key_id(&change.key)
        {
            let known = &mut lists[key as usize];
            if list.len() > known.order.len() {
                (known.order, known.order_from) = (list, None);
            }
        }
    }
    lists
}

/// Appends that a later commit removes, whether or not anybody has read them.
fn overwritten(history: &History, all: &Transactions<'_>, findings: &mut Findings) {
    for Step { revision, change, before } in history.log.iter().flat_map(CommitLog::steps) {
        let (Some(list), Some(before)) = (change.became.as_ref().and_then(list), before.and_then(list))
        else {
            continue;
        };
        if list.starts_with(before) || all.key_id(&change.key).is_none() {
            continue;
        }
        let lost = before.iter().find(|element| !list.contains(element));
        let writer = lost.and_then(|element| all.writer(*element)).map(|writer| all.op(writer.txn));
        let words = writer.map(|op| format!(", of {}", edn::words(op, &history.operations[op as usize])));
        let words = words.unwrap_or_default();
        let text = format!("revision {revision} makes {} of {before:?} {list:?}{words}", change.key);
        findings.add(Violation::of_operations("overwritten append", text, writer));
    }
}

/// A list, where a key holds one.
fn list(version: &KeyVersion) -> Option<&[u64]> {
    match &version.value {
        Value::List(list) => Some(list),
        Value::Number(_) => None,
    }
}

fn contradictions(
    history: &History,
    all: &Transactions<'_>,
    key: KeyId,
    list: &List<'_>,
    findings: &mut Findings,
) {
    let words = |txn: TxnId| edn::words(all.op(txn), &history.operations[all.op(txn) as usize]);
    let longest = list.order_from.map_or_else(|| "the commit log".to_owned(), words);
    for read in &list.reads {
        if !list.order.starts_with(read.list) {
            let text = format!("{} contradicts {longest} about {}", words(read.txn), all.key_name(key));
            let operations = [read.txn].into_iter().chain(list.order_from).map(|txn| all.op(txn));
            findings.add(Violation::of_operations("incompatible order", text, operations));
        }
    }
    let mut sorted = list.order.to_vec();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let text = format!("{} twice in {} of {longest}", twice[0], all.key_name(key));
        let operations = list.order_from.into_iter().map(|txn| all.op(txn));
        findings.add(Violation::of_operations("duplicate element", text, operations));
    }
    let aborted = |element: &u64| {
        let writer = all.writer(*element)?;
        (all.get(writer.txn).status == Status::Aborted).then_some(writer.txn)
    };
    for pair in list.order.windows(2) {
        if let (Some(refused), None, Some(writer)) =
            (aborted(&pair[0]), aborted(&pair[1]), all.writer(pair[1]))
        {
            let text = format!("{} built on {}", words(writer.txn), words(refused));
            let operations = [all.op(writer.txn), all.op(refused)];
            findings.add(Violation::of_operations("dirty update", text, operations));
        }
    }
}

/// Two transactions that append to the same state of a list.
fn lost_updates(
    history: &History,
    all: &Transactions<'_>,
    key: KeyId,
    list: &List<'_>,
    findings: &mut Findings,
) {
    let mut by_state: FxHashMap<usize, TxnId> = FxHashMap::default();
    for read in list.reads.iter().filter(|read| read.own == 0 && all.is_committed(read.txn)) {
        let parts = all.parts(all.get(read.txn));
        if !parts.iter().any(|part| matches!(part, Part::Append(other, _) if *other == key)) {
            continue;
        }
        let other = *by_state.entry(read.list.len()).or_insert(read.txn);
        if other != read.txn {
            let words = |txn| edn::words(all.op(txn), &history.operations[all.op(txn) as usize]);
            let text = format!(
                "{} and {} append to one state of {}",
                words(other),
                words(read.txn),
                all.key_name(key)
            );
            findings.add(Violation::of_operations("lost update", text, [all.op(other), all.op(read.txn)]));
        }
    }
}

/// The transaction that wrote an element, if it took effect.
fn committed(all: &Transactions<'_>, element: u64) -> Option<TxnId> {
    all.writer(element).map(|writer| writer.txn).filter(|&txn| all.is_committed(txn))
}

/// Each element's writer comes before the next one's, and all before those whose elements were not seen.
fn write_edges(all: &Transactions<'_>, list: &List<'_>, unseen: &[TxnId], edges: &mut Edges) {
    for pair in list.order.windows(2) {
        if let (Some(before), Some(after)) = (committed(all, pair[0]), committed(all, pair[1])) {
            edges.add(before, after, Kind::Ww);
        }
    }
    if let Some(last) = list.order.last().and_then(|&last| committed(all, last)) {
        unseen.iter().for_each(|&txn| edges.add(last, txn, Kind::Ww));
    }
}

fn read_edges(all: &Transactions<'_>, list: &List<'_>, unseen: &[TxnId], edges: &mut Edges) {
    let mut at_the_end: Vec<TxnId> = Vec::new();
    for read in list.reads.iter().filter(|read| all.is_committed(read.txn)) {
        let outside = read.outside();
        let seen = read.list[..outside].last();
        if let Some(writer) = seen.and_then(|&element| committed(all, element)) {
            edges.add(writer, read.txn, Kind::Wr);
        }
        // The first append by another transaction that the reader did not see.
        let later = list.order.get(outside..).unwrap_or_default();
        match later.iter().find(|&&element| committed(all, element) != Some(read.txn)) {
            Some(&element) => {
                if let Some(writer) = committed(all, element) {
                    edges.add(read.txn, writer, Kind::Rw);
                }
            }
            None => at_the_end.push(read.txn),
        }
    }
    edges.all_to_all(&at_the_end, unseen, Kind::Rw);
}

/// Those who appended for certain, and whose elements the longest list does not have: they came after it.
fn unseen(all: &Transactions<'_>, list: &List<'_>) -> Vec<TxnId> {
    let seen: FxHashSet<u64> = list.order.iter().copied().collect();
    let unseen =
        list.appenders.iter().filter(|(txn, element)| all.is_committed(*txn) && !seen.contains(element));
    unseen.map(|(txn, _)| *txn).collect()
}
