//! Promise: linearizability of keys.
//!
//! > Every operation on a key takes effect at one moment between its beginning and its end, and the answers are those
//! > of that order. A serializable read, and a read at a revision, is that of the state at its revision.
//!
//! Source: Herlihy and Wing, *Linearizability* (1990); etcd's KV API guarantees; etcd's robustness tests.
//!
//! In: reads, writes, deletes, compare-and-sets, and the registers of transactions. Linearizability is local, so each
//! key is searched alone ([`search`]); revisions in the answers leave the search little choice. Outcomes that are
//! unknown come from the commit log; without one they may happen at any later time, or never. [`snapshots`] holds
//! what was read against the state at the revision that the answer names.
//!
//! Deliberately absent: order between keys ([`crate::strict_serializability`]), lists that grow (there, too).

mod explain;
mod partition;
mod search;
mod snapshots;
mod step;

use crate::fate::Fates;
use crate::history::History;
use crate::past::Past;
use crate::promise::{Findings, Promise, Verdict};
use crate::writers::Writers;

use search::Searched;

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "linearizability",
    words: "Every operation on a key takes effect at one moment between its beginning and its end. \
            A serializable read sees the state at the revision that it names.",
    source: "Herlihy and Wing 1990; etcd: KV API guarantees; etcd robustness: serializable reads",
    check,
};

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    let past = history.log.as_ref().map(Past::of);
    let writers = Writers::of(history);
    for partition in partition::all(history, &Fates::of(history), past.as_ref()) {
        if findings.is_full() {
            break;
        }
        findings.checked += partition.steps.len() as u64;
        if let Some(violation) = explain::impossible_read(history, &writers, &partition) {
            findings.add(violation);
            continue;
        }
        match search::search(&partition.steps) {
            Searched::Linearizable => {}
            Searched::GaveUp => findings.give_up(format!(
                "key {}: more than {} states were tried; with a commit log the search is short",
                partition.key,
                search::MAX_STATES
            )),
            Searched::Stuck(stuck) => findings.add(explain::stuck(history, &partition, &stuck)),
        }
    }
    snapshots::check(history, past.as_ref(), &writers, &mut findings);
    findings.verdict()
}

#[cfg(test)]
mod tests;
