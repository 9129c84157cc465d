//! Promise: the set keeps what was added.
//!
//! > A read has every element whose addition ended before the read began, or that an earlier read had; none whose
//! > addition began after the read ended, none that was refused, none that nobody added, and none twice. Once an element
//! > is in the commit log, it stays there.
//!
//! Source: Jepsen's checker `set-full`.
//!
//! In: additions and reads of the run's one set; elements are never removed. Deliberately absent: how late a stale read
//! is.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::edn;
use crate::fate::{Fate, Fates};
use crate::history::{Call, CommitLog, End, History, Nanos, Returned, Step, Value};
use crate::promise::{Findings, Promise, Verdict, Violation};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "set",
    words: "An element that was added is in every later read, and nothing else is.",
    source: "Jepsen: set-full",
    check,
};

/// One element.
struct Element {
    added_by: u32,
    invoked: Nanos,
    refused: bool,
    /// From when on every read must have it, and the operation that says so.
    known: Option<(Nanos, u32)>,
}

impl Element {
    fn is_known(&mut self, at: Nanos, op: u32) {
        if self.known.is_none_or(|(known, _)| at < known) {
            self.known = Some((at, op));
        }
    }
}

struct Read<'a> {
    op: u32,
    invoked: Nanos,
    ended: Nanos,
    elements: &'a [u64],
}

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    let mut elements = additions(history);
    let reads = reads(history);
    findings.checked = (elements.len() + reads.len()) as u64;
    for read in &reads {
        for element in read.elements {
            if let Some(element) = elements.get_mut(element) {
                element.is_known(read.ended, read.op);
            }
        }
    }
    let mut known: Vec<(Nanos, u64)> =
        elements.iter().filter_map(|(value, element)| Some((element.known?.0, *value))).collect();
    known.sort_unstable();
    for read in &reads {
        unexpected(history, read, &elements, &mut findings);
        missing(history, read, &elements, &known, &mut findings);
        twice(history, read, &mut findings);
    }
    if let Some(log) = &history.log {
        removed(history, log, &elements, &mut findings);
    }
    findings.verdict()
}

fn additions(history: &History) -> FxHashMap<u64, Element> {
    let fates = Fates::of(history);
    let mut elements = FxHashMap::default();
    for (op, operation) in (0..).zip(&history.operations) {
        let Call::SetAdd(value) = operation.call else { continue };
        let (refused, known) = match &operation.end {
            End::Ok { at, .. } => (false, Some((*at, op))),
            End::Failed { .. } => (true, None),
            End::Unknown { .. } => (fates.of_call(&operation.call) == Fate::Never, None),
        };
        elements.insert(value, Element { added_by: op, invoked: operation.invoked, refused, known });
    }
    elements
}

fn reads(history: &History) -> Vec<Read<'_>> {
    let answered = (0..).zip(&history.operations).filter_map(|(op, operation)| match operation.answer() {
        Some((ended, Returned::SetRead { elements, .. })) => {
            Some(Read { op, invoked: operation.invoked, ended, elements })
        }
        _ => None,
    });
    answered.collect()
}

fn unexpected(
    history: &History,
    read: &Read<'_>,
    elements: &FxHashMap<u64, Element>,
    findings: &mut Findings,
) {
    let words = |op: u32| edn::words(op, &history.operations[op as usize]);
    for value in read.elements {
        let (class, other) = match elements.get(value) {
            None if history.meta.whole => ("phantom element", None),
            None => continue,
            Some(element) if element.refused => ("refused element", Some(element.added_by)),
            Some(element) if read.ended < element.invoked => {
                ("element from the future", Some(element.added_by))
            }
            Some(_) => continue,
        };
        let by = other.map_or_else(|| "nobody added".to_owned(), |op| format!("is of {}", words(op)));
        let text = format!("{} has {value}, which {by}", words(read.op));
        findings.add(Violation::of_operations(class, text, [read.op].into_iter().chain(other)));
        return;
    }
}

fn twice(history: &History, read: &Read<'_>, findings: &mut Findings) {
    let mut elements = read.elements.to_vec();
    elements.sort_unstable();
    if let Some(pair) = elements.windows(2).find(|pair| pair[0] == pair[1]) {
        let words = edn::words(read.op, &history.operations[read.op as usize]);
        findings.add(Violation::of_operations(
            "element twice",
            format!("{words} has {} twice", pair[0]),
            [read.op],
        ));
    }
}

/// Elements that a later commit removes, whether or not anybody has read them.
fn removed(history: &History, log: &CommitLog, elements: &FxHashMap<u64, Element>, findings: &mut Findings) {
    for Step { revision, change, before } in log.steps() {
        let after = change.became.as_ref().map(|version| &version.value);
        let lost = before.and_then(|before| lacking(&before.value, after, elements));
        if let Some((value, element)) = lost {
            let words = edn::words(element.added_by, &history.operations[element.added_by as usize]);
            let text = format!("revision {revision} removes {value} of {words}");
            findings.add(Violation::of_operations("lost element", text, [element.added_by]));
        }
    }
}

