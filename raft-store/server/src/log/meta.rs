//! The few records beside the log's entries.
//!
//! | key | record | written |
//! |---|---|---|
//! | `replica` | the id that was drawn with this disk | once, before anything else |
//! | `cluster` | the cluster this disk belongs to | once |
//! | `vote` | the last vote | fsynced before it is answered |
//! | `committed` | the last position known to be committed | with the next append |
//! | `purged` | the last position dropped from the log | with the deletion |
//! | `state` | the name of the live state store | fsynced |
//! | `snapshot` | the newest complete snapshot | fsynced |
//! | `joined` | the id again, of a replica that joined, once a committed membership names it | once |
//! | `origin` | what the disk was restored from, where it was | once |
//! | `damage` | what was found to be damaged, until it is mended | fsynced |
//! | `arriving` | what is durable of the last snapshot that was on its way here | fsynced |

use std::sync::Arc;

use keelson_store_core::{
    engine::{Batch, Engine, EngineError, Family},
    id::{ClusterId, LogPosition, ReplicaId},
};
use serde::Serialize;

use crate::{
    record::{self, ArrivingRecord, DamageRecord, OriginRecord, Record, SnapshotRecord, VoteRecord},
    types,
};

pub(super) const VOTE: &str = "vote";
pub(super) const COMMITTED: &str = "committed";
pub(super) const PURGED: &str = "purged";
const REPLICA: &str = "replica";
const CLUSTER: &str = "cluster";
const STATE: &str = "state";
const SNAPSHOT: &str = "snapshot";
const JOINED: &str = "joined";
const ORIGIN: &str = "origin";
const DAMAGE: &str = "damage";
const ARRIVING: &str = "arriving";

/// The records beside the entries, of one log store.
#[derive(Clone)]
pub struct LogMeta {
    engine: Arc<dyn Engine>,
}

impl LogMeta {
    /// The records of `engine`, a log store.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// The id drawn with this disk, or `None` on a new one.
    pub fn replica(&self) -> Result<Option<ReplicaId>, EngineError> {
        self.get(REPLICA)
    }

    /// The cluster this disk belongs to, or `None` on a new one.
    pub fn cluster(&self) -> Result<Option<ClusterId>, EngineError> {
        self.get(CLUSTER)
    }

