//! Three real `keelson server` processes, driven by an unmodified kubectl: what a user of the cluster can rely on.
//!
//! Servers run with certificates of `keelson pki init`, on loopback addresses of their own and one that they share,
//! and on ports that were free a moment ago. A test waits for conditions, within deadlines. Where there is no kubectl
//! that can do it, a test says that it was skipped, by name.
//!
//! Deliberately absent: single rules of single kinds (their own unit tests), and what needs a node.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[path = "../harness/following.rs"]
mod following;
#[path = "../harness/kubectl.rs"]
mod kubectl;
#[path = "../harness/network.rs"]
mod network;
#[path = "../harness/process.rs"]
mod process;
#[path = "../harness/servers.rs"]
mod servers;
#[path = "../harness/wait.rs"]
mod wait;
#[path = "../harness/writing.rs"]
mod writing;

mod asking;
mod direct;
mod loopback;

mod access;
mod discovery;
mod failover;
mod objects;
mod output;
mod running;
mod typed;
mod watching;
