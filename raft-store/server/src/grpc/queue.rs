//! Queues of keys: what etcd's locks and elections are made of.
//!
//! Whoever lines up in the queue `NAME` puts a key `NAME/LEASE` that hangs on its lease. The key that was
//! created first is at the head; its owner holds the lock, or leads. Whoever is behind waits until all keys
//! before its own are gone. The keys are ordinary ones, and the same as those of etcd's client libraries:
//! both kinds of clients can share a queue.
//!
//! Deliberately absent: a promise that the head still is the head when it acts. Its lease may have run out
//! meanwhile; what must not happen then has to be guarded by a compare with the key's create revision.

use bytes::Bytes;
use keelson_store_core::{
    command::{
        Command, Compare, DeleteRangeRequest, KeyRange, KeyValue, Op, OpResponse, Operand, PutRequest,
        RangeRequest, Relation, Sort, SortBy, Txn,
    },
    id::{LeaseId, Revision},
    watch::Interest,
};
use tokio::sync::oneshot;
use tonic::Status;

use super::{Front, error, identity::Credentials};
use crate::store::{At, Consistency};

/// The time to live of the lease of a client that brought none; etcd's.
const OWN_LEASE_SECONDS: u32 = 60;

/// A place in a queue.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its key.
    pub(super) key: Bytes,
    /// The revision that created the key: the place's number.
    pub(super) number: Revision,
    /// What the key hangs on.
    pub(super) lease: LeaseId,
}

/// All keys of the queue `name`.
pub(super) fn keys_of(name: &[u8]) -> KeyRange {
    // '0' follows '/'.
    KeyRange::Span { start: [name, b"/"].concat().into(), end: [name, b"0"].concat().into() }
}

/// A range's key that was created first, or last.
pub(super) fn created(range: KeyRange, last: bool) -> RangeRequest {
    let sort = Some(Sort { by: SortBy::Create, descending: last });
    RangeRequest { sort, limit: 1, ..RangeRequest::new(range) }
}

/// Whether the key is still the one of this place.
pub(super) fn holds(key: &Bytes, number: Revision) -> Compare {
    Compare {
        range: KeyRange::Single(key.clone()),
        relation: Relation::Equal,
        operand: Operand::CreateRevision(number),
    }
}

/// An error as the services that stand on queues tell it. In etcd they are clients of the store themselves, and what is
/// left of an error that a client passes on is its text.
#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(super) fn without_code(error: Status) -> Status {
    Status::unknown(error.message())
}

impl Front {
    /// Lines up with a value, and returns when everybody before has gone. Whoever goes away while it waits,
    /// leaves the queue.
    pub(super) async fn queue(
        &self,
        who: &Credentials,
        name: Bytes,
        lease: LeaseId,
        value: Bytes,
    ) -> Result<Place, Status> {
        let (here, mut gone) = oneshot::channel::<()>();
        let (front, who) = (self.clone(), who.clone());
        let queued = self.store.attend(async move {
            let place = front.line_up(&who, &name, lease, value).await?;
            let waited = tokio::select! {
                biased;
                _ = &mut gone => Err(Status::cancelled("etcdserver: the client has gone")),
                () = front.stopping() => Err(error::stopped()),
                waited = front.wait_for_turn(&who, &name, &place) => waited,
            };
            if waited.is_err() {
                // If this fails, too, the place goes with its lease.
                let _ = front.leave(&who, &place.key, place.number).await;
            }
            waited.map(|()| place)
        });
        let place = queued.await.unwrap_or_else(|| Err(error::stopped()));
        drop(here);
        place
    }

    /// Gives up a place. A no-op where it is lost already.
    pub(super) async fn leave(
        &self,
        who: &Credentials,
        key: &Bytes,
        number: Revision,
    ) -> Result<Revision, Status> {
        let range = KeyRange::Single(key.clone());
        let delete = Op::DeleteRange(DeleteRangeRequest { range, prev_kv: false });
        let txn = Txn { compare: vec![holds(key, number)], success: vec![delete], ..Txn::default() };
        Ok(self.run_txn(who, txn).await?.revision)
    }

    /// Takes a place, or finds the one that the lease has already.
    async fn line_up(
        &self,
        who: &Credentials,
        name: &[u8],
        lease: LeaseId,
        value: Bytes,
    ) -> Result<Place, Status> {
        let lease = if lease.is_none() { self.grant_own(who).await? } else { lease };
        let key: Bytes = [name, format!("/{:x}", lease.get()).as_bytes()].concat().into();
        let put = PutRequest { key: key.clone(), value: value.clone(), lease, ..PutRequest::default() };
        let mine = Op::Range(RangeRequest::new(KeyRange::Single(key.clone())));
        let txn = Txn {
            compare: vec![holds(&key, Revision::ZERO)],
            success: vec![Op::Put(put)],
            failure: vec![mine],
        };
        let At { revision, answer } = self.run_txn(who, txn).await?;
        match answer.responses.into_iter().next() {
            Some(OpResponse::Range(found)) => {
                let found = found.kvs.into_iter().next().ok_or_else(lost)?;
                let place = Place { key, number: found.create_revision, lease };
                if found.value != value {
                    self.proclaim_at(who, &place, value).await?;
                }
                Ok(place)
            }
            Some(OpResponse::Put(_) | OpResponse::DeleteRange { .. } | OpResponse::Txn(_)) | None => {
                Ok(Place { key, number: revision, lease })
            }
        }
    }

    /// Changes the value of a place that is still held.
    pub(super) async fn proclaim_at(
        &self,
        who: &Credentials,
        place: &Place,
        value: Bytes,
    ) -> Result<Revision, Status> {
        let put = PutRequest { key: place.key.clone(), value, lease: place.lease, ..PutRequest::default() };
        let txn = Txn {
            compare: vec![holds(&place.key, place.number)],
            success: vec![Op::Put(put)],
            ..Txn::default()
        };
        let At { revision, answer } = self.run_txn(who, txn).await?;
        if answer.succeeded { Ok(revision) } else { Err(error::not_elected()) }
    }

    async fn grant_own(&self, who: &Credentials) -> Result<LeaseId, Status> {
        let id = self.draw_lease_id();
        self.propose(who, &Command::LeaseGrant { id, ttl_seconds: OWN_LEASE_SECONDS }).await?;
        Ok(id)
    }

    /// Returns when nobody is before this place; an error when the place is lost.
    async fn wait_for_turn(&self, who: &Credentials, name: &[u8], place: &Place) -> Result<(), Status> {
        loop {
            let view = self.view_of(who, Consistency::Linearizable, &keys_of(name)).await?;
            let own = RangeRequest::new(KeyRange::Single(place.key.clone()));
            let own = view.range(&own).map_err(error::read)?.kvs;
            if own.first().map(|kv| kv.create_revision) != Some(place.number) {
                return Err(lost());
            }
            let before =
                RangeRequest { max_create_revision: place.number.previous(), ..created(keys_of(name), true) };
            let before = view.range(&before).map_err(error::read)?.kvs.into_iter().next();
            let Some(KeyValue { key, .. }) = before else { return Ok(()) };
            let mut interest = Interest::all_of(KeyRange::Single(key));
            interest.no_put = true;
            let from = view.header().revision.next();
            let mut watcher = self.store.watch(interest, from).await.map_err(error::read)?;
            // Whatever it says, the queue is looked at again; also when history was compacted meanwhile.
            let _ = watcher.next().await;
        }
    }
}

/// The lease has run out, or somebody has deleted the key. The text is that of etcd's library.
fn lost() -> Status {
    Status::unknown("mutex: session is expired")
}
