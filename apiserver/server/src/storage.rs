//! Objects in the store: the only way in which the API server reads or writes one.
//!
//! In: objects of some resource. Out: transactions that compare and set, linearizable reads, and the cache that
//! lists and watches are answered from. A write names the revision that it replaces; the store decides.
//!
//! An object lies under `/registry/<prefix>/[<namespace>/]<name>`, wrapped by [`crate::envelope`]. What an object
//! has for itself in the cluster ([`Claim`]) lies under `/claims/` and is written in the same transaction.
//!
//! Deliberately absent: retries, admission, validation, and any decision about what a field means.

use std::sync::Arc;

use bytes::Bytes;
use keelson_api_registry::{
    object::Object,
    resources::{ResourceInfo, Storage},
    status::ApiError,
    strategy::Claim,
};
use keelson_store::{Store, WriteError, state::StateView, store::Consistency};
use keelson_store_core::{
    command::{
        CommandError, Compare, KeyRange, Op, OpResponse, Operand, PutRequest, RangeRequest, RangeResponse,
        Relation, Txn,
    },
    id::{LeaseId, Revision},
};
use tokio::sync::watch;

use crate::{
    answer::{store_read_error, store_write_error},
    cache::{Cache, CachedObject, Shard},
    envelope,
    selection::Selection,
};

mod claims;
mod keys;
mod leases;
mod version;

pub use claims::ClaimChange;
use leases::Leases;

pub(crate) use keys::{ObjectKey, collection};
pub(crate) use keys::{root, within};
pub(crate) use version::{encode, from_storage, storage_field, storage_of, to_storage};

/// The longest object, in bytes of JSON: etcd's limit for a request. Patches let objects grow beyond the limit of a
/// request's body; what is longer than a message between replicas could not be replicated.
const MAX_OBJECT_BYTES: usize = 3 << 19;

/// All objects, and the store that they lie in.
pub struct ObjectStore {
    store: Store,
    cache: Cache,
    leases: Leases,
}

/// An object as it was stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object, in the version that was asked for, with its resourceVersion.
    pub object: Object,
    /// The revision that wrote it.
    pub revision: Revision,
    /// The same object as canonical JSON.
    pub json: Bytes,
}

/// Why a write did not take place, or nobody knows whether it did.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteFailure {
    /// Nothing was written: another object has something that this one claims.
    Taken {
        /// What it has.
        claim: Claim,
        /// What the client is to be told, unless something else can be claimed.
        told: ApiError,
    },
    /// What the client is to be told.
    Answer(ApiError),
}

/// Refuses a body whose object is longer than one may be, before it is worked on for long. Most are told by their own
/// length; `json` answers the object's.
///
/// # Errors
/// 413.
pub(crate) fn check_length(body: &[u8], json: impl FnOnce() -> usize) -> Result<(), ApiError> {
    let is_too_long = body.len() > MAX_OBJECT_BYTES && json() > MAX_OBJECT_BYTES;
    if is_too_long { Err(ApiError::too_large(MAX_OBJECT_BYTES)) } else { Ok(()) }
}

impl ObjectStore {
    /// Puts the cache in front of a store and starts filling it.
    ///
    /// Must be called inside [`keelson_store::runtime::seeded`].
    pub fn open(store: Store) -> Self {
        let cache = Cache::start(&store);
        Self { store, cache, leases: Leases::default() }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The resources whose cache is not filled yet, by storage prefix; empty when lists and watches are ready.
    pub fn warming(&self) -> Vec<&'static str> {
        self.cache.warming()
    }

    /// Reads an object, linearizably.
    ///
    /// # Errors
    /// 504 and 503 without a quorum; 500 for an object that cannot be read.
    pub async fn get(
        &self,
        resource: &'static ResourceInfo,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Stored>, ApiError> {
        let key = ObjectKey::new(resource, namespace, name)?;
        let view = self.store.view(Consistency::Linearizable).await.map_err(store_read_error)?;
        let request = RangeRequest::new(KeyRange::Single(key.bytes()));
        let found = view.range(&request).map_err(store_read_error)?.kvs.pop();
        found.map(|kv| read(resource, &kv.key, &kv.value, kv.mod_revision)).transpose()
    }

    /// Creates an object, and what it claims.
    ///
    /// # Errors
    /// 409 AlreadyExists; 413; [`WriteFailure::Taken`]; 503 when nothing was written, 504 when nobody knows.
    pub async fn create(
        &self,
        resource: &'static ResourceInfo,
        object: &Object,
        claims: &[Claim],
    ) -> Result<Stored, WriteFailure> {
        let key = ObjectKey::of(resource, object)?;
        let draft = Draft::new(resource, object)?;
        let mut txn = Txn::default();
        txn.compare.push(absent(&key.bytes()));
        txn.success.push(put(key.bytes(), draft.value.clone(), self.lease_of(resource).await?));
        txn.failure.push(probe(key.bytes()));
        claims::take(&mut txn, &key, claims)?;
        let done = self.store.txn(txn).await.map_err(|error| self.write_error(error))?;
        if done.answer.succeeded {
            return Ok(draft.stored_at(resource, object, done.revision)?);
        }
        let mut probes = ranges(done.answer.responses);
        if probes.next().is_some_and(|found| !found.kvs.is_empty()) {
            return Err(ApiError::already_exists(resource, object.name()).into());
        }
        Err(taken(resource, object, claims::lost(claims, probes)))
    }

