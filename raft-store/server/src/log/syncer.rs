//! Group commit: one fsync for all appends that wait.
//!
//! A leader's fsync runs on a thread of its own, beside replication; every append that arrives while it runs
//! is covered by the next one. A follower fsyncs inline, since its answer has to wait anyway and two wake-ups
//! are saved (both measured).

use std::sync::{Arc, mpsc};

use keelson_store_core::engine::Engine;
use openraft::storage::IOFlushed;

use crate::{runtime::Offload, types::Types};

/// Makes appends durable and says so.
#[derive(Clone)]
pub(super) struct Syncer {
    engine: Arc<dyn Engine>,
    /// Appends that wait for the thread; `None` where there is none.
    queue: Option<mpsc::Sender<IOFlushed<Types>>>,
}

impl Syncer {
    /// Starts the thread, unless everything is to run inline.
    pub(super) fn start(engine: Arc<dyn Engine>, offload: Offload) -> std::io::Result<Self> {
        let queue = match offload {
            Offload::Inline => None,
            Offload::Thread => Some(Self::spawn_thread(engine.clone())?),
        };
        Ok(Self { engine, queue })
    }

    /// Fsyncs what was written so far and calls back, on the thread when `aside`.
    pub(super) fn sync(&self, flushed: IOFlushed<Types>, aside: bool) {
        let flushed = match &self.queue {
            Some(queue) if aside => match queue.send(flushed) {
                Ok(()) => return,
                // The thread is gone only if it panicked; the disk is still there.
                Err(mpsc::SendError(flushed)) => flushed,
            },
            _ => flushed,
        };
        flushed.io_completed(sync_now(&*self.engine));
    }

    fn spawn_thread(engine: Arc<dyn Engine>) -> std::io::Result<mpsc::Sender<IOFlushed<Types>>> {
        let (sender, receiver) = mpsc::channel::<IOFlushed<Types>>();
        std::thread::Builder::new().name("log-fsync".into()).spawn(move || {
            while let Ok(first) = receiver.recv() {
                // Everything queued by now was written by now: one fsync covers it all.
                let waiting: Vec<_> = std::iter::once(first).chain(receiver.try_iter()).collect();
                let result = sync_now(&*engine);
                for flushed in waiting {
                    flushed.io_completed(copy(&result));
                }
            }
        })?;
        Ok(sender)
    }
}

fn sync_now(engine: &dyn Engine) -> std::io::Result<()> {
    engine.sync().map_err(std::io::Error::other)
}

fn copy(result: &std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
    }
}
