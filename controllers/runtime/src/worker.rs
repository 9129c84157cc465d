//! Workers: they take keys from a queue and bring them to a reconciler.
//!
//! In: a queue and a [`Reconcile`]. Out: reconciled keys; errors are logged and the key comes again after its back-off.
//! A reconciler that panics is treated as one that failed. Deliberately absent: what a key means.

use std::fmt::Debug;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use crate::explain::explain;
use crate::queue::WorkQueue;

/// Brings what a key names closer to what is wanted.
pub trait Reconcile: Send + Sync + 'static {
    /// What is reconciled, mostly an [`ObjectKey`](crate::ObjectKey).
    type Key: Clone + Eq + Hash + Debug + Send + Sync + 'static;
    /// Why it did not work this time.
    type Error: std::error::Error + Send + Sync + 'static;

    /// One round for this key; never at the same time as another round for the same key.
    fn reconcile(&self, key: &Self::Key) -> impl Future<Output = Result<Next, Self::Error>> + Send;
}

/// What comes after a round that worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until the key is added again. Its back-off starts from the beginning.
    Done,
    /// Another round after this time, or earlier if the key is added. Its back-off starts from the beginning.
    After(Duration),
}

/// Reconciles the queue's keys, so many at a time. Never returns; dropping it stops the workers where they wait.
pub async fn work<R: Reconcile>(
    controller: &'static str,
    queue: WorkQueue<R::Key>,
    workers: usize,
    reconciler: Arc<R>,
) {
    let mut running = JoinSet::new();
    for _ in 0..workers.max(1) {
        running.spawn(worker(controller, queue.clone(), Arc::clone(&reconciler)));
    }
    while running.join_next().await.is_some() {}
}

async fn worker<R: Reconcile>(controller: &'static str, queue: WorkQueue<R::Key>, reconciler: Arc<R>) {
    loop {
        let work = Work { queue: &queue, key: queue.next().await };
        match AssertUnwindSafe(reconciler.reconcile(&work.key)).catch_unwind().await {
            Ok(Ok(next)) => work.succeeded(next),
            Ok(Err(error)) => work.failed(controller, &error),
            Err(_panic) => {
                tracing::error!(controller, key = ?work.key, "the reconciler panicked");
                queue.add_rate_limited(work.key.clone());
            }
        }
    }
}

/// A key in work, given back however the work ends.
struct Work<'a, T: Clone + Eq + Hash> {
    queue: &'a WorkQueue<T>,
    key: T,
}

impl<T: Clone + Eq + Hash + Debug> Work<'_, T> {
    fn succeeded(&self, next: Next) {
        self.queue.forget(&self.key);
        match next {
            Next::Done => {}
            Next::After(delay) => self.queue.add_after(self.key.clone(), delay),
        }
    }

    fn failed(&self, controller: &'static str, error: &(dyn std::error::Error + 'static)) {
        let retries = self.queue.retries(&self.key);
        let (key, error_text) = (&self.key, explain(error));
        if is_conflict(error) {
            tracing::debug!(controller, ?key, error = error_text, "somebody else wrote first; trying again");
        } else {
            tracing::warn!(controller, ?key, retries, error = error_text, "will try again");
        }
        self.queue.add_rate_limited(self.key.clone());
    }
}

impl<T: Clone + Eq + Hash> Drop for Work<'_, T> {
    fn drop(&mut self) {
        self.queue.done(&self.key);
    }
}

/// Whether the cause is a write on what was not the newest state: an everyday matter.
fn is_conflict(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        matches!(error.downcast_ref::<kube::Error>(), Some(kube::Error::Api(status)) if status.is_conflict())
    })
}

#[cfg(test)]
mod tests;
