//! What a leader sends, against what this replica has applied.
//!
//! In: appends, and the last entry that was applied here. Out: the entry that shows that a majority has forgotten what it
//! acknowledged. That happens where disks are put back to an older state while the whole cluster is down, so that nobody
//! remembers them as they were: then those with the old disks elect a leader, and it knows nothing of what came after. A
//! follower would drop the end of its log as any follower does, though it holds what clients were told to be safe.
//!
//! Terms never fall along a log (Raft, section 5.3). So whatever the log has up to the entry that was applied here is of that
//! entry's term or an older one, in every replica that has not forgotten: a later term at such a place is the contradiction. A
//! leader that has forgotten shows it with the first entry of its own term.

use keelson_store_core::id::LogPosition;
use openraft::raft::AppendEntriesRequest;

use crate::types::{self, Types};

/// The entry of an append that contradicts what was applied, if one does.
pub(crate) fn find(applied: LogPosition, append: &AppendEntriesRequest<Types>) -> Option<LogPosition> {
    let sent = append.prev_log_id.iter().chain(append.entries.iter().map(|entry| &entry.log_id));
    let mut known = sent.map(types::position).take_while(|sent| sent.index <= applied.index);
    known.find(|sent| sent.term > applied.term)
}

/// What an operator is told.
pub(crate) fn words(applied: LogPosition, sent: LogPosition) -> String {
    let (index, term) = (applied.index, applied.term);
    format!(
        "this member has applied the log up to entry {index}, of term {term}, and the leader has entry {} of term {}: a \
         majority has forgotten what was acknowledged, as disks do that were put back to an older state. What is in this \
         data folder is kept as it is. Either make a new cluster of it (stop all members, then keelson store recover \
         --data-dir with this folder), or accept that what only this member has is lost: remove it, and add it with an \
         empty data folder",
        sent.index, sent.term
    )
}

#[cfg(test)]
mod tests {
    use keelson_store_core::id::{LogIndex, Term};

    use super::*;
    use crate::types::{Entry, Payload};

    fn at(term: u64, index: u64) -> LogPosition {
        LogPosition { term: Term::new(term), index: LogIndex::new(index) }
    }

    fn append(prev: Option<LogPosition>, entries: &[LogPosition]) -> AppendEntriesRequest<Types> {
        let entry = |at: &LogPosition| Entry { log_id: types::log_id(*at), payload: Payload::Blank };
        AppendEntriesRequest {
            vote: types::vote(Term::new(9), keelson_store_core::id::ReplicaId::new(1), true),
            prev_log_id: prev.map(types::log_id),
            entries: entries.iter().map(entry).collect(),
            leader_commit: None,
        }
    }

    #[test]
    fn only_a_later_term_at_a_place_that_was_applied_is_a_contradiction() {
        let found = |prev, entries: &[LogPosition]| find(at(2, 7), &append(prev, entries));
        assert_eq!(
            found(Some(at(2, 4)), &[at(3, 5)]),
            Some(at(3, 5)),
            "the first entry of a leader that forgot 5 to 7"
        );
        assert_eq!(found(Some(at(3, 5)), &[]), Some(at(3, 5)), "the same, when it only says where it is");
        assert_eq!(found(Some(at(2, 7)), &[at(3, 8)]), None, "what follows is new");
        assert_eq!(
            found(Some(at(2, 4)), &[at(2, 5), at(2, 6), at(2, 7), at(3, 8)]),
            None,
            "what is sent again is known"
        );
        assert_eq!(found(Some(at(1, 3)), &[at(1, 4)]), None, "an old leader is not ahead");
    }
}
