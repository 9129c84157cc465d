//! Writes that are not in the engine yet, and reads that see them.
//!
//! In: an engine's reader and the writes of a batch that is being made. Out: a [`Read`] on which later
//! commands of the batch see what earlier ones wrote, and in the end one [`Batch`].
//!
//! The reader below must stand still meanwhile: the state machine is the only writer, and it writes only
//! when the overlay is done. So one cursor per family is kept for the life of the overlay, and a seek to where
//! it already stands is free; a compare and a put of the same key cost one seek together.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, btree_map},
    ops::Bound,
    sync::{Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};

use crate::engine::{Batch, Cursor, EngineError, Family, Read};

const FAMILIES: usize = Family::ALL.len();

/// What becomes of a key; `None` deletes it.
type Pending = BTreeMap<Bytes, Option<Bytes>>;

/// Pending writes over a reader.
pub struct Overlay<'e> {
    base: &'e dyn Read,
    pending: [Pending; FAMILIES],
    /// What nobody reads before it is in the engine.
    unread: Vec<(Family, Bytes, Bytes)>,
    /// Cursors that nobody is using, by family.
    idle: [Idle<'e>; FAMILIES],
    /// The same of those that see one prefix at a time.
    idle_prefix: [Idle<'e>; FAMILIES],
    /// Where keys and values are made that live no longer than the batch.
    memory: BytesMut,
    /// How much of it there has been.
    taken: usize,
}

/// The first piece of memory for a batch is for a change; each further one is as large as all before, but not larger
const LEAST_MEMORY: usize = 512;
/// than this.
const MOST_MEMORY: usize = 64 << 10;

/// A place for a cursor that is kept for the next one who needs it.
type Idle<'e> = Mutex<Option<BaseCursor<'e>>>;

impl<'e> Overlay<'e> {
    /// No writes yet.
    pub fn new(base: &'e dyn Read) -> Self {
        Self {
            base,
            pending: Default::default(),
            unread: Vec::new(),
            idle: Default::default(),
            idle_prefix: Default::default(),
            memory: BytesMut::new(),
            taken: 0,
        }
    }

    /// Makes a key or a value of about `len` bytes. Whoever keeps it longer than the batch copies it: it shares its memory.
    pub(super) fn make(&mut self, len: usize, fill: impl FnOnce(&mut BytesMut)) -> Bytes {
        if self.memory.capacity() < len {
            let piece = self.taken.clamp(LEAST_MEMORY, MOST_MEMORY).max(len);
            self.memory = BytesMut::with_capacity(piece);
            self.taken += piece;
        }
        fill(&mut self.memory);
        self.memory.split().freeze()
    }

    /// The reader below.
    pub(super) const fn base(&self) -> &'e dyn Read {
        self.base
    }

    /// Sets a key.
    pub fn put(&mut self, family: Family, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.pending[family as usize].insert(key.into(), Some(value.into()));
    }

    /// Sets a key that is set once, and not read through this. Costs less than [`Self::put`].
    pub(super) fn put_unread(&mut self, family: Family, key: Bytes, value: Bytes) {
        self.unread.push((family, key, value));
    }

    /// Removes a key.
    pub fn delete(&mut self, family: Family, key: impl Into<Bytes>) {
        self.pending[family as usize].insert(key.into(), None);
    }

    /// All writes, by family and key, and behind them what nobody read, in its order.
    pub fn into_batch(self) -> Batch {
        let mut batch = Batch::default();
        for (family, pending) in Family::ALL.into_iter().zip(self.pending) {
            for (key, value) in pending {
                match value {
                    Some(value) => batch.put(family, key, value),
                    None => batch.delete(family, key),
                }
            }
        }
        for (family, key, value) in self.unread {
            batch.put(family, key, value);
        }
        batch
    }

    /// The first key that begins with `prefix` and is set here.
    pub(super) fn first_put(&self, family: Family, prefix: &[u8]) -> Option<(&Bytes, &Bytes)> {
        let ahead = (Bound::Included(prefix), Bound::Unbounded);
        let mut ahead = self.pending[family as usize].range::<[u8], _>(ahead);
        ahead.find_map(|(key, value)| Some((key, value.as_ref()?))).filter(|(key, _)| key.starts_with(prefix))
    }

    /// A cursor over both halves, the lower one from `home`, or made where there is none.
    fn merging<'o>(
        &'o self,
        family: Family,
        home: &'o Idle<'e>,
        make: impl FnOnce() -> Box<dyn Cursor + 'e>,
    ) -> Box<dyn Cursor + 'o> {
        // A poisoned slot holds a whole cursor or none: taking it is one step.
        let idle = home.lock().unwrap_or_else(PoisonError::into_inner).take();
        let pending = &self.pending[family as usize];
        Box::new(MergingCursor {
            base: Some(idle.unwrap_or_else(|| BaseCursor { cursor: make(), sought: None })),
            home,
            pending,
            ahead: pending.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(&[][..]))),
            head: None,
            at: At::Nowhere,
        })
    }
}

impl Read for Overlay<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        match self.pending[family as usize].get(key) {
            Some(pending) => Ok(pending.clone()),
            None => self.base.get(family, key),
        }
    }

    fn cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        self.merging(family, &self.idle[family as usize], || self.base.cursor(family))
    }

    fn prefix_cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        self.merging(family, &self.idle_prefix[family as usize], || self.base.prefix_cursor(family))
    }
}

