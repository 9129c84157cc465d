//! A disk with which a restored cluster begins.
//!
//! One member of the cluster to be, the first by name, gets the state, and a log that ends where that state
//! was made: it is a cluster of one, which serves at once. The disks of the others know only which cluster
//! they belong to; they join as learners, are sent the state, and become voters. So nobody votes who does not
//! have the state, and no two members can have different ones.

use std::{
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use keelson_store_core::{
    apply::{Header, StateMachine},
    command::KeyValue,
    engine::{Batch, Disk, Engine, EngineError, Family, Role},
    id::{ChangeId, ClusterId, LogIndex, LogPosition, ReplicaId, Revision, Term},
    lease::Lease,
    mvcc, schema,
};
use sha2::{Digest as _, Sha256};

use super::{
    backup::Until,
    format::{Head, Record},
    journal::Journal,
    read::{Contents, ImportError, Item, checked, read},
    write::write,
};
use crate::{
    log::LogMeta,
    options::{InitialMember, Member},
    record::{self, MembershipRecord, OriginPart, OriginRecord},
    state,
    store::{LOG_STORE, cluster_of, founder_of},
};

/// Where the log of the restored cluster begins. Not at 0: a member that has nothing must be sent the state,
/// and not the log alone.
const BEGINNING: LogPosition = LogPosition { term: Term::new(1), index: LogIndex::new(1) };
/// How much one write holds.
const BATCH_BYTES: usize = 4 << 20;

/// How a file becomes a cluster. The same on all its members, but for `member` and `replica`.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// The member whose disk this is to be.
    pub member: Member,
    /// Its id, drawn at random.
    pub replica: ReplicaId,
    /// The members of the cluster to be.
    pub initial_cluster: Vec<InitialMember>,
    /// Tells clusters apart that would otherwise look alike.
    pub cluster_token: String,
    /// How far beyond the file's revision the cluster begins (X3).
    pub bump: u64,
}

/// What a disk has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// The first member's, with all the keys.
    Holds(Summary),
    /// Another member's, which gets the keys from the first one.
    Joins(Summary),
}

/// What a cluster is restored from.
pub struct Source<'s> {
    /// A snapshot file.
    pub snapshot: &'s mut dyn io::Read,
    /// The journal that follows it, where there is one.
    pub journal: Option<&'s mut dyn io::Read>,
    /// How far the journal is followed.
    pub until: Until,
    /// The newest revision that is known to have been there; 0 where nothing else is known than what is in
    /// the files.
    pub newest: Revision,
}

impl<'s> Source<'s> {
    /// A snapshot file alone.
    pub fn snapshot(snapshot: &'s mut dyn io::Read) -> Self {
        Self { snapshot, journal: None, until: Until::End, newest: Revision::ZERO }
    }
}

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The snapshot file.
    pub contents: Contents,
    /// The revision whose keys the cluster has.
    pub at: Revision,
    /// The cluster to be.
    pub cluster: ClusterId,
    /// Where its revisions begin. All older ones are compacted.
    pub revision: Revision,
}

/// Why nothing was restored. The disk is of no use then.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file is no snapshot, or damaged.
    #[error("the snapshot: {0}")]
    Import(#[from] ImportError),
    /// The disk has something on it.
    #[error("the data folder is in use: restore into an empty one")]
    InUse,
    /// The disk cannot be written.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What was written reads otherwise.
    #[error(
        "what was restored is not what the snapshot holds: the disk is not to be trusted. Use another one"
    )]
    Differs,
}

