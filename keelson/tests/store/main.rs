//! Real processes of `keelson store`, driven from outside: what an operator and a client can rely on.
//!
//! Members run with mutual TLS and certificates of `keelson pki init`, on loopback addresses and ports that were free
//! a moment ago; clients are etcd's gRPC clients. A test waits for conditions, within deadlines. What is measured is
//! printed; what is asserted about time leaves room for a busy machine.
//!
//! Deliberately absent: what three replicas in one process can show faster (`raft-store/server/tests/cluster`), and
//! what only a simulation can reach.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

mod certificates;
mod client;
mod clocks;
mod cluster;
mod observer;
mod process;
mod wait;
mod writer;

mod as_etcd;
mod command_line;
mod disks;
mod elections;
mod etcdctl;
mod failover;
mod full_disk;
mod libraries;
mod members;
mod quorum;
mod restarts;
mod scale;
mod snapshots;
mod space;
mod strangers;
mod users;
