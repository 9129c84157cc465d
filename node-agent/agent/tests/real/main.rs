//! The node agent with a real containerd: what pods on a node can rely on.
//!
//! Each test has a node of its own: a network namespace, a containerd, folders, control groups; and an API of its own,
//! which is just as much of one as a node agent needs, so that a test can see everything that the agent tells. All of
//! it vanishes with the test. A test waits for conditions, within deadlines. Where the machine cannot run containers, a
//! test says that it was skipped, by name.
//!
//! Deliberately absent: the API server, scheduler and controllers (the end-to-end tests have them), and whatever can be
//! seen without a container runtime (unit tests).

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

mod api;
mod lab;
mod merge;
mod wait;

mod containers;
mod images;
mod lifecycle;
mod node;
mod probes;
mod recovery;
mod runtime;