/// The first element that a value had and the next one has not.
fn lacking<'e>(
    before: &Value,
    after: Option<&Value>,
    elements: &'e FxHashMap<u64, Element>,
) -> Option<(u64, &'e Element)> {
    let had = members(before);
    let has = after.map(members).unwrap_or_default();
    if has.starts_with(had) {
        return None;
    }
    let has: FxHashSet<u64> = has.iter().copied().collect();
    let mut lost = had.iter().filter(|value| !has.contains(value));
    lost.find_map(|value| Some((*value, elements.get(value)?)))
}

fn members(value: &Value) -> &[u64] {
    match value {
        Value::Number(number) => std::slice::from_ref(number),
        Value::List(list) => list,
    }
}

/// Counts first, and looks for names only when the count is wrong.
fn missing(
    history: &History,
    read: &Read<'_>,
    elements: &FxHashMap<u64, Element>,
    known: &[(Nanos, u64)],
    findings: &mut Findings,
) {
    let expected = &known[..known.partition_point(|(at, _)| *at < read.invoked)];
    let is_expected = |value: &&u64| {
        elements.get(value).and_then(|element| element.known).is_some_and(|(at, _)| at < read.invoked)
    };
    let mut had: Vec<u64> = read.elements.iter().filter(is_expected).copied().collect();
    had.sort_unstable();
    had.dedup();
    if had.len() == expected.len() {
        return;
    }
    let lacking = expected.iter().find(|(_, value)| had.binary_search(value).is_err());
    let Some((_, value)) = lacking else { return };
    let Some((_, by)) = elements.get(value).and_then(|element| element.known) else { return };
    let words = |op: u32| edn::words(op, &history.operations[op as usize]);
    let lost = expected.len() - had.len();
    let text = format!("{} lacks {lost} elements, such as {value} of {}", words(read.op), words(by));
    findings.add(Violation::of_operations("lost element", text, [by, read.op]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Operation, Revision};
    use crate::testing::{classes, failed, log, of, op, unknown};

    fn add(process: u32, time: std::ops::Range<u64>, element: u64) -> Operation {
        op(process, time, Call::SetAdd(element), Returned::SetAdd { revision: Revision(0) })
    }

    fn read(time: std::ops::Range<u64>, elements: &[u64]) -> Operation {
        op(50, time, Call::SetRead, Returned::SetRead { revision: Revision(0), elements: elements.to_vec() })
    }

    fn found(operations: Vec<Operation>) -> Vec<&'static str> {
        classes(&PROMISE, &of(operations))
    }

    #[test]
    fn an_element_may_appear_while_it_is_added_and_stays() {
        let operations = vec![
            add(0, 0..9, 1),
            read(1..2, &[]),
            read(3..4, &[1]),
            read(10..11, &[1]),
            unknown(add(1, 0..9, 2)),
            read(12..13, &[2, 1]),
        ];
        assert_eq!(found(operations), [""; 0]);
    }

    #[test]
    fn an_acknowledged_element_that_is_missing_is_lost() {
        assert_eq!(found(vec![add(0, 0..1, 1), add(0, 2..3, 2), read(4..5, &[1])]), ["lost element"]);
    }

    #[test]
    fn an_element_that_was_seen_may_not_vanish() {
        let operations = vec![unknown(add(0, 0..1, 1)), read(2..3, &[1]), read(4..5, &[])];
        assert_eq!(found(operations), ["lost element"]);
    }

    #[test]
    fn elements_from_nowhere_are_found() {
        assert_eq!(found(vec![read(0..1, &[7])]), ["phantom element"]);
        assert_eq!(found(vec![failed(add(0, 0..1, 7)), read(2..3, &[7])]), ["refused element"]);
        assert_eq!(found(vec![read(0..1, &[7]), add(0, 2..3, 7)]), ["element from the future"]);
    }

    #[test]
    fn an_element_that_is_there_twice_is_found() {
        assert_eq!(found(vec![add(0, 0..1, 1), read(2..3, &[1, 1])]), ["element twice"]);
    }

    #[test]
    fn an_element_that_the_log_removes_is_lost_although_nobody_reads() {
        let with = |second: Option<u64>| {
            let log = log(&[(2, "set/1", Some(1)), (3, "set/1", second)]);
            let history = History { log: Some(log), ..of(vec![add(0, 0..1, 1), add(0, 2..3, 2)]) };
            classes(&PROMISE, &history)
        };
        assert_eq!(with(Some(2)), ["lost element"]);
        assert_eq!(with(None), ["lost element"]);
        let mut lists = log(&[(2, "set", Some(0)), (3, "set", Some(0))]);
        let values: [&[u64]; 2] = [&[1], &[2]];
        for (commit, list) in lists.commits.iter_mut().zip(values) {
            commit.changes[0].became.as_mut().expect("a put").value = Value::List(list.into());
        }
        let history = History { log: Some(lists), ..of(vec![add(0, 0..1, 1), add(0, 2..3, 2)]) };
        assert_eq!(classes(&PROMISE, &history), ["lost element"]);
    }
}
