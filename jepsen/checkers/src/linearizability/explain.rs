//! Why there is no order, in words.
//!
//! In: where the search ended, and the operations. Out: a violation with a name that the field knows. Deliberately
//! absent: proof that it is the only reason; the search stopped at the longest order that it found.

use rustc_hash::FxHashMap;

use super::partition::Partition;
use super::search::Stuck;
use super::step::{NOBODY, Sees, State, Step, Then};
use crate::edn;
use crate::history::{End, History};
use crate::promise::Violation;

/// A read of a value that it cannot have seen, whatever the order.
pub(super) fn impossible_read(history: &History, partition: &Partition<'_>) -> Option<Violation> {
    let mut writers: FxHashMap<u64, &Step> = FxHashMap::default();
    for step in &partition.steps {
        if let Then::Put { value, .. } = step.then {
            writers.insert(value, step);
        }
    }
    partition.steps.iter().find_map(|step| {
        let Sees::Version { value, .. } = step.sees else { return None };
        let seen = words(history, step);
        match writers.get(&value) {
            Some(writer) if step.returned < writer.invoked => Some(of_recorded(
                "read from the future",
                format!("{seen}, before {} began", words(history, writer)),
                [step.op, writer.op],
            )),
            Some(_) => None,
            None => unwritten(history, value, step.op, &seen),
        }
    })
}

fn unwritten(history: &History, value: u64, reader: u32, seen: &str) -> Option<Violation> {
    let writer =
        (0..).zip(&history.operations).find(|(_, op)| op.call.values().any(|written| written == value));
    let Some((number, writer)) = writer else {
        let text = format!("{seen}, and nobody wrote {value}");
        return Some(Violation::of_operations("phantom read", text, [reader]));
    };
    let text = format!("{seen}, of {}", edn::words(number, writer));
    match writer.end {
        End::Failed { .. } => Some(Violation::of_operations("dirty read", text, [reader, number])),
        End::Unknown { .. } => {
            let text = format!("{text}, which the commit log does not have");
            Some(Violation::of_operations("dirty read", text, [reader, number]))
        }
        // Written by an operation on another kind of object: the search decides.
        End::Ok { .. } => None,
    }
}

/// The end of the longest order.
pub(super) fn stuck(history: &History, partition: &Partition<'_>, stuck: &Stuck) -> Violation {
    let step = &partition.steps[stuck.step];
    let changed_by = stuck.changed_by.map(|place| &partition.steps[place]);
    let state = match stuck.state {
        State::Absent => "absent".to_owned(),
        State::Version { value, revision: 0 } => format!("{value}"),
        State::Version { value, revision } => format!("{value} (of revision {revision})"),
    };
    let by = changed_by.map_or_else(String::new, |by| format!(", by {}", words(history, by)));
    let key = partition.key;
    let text = format!(
        "after {} of {} steps key {key} is {state}{by}; then no order fits {}",
        stuck.done,
        partition.steps.len(),
        words(history, step)
    );
    let class = match step.then {
        _ if stuck.out_of_turn || step.sees.allows(stuck.state) => "revision against real time",
        Then::Same => "stale read",
        Then::Put { .. } => "lost update",
        Then::Delete => "wrong delete",
    };
    of_recorded(class, text, changed_by.map(|by| by.op).into_iter().chain([step.op]))
}

/// A violation of those of the operations that were recorded.
fn of_recorded(class: &'static str, text: String, operations: impl IntoIterator<Item = u32>) -> Violation {
    Violation::of_operations(class, text, operations.into_iter().filter(|&op| op != NOBODY))
}

fn words(history: &History, step: &Step) -> String {
    match history.operations.get(step.op as usize) {
        Some(operation) => edn::words(step.op, operation),
        None => "a change that only the commit log has".to_owned(),
    }
}
