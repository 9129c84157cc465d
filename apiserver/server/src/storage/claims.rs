//! What an object has for itself in the cluster, written in the transaction that writes the object.
//!
//! A claim lies under `/claims/<key>` and holds the key of the object that has it.

use bytes::Bytes;
use keelson_api_registry::strategy::Claim;
use keelson_store_core::command::{DeleteRangeRequest, KeyRange, Op, RangeResponse, Txn};

use super::{ObjectKey, absent, probe, put};

/// How an update changes what an object claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimChange {
    /// What it claims from now on.
    pub take: Vec<Claim>,
    /// What it no longer claims.
    pub release: Vec<Claim>,
}

impl ClaimChange {
    /// What must change so that an object that claimed `old` claims `new`.
    pub fn between(old: &[Claim], new: &[Claim]) -> Self {
        let without = |all: &[Claim], others: &[Claim]| -> Vec<Claim> {
            let lacks = |claim: &&Claim| !others.iter().any(|other| other.key == claim.key);
            all.iter().filter(lacks).cloned().collect()
        };
        Self { take: without(new, old), release: without(old, new) }
    }
}

/// Adds to a transaction that it takes these, and what it asks when it cannot.
pub(super) fn take(txn: &mut Txn, owner: &ObjectKey, claims: &[Claim]) {
    for claim in claims {
        let key = key(claim);
        txn.compare.push(absent(&key));
        txn.success.push(put(key.clone(), owner.bytes()));
        txn.failure.push(probe(key));
    }
}

/// Adds to a transaction that it gives these back.
pub(super) fn release(txn: &mut Txn, claims: &[Claim]) {
    txn.success.extend(claims.iter().map(|claim| delete(key(claim))));
}

/// The first claim that somebody has, going by the answers to [`take`]'s questions.
pub(super) fn lost(claims: &[Claim], probes: impl Iterator<Item = RangeResponse>) -> Option<Claim> {
    let taken = |(_, found): &(&Claim, RangeResponse)| !found.kvs.is_empty();
    claims.iter().zip(probes).find(taken).map(|(claim, _)| claim.clone())
}

pub(super) fn delete(key: Bytes) -> Op {
    Op::DeleteRange(DeleteRangeRequest { range: KeyRange::Single(key), prev_kv: false })
}

fn key(claim: &Claim) -> Bytes {
    format!("/claims/{}", claim.key).into()
}
