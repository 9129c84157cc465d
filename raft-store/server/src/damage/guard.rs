//! Engines that tell of damage.
//!
//! In: any engine. Out: the same one; whatever it finds to be damaged is noted before the caller hears of it.

use std::sync::Arc;

use bytes::Bytes;
use keelson_store_core::engine::{Batch, Capture, Cursor, Engine, EngineError, Family, Read, Write};

use super::Sentinel;
use crate::record::DamagedPart;

/// An engine, or a view of one, whose damage is noted.
pub(super) struct Guarded<T: ?Sized> {
    inner: Arc<T>,
    sentinel: Arc<Sentinel>,
}

struct GuardedCursor<'r> {
    inner: Box<dyn Cursor + 'r>,
    family: Family,
    sentinel: &'r Sentinel,
}

impl<T: ?Sized> Guarded<T> {
    pub(super) fn new(inner: Arc<T>, sentinel: Arc<Sentinel>) -> Self {
        Self { inner, sentinel }
    }
}

/// Which part a family belongs to. `None` where nothing can be made anew: then the store ends, and does not open (D3).
const fn part(family: Family) -> Option<DamagedPart> {
    match family {
        Family::LogMeta => None,
        Family::LogEntries => Some(DamagedPart::Log),
        Family::Meta | Family::Keys | Family::Changes | Family::Leases | Family::LeaseKeys => {
            Some(DamagedPart::State)
        }
    }
}

const fn family(write: &Write) -> Family {
    match write {
        Write::Put { family, .. } | Write::Delete { family, .. } | Write::DeleteRange { family, .. } => {
            *family
        }
    }
}

fn look<T>(sentinel: &Sentinel, family: Family, result: Result<T, EngineError>) -> Result<T, EngineError> {
    match part(family) {
        Some(part) => sentinel.look(part, result),
        None => sentinel.look_at_promises(result),
    }
}

impl<T: Read + ?Sized> Read for Guarded<T> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        look(&self.sentinel, family, self.inner.get(family, key))
    }

    fn cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        Box::new(GuardedCursor { inner: self.inner.cursor(family), family, sentinel: &self.sentinel })
    }

    fn prefix_cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        Box::new(GuardedCursor { inner: self.inner.prefix_cursor(family), family, sentinel: &self.sentinel })
    }
}

impl Engine for Guarded<dyn Engine> {
    fn view(&self) -> Arc<dyn Read> {
        Arc::new(Guarded::new(self.inner.view(), self.sentinel.clone()))
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        // Engines that tidy up in the background tell the next writer what they have found. In a log that may be its
        // records, too: whoever reads them will know.
        let family = batch.writes.first().map(family);
        look(&self.sentinel, family.unwrap_or(Family::LogMeta), self.inner.write(batch))
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.inner.sync()
    }

    fn capture(&self, name: &str) -> Result<Box<dyn Capture>, EngineError> {
        self.inner.capture(name)
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn unwritten(&self) -> u64 {
        self.inner.unwritten()
    }

    fn reclaim(&self) -> Result<(), EngineError> {
        self.inner.reclaim()
    }
}

impl Cursor for GuardedCursor<'_> {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        look(self.sentinel, self.family, self.inner.seek(key))
    }

    fn seek_back(&mut self, key: &[u8]) -> Result<(), EngineError> {
        look(self.sentinel, self.family, self.inner.seek_back(key))
    }

    fn next(&mut self) -> Result<(), EngineError> {
        look(self.sentinel, self.family, self.inner.next())
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.inner.entry()
    }
}
