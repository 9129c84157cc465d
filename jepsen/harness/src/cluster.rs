//! All nodes of a run, and what faults may ask of them.
//!
//! In: a program and a lab. Out: nodes that run, questions about who leads, and who ended by itself.
//!
//! * **C1** A node that ends by itself is a crash, unless its disk was hurt ([`Cluster::excuse`]): a store that stops
//!   because it cannot write, or will not read what is damaged, does as it should.
//! * **C2** At most a minority of nodes is ever away or has a disk that is damaged for good, except by a fault that says
//!   so.

pub(crate) mod membership;
pub(crate) mod node;
mod reaction;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use keelson_workloads::{Control, Recorder};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tokio::time::{Instant, sleep};

use crate::client::GrpcClient;
use crate::connection::{Connection, View, connections};
use crate::failure::{Failure, Result};
use crate::fault::felt::{Felt, Since};
use crate::lab::network::{Network, address};
use crate::lab::throttle::Throttle;
use crate::machine::DelayMeans;
use crate::target::{self, Program};
use crate::tool;
use membership::Away;
use node::{Ended, Node};

/// How long a cluster may take to answer for the first time.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a node may take that was started again before the harness goes on without it.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Between two questions to nodes, which cannot tell this process that something has changed.
pub(crate) const PACE: Duration = Duration::from_millis(50);

/// A running cluster.
pub(crate) struct Cluster {
    pub(crate) program: Program,
    pub(crate) names: Vec<String>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) throttle: Option<Throttle>,
    pub(crate) delay_means: Option<DelayMeans>,
    pub(crate) connections: Vec<Connection>,
    /// Whose disk was damaged for good. They may refuse to start, and are not missed.
    pub(crate) damaged: BTreeSet<usize>,
    /// Who is no voter now, and shall become one again.
    pub(crate) away: BTreeMap<usize, Away>,
    /// The record of the run, once there is one.
    pub(crate) record: Option<Record>,
    /// Whose disk fails now: once for each fault.
    excused: Vec<usize>,
    crashes: Vec<Crash>,
}

/// What is written down while clients work.
pub(crate) struct Record {
    /// Who writes.
    pub(crate) recorder: Arc<Recorder>,
    /// Knows how far the history is written down, so that the store may forget it.
    pub(crate) control: Control,
    /// One for each node, for what faults ask of the store as clients do.
    pub(crate) clients: Vec<Arc<GrpcClient>>,
}

/// A node that ended although nobody ended it and its disk was whole, or that panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    pub(crate) node: String,
    pub(crate) ended: Ended,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} ended by itself with {}, saying: {}", self.node, self.ended.how, self.ended.said)
    }
}

/// Why a fault hits nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nobody(pub(crate) &'static str);

pub(crate) const NO_NODE_RUNS: Nobody = Nobody("no node runs");
pub(crate) const NOBODY_LEADS: Nobody = Nobody("nobody leads");

/// Whom a fault hits, of those who run and are not away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Any one.
    One,
    /// As many as a quorum can do without.
    Minority,
    /// Who leads.
    Leader,
    /// All.
    All,
}

/// What a cluster is built from.
pub(crate) struct Plan<'a> {
    pub(crate) program: Program,
    pub(crate) nodes: usize,
    /// Makes certificates, whatever is tested.
    pub(crate) keelson: &'a Path,
    pub(crate) throttle: Option<Throttle>,
    pub(crate) delay_means: Option<DelayMeans>,
    /// Where the logs go.
    pub(crate) results: &'a Path,
}

