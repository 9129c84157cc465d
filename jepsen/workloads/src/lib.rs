//! Workloads: what clients do to a store while it is being broken, and how that is recorded.
//!
//! In: connections to replicas ([`Client`]), a seed, limits. Out: a history that the promises of `keelson-checkers` can
//! be held against. The same code runs in the deterministic simulation, under paused time, and against real processes.
//! Deliberately absent: the store, the network, faults, verdicts of its own.
//!
//! # What happens in a run
//!
//! [`run`] first reads the whole store: it must be empty. Then everybody begins at once: the workload's clients take
//! turns, paced by [`Limits::rate`]; some of them watch instead; and on each replica an observer watches everything. When
//! the load is over, by its limits or by [`Control::stop`], the run waits for [`Control::heal`], lets the store settle,
//! and takes stock: it reads what the workload has written, has all watchers catch up with the newest revision, and
//! makes the commit log of what the observers saw.
//!
//! A client is *pinned* to one replica or *roams*: after an error it goes to the next. What the store has certainly not
//! done is a failure, and may be tried again as a new operation. What it may have done is unknown, is never tried again,
//! and its client goes on as a new process.
//!
//! # How to add a workload
//!
//! 1. Write down what clients may observe that a broken store would get wrong, and which promise that breaks. If there is
//!    none yet, it comes first, in `keelson-checkers`, with its own tests.
//! 2. A file below `load/`: a type that implements `Load`. `work` is a loop around `Worker::turn`; each call of the loop's
//!    body is one of `run/calls.rs`, which record themselves. What it writes must be unique (`Worker::unique`), since the
//!    commit log knows an unknown write by its value; its keys stay few and change as the run goes on (`Window`). All it
//!    decides comes from `Worker::random`.
//! 3. A call that histories do not have yet: a variant of `Call` and `Returned` there, the action that does it in
//!    `action/`, its line in `run/calls.rs`. Nothing before an action's last request may be reported as unknown.
//! 4. A row in [`WORKLOADS`]. The tests then run it, twice with the same seed, against a store that is right, and hold its
//!    promises against what comes out. Then add to the tests' table `FOUND` what it finds: a mistake that the tests' store
//!    can make, and the promise that breaks.

mod action;

mod client;

mod codec;

mod load;

mod random;

mod recorder;

mod run;

mod table;

#[cfg(test)]
mod tests;

pub use client::{
    Answer, Attribute, CallError, Client, Guard, LeaseResponse, Op, OpResult, RangeRequest, RangeResponse,
    Refusal, Txn, TxnResponse, WatchMessage, WatchRequest, WatchStream,
};
pub use codec::{decode, encode};
pub use recorder::Recorder;
pub use run::{Control, Finished, Fleet, Gap, Limits, RunError, compact, run};
pub use table::{WORKLOADS, Workload};
