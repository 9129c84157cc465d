//! An open store: the engine handle, the views taken from it, and their cursors.
//!
//! In: calls of the [`Engine`] contract. Out: images of the store, or the fault that the disk was told to
//! show. The handle and all its views share one [`Session`]; a store is free to be opened again when the last
//! of them is dropped, as with an engine that locks its folder.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::contents::Contents;
use super::store::{Image, Store, check_family};
use super::tree::{Node, Record};
use super::{Fate, lock};
use crate::engine::{Batch, Capture, Cursor, Engine, EngineError, Family, Read, Role, Write};

/// One opening of a store.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) store: Arc<Mutex<Store>>,
    pub(super) health: Mutex<Health>,
}

/// What a session is still good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Everything.
    Sound,
    /// Reading only: a write or a sync failed (E7).
    Failed,
    /// Nothing: the machine went down.
    Crashed,
}

impl Session {
    fn check_readable(&self) -> Result<(), EngineError> {
        match *lock(&self.health) {
            Health::Sound | Health::Failed => Ok(()),
            Health::Crashed => Err(self.error("the machine crashed since this was opened")),
        }
    }

    fn check_writable(&self) -> Result<(), EngineError> {
        match *lock(&self.health) {
            Health::Sound => Ok(()),
            Health::Failed => Err(self.error("an earlier write or sync failed: open the store anew")),
            Health::Crashed => Err(self.error("the machine crashed since this was opened")),
        }
    }

    /// Ends writing through this session, and says why.
    fn fail(&self, cause: &str) -> EngineError {
        *lock(&self.health) = Health::Failed;
        self.error(cause)
    }

    fn error(&self, cause: &str) -> EngineError {
        EngineError::Io { what: format!("store {}", self.name), cause: cause.into() }
    }
}

/// The handle that [`Disk::open`](crate::engine::Disk::open) gives out.
#[derive(Debug)]
pub(super) struct MemEngine {
    pub(super) session: Arc<Session>,
    pub(super) disk: Arc<Mutex<Contents>>,
}

impl MemEngine {
    fn now(&self) -> View {
        let image = lock(&self.session.store).current().clone();
        View { session: Arc::clone(&self.session), disk: Arc::clone(&self.disk), image }
    }

    fn check_families(&self, batch: &Batch) -> Result<(), EngineError> {
        batch.writes.iter().try_for_each(|write| {
            let (Write::Put { family, .. }
            | Write::Delete { family, .. }
            | Write::DeleteRange { family, .. }) = write;
            check_family(self.session.role, *family)
        })
    }
}

impl Read for MemEngine {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.now().get(family, key)
    }

    fn cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        Box::new(MemCursor { view: self.now(), family, at: None })
    }
}

impl Engine for MemEngine {
    fn view(&self) -> Arc<dyn Read> {
        Arc::new(self.now())
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        self.check_families(&batch)?;
        let disk = lock(&self.disk);
        self.session.check_writable()?;
        let next = lock(&self.session.store).current().after(&batch);
        let growth = next.bytes().saturating_sub(lock(&self.session.store).current().bytes());
        if !disk.has_room_for(growth) {
            return Err(self.session.fail("no space left on device"));
        }
        let fate = disk.faults.write_error;
        if fate != Some(Fate::Lost) {
            lock(&self.session.store).push(next);
        }
        fate.map_or(Ok(()), |_| Err(self.session.fail("input/output error in write")))
    }

    fn sync(&self) -> Result<(), EngineError> {
        let disk = lock(&self.disk);
        self.session.check_writable()?;
        let fate = disk.faults.sync_error;
        if fate != Some(Fate::Lost) {
            lock(&self.session.store).sync();
        }
        fate.map_or(Ok(()), |_| Err(self.session.fail("input/output error in sync")))
    }

    fn capture(&self, name: &str) -> Result<Box<dyn Capture>, EngineError> {
        self.session.check_writable()?;
        let image = lock(&self.session.store).current().clone();
        let (session, disk) = (self.session.clone(), self.disk.clone());
        Ok(Box::new(Captured { session, disk, name: name.to_owned(), image }))
    }

    fn size(&self) -> u64 {
        lock(&self.session.store).current().bytes()
    }
}

/// What a checkpoint is to hold.
struct Captured {
    session: Arc<Session>,
    disk: Arc<Mutex<Contents>>,
    name: String,
    image: Image,
}

impl Capture for Captured {
    fn keep(self: Box<Self>) -> Result<(), EngineError> {
        let mut disk = lock(&self.disk);
        self.session.check_writable()?;
        disk.add_checkpoint(&self.name, self.session.role, &self.image)
    }
}

/// A store at one moment.
#[derive(Clone)]
struct View {
    session: Arc<Session>,
    disk: Arc<Mutex<Contents>>,
    image: Image,
}

impl View {
    fn check(&self, family: Family) -> Result<(), EngineError> {
        self.session.check_readable()?;
        check_family(self.session.role, family)?;
        if lock(&self.disk).faults.read_error {
            return Err(self.session.error("input/output error in read"));
        }
        Ok(())
    }

    fn value(&self, family: Family, node: &Node) -> Result<Bytes, EngineError> {
        match &node.record {
            Record::Intact(value) => Ok(value.clone()),
            Record::Damaged => Err(EngineError::Corrupt {
                what: format!("store {}, family {}", self.session.name, family.name()),
                detail: "a record's checksum does not fit".into(),
            }),
        }
    }
}

impl Read for View {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.check(family)?;
        self.image.tree(family).get(key).map(|node| self.value(family, &node)).transpose()
    }

    fn cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        Box::new(MemCursor { view: self.clone(), family, at: None })
    }
}

/// A position in one family of a view.
struct MemCursor {
    view: View,
    family: Family,
    at: Option<(Bytes, Bytes)>,
}

impl MemCursor {
    /// Moves to `node`; after an error the cursor stands nowhere.
    fn move_to(&mut self, node: Option<Arc<Node>>) -> Result<(), EngineError> {
        self.at = None;
        self.view.check(self.family)?;
        if let Some(node) = node {
            self.at = Some((node.key.clone(), self.view.value(self.family, &node)?));
        }
        Ok(())
    }
}

impl Cursor for MemCursor {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.move_to(self.view.image.tree(self.family).at_or_after(key))
    }

    fn seek_back(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.move_to(self.view.image.tree(self.family).at_or_before(key))
    }

    fn next(&mut self) -> Result<(), EngineError> {
        match self.at.take() {
            Some((key, _)) => self.move_to(self.view.image.tree(self.family).after(&key)),
            None => Ok(()),
        }
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.at.as_ref().map(|(key, value)| (&key[..], &value[..]))
    }
}
