//! Writes of every kind to a few keys, and watchers of some of them: what several workloads are made of.
//!
//! In: workers, and which keys. Out: writes, deletes, compare-and-sets and transactions; watches with ranges, filters and
//! starts drawn from a seed. Deliberately absent: reads and compaction.

use std::time::Duration;

use keelson_checkers::history::{Filters, KeyRange, MicroOp, Revision};

use super::Window;
use crate::run::{Audience, Ended, Follower, Interest, Worker};

/// What is written next.
#[derive(Clone, Copy)]
enum Write {
    Put,
    Delete,
    CompareAndSet,
    Txn,
}

/// Where a watch starts.
#[derive(Clone, Copy)]
enum Start {
    Now,
    Past,
    Future,
}

/// Changes something, or several things at one moment.
pub(super) async fn write(worker: &mut Worker, keys: Window) {
    let key = keys.key(&mut worker.random, worker.shared.operations());
    let writes = [(40, Write::Put), (15, Write::Delete), (10, Write::CompareAndSet), (35, Write::Txn)];
    match worker.random.weighted(&writes) {
        Write::Put => {
            worker.write(&key).await;
        }
        Write::Delete => {
            worker.delete(&key).await;
        }
        Write::CompareAndSet => {
            // The key is absent, or the answer says what the second attempt must expect.
            if let Some(current) = worker.compare_and_set(&key, Revision::ZERO).await {
                worker.compare_and_set(&key, current).await;
            }
        }
        Write::Txn => {
            let parts = parts(worker, keys);
            worker.registers(parts).await;
        }
    }
}

/// Mostly a put, and puts, deletes and gets of other keys. Without a put it depends on what there is whether the
/// transaction makes a revision.
fn parts(worker: &mut Worker, keys: Window) -> Vec<MicroOp> {
    let count = usize::try_from(worker.random.between(2, 4)).expect("at most 4");
    let mut keys = keys.keys(&mut worker.random, worker.shared.operations(), count).into_iter();
    let put = if worker.random.percent(85) {
        keys.next().map(|key| MicroOp::Put { key, value: worker.shared.unique() })
    } else {
        None
    };
    let part = |key| match worker.random.below(100) {
        0..50 => MicroOp::Put { key, value: worker.shared.unique() },
        50..80 => MicroOp::Delete { key },
        _ => MicroOp::Get { key },
    };
    put.into_iter().chain(keys.map(part)).collect()
}

/// Watches some of the keys until the run is over.
pub(super) async fn watch(worker: &mut Worker, keys: Window) {
    let interest = interest(worker, keys);
    let start = start(worker);
    let mut follower = Follower::new(worker, Audience::Watchers, interest, start);
    while let Ended::Compacted(oldest) = follower.follow(worker).await {
        follower.restart(oldest);
    }
}

fn interest(worker: &mut Worker, keys: Window) -> Interest {
    let random = &mut worker.random;
    let filters = random.weighted(&[
        (6, Filters::default()),
        (1, Filters { no_put: true, no_delete: false }),
        (2, Filters { no_put: false, no_delete: true }),
    ]);
    Interest {
        range: range(worker, keys),
        filters,
        prev_kv: worker.random.percent(60),
        progress: worker.random.percent(50),
        ask: worker.random.duration(Duration::from_millis(200), Duration::from_secs(3)),
        keep: worker.random.percent(70).then_some(Duration::from_secs(3)),
    }
}

/// All of the keys, or a part that overlaps with others' parts. Never everything: that is the observers'.
fn range(worker: &mut Worker, keys: Window) -> KeyRange {
    let (first, end) = keys.bounds();
    let inside = keys.key(&mut worker.random, 0);
    match worker.random.below(4) {
        0 => KeyRange::Between(first, end),
        1 => KeyRange::Between(first, inside),
        2 => KeyRange::From(inside),
        _ => KeyRange::Between(inside, end),
    }
}

fn start(worker: &mut Worker) -> Revision {
    match worker.random.weighted(&[(3, Start::Now), (2, Start::Past), (1, Start::Future)]) {
        Start::Now => Revision::ZERO,
        Start::Past => worker.recent_revision(20),
        Start::Future => Revision(worker.shared.newest().0 + worker.random.between(2, 30)),
    }
}
