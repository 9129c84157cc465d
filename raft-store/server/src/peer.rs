//! Replicas talking to replicas: length-prefixed, checksummed frames over mutual TLS.
//!
//! In: what openraft wants replicated, and what [`crate::propose`], [`crate::read`] and [`crate::lease`] ask of
//! the leader. Out: the peer's answers, or an error that says whether the request was sent at all.
//!
//! Every connection begins with a handshake that fixes who is on both ends ([`handshake`]) and has one
//! purpose, so that bulk never delays heartbeats: control (votes, heartbeats, read index, leases), append
//! (the replication stream), forward (proposals) and snapshot.
//!
//! Not gRPC: measured, framing by hand saves a tenth of the cost of a put.

mod append;
mod connection;
mod directory;
mod handshake;
mod link;
mod network;
mod pace;
mod refill;
mod refusals;
mod scheme;
mod server;
mod snapshot;
mod tls;
mod transport;
pub mod wire;

pub use connection::Duplex;
pub use directory::Directory;
pub(crate) use handshake::denies_membership;
pub use handshake::{Greeter, Identity, Peer};
pub use link::{Link, LinkError};
pub(crate) use network::NetworkFactory;
pub(crate) use refill::{SnapshotWish, fetch as fetch_snapshot};
pub(crate) use server::PeerServer;
pub(crate) use snapshot::Sending;
pub use tls::{PeerTls, TlsFiles};
pub(crate) use transport::is_peer_url;
pub use transport::{Accepted, Pending, TcpTransport, Transport};
