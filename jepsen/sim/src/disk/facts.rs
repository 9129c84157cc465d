//! What a batch means: the few facts in it that invariants speak of.
//!
//! In: batches, and logs as they lie on a disk. Out: facts. Deliberately absent: errors. Records that do not decode are
//! left out here; the store finds them by itself, and what it makes of them is what counts.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use keelson_checkers::history::{Change, Commit, KeyVersion, LeaseId, Revision, Value};
use keelson_store::{
    record::{self, SnapshotRecord, VoteRecord},
    types::Payload,
};
use keelson_store_core::{
    engine::{Batch, Engine, EngineError, Family, Role, Write},
    id::{ChangeId, LogIndex, LogPosition, ReplicaId, Term},
    schema::{self, ChangeKind, Header, Record},
};
use xxhash_rust::xxh3::xxh3_64;

// The store's keys: see the table in its `log/meta.rs`.
const REPLICA: &[u8] = b"replica";
const VOTE: &[u8] = b"vote";
const SNAPSHOT: &[u8] = b"snapshot";
const JOINED: &[u8] = b"joined";
const DAMAGE: &[u8] = b"damage";
const META_KEYS: [&[u8]; 4] = [REPLICA, VOTE, SNAPSHOT, JOINED];

/// What a batch says.
pub(super) enum Facts {
    Log(Vec<LogFact>),
    State(StateFact),
}

/// What a change of the log store means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogFact {
    /// The id that was drawn with the disk.
    Replica(ReplicaId),
    /// The replica, which joined, knows that it is a member.
    Joined,
    /// A vote.
    Vote(VoteRecord),
    /// A damaged state has made room for another one, which may be older: what the log has beyond it is applied again.
    StateAnew,
    /// The snapshot up to which the log may be dropped.
    Snapshot(Option<LogPosition>),
    /// An entry, with the hash of what it says.
    Entry {
        /// Where.
        at: LogPosition,
        /// Of the whole record.
        digest: u64,
        /// The membership that it puts in force, if it is one.
        config: Option<Config>,
    },
    /// All entries from here on are dropped.
    Truncated {
        /// The first.
        from: LogIndex,
    },
    /// All entries up to and including this one are dropped.
    Purged {
        /// The last.
        upto: LogIndex,
    },
}

/// A membership, as far as invariants speak of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// The voters; two sets while a change is under way.
    pub(crate) voters: Vec<BTreeSet<ReplicaId>>,
    /// Everybody, learners included.
    pub(crate) members: BTreeSet<ReplicaId>,
}

/// What a change of the state store means.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateFact {
    /// How far the state is.
    pub(crate) header: Option<Header>,
    /// What became visible, revision by revision.
    pub(crate) commits: Vec<Commit>,
}

pub(super) fn of(role: Role, batch: &Batch) -> Facts {
    match role {
        Role::Log => Facts::Log(batch.writes.iter().filter_map(log_fact).collect()),
        Role::State => Facts::State(state_fact(batch)),
    }
}

/// All facts that a log store holds.
///
/// # Errors
/// The store is damaged.
pub(crate) fn scan_log(engine: &dyn Engine) -> Result<Vec<LogFact>, EngineError> {
    let mut facts = Vec::new();
    for family in Family::of(Role::Log) {
        let mut cursor = engine.cursor(family);
        cursor.seek(&[])?;
        while let Some((key, value)) = cursor.entry() {
            let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            facts.extend(log_fact(&Write::Put { family, key, value }));
            cursor.next()?;
        }
    }
    Ok(facts)
}

/// What can be read of a damaged log store. An entry whose record is damaged is there all the same, and of the term that
/// `expected` says.
pub(crate) fn scan_damaged_log(engine: &dyn Engine, expected: &BTreeMap<LogIndex, Term>) -> Vec<LogFact> {
    let put = |family, key: Vec<u8>, value| log_fact(&Write::Put { family, key: key.into(), value });
    let records = META_KEYS.iter().filter_map(|key| {
        let value = engine.get(Family::LogMeta, key).ok()??;
        put(Family::LogMeta, key.to_vec(), value)
    });
    let entries = expected.iter().filter_map(|(index, term)| {
        let key = index.get().to_be_bytes().to_vec();
        match engine.get(Family::LogEntries, &key) {
            Ok(value) => put(Family::LogEntries, key, value?),
            Err(_) => {
                let at = LogPosition { term: *term, index: *index };
                Some(LogFact::Entry { at, digest: 0, config: None })
            }
        }
    });
    records.chain(entries).collect()
}

