//! Promise: the counter counts.
//!
//! > A read shows the sum of every addition that ended before the read began, and of some that overlap it or whose
//! > outcome is unknown. Where revisions are told: of exactly those up to the read's revision, and of some that are
//! > unknown. Where the commit log is known: every change of the counter is one addition, and a read shows the sum at its
//! > revision.
//!
//! Source: Jepsen's checker `counter`.
//!
//! In: additions and reads of the run's one counter, which begins at 0; its key is what acknowledged additions changed
//! ([`in_log`]). Out: reads outside their bounds. Deliberately absent: without a log, which of the uncertain additions
//! make up a sum; within the bounds everything passes, if reads of one revision agree.

mod in_log;

use rustc_hash::FxHashMap;

use crate::edn;
use crate::history::{Call, End, History, Nanos, OpId, Returned, Revision};
use crate::promise::{Findings, Promise, Verdict, Violation};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "counter",
    words: "A read of the counter is the sum of what was added before it.",
    source: "Jepsen: counter",
    check,
};

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    let sums = Sums::of(history);
    let mut totals: FxHashMap<Revision, (i64, u32)> = FxHashMap::default();
    for (number, operation) in (0..).zip(&history.operations) {
        findings.checked += u64::from(matches!(operation.call, Call::CounterAdd(_) | Call::CounterRead));
        let Some((ended, Returned::CounterRead { revision, total })) = operation.answer() else { continue };
        let bounds = sums.bounds(operation.invoked, ended, *revision);
        if !bounds.contains(&i128::from(*total)) {
            let text = format!(
                "{} is not between {} and {}",
                edn::words(number, operation),
                bounds.start(),
                bounds.end()
            );
            findings.add(Violation {
                class: "wrong count",
                text,
                operations: vec![OpId(number)],
                watches: Vec::new(),
            });
        } else if let Some(revision) = revision.told() {
            let (other, by) = *totals.entry(revision).or_insert((*total, number));
            if other != *total {
                let words = |number: u32| edn::words(number, &history.operations[number as usize]);
                let text = format!("{} and {} read one revision", words(by), words(number));
                findings.add(Violation::of_operations("two counts at one revision", text, [by, number]));
            }
        }
    }
    if let Some(log) = &history.log {
        in_log::check(history, log, &mut findings);
    }
    findings.verdict()
}

/// Sums of additions, ordered so that each bound is one look-up.
struct Sums {
    /// Acknowledged, by their end.
    ended: Running,
    /// Acknowledged, by their revision; `None`: not all were told.
    committed: Option<Running>,
    /// Acknowledged, by their beginning: lower and upper parts.
    begun: [Running; 2],
    /// The lower and upper parts of acknowledged ones by their end.
    over: [Running; 2],
    /// Unknown, by their beginning: lower and upper parts.
    unknown: [Running; 2],
}

/// A running sum over points.
struct Running(Vec<(u64, i128)>);

impl Running {
    fn of(points: impl Iterator<Item = (u64, i64)>) -> Self {
        let mut points: Vec<(u64, i128)> = points.map(|(at, delta)| (at, i128::from(delta))).collect();
        points.sort_unstable();
        let mut sum = 0;
        for (_, delta) in &mut points {
            sum += *delta;
            *delta = sum;
        }
        Self(points)
    }

    /// The sum of the points up to and with this one.
    fn through(&self, at: u64) -> i128 {
        let count = self.0.partition_point(|(point, _)| *point <= at);
        count.checked_sub(1).map_or(0, |last| self.0[last].1)
    }

    /// The sum of the points before this one.
    fn before(&self, at: u64) -> i128 {
        at.checked_sub(1).map_or(0, |at| self.through(at))
    }
}

struct Addition {
    delta: i64,
    invoked: u64,
    ended: u64,
    revision: Revision,
}

impl Sums {
    fn of(history: &History) -> Self {
        let (mut acknowledged, mut unknown) = (Vec::new(), Vec::new());
        for operation in &history.operations {
            let Call::CounterAdd(delta) = operation.call else { continue };
            let invoked = operation.invoked.0;
            match &operation.end {
                End::Ok { at, returned } => {
                    acknowledged.push(Addition {
                        delta,
                        invoked,
                        ended: at.0,
                        revision: returned.revision(),
                    });
                }
                End::Failed { .. } => {}
                End::Unknown { .. } => unknown.push((invoked, delta)),
            }
        }
        let by_end =
            |part: fn(i64) -> i64| Running::of(acknowledged.iter().map(|add| (add.ended, part(add.delta))));
        let by_begin =
            |part: fn(i64) -> i64| Running::of(acknowledged.iter().map(|add| (add.invoked, part(add.delta))));
        let of_unknown =
            |part: fn(i64) -> i64| Running::of(unknown.iter().map(|(at, delta)| (*at, part(*delta))));
        let told = acknowledged.iter().all(|add| add.revision.told().is_some());
        Self {
            ended: by_end(|delta| delta),
            committed: told.then(|| Running::of(acknowledged.iter().map(|add| (add.revision.0, add.delta)))),
            begun: [by_begin(lower), by_begin(upper)],
            over: [by_end(lower), by_end(upper)],
            unknown: [of_unknown(lower), of_unknown(upper)],
        }
    }

