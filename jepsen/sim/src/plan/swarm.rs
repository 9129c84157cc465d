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
    /// How many replicas.
    pub replicas: u8,
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
    pub(super) fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed, Purpose::Swarm, 0);
        let workloads: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        let weather = weather(&mut random);
        let sync_micros = random.pick(&[0, 500, 2000, 10_000]);
        // openraft gives up a heartbeat that is not answered within the interval: longer ways make a cluster without
        // reads, which is a wrong setting and no fault.
        let least = (2 * weather.most_micros + 4 * sync_micros) / 1000 + 5;
        let heartbeat_millis = random.pick(&[20, 50, 75, 75, 150]).max(least);
        let election_min_millis = heartbeat_millis * random.between(3, 6);
        Self {
            workload: random.pick(&workloads),
            replicas: random.pick(&[3, 3, 3, 5]),
            pinned_each: u32::try_from(random.between(1, 2)).expect("1 or 2"),
            roaming: u32::try_from(random.between(1, 3)).expect("at most 3"),
            rate: random.pick(&[10, 30, 50, 100]),
            seconds: random.between(10, 40),
            heartbeat_millis,
            election_min_millis,
            election_max_millis: election_min_millis + election_min_millis * random.between(30, 100) / 100,
            snapshot_every: random.pick(&[5, 20, 50, 200, 100_000]),
            keep_behind_snapshot: random.pick(&[0, 1, 10, 100]),
            request_timeout_millis: random.pick(&[1000, 3000, 7000]),
            patience_millis: random.pick(&[500, 2000, 8000]),
            log_cache_bytes: random.pick(&[1, 1 << 10, 64 << 10, 16 << 20]),
            watch_history_bytes: random.pick(&[1, 1 << 10, 64 << 10, 8 << 20]),
            weather,
            sync_micros,
            restart_millis: random.pick(&[50, 500, 3000]),
            fault_every_millis: random.pick(&[300, 1000, 3000]),
            faults: faults(&mut random),
        }
    }

    /// The replicas' nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        (0..self.replicas).map(Node)
    }

    /// The clients' nodes: one for those who stay with each replica, and one for those who roam.
    pub(crate) fn client_nodes(&self) -> impl Iterator<Item = Node> + use<> {
        (self.replicas..=self.replicas * 2).map(Node)
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

/// One fault alone, a few, or all.
fn faults(random: &mut Random) -> Vec<Fault> {
    let chance = random.pick(&[0, 15, 40, 100]);
    let mut faults: Vec<_> = Fault::ALL.iter().copied().filter(|_| random.percent(chance)).collect();
    if faults.is_empty() && random.percent(90) {
        faults.push(random.pick(Fault::ALL));
    }
    faults
}
