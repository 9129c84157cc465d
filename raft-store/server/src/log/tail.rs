//! The newest entries of the log, in memory.
//!
//! Replication and apply both read entries soon after they were appended; decoding them from disk again would
//! cost more than everything else they do. The tail is a contiguous run that ends at the last entry, bounded
//! by bytes.

use std::{collections::VecDeque, ops::Range};

use crate::types::{Entry, Payload};

/// A contiguous run of entries that ends with the newest one.
#[derive(Debug)]
pub(super) struct Tail {
    entries: VecDeque<Entry>,
    bytes: usize,
    max_bytes: usize,
}

impl Tail {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Adds the entry after the newest one.
    pub(super) fn push(&mut self, entry: Entry) {
        if let Some(last) = self.entries.back() {
            assert_eq!(last.log_id.index() + 1, entry.log_id.index(), "the log has no gaps");
        }
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
        while self.bytes > self.max_bytes && self.entries.len() > 1 {
            self.pop_front();
        }
    }

    /// Forgets every entry after `index`.
    pub(super) fn truncate_after(&mut self, index: Option<u64>) {
        while self.entries.back().is_some_and(|last| index.is_none_or(|keep| last.log_id.index() > keep)) {
            if let Some(entry) = self.entries.pop_back() {
                self.bytes -= weight(&entry);
            }
        }
    }

    /// Forgets every entry up to and including `index`.
    pub(super) fn purge(&mut self, index: u64) {
        while self.entries.front().is_some_and(|first| first.log_id.index() <= index) {
            self.pop_front();
        }
    }

    /// The entries of `range`, as far as `max_bytes` allows, or `None` where the tail does not begin early
    /// enough. At least one entry is returned when the range has any.
    pub(super) fn read(&self, range: Range<u64>, max_bytes: usize) -> Option<Vec<Entry>> {
        let first = self.entries.front()?.log_id.index();
        let end = range.end.min(first + self.entries.len() as u64);
        if range.start < first {
            return None;
        }
        let mut found = Vec::new();
        let mut bytes = 0;
        for index in range.start..end {
            let entry = &self.entries[usize::try_from(index - first).ok()?];
            bytes += weight(entry);
            if bytes > max_bytes && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        Some(found)
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= weight(&entry);
        }
    }
}

/// Roughly what an entry costs in memory.
pub(super) fn weight(entry: &Entry) -> usize {
    const OVERHEAD: usize = 96;
    OVERHEAD
        + match &entry.payload {
            Payload::Normal(command) => command.0.len(),
            Payload::Blank => 0,
            Payload::Membership(_) => 1024,
        }
}

#[cfg(test)]
mod tests {
    use keelson_store_core::id::{LogIndex, LogPosition, Term};

    use super::*;
    use crate::types::log_id;

    fn tail_of(range: Range<u64>, max_bytes: usize) -> Tail {
        let mut tail = Tail::new(max_bytes);
        range.for_each(|index| tail.push(blank(index)));
        tail
    }

    fn blank(index: u64) -> Entry {
        let at = LogPosition { term: Term::new(1), index: LogIndex::new(index) };
        Entry { log_id: log_id(at), payload: Payload::Blank }
    }

    fn indexes(entries: Option<Vec<Entry>>) -> Option<Vec<u64>> {
        entries.map(|entries| entries.iter().map(|entry| entry.log_id.index()).collect())
    }

    #[test]
    fn reads_what_it_has_and_says_what_it_has_not() {
        let tail = tail_of(5..10, 1 << 20);
        assert_eq!(indexes(tail.read(6..8, 1 << 20)), Some(vec![6, 7]));
        assert_eq!(indexes(tail.read(8..20, 1 << 20)), Some(vec![8, 9]));
        assert_eq!(indexes(tail.read(4..8, 1 << 20)), None);
        assert_eq!(indexes(tail.read(10..12, 1 << 20)), Some(vec![]));
    }

    #[test]
    fn a_byte_limit_still_yields_one_entry() {
        assert_eq!(indexes(tail_of(1..9, 1 << 20).read(2..9, 1)), Some(vec![2]));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let tail = tail_of(1..100, 96 * 4);
        assert_eq!(indexes(tail.read(96..100, 1 << 20)), Some(vec![96, 97, 98, 99]));
        assert_eq!(indexes(tail.read(95..100, 1 << 20)), None);
    }

    #[test]
    fn truncation_and_purge_leave_the_middle() {
        let mut tail = tail_of(1..10, 1 << 20);
        tail.truncate_after(Some(6));
        tail.purge(3);
        assert_eq!(indexes(tail.read(4..10, 1 << 20)), Some(vec![4, 5, 6]));
        tail.truncate_after(None);
        assert_eq!(indexes(tail.read(4..10, 1 << 20)), None);
        assert_eq!(tail.bytes, 0);
    }
}
