//! The production storage engine: the disk contract of [`keelson_store_core::engine`], kept on RocksDB.
//!
//! In: a folder of the file system. Out: [`RocksDisk`], a [`Disk`] whose stores each have a folder of their own beside
//! the folders of copied files: states are RocksDB instances, logs are those of [`keelson_store_log`].
//!
//! Two things are ours to add to what RocksDB promises:
//!
//! * **It must not lose the newest changes of a store in silence** (E4, E6). Even in the recovery mode chosen here it
//!   does, for some kinds of damage of its manifest; `journal.rs` reads the files first and says which.
//! * **A store must not come up empty because its files went missing.** A store gets its name only when it is
//!   complete, and is never created in place; a `FORMAT` file says what it is and which version wrote it.
//!
//! Deliberately absent: what the bytes mean, compaction of history, encryption, any thread of our own.

mod error;
mod folder;
mod format;
mod journal;
mod options;
mod store;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use keelson_store_core::engine::{Capture, Disk, Engine, EngineError, Role, Space};
use keelson_store_log::Home;

pub use options::RocksOptions;

use options::Tuning;
use store::Store;

/// Prefixes of names that are not stores: work that a crash may leave unfinished. Swept at the next start.
const STAGING: [&str; 3] = [NEW, CHECKPOINT, TRASH];
const NEW: &str = ".new-";
const CHECKPOINT: &str = ".checkpoint-";
const TRASH: &str = ".trash-";

/// The stores and folders of one replica, in one folder of the file system.
///
/// A name is taken while a handle or a view of its store lives, also after [`Disk::remove`]: RocksDB would
/// otherwise write the old store's last files into the new one's folder.
#[derive(Debug)]
pub struct RocksDisk {
    place: Arc<Place>,
}

/// What the disk shares with its open stores.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    tuning: Tuning,
    taken: Mutex<BTreeSet<String>>,
    removals: AtomicU64,
    /// Held for as long as anything here is open, so that no second process works in the same folder.
    _lock: File,
}

/// A name in use; free again when this is dropped.
#[derive(Debug)]
struct Claim {
    place: Arc<Place>,
    name: String,
}

impl RocksDisk {
    /// Takes possession of `dir`, making it if need be, and clears away what an earlier process left unfinished.
    ///
    /// # Errors
    ///
    /// [`EngineError::Io`] naming the path when the folder cannot be used or another process uses it.
    pub fn new(dir: PathBuf, options: RocksOptions) -> Result<Self, EngineError> {
        fs::create_dir_all(&dir).map_err(|error| EngineError::io("create", &dir, &error))?;
        let lock = lock_folder(&dir)?;
        sweep(&dir)?;
        let place = Place {
            dir,
            tuning: Tuning::new(&options),
            taken: Mutex::default(),
            removals: AtomicU64::new(0),
            _lock: lock,
        };
        Ok(Self { place: Arc::new(place) })
    }
}

impl Disk for RocksDisk {
    fn open(&self, name: &str, role: Role) -> Result<Arc<dyn Engine>, EngineError> {
        folder::check_name(name)?;
        let claim = Claim::take(&self.place, name)?;
        let path = self.place.dir.join(name);
        if folder::exists(&path)? {
            // Whoever made it may have been killed before the name was durable.
            folder::sync_dir(&self.place.dir)?;
        } else {
            self.create(name, role)?;
        }
        format::check(&path, role)?;
        match role {
            Role::Log => keelson_store_log::open(&path, self.place.tuning.options.log, Arc::new(claim)),
            Role::State => {
                journal::verify(&path)?;
                let database = options::open(&path, &self.place.tuning)?;
                Ok(Arc::new(Store::new(database, path, claim)))
            }
        }
    }

    fn list(&self) -> Result<Vec<String>, EngineError> {
        let names = folder::names(&self.place.dir)?;
        Ok(names.into_iter().filter(|name| folder::check_name(name).is_ok()).collect())
    }

    fn remove(&self, name: &str) -> Result<(), EngineError> {
        folder::check_name(name)?;
        let path = self.place.dir.join(name);
        if !folder::exists(&path)? {
            return Ok(());
        }
        let number = self.place.removals.fetch_add(1, Ordering::Relaxed);
        let trash = self.place.dir.join(format!("{TRASH}{number}-{name}"));
        folder::rename(&path, &trash)?;
        folder::remove_all(&trash)
    }

    fn files(&self, name: &str) -> Result<Vec<(String, u64)>, EngineError> {
        folder::check_name(name)?;
        folder::files(&self.place.dir.join(name))
    }

    fn read_file(&self, name: &str, file: &str, offset: u64, len: usize) -> Result<Bytes, EngineError> {
        folder::check_name(name)?;
        folder::check_name(file)?;
        folder::read(&self.place.dir.join(name).join(file), offset, len)
    }