impl Cluster {
    /// Builds networks, disks and certificates, starts all nodes, and waits until each of them finds a quorum.
    pub(crate) async fn start(plan: Plan<'_>) -> Result<Self> {
        let Plan { program, nodes: count, keelson, throttle, delay_means, results } = plan;
        let names = target::names(count);
        let network = Network::build(&names).await?;
        make_certificates(keelson, &names).await?;
        let connections = connections(count, &target::pki())?;
        let mut nodes = Vec::new();
        for name in &names {
            nodes.push(Node::new(name, results).await?);
        }
        let mut cluster = Self {
            program,
            names,
            nodes,
            network,
            throttle,
            delay_means,
            connections,
            damaged: BTreeSet::new(),
            away: BTreeMap::new(),
            record: None,
            excused: Vec::new(),
            crashes: Vec::new(),
        };
        cluster.start_all()?;
        cluster.wait_until_ready().await?;
        Ok(cluster)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let ready = join_all(self.connections.iter().map(Connection::has_quorum)).await;
            if ready.iter().all(|ready| *ready) {
                return Ok(());
            }
            self.look()?;
            if let Some(Crash { node, ended: Ended { how, said } }) = self.crashes.first() {
                return Err(Failure::new(format!(
                    "node {node} does not start: it ended with {how}, saying: {said}"
                )));
            }
            if Instant::now() > deadline {
                let missing = "the nodes run, but find no quorum; their logs are in the folder of results";
                return Err(Failure::new(missing));
            }
            sleep(PACE).await;
        }
    }

    /// Starts a node, unless it runs, or is away: then it is started when its time comes.
    pub(crate) fn start_node(&mut self, node: usize) -> Result<()> {
        if self.away.contains_key(&node) {
            return Ok(());
        }
        self.nodes[node].start(&self.program, &self.names, node)
    }

    /// Starts every node that does not run and is not away. One whose disk is damaged may end again at once.
    pub(crate) fn start_all(&mut self) -> Result<()> {
        (0..self.nodes.len()).try_for_each(|node| self.start_node(node))
    }

    /// Waits until a node answers with a quorum behind it, or a while.
    pub(crate) async fn wait_for(&self, node: usize) {
        let deadline = Instant::now() + ANSWER_PATIENCE;
        while !self.connections[node].has_quorum().await && Instant::now() < deadline {
            sleep(PACE).await;
        }
    }

    /// Whether any node answers with a quorum behind it, within a while.
    pub(crate) async fn finds_a_quorum(&self) -> bool {
        let deadline = Instant::now() + ANSWER_PATIENCE;
        while Instant::now() < deadline {
            let found = join_all(self.connections.iter().map(Connection::has_quorum)).await;
            if found.contains(&true) {
                return true;
            }
            sleep(PACE).await;
        }
        false
    }

    /// Notices who has ended by itself. A crash is remembered, and the node started again.
    pub(crate) fn look(&mut self) -> Result<()> {
        for number in 0..self.nodes.len() {
            let ended = self.nodes[number].look()?;
            if self.judge(number, ended) {
                self.start_node(number)?;
            }
        }
        Ok(())
    }

    /// Remembers how a node has ended that nobody ended, unless it may end by itself. Answers whether that was a crash.
    fn judge(&mut self, node: usize, ended: Option<Ended>) -> bool {
        let is_excused = self.excused.contains(&node) || self.damaged.contains(&node);
        let Some(ended) = ended.filter(|_| !is_excused && !self.away.contains_key(&node)) else {
            return false;
        };
        self.crashes.push(Crash { node: self.names[node].clone(), ended });
        true
    }

    /// Ends a node at once.
    pub(crate) async fn kill(&mut self, node: usize) -> Result<()> {
        let ended = self.nodes[node].kill().await?;
        self.judge(node, ended);
        Ok(())
    }

    /// Asks a node to stop, and waits until it has. One that does not, or not well, has crashed.
    pub(crate) async fn stop(&mut self, node: usize) -> Result<()> {
        let ended = self.nodes[node].stop().await?;
        self.judge(node, ended);
        Ok(())
    }

    /// How things are now.
    pub(crate) fn since(&self) -> Since {
        Since { nodes: Vec::new(), logs: self.nodes.iter().map(Node::told).collect() }
    }

    /// Whether one of those that a fault hit has told of it since.
    pub(crate) fn felt_in_logs(&self, since: &Since, words: &[&str], otherwise: &str) -> Result<Felt> {
        for node in &since.nodes {
            if let Some(line) = self.nodes[*node].said_since(since.logs[*node], words)? {
                return Ok(Felt::Since(format!("{} said: {line}", self.names[*node])));
            }
        }
        Ok(Felt::Nothing(otherwise.to_owned()))
    }

    /// Waits until a node has told of something since a fault began, or serves without, or a while.
    pub(crate) async fn wait_until_said(&self, node: usize, word: &str, since: &Since) -> Result<()> {
        let deadline = Instant::now() + ANSWER_PATIENCE;
        while self.nodes[node].said_since(since.logs[node], &[word])?.is_none()
            && !self.connections[node].has_quorum().await
            && Instant::now() < deadline
        {
            sleep(PACE).await;
        }
        Ok(())
    }

    /// Every crash, and every panic that a node has survived.
    pub(crate) fn all_crashes(&self) -> Result<Vec<Crash>> {
        let mut crashes = self.crashes.clone();
        for node in &self.nodes {
            let panics = node.panics()?.into_iter();
            crashes.extend(panics.map(|said| Crash {
                node: node.name.clone(),
                ended: Ended { how: "a panic".to_owned(), said },
            }));
        }
        Ok(crashes)
    }

    /// From now on the node may end by itself, until [`Self::expect_again`] is called as often as this.
    pub(crate) fn excuse(&mut self, node: usize) {
        self.excused.push(node);
    }

    /// It may no more, unless for another reason. It is started again if it did; what it did until now is excused.
    pub(crate) fn expect_again(&mut self, node: usize) -> Result<()> {
        self.look()?;
        if let Some(place) = self.excused.iter().position(|excused| *excused == node) {
            self.excused.swap_remove(place);
        }
        self.start_node(node)
    }

    /// As many nodes as a quorum can do without.
    pub(crate) fn minority(&self) -> usize {
        (self.nodes.len() - 1) / 2
    }

    /// All nodes.
    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.nodes.len()).collect()
    }

    /// Nodes that run and are not away, drawn: at least one.
    pub(crate) async fn pick(
        &self,
        whom: Whom,
        random: &mut StdRng,
    ) -> std::result::Result<Vec<usize>, Nobody> {
        let running = self.at_home().into_iter().filter(|node| self.nodes[*node].runs()).collect();
        let leader = match whom {
            Whom::Leader => self.leader().await,
            Whom::One | Whom::Minority | Whom::All => None,
        };
        drawn(running, whom, leader, self.minority(), random)
    }

    /// The first of such nodes: of the one that is meant, where there is only one.
    pub(crate) async fn pick_one(
        &self,
        whom: Whom,
        random: &mut StdRng,
    ) -> std::result::Result<usize, Nobody> {
        Ok(self.pick(whom, random).await?[0])
    }

    /// How each node sees the cluster, if it answers.
    pub(crate) async fn views(&self) -> Vec<Option<View>> {
        join_all(self.connections.iter().map(async |connection| connection.view().await.ok())).await
    }

    /// The number of the node that leads as most nodes see it, if it runs.
    pub(crate) async fn leader(&self) -> Option<usize> {
        leader(&self.views().await)
    }

    /// Names of nodes.
    pub(crate) fn named(&self, nodes: &[usize]) -> Vec<String> {
        nodes.iter().map(|node| self.names[*node].clone()).collect()
    }
}

