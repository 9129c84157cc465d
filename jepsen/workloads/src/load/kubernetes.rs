//! What Kubernetes does to its store: informers list and watch, writers compare and set.
//!
//! In: turns. Out: of ten writes nine are updates by mod revision, the others creations and deletions; lists in pages;
//! watches from a list's revision on, resumed when they break and begun with a new list when history is gone; now and
//! then a compaction. Deliberately absent: objects; a value is a number.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use keelson_checkers::history::{Consistency, Filters, Key, KeyRange, Revision};
use tokio::time::sleep;

use super::Window;
use crate::run::{Audience, Ended, Follower, Interest, LastRead, Load, Worker};

const OBJECTS: Window = Window::new("registry/pods", 10, 400);
const PAGE: Option<u32> = Some(4);

/// What a writer does next.
#[derive(Clone, Copy)]
enum Step {
    Get,
    Update,
    Create,
    Delete,
    Compact,
}

/// The workload.
pub(crate) struct Kubernetes;

/// What a writer believes of objects: their mod revisions.
type Known = BTreeMap<Key, Revision>;

impl Kubernetes {
    pub(crate) fn load() -> Box<dyn Load> {
        Box::new(Self)
    }
}

async fn writer(worker: &mut Worker) {
    let mut known = Known::new();
    while worker.turn().await {
        step(worker, &mut known).await;
    }
}

async fn step(worker: &mut Worker, known: &mut Known) {
    let steps =
        [(30, Step::Get), (90, Step::Update), (6, Step::Create), (4, Step::Delete), (1, Step::Compact)];
    let key = OBJECTS.key(&mut worker.random, worker.shared.operations());
    match worker.random.weighted(&steps) {
        Step::Get => get(worker, known, &key).await,
        Step::Update => match known.get(&key) {
            Some(expected) => set(worker, known, &key, *expected).await,
            None => get(worker, known, &key).await,
        },
        Step::Create => set(worker, known, &key, Revision::ZERO).await,
        Step::Delete => {
            if let Some(expected) = known.remove(&key) {
                worker.delete_unchanged(&key, expected).await;
            }
        }
        Step::Compact => {
            let revision = worker.recent_revision(200).min(worker.shared.control.logged());
            if revision > Revision(1) {
                worker.compact(revision).await;
            }
        }
    }
}

async fn get(worker: &mut Worker, known: &mut Known, key: &Key) {
    if let Some(found) = worker.read(key, None, Consistency::Linearizable).await {
        known.insert(key.clone(), found.map_or(Revision::ZERO, |version| version.mod_revision));
    }
}

async fn set(worker: &mut Worker, known: &mut Known, key: &Key, expected: Revision) {
    if let Some(current) = worker.compare_and_set(key, expected).await {
        known.insert(key.clone(), current);
    }
}

/// Lists, then watches from there; lists again when what comes next was compacted away.
async fn informer(worker: &mut Worker) {
    let (first, end) = OBJECTS.bounds();
    let range = KeyRange::Between(first, end);
    let interest = Interest {
        range: range.clone(),
        filters: Filters::default(),
        prev_kv: true,
        progress: true,
        ask: Duration::from_secs(1),
        keep: Some(Duration::from_secs(5)),
    };
    let mut follower: Option<Follower> = None;
    while !worker.shared.has_gone(Audience::Watchers) {
        let Some((revision, _)) = worker.list(&range, None, PAGE).await else {
            sleep(worker.random.duration(Duration::from_millis(100), Duration::from_millis(400))).await;
            continue;
        };
        let start = revision.next();
        let follower = match &mut follower {
            Some(follower) => {
                follower.restart(start);
                follower
            }
            None => follower.insert(Follower::new(worker, Audience::Watchers, interest.clone(), start)),
        };
        if follower.follow(worker).await == Ended::Over {
            return;
        }
    }
}

impl Load for Kubernetes {
    fn work<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        writer(worker).boxed()
    }

    fn watch<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        informer(worker).boxed()
    }

    fn last_reads(&self, operations: u64) -> Vec<LastRead> {
        OBJECTS.all(operations).map(LastRead::Key).collect()
    }
}