/// Makes `disk`, which is empty, the disk of one member of a cluster that begins with what `source` holds.
///
/// # Errors
/// See [`RestoreError`]. Only after `Ok` is the disk of use.
pub fn restore(
    disk: &Arc<dyn Disk>,
    source: Source<'_>,
    options: &RestoreOptions,
) -> Result<Restored, RestoreError> {
    let log = disk.open(LOG_STORE, Role::Log)?;
    let meta = LogMeta::new(log);
    if meta.replica()?.is_some() {
        return Err(RestoreError::InUse);
    }
    if founder_of(&options.initial_cluster) != Some(options.member.name.as_str()) {
        let (contents, reached) = take(source, None)?;
        let (summary, origin) = summarize(contents, &reached, OriginPart::Joins, options);
        meta.bind_restored(options.replica, summary.cluster, &origin, None)?;
        return Ok(Restored::Joins(summary));
    }
    let engine = disk.open(&state::live_store(&meta)?, Role::State)?;
    let (contents, reached) = take(source, Some(&*engine))?;
    let (summary, origin) = summarize(contents, &reached, OriginPart::Holds, options);
    let summary = settle(&engine, summary, options)?;
    let machine = Mutex::new(StateMachine::open(engine)?);
    state::build_first_snapshot(disk.clone(), meta.clone(), &machine)?;
    meta.bind_restored(options.replica, summary.cluster, &origin, Some(BEGINNING))?;
    Ok(Restored::Holds(summary))
}

/// How far a source leads.
struct Reached {
    /// The revision whose keys were taken.
    at: Revision,
    /// The newest revision that clients may have seen.
    newest: Revision,
}

/// Reads a source, into a state where there is one.
fn take(source: Source<'_>, state: Option<&dyn Engine>) -> Result<(Contents, Reached), RestoreError> {
    let mut fill = state.map(|engine| Fill { engine, batch: Batch::default(), bytes: 0 });
    let contents = read(source.snapshot, |item| match &mut fill {
        Some(fill) => fill.put(item).map_err(io::Error::other),
        None => Ok(()),
    })?;
    if let Some(fill) = &mut fill {
        fill.flush()?;
    }
    let base = contents.head.revision;
    let mut reached = Reached { at: base, newest: base.max(source.newest) };
    if let Some(input) = source.journal {
        let (journal, head) = Journal::open(input)?;
        if (head.revision, head.cluster) != (base, contents.head.cluster) {
            return Err(ImportError::Damaged("the journal follows another snapshot".to_owned()).into());
        }
        follow(journal, source.until, state, &mut reached)?;
    }
    match source.until {
        Until::Revision(wanted) if wanted != reached.at => Err(ImportError::NotCovered.into()),
        Until::Revision(_) | Until::Time(_) | Until::End => Ok((contents, reached)),
    }
}

/// Follows a journal as far as it is wanted, and looks how far it goes.
fn follow(
    mut journal: Journal<&mut dyn io::Read>,
    until: Until,
    state: Option<&dyn Engine>,
    reached: &mut Reached,
) -> Result<(), RestoreError> {
    while let Some(records) = journal.next()? {
        let Some(Record::Moment { revision, written_ms }) = records.last() else {
            return Err(ImportError::Damaged("a frame has no end".to_owned()).into());
        };
        reached.newest = reached.newest.max(*revision);
        for record in &records {
            let at = match record {
                Record::Key(kv, _) => kv.mod_revision,
                Record::Deletion { revision, .. } => *revision,
                Record::Auth { revision, .. } => *revision,
                // A lease belongs to what follows it.
                Record::Lease(_) => reached.at,
                Record::Moment { .. } | Record::Head(_) | Record::End(_) => continue,
            };
            if until.admits(at, *written_ms) {
                // Users and roles may be written down before the keys of their revision.
                if !matches!(record, Record::Auth { .. }) {
                    reached.at = reached.at.max(at);
                }
                if let Some(engine) = state {
                    change(engine, record)?;
                }
            }
        }
    }
    Ok(())
}

/// Applies one record of a journal.
fn change(engine: &dyn Engine, record: &Record) -> Result<(), RestoreError> {
    let mut fill = Fill { engine, batch: Batch::default(), bytes: 0 };
    match record {
        Record::Auth { revision: _, record } => fill.put(Item::Auth(checked(record.clone())?))?,
        Record::Lease(lease) => fill.put(Item::Lease(*lease))?,
        Record::Key(kv, sub) => {
            fill.forget(&kv.key)?;
            fill.put(Item::Key { kv: kv.clone(), sub: *sub })?;
        }
        Record::Deletion { key, .. } => fill.forget(key)?,
        Record::Moment { .. } | Record::Head(_) | Record::End(_) => {}
    }
    Ok(fill.flush()?)
}

