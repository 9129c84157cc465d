//! Three real `keelson server` processes, driven by an unmodified kubectl: what a user of the cluster can rely on.
//!
//! Servers run with certificates of `keelson pki init`, on loopback addresses of their own and one that they share,
//! and on ports that were free a moment ago. A test waits for conditions, within deadlines. Where there is no kubectl
//! that can do it, a test says that it was skipped, by name.
//!
//! Deliberately absent: single rules of single kinds (their own unit tests), and what needs a node.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[path = "../harness/mod.rs"]
mod harness;

use harness::{following, kubectl, network, process, servers, wait, writing};

mod asking;
mod direct;
mod loopback;

mod access;
mod clients;
mod conformance;
mod discovery;
mod failover;
mod kinds;
mod objects;
mod output;
mod platform;
mod running;
mod typed;
mod watching;
