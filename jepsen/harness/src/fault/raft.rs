//! What an operator does on an ordinary day, done under load.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tokio::time::timeout;

use super::{Fault, Injected};
use crate::cluster::{Cluster, Record, Whom};
use crate::failure::Result;

/// How long a compaction is waited for; without a quorum there is no answer.
const COMPACTION_PATIENCE: Duration = Duration::from_secs(2);

/// The leader hands leadership over.
pub(super) struct Transfer;

/// History is forgotten.
pub(super) struct Compaction;

/// A follower is away while the others take snapshots and forget their logs, so that it gets a snapshot.
pub(super) struct Snapshot;

impl Fault for Transfer {
    fn inject<'a>(
        &'a self,
        cluster: &'a mut Cluster,
        random: &'a mut StdRng,
    ) -> BoxFuture<'a, Result<Injected>> {
        async {
            let views = cluster.views().await;
            let Some(leader) = crate::cluster::leader(&views) else {
                return Ok(Injected::NotNow("nobody leads".to_owned()));
            };
            let heirs: Vec<_> = views.iter().enumerate().filter(|(node, _)| *node != leader).collect();
            let heirs: Vec<_> =
                heirs.into_iter().filter_map(|(node, view)| Some((node, (*view)?.member))).collect();
            let Some((heir, member)) = heirs.choose(random).copied() else {
                return Ok(Injected::NotNow("there is nobody to hand leadership to".to_owned()));
            };
            match cluster.connections[leader].move_leader(member).await {
                Ok(()) => Ok(Injected::Struck { targets: cluster.named(&[leader, heir]) }),
                Err(status) => Ok(Injected::NotNow(status.message().to_owned())),
            }
        }
        .boxed()
    }

    fn heal<'a>(&'a self, _: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }
}

impl Fault for Compaction {
    fn inject<'a>(
        &'a self,
        cluster: &'a mut Cluster,
        random: &'a mut StdRng,
    ) -> BoxFuture<'a, Result<Injected>> {
        async {
            let asked = cluster.pick(Whom::One, random).await;
            let Some(node) = asked.first().copied() else {
                return Ok(Injected::NotNow("no node runs".to_owned()));
            };
            let Some(Record { recorder, control, clients }) = &cluster.record else {
                return Ok(Injected::NotNow("nobody keeps a record".to_owned()));
            };
            let Some(revision) = control.logged().told() else {
                return Ok(Injected::NotNow("there is no history yet".to_owned()));
            };
            let compacting = keelson_workloads::compact(recorder, &*clients[node], revision);
            match timeout(COMPACTION_PATIENCE, compacting).await {
                Ok(()) => Ok(Injected::Struck { targets: cluster.named(&asked) }),
                Err(_) => Ok(Injected::NotNow("no answer in time".to_owned())),
            }
        }
        .boxed()
    }

    fn heal<'a>(&'a self, _: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }
}

impl Fault for Snapshot {
    fn inject<'a>(
        &'a self,
        cluster: &'a mut Cluster,
        random: &'a mut StdRng,
    ) -> BoxFuture<'a, Result<Injected>> {
        async {
            let leader = cluster.leader().await;
            let running = cluster.pick(Whom::All, random).await;
            let followers: Vec<_> = running.into_iter().filter(|node| Some(*node) != leader).collect();
            let Some(away) = followers.choose(random).copied() else {
                return Ok(Injected::NotNow("no follower runs".to_owned()));
            };
            cluster.nodes[away].kill().await?;
            Ok(Injected::Until { targets: cluster.named(&[away]) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { cluster.start_all() }.boxed()
    }
}
