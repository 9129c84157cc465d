//! How many operations a second each check decides.
//!
//! In: how many operations (1,000,000 without an argument), of 50 clients. Out: a line for each promise: how many
//! operations (or events of watches) were checked, the seconds, how many that is a second. Ends with status 1 when a check takes more than a minute or raises a
//! false alarm. Deliberately absent: the time that it takes to make the histories.

#[path = "../tests/model/mod.rs"]
mod model;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use keelson_checkers::history::History;
use keelson_checkers::promise::{Outcome, PROMISES, Promise};
use model::{Kind, Size};

/// The time that no check may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Which histories speak of which promises.
const KINDS: [(Kind, &[&str]); 7] = [
    (
        Kind::Registers,
        &[
            "linearizability",
            "strict_serializability",
            "durability",
            "monotonic_revisions",
            "versions",
            "watch",
        ],
    ),
    (Kind::Append, &["strict_serializability", "durability"]),
    (Kind::Wr, &["linearizability", "strict_serializability"]),
    (Kind::Set, &["set"]),
    (Kind::Counter, &["counter"]),
    (Kind::Locks, &["lock"]),
    (Kind::Leases, &["leases"]),
];

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).map(|argument| argument.parse());
    let operations = match asked.unwrap_or(Ok(1_000_000)) {
        Ok(operations) => operations,
        Err(error) => {
            eprintln!("the number of operations: {error}");
            return ExitCode::from(2);
        }
    };
    let mut sound = true;
    for (kind, promises) in KINDS {
        // A read of the set names all elements: the work grows with the square.
        let count = if kind == Kind::Set { operations / 20 } else { operations };
        // A watch delivers some hundred events before it breaks.
        let watches = if kind == Kind::Registers { operations / 500 } else { 0 };
        let size = Size { clients: 50, operations: count, keys: 40, watches };
        let history = model::history(7, kind, size);
        let without_log = History { log: None, ..history.clone() };
        for promise in
            PROMISES.iter().filter(|promise| promises.iter().any(|name| promise.name.starts_with(name)))
        {
            sound &= measure(kind, promise, &history, "with log");
            sound &= measure(kind, promise, &without_log, "without");
        }
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(kind: Kind, promise: &Promise, history: &History, log: &str) -> bool {
    let begun = Instant::now();
    let verdict = (promise.check)(history);
    let took = begun.elapsed();
    let rate = verdict.checked as f64 / took.as_secs_f64();
    let (name, kind) = (promise.name, format!("{kind:?}"));
    let outcome = match &verdict.outcome {
        Outcome::Kept => "kept",
        Outcome::NotApplicable => return true,
        Outcome::Broken(violations) => {
            eprintln!("{}: {violations:#?}", promise.name);
            "BROKEN"
        }
        Outcome::Undecided(why) => {
            eprintln!("{}: {why}", promise.name);
            "UNDECIDED"
        }
    };
    println!(
        "{name:28} {kind:10} {log:9} {:>9} checked {:>7.2} s {rate:>11.0}/s {outcome}",
        verdict.checked,
        took.as_secs_f64()
    );
    outcome == "kept" && took < LIMIT
}
