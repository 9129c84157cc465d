//! The rolling hash after each of the newest entries: what replicas compare.
//!
//! In: batches as they are applied. Out: the hash after an entry, where it is still known. Deliberately absent: what is
//! on disk. The header there has the newest one, and nobody compares older ones for long.

use std::collections::VecDeque;

use keelson_store_core::{apply::Applied, id::LogIndex, schema::Header};

/// So many are kept: what a busy cluster applies in the time in which its replicas compare.
const KEPT: usize = 16 << 10;

/// The hashes after consecutive entries.
#[derive(Debug)]
pub(super) struct Hashes {
    /// Oldest first; empty before the first entry.
    after: VecDeque<u64>,
    /// The entry of the newest one.
    last: Option<LogIndex>,
}

impl Hashes {
    /// Those of a state that was just opened.
    pub(super) fn of(header: &Header) -> Self {
        let last = header.applied.map(|at| at.index);
        Self { after: last.map(|_| header.hash).into_iter().collect(), last }
    }

    /// Takes in a batch that follows.
    pub(super) fn append(&mut self, applied: &Applied) {
        // Those before its entries are those after the ones in front of them: the first is known already.
        let inner = applied.hashes.iter().skip(1).copied();
        if !applied.hashes.is_empty() {
            self.after.extend(inner.chain([applied.header.hash]));
            self.last = applied.header.applied.map(|at| at.index);
        }
        let spare = self.after.len().saturating_sub(KEPT);
        self.after.drain(..spare);
    }

    /// The hash after an entry; `None` where it is not applied yet, or too old.
    pub(super) fn after(&self, index: LogIndex) -> Option<u64> {
        let back = self.last?.get().checked_sub(index.get())?;
        let place = (self.after.len() as u64).checked_sub(back + 1)?;
        self.after.get(usize::try_from(place).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use keelson_store_core::id::{LogPosition, Term};

    use super::*;

    fn header(index: u64) -> Header {
        let at = LogPosition { term: Term::new(1), index: LogIndex::new(index) };
        Header { applied: Some(at), hash: 100 + index, ..Header::FRESH }
    }

    /// A batch with the entries `first..=last`, where the hash after entry `i` is `100 + i`.
    fn batch(first: u64, last: u64) -> Applied {
        let hashes = (first..=last).map(|index| 99 + index).collect();
        Applied {
            header: header(last),
            changes: Vec::new(),
            leases: Vec::new(),
            auth: Default::default(),
            hashes,
        }
    }

    fn after(hashes: &Hashes, index: u64) -> Option<u64> {
        hashes.after(LogIndex::new(index))
    }

    #[test]
    fn every_entry_since_the_start_has_its_hash() {
        let mut hashes = Hashes::of(&header(7));
        hashes.append(&batch(8, 10));
        hashes.append(&batch(11, 11));
        let found: Vec<_> = (6..13).map(|index| after(&hashes, index)).collect();
        assert_eq!(found, [None, Some(107), Some(108), Some(109), Some(110), Some(111), None]);
    }

    #[test]
    fn a_new_state_has_none_and_a_long_one_forgets_the_oldest() {
        let mut hashes = Hashes::of(&Header::FRESH);
        assert_eq!(after(&hashes, 0), None);
        let last = KEPT as u64 + 9;
        hashes.append(&batch(0, last));
        assert_eq!(after(&hashes, last), Some(100 + last));
        assert_eq!((after(&hashes, 9), after(&hashes, 10)), (None, Some(110)));
    }
}