fn log_fact(write: &Write) -> Option<LogFact> {
    match write {
        Write::Put { family: Family::LogEntries, key, value } => {
            let index = LogIndex::new(u64::from_be_bytes((&key[..]).try_into().ok()?));
            let entry = record::decode_entry(index, value).ok()?;
            let at = LogPosition { term: Term::new(**entry.log_id.committed_leader_id()), index };
            Some(LogFact::Entry { at, digest: xxh3_64(value), config: config(&entry.payload) })
        }
        Write::Put { family: Family::LogMeta, key, value } => match &key[..] {
            REPLICA => record::decode("", value).ok().map(LogFact::Replica),
            JOINED => Some(LogFact::Joined),
            VOTE => record::decode("", value).ok().map(LogFact::Vote),
            SNAPSHOT => {
                let snapshot: SnapshotRecord = record::decode("", value).ok()?;
                Some(LogFact::Snapshot(snapshot.last))
            }
            _ => None,
        },
        Write::DeleteRange { family: Family::LogEntries, start, end } => {
            let [start, end] = [start, end].map(|key| (&key[..]).try_into().map(u64::from_be_bytes));
            match (start.ok()?, end.ok()?) {
                (from, u64::MAX) => Some(LogFact::Truncated { from: LogIndex::new(from) }),
                (_, end) => Some(LogFact::Purged { upto: LogIndex::new(end.saturating_sub(1)) }),
            }
        }
        Write::Delete { family: Family::LogMeta, key } if &key[..] == DAMAGE => Some(LogFact::StateAnew),
        Write::Put { .. } | Write::Delete { .. } | Write::DeleteRange { .. } => None,
    }
}

fn config(payload: &Payload) -> Option<Config> {
    match payload {
        Payload::Membership(membership) => Some(Config {
            voters: membership.get_joint_config().clone(),
            members: membership.nodes().map(|(id, _)| *id).collect(),
        }),
        Payload::Blank | Payload::Normal(_) => None,
    }
}

fn state_fact(batch: &Batch) -> StateFact {
    let puts = || {
        batch.writes.iter().filter_map(|write| match write {
            Write::Put { family, key, value } => Some((*family, key, value)),
            Write::Delete { .. } | Write::DeleteRange { .. } => None,
        })
    };
    let header = puts().find(|(family, key, _)| *family == Family::Meta && &key[..] == Header::key());
    let mut changes: Vec<_> = puts()
        .filter(|(family, ..)| *family == Family::Changes)
        .filter_map(|(_, key, value)| change(batch, key, value))
        .collect();
    changes.sort_by_key(|(id, _)| *id);
    let mut commits: Vec<Commit> = Vec::new();
    for (id, change) in changes {
        let revision = Revision(id.revision.get());
        match commits.last_mut() {
            Some(commit) if commit.revision == revision => commit.changes.push(change),
            Some(_) | None => commits.push(Commit { revision, changes: vec![change] }),
        }
    }
    StateFact { header: header.and_then(|(_, _, value)| Header::decode(value).ok()), commits }
}

fn change(batch: &Batch, key: &[u8], value: &[u8]) -> Option<(ChangeId, Change)> {
    let id = schema::decode_change_key(key).ok()?;
    let record = schema::decode_change(value).ok()?;
    let key = std::str::from_utf8(record.key).ok()?.into();
    let became = match record.kind {
        ChangeKind::Delete => None,
        ChangeKind::Put => Some(version(batch, record.key, id)?),
    };
    Some((id, Change { key, became }))
}

/// The version that a change made; it was written in the same batch.
fn version(batch: &Batch, key: &[u8], id: ChangeId) -> Option<KeyVersion> {
    let place = schema::record_key(schema::record_prefix(key), id);
    let record = batch.writes.iter().find_map(|write| match write {
        Write::Put { family: Family::Keys, key, value } if key[..] == place => Some(value),
        Write::Put { .. } | Write::Delete { .. } | Write::DeleteRange { .. } => None,
    })?;
    match schema::decode_record(record).ok()? {
        Record::Version { create_revision, version, lease, value } => Some(KeyVersion {
            value: decode_value(value),
            create_revision: Revision(create_revision.get()),
            mod_revision: Revision(id.revision.get()),
            version,
            lease: LeaseId(lease.get()),
        }),
        Record::Deleted => None,
    }
}

fn decode_value(bytes: &[u8]) -> Value {
    keelson_workloads::decode(bytes)
}
