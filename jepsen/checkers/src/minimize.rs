//! The smallest history that still breaks a promise.
//!
//! In: a promise and a history that breaks it. Out: a part of that history that breaks it in the same way, found by
//! Zeller's delta debugging over operations and watches; faults stay, and of the commit log what is about the keys that
//! these touch.
//!
//! A part must not break the promise only because something was left out. So whatever an operation has seen is kept
//! with it: who wrote the value that it read, who deleted the key that it found absent, everything about its lease.
//!
//! A violation that names no operation and no watch is one of the log alone; there, nothing can be left out.
//!
//! Deliberately absent: a proof that nothing smaller exists; the number of checks is bounded.

mod dependencies;
mod touched;

use crate::history::{History, OpId, WatchId};
use crate::promise::{Promise, Violation};

use dependencies::{Dependencies, Values};
use touched::Touched;

/// A part of a history that breaks a promise as the whole does.
#[derive(Clone, Debug)]
pub struct Minimal {
    /// The part. Its meta record says that it is not whole, unless everything is in it whose effect is seen.
    pub history: History,
    /// How it breaks the promise.
    pub violation: Violation,
    /// Which operations of the whole it has, in order.
    pub operations: Vec<OpId>,
    /// Which watches of the whole it has, in order.
    pub watches: Vec<WatchId>,
    /// How often the promise was checked to find it.
    pub checks: usize,
}

/// Reduces a history, with at most so many checks of the promise. `None`: the history does not break it.
pub fn minimize(promise: &Promise, history: &History, max_checks: usize) -> Option<Minimal> {
    let violation = (promise.check)(history).violations().first()?.clone();
    let values = if violation.class.starts_with("phantom") {
        Values::All
    } else if promise.name == crate::linearizability::PROMISE.name {
        Values::OfRegisters
    } else {
        Values::OfReads
    };
    let mut reducer = Reducer {
        promise,
        history,
        class: violation.class,
        values,
        dependencies: Dependencies::of(history, values),
        checks: 1,
        max_checks: max_checks.max(1),
    };
    let everything: Vec<Item> = (0..history.operations.len() as u32)
        .map(Item::Operation)
        .chain((0..history.watches.len() as u32).map(Item::Watch))
        .collect();
    let mut best = Minimal {
        history: history.clone(),
        violation,
        operations: (0..history.operations.len() as u32).map(OpId).collect(),
        watches: (0..history.watches.len() as u32).map(WatchId).collect(),
        checks: 1,
    };
    if best.violation.operations.is_empty() && best.violation.watches.is_empty() {
        return Some(best);
    }
    // What the violation names is often enough.
    let named = best.violation.operations.iter().map(|OpId(op)| Item::Operation(*op));
    let named: Vec<Item> =
        named.chain(best.violation.watches.iter().map(|WatchId(watch)| Item::Watch(*watch))).collect();
    let start = match reducer.attempt(&named) {
        Some(found) => {
            best = found;
            named
        }
        None => everything,
    };
    reducer.reduce(start, &mut best);
    best.checks = reducer.checks;
    Some(best)
}

/// What can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Item {
    Operation(u32),
    Watch(u32),
}

struct Reducer<'a> {
    promise: &'a Promise,
    history: &'a History,
    class: &'static str,
    values: Values,
    dependencies: Dependencies<'a>,
    checks: usize,
    max_checks: usize,
}

impl Reducer<'_> {
    /// Delta debugging: leaves out ever smaller pieces, as long as the promise stays broken.
    fn reduce(&mut self, mut items: Vec<Item>, best: &mut Minimal) {
        let mut pieces = 2;
        while items.len() >= 2 && self.checks < self.max_checks {
            let size = items.len().div_ceil(pieces);
            let mut smaller = None;
            for start in (0..items.len()).step_by(size) {
                let mut rest = items.clone();
                rest.drain(start..(start + size).min(items.len()));
                if let Some(found) = self.attempt(&rest) {
                    *best = found;
                    smaller = Some(rest);
                    break;
                }
            }
            match smaller {
                Some(rest) => {
                    items = rest;
                    pieces = pieces.saturating_sub(1).max(2);
                }
                None if size == 1 => return,
                None => pieces = (2 * pieces).min(items.len()),
            }
        }
    }

    /// Checks the part that these items make, with all that they depend on.
    fn attempt(&mut self, items: &[Item]) -> Option<Minimal> {
        if self.checks >= self.max_checks {
            return None;
        }
        self.checks += 1;
        let closed = self.dependencies.close(items);
        let (mut history, operations, watches) = part(self.history, &closed);
        // With all writers of what is seen, phantoms are looked for as in the whole.
        history.meta.whole = self.history.meta.whole && self.values == Values::All;
        if let Some(log) = &mut history.log {
            Touched::by(&history.operations, &history.watches).cut(log, history.meta.whole);
        }
        let verdict = (self.promise.check)(&history);
        let violation = verdict.violations().iter().find(|violation| violation.class == self.class)?.clone();
        Some(Minimal { history, violation, operations, watches, checks: self.checks })
    }
}

/// The part of a history; references between watches are renumbered.
fn part(history: &History, items: &[Item]) -> (History, Vec<OpId>, Vec<WatchId>) {
    let (mut operations, mut watches) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Operation(number) => operations.push(OpId(*number)),
            Item::Watch(number) => watches.push(WatchId(*number)),
        }
    }
    let kept = History {
        meta: history.meta.clone(),
        operations: operations
            .iter()
            .map(|OpId(number)| history.operations[*number as usize].clone())
            .collect(),
        watches: watches
            .iter()
            .map(|WatchId(number)| {
                let mut watch = history.watches[*number as usize].clone();
                let earlier = watch.resumed_from.and_then(|earlier| watches.binary_search(&earlier).ok());
                watch.resumed_from = earlier.map(|place| WatchId(place as u32));
                watch
            })
            .collect(),
        faults: history.faults.clone(),
        log: history.log.clone(),
        remarks: history.remarks.clone(),
    };
    (kept, operations, watches)
}

#[cfg(test)]
mod tests;
