//! Whether a history can be one at all.
//!
//! In: a history from anywhere. Out: the first record that cannot be, with what to do about it. Checkers rely on
//! what is checked here. Deliberately absent: promises of the store; a history that breaks one is still a history.

use std::fmt;

use rustc_hash::FxHashMap;

use super::{
    Call, End, FaultPhase, History, MicroOp, MicroResult, Nanos, OpId, Operation, Returned, WatchId,
};

/// A record that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Flaw {
    /// Which record.
    pub place: Place,
    /// What is wrong, and the cure.
    pub problem: String,
}

/// A record of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An operation.
    Operation(OpId),
    /// A watch.
    Watch(WatchId),
    /// A place in [`History::faults`].
    Fault(usize),
    /// All records together.
    Whole,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(OpId(number)) => write!(f, "operation {number}"),
            Self::Watch(WatchId(number)) => write!(f, "watch {number}"),
            Self::Fault(number) => write!(f, "fault event {number}"),
            Self::Whole => f.write_str("history"),
        }
    }
}

impl History {
    /// Checks everything that checkers rely on: times, processes, references, kinds of answers, unique values.
    pub fn validate(&self) -> Result<(), Flaw> {
        let count = self.operations.len().max(self.watches.len());
        if u32::try_from(count).is_err() {
            return Err(flaw(Place::Whole, "more than 2^32 records: split the run"));
        }
        for (number, operation) in (0..).zip(&self.operations) {
            let sound = times(operation).and_then(|()| kinds(operation));
            sound
                .and_then(|()| self.known_replica(operation.replica.as_ref()))
                .map_err(|problem| Flaw { place: Place::Operation(OpId(number)), problem })?;
        }
        self.processes()?;
        self.values()?;
        self.check_watches()?;
        self.check_faults()
    }

    fn known_replica(&self, replica: Option<&String>) -> Result<(), String> {
        match replica {
            Some(name) if !self.meta.nodes.is_empty() && !self.meta.nodes.contains(name) => {
                Err(format!("replica {name:?} is not among the nodes of the meta record: add it there"))
            }
            _ => Ok(()),
        }
    }

    /// A process has one operation at a time, and none after an unknown outcome.
    fn processes(&self) -> Result<(), Flaw> {
        let mut order: Vec<u32> = (0..).zip(&self.operations).map(|(number, _)| number).collect();
        let of = |number: u32| &self.operations[number as usize];
        order.sort_unstable_by_key(|&number| (of(number).process, of(number).invoked, number));
        for pair in order.windows(2) {
            let (before, after) = (of(pair[0]), of(pair[1]));
            if before.process != after.process {
                continue;
            }
            let place = Place::Operation(OpId(pair[1]));
            let process = after.process.0;
            let problem = match &before.end {
                End::Unknown { .. } => format!(
                    "process {process} goes on after operation {}, whose outcome is unknown: \
                     a client goes on as a new process then",
                    pair[0]
                ),
                End::Ok { at, .. } | End::Failed { at, .. } if *at > after.invoked => format!(
                    "process {process} begins it while operation {} runs: one operation at a time, \
                     give each client a process of its own",
                    pair[0]
                ),
                End::Ok { .. } | End::Failed { .. } => continue,
            };
            return Err(Flaw { place, problem });
        }
        Ok(())
    }

    fn values(&self) -> Result<(), Flaw> {
        let mut written: FxHashMap<u64, u32> = FxHashMap::default();
        for (number, operation) in (0..).zip(&self.operations) {
            for value in operation.call.values() {
                if let Some(other) = written.insert(value, number) {
                    let problem = format!(
                        "it writes {value}, as operation {other} does: values must be unique within a run"
                    );
                    return Err(Flaw { place: Place::Operation(OpId(number)), problem });
                }
            }
        }
        Ok(())
    }

    fn check_watches(&self) -> Result<(), Flaw> {
        for (number, watch) in (0..).zip(&self.watches) {
            let flaw = |problem| Flaw { place: Place::Watch(WatchId(number)), problem };
            if let Some(WatchId(other)) = watch.resumed_from.filter(|other| other.0 >= number) {
                return Err(flaw(format!(
                    "it goes on from watch {other}, which does not come before it: order watches by time"
                )));
            }
            let mut last = watch.opened;
            for response in &watch.responses {
                if response.at < last {
                    return Err(flaw(format!(
                        "a response at {} ns comes after one at {} ns: record them in order, by one clock",
                        response.at.0, last.0
                    )));
                }
                last = response.at;
            }
            self.known_replica(watch.replica.as_ref()).map_err(flaw)?;
        }
        Ok(())
    }

    fn check_faults(&self) -> Result<(), Flaw> {
        let mut last = Nanos(0);
        for (number, event) in self.faults.iter().enumerate() {
            let flaw = |problem| Flaw { place: Place::Fault(number), problem };
            if event.at < last {
                return Err(flaw("it comes before the one ahead of it: order them by time".to_owned()));
            }
            last = event.at;
            if let FaultPhase::LeaderSeen(name) = &event.phase {
                self.known_replica(Some(name)).map_err(flaw)?;
            }
        }
        Ok(())
    }
}

fn flaw(place: Place, problem: &str) -> Flaw {
    Flaw { place, problem: problem.to_owned() }
}

fn times(operation: &Operation) -> Result<(), String> {
    match operation.end.at() {
        Some(at) if at < operation.invoked => Err(format!(
            "it ends at {} ns, before it begins at {} ns: record both by one monotonic clock",
            at.0, operation.invoked.0
        )),
        _ => Ok(()),
    }
}

