//! Reads of a log at one moment.

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;
use keelson_store_core::engine::{Cursor, EngineError, Family, Read};

use crate::{
    Home,
    index::{Index, Key, Slot, Slots},
};

/// A log at one moment.
pub(crate) struct View {
    index: Index,
    /// What must live as long as somebody reads.
    _home: Arc<dyn Home>,
}

impl View {
    pub(crate) fn new(index: Index, home: Arc<dyn Home>) -> Self {
        Self { index, _home: home }
    }
}

impl Read for View {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.index.get(family, key)
    }

    fn cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        Box::new(LogCursor::new(self.index.clone(), family))
    }
}

/// A position in one family.
pub(crate) struct LogCursor {
    index: Index,
    family: Family,
    at: Option<(Key, Bytes)>,
}

impl LogCursor {
    pub(crate) fn new(index: Index, family: Family) -> Self {
        Self { index, family, at: None }
    }

    /// Moves to an entry; after an error the cursor stands nowhere.
    fn stand(
        &mut self,
        find: impl for<'s> FnOnce(&'s Slots) -> Option<(&'s Key, &'s Slot)>,
    ) -> Result<(), EngineError> {
        self.at = None;
        if let Some((key, slot)) = find(self.index.slots(self.family)?) {
            self.at = Some((key.clone(), slot.load()?));
        }
        Ok(())
    }
}

impl Cursor for LogCursor {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.stand(|slots| slots.range::<[u8], _>((Bound::Included(key), Bound::Unbounded)).next())
    }

    fn seek_back(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.stand(|slots| slots.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back())
    }

    fn next(&mut self) -> Result<(), EngineError> {
        let Some((key, _)) = self.at.take() else { return Ok(()) };
        self.stand(|slots| slots.range::<[u8], _>((Bound::Excluded(&key[..]), Bound::Unbounded)).next())
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.at.as_ref().map(|(key, value)| (&key[..], &value[..]))
    }
}
