//! One run, from the first replica's start to the verdict.

use std::{sync::Arc, time::Duration};

use keelson_checkers::history::{Bounds, FaultPhase, History, Meta, Nanos};
use keelson_workloads::{Client, Control, Finished, Fleet, Limits, Recorder, RunError, Workload};
use tokio::{
    runtime::{Builder, RngSeed},
    time::{Instant, sleep, timeout},
};

use crate::{
    Event, Node, Plan, Report,
    client::SimClient,
    cluster::Cluster,
    ghost::{Broken, Ghost, Trust},
    invariant::Invariant,
    nemesis::{MOST_DRIFT, Nemesis},
    network::Network,
    panics, progress,
    random::{Purpose, Random},
    trace::Trace,
    verdict, watchman,
};

/// How long replicas may take to form a cluster where nothing is broken.
const BIRTH: Duration = Duration::from_secs(60);
/// No run has anything to do for so long, in virtual time.
const LONGEST: Duration = Duration::from_secs(3600);

/// Runs a plan.
///
/// # Panics
/// The plan's workload is not one of the table.
pub fn run(plan: &Plan) -> Report {
    execute(plan, false).0
}

/// Runs a plan and answers what happened, too, each event with the nanosecond since the run began.
///
/// # Panics
/// As [`run`].
pub fn run_keeping_events(plan: &Plan) -> (Report, Vec<(u64, Event)>) {
    execute(plan, true)
}

fn execute(plan: &Plan, keep: bool) -> (Report, Vec<(u64, Event)>) {
    panics::begin();
    let seed = Random::new(plan.seed, Purpose::Runtime, 0).next();
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
        .build()
        .expect("a runtime without threads and sockets can be had");
    let (mut report, events) = runtime.block_on(Box::pin(simulate(plan, keep)));
    drop(runtime);
    for panic in panics::end() {
        report.add(Invariant::NoPanic, panic);
    }
    (report, events)
}

async fn simulate(plan: &Plan, keep: bool) -> (Report, Vec<(u64, Event)>) {
    let workload = Workload::named(plan.swarm.workload).expect("a plan has a workload of the table");
    let world = World::new(plan, keep);
    let mut report = Report::new(plan);
    if timeout(LONGEST, Box::pin(world.live(workload, plan, &mut report))).await.is_err() {
        world.cluster.ghost().report(Broken(Invariant::Ends, format!("it goes on after {LONGEST:?}")));
    }
    report.finish(&world.trace, world.cluster.ghost());
    let events = world.trace.take();
    (report, events)
}

/// What one run is made of.
struct World {
    cluster: Cluster,
    recorder: Arc<Recorder>,
    trace: Trace,
}

impl World {
    fn new(plan: &Plan, keep: bool) -> Self {
        let (seed, swarm) = (plan.seed, &plan.swarm);
        let trace = Trace::new(keep);
        let nodes = swarm.nodes().count() + swarm.client_nodes().count();
        let random = Random::new(seed, Purpose::Network, 0);
        let network = Network::new(nodes, swarm.weather, random, trace.clone());
        let ghost = Ghost::new(swarm.nodes().count(), trace.clone());
        let cluster = Cluster::new(seed, swarm, network, ghost, trace.clone());
        let clock = trace.clone();
        let recorder = Arc::new(Recorder::new(meta(plan), move || Nanos(clock.now())));
        Self { cluster, recorder, trace }
    }

    /// From the first start to the verdict.
    async fn live(&self, workload: &Workload, plan: &Plan, report: &mut Report) {
        if !self.is_born().await {
            self.cluster
                .ghost()
                .report(Broken(Invariant::Leader, format!("no cluster came into being in {BIRTH:?}")));
        } else if let Some(finished) = self.work(workload, plan, report).await {
            verdict::judge(report, workload, &self.cluster, finished).await;
        }
    }

