//! The messages that cross Keelson's wires, and nothing that acts on them.
//!
//! In: the protobuf sources under `proto/`. Out: their Rust types, gRPC servers and clients for the etcd v3
//! API, and the [`frame`] codec for the traffic between replicas, which is not gRPC.
//!
//! Deliberately absent: sockets, conversions to the store's own types (its gRPC front has those), and
//! validation: a message that decodes is well-formed, not sensible.

pub mod cri;

pub mod etcd;

pub mod frame;

pub mod peer;
