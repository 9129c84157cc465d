//! A whole cluster with real containers: three `keelson server` processes, a `keelson node` with a containerd of its
//! own, and an unmodified kubectl, in network namespaces of their own.
//!
//! Every test has its own [`lab::Lab`], and nothing of it is seen in this machine's own network: several runs, and a
//! cluster of `make up`, go side by side. Within a test, scenarios that disturb nobody run at the same time. A test
//! waits for conditions, within deadlines. What a machine cannot run is reported as skipped, by name.
//!
//! Deliberately absent: what three servers show without a node (`tests/api`), single rules (their unit tests), and
//! more than one node.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

#[path = "../harness/mod.rs"]
mod harness;

use harness::{following, kubectl, network, process, servers, wait, writing};

mod api;
mod lab;
mod machine;
mod manifests;
mod remains;
mod scenario;
mod space;
mod traces;

mod failures;
mod lifecycle;
mod pods;
mod services;
mod shop;
