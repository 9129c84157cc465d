//! Group commit: one fsync for all appends that wait.
//!
//! A leader's fsync runs on a thread of its own, beside replication; every append that arrives while it runs
//! is covered by the next one. A follower fsyncs on the runtime's thread, since its answer has to wait anyway and two
//! wake-ups are saved (both measured), unless its disk is slow: heartbeats wait behind such an fsync. It does so in its
//! turn, behind what is there to be appended by then: what arrived during the fsync before is covered by one. Under
//! simulation the thread is a task, too.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use keelson_store_core::{
    engine::Engine,
    mutant::{self, Mutant},
};
use openraft::storage::IOFlushed;
use tokio::sync::mpsc;

use crate::{
    meters::Meters,
    runtime::{self, Offload, clock::Instant},
    types::Types,
};

/// An fsync that takes longer is not done inline again until one is as short: a fraction of a heartbeat.
const SLOW: Duration = Duration::from_millis(10);

/// Makes appends durable and says so.
#[derive(Clone)]
pub(super) struct Syncer {
    disk: Arc<TimedDisk>,
    /// Appends that are synced aside.
    aside: Queue,
    /// Appends that are synced on the runtime's thread.
    here: Queue,
}

type Queue = mpsc::UnboundedSender<IOFlushed<Types>>;
type Waiting = mpsc::UnboundedReceiver<IOFlushed<Types>>;

/// The engine, and whether its last fsync was slow.
struct TimedDisk {
    engine: Arc<dyn Engine>,
    is_slow: AtomicBool,
    meters: Arc<Meters>,
}

impl Syncer {
    /// Starts what syncs aside. Must be called inside [`runtime::seeded`].
    pub(super) fn start(engine: Arc<dyn Engine>, offload: Offload, meters: Arc<Meters>) -> io::Result<Self> {
        let disk = Arc::new(TimedDisk { engine, is_slow: AtomicBool::new(false), meters });
        let (aside, waiting) = mpsc::unbounded_channel();
        match offload {
            Offload::Inline => drop(runtime::spawn(sync_inline(disk.clone(), waiting))),
            Offload::Thread => sync_on_thread(disk.clone(), waiting)?,
        }
        let (here, waiting) = mpsc::unbounded_channel();
        runtime::spawn(sync_inline(disk.clone(), waiting));
        Ok(Self { disk, aside, here })
    }

    /// Fsyncs what was written so far and calls back, beside the runtime when `aside` or when the disk is slow.
    pub(super) fn sync(&self, flushed: IOFlushed<Types>, aside: bool) {
        let is_slow = self.disk.is_slow.load(Ordering::Relaxed);
        let queue = if aside || is_slow { &self.aside } else { &self.here };
        // Who syncs is gone only if it panicked; the disk is still there.
        if let Err(mpsc::error::SendError(flushed)) = queue.send(flushed) {
            flushed.io_completed(self.disk.sync());
        }
    }
}

fn sync_on_thread(disk: Arc<TimedDisk>, mut waiting: Waiting) -> io::Result<()> {
    std::thread::Builder::new().name("log-fsync".into()).spawn(move || {
        while let Some(first) = waiting.blocking_recv() {
            disk.sync_all(first, &mut waiting);
        }
    })?;
    Ok(())
}

async fn sync_inline(disk: Arc<TimedDisk>, mut waiting: Waiting) {
    while let Some(first) = waiting.recv().await {
        let disk = disk.clone();
        let synced = Offload::Inline.run(move || {
            disk.sync_all(first, &mut waiting);
            waiting
        });
        let Ok(again) = synced.await else { return };
        waiting = again;
    }
}

impl TimedDisk {
    /// Everything queued by now was written by now: one fsync covers it all.
    fn sync_all(&self, first: IOFlushed<Types>, queue: &mut Waiting) {
        let mut covered = vec![first];
        while let Ok(flushed) = queue.try_recv() {
            covered.push(flushed);
        }
        let result = self.sync();
        for flushed in covered {
            flushed.io_completed(copy(&result));
        }
    }

    fn sync(&self) -> io::Result<()> {
        if mutant::is(Mutant::SkipFsync) {
            return Ok(());
        }
        let _station = tracing::debug_span!("fsync").entered();
        let started = Instant::now();
        let synced = self.engine.sync().map_err(io::Error::other);
        self.is_slow.store(started.elapsed() > SLOW, Ordering::Relaxed);
        self.meters.fsync.since(started);
        synced
    }
}

fn copy(result: &io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}