    /// Replaces an object that is still at `expected`. `None`: it is not; read it again and decide anew.
    ///
    /// # Errors
    /// 413; [`WriteFailure::Taken`]; 503 when nothing was written, 504 when nobody knows.
    pub async fn replace(
        &self,
        resource: &'static ResourceInfo,
        object: &Object,
        expected: Revision,
        claims: ClaimChange,
    ) -> Result<Option<Stored>, WriteFailure> {
        let key = ObjectKey::of(resource, object)?;
        let draft = Draft::new(resource, object)?;
        let mut txn = Txn::default();
        txn.compare.push(unchanged(&key.bytes(), expected));
        txn.success.push(put(key.bytes(), draft.value.clone(), self.lease_of(resource).await?));
        txn.failure.push(probe(key.bytes()));
        claims::take(&mut txn, &key, &claims.take)?;
        claims::release(&mut txn, &claims.release)?;
        let done = self.store.txn(txn).await.map_err(|error| self.write_error(error))?;
        if done.answer.succeeded {
            return Ok(Some(draft.stored_at(resource, object, done.revision)?));
        }
        let mut probes = ranges(done.answer.responses);
        let found = probes.next().and_then(|found| found.kvs.first().map(|kv| kv.mod_revision));
        if found != Some(expected) {
            return Ok(None);
        }
        Err(taken(resource, object, claims::lost(&claims.take, probes)))
    }

    /// Removes an object that is still at `expected`, and what it claimed; answers the revision of the deletion.
    /// `None`: it is not at `expected`.
    ///
    /// # Errors
    /// 503 when nothing was removed, 504 when nobody knows.
    pub async fn remove(
        &self,
        resource: &'static ResourceInfo,
        namespace: &str,
        name: &str,
        expected: Revision,
        claims: &[Claim],
    ) -> Result<Option<Revision>, ApiError> {
        let key = ObjectKey::new(resource, namespace, name)?.bytes();
        let mut txn = Txn::default();
        txn.compare.push(unchanged(&key, expected));
        txn.success.push(claims::delete(key));
        claims::release(&mut txn, claims)?;
        let done = self.store.txn(txn).await.map_err(store_write_error)?;
        Ok(done.answer.succeeded.then_some(done.revision))
    }

    /// What matches in a namespace, or in all of them where it is empty: linearizable, in the storage version.
    ///
    /// # Errors
    /// 504 and 503 without a quorum or before the cache is filled.
    pub async fn list(
        &self,
        resource: &'static ResourceInfo,
        namespace: &str,
        selection: &Selection,
    ) -> Result<Vec<Arc<CachedObject>>, ApiError> {
        let (shard, revision) = self.fresh(resource).await?;
        let range = collection(resource, namespace)?;
        let snapshot = shard.snapshot(&range)?;
        debug_assert!(snapshot.revision >= revision, "whoever waited for a revision sees it");
        Ok(snapshot.objects.into_iter().filter(|object| selection.matches(object)).collect())
    }

    /// What this replica knows of a resource now; perhaps an older moment. For lookups by the server itself, never
    /// for a client. Empty until the cache is filled, and for resources that are not stored.
    pub fn cached(&self, resource: &ResourceInfo) -> Vec<Arc<CachedObject>> {
        self.cache.shard(resource).map(|shard| shard.all()).unwrap_or_default()
    }

