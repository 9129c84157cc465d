//! RocksDB against the shared suite, and what only a real disk can show.

mod damage;
mod kill;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use keelson_store_core::engine::conformance::{self, Crashable};
use keelson_store_core::engine::{Batch, Family, Read};
use keelson_store_log::LogOptions;
use tempfile::TempDir;

use super::*;

/// Buffers so small that every mechanism is reached by a test's little data.
const SMALL: RocksOptions = RocksOptions {
    block_cache_bytes: 1 << 20,
    log: LogOptions { segment_bytes: 64 << 10 },
    state_buffer_bytes: 64 << 10,
    all_buffers_bytes: 1 << 20,
    background_jobs: 2,
};

fn disk_in(dir: &Path) -> RocksDisk {
    RocksDisk::new(dir.to_owned(), SMALL).unwrap()
}

fn put(engine: &dyn Engine, family: Family, key: &str, value: &str) -> Result<(), EngineError> {
    let mut batch = Batch::default();
    batch.put(family, key.to_owned(), value.to_owned());
    engine.write(batch)
}

/// A disk whose folder is deleted with it.
struct Temporary {
    disk: RocksDisk,
    _dir: TempDir,
}

impl Temporary {
    fn new(options: RocksOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { disk: RocksDisk::new(dir.path().join("disk"), options).unwrap(), _dir: dir }
    }
}

impl Disk for Temporary {
    fn open(&self, name: &str, role: Role) -> Result<Arc<dyn Engine>, EngineError> {
        self.disk.open(name, role)
    }

    fn list(&self) -> Result<Vec<String>, EngineError> {
        self.disk.list()
    }

    fn remove(&self, name: &str) -> Result<(), EngineError> {
        self.disk.remove(name)
    }

    fn files(&self, name: &str) -> Result<Vec<(String, u64)>, EngineError> {
        self.disk.files(name)
    }

    fn read_file(&self, name: &str, file: &str, offset: u64, len: usize) -> Result<Bytes, EngineError> {
        self.disk.read_file(name, file, offset, len)
    }

    fn write_file(&self, name: &str, file: &str, offset: u64, data: &[u8]) -> Result<(), EngineError> {
        self.disk.write_file(name, file, offset, data)
    }

    fn sync_folder(&self, name: &str) -> Result<(), EngineError> {
        self.disk.sync_folder(name)
    }
}

#[test]
fn keeps_every_promise() {
    for options in [SMALL, RocksOptions::default()] {
        conformance::run(&mut || Arc::new(Temporary::new(options)));
    }
}

/// A machine whose process dies: what it handed to the operating system is there for the next one.
///
/// The death is played by going on from a copy of the folder, taken while the stores are open.
struct Machine {
    dir: TempDir,
    lives: u32,
    disk: Arc<RocksDisk>,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(disk_in(&dir.path().join("0")));
        Self { dir, lives: 0, disk }
    }
}

impl Crashable for Machine {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk) as Arc<dyn Disk>
    }

    fn crash(&mut self) {
        let from = self.dir.path().join(self.lives.to_string());
        self.lives += 1;
        let to = self.dir.path().join(self.lives.to_string());
        // RocksDB may be compacting: a copy counts only when nothing moved meanwhile.
        loop {
            let before = listing(&from);
            if copy_tree(&from, &to).is_ok() && listing(&from) == before {
                break;
            }
            fs::remove_dir_all(&to).unwrap();
        }
        self.disk = Arc::new(disk_in(&to));
    }
}

fn listing(dir: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let mut found = Vec::new();
    for name in folder::names(dir).unwrap_or_default() {
        let path = dir.join(name);
        if path.is_dir() {
            found.extend(listing(&path));
        } else if let Ok(metadata) = fs::metadata(&path) {
            found.push((path, metadata.len(), metadata.modified().ok()));
        }
    }
    found
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[test]
fn keeps_every_promise_about_crashes() {
    conformance::run_crashes(&mut || Box::new(Machine::new()));
}

#[test]
fn folder_belongs_to_one_disk() {
    let dir = tempfile::tempdir().unwrap();
    let first = disk_in(dir.path());
    let error = RocksDisk::new(dir.path().to_owned(), SMALL).unwrap_err();
    assert!(error.to_string().contains(".lock"), "{error}");
    let engine = first.open("store", Role::State).unwrap();
    drop(first);
    RocksDisk::new(dir.path().to_owned(), SMALL).expect_err("a store is still open");
    drop(engine);
    disk_in(dir.path());
}

#[test]
fn unfinished_work_is_swept_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    for prefix in STAGING {
        fs::create_dir(dir.path().join(format!("{prefix}x"))).unwrap();
    }
    drop(disk_in(dir.path()));
    assert_eq!(folder::names(dir.path()).unwrap(), [".lock"]);
}

#[test]
fn a_copy_that_is_not_kept_takes_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let engine = disk_in(dir.path()).open("store", Role::State).unwrap();
    let before = folder::names(dir.path()).unwrap();
    let captured = engine.capture("checkpoint").unwrap();
    assert_eq!(folder::names(dir.path()).unwrap().len(), before.len() + 1);
    drop(captured);
    assert_eq!(folder::names(dir.path()).unwrap(), before);
}

#[test]
fn failed_sync_ends_the_handle() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk_in(dir.path());
    let engine = disk.open("store", Role::State).unwrap();
    put(&*engine, Family::Keys, "a", "1").unwrap();
    fs::rename(dir.path().join("store"), dir.path().join("elsewhere")).unwrap();
    let error = engine.sync().unwrap_err();
    assert!(matches!(error, EngineError::Io { .. }) && error.to_string().contains("store"), "{error}");
    fs::rename(dir.path().join("elsewhere"), dir.path().join("store")).unwrap();
    assert!(matches!(put(&*engine, Family::Keys, "b", "1"), Err(EngineError::Io { .. })));
    assert!(matches!(engine.sync(), Err(EngineError::Io { .. })));
    assert!(matches!(engine.checkpoint("checkpoint"), Err(EngineError::Io { .. })));
    drop(engine);
    let engine = disk.open("store", Role::State).unwrap();
    put(&*engine, Family::Keys, "b", "1").unwrap();
    engine.sync().unwrap();
}

#[test]
fn failure_in_the_background_surfaces() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("elsewhere");
    let engine = disk_in(dir.path()).open("state", Role::State).unwrap();
    fs::rename(dir.path().join("state"), &elsewhere).unwrap();
    // One batch over the buffer's size: the next one makes RocksDB write the buffer out by itself.
    put(&*engine, Family::Keys, "big", &"x".repeat(SMALL.state_buffer_bytes)).unwrap();
    let kicked = put(&*engine, Family::Keys, "small", "x");
    while !fs::read_to_string(elsewhere.join("LOG")).unwrap().contains("IO error") {
        std::thread::yield_now();
    }
    fs::rename(&elsewhere, dir.path().join("state")).unwrap();
    let failed = kicked.and_then(|()| engine.sync());
    assert!(matches!(failed, Err(EngineError::Io { .. })), "{failed:?}");
    put(&*engine, Family::Keys, "more", "1").expect_err("the handle is done for (E7)");
}
