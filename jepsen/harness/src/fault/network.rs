//! Packets between nodes that are lost, or late.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

use super::{Fault, Felt, Hit, Injected, Injection, Obstacle, Since};
use crate::cluster::Cluster;
use crate::failure::Result;
use crate::lab::network::Dropped;

/// Slow modems between nodes, one slower than the other: clients who ask for little fill none but the last.
const NARROW_KILOBITS: [u32; 4] = [256, 128, 64, 32];
/// How long packets may take to fill one.
const FILLS: Duration = Duration::from_millis(500);

/// A share of all packets is lost.
pub(super) struct Loss;

/// All packets are late, each by another time.
pub(super) struct Delay;

/// All packets wait behind those that came before.
pub(super) struct Narrow;

impl Fault for Loss {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            cluster.network.lose(random.random_range(10..=33)).await?;
            Ok(Injected::Until(Hit::of(cluster.all())))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async {
            let lost = cluster.network.dropped(Dropped::AtRandom).await?;
            cluster.network.lose(0).await?;
            Ok(Felt::counted(lost, "packets were lost"))
        }
        .boxed()
    }
}

impl Fault for Delay {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let Some(means) = cluster.delay_means else {
                return Err(Obstacle::not_now("packets cannot be delayed here"));
            };
            let by = Duration::from_millis(random.random_range(50..=150));
            cluster.network.delay(by, means, StdRng::from_rng(random)).await?;
            Ok(Injected::Until(Hit::of(cluster.all())))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async {
            let late = cluster.network.hurry().await?;
            Ok(Felt::counted(late, "packets came late"))
        }
        .boxed()
    }
}

impl Fault for Narrow {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, _: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            for kilobits in NARROW_KILOBITS {
                cluster.network.narrow(kilobits).await?;
                sleep(FILLS).await;
                if cluster.network.waited().await? > 0 {
                    break;
                }
            }
            Ok(Injected::Until(Hit::of(cluster.all())))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async {
            let waited = cluster.network.waited().await?;
            cluster.network.widen().await?;
            Ok(Felt::counted(waited, "packets had to wait"))
        }
        .boxed()
    }
}
