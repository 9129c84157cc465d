//! The cluster's DNS: names of Services and pods, answered from what the API says.
//!
//! In: Services and EndpointSlices, through informers, and queries over UDP and TCP at the cluster's DNS address. Out:
//! answers for the cluster's zone and for the addresses in it; every other query goes on to the machine's own servers,
//! and their answers come back as they are. Each node answers its own pods, also while no API server can be reached.
//!
//! Stations: [`server`] (bytes) → [`query`] (one message) → [`question`] (what a name asks for, pure) → [`answer`]
//! (records, pure) or [`upstream`].
//!
//! Deliberately absent: a cache of other zones' answers, DNSSEC, zone transfers, updates.
//!
//! Source: the DNS-based service discovery specification of Kubernetes, version 1.1.0.

mod address;
mod answer;
mod cluster;
mod query;
mod question;
mod server;
mod upstream;

pub use server::{Options, StartError, run};
