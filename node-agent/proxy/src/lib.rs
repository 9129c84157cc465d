//! Service traffic: Services and EndpointSlices in, packet filter rules out.
//!
//! In: what the API says, through informers. Out: one table of nftables per address family, brought up to date by one
//! atomic transaction per change, and the connection tracker freed of UDP flows that lead nowhere any more. Rules stay
//! when the process ends: traffic must not depend on whether it runs.
//!
//! Stations: [`routes`] (what leads where, pure) → [`table`] (chains, maps and sets, pure) → [`nft`] (the difference as
//! a script, pure) → [`act`].
//!
//! Deliberately absent: load balancers' addresses, topology hints, health check node ports, other packet filters.

mod act;
mod flows;
mod nft;
mod routes;
mod run;
mod table;
#[cfg(test)]
mod testing;

pub use routes::family::{Network, NetworkError};
pub use run::{Options, run};
