//! What no order of transactions can explain.
//!
//! In: transactions. Out: reads of what was refused (G1a), of what was replaced within its own transaction (G1b), of
//! what nobody wrote, and transactions that contradict themselves. Deliberately absent: everything that takes two
//! transactions of which both were honest.

use super::transactions::{KeyId, Part, Status, Transactions, TxnId};
use crate::edn;
use crate::history::History;
use crate::promise::{Findings, Violation};

pub(super) fn check(history: &History, all: &Transactions<'_>, findings: &mut Findings) {
    for (id, txn) in all.iter().filter(|(_, txn)| txn.status == Status::Committed) {
        let parts = all.parts(txn);
        for (place, part) in parts.iter().enumerate() {
            if let Some(found) = odd(all, id, &parts[..place], *part) {
                findings.add(found.violation(history, txn.op));
            }
        }
        if findings.is_full() {
            return;
        }
    }
}

/// A class, what is said of it, and the other operation.
struct Found(&'static str, String, Option<u32>);

impl Found {
    fn violation(self, history: &History, op: u32) -> Violation {
        let Self(class, text, other) = self;
        let words = |op: u32| edn::words(op, &history.operations[op as usize]);
        let of_other = other.map_or_else(String::new, |other| format!(" of {}", words(other)));
        Violation::of_operations(
            class,
            format!("{}: {text}{of_other}", words(op)),
            [op].into_iter().chain(other),
        )
    }
}

/// What is odd about a part, given those before it.
fn odd(all: &Transactions<'_>, id: TxnId, before: &[Part<'_>], part: Part<'_>) -> Option<Found> {
    match part {
        Part::List(key, list) => contradicts_itself(before, key, list)
            .or_else(|| list.iter().find_map(|&element| unborn(all, element)))
            .or_else(|| list.last().and_then(|&last| intermediate(all, id, last))),
        Part::Get(key, value) => {
            let wrong = value_so_far(before, key).is_some_and(|so_far| so_far != value);
            let words = "it contradicts what it saw or wrote before";
            let internal = wrong.then(|| Found("internal", words.to_owned(), None));
            let of_value = |value| unborn(all, value).or_else(|| intermediate(all, id, value));
            internal.or_else(|| value.and_then(of_value))
        }
        Part::Append(..) | Part::Put(..) | Part::Delete(_) => None,
    }
}

/// A value of a transaction that was refused, or of none at all.
fn unborn(all: &Transactions<'_>, value: u64) -> Option<Found> {
    match all.writer(value) {
        Some(writer) if all.get(writer.txn).status == Status::Aborted => {
            Some(Found("G1a", format!("it saw {value}"), Some(all.op(writer.txn))))
        }
        Some(_) => None,
        None => all
            .is_unwritten(value)
            .then(|| Found("phantom read", format!("it saw {value}, which nobody wrote"), None)),
    }
}

/// A value that its own transaction replaced.
fn intermediate(all: &Transactions<'_>, id: TxnId, value: u64) -> Option<Found> {
    let writer = all.writer(value).filter(|writer| writer.txn != id && !writer.is_last)?;
    Some(Found("G1b", format!("it saw {value}, an intermediate state"), Some(all.op(writer.txn))))
}

/// What a register must be after these parts; `None`: they do not say.
fn value_so_far(before: &[Part<'_>], key: KeyId) -> Option<Option<u64>> {
    before.iter().rev().find_map(|part| match *part {
        Part::Put(other, value) if other == key => Some(Some(value)),
        Part::Get(other, value) if other == key => Some(value),
        Part::Delete(other) if other == key => Some(None),
        Part::Put(..) | Part::Get(..) | Part::Delete(_) | Part::Append(..) | Part::List(..) => None,
    })
}

/// A list must begin with what was read before, and end with what was appended since.
fn contradicts_itself(before: &[Part<'_>], key: KeyId, list: &[u64]) -> Option<Found> {
    let mut known: Option<&[u64]> = None;
    let mut appended: Vec<u64> = Vec::new();
    for part in before {
        match *part {
            Part::List(other, earlier) if other == key => {
                known = Some(earlier);
                appended.clear();
            }
            Part::Append(other, element) if other == key => appended.push(element),
            Part::List(..) | Part::Append(..) | Part::Put(..) | Part::Get(..) | Part::Delete(_) => {}
        }
    }
    let agrees = match known {
        Some(known) => list.strip_prefix(known) == Some(&appended[..]),
        None => list.ends_with(&appended),
    };
    (!agrees)
        .then(|| Found("internal", format!("it saw {list:?} after {known:?} and its own {appended:?}"), None))
}