fn summarize(
    contents: Contents,
    reached: &Reached,
    part: OriginPart,
    options: &RestoreOptions,
) -> (Summary, OriginRecord) {
    let revision = Revision::new(reached.newest.get().saturating_add(options.bump));
    let mut digest = Sha256::new();
    digest.update(contents.digest);
    digest.update(reached.at.get().to_be_bytes());
    digest.update(revision.get().to_be_bytes());
    let origin = OriginRecord { digest: digest.finalize().into(), part };
    let cluster = cluster_of(&options.initial_cluster, &options.cluster_token, Some(&origin));
    (Summary { contents, at: reached.at, cluster, revision }, origin)
}

/// Fills the state with what is read.
struct Fill<'e> {
    engine: &'e dyn Engine,
    batch: Batch,
    bytes: usize,
}

impl Fill<'_> {
    fn put(&mut self, item: Item) -> Result<(), EngineError> {
        match item {
            Item::Auth(record) => self.batch.put(Family::Meta, schema::AUTH_KEY, record),
            Item::Lease(Lease { id, ttl_seconds }) => {
                let (key, value) = (schema::lease_id_key(id).to_vec(), schema::encode_lease(ttl_seconds));
                self.batch.put(Family::Leases, key, value);
                self.bytes += 16;
            }
            Item::Key { kv, sub } => self.put_key(&kv, sub),
        }
        if self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn put_key(&mut self, kv: &KeyValue, sub: u32) {
        let id = ChangeId { revision: kv.mod_revision, sub };
        let key = schema::record_key(schema::record_prefix(&kv.key), id);
        let value = schema::encode_version(kv.create_revision, kv.version, kv.lease, &kv.value);
        self.bytes += key.len() + value.len();
        self.batch.put(Family::Keys, key, value);
        if !kv.lease.is_none() {
            self.batch.put(Family::LeaseKeys, schema::lease_key(kv.lease, &kv.key), schema::LEASE_KEY_MARK);
        }
    }

    /// Removes a key, and hangs it off its lease.
    fn forget(&mut self, key: &Bytes) -> Result<(), EngineError> {
        if let Some((id, lease)) = mvcc::newest(self.engine, key, |found| (found.id, found.lease))? {
            self.batch.delete(Family::Keys, schema::record_key(schema::record_prefix(key), id));
            self.batch.delete(Family::LeaseKeys, schema::lease_key(lease, key));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        self.bytes = 0;
        self.engine.write(std::mem::take(&mut self.batch))
    }
}

/// Reads back what was written (X1), and says where the state stands, and who the members are: this one
/// alone.
fn settle(
    engine: &Arc<dyn Engine>,
    mut summary: Summary,
    options: &RestoreOptions,
) -> Result<Summary, RestoreError> {
    let head = Head { revision: summary.revision, ..summary.contents.head };
    let broken =
        |error: io::Error| EngineError::Io { what: "read back".to_owned(), cause: error.to_string() };
    let found = write(&**engine, head, &mut io::sink()).map_err(broken)?;
    if summary.at == summary.contents.head.revision && found != summary.contents.totals {
        return Err(RestoreError::Differs);
    }
    summary.contents.totals = found;
    let header = Header {
        applied: Some(BEGINNING),
        revision: summary.revision,
        compacted: summary.revision,
        swept: ChangeId::last_of(summary.revision),
        hash: found.contents,
    };
    let membership = MembershipRecord {
        at: Some(BEGINNING),
        voters: vec![[options.replica].into()],
        members: [(options.replica, options.member.clone())].into(),
    };
    let mut batch = Batch::default();
    batch.put(Family::Meta, Header::key(), header.encode());
    let membership = schema::encode_membership(&record::encode(&membership));
    batch.put(Family::Meta, schema::MEMBERSHIP_KEY, membership);
    engine.write(batch)?;
    engine.sync()?;
    Ok(summary)
}
