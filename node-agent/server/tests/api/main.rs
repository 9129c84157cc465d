//! The node's API over real TLS: who may call, logs, commands, streams and ports.
//!
//! Pods, the runtime's streaming server and the judge of callers are made up (`node`, `peer`); in `containerd` the
//! runtime is a real one, where the machine allows it.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

mod access;
mod client;
mod commands;
mod containerd;
mod logs;
mod node;
mod peer;
mod ports;
