//! A counter that is added to: no acknowledged addition is lost, none happens twice.
//!
//! In: turns. Out: additions, also of negative numbers, and reads. Deliberately absent: zero, which nobody could miss.

use futures_util::future::{BoxFuture, FutureExt};

use crate::run::{LastRead, Load, Worker};

/// What is added. Sums of different additions differ mostly, so that a lost one shows.
const DELTAS: [(u64, i64); 5] = [(5, 1), (3, 2), (2, 7), (2, -1), (1, -3)];

/// The workload.
pub(crate) struct Counter;

impl Counter {
    pub(crate) fn load() -> Box<dyn Load> {
        Box::new(Self)
    }
}

async fn client(worker: &mut Worker) {
    while worker.turn().await {
        if worker.random.percent(60) {
            let delta = worker.random.weighted(&DELTAS);
            worker.counter_add(delta).await;
        } else {
            worker.counter_read().await;
        }
    }
}

impl Load for Counter {
    fn work<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        client(worker).boxed()
    }

    fn last_reads(&self, _operations: u64) -> Vec<LastRead> {
        vec![LastRead::Counter]
    }
}
