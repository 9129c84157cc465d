//! A disk with which a restored cluster begins.
//!
//! One member of the cluster to be, the first by name, gets the state, and a log that ends where that state was made:
//! it is a cluster of one, which serves at once. The disks of the others know only which cluster they belong to; they
//! join as learners, are sent the state, and become voters. So nobody votes who does not have the state, and no two
//! members can have different ones.

use std::{
    io,
    sync::{Arc, Mutex},
};

use keelson_store_core::{
    apply::{Header, StateMachine},
    command::KeyValue,
    engine::{Batch, Disk, Engine, EngineError, Family, Role},
    id::{ChangeId, ClusterId, LogIndex, LogPosition, ReplicaId, Revision, Term},
    lease::Lease,
    schema,
};
use sha2::{Digest as _, Sha256};

use super::{
    format::Head,
    read::{Contents, ImportError, Item, read},
    write::write,
};
use crate::{
    log::LogMeta,
    options::{InitialMember, Member},
    record::{self, MembershipRecord, OriginPart, OriginRecord},
    state,
    store::{LOG_STORE, cluster_of, founder_of},
};

/// Where the log of the restored cluster begins. Not at 0: a member that has nothing must be sent the state, and not
/// the log alone.
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

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The file.
    pub contents: Contents,
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

/// Makes `disk`, which is empty, the disk of one member of a cluster that begins with what `input` holds.
///
/// # Errors
/// See [`RestoreError`]. Only after `Ok` is the disk of use.
pub fn restore(
    disk: &Arc<dyn Disk>,
    input: impl io::Read,
    options: &RestoreOptions,
) -> Result<Restored, RestoreError> {
    let log = disk.open(LOG_STORE, Role::Log)?;
    let meta = LogMeta::new(log);
    if meta.replica()?.is_some() {
        return Err(RestoreError::InUse);
    }
    if founder_of(&options.initial_cluster) != Some(options.member.name.as_str()) {
        let contents = read(input, |_| Ok(()))?;
        let (summary, origin) = summarize(contents, OriginPart::Joins, options);
        meta.bind_restored(options.replica, summary.cluster, &origin, None)?;
        return Ok(Restored::Joins(summary));
    }
    let engine = disk.open(&state::live_store(&meta)?, Role::State)?;
    let mut fill = Fill { engine: &*engine, batch: Batch::default(), bytes: 0 };
    let contents = read(input, |item| fill.put(item).map_err(io::Error::other))?;
    fill.flush()?;
    let (summary, origin) = summarize(contents, OriginPart::Holds, options);
    settle(&engine, &summary, options)?;
    compare(&*engine, &summary)?;
    let machine = Mutex::new(StateMachine::open(engine)?);
    state::build_first_snapshot(disk.clone(), meta.clone(), &machine)?;
    meta.bind_restored(options.replica, summary.cluster, &origin, Some(BEGINNING))?;
    Ok(Restored::Holds(summary))
}

fn summarize(contents: Contents, part: OriginPart, options: &RestoreOptions) -> (Summary, OriginRecord) {
    let revision = Revision::new(contents.head.revision.get().saturating_add(options.bump));
    let mut digest = Sha256::new();
    digest.update(contents.digest);
    digest.update(revision.get().to_be_bytes());
    let origin = OriginRecord { digest: digest.finalize().into(), part };
    let cluster = cluster_of(&options.initial_cluster, &options.cluster_token, Some(&origin));
    (Summary { contents, cluster, revision }, origin)
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

    fn flush(&mut self) -> Result<(), EngineError> {
        self.bytes = 0;
        self.engine.write(std::mem::take(&mut self.batch))
    }
}

/// Says where the state stands, and who the members are: this one alone.
fn settle(engine: &Arc<dyn Engine>, summary: &Summary, options: &RestoreOptions) -> Result<(), EngineError> {
    let header = Header {
        applied: Some(BEGINNING),
        revision: summary.revision,
        compacted: summary.revision,
        swept: ChangeId::last_of(summary.revision),
        hash: summary.contents.totals.contents,
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
    engine.sync()
}

/// Reads back what was written (X1).
fn compare(engine: &dyn Engine, summary: &Summary) -> Result<(), RestoreError> {
    let head = Head { revision: summary.revision, ..summary.contents.head };
    let broken =
        |error: io::Error| EngineError::Io { what: "read back".to_owned(), cause: error.to_string() };
    let found = write(engine, head, &mut io::sink()).map_err(broken)?;
    if found == summary.contents.totals { Ok(()) } else { Err(RestoreError::Differs) }
}
