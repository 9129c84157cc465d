//! The workers of all pods. They end when this is dropped, and leave everything as it is.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use crate::registry::Record;
use crate::shared::Shared;
use crate::worker;

/// Pause before a worker that has panicked begins again.
const PAUSE: Duration = Duration::from_secs(10);

/// The workers of all pods. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Workers {
    running: Arc<Mutex<JoinSet<()>>>,
}

impl Workers {
    /// Gives a pod a worker.
    pub(super) fn begin(&self, shared: &Arc<Shared>, record: Arc<Record>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn(work(shared.clone(), record));
    }
}

/// One pod that makes its worker panic must not be without one, and must not hold up the others.
async fn work(shared: Arc<Shared>, record: Arc<Record>) {
    loop {
        let worker = worker::run(shared.clone(), record.clone());
        if AssertUnwindSafe(worker).catch_unwind().await.is_ok() {
            return;
        }
        tracing::error!("the worker of a pod panicked");
        tokio::time::sleep(PAUSE).await;
    }
}
