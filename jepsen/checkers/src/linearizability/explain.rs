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
use crate::writers::Writers;

/// A read of a value that it cannot have seen, whatever the order.
pub(super) fn impossible_read(
    history: &History,
    writers: &Writers<'_>,
    partition: &Partition<'_>,
) -> Option<Violation> {
    let mut writes: FxHashMap<u64, &Step> = FxHashMap::default();
    for step in &partition.steps {
        if let Then::Put { value, .. } = step.then {
            writes.insert(value, step);
        }
    }
    partition.steps.iter().find_map(|step| {
        let Sees::Version { value, .. } = step.sees else { return None };
        match writes.get(&value) {
            Some(write) if step.returned < write.invoked => {
                let text = format!("{}, before {} began", words(history, step), words(history, write));
                Some(of_recorded("read from the future", text, [step.op, write.op]))
            }
            Some(write) if write.op != NOBODY => None,
            in_log => {
                let writer = writers.get(value).map(|writer| writer.op);
                dirty(history, writer, step, value, in_log.is_some())
            }
        }
    })
}

/// A read of a value that no operation wrote that may have taken effect.
fn dirty(history: &History, writer: Option<u32>, step: &Step, value: u64, in_log: bool) -> Option<Violation> {
    let seen = words(history, step);
    let Some(writer) = writer else {
        // What is in the log and nobody recorded is for the promise of durability.
        let text = format!("{seen}, and nobody wrote {value}");
        return (!in_log).then(|| of_recorded("phantom read", text, [step.op]));
    };
    let operation = &history.operations[writer as usize];
    let text = format!("{seen}, of {}", edn::words(writer, operation));
    match operation.end {
        End::Failed { .. } => Some(of_recorded("dirty read", text, [step.op, writer])),
        End::Unknown { .. } if !in_log => {
            let text = format!("{text}, which the commit log does not have");
            Some(of_recorded("dirty read", text, [step.op, writer]))
        }
        // Written by an operation on another kind of object: the search decides.
        End::Ok { .. } | End::Unknown { .. } => None,
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
