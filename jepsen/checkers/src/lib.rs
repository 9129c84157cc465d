//! Checkers: from a recorded history to a verdict about each promise of the store.
//!
//! In: a [`History`](history::History), recorded by the simulation or by the real-process harness. Out: for each
//! [`Promise`](promise::Promise) a [`Verdict`](promise::Verdict), with the operations that contradict it.
//! Deliberately absent: running anything. This crate knows no runtime, clock, randomness or store, and never
//! asks the code that it judges.

pub mod history;
pub mod promise;
