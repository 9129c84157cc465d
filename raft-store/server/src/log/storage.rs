//! openraft's log storage over an engine.

use std::{
    fmt::Debug,
    io,
    ops::{Bound, Range, RangeBounds},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use keelson_store_core::{
    engine::{Batch, Engine, EngineError, Family},
    id::{LogIndex, LogPosition, ReplicaId},
    mutant::{self, Mutant},
};
use openraft::{
    OptionalSend,
    storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage},
};

use super::{
    meta::{self, LogMeta},
    syncer::Syncer,
    tail::{Tail, weight},
};
use crate::{
    error::OpenError,
    meters::Meters,
    options::StoreOptions,
    record::{self, VoteRecord},
    types::{self, Entry, LogId, Types, Vote},
};

/// How much one replication message or apply batch reads at once.
const READ_BYTES: usize = 1 << 20;

/// Reads entries, from memory while they are recent.
#[derive(Clone)]
pub struct LogReader {
    engine: Arc<dyn Engine>,
    meta: LogMeta,
    recent: Arc<Mutex<Recent>>,
}

/// What replication asks for again and again.
struct Recent {
    tail: Tail,
    /// The vote on disk: it is read around every replication message.
    vote: Option<VoteRecord>,
}

/// Writes the log. There is one per replica.
pub struct LogAdapter {
    reader: LogReader,
    syncer: Syncer,
    replica: ReplicaId,
    /// Whether this replica led when it last voted: its fsyncs then run beside replication.
    leading: bool,
    /// Committed position that the next append will carry to disk.
    committed: Option<LogPosition>,
}

impl LogAdapter {
    /// A log over `engine`, which belongs to `replica`.
    ///
    /// # Errors
    /// The vote cannot be read, or the system gives no thread.
    pub(crate) fn open(
        engine: Arc<dyn Engine>,
        replica: ReplicaId,
        options: &StoreOptions,
        meters: Arc<Meters>,
    ) -> Result<Self, OpenError> {
        let syncer = Syncer::start(engine.clone(), options.offload, meters);
        let syncer = syncer.map_err(|error| OpenError::System(error.to_string()))?;
        let meta = LogMeta::new(engine.clone());
        let vote = meta.vote()?;
        let recent = Recent { tail: Tail::new(options.log_cache_bytes), vote };
        let reader = LogReader { meta, engine, recent: Arc::new(Mutex::new(recent)) };
        Ok(Self { reader, syncer, replica, leading: false, committed: None })
    }

    /// The last entry that this log has, or had before it was purged.
    pub(crate) fn last(&self) -> Result<Option<LogPosition>, EngineError> {
        let last = self.reader.last()?.as_ref().map(types::position);
        Ok(last.or(self.reader.meta.purged()?))
    }

    /// Drops the tail which the state shows to be in conflict: what was applied at its place is of a later term, so it was
    /// replaced, and a crash undid that. openraft takes such a log for a corrupted one.
    pub(crate) fn cut_conflict(&self, applied: Option<LogPosition>) -> Result<(), EngineError> {
        let Some((applied, last)) = applied.zip(self.last()?) else { return Ok(()) };
        if applied.term > last.term && applied.index <= last.index {
            tracing::warn!(?applied, ?last, "the log's tail was replaced before the crash: dropping it");
            self.reader.cut_from(applied.index.get())?;
        }
        Ok(())
    }

    fn write_entries(&mut self, entries: Vec<Entry>) -> Result<(), EngineError> {
        let _station = tracing::debug_span!("append", entries = entries.len()).entered();
        let mut batch = Batch::default();
        // What is written is made in one piece of memory, which goes with the batch.
        let mut memory = BytesMut::with_capacity(entries.iter().map(weight).sum());
        for entry in &entries {
            memory.extend_from_slice(&entry.log_id.index().to_be_bytes());
            let key = memory.split().freeze();
            record::put_entry(entry, &mut memory);
            batch.put(Family::LogEntries, key, memory.split().freeze());
        }
        if let Some(committed) = self.committed.take() {
            meta::put(&mut batch, meta::COMMITTED, &committed);
        }
        self.reader.engine.write(batch)?;
        let mut recent = self.reader.recent();
        entries.into_iter().for_each(|entry| recent.tail.push(entry));
        Ok(())
    }
}

