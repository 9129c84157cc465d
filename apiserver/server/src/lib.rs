//! Keelson's API server: the Kubernetes API over a store that is linked into it.
//!
//! In: HTTPS requests, with a client certificate or a bearer token. Out: objects, lists, watches and Status
//! errors that unmodified clients cannot tell from upstream's.
//!
//! The corridor of one write, module by module: `serve` (connection) → `chain` (what is asked, who asks, may
//! they) → `handlers` (decode, patch) → `admission` → the registry's strategy (prepare, default, validate) →
//! `storage` (compare and set) → the store. What was applied comes back through `cache` to lists and watches.
//!
//! Deliberately absent: kinds and their rules (`keelson_api_registry`), types (`keelson_api_schema`), and any
//! way to the store that goes around the chain.

pub mod serve;

pub mod tls;

pub mod chain;

pub mod deadline;

pub mod flow;

pub mod authn;

pub mod authz;

pub mod body;

pub mod record;

mod compress;

mod deprecation;

pub mod paths;

pub mod health;

pub mod version;
mod web_socket;

pub mod metrics;

pub mod store_members;
pub mod store_status;

mod aside;
pub mod handlers;

pub mod reviews;

pub mod codec;

mod write;

pub mod admission;

pub mod allocation;

mod quotas;

pub mod storage;

pub mod envelope;

pub mod cache;

pub mod selection;

pub mod answer;

pub mod nodes;

mod keep_alive;

pub mod server;

pub mod uid;

#[cfg(test)]
mod testing;

pub mod bootstrap;
