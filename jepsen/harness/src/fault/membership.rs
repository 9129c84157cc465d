//! Members that are removed and come back, as learners first.
//!
//! A disk that was wiped can only come back this way. One node is away at a time, and none while another one's disk is
//! damaged, unless it is that one: so a majority of the members always has its disk.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;

use super::{Fault, Felt, Hit, Injected, Injection, Obstacle, Since};
use crate::cluster::membership::Wanted;
use crate::cluster::{Cluster, Whom};
use crate::failure::Result;

/// How long the store may take for what begins the fault. Other faults may forbid it meanwhile.
const PATIENCE: Duration = Duration::from_secs(6);

/// A member is removed while it runs: it stays away and goes on running, or comes back at once on an empty disk, and
/// learns until it is promoted.
pub(super) struct Leave(pub(super) Wanted);

/// A disk is lost, and its member removed.
pub(super) struct Replace;

impl Fault for Leave {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victim = sound_victim(cluster, random).await?;
            bring(cluster, victim, self.0).await
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        call_back(cluster)
    }
}

impl Fault for Replace {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let damaged = cluster.damaged.iter().copied().choose(random);
            let victim = match damaged {
                Some(damaged) if !cluster.is_anybody_away() => damaged,
                _ => sound_victim(cluster, random).await?,
            };
            if !cluster.send_away(victim).await {
                return Err(Obstacle::not_now(NOBODY_KNOWS));
            }
            cluster.wipe_away(victim).await?;
            settle(cluster, victim).await
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        call_back(cluster)
    }
}

const NOBODY_KNOWS: &str = "nobody can say who belongs";

/// Any node, as often as not the leader, if all disks are sound and nobody is away.
async fn sound_victim(cluster: &Cluster, random: &mut StdRng) -> std::result::Result<usize, Obstacle> {
    if cluster.is_anybody_away() {
        return Err(Obstacle::not_now("another member is away"));
    }
    if !cluster.damaged.is_empty() {
        return Err(Obstacle::not_now("a disk is damaged"));
    }
    let whom = if random.random_bool(0.5) { Whom::Leader } else { Whom::One };
    Ok(cluster.pick_one(whom, random).await?)
}

async fn bring(cluster: &mut Cluster, victim: usize, wanted: Wanted) -> Injection {
    if !cluster.send_away(victim).await {
        return Err(Obstacle::not_now(NOBODY_KNOWS));
    }
    cluster.want(victim, wanted);
    settle(cluster, victim).await
}

async fn settle(cluster: &mut Cluster, victim: usize) -> Injection {
    if cluster.settle(PATIENCE).await? {
        return Ok(Injected::Until(Hit::seen(vec![victim], "the members are listed so")));
    }
    // It may happen yet; so it comes back whatever has happened.
    cluster.call_back();
    Err(Obstacle::not_now("the store did not do it in time"))
}

/// It takes the store a while; the nemesis sees to it.
fn call_back(cluster: &mut Cluster) -> BoxFuture<'_, Result<Felt>> {
    async {
        cluster.call_back();
        Ok(Felt::AtOnce)
    }
    .boxed()
}
