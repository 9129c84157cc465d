//! Reads the versions that one revision sees, key by key.

use bytes::Bytes;

use crate::{
    command::{KeyRange, KeyValue},
    engine::{Cursor, EngineError, Family, Read},
    id::{ChangeId, LeaseId, Revision},
    schema::{self, KeyBounds, Record},
};

/// How many versions to step over before seeking: a step costs much less than a seek, and most keys have few.
const STEPS_BEFORE_SEEK: usize = 4;

/// A version of a key, still in the engine's memory.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'c> {
    prefix: &'c [u8],
    /// The change that made it.
    pub id: ChangeId,
    /// The revision that created the key.
    pub create_revision: Revision,
    /// How often the key was written since then.
    pub version: u64,
    /// The lease it hangs on.
    pub lease: LeaseId,
    /// The value.
    pub value: &'c [u8],
}

impl<'c> Visible<'c> {
    /// `None` when the record says that the key was deleted.
    pub(super) fn of(prefix: &'c [u8], id: ChangeId, value: &'c [u8]) -> Result<Option<Self>, EngineError> {
        Ok(match schema::decode_record(value)? {
            Record::Deleted => None,
            Record::Version { create_revision, version, lease, value } => {
                Some(Self { prefix, id, create_revision, version, lease, value })
            }
        })
    }

    /// The key.
    pub fn key(&self) -> Result<Bytes, EngineError> {
        schema::unescape(self.prefix)
    }

    /// A copy with its value.
    pub fn to_key_value(&self) -> Result<KeyValue, EngineError> {
        Ok(KeyValue { value: Bytes::copy_from_slice(self.value), ..self.without_value()? })
    }

    /// A copy without its value.
    pub fn without_value(&self) -> Result<KeyValue, EngineError> {
        Ok(self.under(self.key()?, Bytes::new()))
    }

    fn under(&self, key: Bytes, value: Bytes) -> KeyValue {
        KeyValue {
            key,
            value,
            create_revision: self.create_revision,
            mod_revision: self.id.revision,
            version: self.version,
            lease: self.lease,
        }
    }
}

/// The keys of a range as one revision sees them, in order.
pub struct Scan<'r> {
    cursor: Box<dyn Cursor + 'r>,
    bounds: KeyBounds,
    at: Revision,
    /// The prefix of the key that was answered last; its older versions are still ahead. Empty at first.
    answered: Vec<u8>,
}

impl<'r> Scan<'r> {
    /// Starts before the first key.
    pub fn new(read: &'r dyn Read, range: &KeyRange, at: Revision) -> Result<Self, EngineError> {
        let bounds = KeyBounds::of(range);
        let mut cursor = match range {
            KeyRange::Single(_) => read.prefix_cursor(Family::Keys),
            KeyRange::Span { .. } | KeyRange::From(_) => read.cursor(Family::Keys),
        };
        // Going straight to the revision makes a range of one key one seek.
        cursor.seek(&schema::record_key(bounds.start.clone(), ChangeId::last_of(at)))?;
        Ok(Self { cursor, bounds, at, answered: Vec::new() })
    }

    /// The next key that exists.
    pub fn next_key(&mut self) -> Result<Option<Visible<'_>>, EngineError> {
        loop {
            self.pass_answered()?;
            let Some(deleted) = self.pass_newer()? else { return Ok(None) };
            if !deleted {
                break;
            }
        }
        let Some((key, value)) = self.cursor.entry() else { return Ok(None) };
        let (prefix, id) = schema::split_record_key(key)?;
        Visible::of(prefix, id, value)
    }

    /// Goes on to the records of another key.
    fn pass_answered(&mut self) -> Result<(), EngineError> {
        if self.answered.is_empty() {
            return Ok(());
        }
        for _ in 0..STEPS_BEFORE_SEEK {
            if !self.stands_at_answered() {
                return Ok(());
            }
            self.cursor.next()?;
        }
        if self.stands_at_answered() { self.cursor.seek(&schema::first_past(&self.answered)) } else { Ok(()) }
    }

    fn stands_at_answered(&self) -> bool {
        self.cursor.entry().is_some_and(|(key, _)| key.starts_with(&self.answered))
    }

    /// Goes on to the next record that the revision sees; whether it says "deleted", or `None` at the end.
    fn pass_newer(&mut self) -> Result<Option<bool>, EngineError> {
        let mut steps = 0;
        while let Some((key, value)) = self.cursor.entry() {
            if self.bounds.ends_before(key) {
                return Ok(None);
            }
            let (prefix, id) = schema::split_record_key(key)?;
            if id.revision <= self.at {
                self.answered.clear();
                self.answered.extend_from_slice(prefix);
                return Ok(Some(schema::decode_record(value)? == Record::Deleted));
            }
            steps += 1;
            if steps <= STEPS_BEFORE_SEEK {
                self.cursor.next()?;
            } else {
                steps = 0;
                let seen = schema::record_key(prefix.to_vec(), ChangeId::last_of(self.at));
                self.cursor.seek(&seen)?;
            }
        }
        Ok(None)
    }
}

/// What `found` makes of the newest version of a key, if the key exists.
pub fn newest<T>(
    read: &dyn Read,
    key: &[u8],
    found: impl FnOnce(Visible<'_>) -> T,
) -> Result<Option<T>, EngineError> {
    let prefix = schema::record_prefix(key);
    let mut cursor = read.prefix_cursor(Family::Keys);
    cursor.seek(&prefix)?;
    let Some((record_key, value)) = cursor.entry().filter(|(key, _)| key.starts_with(&prefix)) else {
        return Ok(None);
    };
    let (prefix, id) = schema::split_record_key(record_key)?;
    Ok(Visible::of(prefix, id, value)?.map(found))
}

/// The version of a key that one change made. `None` when it made none, or when it has been swept away.
pub fn version(read: &dyn Read, key: &[u8], id: ChangeId) -> Result<Option<KeyValue>, EngineError> {
    let prefix = schema::record_prefix(key);
    let prefix_len = prefix.len();
    let record_key = schema::record_key(prefix, id);
    let Some(value) = read.get(Family::Keys, &record_key)? else { return Ok(None) };
    let visible = Visible::of(&record_key[..prefix_len], id, &value)?;
    Ok(visible.map(|visible| visible.under(Bytes::copy_from_slice(key), value.slice_ref(visible.value))))
}
