//! The options of a run, drawn per seed: what is fixed in production, and what is left out in one run and frequent in
//! another. (Groce et al., "Swarm testing", 2012: leaving faults out finds what their mixture hides.)

use std::time::Duration;

use keelson_workloads::WORKLOADS;
use serde::{Serialize, Serializer};

use crate::{
    Fault, Node, Weather,
    random::{Purpose, Random},
};

/// The options.
#[derive(Clone, Debug, Serialize)]
pub struct Swarm {
    /// What clients do.
    pub workload: &'static str,
    /// How many replicas found the cluster.
    pub replicas: u8,
    /// How many machines stand empty at first.
    pub spares: u8,
    /// How many clients stay with each replica.
    pub pinned_each: u32,
    /// How many clients go from replica to replica.
    pub roaming: u32,
    /// How many operations all clients begin a second.
    pub rate: u32,
    /// For how many seconds of true time.
    pub seconds: u64,
    /// Raft's heartbeat.
    pub heartbeat_millis: u64,
    /// The shortest wait before an election.
    pub election_min_millis: u64,
    /// The longest.
    pub election_max_millis: u64,
    /// Entries between two snapshots.
    pub snapshot_every: u64,
    /// Entries kept behind a snapshot.
    pub keep_behind_snapshot: u64,
    /// How long history is kept, in milliseconds; 0: for ever, unless clients compact it.
    pub keep_history_millis: u64,
    /// How long the store tries.
    pub request_timeout_millis: u64,
    /// How long clients wait.
    pub patience_millis: u64,
    /// Bytes of the log in memory.
    pub log_cache_bytes: usize,
    /// Bytes of history in memory.
    pub watch_history_bytes: usize,
    /// The network.
    pub weather: Weather,
    /// About how long a disk's sync takes.
    pub sync_micros: u64,
    /// After how long a replica that stopped is started again.
    pub restart_millis: u64,
    /// How often the nemesis strikes, on average.
    pub fault_every_millis: u64,
    /// What it does.
    #[serde(serialize_with = "names")]
    pub faults: Vec<Fault>,
}

fn names<S: Serializer>(faults: &[Fault], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(faults.iter().map(|fault| fault.name()))
}

impl Swarm {
    /// Each option draws by itself, so that a new one leaves the others of every seed as they were.
    pub(super) fn draw(seed: u64) -> Self {
        let draw = |option: &str| Random::named(seed, Purpose::Swarm, option);
        let weather = weather(&mut draw("weather"));
        let sync_micros = draw("sync").pick(&[0, 500, 2000, 10_000]);
        // openraft gives up a heartbeat that is not answered within the interval: longer ways make a cluster without
        // reads, which is a wrong setting and no fault.
        let least = (2 * weather.most_micros + 4 * sync_micros) / 1000 + 5;
        let heartbeat_millis = draw("heartbeat").pick(&[20, 50, 75, 75, 150]).max(least);
        let election_min_millis = heartbeat_millis * draw("election-min").between(3, 6);
        let spread = draw("election-max").between(30, 100);
        Self {
            workload: draw("workload").among(&WORKLOADS.iter().collect::<Vec<_>>(), |row| row.name).name,
            replicas: draw("replicas").pick(&[3, 3, 3, 5]),
            spares: draw("spares").pick(&[1, 2]),
            pinned_each: draw("pinned").pick(&[1, 2]),
            roaming: draw("roaming").pick(&[1, 2, 3]),
            rate: draw("rate").pick(&[10, 30, 50, 100]),
            seconds: draw("seconds").between(10, 40),
            heartbeat_millis,
            election_min_millis,
            election_max_millis: election_min_millis + election_min_millis * spread / 100,
            snapshot_every: draw("snapshot-every").pick(&[5, 20, 50, 200, 100_000]),
            keep_behind_snapshot: draw("keep-behind").pick(&[0, 1, 10, 100]),
            keep_history_millis: draw("keep-history").pick(&[0, 0, 1000, 10_000]),
            request_timeout_millis: draw("request-timeout").pick(&[1000, 3000, 7000]),
            patience_millis: draw("patience").pick(&[500, 2000, 8000]),
            log_cache_bytes: draw("log-cache").pick(&[1, 1 << 10, 64 << 10, 16 << 20]),
            watch_history_bytes: draw("watch-history").pick(&[1, 1 << 10, 64 << 10, 8 << 20]),
            weather,
            sync_micros,
            restart_millis: draw("restart").pick(&[50, 500, 3000]),
            fault_every_millis: draw("fault-every").pick(&[300, 1000, 3000]),
            faults: faults(seed),
        }
    }

    /// The founders' nodes.
    pub(crate) fn founders(&self) -> impl Iterator<Item = Node> + use<> {
        (0..self.replicas).map(Node)
    }

    /// The nodes of all replicas that there may ever be.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        (0..self.replicas + self.spares).map(Node)
    }

    /// The clients' nodes: one for those who stay with each founder, and one for those who roam.
    pub(crate) fn client_nodes(&self) -> impl Iterator<Item = Node> + use<> {
        let first = self.replicas + self.spares;
        (first..=first + self.replicas).map(Node)
    }

    pub(crate) fn keep_history(&self) -> Option<Duration> {
        (self.keep_history_millis > 0).then(|| Duration::from_millis(self.keep_history_millis))
    }

    pub(crate) fn sync(&self) -> Duration {
        Duration::from_micros(self.sync_micros)
    }

    pub(crate) fn restart(&self) -> Duration {
        Duration::from_millis(self.restart_millis)
    }
}

fn weather(random: &mut Random) -> Weather {
    let (least_micros, most_micros) = random.pick(&[(0, 0), (100, 2000), (1000, 10_000), (0, 60_000)]);
    Weather { least_micros, most_micros, loss_permille: random.pick(&[0, 0, 1, 10]) }
}

/// None, one fault alone, a few, or all.
fn faults(seed: u64) -> Vec<Fault> {
    let mut draw = Random::named(seed, Purpose::Swarm, "faults");
    let chance = draw.pick(&[0, 15, 40, 100]);
    let is_in = |fault: &Fault| Random::named(seed, Purpose::Swarm, fault.name()).percent(chance);
    let mut faults: Vec<_> = Fault::ALL.iter().copied().filter(is_in).collect();
    if faults.is_empty() && draw.percent(90) {
        faults.push(draw.among(Fault::ALL, Fault::name));
    }
    faults
}
