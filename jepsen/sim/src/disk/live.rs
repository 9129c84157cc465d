//! Which state store of a disk is the live one, and what a power cut would leave of it.
//!
//! A disk has more state stores than one while a snapshot is received and checked: they say nothing about the replica.

use std::sync::Arc;

use keelson_store::log::LogMeta;
use keelson_store_core::{
    engine::{Disk as _, Engine, EngineError, Role, mem::MemDisk},
    schema::Header,
};

/// The store's name for its log.
pub(crate) const LOG_STORE: &str = "log";

/// The live state store; `None` where the log names none.
///
/// # Errors
/// What is read is damaged.
pub(crate) fn live_state(disk: &MemDisk) -> Result<Option<Arc<dyn Engine>>, EngineError> {
    let name = LogMeta::new(disk.open(LOG_STORE, Role::Log)?).state_store()?;
    name.map(|name| disk.open(&name, Role::State)).transpose()
}

/// How far the live state would be after a power cut now; `None` where there is none, or none that can be read.
pub(crate) fn lasting_header(disk: &MemDisk) -> Option<Header> {
    let state = live_state(&disk.lasting()).ok()??;
    Header::load(&*state).ok()
}

#[cfg(test)]
mod tests {
    use keelson_store_core::{
        engine::{Batch, Family},
        id::{LogIndex, LogPosition, Term},
    };

    use super::*;

    /// Writes a header with this hash; nobody holds the store afterwards.
    fn write(disk: &MemDisk, store: &str, hash: u64, is_synced: bool) {
        let state = disk.open(store, Role::State).unwrap();
        let applied = Some(LogPosition { term: Term::new(1), index: LogIndex::new(hash) });
        let mut batch = Batch::default();
        batch.put(Family::Meta, Header::key(), Header { applied, hash, ..Header::FRESH }.encode());
        state.write(batch).unwrap();
        if is_synced {
            state.sync().unwrap();
        }
    }

    /// A disk whose log names the store `live`.
    fn disk() -> MemDisk {
        let disk = MemDisk::new();
        let log = disk.open(LOG_STORE, Role::Log).unwrap();
        LogMeta::new(log.clone()).set_state_store("live").unwrap();
        log.sync().unwrap();
        disk
    }

    #[test]
    fn neither_another_store_nor_what_is_not_synced_counts() {
        let disk = disk();
        let lasting = || lasting_header(&disk).map(|header| header.hash);
        write(&disk, "live", 1, true);
        write(&disk, "received", 2, true);
        write(&disk, "live", 3, false);
        assert_eq!(lasting(), Some(1));
        write(&disk, "live", 4, true);
        assert_eq!(lasting(), Some(4));
    }

    #[test]
    fn an_empty_disk_has_no_header() {
        assert!(lasting_header(&MemDisk::new()).is_none());
    }
}