    /// Binds a new disk to an id and a cluster, durably.
    pub fn bind(&self, replica: ReplicaId, cluster: ClusterId) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        put(&mut batch, REPLICA, &replica);
        put(&mut batch, CLUSTER, &cluster);
        self.engine.write(batch)?;
        self.engine.sync()
    }

    /// Whether this replica, which joined, was ever a member.
    pub(crate) fn has_joined(&self) -> Result<bool, EngineError> {
        Ok(self.get::<ReplicaId>(JOINED)?.is_some())
    }

    /// Notes, durably, that this replica is a member now.
    pub(crate) fn set_joined(&self, replica: ReplicaId) -> Result<(), EngineError> {
        self.set(JOINED, &replica)
    }

    /// What the disk was restored from, where it was.
    pub(crate) fn origin(&self) -> Result<Option<OriginRecord>, EngineError> {
        self.get(ORIGIN)
    }

    /// Binds a new disk that was restored, durably and at once: to an id, a cluster and its origin, and where it holds
    /// the restored state, to a log that ends where that state was made.
    pub(crate) fn bind_restored(
        &self,
        replica: ReplicaId,
        cluster: ClusterId,
        origin: &OriginRecord,
        holds: Option<LogPosition>,
    ) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        put(&mut batch, REPLICA, &replica);
        put(&mut batch, CLUSTER, &cluster);
        put(&mut batch, ORIGIN, origin);
        if let Some(at) = holds {
            put(&mut batch, VOTE, &VoteRecord { term: at.term, voted_for: replica, committed: false });
            put(&mut batch, COMMITTED, &at);
            put(&mut batch, PURGED, &at);
        }
        self.engine.write(batch)?;
        self.engine.sync()
    }

    /// The name of the live state store.
    pub fn state_store(&self) -> Result<Option<String>, EngineError> {
        self.get(STATE)
    }

    /// The newest complete snapshot.
    pub fn snapshot(&self) -> Result<Option<SnapshotRecord>, EngineError> {
        self.get(SNAPSHOT)
    }

    /// Points at another live state store, durably.
    pub fn set_state_store(&self, name: &str) -> Result<(), EngineError> {
        self.set(STATE, &name)
    }

    /// Points at a complete snapshot, durably.
    pub fn set_snapshot(&self, snapshot: &SnapshotRecord) -> Result<(), EngineError> {
        self.set(SNAPSHOT, snapshot)
    }

    /// Points at another live state store and at a snapshot of it, durably and at once.
    pub fn set_state_and_snapshot(&self, name: &str, snapshot: &SnapshotRecord) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        put(&mut batch, STATE, &name);
        put(&mut batch, SNAPSHOT, snapshot);
        self.engine.write(batch)?;
        self.engine.sync()
    }

    /// What is durable of the last snapshot that was on its way here.
    pub(crate) fn arriving(&self) -> Result<Option<ArrivingRecord>, EngineError> {
        self.get(ARRIVING)
    }

    /// Notes, durably, what is durable of a snapshot.
    pub(crate) fn set_arriving(&self, arriving: &ArrivingRecord) -> Result<(), EngineError> {
        self.set(ARRIVING, arriving)
    }

    /// What was found to be damaged, and is not mended yet.
    pub(crate) fn damage(&self) -> Result<Option<DamageRecord>, EngineError> {
        self.get(DAMAGE)
    }

    /// Notes, durably, what is damaged.
    pub(crate) fn set_damage(&self, damage: &DamageRecord) -> Result<(), EngineError> {
        self.set(DAMAGE, damage)
    }

    /// Points at a state that was made anew out of what this disk has, durably: it is not damaged any more.
    pub(crate) fn set_rebuilt(&self, store: &str) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        put(&mut batch, STATE, &store);
        batch.delete(Family::LogMeta, DAMAGE.as_bytes().to_vec());
        self.engine.write(batch)?;
        self.engine.sync()
    }

    /// Points at a state that came from a peer, and at a snapshot of it, durably and at once: this replica is not damaged
    /// any more. A log that does not go on where the snapshot ends goes, too.
    pub(crate) fn set_refilled(
        &self,
        replica: ReplicaId,
        store: &str,
        snapshot: &SnapshotRecord,
        keep_log: bool,
    ) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        put(&mut batch, STATE, &store);
        put(&mut batch, SNAPSHOT, snapshot);
        batch.delete(Family::LogMeta, DAMAGE.as_bytes().to_vec());
        if let Some(last) = snapshot.last.filter(|_| !keep_log) {
            put(&mut batch, PURGED, &last);
            put(&mut batch, COMMITTED, &last);
            // Two things that are done for two reasons, and that whoever watches the disk tells apart: what the snapshot
            // has is purged, and what comes after it is no continuation.
            let behind = last.index.next().get().to_be_bytes().to_vec();
            batch.delete_range(Family::LogEntries, 0_u64.to_be_bytes().to_vec(), behind.clone());
            batch.delete_range(Family::LogEntries, behind, u64::MAX.to_be_bytes().to_vec());
            if self.vote()?.is_none_or(|vote| vote.term < last.term) {
                // Nobody votes in a term before that of its last entry. In that one somebody else leads already.
                put(&mut batch, VOTE, &VoteRecord { term: last.term, voted_for: replica, committed: false });
            }
        }
        self.engine.write(batch)?;
        self.engine.sync()
    }

    /// The last vote.
    pub fn vote(&self) -> Result<Option<VoteRecord>, EngineError> {
        self.get(VOTE)
    }

    pub(super) fn set_vote(&self, vote: &VoteRecord) -> Result<(), EngineError> {
        self.set(VOTE, vote)
    }

    /// Whether the log has this entry, and so all before it or a snapshot of them. If it has, they are durable.
    pub(crate) fn holds(&self, at: LogPosition) -> Result<bool, EngineError> {
        let Some(found) = self.engine.get(Family::LogEntries, &at.index.get().to_be_bytes())? else {
            return Ok(false);
        };
        let found = record::decode_entry(at.index, &found)?;
        let holds = types::position(&found.log_id) == at;
        if holds {
            self.engine.sync()?;
        }
        Ok(holds)
    }

    /// The last position known to be committed.
    pub(crate) fn committed(&self) -> Result<Option<LogPosition>, EngineError> {
        self.get(COMMITTED)
    }

    /// The last entry that was dropped from the log.
    pub(crate) fn purged(&self) -> Result<Option<LogPosition>, EngineError> {
        self.get(PURGED)
    }

    fn get<T: Record>(&self, key: &str) -> Result<Option<T>, EngineError> {
        let bytes = self.engine.get(Family::LogMeta, key.as_bytes())?;
        bytes.map(|bytes| record::decode(&format!("log record \"{key}\""), &bytes)).transpose()
    }

    fn set<T: Serialize>(&self, key: &str, record: &T) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        put(&mut batch, key, record);
        self.engine.write(batch)?;
        self.engine.sync()
    }
}

pub(super) fn put<T: Serialize>(batch: &mut Batch, key: &str, record: &T) {
    batch.put(Family::LogMeta, key.as_bytes().to_vec(), record::encode(record));
}