fn kinds(operation: &Operation) -> Result<(), String> {
    let Some((_, returned)) = operation.answer() else { return Ok(()) };
    if answers(&operation.call, returned) {
        return Ok(());
    }
    Err("its answer is not one to its call: record the variant of the same name, \
         and one result for each part of a transaction"
        .to_owned())
}

fn answers(call: &Call, returned: &Returned) -> bool {
    match call {
        Call::Read { .. } => matches!(returned, Returned::Read { .. }),
        Call::List { .. } => matches!(returned, Returned::List { .. }),
        Call::Write { .. } => matches!(returned, Returned::Write { .. }),
        Call::Delete { .. } => matches!(returned, Returned::Delete { .. }),
        Call::CompareAndSet { .. } => matches!(returned, Returned::CompareAndSet { .. }),
        Call::Txn(parts) => match returned {
            Returned::Txn { results, .. } => {
                parts.len() == results.len()
                    && parts.iter().zip(results).all(|(part, result)| fits(part, result))
            }
            _ => false,
        },
        Call::SetAdd(_) => matches!(returned, Returned::SetAdd { .. }),
        Call::SetRead => matches!(returned, Returned::SetRead { .. }),
        Call::CounterAdd(_) => matches!(returned, Returned::CounterAdd { .. }),
        Call::CounterRead => matches!(returned, Returned::CounterRead { .. }),
        Call::LockAcquire { .. } => matches!(returned, Returned::LockAcquire { .. }),
        Call::LockRelease { .. } => matches!(returned, Returned::LockRelease { .. }),
        Call::FencedWrite { .. } => matches!(returned, Returned::FencedWrite { .. }),
        Call::LeaseGrant { .. } => matches!(returned, Returned::LeaseGrant { .. }),
        Call::LeaseKeepAlive { .. } => matches!(returned, Returned::LeaseKeepAlive { .. }),
        Call::LeaseRevoke { .. } => matches!(returned, Returned::LeaseRevoke { .. }),
        Call::LeaseAttach { .. } => matches!(returned, Returned::LeaseAttach { .. }),
        Call::LeaseTimeToLive { .. } => matches!(returned, Returned::LeaseTimeToLive { .. }),
        Call::LeaseKeyRead { .. } => matches!(returned, Returned::LeaseKeyRead { .. }),
        Call::Compact { .. } => matches!(returned, Returned::Compact { .. }),
    }
}

fn fits(part: &MicroOp, result: &MicroResult) -> bool {
    match part {
        MicroOp::Append { .. } | MicroOp::Put { .. } | MicroOp::Delete { .. } => {
            matches!(result, MicroResult::Written)
        }
        MicroOp::ReadList { .. } => matches!(result, MicroResult::List(_)),
        MicroOp::Get { .. } => matches!(result, MicroResult::Value(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, read, unknown, watch, write};

    fn problem(history: &History) -> String {
        history.validate().expect_err("it is flawed").to_string()
    }

    #[test]
    fn a_sound_history_passes() {
        let operations = vec![write(0, 0..1, "k", 1, 2), read(0, 1..2, "k", Some((1, 2)), 2)];
        assert_eq!(History { operations, ..History::default() }.validate(), Ok(()));
    }

    #[test]
    fn an_operation_that_ends_before_it_begins_is_found() {
        let mut operation = write(0, 5..6, "k", 1, 2);
        operation.invoked = at(7);
        let history = History { operations: vec![operation], ..History::default() };
        assert!(problem(&history).starts_with("operation 0: it ends at 6"), "{}", problem(&history));
    }

    #[test]
    fn two_operations_at_once_of_one_process_are_found() {
        let operations = vec![write(3, 4..9, "k", 2, 3), write(3, 0..5, "k", 1, 2)];
        let history = History { operations, ..History::default() };
        assert!(problem(&history).contains("process 3 begins it while operation 1 runs"));
    }

    #[test]
    fn a_process_that_goes_on_after_an_unknown_outcome_is_found() {
        let operations = vec![unknown(write(0, 0..1, "k", 1, 2)), read(0, 5..6, "k", None, 1)];
        assert!(problem(&History { operations, ..History::default() }).contains("as a new process"));
    }

    #[test]
    fn an_answer_to_another_call_is_found() {
        let mut operation = write(0, 0..1, "k", 1, 2);
        operation.call = Call::SetRead;
        assert!(problem(&History { operations: vec![operation], ..History::default() }).contains("answer"));
    }

    #[test]
    fn a_value_that_is_written_twice_is_found() {
        let operations = vec![write(0, 0..1, "k", 1, 2), write(0, 2..3, "j", 1, 3)];
        assert!(problem(&History { operations, ..History::default() }).contains("unique"));
    }

    #[test]
    fn a_watch_that_goes_on_from_itself_is_found() {
        let mut flawed = watch("k", 1);
        flawed.resumed_from = Some(WatchId(0));
        assert!(problem(&History { watches: vec![flawed], ..History::default() }).starts_with("watch 0"));
    }

    #[test]
    fn a_replica_that_nobody_has_heard_of_is_found() {
        let mut operation = write(0, 0..1, "k", 1, 2);
        operation.replica = Some("n9".to_owned());
        let mut history = History { operations: vec![operation], ..History::default() };
        history.meta.nodes = vec!["n1".to_owned()];
        assert!(problem(&history).contains("\"n9\""));
    }
}
