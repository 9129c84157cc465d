//! Registers: a few keys that are read, written, compared and set, deleted.
//!
//! In: turns. Out: calls about one key each. Deliberately absent: transactions (see [`super::wr`]).

use std::collections::BTreeMap;

use futures_util::future::{BoxFuture, FutureExt};
use keelson_checkers::history::{Consistency, Key, Revision};

use super::Window;
use crate::run::{LastRead, Load, Worker};

const KEYS: Window = Window::new("register", 4, 100);

/// What a client does next.
#[derive(Clone, Copy)]
enum Step {
    Read,
    Write,
    CompareAndSet,
    Delete,
}

/// The workload.
pub(crate) struct Register {
    /// How many percent of the reads are serializable.
    serializable: u64,
}

impl Register {
    pub(crate) fn linearizable() -> Box<dyn Load> {
        Box::new(Self { serializable: 0 })
    }

    pub(crate) fn half_serializable() -> Box<dyn Load> {
        Box::new(Self { serializable: 50 })
    }

    async fn client(&self, worker: &mut Worker) {
        let mut known: BTreeMap<Key, Revision> = BTreeMap::new();
        while worker.turn().await {
            let key = KEYS.key(&mut worker.random, worker.shared.operations());
            self.step(worker, &key, &mut known).await;
        }
    }

    async fn step(&self, worker: &mut Worker, key: &Key, known: &mut BTreeMap<Key, Revision>) {
        let steps = [(40, Step::Read), (25, Step::Write), (27, Step::CompareAndSet), (8, Step::Delete)];
        match worker.random.weighted(&steps) {
            Step::Read => {
                let consistency = match worker.random.percent(self.serializable) {
                    true => Consistency::Serializable,
                    false => Consistency::Linearizable,
                };
                if let Some(found) = worker.read(key, None, consistency).await {
                    known.insert(key.clone(), found.map_or(Revision::ZERO, |version| version.mod_revision));
                }
            }
            Step::Write => {
                if let Some(revision) = worker.write(key).await {
                    known.insert(key.clone(), revision);
                }
            }
            Step::CompareAndSet => {
                let expected = known.get(key).copied().unwrap_or_default();
                if let Some(current) = worker.compare_and_set(key, expected).await {
                    known.insert(key.clone(), current);
                }
            }
            Step::Delete => {
                if worker.delete(key).await.is_some() {
                    known.remove(key);
                }
            }
        }
    }
}

impl Load for Register {
    fn work<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        self.client(worker).boxed()
    }

    fn last_reads(&self, operations: u64) -> Vec<LastRead> {
        KEYS.all(operations).map(LastRead::Key).collect()
    }
}
