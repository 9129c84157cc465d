//! Reads a log that is there.
//!
//! In: a folder. Out: what the log holds, all of it durable, or which file is not as it was left.

use std::{cmp::Ordering, collections::VecDeque, path::Path, sync::Arc};

use keelson_store_core::engine::EngineError;

use super::State;
use crate::{
    LogOptions,
    index::Index,
    record::{Op, Sequence},
    scan::{self, Position, Scan},
    segment::{self, Segment},
};

impl State {
    /// Reads a log. What is read is durable then: a process that was killed may have left it to the system only.
    pub(super) fn load(dir: &Path, options: LogOptions) -> Result<Self, EngineError> {
        let numbers = Segment::list(dir)?;
        let Some(last) = numbers.last().copied() else {
            return Err(EngineError::corrupt(dir, "it has no log file"));
        };
        let (last, plain) = Segment::open(dir, last)?;
        let newest = look_through(&last, &plain, Position::Last)?;
        let oldest = oldest_that_counts(&newest);
        let mut index = Index::default();
        let mut segments = VecDeque::new();
        let mut expected = None;
        for number in oldest..last.number {
            if numbers.binary_search(&number).is_err() {
                let missing = dir.join(segment::file_name(number));
                return Err(EngineError::corrupt(&missing, "it is missing, and the log goes on after it"));
            }
            let (segment, plain) = Segment::open(dir, number)?;
            let found = look_through(&segment, &plain, Position::Sealed)?;
            check_follows(expected, &found, segments.back(), &segment)?;
            expected = Some(next_after(&found));
            segments.push_back(take_in(segment, &plain, &found, &mut index));
        }
        check_follows(expected, &newest, segments.back(), &last)?;
        // The file keeps its length, so this can be interrupted and done again.
        last.write(newest.settled as u64, &newest.rest(&plain))?;
        last.sync()?;
        let next = next_after(&newest);
        segments.push_back(take_in(last, &plain, &newest, &mut index));
        Segment::remove_all(dir, numbers.iter().copied().take_while(|number| *number < oldest))?;
        let mut state = Self {
            dir: dir.to_owned(),
            options,
            index,
            segments,
            salt: newest.opening.salt,
            end: newest.end as u64,
            next,
            durable: next.before(),
            retired: VecDeque::new(),
            buffer: Vec::new(),
        };
        state.retire(state.durable);
        Ok(state)
    }
}

/// What a segment holds.
fn look_through<'p>(segment: &Segment, plain: &'p [u8], position: Position) -> Result<Scan<'p>, EngineError> {
    let found = scan::scan(plain, position).map_err(|damage| {
        EngineError::corrupt(segment.path(), format!("at byte {}: {}", damage.offset, damage.detail))
    })?;
    if found.opening.number == segment.number {
        Ok(found)
    } else {
        Err(EngineError::corrupt(segment.path(), format!("it is segment {}", found.opening.number)))
    }
}

/// The oldest segment that counts, by what the last one says.
fn oldest_that_counts(newest: &Scan<'_>) -> u64 {
    let ops = newest.records.iter().flat_map(|record| &record.ops);
    ops.fold(newest.opening.oldest, |oldest, op| if let Op::Oldest(number) = op { *number } else { oldest })
}

/// The record after a segment's last one.
fn next_after(found: &Scan<'_>) -> Sequence {
    let last = found.records.last().expect("a segment has the record that it begins with");
    last.header.sequence.next()
}

/// That a segment begins where the one before it ends.
fn check_follows(
    expected: Option<Sequence>,
    found: &Scan<'_>,
    before: Option<&Arc<Segment>>,
    segment: &Segment,
) -> Result<(), EngineError> {
    let (Some(expected), Some(before)) = (expected, before) else { return Ok(()) };
    match found.records[0].header.sequence.cmp(&expected) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(EngineError::corrupt(before.path(), "its last records are missing")),
        Ordering::Less => {
            Err(EngineError::corrupt(segment.path(), "it begins before the one before it ends"))
        }
    }
}

fn take_in(segment: Segment, plain: &[u8], found: &Scan<'_>, index: &mut Index) -> Arc<Segment> {
    let segment = Arc::new(segment);
    for record in &found.records {
        let bytes = &plain[record.offset..record.offset + record.header.record_len()];
        record.ops.iter().for_each(|op| index.take_in(&segment, record.offset as u64, bytes, op));
    }
    segment
}
