//! An open log: writes, syncs, and what both leave behind.
//!
//! In: calls of the [`Engine`] contract. Out: records behind each other, in one segment after the other.

use std::{
    collections::VecDeque,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use keelson_store_core::engine::{Batch, Cursor, Engine, EngineError, Family, Read, Role};

use crate::{
    Home, LogOptions,
    cursor::{LogCursor, View},
    error::{corrupt, refused},
    index::Index,
    pattern,
    record::{self, Op, Opening, Place, Salt, Sequence},
    scan::{self, Position, Scan},
    segment::{self, Segment},
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
    options: LogOptions,
    dir: PathBuf,
    /// Why the first write or sync failed that did (E7).
    failure: OnceLock<String>,
    home: Arc<dyn Home>,
}

struct State {
    index: Index,
    /// Oldest first; the last one is written to.
    segments: VecDeque<Arc<Segment>>,
    opening: Opening,
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
    let first = Sequence::default().next();
    let (opening, record) = first_record(FIRST, options, first, 0, &Batch::default(), 0)?;
    Segment::create(dir, FIRST, opening.bytes, record).map(drop)
}

/// Opens a log that is there.
pub(crate) fn open(
    dir: &Path,
    options: LogOptions,
    home: Arc<dyn Home>,
) -> Result<Arc<dyn Engine>, EngineError> {
    let state = Mutex::new(State::load(dir)?);
    Ok(Arc::new(Log { state, options, dir: dir.to_owned(), failure: OnceLock::new(), home }))
}

/// Makes a log with the same contents in an empty folder, durably.
fn copy(index: &Index, dir: &Path, options: LogOptions) -> Result<(), EngineError> {
    create(dir, options)?;
    let mut copy = State::load(dir)?;
    let (mut batch, mut bytes) = (Batch::default(), 0);
    for family in Family::of(Role::Log) {
        for (key, slot) in index.slots(family)? {
            let value = slot.load()?;
            bytes += value.len();
            batch.put(family, Bytes::copy_from_slice(key), value);
            if bytes > COPIED_AT_ONCE {
                copy.append(dir, options, &std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
    }
    copy.append(dir, options, &batch)?;
    copy.last().sync()
}

/// A segment's opening, and its first record, which holds `batch` and leaves `room` for another one.
fn first_record(
    number: u64,
    options: LogOptions,
    sequence: Sequence,
    pending: u32,
    batch: &Batch,
    room: u64,
) -> Result<(Opening, Vec<u8>), EngineError> {
    // Not to be guessed is all that it has to be.
    let salt = Salt(RandomState::new().hash_one(number) as u32);
    let mut opening = Opening { number, bytes: 0, salt };
    let mut record = Vec::new();
    let mut encode = |opening| {
        record.clear();
        record::encode(Place::First(opening), sequence, pending, batch, &mut record).map_err(refused)?;
        Ok(record.len() as u64)
    };
    opening.bytes = options.segment_bytes.max(encode(opening)? + room);
    encode(opening)?;
    Ok((opening, record))
}

impl State {
    fn load(dir: &Path) -> Result<Self, EngineError> {
        let numbers = Segment::list(dir)?;
        let Some(last) = numbers.last() else {
            return Err(corrupt(dir, "it has no log file"));
        };
        let (mut index, mut segments) = (Index::default(), VecDeque::new());
        let (mut expected, mut written) = (None, None);
        for (number, follows) in numbers.iter().zip(numbers[0]..) {
            if *number != follows {
                let missing = dir.join(segment::file_name(follows));
                return Err(corrupt(&missing, "it is missing, and the log goes on after it"));
            }
            let position = if number == last { Position::Last } else { Position::Sealed };
            let (segment, plain) = Segment::open(dir, *number)?;
            let segment = Arc::new(segment);
            let found = read(&segment, &plain, position, expected, &mut index)?;
            expected = found.records.last().map(|last| last.header.sequence.next());
            written = Some((found.opening, found.end));
            segments.push_back(segment);
        }
        // There is at least one segment, and it has at least the record that it begins with.
        let (Some((opening, end)), Some(next)) = (written, expected) else {
            return Err(corrupt(dir, "it has no log file"));
        };
        let (end, durable) = (end as u64, Sequence(next.0 - 1));
        let (retired, buffer) = (VecDeque::new(), Vec::new());
        Ok(Self { index, segments, opening, end, next, durable, retired, buffer })
    }

    fn last(&self) -> &Arc<Segment> {
        self.segments.back().expect("a log has a segment that is written to")
    }

    /// How many records are not known to be durable.
    fn pending(&self) -> u32 {
        u32::try_from(self.next.0 - 1 - self.durable.0).unwrap_or(u32::MAX)
    }

    /// Writes a record behind the last one, or begins another segment with room for it first.
    fn append(&mut self, dir: &Path, options: LogOptions, batch: &Batch) -> Result<(), EngineError> {
        let mut ops = self.encode(batch)?;
        if self.end + self.buffer.len() as u64 > self.opening.bytes {
            self.begin_segment(dir, options, self.buffer.len() as u64)?;
            ops = self.encode(batch)?;
        }
        let segment = self.last().clone();
        pattern::cover(self.end, &mut self.buffer);
        segment.write(self.end, &self.buffer)?;
        // The index takes from here what it keeps in memory.
        pattern::cover(self.end, &mut self.buffer);
        ops.iter().for_each(|op| self.index.take_in(&segment, self.end, &self.buffer, op));
        self.end += self.buffer.len() as u64;
        self.retire();
        self.next = self.next.next();
        if self.buffer.capacity() > LONGEST_BUFFER {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    fn encode<'b>(&mut self, batch: &'b Batch) -> Result<Vec<Op<'b>>, EngineError> {
        let (place, pending) = (Place::Behind(self.opening.salt), self.pending());
        self.buffer.clear();
        record::encode(place, self.next, pending, batch, &mut self.buffer).map_err(refused)
    }

    /// Goes on in another segment, when all that was written is durable.
    fn begin_segment(&mut self, dir: &Path, options: LogOptions, room: u64) -> Result<(), EngineError> {
        self.last().sync()?;
        self.durable = Sequence(self.next.0 - 1);
        let mut meta = Batch::default();
        for (key, slot) in self.index.meta() {
            meta.put(Family::LogMeta, Bytes::copy_from_slice(key), slot.load()?);
        }
        let number = self.last().number + 1;
        let (opening, record) = first_record(number, options, self.next, 0, &meta, room)?;
        self.end = record.len() as u64;
        let segment = Segment::create(dir, number, opening.bytes, record)?;
        self.segments.push_back(Arc::new(segment));
        self.opening = opening;
        self.durable = self.next;
        self.next = self.next.next();
        Ok(())
    }

    /// Sets aside the oldest segments whose last entry the record has deleted that was just written.
    fn retire(&mut self) {
        while self.segments.len() > 1 && self.segments[0].is_empty() {
            self.retired.extend(self.segments.pop_front().map(|segment| (self.next, segment)));
        }
    }

    /// The segments that can go: the deletion of what was in them is durable.
    fn take_retired(&mut self) -> Vec<Arc<Segment>> {
        let durable = self.durable;
        let count = self.retired.iter().take_while(|(deleted, _)| *deleted <= durable).count();
        self.retired.drain(..count).map(|(_, segment)| segment).collect()
    }
}

/// Takes in what a segment holds, and frees what a crash has left behind its end.
fn read<'p>(
    segment: &Arc<Segment>,
    plain: &'p [u8],
    position: Position,
    first: Option<Sequence>,
    index: &mut Index,
) -> Result<Scan<'p>, EngineError> {
    let found = scan::scan(plain, position, first)
        .map_err(|damage| corrupt(segment.path(), format!("at byte {}: {}", damage.offset, damage.detail)))?;
    if found.opening.number != segment.number {
        return Err(corrupt(segment.path(), format!("it is segment {}", found.opening.number)));
    }
    for record in &found.records {
        let bytes = &plain[record.offset..record.offset + record.header.record_len()];
        record.ops.iter().for_each(|op| index.take_in(segment, record.offset as u64, bytes, op));
    }
    if position == Position::Last && !found.is_clean {
        segment.clear_from(found.end as u64, found.opening.bytes)?;
    }
    Ok(found)
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

    /// Ends writing through this handle when `result` is an error.
    fn settle<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        result.inspect_err(|error| {
            let _ = self.failure.set(error.to_string());
        })
    }
}

impl Read for Log {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.now().get(family, key)
    }

    fn cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        Box::new(LogCursor::new(self.now(), family))
    }
}

impl Engine for Log {
    fn view(&self) -> Arc<dyn Read> {
        Arc::new(View::new(self.now(), self.home.clone()))
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        self.check_usable()?;
        if batch.is_empty() {
            return Ok(());
        }
        record::check(&batch).map_err(refused)?;
        let appended = self.state().append(&self.dir, self.options, &batch);
        self.settle(appended)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.check_usable()?;
        let (segment, written) = {
            let state = self.state();
            if state.pending() == 0 {
                return Ok(());
            }
            (state.last().clone(), Sequence(state.next.0 - 1))
        };
        // Others write meanwhile: what they add may be durable then, too, but nobody knows.
        self.settle(segment.sync())?;
        let gone = {
            let mut state = self.state();
            state.durable = state.durable.max(written);
            state.take_retired()
        };
        self.settle(gone.iter().try_for_each(|segment| segment.remove()))
    }

    fn checkpoint(&self, name: &str) -> Result<(), EngineError> {
        self.check_usable()?;
        let index = self.now();
        self.home.add_checkpoint(name, &mut |dir| copy(&index, dir, self.options))
    }

    fn size(&self) -> u64 {
        let state = self.state();
        state.end + (state.segments.len() as u64 - 1) * self.options.segment_bytes
    }
}