    /// One object as this replica knows it now; perhaps an older moment. Never for a client.
    pub fn cached_object(
        &self,
        resource: &ResourceInfo,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<CachedObject>> {
        let key = ObjectKey::new(resource, namespace, name).ok()?;
        self.cache.shard(resource)?.object(&key.bytes())
    }

    /// The revision of what [`Self::cached`] answers; 0 until the cache is filled.
    pub fn cached_revision(&self, resource: &ResourceInfo) -> Revision {
        self.cache.shard(resource).map_or(Revision::ZERO, |shard| shard.revision())
    }

    /// Follows the changes of a resource: the revision of the last one.
    ///
    /// # Panics
    /// For a resource that is not stored: the caller names one of the table.
    pub fn changed(&self, resource: &ResourceInfo) -> watch::Receiver<Revision> {
        self.cache.shard(resource).expect("the caller asks for a resource that is stored").changes()
    }

    /// A view that sees every write that was acknowledged before the call.
    pub(crate) async fn view(&self) -> Result<StateView, ApiError> {
        self.store.view(Consistency::Linearizable).await.map_err(store_read_error)
    }

    /// The shard of a resource, once it has everything that was acknowledged before the call; and up to where.
    pub(crate) async fn fresh(
        &self,
        resource: &'static ResourceInfo,
    ) -> Result<(Arc<Shard>, Revision), ApiError> {
        let shard = self.shard(resource)?;
        let revision = self.view().await?.header().revision;
        shard.wait_until(revision).await?;
        Ok((shard, revision))
    }

    /// On what an object of the resource lives.
    async fn lease_of(&self, resource: &ResourceInfo) -> Result<LeaseId, ApiError> {
        match resource.strategy.time_to_live() {
            None => Ok(LeaseId::NONE),
            Some(seconds) => self.leases.of(&self.store, seconds).await.map_err(store_write_error),
        }
    }

    /// What a write of an object that failed is to a client.
    fn write_error(&self, error: WriteError) -> ApiError {
        if matches!(error, WriteError::Refused(CommandError::LeaseNotFound)) {
            self.leases.forget();
            return ApiError::unavailable("the lease of objects that go by themselves has ended: try again");
        }
        store_write_error(error)
    }

    pub(crate) fn shard(&self, resource: &ResourceInfo) -> Result<Arc<Shard>, ApiError> {
        self.cache.shard(resource).cloned().ok_or_else(ApiError::no_such_path)
    }
}

/// An object that is ready to be written.
struct Draft {
    value: Bytes,
}

impl Draft {
    fn new(resource: &'static ResourceInfo, object: &Object) -> Result<Self, ApiError> {
        let (owner, object) = version::to_storage(resource, object)?;
        let json = keelson_api_schema::encode(keelson_api_schema::builtin(), owner.schema(), &object.0);
        if json.len() > MAX_OBJECT_BYTES {
            return Err(ApiError::too_large(MAX_OBJECT_BYTES));
        }
        let value = envelope::encode(&owner.api_version(), &json).map_err(ApiError::internal)?;
        Ok(Self { value: value.into() })
    }

    fn stored_at(
        self,
        resource: &'static ResourceInfo,
        object: &Object,
        at: Revision,
    ) -> Result<Stored, ApiError> {
        if matches!(resource.storage, Storage::Converted { .. }) {
            // What does not survive the storage version is not there from the start.
            return read(resource, b"the new object", &self.value, at);
        }
        let json = envelope::decode(&self.value).map_err(ApiError::internal)?.at(at).json;
        let mut object = object.clone();
        object.set(&["metadata", "resourceVersion"], at.to_string());
        Ok(Stored { object, revision: at, json })
    }
}

/// Reads a stored value, in the version of `resource`.
fn read(resource: &ResourceInfo, key: &[u8], value: &Bytes, at: Revision) -> Result<Stored, ApiError> {
    let damaged = |why: String| ApiError::internal(format!("{}: {why}", String::from_utf8_lossy(key)));
    let json = envelope::decode(value).map_err(|error| damaged(error.to_string()))?.at(at).json;
    let stored = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
    let object = from_storage(resource, Object(stored))?;
    let json = version::json_of(resource, &object, json);
    Ok(Stored { object, revision: at, json })
}

fn absent(key: &Bytes) -> Compare {
    equal(key, Operand::Version(0))
}

fn unchanged(key: &Bytes, expected: Revision) -> Compare {
    equal(key, Operand::ModRevision(expected))
}

fn equal(key: &Bytes, operand: Operand) -> Compare {
    Compare { range: KeyRange::Single(key.clone()), relation: Relation::Equal, operand }
}

fn put(key: Bytes, value: Bytes, lease: LeaseId) -> Op {
    Op::Put(PutRequest { key, value, lease, ..PutRequest::default() })
}

/// Asks, where a transaction's compares fail, whether a key is there and since when.
fn probe(key: Bytes) -> Op {
    Op::Range(RangeRequest { keys_only: true, ..RangeRequest::new(KeyRange::Single(key)) })
}

fn ranges(responses: Vec<OpResponse>) -> impl Iterator<Item = RangeResponse> {
    responses.into_iter().filter_map(|response| match response {
        OpResponse::Range(range) => Some(range),
        OpResponse::Put(_) | OpResponse::DeleteRange { .. } | OpResponse::Txn(_) => None,
    })
}

/// A transaction has failed although the object is as it should be: another one has `claim`.
fn taken(resource: &ResourceInfo, object: &Object, claim: Option<Claim>) -> WriteFailure {
    let Some(claim) = claim else {
        return ApiError::internal("a transaction failed for no reason").into();
    };
    let errors = std::slice::from_ref(&claim.taken);
    let told = ApiError::invalid(resource.group, resource.kind, object.name(), errors);
    WriteFailure::Taken { claim, told }
}

impl From<ApiError> for WriteFailure {
    fn from(error: ApiError) -> Self {
        Self::Answer(error)
    }
}

impl From<WriteFailure> for ApiError {
    fn from(failure: WriteFailure) -> Self {
        match failure {
            WriteFailure::Answer(error) | WriteFailure::Taken { told: error, .. } => error,
        }
    }
}

#[cfg(test)]
mod tests;
