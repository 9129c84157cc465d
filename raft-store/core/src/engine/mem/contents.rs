//! Everything on one in-memory disk, behind the one lock that its handles share.
//!
//! In: names, file contents, faults. Out: folders as a file system would show them, and after
//! [`Contents::crash`] as a power cut would leave them. A name is taken while any handle or view of its store
//! lives, also after the store was removed, as with an engine that locks its folder.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;

use super::file::File;
use super::handle::{Health, Session};
use super::image_file;
use super::store::{Image, Store};
use super::{AtRisk, Fate, Faults, lock};
use crate::engine::{EngineError, Family, Role, Space};

/// No file of a simulation needs more; an absurd offset must not take the machine's memory.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// One part in so many of a limited disk is its reserve.
const RESERVE_SHARE: u64 = 4;

/// The disk; see the module's text.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) faults: Faults,
    folders: BTreeMap<String, Folder>,
    sessions: BTreeMap<String, Weak<Session>>,
}

/// What a name stands for.
#[derive(Debug)]
enum Folder {
    Store(Arc<Mutex<Store>>),
    Files(BTreeMap<String, File>),
}

impl Contents {
    /// Opens a store: one that is there, a copied checkpoint, or an empty one.
    pub(super) fn open(&mut self, name: &str, role: Role) -> Result<Arc<Session>, EngineError> {
        check_name(name)?;
        self.check_read(name)?;
        self.check_free(name)?;
        let store = match self.folders.get(name) {
            None => Arc::new(Mutex::new(Store::new(role, Image::default()))),
            Some(Folder::Store(store)) => Arc::clone(store),
            Some(Folder::Files(files)) => Arc::new(Mutex::new(store_from(name, role, files)?)),
        };
        check_store(name, role, &lock(&store))?;
        self.folders.insert(name.into(), Folder::Store(Arc::clone(&store)));
        let session = Arc::new(Session { name: name.into(), role, store, health: Mutex::new(Health::Sound) });
        self.sessions.insert(name.into(), Arc::downgrade(&session));
        Ok(session)
    }

    /// All names, sorted.
    pub(super) fn list(&self) -> Vec<String> {
        self.folders.keys().cloned().collect()
    }

    /// Forgets a name. Handles keep their store alive.
    pub(super) fn remove(&mut self, name: &str) -> Result<(), EngineError> {
        check_name(name)?;
        self.folders.remove(name);
        Ok(())
    }

    /// Lengths of a folder's files.
    pub(super) fn files(&self, name: &str) -> Result<Vec<(String, u64)>, EngineError> {
        check_name(name)?;
        self.check_read(name)?;
        let files = self.folder(name)?;
        Ok(files.iter().map(|(file, data)| (file.clone(), data.contents().len() as u64)).collect())
    }

