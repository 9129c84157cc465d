//! Three replicas in one process, over in-memory disks and streams: what the store promises across replicas.
//!
//! Each replica has a thread and a runtime of its own, so that it can be killed as a process is: at any
//! moment, with whatever its disk had not synced lost.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

mod membership;
mod network;
mod replicas;

mod compaction;
mod damage;
mod failover;
mod leases;
mod reads_and_writes;
mod regressions;
mod restores;
mod snapshots;
mod space;
mod strangers;
mod watches;
