//! Leases: granted, given keys to, renewed by some clients, left to end by others.
//!
//! In: turns. Out: calls about leases and the keys that live by them. Each client has at most a few leases at a time and
//! treats each as it was decided when it was granted. Deliberately absent: locks (see [`super::lock`]).

use futures_util::future::{BoxFuture, FutureExt};
use keelson_checkers::history::{Key, LeaseId, Returned};

use crate::run::{LastRead, Load, Worker};

const KEYS: u64 = 12;
const LEASES: usize = 3;

/// What its holder does with a lease.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// Renews it now and then.
    Renewed,
    /// Never renews it.
    LeftToEnd,
}

/// What a client does next.
#[derive(Clone, Copy)]
enum Step {
    Grant,
    Attach,
    KeepAlive,
    TimeToLive,
    Revoke,
    ReadKey,
}

#[derive(Clone, Copy)]
struct Held {
    id: LeaseId,
    care: Care,
}

/// The workload.
pub(crate) struct Lease;

impl Lease {
    pub(crate) fn load() -> Box<dyn Load> {
        Box::new(Self)
    }
}

async fn client(worker: &mut Worker) {
    let mut held: Vec<Held> = Vec::new();
    while worker.turn().await {
        if held.is_empty() {
            grant(worker, &mut held).await;
        } else {
            step(worker, &mut held).await;
        }
    }
}

async fn step(worker: &mut Worker, held: &mut Vec<Held>) {
    let steps = [
        (8, Step::Grant),
        (20, Step::Attach),
        (40, Step::KeepAlive),
        (15, Step::TimeToLive),
        (3, Step::Revoke),
        (27, Step::ReadKey),
    ];
    let place = usize::try_from(worker.random.below(held.len() as u64)).expect("below a length");
    let Held { id, care } = held[place];
    match worker.random.weighted(&steps) {
        Step::Grant => {
            if held.len() == LEASES {
                held.remove(0);
            }
            grant(worker, held).await;
        }
        Step::Attach => {
            let key = name(worker.random.below(KEYS));
            worker.lease_attach(id, &key).await;
        }
        Step::KeepAlive if care == Care::Renewed => {
            let returned = worker.lease_keep_alive(id).await;
            if matches!(returned, Some(Returned::LeaseKeepAlive { ttl_seconds: 0, .. })) {
                held.remove(place);
            }
        }
        Step::KeepAlive | Step::TimeToLive => {
            let returned = worker.lease_time_to_live(id).await;
            if matches!(returned, Some(Returned::LeaseTimeToLive { remaining_seconds: None, .. })) {
                held.remove(place);
            }
        }
        Step::Revoke => {
            worker.lease_revoke(id).await;
            held.remove(place);
        }
        Step::ReadKey => {
            let key = name(worker.random.below(KEYS));
            worker.lease_key_read(&key).await;
        }
    }
}

async fn grant(worker: &mut Worker, held: &mut Vec<Held>) {
    let care = worker.random.weighted(&[(1, Care::Renewed), (1, Care::LeftToEnd)]);
    let ttl_seconds = u32::try_from(worker.random.between(1, 5)).expect("at most 5");
    held.extend(worker.lease_grant(ttl_seconds).await.map(|id| Held { id, care }));
}

fn name(number: u64) -> Key {
    Key(format!("leased/{number:02}").into())
}

impl Load for Lease {
    fn work<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        client(worker).boxed()
    }

    fn last_reads(&self, _operations: u64) -> Vec<LastRead> {
        (0..KEYS).map(|number| LastRead::LeaseKey(name(number))).collect()
    }
}
