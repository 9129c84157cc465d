//! Reads at one moment, and cursors over them.
//!
//! In: an open store. Out: a [`View`] that owns its share of it, so that it outlives the handle it came from.
//!
//! This is the one module with unsafe code: a RocksDB snapshot borrows its database, and a view has to hold
//! both.
#![allow(unsafe_code, reason = "a view owns a database and a snapshot that borrows from it")]

use std::sync::Arc;

use bytes::Bytes;
use keelson_store_core::engine::{Cursor, EngineError, Family, Read};
use rocksdb::{DB, DBRawIterator, ReadOptions, Snapshot};

use crate::store::Opened;

/// A snapshot with the database that it belongs to.
pub(crate) struct View {
    /// Borrows from `opened` in truth, not for `'static`. Stands first because fields are dropped in order.
    snapshot: Snapshot<'static>,
    opened: Arc<Opened>,
}

impl View {
    pub(crate) fn new(opened: Arc<Opened>) -> Self {
        let database: *const DB = opened.database();
        // SAFETY: the database lies in the heap allocation behind `opened`, which does not move, is only ever
        // borrowed shared, and lives at least as long as this view, for the view keeps a count of it. The
        // longer lifetime does not get out: `snapshot` is private, every use of it below is bound to `&self`,
        // and it is dropped before `opened`.
        let database: &'static DB = unsafe { &*database };
        Self { snapshot: database.snapshot(), opened }
    }

    fn cursor_of(&self, family: Family, reach: Reach) -> Box<dyn Cursor + '_> {
        let entries = self.opened.family(family);
        let entries = entries.map(|handle| self.snapshot.raw_iterator_cf_opt(handle, reach.options()));
        Box::new(RocksCursor::new(&self.opened, entries))
    }
}

impl Read for View {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let found = self.snapshot.get_pinned_cf(self.opened.family(family)?, key);
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

/// What a cursor sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All of its family.
    Family,
    /// What begins like the key it was sought at: buffers and tables whose filters have nothing of it are passed over.
    Prefix,
}

impl Reach {
    pub(crate) fn options(self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(self == Self::Family);
        options
    }
}

/// A position in one family.
pub(crate) struct RocksCursor<'a> {
    opened: &'a Opened,
    /// The error is for a family that the store does not have: every move answers with it.
    entries: Result<DBRawIterator<'a>, EngineError>,
}

impl<'a> RocksCursor<'a> {
    pub(crate) fn new(opened: &'a Opened, entries: Result<DBRawIterator<'a>, EngineError>) -> Self {
        Self { opened, entries }
    }

    /// Makes a move. RocksDB ends an iteration at an error just as at the last entry, so that has to be told
    /// apart afterwards.
    fn step(&mut self, step: impl FnOnce(&mut DBRawIterator<'a>)) -> Result<(), EngineError> {
        let entries = self.entries.as_mut().map_err(|error| error.clone())?;
        step(entries);
        if entries.valid() {
            return Ok(());
        }
        entries.status().map_err(|error| self.opened.read_error(error))
    }
}

impl Cursor for RocksCursor<'_> {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.step(|entries| entries.seek(key))
    }

    fn seek_back(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.step(|entries| entries.seek_for_prev(key))
    }

    fn next(&mut self) -> Result<(), EngineError> {
        self.step(DBRawIterator::next)
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.entries.as_ref().ok()?.item()
    }
}
