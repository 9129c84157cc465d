//! An open log: writes, syncs, and what both leave behind.
//!
//! In: calls of the [`Engine`] contract. Out: records behind each other, in one segment after the other.

mod load;

use std::{
    collections::VecDeque,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use keelson_store_core::engine::{Batch, Capture, Cursor, Engine, EngineError, Family, Read, Role};

use crate::{
    Home, LogOptions,
    cursor::{LogCursor, View},
    error::refused,
    index::Index,
    pattern,
    record::{self, Checked, Op, Opening, Place, Salt, Sequence},
    segment::Segment,
};

/// A buffer that one large record has made longer than this is not kept.
const LONGEST_BUFFER: usize = 4 << 20;

/// About how much of a log is copied in one batch, bytes.
const COPIED_AT_ONCE: usize = 1 << 20;

/// The number of the first segment.
const FIRST: u64 = 1;

/// The handle that [`open`](crate::open) gives out.
pub(crate) struct Log {
    state: Mutex<State>,
    /// Held while segments go, so that they go in order.
    removing: Mutex<()>,
    dir: PathBuf,
    /// Why the first write or sync failed that did (E7).
    failure: OnceLock<String>,
    home: Arc<dyn Home>,
}

struct State {
    dir: PathBuf,
    options: LogOptions,
    index: Index,
    /// Oldest first; the last one is written to.
    segments: VecDeque<Arc<Segment>>,
    salt: Salt,
    /// Where the next record goes in the last segment.
    end: u64,
    next: Sequence,
    /// The last record that is known to be durable.
    durable: Sequence,
    /// Segments without entries, and the record that took their last one.
    retired: VecDeque<(Sequence, Arc<Segment>)>,
    buffer: Vec<u8>,
}

/// Makes an empty log.
pub(crate) fn create(dir: &Path, options: LogOptions) -> Result<(), EngineError> {
    let (first, nothing) = (Sequence::default().next(), Batch::default());
    let begin = Beginning { number: FIRST, oldest: FIRST, sequence: first, room: 0 };
    begin.write(dir, options, &nothing).map(drop)
}

/// Opens a log that is there.
pub(crate) fn open(
    dir: &Path,
    options: LogOptions,
    home: Arc<dyn Home>,
) -> Result<Arc<dyn Engine>, EngineError> {
    let state = Mutex::new(State::load(dir, options)?);
    let removing = Mutex::default();
    Ok(Arc::new(Log { state, removing, dir: dir.to_owned(), failure: OnceLock::new(), home }))
}

/// Makes a log with the same contents in an empty folder, durably.
fn copy(index: &Index, dir: &Path, options: LogOptions) -> Result<(), EngineError> {
    create(dir, options)?;
    let mut copy = State::load(dir, options)?;
    let (mut batch, mut bytes) = (Batch::default(), 0);
    for family in Family::of(Role::Log) {
        for (key, slot) in index.slots(family)? {
            let value = slot.load()?;
            bytes += value.len();
            batch.put(family, Bytes::copy_from_slice(key), value);
            if bytes > COPIED_AT_ONCE {
                copy.append(Checked::new(&std::mem::take(&mut batch)).map_err(refused)?)?;
                bytes = 0;
            }
        }
    }
    copy.append(Checked::new(&batch).map_err(refused)?)?;
    copy.last().sync()
}

/// A segment that is to begin.
struct Beginning {
    number: u64,
    oldest: u64,
    /// Of its first record.
    sequence: Sequence,
    /// What must fit behind that, bytes.
    room: u64,
}

impl Beginning {
    /// Makes the segment, durably, its first record holding `batch`; answers its salt, too, and where that record ends.
    fn write(
        &self,
        dir: &Path,
        options: LogOptions,
        batch: &Batch,
    ) -> Result<(Segment, Salt, u64), EngineError> {
        let batch = Checked::new(batch).map_err(refused)?;
        // Not to be guessed is all that it has to be.
        let salt = Salt(RandomState::new().hash_one(self.number) as u32);
        let mut opening = Opening { number: self.number, bytes: 0, oldest: self.oldest, salt };
        let mut record = Vec::new();
        // Everything before it was made durable.
        record::encode(Place::First(opening), self.sequence, 0, batch, &mut record);
        opening.bytes = options.segment_bytes.max(record.len() as u64 + self.room);
        record.clear();
        record::encode(Place::First(opening), self.sequence, 0, batch, &mut record);
        let end = record.len() as u64;
        Ok((Segment::create(dir, self.number, opening.bytes, record)?, salt, end))
    }
}

impl State {
    fn last(&self) -> &Arc<Segment> {
        self.segments.back().expect("a log has a segment that is written to")
    }

    /// How many records are not known to be durable.
    fn pending(&self) -> u32 {
        u32::try_from(self.next.before().0 - self.durable.0).unwrap_or(u32::MAX)
    }

    /// Writes a record behind the last one, or begins another segment with room for it first.
    fn append(&mut self, batch: Checked<'_>) -> Result<(), EngineError> {
        let mut ops = self.encode(batch);
        if self.end + self.buffer.len() as u64 > self.last().bytes {
            self.begin_segment(self.buffer.len() as u64)?;
            ops = self.encode(batch);
        }
        let (segment, at) = (self.last().clone(), self.end);
        self.write_buffer()?;
        // The index takes from here what it keeps in memory.
        pattern::cover(at, &mut self.buffer);
        ops.iter().for_each(|op| self.index.take_in(&segment, at, &self.buffer, op));
        self.retire(self.next.before());
        if self.buffer.capacity() > LONGEST_BUFFER {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    fn encode<'b>(&mut self, batch: Checked<'b>) -> Vec<Op<'b>> {
        let (place, pending) = (Place::Behind(self.salt), self.pending());
        self.buffer.clear();
        record::encode(place, self.next, pending, batch, &mut self.buffer)
    }

    /// Writes the record in the buffer behind the last one. The pattern lies over it then.
    fn write_buffer(&mut self) -> Result<(), EngineError> {
        pattern::cover(self.end, &mut self.buffer);
        self.last().write(self.end, &self.buffer)?;
        self.end += self.buffer.len() as u64;
        self.next = self.next.next();
        Ok(())
    }

    /// Goes on in another segment, when all that was written is durable.
    fn begin_segment(&mut self, room: u64) -> Result<(), EngineError> {
        self.last().sync()?;
        self.durable = self.next.before();
        let mut meta = Batch::default();
        for (key, slot) in self.index.slots(Family::LogMeta)? {
            meta.put(Family::LogMeta, Bytes::copy_from_slice(key), slot.load()?);
        }
        let oldest = self.retired.front().map_or(&self.segments[0], |(_, segment)| segment).number;
        let begin = Beginning { number: self.last().number + 1, oldest, sequence: self.next, room };
        let (segment, salt, end) = begin.write(&self.dir, self.options, &meta)?;
        self.segments.push_back(Arc::new(segment));
        (self.salt, self.end, self.durable) = (salt, end, self.next);
        self.next = self.next.next();
        Ok(())
    }

    /// Sets aside the oldest segments whose last entry was deleted by this record or before.
    fn retire(&mut self, deleted: Sequence) {
        while self.segments.len() > 1 && self.segments[0].is_empty() {
            self.retired.extend(self.segments.pop_front().map(|segment| (deleted, segment)));
        }
    }

    /// Takes the segments that can go, for the deletion of what was in them is durable, and writes down that they do not
    /// count any more.
    fn take_retired(&mut self) -> Result<Vec<Arc<Segment>>, EngineError> {
        let durable = self.durable;
        let count = self.retired.iter().take_while(|(deleted, _)| *deleted <= durable).count();
        if count == 0 {
            return Ok(Vec::new());
        }
        let oldest = self.retired.get(count).map_or(&self.segments[0], |(_, segment)| segment).number;
        self.buffer.clear();
        record::encode_oldest(self.salt, self.next, self.pending(), oldest, &mut self.buffer);
        if self.end + self.buffer.len() as u64 > self.last().bytes {
            // The next segment has room for it.
            return Ok(Vec::new());
        }
        self.write_buffer()?;
        Ok(self.retired.drain(..count).map(|(_, segment)| segment).collect())
    }
}

impl Log {
    /// A poisoned lock is no reason to stop reading. Writing ends: what was under way is not known.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Index {
        self.state().index.clone()
    }

    fn check_usable(&self) -> Result<(), EngineError> {
        let poisoned = self.state.is_poisoned().then(|| "a writer has panicked".to_owned());
        match self.failure.get().or(poisoned.as_ref()) {
            None => Ok(()),
            Some(cause) => Err(EngineError::Io {
                what: format!("write to {}", self.dir.display()),
                cause: format!("an earlier write or sync failed ({cause}): open the store anew"),
            }),
        }
    }

    /// Makes everything durable that was written before the call.
    fn sync_written(&self) -> Result<(), EngineError> {
        let (segment, written) = {
            let state = self.state();
            self.check_usable()?;
            if state.pending() == 0 {
                return Ok(());
            }
            (state.last().clone(), state.next.before())
        };
        // Others write meanwhile: what they add may be durable then, too, but nobody knows.
        self.settle(segment.sync())?;
        let mut state = self.state();
        state.durable = state.durable.max(written);
        Ok(())
    }

    /// Ends writing through this handle when `result` is an error.
    fn settle<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        result.inspect_err(|error| {
            let _ = self.failure.set(error.to_string());
        })
    }
}

