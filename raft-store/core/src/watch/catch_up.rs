//! Reads changes back from the store, for watchers that start in the past or have fallen behind.
//!
//! In: who reads, each with its interest and the first revision that it needs. Out: to each what it wants. All
//! walk the change log together: many that come back at once, after a server was lost, cost one walk and what
//! they are given.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;

use super::{
    CHANGE_OVERHEAD, Change, ChangeKind, Changes, Interest, RevisionChanges,
    hub::{Matching, WatcherId},
    spans::Spans,
};
use crate::{
    command::{CommandError, KeyValue},
    engine::{Cursor, EngineError, Family, Read},
    id::{ChangeId, Revision},
    mutant::{self, Mutant},
    mvcc,
    schema::{self, ChangeRecord, Header},
};

/// Who reads history.
#[derive(Clone, Debug)]
pub struct Reader {
    /// What it wants to see.
    pub interest: Arc<Interest>,
    /// From this revision on.
    pub from: Revision,
}

/// A stretch of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatchUp {
    /// For each reader the revisions with changes that match, in order.
    pub changes: Vec<Vec<Matching>>,
    /// Everything up to this revision has been read: go on after it. Readers that begin later got nothing yet.
    pub through: Revision,
}

/// Reads what matches the readers' interests up to `to`, or less of it when that takes more than about
/// `max_bytes`: at least one revision, and never a part of one.
///
/// `header` and `read` are from the same moment. If a reader begins below the compacted revision the answer is
/// [`CommandError::Compacted`]; a `to` beyond the newest revision means the newest.
pub fn read_changes(
    read: &dyn Read,
    header: &Header,
    readers: &[Reader],
    to: Revision,
    max_bytes: usize,
) -> Result<Result<CatchUp, CommandError>, EngineError> {
    let first = readers.iter().map(|reader| reader.from).min().unwrap_or_else(|| header.revision.next());
    if first < header.compacted {
        return Ok(Err(CommandError::Compacted { compacted: header.compacted }));
    }
    let mut walk = Walk::new(read, readers, first)?;
    let to = to.min(header.revision);
    while let Some(id) = walk.position()? {
        if id.revision > to {
            break;
        }
        if id.revision > walk.revision {
            walk.end_revision();
            if walk.bytes > max_bytes {
                let through = walk.revision;
                return Ok(Ok(CatchUp { changes: walk.given, through }));
            }
        }
        walk.take(id)?;
    }
    walk.end_revision();
    Ok(Ok(CatchUp { changes: walk.given, through: to }))
}

/// A walk along the change log.
struct Walk<'r> {
    read: &'r dyn Read,
    readers: &'r [Reader],
    /// Which readers' ranges hold a key, by their numbers.
    spans: Spans,
    cursor: Box<dyn Cursor + 'r>,
    given: Vec<Vec<Matching>>,
    /// The revision that is being read,
    revision: Revision,
    /// what of it somebody wants,
    changes: Changes,
    /// and who.
    wanted_by: BTreeSet<usize>,
    /// What was looked at and given away has cost.
    bytes: usize,
}

impl<'r> Walk<'r> {
    fn new(read: &'r dyn Read, readers: &'r [Reader], from: Revision) -> Result<Self, EngineError> {
        let mut cursor = read.cursor(Family::Changes);
        cursor.seek(&schema::change_key(ChangeId::first_of(from)))?;
        let mut spans = Spans::new();
        for (number, reader) in (0..).zip(readers) {
            let (start, end) = reader.interest.range.span();
            spans.insert(start, end, WatcherId::new(number));
        }
        Ok(Self {
            read,
            readers,
            spans,
            cursor,
            given: vec![Vec::new(); readers.len()],
            revision: Revision::ZERO,
            changes: Changes::new(),
            wanted_by: BTreeSet::new(),
            bytes: 0,
        })
    }

    fn position(&self) -> Result<Option<ChangeId>, EngineError> {
        self.cursor.entry().map(|(key, _)| schema::decode_change_key(key)).transpose()
    }

    /// Takes the current change, when somebody wants it, and moves on.
    fn take(&mut self, id: ChangeId) -> Result<(), EngineError> {
        let Some((_, value)) = self.cursor.entry() else { return Ok(()) };
        let record = schema::decode_change(value)?;
        self.revision = id.revision;
        self.bytes += CHANGE_OVERHEAD + record.key.len();
        let lost = mutant::is(Mutant::CatchUpLosesDeletes) && record.kind == ChangeKind::Delete;
        let (readers, wanted_by) = (self.readers, &mut self.wanted_by);
        let mut wanted = false;
        self.spans.holding(record.key, &mut |watcher| {
            let number = watcher.number();
            let reader = &readers[number];
            if reader.from <= id.revision && reader.interest.wants(record.kind) && !lost {
                wanted = true;
                wanted_by.insert(number);
            }
        });
        if wanted {
            let change = load(self.read, id, record)?;
            self.bytes += change.kv.value.len();
            self.changes.push(change);
        }
        self.cursor.next()
    }

    /// Gives what was taken of a revision to those who want it.
    fn end_revision(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        let changes = std::mem::take(&mut self.changes);
        let all = Arc::new(RevisionChanges { revision: self.revision, changes });
        for number in std::mem::take(&mut self.wanted_by) {
            let matching = Matching::new(Arc::clone(&all), Arc::clone(&self.readers[number].interest));
            self.bytes += size_of::<Matching>();
            self.given[number].push(matching);
        }
    }
}

/// The change that a record describes, with the value that lies elsewhere.
fn load(read: &dyn Read, id: ChangeId, record: ChangeRecord<'_>) -> Result<Change, EngineError> {
    let key = record.key;
    let kv = match record.kind {
        ChangeKind::Put => mvcc::version(read, key, id)?.ok_or_else(|| {
            schema::corrupt(Family::Changes, format!("change {id} set a version that does not exist"))
        })?,
        ChangeKind::Delete => {
            KeyValue { key: Bytes::copy_from_slice(key), mod_revision: id.revision, ..KeyValue::default() }
        }
    };
    Ok(Change { kind: record.kind, kv, previous: record.previous })
}
