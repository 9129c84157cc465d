//! What an object has for itself in the cluster, written in the transaction that writes the object.
//!
//! A claim lies under `/claims/<key>` and holds the key of the object that has it; one that is an object itself (an
//! IPAddress) lies where such objects lie.

use bytes::Bytes;
use keelson_api_registry::{
    object::Object, resources, resources::ResourceInfo, status::ApiError, strategy::Claim,
};
use keelson_store_core::{
    command::{DeleteRangeRequest, KeyRange, Op, RangeRequest, RangeResponse, Txn},
    id::LeaseId,
};

use super::{Draft, ObjectKey, ObjectStore, absent, keys::within, probe, put};
use crate::answer::store_read_error;

/// How an update changes what an object claims.
#[derive(Clone, Debug, Default, PartialEq)]
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
pub(super) fn take(txn: &mut Txn, owner: &ObjectKey, claims: &[Claim]) -> Result<(), ApiError> {
    for claim in claims {
        let (key, value) = match object(claim)? {
            None => (plain_key(claim), owner.bytes()),
            Some((resource, object)) => {
                (ObjectKey::of(resource, object)?.bytes(), Draft::new(resource, object)?.value)
            }
        };
        txn.compare.push(absent(&key));
        txn.success.push(put(key.clone(), value, LeaseId::NONE));
        txn.failure.push(probe(key));
    }
    Ok(())
}

/// Adds to a transaction that it gives these back.
pub(super) fn release(txn: &mut Txn, claims: &[Claim]) -> Result<(), ApiError> {
    for claim in claims {
        let key = match object(claim)? {
            None => plain_key(claim),
            Some((resource, object)) => ObjectKey::of(resource, object)?.bytes(),
        };
        txn.success.push(delete(key));
    }
    Ok(())
}

/// The first claim that somebody has, going by the answers to [`take`]'s questions.
pub(super) fn lost(claims: &[Claim], probes: impl Iterator<Item = RangeResponse>) -> Option<Claim> {
    let taken = |(_, found): &(&Claim, RangeResponse)| !found.kvs.is_empty();
    claims.iter().zip(probes).find(taken).map(|(claim, _)| claim.clone())
}

pub(super) fn delete(key: Bytes) -> Op {
    Op::DeleteRange(DeleteRangeRequest { range: KeyRange::Single(key), prev_kv: false })
}

impl ObjectStore {
    /// What is claimed of a kind that is no object, linearizably: `nodeports` answers port numbers.
    ///
    /// # Errors
    /// 504 and 503 without a quorum.
    pub(crate) async fn claimed(&self, kind: &str) -> Result<Vec<String>, ApiError> {
        let folder = format!("/claims/{kind}/");
        let request = RangeRequest { keys_only: true, ..RangeRequest::new(within(&folder)) };
        let found = self.view().await?.range(&request).map_err(store_read_error)?;
        let name = |key: &[u8]| String::from_utf8_lossy(&key[folder.len()..]).into_owned();
        Ok(found.kvs.iter().map(|kv| name(&kv.key)).collect())
    }
}

fn plain_key(claim: &Claim) -> Bytes {
    format!("/claims/{}", claim.key).into()
}

/// The object that a claim is, and its resource.
fn object(claim: &Claim) -> Result<Option<(&'static ResourceInfo, &Object)>, ApiError> {
    let Some(object) = &claim.object else { return Ok(None) };
    let resource = resources::find_kind(object.text(&["apiVersion"]), object.text(&["kind"]));
    let resource = resource.ok_or_else(|| ApiError::internal("a claim is an object of an unknown kind"))?;
    Ok(Some((resource, object)))
}