    /// A stretch of a file; empty at its end and past it.
    pub(super) fn read_file(
        &self,
        name: &str,
        file: &str,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, EngineError> {
        check_name(name)?;
        check_name(file)?;
        self.check_read(name)?;
        let contents = self.folder(name)?.get(file).ok_or_else(|| io(name, "no such file"))?.contents();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
        let end = start.saturating_add(len).min(contents.len());
        Ok(Bytes::copy_from_slice(&contents[start..end]))
    }

    /// Writes into a file, making it and its folder as needed.
    pub(super) fn write_file(
        &mut self,
        name: &str,
        file: &str,
        offset: u64,
        data: &[u8],
    ) -> Result<(), EngineError> {
        check_name(name)?;
        check_name(file)?;
        self.check_free(name)?;
        if offset.saturating_add(data.len() as u64) > MAX_FILE_BYTES {
            return Err(io(name, "file too large"));
        }
        if !self.has_room_for(data.len() as u64) {
            return Err(io(name, "no space left on device"));
        }
        let fate = self.faults.write_error;
        let folder = self.folders.entry(name.into()).or_insert_with(|| Folder::Files(BTreeMap::new()));
        let Folder::Files(files) = folder else { return Err(io(name, "is a store, not a folder of files")) };
        if fate != Some(Fate::Lost) {
            let start = usize::try_from(offset).expect("at most MAX_FILE_BYTES");
            files.entry(file.into()).or_default().write(start, data);
        }
        fate.map_or(Ok(()), |_| Err(io(name, "input/output error in write")))
    }

    /// Makes a folder's files durable.
    pub(super) fn sync_folder(&mut self, name: &str) -> Result<(), EngineError> {
        check_name(name)?;
        let fate = self.faults.sync_error;
        match self.folders.get_mut(name) {
            None => return Err(io(name, "no such folder")),
            Some(Folder::Store(_)) => return Err(io(name, "is a store, not a folder of files")),
            Some(Folder::Files(_)) if fate == Some(Fate::Lost) => {}
            Some(Folder::Files(files)) => files.values_mut().for_each(File::sync),
        }
        fate.map_or(Ok(()), |_| Err(io(name, "input/output error in sync")))
    }

    /// Adds a durable folder that holds an image.
    pub(super) fn add_checkpoint(
        &mut self,
        name: &str,
        role: Role,
        image: &Image,
    ) -> Result<(), EngineError> {
        check_name(name)?;
        self.check_free(name)?;
        if self.folders.contains_key(name) {
            return Err(io(name, "exists already"));
        }
        let contents = image_file::encode(role, image);
        if !self.has_room_for(contents.len() as u64) {
            return Err(io(name, "no space left on device"));
        }
        let fate = self.faults.write_error.or(self.faults.sync_error);
        if fate != Some(Fate::Lost) {
            let file = (image_file::FILE_NAME.to_owned(), File::durable(contents));
            self.folders.insert(name.into(), Folder::Files(BTreeMap::from([file])));
        }
        fate.map_or(Ok(()), |_| Err(io(name, "input/output error in checkpoint")))
    }

    /// The same folders, all of it durable, without faults and with nothing open.
    pub(super) fn copy(&self) -> Self {
        self.copy_by(Store::copy, |file| File::durable(file.contents().to_vec()))
    }

    /// What the power going now would leave, if it took everything that is not synced; without faults and with nothing open.
    pub(super) fn lasting(&self) -> Self {
        let mut left = self.copy_by(Store::clone, File::clone);
        left.crash(&mut |_| 0);
        left
    }

    fn copy_by(&self, store_of: fn(&Store) -> Store, file_of: fn(&File) -> File) -> Self {
        let copy_of = |folder: &Folder| match folder {
            Folder::Store(store) => Folder::Store(Arc::new(Mutex::new(store_of(&lock(store))))),
            Folder::Files(files) => {
                Folder::Files(files.iter().map(|(name, file)| (name.clone(), file_of(file))).collect())
            }
        };
        let folders = self.folders.iter().map(|(name, folder)| (name.clone(), copy_of(folder))).collect();
        Self { faults: Faults::default(), folders, sessions: BTreeMap::new() }
    }

    /// The power goes: every handle is dead, and of what was not synced only as much is left as `survivors` says.
    pub(super) fn crash(&mut self, survivors: &mut dyn FnMut(AtRisk<'_>) -> usize) {
        for session in std::mem::take(&mut self.sessions).into_values().filter_map(|weak| weak.upgrade()) {
            *lock(&session.health) = Health::Crashed;
        }
        for (name, folder) in &mut self.folders {
            match folder {
                Folder::Store(store) => crash_store(name, &mut lock(store), survivors),
                Folder::Files(files) => crash_files(name, files, survivors),
            }
        }
        self.folders.retain(|_, folder| match folder {
            Folder::Store(_) => true,
            Folder::Files(files) => !files.is_empty(),
        });
    }

    /// Spoils one record of a store. False when there is none.
    pub(super) fn damage_record(&mut self, name: &str, family: Family, key: &[u8]) -> bool {
        match self.folders.get(name) {
            Some(Folder::Store(store)) => lock(store).damage(family, key),
            Some(Folder::Files(_)) | None => false,
        }
    }

    /// Spoils a store so that it no longer opens. False when there is none.
    pub(super) fn damage_store(&mut self, name: &str) -> bool {
        match self.folders.get(name) {
            Some(Folder::Store(store)) => {
                lock(store).damaged = true;
                true
            }
            Some(Folder::Files(_)) | None => false,
        }
    }

    /// Flips a bit of a file. False when there is no such byte.
    pub(super) fn damage_file(&mut self, name: &str, file: &str, offset: usize) -> bool {
        match self.folders.get_mut(name) {
            Some(Folder::Files(files)) => files.get_mut(file).is_some_and(|file| file.damage(offset)),
            Some(Folder::Store(_)) | None => false,
        }
    }

    /// True when the disk can grow by so many bytes. What does not grow always fits.
    pub(super) fn has_room_for(&self, growth: u64) -> bool {
        growth == 0 || self.space().is_none_or(|space| growth <= space.free)
    }

    /// The room that a limited disk has.
    pub(super) fn space(&self) -> Option<Space> {
        let total = self.faults.capacity_bytes?;
        let used: u64 = self.folders.values().map(Folder::bytes).sum();
        Some(Space { free: total.saturating_sub(used), total, reserve: total / RESERVE_SHARE, least: 0 })
    }

    fn folder(&self, name: &str) -> Result<&BTreeMap<String, File>, EngineError> {
        match self.folders.get(name) {
            Some(Folder::Files(files)) => Ok(files),
            Some(Folder::Store(_)) => Err(io(name, "is a store, not a folder of files")),
            None => Err(io(name, "no such folder")),
        }
    }

    fn check_read(&self, name: &str) -> Result<(), EngineError> {
        if self.faults.read_error { Err(io(name, "input/output error in read")) } else { Ok(()) }
    }

    /// Refuses a name whose store somebody still holds open.
    fn check_free(&self, name: &str) -> Result<(), EngineError> {
        let is_open = self.sessions.get(name).is_some_and(|session| session.strong_count() > 0);
        if is_open { Err(io(name, "a handle or a view of it is still open")) } else { Ok(()) }
    }
}

impl Folder {
    fn bytes(&self) -> u64 {
        match self {
            Self::Store(store) => lock(store).current().bytes(),
            Self::Files(files) => files.values().map(|file| file.contents().len() as u64).sum(),
        }
    }
}

fn store_from(name: &str, role: Role, files: &BTreeMap<String, File>) -> Result<Store, EngineError> {
    let file = files.get(image_file::FILE_NAME).ok_or_else(|| EngineError::Corrupt {
        what: format!("store {name}"),
        detail: format!("its folder has no file {}", image_file::FILE_NAME),
    })?;
    let mut store = Store::new(role, image_file::decode(&format!("store {name}"), role, file.contents())?);
    store.on_unsynced_files = !file.is_synced();
    Ok(store)
}

fn check_store(name: &str, role: Role, store: &Store) -> Result<(), EngineError> {
    let corrupt =
        |detail: &str| Err(EngineError::Corrupt { what: format!("store {name}"), detail: detail.into() });
    if store.role != role {
        return corrupt("it is a store of the other role");
    }
    if store.damaged {
        return corrupt("a record's checksum does not fit");
    }
    Ok(())
}

fn crash_store(name: &str, store: &mut Store, survivors: &mut dyn FnMut(AtRisk<'_>) -> usize) {
    let batches = store.unsynced();
    let kept = if batches == 0 { 0 } else { survivors(AtRisk::Batches { store: name, count: batches }) };
    store.crash(kept);
}

fn crash_files(
    folder: &str,
    files: &mut BTreeMap<String, File>,
    survivors: &mut dyn FnMut(AtRisk<'_>) -> usize,
) {
    files.retain(|name, file| {
        let count = file.at_risk();
        let kept = if count == 0 { 0 } else { survivors(AtRisk::Bytes { folder, file: name, count }) };
        file.crash(kept)
    });
}

/// Refuses names that are not plain: they would mean something else on a real file system.
fn check_name(name: &str) -> Result<(), EngineError> {
    let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    if is_plain { Ok(()) } else { Err(io(name, "not a plain name")) }
}

fn io(name: &str, cause: &str) -> EngineError {
    EngineError::Io { what: name.into(), cause: cause.into() }
}
