//! The nemesis: carries out a schedule.
//!
//! In: steps, and a cluster. Out: harm, a record of it, and in the end none of it: [`Nemesis::heal`] leaves a cluster
//! whose every sound replica runs on its own disk, in a network that is as it was. Deliberately absent: when which
//! fault strikes; that stands in the plan.

mod disk;
mod divergence;
mod foreign;
mod membership;
mod network;
mod process;
mod quiet;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keelson_checkers::history::FaultPhase;
use keelson_store_core::engine::mem::MemDisk;
use keelson_workloads::Recorder;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    Fault, Node, Plan, Sort, Step,
    cluster::{Cluster, Death},
    plan::Swarm,
    random::{Purpose, Random},
    trace::{Event, Trace},
};
use network::Cuts;
pub(crate) use process::MOST_DRIFT;

/// Between two looks at whether a step may begin.
const QUIET_PAUSE: Duration = Duration::from_millis(50);

/// The nemesis. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Nemesis {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: Cluster,
    swarm: Swarm,
    recorder: Arc<Recorder>,
    trace: Trace,
    state: Mutex<State>,
}

/// What is going on.
#[derive(Default)]
struct State {
    /// Links that are cut, by step.
    cuts: BTreeMap<u64, Cuts>,
    /// Steps under way.
    active: u64,
    /// Whether the others wait, because a step needs a cluster that nothing happens to.
    is_quiet: bool,
    /// Whether a step is under way that others of its kind must not meddle with: on memberships they all depend.
    is_reserved: bool,
    /// Replicas that were asked to go. Some of them may still be members, and for how long, nobody knows.
    leaving: BTreeSet<Node>,
    /// Why nothing can be concluded from this run.
    void: Option<String>,
    /// Disks that belong to replicas which have others at the moment.
    held: BTreeMap<Node, MemDisk>,
    counts: BTreeMap<Fault, Count>,
}

/// How often a fault struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) injected: u64,
    pub(crate) skipped: u64,
}

/// A step on its way, with dice of its own.
struct Strike {
    number: u64,
    step: Step,
    random: Random,
}

/// Whom a fault hit, or why it could not be injected.
type Hit = Result<Vec<Node>, &'static str>;

impl Nemesis {
    pub(crate) fn new(cluster: Cluster, plan: &Plan, recorder: Arc<Recorder>, trace: Trace) -> Self {
        let swarm = plan.swarm.clone();
        Self { inner: Arc::new(Inner { cluster, swarm, recorder, trace, state: Mutex::default() }) }
    }

    /// Strikes as the plan says until it is over, and then ends whatever still lasts.
    pub(crate) async fn run(&self, plan: &Plan) {
        let begun = Instant::now();
        let mut strikes = JoinSet::new();
        for (number, step) in (0..).zip(&plan.schedule) {
            sleep_until(begun + step.at).await;
            let strike = Strike { number, step: *step, random: Random::new(step.dice, Purpose::Nemesis, 0) };
            strikes.spawn(self.clone().strike(strike));
        }
        sleep_until(begun + plan.time).await;
        strikes.shutdown().await;
        self.heal();
    }

    async fn strike(self, mut strike: Strike) {
        while self.state().is_quiet {
            sleep(QUIET_PAUSE).await;
        }
        self.state().active += 1;
        let fault = strike.step.fault;
        let hit = self.begin(&mut strike).await;
        self.record(fault, &hit);
        if let Ok(nodes) = hit
            && lasts(fault)
        {
            sleep(strike.step.lasts).await;
            self.end(&strike, &nodes);
            self.note(fault, &nodes, FaultPhase::Ended);
        }
        self.state().active -= 1;
    }

    async fn begin(&self, strike: &mut Strike) -> Hit {
        match strike.step.fault {
            Fault::Isolate | Fault::Halves | Fault::OneWay | Fault::Ring | Fault::Bridge | Fault::Clients => {
                self.cut(strike)
            }
            Fault::Weather => self.worsen_weather(strike),
            Fault::Reset => self.reset(strike),
            Fault::Stall => self.stall(strike),
            Fault::Kill | Fault::PowerCut => self.kill_one(strike),
            Fault::KillAll => self.kill_all(Death::Process),
            Fault::PowerCutAll => self.kill_all(Death::Power),
            Fault::Pause => self.pause_one(strike),
            Fault::Restart => self.restart_one(strike),
            Fault::Roll => self.roll().await,
            Fault::Transfer => self.transfer(strike),
            Fault::Drift | Fault::StopClock => self.set_clock(strike),
            Fault::SlowDisk => self.slow_disk(strike),
            Fault::FullDisk | Fault::WriteError | Fault::SyncError | Fault::ReadError => {
                self.fail_disk(strike)
            }
            Fault::DamageRecord | Fault::DamageStore | Fault::DamageFile => self.damage(strike),
            Fault::Diverge => self.diverge(strike).await,
            Fault::Wipe => self.wipe(strike).await,
            Fault::RollBack => self.roll_back(strike).await,
            Fault::Join => self.join(strike),
            Fault::Remove => self.remove(strike).await,
            Fault::Replace => self.replace(strike).await,
        }
    }