impl Read for Log {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let slot = self.state().index.slots(family)?.get(key).cloned();
        slot.map(|slot| slot.load()).transpose()
    }

    fn cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        Box::new(LogCursor::new(self.now(), family))
    }
}

/// What a checkpoint is to hold.
struct Captured {
    home: Arc<dyn Home>,
    name: String,
    index: Index,
    options: LogOptions,
}

impl Capture for Captured {
    fn keep(self: Box<Self>) -> Result<(), EngineError> {
        self.home.add_checkpoint(&self.name, &mut |dir| copy(&self.index, dir, self.options))
    }
}

impl Engine for Log {
    fn view(&self) -> Arc<dyn Read> {
        Arc::new(View::new(self.now(), self.home.clone()))
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        let checked = Checked::new(&batch).map_err(refused)?;
        let mut state = self.state();
        // Whoever waited for the lock must see why the one before it failed.
        self.check_usable()?;
        if batch.is_empty() {
            return Ok(());
        }
        self.settle(state.append(checked))
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.sync_written()?;
        let _one_at_a_time = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = self.settle(self.state().take_retired())?;
        if gone.is_empty() {
            return Ok(());
        }
        self.sync_written()?;
        self.settle(Segment::remove_all(&self.dir, gone.iter().map(|segment| segment.number)))
    }

    fn capture(&self, name: &str) -> Result<Box<dyn Capture>, EngineError> {
        self.check_usable()?;
        let (index, options) = {
            let state = self.state();
            (state.index.clone(), state.options)
        };
        Ok(Box::new(Captured { home: self.home.clone(), name: name.to_owned(), index, options }))
    }

    fn size(&self) -> u64 {
        let state = self.state();
        let retired = state.retired.iter().map(|(_, segment)| segment);
        state.segments.iter().chain(retired).map(|segment| segment.bytes).sum()
    }

    fn reclaim(&self) -> Result<(), EngineError> {
        self.sync()
    }
}
