//! What an operator does on an ordinary day, done under load.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tokio::time::{Instant, sleep, timeout};

use super::{Fault, Felt, Hit, Injected, Injection, Obstacle, Since};
use crate::cluster::{Cluster, NOBODY_LEADS, PACE, Record, Whom};
use crate::failure::Result;

/// How long a compaction is waited for; without a quorum there is no answer.
const COMPACTION_PATIENCE: Duration = Duration::from_secs(2);

/// What a node logs that was sent a snapshot.
const INSTALLED: &str = "installed a snapshot";
/// What a node logs that has made one. After the second, the log does not reach back any more to what was there before
/// the first.
const BUILT: &str = "built a snapshot";
const BUILT_ENOUGH: usize = 2;
/// How much longer than planned a node is away, at most, until the others have made enough of them.
const SNAPSHOTS_PATIENCE: Duration = Duration::from_secs(6);

/// The leader hands leadership over.
pub(super) struct Transfer;

/// History is forgotten.
pub(super) struct Compaction;

/// A follower is away while the others take snapshots and forget their logs, so that it gets a snapshot.
pub(super) struct Snapshot;

impl Fault for Transfer {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let views = cluster.views().await;
            let Some(leader) = crate::cluster::leader(&views) else {
                return Err(NOBODY_LEADS.into());
            };
            let heirs: Vec<_> = views.iter().enumerate().filter(|(node, _)| *node != leader).collect();
            let heirs: Vec<_> =
                heirs.into_iter().filter_map(|(node, view)| Some((node, (*view)?.member))).collect();
            let Some((heir, member)) = heirs.choose(random).copied() else {
                return Err(Obstacle::not_now("there is nobody to hand leadership to"));
            };
            match cluster.connections[leader].move_leader(member).await {
                Ok(()) => {
                    Ok(Injected::Struck(Hit::seen(vec![leader, heir], "the leader says that it is done")))
                }
                Err(status) => Err(Obstacle::not_now(status.message())),
            }
        }
        .boxed()
    }

    fn heal<'a>(&'a self, _: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { Ok(Felt::AtOnce) }.boxed()
    }
}

impl Fault for Compaction {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let asked = cluster.pick_one(Whom::One, random).await?;
            let Some(Record { recorder, control, clients }) = &cluster.record else {
                return Err(Obstacle::not_now("nobody keeps a record"));
            };
            let Some(revision) = control.logged().told() else {
                return Err(Obstacle::not_now("there is no history yet"));
            };
            let compacting = keelson_workloads::compact(recorder, &*clients[asked], revision);
            match timeout(COMPACTION_PATIENCE, compacting).await {
                Ok(true) => {
                    Ok(Injected::Struck(Hit::seen(vec![asked], format!("compacted up to {revision}"))))
                }
                Ok(false) => Err(Obstacle::not_now("the store did not do it")),
                Err(_) => Err(Obstacle::not_now("no answer in time")),
            }
        }
        .boxed()
    }

    fn heal<'a>(&'a self, _: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { Ok(Felt::AtOnce) }.boxed()
    }
}

impl Fault for Snapshot {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let leader = cluster.leader().await;
            let running = cluster.pick(Whom::All, random).await?;
            let followers: Vec<_> = running.into_iter().filter(|node| Some(*node) != leader).collect();
            let Some(away) = followers.choose(random).copied() else {
                return Err(Obstacle::not_now("no follower runs"));
            };
            cluster.kill(away).await?;
            Ok(Injected::Until(Hit::of(vec![away])))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, since: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async {
            await_snapshots(cluster, since).await?;
            cluster.start_all()?;
            for node in &since.nodes {
                cluster.wait_until_said(*node, INSTALLED, since).await?;
            }
            cluster.felt_in_logs(since, &[INSTALLED], "who was away found all that it lacked in a log")
        }
        .boxed()
    }
}

/// Waits until all others who run have made snapshots enough since then, or a while.
async fn await_snapshots(cluster: &Cluster, since: &Since) -> Result<()> {
    let deadline = Instant::now() + SNAPSHOTS_PATIENCE;
    loop {
        let mut fewest = BUILT_ENOUGH;
        for node in cluster.all().into_iter().filter(|node| cluster.nodes[*node].runs()) {
            fewest = fewest.min(cluster.nodes[node].count_since(since.logs[node], BUILT)?);
        }
        if fewest >= BUILT_ENOUGH || Instant::now() >= deadline {
            return Ok(());
        }
        sleep(PACE).await;
    }
}
