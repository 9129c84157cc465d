//! Revisions of the past: read and watched while they are compacted away.
//!
//! In: turns. Out: writes of every kind, reads of keys and ranges now and at old revisions, compactions. A compaction
//! stays behind what some observer has seen, so that the commit log has no gap. Deliberately absent: leases.

use futures_util::future::{BoxFuture, FutureExt};
use keelson_checkers::history::{Consistency, KeyRange, Revision};

use super::{Window, mixture};
use crate::run::{LastRead, Load, Worker};

const KEYS: Window = Window::new("revision", 8, u64::MAX);

/// How many revisions back is read.
const BACK: u64 = 60;

/// What a client does next.
#[derive(Clone, Copy)]
enum Step {
    Write,
    Read,
    ReadOld,
    List,
    ListOld,
    Compact,
}

/// The workload.
pub(crate) struct Revisions;

impl Revisions {
    pub(crate) fn load() -> Box<dyn Load> {
        Box::new(Self)
    }
}

async fn client(worker: &mut Worker) {
    while worker.turn().await {
        step(worker).await;
    }
}

async fn step(worker: &mut Worker) {
    let steps = [
        (50, Step::Write),
        (10, Step::Read),
        (15, Step::ReadOld),
        (10, Step::List),
        (14, Step::ListOld),
        (1, Step::Compact),
    ];
    let key = KEYS.key(&mut worker.random, 0);
    let (first, end) = KEYS.bounds();
    let range = KeyRange::Between(first, end);
    match worker.random.weighted(&steps) {
        Step::Write => mixture::write(worker, KEYS).await,
        Step::Read => {
            worker.read(&key, None, Consistency::Linearizable).await;
        }
        Step::ReadOld => {
            let revision = Some(worker.recent_revision(BACK));
            worker.read(&key, revision, Consistency::Linearizable).await;
        }
        Step::List => {
            let page = page(worker);
            worker.list(&range, None, page).await;
        }
        Step::ListOld => {
            let (revision, page) = (Some(worker.recent_revision(BACK)), page(worker));
            worker.list(&range, revision, page).await;
        }
        Step::Compact => {
            let revision = worker.recent_revision(BACK / 2).min(worker.shared.control.logged());
            if revision > Revision(1) {
                worker.compact(revision).await;
            }
        }
    }
}

fn page(worker: &mut Worker) -> Option<u32> {
    worker.random.percent(50).then_some(3)
}

impl Load for Revisions {
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
