//! Group commit: one fsync for all appends that wait.
//!
//! A leader's fsync runs on a thread of its own, beside replication; every append that arrives while it runs
//! is covered by the next one. A follower fsyncs inline, since its answer has to wait anyway and two wake-ups
//! are saved (both measured), unless its disk is slow: heartbeats wait behind an inline fsync.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use keelson_store_core::engine::Engine;
use openraft::storage::IOFlushed;

use crate::{runtime::Offload, types::Types};

/// An fsync that takes longer is not done inline again until one is as short: a fraction of a heartbeat.
const SLOW: Duration = Duration::from_millis(10);

/// Makes appends durable and says so.
#[derive(Clone)]
pub(super) struct Syncer {
    disk: Arc<TimedDisk>,
    /// Appends that wait for the thread; `None` where there is none.
    queue: Option<mpsc::Sender<IOFlushed<Types>>>,
}

/// The engine, and whether its last fsync was slow.
struct TimedDisk {
    engine: Arc<dyn Engine>,
    is_slow: AtomicBool,
}

impl Syncer {
    /// Starts the thread, unless everything is to run inline.
    pub(super) fn start(engine: Arc<dyn Engine>, offload: Offload) -> std::io::Result<Self> {
        let disk = Arc::new(TimedDisk { engine, is_slow: AtomicBool::new(false) });
        let queue = match offload {
            Offload::Inline => None,
            Offload::Thread => Some(Self::spawn_thread(disk.clone())?),
        };
        Ok(Self { disk, queue })
    }

    /// Fsyncs what was written so far and calls back, on the thread when `aside` or when the disk is slow.
    pub(super) fn sync(&self, flushed: IOFlushed<Types>, aside: bool) {
        let flushed = match &self.queue {
            Some(queue) if aside || self.disk.is_slow.load(Ordering::Relaxed) => match queue.send(flushed) {
                Ok(()) => return,
                // The thread is gone only if it panicked; the disk is still there.
                Err(mpsc::SendError(flushed)) => flushed,
            },
            _ => flushed,
        };
        flushed.io_completed(self.disk.sync());
    }

    fn spawn_thread(disk: Arc<TimedDisk>) -> std::io::Result<mpsc::Sender<IOFlushed<Types>>> {
        let (sender, receiver) = mpsc::channel::<IOFlushed<Types>>();
        std::thread::Builder::new().name("log-fsync".into()).spawn(move || {
            while let Ok(first) = receiver.recv() {
                // Everything queued by now was written by now: one fsync covers it all.
                let waiting: Vec<_> = std::iter::once(first).chain(receiver.try_iter()).collect();
                let result = disk.sync();
                for flushed in waiting {
                    flushed.io_completed(copy(&result));
                }
            }
        })?;
        Ok(sender)
    }
}

impl TimedDisk {
    fn sync(&self) -> std::io::Result<()> {
        let started = Instant::now();
        let synced = self.engine.sync().map_err(std::io::Error::other);
        self.is_slow.store(started.elapsed() > SLOW, Ordering::Relaxed);
        synced
    }
}

fn copy(result: &std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
    }
}