    fn write_file(&self, name: &str, file: &str, offset: u64, data: &[u8]) -> Result<(), EngineError> {
        folder::check_name(name)?;
        folder::check_name(file)?;
        self.place.check_free(name)?;
        folder::write(&self.place.dir.join(name), file, offset, data)
    }

    fn sync_folder(&self, name: &str) -> Result<(), EngineError> {
        folder::check_name(name)?;
        folder::sync_all(&self.place.dir.join(name))?;
        folder::sync_dir(&self.place.dir)
    }

    fn space(&self) -> Option<Space> {
        let disk = rustix::fs::statvfs(&self.place.dir).ok()?;
        let [free, total] = [disk.f_bavail, disk.f_blocks].map(|blocks| blocks * disk.f_frsize);
        let options = &self.place.tuning.options;
        let reserve = options.reserve(total.saturating_sub(free));
        Some(Space { free, total, reserve, least: options.least_disk() })
    }
}

impl RocksDisk {
    /// Makes an empty store. It gets its name when it is complete, so that a folder under that name with parts
    /// missing is always damage and never a beginning.
    fn create(&self, name: &str, role: Role) -> Result<(), EngineError> {
        let staging = self.place.dir.join(format!("{NEW}{name}"));
        folder::remove_all(&staging)?;
        fs::create_dir(&staging).map_err(|error| EngineError::io("create", &staging, &error))?;
        match role {
            Role::Log => keelson_store_log::create(&staging, self.place.tuning.options.log)?,
            Role::State => drop(options::create(&staging, &self.place.tuning)?),
        }
        format::write(&staging, role)?;
        folder::sync_all(&staging)?;
        folder::rename(&staging, &self.place.dir.join(name))
    }
}

impl Place {
    /// Has a copy of a store made in a folder that is not there yet.
    fn stage(
        self: &Arc<Self>,
        name: &str,
        role: Role,
        make: impl FnOnce(&Path) -> Result<(), EngineError>,
    ) -> Result<Staged, EngineError> {
        folder::check_name(name)?;
        let claim = Claim::take(self, name)?;
        let path = self.dir.join(name);
        if folder::exists(&path)? {
            let what = format!("make checkpoint {}", path.display());
            return Err(EngineError::Io { what, cause: "the name is taken".into() });
        }
        let staging = self.dir.join(format!("{CHECKPOINT}{name}"));
        folder::remove_all(&staging)?;
        let staged = Staged { role, staging, path, _claim: claim };
        make(&staged.staging)?;
        Ok(staged)
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // A set of names is whole after any panic: each change is one insertion or removal.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_free(&self, name: &str) -> Result<(), EngineError> {
        if self.taken().contains(name) { Err(self.is_taken(name)) } else { Ok(()) }
    }

    fn is_taken(&self, name: &str) -> EngineError {
        let what = format!("open {}", self.dir.join(name).display());
        EngineError::Io { what, cause: "a handle or a view of it is still open".into() }
    }
}

impl Claim {
    fn take(place: &Arc<Place>, name: &str) -> Result<Self, EngineError> {
        if place.taken().insert(name.to_owned()) {
            Ok(Self { place: Arc::clone(place), name: name.to_owned() })
        } else {
            Err(place.is_taken(name))
        }
    }
}

/// A copy of a store that has no name yet. One that never gets it goes.
struct Staged {
    role: Role,
    staging: PathBuf,
    path: PathBuf,
    _claim: Claim,
}

impl Capture for Staged {
    fn keep(self: Box<Self>) -> Result<(), EngineError> {
        format::write(&self.staging, self.role)?;
        folder::sync_all(&self.staging)?;
        folder::rename(&self.staging, &self.path)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What cannot be removed goes when the disk is opened the next time.
        let _ = folder::remove_all(&self.staging);
    }
}

/// A claim is what keeps a log's folder.
impl Home for Claim {
    fn add_checkpoint(
        &self,
        name: &str,
        make: &mut dyn FnMut(&Path) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let staged = self.place.stage(name, Role::Log, |staging| {
            fs::create_dir(staging).map_err(|error| EngineError::io("create", staging, &error))?;
            make(staging)
        });
        Box::new(staged?).keep()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.place.taken().remove(&self.name);
    }
}

/// Takes the lock that keeps other processes out of `dir`.
fn lock_folder(dir: &Path) -> Result<File, EngineError> {
    let path = dir.join(".lock");
    let file = File::create(&path).map_err(|error| EngineError::io("create", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let what = format!("lock {}", path.display());
            Err(EngineError::Io {
                what,
                cause: "another process works in this folder: stop it, or use another folder".into(),
            })
        }
        Err(TryLockError::Error(error)) => Err(EngineError::io("lock", &path, &error)),
    }
}

/// Clears away unfinished work.
fn sweep(dir: &Path) -> Result<(), EngineError> {
    for name in folder::names(dir)? {
        if STAGING.iter().any(|prefix| name.starts_with(prefix)) {
            folder::remove_all(&dir.join(name))?;
        }
    }
    Ok(())
}
