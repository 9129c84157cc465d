//! What an operator does on an ordinary day, done under load.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::{Fault, Injected};
use crate::cluster::{Cluster, Whom};
use crate::failure::Result;

/// The leader hands leadership over.
pub(super) struct Transfer;

/// History is forgotten.
pub(super) struct Compaction;

/// A follower is away while the others take snapshots and forget their logs, so that it gets a snapshot.
pub(super) struct Snapshot;

/// Members come and go. Nothing does it yet: its row needs what no target has.
pub(super) struct Membership;

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
            let Some(revision) = cluster.logged.told() else {
                return Ok(Injected::NotNow("there is no history yet".to_owned()));
            };
            match cluster.connections[node].compact(revision).await {
                Ok(()) => Ok(Injected::Struck { targets: cluster.named(&asked) }),
                Err(status) => Ok(Injected::NotNow(status.message().to_owned())),
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

impl Fault for Membership {
    fn inject<'a>(&'a self, _: &'a mut Cluster, _: &'a mut StdRng) -> BoxFuture<'a, Result<Injected>> {
        async { Ok(Injected::NotNow("not supported by the target yet".to_owned())) }.boxed()
    }

    fn heal<'a>(&'a self, _: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }
}
