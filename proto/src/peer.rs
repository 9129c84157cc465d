//! What replicas say to each other, generated from `proto/peer.proto`, which has the rules of the
//! conversation.

#![allow(unreachable_pub, clippy::all)]

tonic::include_proto!("keelson.peer.v1");

/// The version of the peer protocol that this build speaks, as [`Hello`] carries it.
pub const PROTOCOL_VERSION: u32 = 1;
