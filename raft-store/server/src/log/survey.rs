//! What is left of a log of which a part may be damaged.
//!
//! In: a log store. Out: whether every entry can be read, an upper bound for the last one, and the members whom the
//! entries name. Deliberately absent: the records beside the entries; without them a replica does not open.

use keelson_store_core::{
    engine::{Engine, EngineError, Family},
    id::{LogIndex, LogPosition},
};

use super::LogMeta;
use crate::{
    options::Member,
    record,
    types::{self, Payload},
};

/// No log has more entries behind its last snapshot: whoever finds more reads something else.
const MOST_ENTRIES: u64 = 100_000_000;

/// What is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The first entry that cannot be read, and what is wrong with it.
    pub(crate) damage: Option<(LogIndex, String)>,
    /// The last entry; if that one is damaged, a place that it is not behind. `None` where there is none.
    pub(crate) last: Option<LogPosition>,
    /// Who is named by the memberships in it.
    pub(crate) members: Vec<Member>,
}

impl Survey {
    /// Reads a log from an entry on, or from its beginning if that is later.
    ///
    /// # Errors
    /// It cannot be read at all, or has no end.
    pub(crate) fn of(engine: &dyn Engine, meta: &LogMeta, from: LogIndex) -> Result<Self, EngineError> {
        let purged = meta.purged()?;
        let mut survey = Self { damage: None, last: purged, members: Vec::new() };
        let first = purged.map_or(from, |purged| purged.index.next().max(from));
        for index in (first.get()..first.get() + MOST_ENTRIES).map(LogIndex::new) {
            match engine.get(Family::LogEntries, &index.get().to_be_bytes()) {
                Ok(None) => return Ok(survey),
                Ok(Some(bytes)) => match record::decode_entry(index, &bytes) {
                    Ok(entry) => survey.add(types::position(&entry.log_id), entry.payload),
                    Err(damage) => survey.miss(index, meta, damage)?,
                },
                Err(damage) => survey.miss(index, meta, damage)?,
            }
        }
        Err(EngineError::Corrupt { what: "the log".to_owned(), detail: "it has no end".to_owned() })
    }

    /// Whether all entries can be read.
    pub(crate) const fn is_whole(&self) -> bool {
        self.damage.is_none()
    }

    fn add(&mut self, at: LogPosition, payload: Payload) {
        self.last = Some(at);
        if let Payload::Membership(membership) = payload {
            self.members.extend(membership.nodes().map(|(_, member)| member.clone()));
        }
    }

    /// An entry cannot be read. Nobody has entries of later terms than that of its vote.
    fn miss(&mut self, index: LogIndex, meta: &LogMeta, damage: EngineError) -> Result<(), EngineError> {
        let EngineError::Corrupt { .. } = &damage else { return Err(damage) };
        let term = meta.vote()?.map(|vote| vote.term).unwrap_or_default();
        self.damage.get_or_insert_with(|| (index, damage.to_string()));
        self.last = Some(LogPosition { term, index });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use keelson_store_core::{
        engine::{Batch, Disk as _, Role, mem::MemDisk},
        id::{ReplicaId, Term},
    };

    use super::*;
    use crate::{record::VoteRecord, types::Entry};

    /// A log with entries 0 to 4 of term 2, of a replica that has voted in term 3.
    fn log() -> MemDisk {
        let disk = MemDisk::new();
        let engine = disk.open("log", Role::Log).unwrap();
        let mut batch = Batch::default();
        let vote = VoteRecord { term: Term::new(3), voted_for: ReplicaId::new(1), committed: false };
        batch.put(Family::LogMeta, b"vote".to_vec(), record::encode(&vote));
        for index in 0..5 {
            let entry = Entry { log_id: types::log_id(at(2, index)), payload: Payload::Blank };
            batch.put(Family::LogEntries, index.to_be_bytes().to_vec(), record::encode_entry(&entry));
        }
        engine.write(batch).unwrap();
        disk
    }

    fn at(term: u64, index: u64) -> LogPosition {
        LogPosition { term: Term::new(term), index: LogIndex::new(index) }
    }

    fn survey(disk: &MemDisk) -> (bool, Option<LogPosition>) {
        let engine = disk.open("log", Role::Log).unwrap();
        let found = Survey::of(&*engine, &LogMeta::new(engine.clone()), LogIndex::default()).unwrap();
        (found.is_whole(), found.last)
    }

    #[test]
    fn a_whole_log_ends_with_its_last_entry() {
        assert_eq!(survey(&log()), (true, Some(at(2, 4))));
        assert_eq!(survey(&MemDisk::new()), (true, None));
    }

    #[test]
    fn a_log_with_damage_in_the_middle_still_ends_with_its_last_entry() {
        let disk = log();
        assert!(disk.damage_record("log", Family::LogEntries, &2_u64.to_be_bytes()));
        assert_eq!(survey(&disk), (false, Some(at(2, 4))));
    }

    #[test]
    fn of_a_damaged_last_entry_no_more_is_known_than_the_vote_says() {
        let disk = log();
        assert!(disk.damage_record("log", Family::LogEntries, &4_u64.to_be_bytes()));
        assert_eq!(survey(&disk), (false, Some(at(3, 4))));
    }
}
