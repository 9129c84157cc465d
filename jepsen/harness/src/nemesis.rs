//! Carries out the plan of faults, and writes down what was done and what was seen of the cluster.
//!
//! In: a cluster, steps, and the moment at which the run began. Out: events for the history. While it waits it looks
//! after the nodes: who ended by itself is started again, and remembered.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use keelson_checkers::history::{FaultEvent, FaultPhase, Nanos};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep_until};

use crate::client::GrpcClient;
use crate::cluster::Cluster;
use crate::failure::Result;
use crate::fault::Row;
use crate::fault::felt::{Felt, Hit, Injected, Obstacle, Since};
use crate::schedule::{Action, Step};

/// Between two looks at the nodes.
const LOOK: Duration = Duration::from_millis(100);

/// How long members that were removed may take to vote again when nothing is broken any more.
const RETURN_PATIENCE: Duration = Duration::from_secs(60);

/// How a cluster comes out of its faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Stock can be taken.
    Healed,
    /// So many disks were damaged for good that nobody serves any more.
    Lost,
}

/// What breaks a cluster, and watches it.
pub(crate) struct Nemesis<'a> {
    cluster: &'a mut Cluster,
    /// One for each node.
    clients: &'a [Arc<GrpcClient>],
    started: Instant,
    random: StdRng,
    /// Faults that are active.
    active: Vec<(&'static str, Since)>,
    events: Vec<FaultEvent>,
    /// What has shown that faults were felt, a line each.
    evidence: Vec<String>,
}

impl<'a> Nemesis<'a> {
    /// One that has done nothing yet.
    pub(crate) fn new(
        cluster: &'a mut Cluster,
        clients: &'a [Arc<GrpcClient>],
        started: Instant,
        seed: u64,
    ) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self {
            cluster,
            clients,
            started,
            random,
            active: Vec::new(),
            events: Vec::new(),
            evidence: Vec::new(),
        }
    }

    /// Does all steps. Afterwards no fault is active and every node that can runs. Progress is demanded, unless more
    /// than a minority was damaged for good.
    pub(crate) async fn run(&mut self, steps: &[Step]) -> Result<Ending> {
        for step in steps {
            self.look_until(self.started + step.at).await?;
            match step.action {
                Action::Inject => self.inject(step.row).await?,
                Action::Heal => self.heal(step.row).await?,
            }
        }
        self.cluster.start_all()?;
        if self.cluster.damaged.len() <= self.cluster.minority() {
            self.await_members().await?;
            self.note("", Vec::new(), FaultPhase::Healed);
            return Ok(Ending::Healed);
        }
        Ok(if self.cluster.finds_a_quorum().await { Ending::Healed } else { Ending::Lost })
    }

    /// Waits until all who are away vote again, or a while.
    async fn await_members(&mut self) -> Result<()> {
        self.cluster.call_back();
        let deadline = Instant::now() + RETURN_PATIENCE;
        while self.cluster.is_anybody_away() && Instant::now() < deadline {
            self.look_until(Instant::now() + LOOK).await?;
        }
        Ok(())
    }

    /// Looks after the nodes, and who leads, for as long as it is polled.
    pub(crate) async fn watch(&mut self) -> Result<Infallible> {
        let mut seen = None;
        loop {
            let leader = self.cluster.leader().await;
            if leader != seen
                && let Some(leader) = leader
            {
                let name = self.cluster.names[leader].clone();
                self.note("", Vec::new(), FaultPhase::LeaderSeen(name));
            }
            seen = leader;
            self.shelter();
            self.look_until(Instant::now() + LOOK).await?;
        }
    }

    /// What was done and seen, in order of time; and what has shown that faults were felt, a line each.
    pub(crate) fn into_events(self) -> (Vec<FaultEvent>, Vec<String>) {
        (self.events, self.evidence)
    }

    /// Clients of nodes that will not come back go to one that runs: nothing can be asked of the others any more.
    fn shelter(&self) {
        let is_lost = |node: &usize| self.cluster.damaged.contains(node) && !self.cluster.nodes[*node].runs();
        let (lost, others): (Vec<_>, Vec<_>) = (0..self.clients.len()).partition(is_lost);
        if let Some(refuge) = others.first() {
            lost.iter().for_each(|node| self.clients[*node].take_refuge_with(&self.clients[*refuge]));
        }
    }

    fn inject(&mut self, row: &'static Row) -> BoxFuture<'_, Result<()>> {
        async move {
            // Who has ended by itself cannot be hit any more.
            self.cluster.look()?;
            // A fault is felt before all of it is done.
            let (at, since) = (self.now(), self.cluster.since());
            let (nodes, phase) = match row.fault.inject(self.cluster, &mut self.random).await {
                Ok(Injected::Until(Hit { nodes, seen })) => {
                    self.tell(at, row, seen);
                    self.active.push((row.name, Since { nodes: nodes.clone(), ..since }));
                    (nodes, FaultPhase::Began)
                }
                Ok(Injected::Struck(Hit { nodes, seen })) => {
                    self.tell(at, row, seen);
                    (nodes, FaultPhase::Struck)
                }
                Err(Obstacle::NotNow(why)) => (Vec::new(), FaultPhase::Skipped(why)),
                Err(Obstacle::Failed(failure)) => return Err(failure),
            };
            let targets = self.cluster.named(&nodes);
            self.events.push(FaultEvent { at, fault: row.name.to_owned(), targets, phase });
            Ok(())
        }
        .boxed()
    }

    async fn heal(&mut self, row: &'static Row) -> Result<()> {
        let Some(place) = self.active.iter().position(|(name, _)| *name == row.name) else { return Ok(()) };
        let (_, since) = self.active.remove(place);
        match row.fault.heal(self.cluster, &since).await? {
            Felt::AtOnce => {}
            Felt::Since(seen) => self.tell(self.now(), row, Some(seen)),
            // It began, and does not count.
            Felt::Nothing(why) => self.note(row.name, Vec::new(), FaultPhase::Skipped(why)),
        }
        self.note(row.name, Vec::new(), FaultPhase::Ended);
        Ok(())
    }

    fn tell(&mut self, at: Nanos, row: &Row, seen: Option<String>) {
        let line = |seen| format!("{:8.3} s  {}: {seen}", at.0 as f64 / 1e9, row.name);
        self.evidence.extend(seen.map(line));
    }

    async fn look_until(&mut self, moment: Instant) -> Result<()> {
        loop {
            self.cluster.look()?;
            self.cluster.tend().await?;
            let next = Instant::now() + LOOK;
            sleep_until(next.min(moment)).await;
            if next >= moment {
                return Ok(());
            }
        }
    }

    fn note(&mut self, fault: &str, targets: Vec<String>, phase: FaultPhase) {
        self.events.push(FaultEvent { at: self.now(), fault: fault.to_owned(), targets, phase });
    }

    fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
