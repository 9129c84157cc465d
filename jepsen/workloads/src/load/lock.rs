//! Locks that live by leases: clients take them, write what they guard, and release them or fall silent.
//!
//! In: turns. Out: lock rounds, some of which outstay their lease on purpose and write with a token that is no longer
//! good. Deliberately absent: waiting for a lock; who does not get it tries again when it is its turn.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use keelson_checkers::history::{Key, LeaseId, Revision};

use crate::run::{LastRead, Load, Worker};

const LOCKS: u64 = 2;

/// How a round with a lock ends.
#[derive(Clone, Copy)]
enum Ending {
    /// The holder releases it.
    Release,
    /// The holder ends its lease.
    Revoke,
    /// The holder forgets it.
    Abandon,
    /// The holder is away until its lease has ended, and then goes on as if nothing had happened.
    Oversleep,
}

/// The workload.
pub(crate) struct Lock;

impl Lock {
    pub(crate) fn load() -> Box<dyn Load> {
        Box::new(Self)
    }
}

async fn client(worker: &mut Worker) {
    let mut lease: Option<LeaseId> = None;
    while worker.turn().await {
        let Some(id) = lease else {
            let ttl_seconds = u32::try_from(worker.random.between(1, 4)).expect("at most 4");
            lease = worker.lease_grant(ttl_seconds).await;
            continue;
        };
        let lock = name(worker.random.below(LOCKS));
        match worker.lock_acquire(&lock, id).await {
            Some(token) => {
                hold(worker, &lock, id, token).await;
                lease = None;
            }
            // Without the lock, the lease may end; then the next one is asked for.
            None => lease = lease.filter(|_| worker.random.percent(80)),
        }
    }
}

async fn hold(worker: &mut Worker, lock: &Key, lease: LeaseId, token: Revision) {
    for _ in 0..worker.random.between(1, 4) {
        if !worker.turn().await {
            return;
        }
        worker.fenced_write(lock, token).await;
        if worker.random.percent(40) {
            worker.lease_keep_alive(lease).await;
        }
    }
    let endings = [(5, Ending::Release), (1, Ending::Revoke), (1, Ending::Abandon), (2, Ending::Oversleep)];
    match worker.random.weighted(&endings) {
        Ending::Release => {
            worker.lock_release(lock, token).await;
        }
        Ending::Revoke => {
            worker.lease_revoke(lease).await;
        }
        Ending::Abandon => {}
        Ending::Oversleep => {
            worker.pause(Duration::from_secs(1), Duration::from_secs(8)).await;
            if worker.turn().await {
                worker.fenced_write(lock, token).await;
                worker.lock_release(lock, token).await;
            }
        }
    }
}

fn name(number: u64) -> Key {
    Key(format!("lock/{number}").into())
}

impl Load for Lock {
    fn work<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        client(worker).boxed()
    }

    fn last_reads(&self, _operations: u64) -> Vec<LastRead> {
        (0..LOCKS).map(|number| LastRead::LeaseKey(name(number))).collect()
    }
}
