//! Deterministic simulation: a whole cluster in one thread, from one seed.
//!
//! In: a [`Plan`], which a seed determines. Out: a [`Report`]: what was broken, what was done, and a hash of everything
//! that happened, which is the same whenever the plan is run. Replicas are the real store; network, disks and clocks are
//! simulated behind the store's own seams ([`Transport`], [`Disk`], [`Machine`]); time is virtual and passes as fast as
//! the work in it is done.
//!
//! A run has two phases: clients work while the nemesis follows its schedule; then everything is healed, and the cluster
//! must get on. The [`Invariant`]s are checked all the time, the promises to clients in the end.
//!
//! Deliberately absent: RocksDB and TLS, which the real-process harness has.
//!
//! [`Transport`]: keelson_store::peer::Transport
//! [`Disk`]: keelson_store_core::engine::Disk
//! [`Machine`]: keelson_store::runtime::Machine

mod client;

mod cluster;

mod disk;

mod fault;

mod ghost;

mod invariant;

mod nemesis;

mod network;

mod panics;

mod plan;

mod progress;

mod random;

mod report;

mod run;

mod shrink;

mod trace;

mod verdict;

mod watchman;

pub use fault::{Fault, Sort};
pub use invariant::{Invariant, Violation};
pub use network::{Node, Weather};
pub use plan::{Plan, Step, Swarm};
pub use report::{Counts, Report};
pub use run::{run, run_keeping_events};
pub use shrink::shrink;
pub use trace::Event;
