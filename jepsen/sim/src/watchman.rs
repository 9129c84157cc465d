//! Looks at live replicas, again and again: what only they know, and their disks do not.

use std::{collections::BTreeMap, hash::Hash as _, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use keelson_checkers::history::FaultPhase;
use keelson_store::{Store, status::Status, store::Consistency};
use keelson_store_core::{
    engine::Family,
    id::{LogIndex, ReplicaId, Term},
};
use keelson_workloads::Recorder;
use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

use crate::{
    Node,
    cluster::Cluster,
    ghost::{Broken, Trust},
    invariant::Invariant,
};

/// Between two looks, in true time.
const PACE: Duration = Duration::from_millis(20);

/// After so long a leader that stays is recorded again.
const AGAIN: Duration = Duration::from_secs(1);

/// Between two comparisons of what lies in the replicas' states.
const COMPARE_EVERY: Duration = Duration::from_millis(200);

/// What was seen last.
struct Watchman {
    cluster: Cluster,
    recorder: Arc<Recorder>,
    /// By replica: its life, and what it said.
    seen: BTreeMap<Node, (u64, Status)>,
    leader: Option<(Term, ReplicaId)>,
    /// When that was recorded.
    recorded: Instant,
    /// When leases were compared.
    compared: Instant,
}

/// Looks until it is dropped.
pub(crate) async fn run(cluster: Cluster, recorder: Arc<Recorder>) {
    let mut watchman = Watchman {
        cluster,
        recorder,
        seen: BTreeMap::new(),
        leader: None,
        recorded: Instant::now(),
        compared: Instant::now(),
    };
    loop {
        watchman.look();
        tokio::time::sleep(PACE).await;
    }
}

impl Watchman {
    fn look(&mut self) {
        for node in self.cluster.nodes() {
            let Some(store) = self.cluster.store(node) else { continue };
            if self.cluster.ghost().trust(node) == Trust::Foreign {
                continue;
            }
            let (life, status) = (self.cluster.lives(node), store.status());
            if let Some((same, before)) = self.seen.get(&node)
                && *same == life
                && let Err(broken) = check(node, before, &status)
            {
                self.cluster.ghost().report(broken);
            }
            if status.leader == Some(status.replica) {
                self.leads(node, &status);
            }
            self.seen.insert(node, (life, status));
        }
        if self.compared.elapsed() >= COMPARE_EVERY {
            self.compared = Instant::now();
            self.compare_leases();
        }
    }

    /// No hash says what lies in the families of leases: the rolling hash is that of what was applied.
    fn compare_leases(&self) {
        let mut known: BTreeMap<LogIndex, (Node, u64)> = BTreeMap::new();
        for node in self.cluster.nodes().filter(|node| self.cluster.ghost().trust(*node) == Trust::Whole) {
            let Some((index, digest)) = self.cluster.store(node).and_then(|store| leases(&store)) else {
                continue;
            };
            let (other, expected) = *known.entry(index).or_insert((node, digest));
            if digest != expected {
                let text = format!("at entry {index} {node} has other leases than {other}");
                self.cluster.ghost().report(Broken(Invariant::SameLeases, text));
            }
        }
    }

    fn leads(&mut self, node: Node, status: &Status) {
        self.cluster.ghost().seen_leading(status.term, status.replica);
        let leader = Some((status.term, status.replica));
        if self.leader < leader || (self.leader == leader && self.recorded.elapsed() >= AGAIN) {
            self.leader = leader;
            self.recorded = Instant::now();
            self.recorder.fault("", Vec::new(), FaultPhase::LeaderSeen(node.to_string()));
        }
    }
}

/// How far a replica has applied its log, and a digest of its leases; `None` when its disk does not say.
fn leases(store: &Store) -> Option<(LogIndex, u64)> {
    let view = store.view(Consistency::Local).now_or_never()?.ok()?;
    let mut digest = Xxh3::new();
    for family in [Family::Leases, Family::LeaseKeys] {
        let mut cursor = view.read().cursor(family);
        cursor.seek(&[]).ok()?;
        while let Some(entry) = cursor.entry() {
            entry.hash(&mut digest);
            cursor.next().ok()?;
        }
    }
    Some((view.header().applied?.index, digest.digest()))
}

fn check(node: Node, before: &Status, now: &Status) -> Result<(), Broken> {
    if now.term < before.term {
        let text = format!("{node} goes back from term {} to {}", before.term, now.term);
        return Err(Broken(Invariant::OneVote, text));
    }
    if now.applied_index < before.applied_index
        || now.revision < before.revision
        || now.compacted < before.compacted
    {
        let text = format!(
            "{node} was at entry {:?}, revision {} and compaction {}, and is at {:?}, {} and {}",
            before.applied_index,
            before.revision,
            before.compacted,
            now.applied_index,
            now.revision,
            now.compacted
        );
        return Err(Broken(Invariant::NeverBack, text));
    }
    Ok(())
}
