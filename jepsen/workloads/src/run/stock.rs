//! The beginning and the end of a run: is the store empty, and what does it hold when all is over?
//!
//! In: a client that roams over all replicas, and patience. Out: recorded reads. Here alone calls are repeated until they
//! succeed: they change nothing. Deliberately absent: load.

use std::time::Duration;

use keelson_checkers::history::{Consistency, Key, KeyRange, MicroOp, Revision};
use tokio::time::{Instant, sleep};

use super::worker::Worker;
use crate::action::set::Layout;

/// Between two attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// A read at the end of a run, healed and without load. Linearizable, whatever was read before.
#[derive(Clone, Debug)]
pub(crate) enum LastRead {
    /// One key.
    Key(Key),
    /// Lists, in one transaction.
    Lists(Vec<Key>),
    /// Registers, in one transaction.
    Registers(Vec<Key>),
    /// THE set.
    Set(Layout),
    /// THE counter.
    Counter,
    /// Whose lease a key lives by.
    LeaseKey(Key),
}

/// Reads what there is to read at the end. What cannot be read is noted.
pub(crate) async fn read_all(worker: &mut Worker, reads: &[LastRead]) {
    let deadline = Instant::now() + worker.shared.limits.stocktaking;
    for read in reads {
        while !attempt(worker, read).await {
            if Instant::now() >= deadline {
                worker.shared.fell_short(format!("a last read had no answer in time: {read:?}"));
                return;
            }
            sleep(RETRY_PAUSE).await;
        }
    }
}

/// Where the store stands, and how many keys it holds. `None`: no answer in time.
pub(crate) async fn look(worker: &mut Worker) -> Option<(Revision, usize)> {
    let deadline = Instant::now() + worker.shared.limits.stocktaking;
    loop {
        if let Some((revision, items)) = worker.list(&KeyRange::all(), None, None).await {
            return Some((revision, items.len()));
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// Whether it was answered.
async fn attempt(worker: &mut Worker, read: &LastRead) -> bool {
    match read {
        LastRead::Key(key) => worker.read(key, None, Consistency::Linearizable).await.is_some(),
        LastRead::Lists(keys) => {
            let parts = keys.iter().map(|key| MicroOp::ReadList { key: key.clone() }).collect();
            worker.lists(parts, Consistency::Linearizable).await.is_some()
        }
        LastRead::Registers(keys) => {
            let parts = keys.iter().map(|key| MicroOp::Get { key: key.clone() }).collect();
            worker.registers(parts).await.is_some()
        }
        LastRead::Set(layout) => worker.set_read(*layout).await.is_some(),
        LastRead::Counter => worker.counter_read().await.is_some(),
        LastRead::LeaseKey(key) => worker.lease_key_read(key).await.is_some(),
    }
}