    fn end(&self, strike: &Strike, nodes: &[Node]) {
        let cluster = &self.inner.cluster;
        match strike.step.fault {
            Fault::Isolate | Fault::Halves | Fault::OneWay | Fault::Ring | Fault::Bridge | Fault::Clients => {
                self.mend(strike.number);
            }
            Fault::Weather => self.inner.cluster.network().set_weather(self.inner.swarm.weather, |_, _| true),
            Fault::Kill | Fault::PowerCut | Fault::KillAll | Fault::PowerCutAll => {
                nodes.iter().for_each(|node| cluster.start(*node));
            }
            Fault::Pause => nodes.iter().for_each(|node| cluster.pause(*node, false)),
            Fault::Drift | Fault::StopClock => {
                nodes.iter().for_each(|node| cluster.set_clock(*node, process::TRUE_PACE))
            }
            Fault::SlowDisk => {
                nodes.iter().for_each(|node| cluster.set_sync_time(*node, self.inner.swarm.sync()))
            }
            Fault::FullDisk | Fault::WriteError | Fault::SyncError | Fault::ReadError => {
                nodes.iter().for_each(|node| cluster.set_disk_faults(*node, Default::default()));
            }
            Fault::Remove => cluster.clear_out(),
            Fault::Reset
            | Fault::Stall
            | Fault::Restart
            | Fault::Roll
            | Fault::Transfer
            | Fault::DamageRecord
            | Fault::DamageStore
            | Fault::DamageFile
            | Fault::Diverge
            | Fault::Wipe
            | Fault::RollBack
            | Fault::Join
            | Fault::Replace => {}
        }
    }

    /// Ends everything that lasts.
    fn heal(&self) {
        let cluster = &self.inner.cluster;
        let held = {
            let mut state = self.state();
            state.cuts.clear();
            state.is_quiet = false;
            std::mem::take(&mut state.held)
        };
        cluster.network().set_weather(self.inner.swarm.weather, |_, _| true);
        cluster.network().cut(|_, _| false);
        held.into_iter().for_each(|(node, disk)| self.give_back(node, disk));
        cluster.bring_back();
        for node in cluster.nodes() {
            cluster.set_clock(node, process::TRUE_PACE);
            cluster.set_sync_time(node, self.inner.swarm.sync());
            cluster.set_disk_faults(node, Default::default());
            cluster.pause(node, false);
            self.remind(node);
            cluster.start(node);
        }
        self.inner.trace.note(Event::Told("healed".to_owned()));
        self.inner.recorder.fault("", Vec::new(), FaultPhase::Healed);
    }

    /// How often each fault struck.
    pub(crate) fn counts(&self) -> BTreeMap<Fault, Count> {
        self.state().counts.clone()
    }

    /// Whether any replica has come or gone.
    pub(crate) fn has_moved(&self) -> bool {
        let state = self.state();
        state.counts.iter().any(|(fault, count)| fault.sort() == Sort::Membership && count.injected > 0)
    }

    /// Why nothing can be concluded from the run, if so.
    pub(crate) fn void(&self) -> Option<String> {
        self.state().void.clone()
    }

    fn record(&self, fault: Fault, hit: &Hit) {
        let mut state = self.state();
        let count = state.counts.entry(fault).or_default();
        match hit {
            Ok(_) => count.injected += 1,
            Err(_) => count.skipped += 1,
        }
        drop(state);
        match hit {
            Ok(nodes) if lasts(fault) => self.note(fault, nodes, FaultPhase::Began),
            Ok(nodes) => self.note(fault, nodes, FaultPhase::Struck),
            Err(why) => self.note(fault, &[], FaultPhase::Skipped((*why).to_owned())),
        }
    }

    fn note(&self, fault: Fault, nodes: &[Node], phase: FaultPhase) {
        self.inner.trace.note(Event::Told(format!("{} {phase:?} {nodes:?}", fault.name())));
        tracing::info!(at = self.inner.trace.now() / 1_000_000, "{} {phase:?} {nodes:?}", fault.name());
        let targets = nodes.iter().map(Node::to_string).collect();
        self.inner.recorder.fault(fault.name(), targets, phase);
    }

    /// A replica: the leader in half of the cases where there is one.
    fn victim(&self, random: &mut Random) -> Node {
        let nodes: Vec<_> = self.inner.cluster.nodes().collect();
        let any = random.pick(&nodes);
        let leader = self.inner.cluster.leader().filter(|_| random.percent(50));
        leader.unwrap_or(any)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a fault lasts, or comes and goes in one moment.
const fn lasts(fault: Fault) -> bool {
    match fault {
        Fault::Isolate
        | Fault::Halves
        | Fault::OneWay
        | Fault::Ring
        | Fault::Bridge
        | Fault::Clients
        | Fault::Weather
        | Fault::Kill
        | Fault::KillAll
        | Fault::PowerCut
        | Fault::PowerCutAll
        | Fault::Pause
        | Fault::SlowDisk
        | Fault::FullDisk
        | Fault::WriteError
        | Fault::SyncError
        | Fault::ReadError
        | Fault::Drift
        | Fault::StopClock
        | Fault::Remove => true,
        Fault::Reset
        | Fault::Stall
        | Fault::Restart
        | Fault::Roll
        | Fault::Transfer
        | Fault::DamageRecord
        | Fault::DamageStore
        | Fault::DamageFile
        | Fault::Diverge
        | Fault::Wipe
        | Fault::RollBack
        | Fault::Join
        | Fault::Replace => false,
    }
}
