//! Promise: strict serializability of transactions.
//!
//! > All transactions take effect one after the other, in an order that follows real time.
//!
//! Source: Papadimitriou (1979); Adya, *Weak Consistency* (1999) for the names of what must not happen; Kingsbury and
//! Alvaro, *Elle* (2020) for the method.
//!
//! In: transactions on lists that grow and on registers; single reads, writes and deletes count as transactions of one
//! part. Out: what no order can explain at all (a value of a refused transaction, an intermediate value, lists that
//! contradict each other), and cycles of dependencies, the shortest that is found, by its name.
//!
//! Who wrote what is known, because values are unique. Who wrote before whom is known from the lists themselves, from
//! revisions, and from who read a value before replacing it.
//!
//! Deliberately absent: reads by serializable consistency, which promise less; predicates.

mod anomalies;
mod cycles;
mod graph;
mod lists;
mod registers;
mod transactions;

use crate::edn;
use crate::history::History;
use crate::promise::{Findings, Promise, Verdict, Violation};

use graph::{Edges, Graph};
use transactions::Transactions;

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "strict_serializability",
    words: "All transactions take effect one after the other, in an order that follows real time.",
    source: "Papadimitriou 1979; Adya 1999; Kingsbury and Alvaro 2020 (Elle)",
    check,
};

/// How many steps of a cycle are put in words.
const MAX_TOLD: usize = 50;

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    let mut transactions = Transactions::of(history);
    findings.checked = transactions.len() as u64;
    anomalies::check(history, &transactions, &mut findings);
    let mut edges = Edges::new(&transactions);
    lists::check(history, &mut transactions, &mut edges, &mut findings);
    registers::check(history, &mut transactions, &mut edges, &mut findings);
    let graph = Graph::new(&transactions, edges);
    for cycle in cycles::find(&graph, cycles::MAX_LOOKED_AT) {
        let text = cycle.steps.iter().take(MAX_TOLD).map(|step| {
            let number = transactions.op(step.from);
            format!(
                "{} - {} -> ",
                edn::words(number, &history.operations[number as usize]),
                step.kind.words()
            )
        });
        let untold = cycle.steps.len().saturating_sub(MAX_TOLD);
        let end =
            if untold == 0 { "the first".to_owned() } else { format!("{untold} more - ... -> the first") };
        let text: String = text.chain([end]).collect();
        let operations = cycle.steps.iter().map(|step| transactions.op(step.from));
        findings.add(Violation::of_operations(cycle.class, text, operations));
    }
    findings.verdict()
}

#[cfg(test)]
mod tests;