fn drawn(
    mut running: Vec<usize>,
    whom: Whom,
    leader: Option<usize>,
    minority: usize,
    random: &mut StdRng,
) -> std::result::Result<Vec<usize>, Nobody> {
    if running.is_empty() {
        return Err(NO_NODE_RUNS);
    }
    running.shuffle(random);
    match whom {
        Whom::One => running.truncate(1),
        Whom::Minority => running.truncate(minority),
        Whom::All => {}
        Whom::Leader => {
            running.retain(|node| Some(*node) == leader);
            if running.is_empty() {
                return Err(NOBODY_LEADS);
            }
        }
    }
    running.sort_unstable();
    Ok(running)
}

/// The leader in whom a majority believes, and who believes so itself.
pub(crate) fn leader(views: &[Option<View>]) -> Option<usize> {
    views.iter().position(|view| {
        let Some(view) = view else { return false };
        let followers = views.iter().flatten().filter(|other| other.leader == view.member);
        view.member != 0 && view.leader == view.member && followers.count() > views.len() / 2
    })
}

async fn make_certificates(keelson: &Path, names: &[String]) -> Result<()> {
    let folder: PathBuf = target::pki();
    let mut line = format!("{} pki init --dir {}", keelson.display(), folder.display());
    for (number, name) in names.iter().enumerate() {
        line += &format!(" --member {name}={}", address(number));
    }
    tool::run(&line).await?;
    if folder.is_dir() {
        return Ok(());
    }
    Err(Failure::new(format!("{} has made no certificates: is it keelson?", keelson.display())))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn nobody_is_hit_under_anothers_name() {
        let drawn = |running: &[usize], whom, leader| {
            drawn(running.to_vec(), whom, leader, 1, &mut StdRng::seed_from_u64(1))
        };
        assert_eq!(drawn(&[0, 2], Whom::Leader, Some(2)), Ok(vec![2]));
        assert_eq!(drawn(&[0, 2], Whom::Leader, None), Err(NOBODY_LEADS));
        assert_eq!(drawn(&[0, 2], Whom::Leader, Some(1)), Err(NOBODY_LEADS), "it is away");
        for whom in [Whom::One, Whom::Minority, Whom::Leader, Whom::All] {
            assert_eq!(drawn(&[], whom, None), Err(NO_NODE_RUNS));
        }
        assert_eq!(drawn(&[0, 2], Whom::All, None), Ok(vec![0, 2]));
        assert_eq!(drawn(&[2], Whom::Minority, None), Ok(vec![2]));
    }

    #[test]
    fn a_leader_is_whom_a_majority_follows() {
        let view = |member, leader| Some(View { member, leader });
        assert_eq!(leader(&[view(1, 2), view(2, 2), None]), Some(1));
        assert_eq!(leader(&[view(1, 1), view(2, 2), None]), None, "each believes in itself");
        assert_eq!(leader(&[None, view(2, 2), None]), None, "nobody follows");
        assert_eq!(leader(&[view(1, 3), view(2, 3), None]), None, "it does not answer itself");
        assert_eq!(leader(&[view(1, 0), view(2, 0), view(3, 0)]), None);
    }
}
