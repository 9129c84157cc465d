//! All workloads against a store that is right, and against stores that are wrong in one way each.
//!
//! The store is a map in memory behind connections that delay, lose and reorder; time is paused. Deliberately absent:
//! consensus; what a cluster can get wrong beyond this, the simulation finds.

mod replica;
mod state;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use keelson_checkers::history::{Bounds, FaultPhase, History, Meta, Nanos, Revision};
use keelson_checkers::promise::Outcome;
use tokio::time::Instant;

use crate::run::Fleet;
use crate::{Control, Finished, Limits, Recorder, RunError, WORKLOADS, Workload};
use replica::{Cluster, Mistake};

const LIMITS: Limits = Limits {
    time: Duration::from_secs(30),
    operations: None,
    rate: 60,
    patience: Duration::from_secs(5),
    settle: Duration::from_secs(10),
    stocktaking: Duration::from_secs(30),
};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

fn recorder(workload: &str, seed: u64) -> Arc<Recorder> {
    let bound = |seconds: u64| Some(Nanos(seconds * 1_000_000_000));
    let meta = Meta {
        workload: workload.to_owned(),
        seed,
        nodes: ["n1", "n2", "n3"].map(str::to_owned).to_vec(),
        bounds: Bounds {
            first_write: bound(5),
            watch_catch_up: bound(10),
            lease_expiry: bound(1),
            ..Bounds::default()
        },
        ..Meta::default()
    };
    let start = Instant::now();
    let elapsed = move || u64::try_from(start.elapsed().as_nanos()).expect("no run lasts for centuries");
    Arc::new(Recorder::new(meta, move || Nanos(elapsed())))
}

/// One run with five clients, two of which roam. The cluster counts as healed from the middle on.
async fn run_on(workload: &Workload, seed: u64, mistake: Option<Mistake>) -> Finished {
    let recorder = recorder(workload.name, seed);
    let fleet = Fleet::of(&Cluster::replicas(seed, mistake), 1, 2);
    let control = Control::new();
    let heal = async {
        tokio::time::sleep(LIMITS.time / 2).await;
        recorder.fault("", Vec::new(), FaultPhase::Healed);
        control.heal();
    };
    let (finished, ()) = tokio::join!(crate::run(workload, &fleet, seed, LIMITS, &recorder, &control), heal);
    finished.expect("the store is there, and empty")
}

fn finished(workload: &Workload, seed: u64, mistake: Option<Mistake>) -> Finished {
    block_on(run_on(workload, seed, mistake))
}

fn promises(workload: &Workload) -> impl Iterator<Item = &'static keelson_checkers::promise::Promise> {
    workload.promises().map(|name| keelson_checkers::promise::named(name).unwrap())
}

fn broken(workload: &Workload, history: &History) -> Vec<&'static str> {
    let verdicts = promises(workload).map(|promise| (promise.name, (promise.check)(history).outcome));
    verdicts.filter(|(_, outcome)| matches!(outcome, Outcome::Broken(_))).map(|(name, _)| name).collect()
}

