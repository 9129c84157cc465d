//! Looks at live replicas, again and again: what only they know, and their disks do not.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use keelson_checkers::history::FaultPhase;
use keelson_store::status::Status;
use keelson_store_core::id::{ReplicaId, Term};
use keelson_workloads::Recorder;
use tokio::time::Instant;

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

/// What was seen last.
struct Watchman {
    cluster: Cluster,
    recorder: Arc<Recorder>,
    /// By replica: its life, and what it said.
    seen: BTreeMap<Node, (u64, Status)>,
    leader: Option<(Term, ReplicaId)>,
    /// When that was recorded.
    recorded: Instant,
}

/// Looks until it is dropped.
pub(crate) async fn run(cluster: Cluster, recorder: Arc<Recorder>) {
    let mut watchman =
        Watchman { cluster, recorder, seen: BTreeMap::new(), leader: None, recorded: Instant::now() };
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
