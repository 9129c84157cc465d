//! Checkers: from a recorded history to a verdict about each promise of the store.
//!
//! In: a [`History`](history::History), recorded by the simulation or by the real-process harness. Out: for each
//! [`Promise`](promise::Promise) a [`Verdict`](promise::Verdict), with the operations that contradict it.
//! Deliberately absent: running anything. This crate knows no runtime, clock, randomness or store, and never
//! asks the code that it judges.

pub mod counter;
pub mod durability;
pub mod edn;
mod fate;
pub mod history;
pub mod jsonl;
pub mod leases;
pub mod linearizability;
pub mod liveness;
pub mod lock;
pub mod minimize;
pub mod monotonic_revisions;
mod past;
pub mod promise;
pub mod set;
pub mod strict_serializability;
#[cfg(test)]
mod testing;
pub mod versions;
pub mod watch;
mod writers;
