//! Reads changes back from the store, for watchers that start in the past or have fallen behind.

use bytes::Bytes;

use super::{CHANGE_OVERHEAD, Change, ChangeKind, Interest, RevisionChanges};
use crate::{
    command::{CommandError, KeyValue},
    engine::{Cursor, EngineError, Family, Read},
    id::{ChangeId, Revision},
    mutant::{self, Mutant},
    mvcc,
    schema::{self, ChangeRecord, Header},
};

/// A stretch of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatchUp {
    /// The revisions with changes that match, in order.
    pub changes: Vec<RevisionChanges>,
    /// Everything up to this revision has been read: go on after it.
    pub through: Revision,
}

/// Reads what matches `interest` in the revisions `from..=to`, or in fewer of them when they take more than
/// about `max_bytes`: at least one revision, and never a part of one.
///
/// `header` and `read` are from the same moment. Below the compacted revision the answer is
/// [`CommandError::Compacted`]; a `to` beyond the newest revision means the newest.
pub fn read_changes(
    read: &dyn Read,
    header: &Header,
    interest: &Interest,
    from: Revision,
    to: Revision,
    max_bytes: usize,
) -> Result<Result<CatchUp, CommandError>, EngineError> {
    if from < header.compacted {
        return Ok(Err(CommandError::Compacted { compacted: header.compacted }));
    }
    let mut reader = Reader::new(read, interest, from)?;
    let to = to.min(header.revision);
    while let Some(id) = reader.position()? {
        if id.revision > to {
            break;
        }
        if reader.bytes > max_bytes && id.revision > reader.through {
            return Ok(Ok(CatchUp { changes: reader.changes, through: reader.through }));
        }
        reader.take(id)?;
    }
    Ok(Ok(CatchUp { changes: reader.changes, through: to }))
}

struct Reader<'r> {
    read: &'r dyn Read,
    interest: &'r Interest,
    cursor: Box<dyn Cursor + 'r>,
    changes: Vec<RevisionChanges>,
    /// The revision of the last change that was looked at.
    through: Revision,
    /// What the changes looked at have cost, matching or not.
    bytes: usize,
}

impl<'r> Reader<'r> {
    fn new(read: &'r dyn Read, interest: &'r Interest, from: Revision) -> Result<Self, EngineError> {
        let mut cursor = read.cursor(Family::Changes);
        cursor.seek(&schema::change_key(ChangeId::first_of(from)))?;
        Ok(Self { read, interest, cursor, changes: Vec::new(), through: Revision::ZERO, bytes: 0 })
    }

    fn position(&self) -> Result<Option<ChangeId>, EngineError> {
        self.cursor.entry().map(|(key, _)| schema::decode_change_key(key)).transpose()
    }

    /// Takes the current change, when it matches, and moves on.
    fn take(&mut self, id: ChangeId) -> Result<(), EngineError> {
        let Some((_, value)) = self.cursor.entry() else { return Ok(()) };
        let record = schema::decode_change(value)?;
        self.through = id.revision;
        self.bytes += CHANGE_OVERHEAD + record.key.len();
        let lost = mutant::is(Mutant::CatchUpLosesDeletes) && record.kind == ChangeKind::Delete;
        if self.interest.wants(record.kind) && self.interest.range.contains(record.key) && !lost {
            let change = load(self.read, id, record)?;
            self.bytes += change.kv.value.len();
            match self.changes.last_mut() {
                Some(last) if last.revision == id.revision => last.changes.push(change),
                _ => self.changes.push(RevisionChanges { revision: id.revision, changes: vec![change] }),
            }
        }
        self.cursor.next()
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
