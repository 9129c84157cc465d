//! A replica's disk, as one life of the replica sees it.
//!
//! In: the calls of the store. Out: those of a [`MemDisk`], each with the time that it takes, and for the ghost what
//! each of them changed. A life that has ended can do nothing to the disk any more.

mod engine;
mod facts;
mod live;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use keelson_store::runtime::Machine;
use keelson_store_core::engine::{Disk, Engine, EngineError, Role, mem::MemDisk};

use engine::MountedEngine;
pub(crate) use facts::{Config, LogFact, StateFact, scan_damaged_log, scan_log};
pub(crate) use live::{LOG_STORE, lasting_header, live_state};

use crate::{ghost::Ghost, network::Node, random::Random};

/// How fast a disk is. Clones share it: one stays with the nemesis.
#[derive(Clone)]
pub(crate) struct Pace {
    inner: Arc<Mutex<(Duration, Random)>>,
}

impl Pace {
    /// A disk whose syncs take between nothing and twice `sync`.
    pub(crate) fn new(sync: Duration, random: Random) -> Self {
        Self { inner: Arc::new(Mutex::new((sync, random))) }
    }

    /// From now on syncs take about so long.
    pub(crate) fn set(&self, sync: Duration) {
        self.lock().0 = sync;
    }

    /// About how long a sync takes.
    pub(crate) fn sync(&self) -> Duration {
        self.lock().0
    }

    fn draw(&self) -> Duration {
        let (sync, random) = &mut *self.lock();
        let most = u64::try_from(sync.as_micros()).unwrap_or(u64::MAX).saturating_mul(2);
        Duration::from_micros(random.between(0, most))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Duration, Random)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One life's hold on a disk. Clones share it.
#[derive(Clone)]
pub(crate) struct Mount {
    disk: MemDisk,
    life: Arc<Life>,
}

/// What belongs to one life of a replica.
struct Life {
    replica: Node,
    machine: Machine,
    pace: Pace,
    ghost: Ghost,
    is_over: AtomicBool,
}

impl Mount {
    /// Mounts a disk for a life on `machine`.
    pub(crate) fn new(replica: Node, disk: MemDisk, machine: Machine, pace: Pace, ghost: Ghost) -> Self {
        let life = Life { replica, machine, pace, ghost, is_over: AtomicBool::new(false) };
        Self { disk, life: Arc::new(life) }
    }

    /// The life is over: whatever of it still holds the disk can do nothing to it.
    pub(crate) fn cut_off(&self) {
        self.life.is_over.store(true, Ordering::Relaxed);
    }
}

impl Life {
    fn check(&self) -> Result<(), EngineError> {
        if self.is_over.load(Ordering::Relaxed) {
            return Err(EngineError::Io { what: "disk".into(), cause: "this process is no more".into() });
        }
        Ok(())
    }

    /// Something that waits for the platter.
    fn take_time(&self) {
        self.machine.block(self.pace.draw());
    }
}

impl Disk for Mount {
    fn open(&self, name: &str, role: Role) -> Result<Arc<dyn Engine>, EngineError> {
        self.life.check()?;
        let engine = self.disk.open(name, role)?;
        self.life.ghost.opened(self.life.replica, role, &*engine);
        Ok(Arc::new(MountedEngine::new(engine, role, self.life.clone())))
    }

    fn list(&self) -> Result<Vec<String>, EngineError> {
        self.life.check()?;
        self.disk.list()
    }

    fn remove(&self, name: &str) -> Result<(), EngineError> {
        self.life.check()?;
        self.disk.remove(name)
    }

    fn files(&self, name: &str) -> Result<Vec<(String, u64)>, EngineError> {
        self.life.check()?;
        self.disk.files(name)
    }

    fn read_file(&self, name: &str, file: &str, offset: u64, len: usize) -> Result<Bytes, EngineError> {
        self.life.check()?;
        self.disk.read_file(name, file, offset, len)
    }

    fn write_file(&self, name: &str, file: &str, offset: u64, data: &[u8]) -> Result<(), EngineError> {
        self.life.check()?;
        self.disk.write_file(name, file, offset, data)
    }

    fn sync_folder(&self, name: &str) -> Result<(), EngineError> {
        self.life.check()?;
        self.life.take_time();
        self.disk.sync_folder(name)
    }
}
