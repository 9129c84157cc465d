//! Watchers of overlapping ranges while keys change by ones and by several at a time.
//!
//! In: turns. Out: writers' changes, watchers' streams that are closed, broken and resumed, on changing replicas where
//! the watcher roams. Deliberately absent: compaction (see [`super::revisions`]).

use futures_util::future::{BoxFuture, FutureExt};

use super::{Window, mixture};
use crate::run::{LastRead, Load, Worker};

/// They stay the same, so that watchers' ranges keep their meaning.
const KEYS: Window = Window::new("watched", 10, u64::MAX);

/// The workload.
pub(crate) struct Watch;

impl Watch {
    pub(crate) fn load() -> Box<dyn Load> {
        Box::new(Self)
    }
}

async fn client(worker: &mut Worker) {
    while worker.turn().await {
        mixture::write(worker, KEYS).await;
    }
}

impl Load for Watch {
    fn work<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        client(worker).boxed()
    }

    fn watch<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        mixture::watch(worker, KEYS).boxed()
    }

    fn last_reads(&self, operations: u64) -> Vec<LastRead> {
        KEYS.all(operations).map(LastRead::Key).collect()
    }
}
