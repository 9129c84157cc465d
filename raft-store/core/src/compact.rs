//! Compaction: forgetting versions that nobody may read any more.
//!
//! In two halves. [`Command::Compact`](crate::command::Command::Compact) is replicated and moves the
//! compacted revision at once, on every replica alike. The sweep then removes what lies below, in paced steps
//! that each replica takes when it likes: [`sweep`] plans a step from any view,
//! [`StateMachine::sweep`](crate::apply::StateMachine::sweep) carries it out.
//!
//! * **C1** No read at or above the compacted revision ever notices the sweep.
//! * **C2** Changes at or above the compacted revision stay in the change log, with the values they set:
//!   a watch may start at the compacted revision itself.
//! * **C3** Neither hash nor any answer depends on how far the sweep has come.
//!
//! The walk goes along the change log, in order. Each change tells which version it replaced, and that one
//! can go; a deletion's own record can go too, because everything older is gone by then.

use crate::{
    command::CommandError,
    engine::{Batch, EngineError, Family, Read},
    id::{ChangeId, Revision},
    mutant::{self, Mutant},
    schema::{self, ChangeKind, ChangeRecord, Header},
};

/// One step of the sweep, ready to be carried out.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Where the sweep stood when this was planned.
    pub from: ChangeId,
    /// Where it stands afterwards.
    pub through: ChangeId,
    /// What goes.
    pub deletions: Batch,
}

/// Whether history may be compacted at `revision`.
pub fn check(header: &Header, revision: Revision) -> Result<(), CommandError> {
    if revision <= header.compacted {
        Err(CommandError::Compacted { compacted: header.compacted })
    } else if revision > header.revision {
        Err(CommandError::FutureRevision { current: header.revision })
    } else {
        Ok(())
    }
}

/// Plans the next step, of at most `max_changes` changes (at least one); `None` when nothing is left to sweep.
///
/// `header` and `read` are from the same moment.
pub fn sweep(read: &dyn Read, header: &Header, max_changes: usize) -> Result<Option<Sweep>, EngineError> {
    let end = ChangeId::last_of(header.compacted);
    if header.swept >= end {
        return Ok(None);
    }
    let mut deletions = Batch::default();
    let mut through = header.swept;
    let mut cursor = read.cursor(Family::Changes);
    cursor.seek(&schema::change_key(after(header.swept)))?;
    for _ in 0..max_changes.max(1) {
        match cursor.entry().map(|(key, value)| Ok((schema::decode_change_key(key)?, value))).transpose()? {
            Some((id, value)) if id <= end => {
                forget(&mut deletions, id, schema::decode_change(value)?);
                through = id;
            }
            Some(_) | None => {
                through = end;
                break;
            }
        }
        cursor.next()?;
    }
    trim_log(&mut deletions, header, through);
    Ok(Some(Sweep { from: header.swept, through, deletions }))
}

/// The change after this one, whether or not there is one.
const fn after(id: ChangeId) -> ChangeId {
    match id.sub.checked_add(1) {
        Some(sub) => ChangeId { sub, ..id },
        None => ChangeId::first_of(id.revision.next()),
    }
}

/// Deletes what a change made superfluous.
fn forget(deletions: &mut Batch, id: ChangeId, change: ChangeRecord<'_>) {
    let record_key = |id| schema::record_key(schema::record_prefix(change.key), id);
    if let Some(previous) = change.previous {
        deletions.delete(Family::Keys, record_key(previous));
    }
    match change.kind {
        ChangeKind::Put => {}
        ChangeKind::Delete => deletions.delete(Family::Keys, record_key(id)),
    }
}

/// Deletes the part of the change log that has been walked and lies below the compacted revision (C2).
///
/// What lies below `swept.revision` has gone in earlier steps.
fn trim_log(deletions: &mut Batch, header: &Header, through: ChangeId) {
    let start = ChangeId::first_of(header.swept.revision);
    let mut end = after(through).min(ChangeId::first_of(header.compacted));
    if mutant::is(Mutant::CompactionTakesItsRevision) {
        end = after(through);
    }
    if start < end {
        let [start, end] = [start, end].map(|id| schema::change_key(id).to_vec());
        deletions.delete_range(Family::Changes, start, end);
    }
}