/// A cursor of the reader below, which remembers what it was last sent to.
struct BaseCursor<'e> {
    cursor: Box<dyn Cursor + 'e>,
    /// The target of the last seek, unless it has moved since.
    sought: Option<Vec<u8>>,
}

impl BaseCursor<'_> {
    fn key(&self) -> Option<&[u8]> {
        self.cursor.entry().map(|(key, _)| key)
    }

    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        if self.sought.as_deref() == Some(key) {
            return Ok(());
        }
        let mut sought = self.sought.take().unwrap_or_default();
        self.cursor.seek(key)?;
        sought.clear();
        sought.extend_from_slice(key);
        self.sought = Some(sought);
        Ok(())
    }

    fn seek_back(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.sought = None;
        self.cursor.seek_back(key)
    }

    fn next(&mut self) -> Result<(), EngineError> {
        self.sought = None;
        self.cursor.next()
    }

    /// The last key before `key`, found by walking up from a place below: the contract has no step backwards.
    fn last_before(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let Some((_, below)) = key.split_last() else { return Ok(None) };
        self.seek_back(below)?;
        if self.key().is_none() {
            self.seek(&[])?;
        }
        let mut last = None;
        while let Some(found) = self.key().filter(|found| *found < key) {
            last = Some(found.to_vec());
            self.next()?;
        }
        Ok(last)
    }
}

/// Where the two halves of a [`MergingCursor`] stand.
enum At<'o> {
    Nowhere,
    Base,
    Pending(&'o Bytes, &'o Bytes),
}

/// Walks the reader below and the pending writes as one.
struct MergingCursor<'o, 'e> {
    /// Always there until the cursor is dropped, when it goes home.
    base: Option<BaseCursor<'e>>,
    home: &'o Idle<'e>,
    pending: &'o Pending,
    /// The pending writes after `head`.
    ahead: btree_map::Range<'o, Bytes, Option<Bytes>>,
    head: Option<(&'o Bytes, &'o Option<Bytes>)>,
    at: At<'o>,
}

impl<'o, 'e> MergingCursor<'o, 'e> {
    fn base(&mut self) -> &mut BaseCursor<'e> {
        self.base.as_mut().expect("the cursor goes home only when this is dropped")
    }

    fn base_key(&self) -> Option<&[u8]> {
        self.base.as_ref().and_then(BaseCursor::key)
    }

    /// Decides which half the current entry comes from, passing over what is deleted.
    fn settle(&mut self) -> Result<(), EngineError> {
        loop {
            let (from, passes_base) = match (self.base_key(), self.head) {
                (None, None) => (Some(At::Nowhere), false),
                (Some(_), None) => (Some(At::Base), false),
                (None, Some(head)) => (pending(head), false),
                (Some(base), Some(head)) => match base.cmp(head.0) {
                    Ordering::Less => (Some(At::Base), false),
                    Ordering::Equal => (pending(head), true),
                    Ordering::Greater => (pending(head), false),
                },
            };
            if let Some(at) = from {
                self.at = at;
                return Ok(());
            }
            self.head = self.ahead.next();
            if passes_base {
                self.base().next()?;
            }
        }
    }

    /// The last key at or before `key` that is not deleted.
    fn find_back(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let pending = self.pending;
        let mut writes = pending.range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        let mut write = writes.next_back();
        self.base().seek_back(key)?;
        let mut base = self.base_key().map(<[u8]>::to_vec);
        while let Some((written, value)) = write {
            match base.as_deref().map_or(Ordering::Less, |base| base.cmp(written)) {
                Ordering::Greater => break,
                Ordering::Less | Ordering::Equal if value.is_some() => return Ok(Some(written.to_vec())),
                Ordering::Less => {}
                Ordering::Equal => base = self.base().last_before(written)?,
            }
            write = writes.next_back();
        }
        Ok(base)
    }
}

/// The entry that a write makes; `None` when it deletes.
fn pending<'o>((key, value): (&'o Bytes, &'o Option<Bytes>)) -> Option<At<'o>> {
    value.as_ref().map(|value| At::Pending(key, value))
}

impl Cursor for MergingCursor<'_, '_> {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.base().seek(key)?;
        self.ahead = self.pending.range::<[u8], _>((Bound::Included(key), Bound::Unbounded));
        self.head = self.ahead.next();
        self.settle()
    }

    fn seek_back(&mut self, key: &[u8]) -> Result<(), EngineError> {
        match self.find_back(key)? {
            Some(found) => self.seek(&found),
            None => {
                self.at = At::Nowhere;
                Ok(())
            }
        }
    }

    fn next(&mut self) -> Result<(), EngineError> {
        match self.at {
            At::Nowhere => return Ok(()),
            At::Base => self.base().next()?,
            At::Pending(key, _) => {
                if self.base_key() == Some(key) {
                    self.base().next()?;
                }
                self.head = self.ahead.next();
            }
        }
        self.settle()
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        match self.at {
            At::Nowhere => None,
            At::Base => self.base.as_ref().and_then(|base| base.cursor.entry()),
            At::Pending(key, value) => Some((key, value)),
        }
    }
}

impl Drop for MergingCursor<'_, '_> {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.base.take();
    }
}

#[cfg(test)]
mod tests;