    async fn is_born(&self) -> bool {
        self.cluster.nodes().for_each(|node| self.cluster.start(node));
        let deadline = Instant::now() + BIRTH;
        while Instant::now() < deadline {
            if self.cluster.leader().is_some()
                && self.cluster.nodes().all(|node| self.cluster.store(node).is_some())
            {
                return true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Both phases. `None` when the workload could not even begin.
    async fn work(&self, workload: &Workload, plan: &Plan, report: &mut Report) -> Option<Finished> {
        if plan.swarm.keep_history().is_some() {
            self.recorder.fault("compaction", Vec::new(), FaultPhase::Began);
        }
        let control = Control::new();
        let nemesis = Nemesis::new(self.cluster.clone(), plan, self.recorder.clone(), self.trace.clone());
        let watching = tokio::spawn(watchman::run(self.cluster.clone(), self.recorder.clone()));
        let breaking = async {
            nemesis.run(plan).await;
            // To the end of the run.
            drop(tokio::spawn(progress::tend(self.cluster.clone())));
            progress::demand(&self.cluster, progress::Bounds::of(&plan.swarm)).await;
            control.heal();
        };
        let fleet = self.fleet(plan);
        let seed = Random::new(plan.seed, Purpose::Workload, 0).next();
        let working = keelson_workloads::run(workload, &fleet, seed, limits(plan), &self.recorder, &control);
        let (finished, ()) = tokio::join!(working, breaking);
        watching.abort();
        report.count_faults(&nemesis.counts());
        report.void = nemesis.void();
        match finished {
            Ok(mut finished) => {
                self.complete(&mut finished.history, nemesis.has_moved());
                Some(finished)
            }
            Err(RunError::NoAnswer | RunError::NotEmpty { .. } | RunError::NoClients) => {
                report.void = Some("the workload found no store to work on".to_owned());
                None
            }
        }
    }

    /// Puts in what only the simulation knows: what really was committed, and whether replicas can be held to bounds.
    fn complete(&self, history: &mut History, has_moved: bool) {
        history.log = Some(self.cluster.ghost().commits());
        // One that joined after healing had nothing to watch until it was taken in.
        if has_moved || self.cluster.nodes().any(|node| self.cluster.ghost().trust(node) != Trust::Whole) {
            history.meta.bounds.watch_catch_up = None;
        }
    }

    fn fleet(&self, plan: &Plan) -> Fleet {
        let client = |from: Node, to: Node| -> Arc<dyn Client> {
            Arc::new(SimClient::new(self.cluster.clone(), from, to))
        };
        let homes: Vec<_> = plan.swarm.client_nodes().collect();
        let near: Vec<_> = plan.swarm.founders().zip(&homes).map(|(to, from)| client(*from, to)).collect();
        let street = *homes.last().expect("there are always clients");
        let roaming: Vec<_> = plan.swarm.nodes().map(|to| client(street, to)).collect();
        let pinned = Fleet::of(&near, plan.swarm.pinned_each, 0);
        Fleet { roaming: Fleet::of(&roaming, 0, plan.swarm.roaming).roaming, ..pinned }
    }
}

fn meta(plan: &Plan) -> Meta {
    let bounds = progress::Bounds::of(&plan.swarm);
    let nanos = |time: Duration| Some(Nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)));
    Meta {
        workload: plan.swarm.workload.to_owned(),
        seed: plan.seed,
        faults: plan.swarm.faults.iter().map(|fault| fault.name().to_owned()).collect(),
        nodes: plan.swarm.nodes().map(|node| node.to_string()).collect(),
        bounds: Bounds {
            leader: nanos(bounds.leader),
            first_write: None,
            watch_catch_up: nanos(bounds.leader + bounds.write + bounds.catch_up),
            // A new leader must be there, and what it revokes must be committed.
            lease_expiry: nanos(bounds.leader + bounds.write),
            clock_drift_ppm: MOST_DRIFT,
        },
        ..Meta::default()
    }
}

fn limits(plan: &Plan) -> Limits {
    let store = Duration::from_millis(plan.swarm.request_timeout_millis);
    Limits {
        time: plan.time,
        operations: None,
        rate: plan.swarm.rate,
        patience: Duration::from_millis(plan.swarm.patience_millis),
        settle: store + Duration::from_secs(5),
        stocktaking: Duration::from_secs(120),
    }
}