impl LogReader {
    /// A poisoned lock is no reason to stop: whatever is done under it leaves it consistent.
    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Entry>, EngineError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(entries) = self.recent().tail.read(range.clone(), max_bytes) {
            return Ok(entries);
        }
        self.read_engine(range, max_bytes)
    }

    fn read_engine(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Entry>, EngineError> {
        let mut cursor = self.engine.cursor(Family::LogEntries);
        cursor.seek(&key(range.start))?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some((found, value)) = cursor.entry() {
            let index = index_of(found)?;
            bytes += value.len();
            if index >= range.end || (bytes > max_bytes && !entries.is_empty()) {
                break;
            }
            entries.push(record::decode_entry(LogIndex::new(index), &Bytes::copy_from_slice(value))?);
            cursor.next()?;
        }
        Ok(entries)
    }

    /// Drops what is on the disk from this index on.
    fn cut_from(&self, index: u64) -> Result<(), EngineError> {
        let mut batch = Batch::default();
        batch.delete_range(Family::LogEntries, key(index), key(u64::MAX));
        self.engine.write(batch)
    }

    fn last(&self) -> Result<Option<LogId>, EngineError> {
        let mut cursor = self.engine.cursor(Family::LogEntries);
        cursor.seek_back(&key(u64::MAX))?;
        let Some((found, value)) = cursor.entry() else { return Ok(None) };
        let index = LogIndex::new(index_of(found)?);
        Ok(Some(record::decode_entry(index, &Bytes::copy_from_slice(value))?.log_id))
    }
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        self.read(bounds(&range), usize::MAX).map_err(io::Error::other)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.recent().vote.map(VoteRecord::vote))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        let entries = self.read(start..end, READ_BYTES).map_err(io::Error::other)?;
        // Purged meanwhile. Replication takes what it gets for the entries after the last one it sent.
        let begins_there = entries.first().is_some_and(|first| first.log_id.index() == start);
        Ok(if begins_there { entries } else { Vec::new() })
    }
}

impl RaftLogStorage<Types> for LogAdapter {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let purged = self.reader.meta.purged().map_err(io::Error::other)?.map(types::log_id);
        let last = self.reader.last().map_err(io::Error::other)?;
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.or(purged) })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.leading = vote.committed && vote.leader_id.voted_for == self.replica;
        let record = VoteRecord::of(vote);
        if !mutant::is(Mutant::ForgetVote) {
            self.reader.meta.set_vote(&record).map_err(io::Error::other)?;
        }
        self.reader.recent().vote = Some(record);
        Ok(())
    }

    /// Remembers the position; it reaches the disk with the next append. A crash before that only makes the
    /// restarted replica wait for its leader to tell it again, before it serves anything.
    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.committed = committed.as_ref().map(types::position);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        let committed = self.reader.meta.committed().map_err(io::Error::other)?;
        Ok(committed.map(types::log_id))
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.write_entries(entries.into_iter().collect()).map_err(io::Error::other)?;
        self.syncer.sync(flushed, self.leading);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let keep = last.map(|id| id.index());
        if !mutant::is(Mutant::KeepConflict) {
            self.reader.cut_from(keep.map_or(0, |index| index + 1)).map_err(io::Error::other)?;
        }
        self.reader.recent().tail.truncate_after(keep);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let mut batch = Batch::default();
        meta::put(&mut batch, meta::PURGED, &types::position(&upto));
        batch.delete_range(Family::LogEntries, key(0), key(upto.index() + 1));
        self.reader.engine.write(batch).map_err(io::Error::other)?;
        self.reader.recent().tail.purge(upto.index());
        Ok(())
    }
}

fn key(index: u64) -> Vec<u8> {
    index.to_be_bytes().to_vec()
}

fn index_of(key: &[u8]) -> Result<u64, EngineError> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| EngineError::Corrupt {
        what: Family::LogEntries.name().to_owned(),
        detail: format!("a key of {} bytes", key.len()),
    })
}

fn bounds(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end.max(start)
}
