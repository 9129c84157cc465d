//! The pure core of Keelson's store.
//!
//! In: committed commands ([`command::Command`]) and an [`engine::Engine`] to keep state in.
//! Out: one atomic [`engine::Batch`] per applied batch of commands, an outcome per command, and the
//! watch events that were born in that batch (and nowhere else).
//!
//! The modules stand in the order in which a write meets them:
//! [`command`] → [`apply`] → [`auth`] → [`mvcc`] / [`lease`] / [`compact`] → [`engine`] → [`watch`].
//!
//! Deliberately absent: Raft, sockets, threads, clocks and randomness. Whatever depends on them comes in
//! as an argument, so that the same code runs under the deterministic simulation.

pub mod id;

pub mod command;

pub mod apply;

pub mod auth;

pub mod mvcc;

pub mod lease;

pub mod compact;

pub mod schema;

pub mod engine;

pub mod watch;

pub mod mutant;
