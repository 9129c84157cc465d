//! One open store: writes, syncs, checkpoints, and reads of the present moment.
//!
//! In: calls of the [`Engine`] contract. Out: the same on a RocksDB instance without a write-ahead log: a sync writes out
//! all families at once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use keelson_store_core::engine::{Batch, Capture, Cursor, Engine, EngineError, Family, Read, Role, Write};
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{ColumnFamily, DB, FlushOptions, WriteBatch, WriteOptions, properties};

use crate::Claim;
use crate::error::rocks_error;
use crate::view::{Reach, RocksCursor, View};

/// A database with what belongs to it. Fields are dropped in this order: the name is free when it is closed.
#[derive(Debug)]
pub(crate) struct Opened {
    database: DB,
    path: PathBuf,
    /// Why the first write or sync failed that did (E7).
    failure: OnceLock<String>,
    claim: Claim,
}

impl Opened {
    pub(crate) fn database(&self) -> &DB {
        &self.database
    }

    /// The handle of a family.
    pub(crate) fn family(&self, family: Family) -> Result<&ColumnFamily, EngineError> {
        let handle = self.database.cf_handle(family.name());
        handle.ok_or_else(|| EngineError::Io {
            what: format!("access to family {} in {}", family.name(), self.path.display()),
            cause: "a State store has no such family".into(),
        })
    }

    /// What a failed read means.
    pub(crate) fn read_error(&self, error: rocksdb::Error) -> EngineError {
        rocks_error("read", &self.path, error)
    }

    fn check_usable(&self) -> Result<(), EngineError> {
        match self.failure.get() {
            None => Ok(()),
            Some(cause) => {
                Err(self.refusal(format!("an earlier write or sync failed ({cause}): open the store anew")))
            }
        }
    }

    /// Ends writing through this handle when `result` is an error.
    fn settle(&self, action: &str, result: Result<(), rocksdb::Error>) -> Result<(), EngineError> {
        result.map_err(|error| {
            let _ = self.failure.set(error.to_string());
            rocks_error(action, &self.path, error)
        })
    }

    /// RocksDB writes out and compacts in the background. It tells the next write of an error there, unless it
    /// has got over it by then, as it tries to after a full disk: what became durable is unknown all the same.
    fn check_background(&self) -> Result<(), EngineError> {
        let errors = self.database.property_int_value(properties::BACKGROUND_ERRORS);
        if errors.is_ok_and(|errors| errors.is_none_or(|count| count == 0)) {
            return Ok(());
        }
        let cause = "writing out or compacting failed in the background; the file LOG in there says why";
        let _ = self.failure.set(cause.to_owned());
        Err(self.refusal(cause))
    }

    fn refusal(&self, cause: impl Into<String>) -> EngineError {
        EngineError::Io { what: format!("write to {}", self.path.display()), cause: cause.into() }
    }
}

/// The handle that [`Disk::open`](keelson_store_core::engine::Disk::open) gives out.
#[derive(Debug)]
pub(crate) struct Store {
    opened: Arc<Opened>,
}

impl Store {
    pub(crate) fn new(database: DB, path: PathBuf, claim: Claim) -> Self {
        let opened = Opened { database, path, failure: OnceLock::new(), claim };
        Self { opened: Arc::new(opened) }
    }

    fn cursor_of(&self, family: Family, reach: Reach) -> Box<dyn Cursor + '_> {
        let opened = &*self.opened;
        let entries = opened.family(family);
        let entries = entries.map(|handle| opened.database.raw_iterator_cf_opt(handle, reach.options()));
        Box::new(RocksCursor::new(opened, entries))
    }

    fn encode(&self, batch: &Batch) -> Result<WriteBatch, EngineError> {
        let mut encoded = WriteBatch::default();
        // RocksDB finds a family by its name: once a batch is enough.
        let mut families = [None; Family::ALL.len()];
        let mut handle = |family: Family| match &mut families[family as usize] {
            Some(known) => Ok(*known),
            unknown => self.opened.family(family).map(|found| *unknown.insert(found)),
        };
        for write in &batch.writes {
            match write {
                Write::Put { family, key, value } => encoded.put_cf(handle(*family)?, key, value),
                Write::Delete { family, key } => encoded.delete_cf(handle(*family)?, key),
                // RocksDB takes an inverted range for an error.
                Write::DeleteRange { start, end, .. } if start >= end => {}
                Write::DeleteRange { family, start, end } => {
                    encoded.delete_range_cf(handle(*family)?, start, end);
                }
            }
        }
        Ok(encoded)
    }

    /// Writes out every family up to the same moment.
    fn flush(&self) -> Result<(), rocksdb::Error> {
        let families: Vec<&ColumnFamily> =
            Family::of(Role::State).filter_map(|family| self.opened.family(family).ok()).collect();
        self.opened.database.flush_cfs_opt(&families, &FlushOptions::default())
    }

    fn make_checkpoint(&self, staging: &Path) -> Result<(), EngineError> {
        let made = Checkpoint::new(&self.opened.database).and_then(|it| it.create_checkpoint(staging));
        made.map_err(|error| rocks_error("make a checkpoint of", &self.opened.path, error))
    }
}

impl Read for Store {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let found = self.opened.database.get_pinned_cf(self.opened.family(family)?, key);
        let found = found.map_err(|error| self.opened.read_error(error))?;
        Ok(found.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        self.cursor_of(family, Reach::Family)
    }

    fn prefix_cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        self.cursor_of(family, Reach::Prefix)
    }
}

impl Engine for Store {
    fn view(&self) -> Arc<dyn Read> {
        Arc::new(View::new(Arc::clone(&self.opened)))
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        self.opened.check_usable()?;
        let encoded = self.encode(&batch)?;
        if encoded.is_empty() {
            return Ok(());
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let written = self.opened.database.write_opt(encoded, &options);
        self.opened.settle("write to", written)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.opened.check_usable()?;
        self.opened.settle("sync", self.flush())?;
        self.opened.check_background()
    }

    fn capture(&self, name: &str) -> Result<Box<dyn Capture>, EngineError> {
        self.opened.check_usable()?;
        let place = &self.opened.claim.place;
        Ok(Box::new(place.stage(name, Role::State, |staging| self.make_checkpoint(staging))?))
    }

    /// Tables and what is still in memory.
    fn size(&self) -> u64 {
        let size_of = |family| {
            let handle = self.opened.family(family).ok()?;
            let number = |name| self.opened.database.property_int_value_cf(handle, name).ok().flatten();
            let tables = number(properties::LIVE_SST_FILES_SIZE)?;
            Some(tables + number(properties::CUR_SIZE_ALL_MEM_TABLES)?)
        };
        Family::of(Role::State).filter_map(size_of).sum()
    }

    fn unwritten(&self) -> u64 {
        let in_memory = |family| {
            let handle = self.opened.family(family).ok()?;
            let size =
                self.opened.database.property_int_value_cf(handle, properties::CUR_SIZE_ALL_MEM_TABLES);
            size.ok().flatten()
        };
        Family::of(Role::State).filter_map(in_memory).sum()
    }

    fn reclaim(&self) -> Result<(), EngineError> {
        self.opened.check_usable()?;
        self.opened.settle("write out", self.flush())?;
        for family in Family::of(Role::State) {
            self.opened.database.compact_range_cf(self.opened.family(family)?, None::<&[u8]>, None::<&[u8]>);
        }
        self.opened.check_background()
    }
}
