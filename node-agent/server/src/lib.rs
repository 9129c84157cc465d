//! The node agent's own API, served over HTTPS: logs of containers, commands in them, and what the node says of
//! itself.
//!
//! In: what the agent knows of its pods ([`Pods`]), a container runtime ([`Containers`]), and somebody who judges
//! callers ([`Reviews`]). Out: the paths that upstream's node agent has, for API servers and monitoring.
//!
//! Deliberately absent: pods and their states, which are the agent's; and the API that people talk to, which hands
//! their requests on to here.

mod access;

mod answer;

mod chain;

mod containers;

mod keep_alive;

mod logs;

mod memory;

mod paths;

mod pods;

mod query;

mod reviews;

mod runtime;

mod server;

mod spdy;

mod stats;

mod streams;

mod tls;

pub use crate::{
    access::{Access, Decision, ReviewError, Reviews, User},
    containers::{Container, Containers, RuntimeFailure},
    pods::Pods,
    reviews::ApiReviews,
    server::{Renewal, Server},
    tls::{BadCertificate, Identity},
};