#[test]
fn a_store_that_is_right_keeps_all_promises_under_every_workload() {
    for workload in WORKLOADS {
        for seed in 1..=2 {
            let Finished { history, shortfalls, gap } = finished(workload, seed, None);
            let of = format!("{} of seed {seed}", workload.name);
            assert_eq!((shortfalls.as_slice(), gap), (&[][..], None), "{of}");
            assert_eq!(history.validate(), Ok(()), "{of}");
            assert!(history.operations.len() > 500, "{of}: {} operations", history.operations.len());
            assert!(history.log.as_ref().is_some_and(|log| log.commits.len() > 100), "{of}");
            for promise in promises(workload) {
                let verdict = (promise.check)(&history);
                assert_eq!(verdict.outcome, Outcome::Kept, "{of}: {}", promise.name);
                assert!(verdict.checked > 0, "{of}: {}", promise.name);
            }
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_history_and_another_seed_another() {
    for workload in WORKLOADS {
        let history = |seed| finished(workload, seed, None).history;
        assert!(history(7) == history(7), "{} differs", workload.name);
        assert!(history(7).operations != history(8).operations, "{} does not differ", workload.name);
    }
}

/// Which promise each mistake breaks, under which workload.
const FOUND: &[(Mistake, &str, &str)] = &[
    (Mistake::StaleRead, "register", "linearizability"),
    (Mistake::StaleRead, "set", "set"),
    (Mistake::StaleRead, "set-keys", "set"),
    (Mistake::StaleRead, "counter", "counter"),
    (Mistake::StaleRead, "kubernetes", "linearizability"),
    (Mistake::LostWrite, "register", "linearizability"),
    (Mistake::LostWrite, "append", "strict_serializability"),
    (Mistake::LostWrite, "wr", "strict_serializability"),
    (Mistake::LostWrite, "set", "set"),
    (Mistake::LostWrite, "set-keys", "set"),
    (Mistake::LostWrite, "counter", "monotonic_revisions"),
    (Mistake::LostWrite, "lock", "durability"),
    (Mistake::LostWrite, "kubernetes", "linearizability"),
    (Mistake::CompareOutside, "register", "linearizability"),
    (Mistake::CompareOutside, "append", "strict_serializability"),
    (Mistake::CompareOutside, "set", "set"),
    (Mistake::CompareOutside, "counter", "counter"),
    (Mistake::CompareOutside, "lock", "lock"),
    (Mistake::UnknownIsFailed, "register", "durability"),
    (Mistake::UnknownIsFailed, "append", "durability"),
    (Mistake::SplitTransaction, "wr", "strict_serializability"),
    (Mistake::EarlyLeaseEnd, "lease", "leases"),
    (Mistake::EventTwice, "watch", "watch_unique"),
    (Mistake::EventLost, "watch", "watch_reliable"),
    (Mistake::SplitRevision, "watch", "watch_atomic"),
    (Mistake::EarlyProgress, "watch", "watch_bookmarkable"),
    (Mistake::SkippedStart, "watch", "watch_resumable"),
    (Mistake::NoPrevious, "watch", "watch_prev_value"),
    (Mistake::Unfiltered, "watch", "watch_filter"),
];

/// Seeds that a mistake may take until it shows.
const SEEDS: std::ops::Range<u64> = 3..8;

#[test]
fn a_store_that_is_wrong_breaks_the_promise_that_it_should() {
    let missed = FOUND.iter().filter_map(|(mistake, workload, promise)| {
        let workload = Workload::named(workload).unwrap();
        let shows = |seed| {
            let history = finished(workload, seed, Some(*mistake)).history;
            broken(workload, &history).contains(promise)
        };
        let is_found = SEEDS.into_iter().any(shows);
        (!is_found).then(|| format!("{mistake:?} under {} does not break {promise}", workload.name))
    });
    assert_eq!(missed.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_driver_can_end_the_load_early_and_compact_by_the_book() {
    let workload = Workload::named("watch").unwrap();
    block_on(async {
        let recorder = recorder(workload.name, 5);
        let replicas = Cluster::replicas(5, None);
        let control = Control::of_a_healthy_cluster();
        let drive = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            crate::compact(&recorder, &*replicas[0], control.logged()).await;
            control.stop();
        };
        let fleet = Fleet::of(&replicas, 2, 0);
        let (finished, ()) =
            tokio::join!(crate::run(workload, &fleet, 5, LIMITS, &recorder, &control), drive);
        let history = finished.unwrap().history;
        let last = history.operations.iter().map(|operation| operation.invoked).max().unwrap();
        assert!(last < Nanos(20_000_000_000), "three seconds of load and ten of settling, but {last:?}");
        assert_eq!(broken(workload, &history), [""; 0]);
    });
}

#[test]
fn a_store_with_keys_in_it_is_left_alone() {
    let workload = Workload::named("register").unwrap();
    block_on(async {
        let fleet = Fleet::of(&Cluster::replicas(1, None), 1, 0);
        let control = Control::of_a_healthy_cluster();
        let first = crate::run(workload, &fleet, 1, LIMITS, &recorder("register", 1), &control).await;
        let last = first.unwrap().history.log.unwrap().last();
        let second = crate::run(workload, &fleet, 1, LIMITS, &recorder("register", 1), &control).await;
        assert!(matches!(second, Err(RunError::NotEmpty { revision, .. }) if revision == last), "{second:?}");
        assert!(last > Revision(1));
    });
}

#[test]
fn a_run_may_be_spawned_on_a_runtime_of_many_threads() {
    const fn sendable<T: Send>(_: &T) {}
    let (fleet, control) = (Fleet::of(&Cluster::replicas(1, None), 1, 0), Control::new());
    let recorder = block_on(async { recorder("register", 1) });
    sendable(&crate::run(&WORKLOADS[0], &fleet, 1, LIMITS, &recorder, &control));
}

#[test]
fn every_row_has_a_name_of_its_own_and_promises_that_exist() {
    let names: std::collections::BTreeSet<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
    assert_eq!(names.len(), WORKLOADS.len());
    for workload in WORKLOADS {
        assert_eq!(Workload::named(workload.name).map(|found| found.words), Some(workload.words));
        assert!(promises(workload).count() > 10);
    }
}