    fn bounds(&self, invoked: Nanos, ended: Nanos, revision: Revision) -> std::ops::RangeInclusive<i128> {
        let unknown = |side: usize| self.unknown[side].through(ended.0);
        if let (Some(committed), Some(revision)) = (&self.committed, revision.told()) {
            let exact = committed.through(revision.0);
            return exact + unknown(0)..=exact + unknown(1);
        }
        let certain = self.ended.before(invoked.0);
        // Those that overlap: begun before the read's end, and not over before its beginning.
        let overlapping = |side: usize| self.begun[side].through(ended.0) - self.over[side].before(invoked.0);
        certain + overlapping(0) + unknown(0)..=certain + overlapping(1) + unknown(1)
    }
}

fn lower(delta: i64) -> i64 {
    delta.min(0)
}

fn upper(delta: i64) -> i64 {
    delta.max(0)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::history::Operation;
    use crate::testing::{classes, failed, log, of, op, unknown};

    fn add(process: u32, time: Range<u64>, delta: i64, revision: u64) -> Operation {
        let returned = Returned::CounterAdd { revision: Revision(revision) };
        op(process, time, Call::CounterAdd(delta), returned)
    }

    fn read(time: Range<u64>, total: i64, revision: u64) -> Operation {
        let returned = Returned::CounterRead { revision: Revision(revision), total };
        op(50, time, Call::CounterRead, returned)
    }

    fn is_kept(operations: Vec<Operation>) -> bool {
        classes(&PROMISE, &of(operations)).is_empty()
    }

    #[test]
    fn overlapping_and_unknown_additions_widen_the_bounds() {
        let operations = |total| {
            vec![
                add(0, 0..1, 10, 0),
                add(1, 2..9, 3, 0),
                unknown(add(2, 2..3, -1, 0)),
                failed(add(3, 2..3, 50, 0)),
                read(4..5, total, 0),
            ]
        };
        for good in [9, 10, 12, 13] {
            assert!(is_kept(operations(good)), "{good}");
        }
        for bad in [8, 14, 60, 0] {
            assert!(!is_kept(operations(bad)), "{bad}");
        }
    }

    #[test]
    fn an_addition_that_begins_after_the_read_does_not_count() {
        assert!(!is_kept(vec![read(0..1, 10, 0), add(0, 2..3, 10, 0)]));
    }

    #[test]
    fn with_revisions_overlapping_additions_are_exact() {
        let operations = |total| vec![add(0, 0..9, 1, 2), add(1, 0..9, 2, 3), read(4..5, total, 2)];
        assert!(is_kept(operations(1)));
        assert!(!is_kept(operations(3)) && !is_kept(operations(0)));
    }

    #[test]
    fn reads_of_one_revision_agree() {
        let with = |second| vec![add(0, 0..1, 5, 2), unknown(add(1, 0..1, 1, 0)), read(4..5, 6, 3), second];
        assert!(is_kept(with(read(6..7, 6, 3))) && is_kept(with(read(6..7, 5, 2))));
        assert!(!is_kept(with(read(6..7, 5, 3))));
    }

    fn found_with(totals: &[u64], operations: Vec<Operation>) -> Vec<&'static str> {
        let changes: Vec<_> =
            (2..).zip(totals).map(|(revision, total)| (revision, "c", Some(*total))).collect();
        classes(&PROMISE, &History { log: Some(log(&changes)), ..of(operations) })
    }

    #[test]
    fn the_log_says_what_became_of_unknown_additions() {
        let operations = |total, revision| {
            vec![add(0, 0..1, 5, 2), unknown(add(1, 2..3, -1, 0)), read(6..7, total, revision)]
        };
        assert_eq!(found_with(&[5], operations(5, 2)), [""; 0]);
        assert_eq!(found_with(&[5, 4], operations(4, 3)), [""; 0]);
        assert_eq!(found_with(&[5], operations(4, 2)), ["wrong count"]);
        assert_eq!(found_with(&[5, 4, 3], operations(4, 3)), ["addition from nowhere"]);
        assert_eq!(found_with(&[5, 9], operations(4, 2)), ["addition from nowhere", "wrong count"]);
    }

    #[test]
    fn an_acknowledged_addition_changes_the_log() {
        let operations =
            vec![add(0, 0..1, 5, 2), add(0, 2..3, 1, 3), unknown(add(1, 2..3, -1, 0)), read(6..7, 5, 3)];
        assert_eq!(found_with(&[5, 5], operations), ["lost addition"]);
        assert_eq!(found_with(&[5, 1], vec![add(0, 0..1, 5, 2), add(0, 2..3, 1, 3)]), ["lost addition"]);
    }
}
