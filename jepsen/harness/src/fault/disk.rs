//! Disks that lose what was not synced, take no more, answer with errors, or are slow.
//!
//! A node whose disk fails may end by itself: it is excused until the disk is well again.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;

use super::{Fault, Injected};
use crate::cluster::{Cluster, Whom};
use crate::failure::{Failure, Result};

/// About what a worn-out disk does.
const SLOW_WRITES_PER_SECOND: u32 = 20;

/// The power of the disk fails, and the node with it.
pub(super) struct PowerCut(pub(super) Whom);

/// No space is left.
pub(super) struct Full;

/// Writes fail.
pub(super) struct Errors;

/// Few writes a second.
pub(super) struct Slow;

impl Fault for PowerCut {
    fn inject<'a>(
        &'a self,
        cluster: &'a mut Cluster,
        random: &'a mut StdRng,
    ) -> BoxFuture<'a, Result<Injected>> {
        async {
            let victims = cluster.pick(self.0, random).await;
            for victim in &victims {
                // It sees no error: to a machine without power nothing happens any more.
                cluster.excuse(*victim);
                cluster.nodes[*victim].pause()?;
                cluster.nodes[*victim].disk.cut_power().await?;
            }
            for victim in &victims {
                cluster.nodes[*victim].kill().await?;
                cluster.nodes[*victim].disk.remount().await?;
            }
            Ok(Injected::Until { targets: cluster.named(&victims) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { all_well(cluster) }.boxed()
    }
}

impl Fault for Full {
    fn inject<'a>(
        &'a self,
        cluster: &'a mut Cluster,
        random: &'a mut StdRng,
    ) -> BoxFuture<'a, Result<Injected>> {
        async {
            let victims = cluster.pick(Whom::Minority, random).await;
            for victim in &victims {
                cluster.excuse(*victim);
                cluster.nodes[*victim].disk.fill()?;
            }
            Ok(Injected::Until { targets: cluster.named(&victims) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async {
            cluster.nodes.iter().try_for_each(|node| node.disk.empty())?;
            all_well(cluster)
        }
        .boxed()
    }
}

impl Fault for Errors {
    fn inject<'a>(
        &'a self,
        cluster: &'a mut Cluster,
        random: &'a mut StdRng,
    ) -> BoxFuture<'a, Result<Injected>> {
        async {
            let victims = cluster.pick(Whom::Minority, random).await;
            for victim in &victims {
                cluster.excuse(*victim);
                cluster.nodes[*victim].disk.break_writes()?;
            }
            Ok(Injected::Until { targets: cluster.named(&victims) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async {
            for node in cluster.excused() {
                cluster.nodes[node].kill().await?;
                cluster.nodes[node].disk.mend_writes()?;
                cluster.nodes[node].disk.remount().await?;
            }
            all_well(cluster)
        }
        .boxed()
    }
}

impl Fault for Slow {
    fn inject<'a>(
        &'a self,
        cluster: &'a mut Cluster,
        random: &'a mut StdRng,
    ) -> BoxFuture<'a, Result<Injected>> {
        async {
            let victims = cluster.pick(Whom::Minority, random).await;
            for victim in &victims {
                limit(cluster, *victim, Some(SLOW_WRITES_PER_SECOND))?;
            }
            Ok(Injected::Until { targets: cluster.named(&victims) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { (0..cluster.nodes.len()).try_for_each(|node| limit(cluster, node, None)) }.boxed()
    }
}

fn limit(cluster: &Cluster, node: usize, writes_per_second: Option<u32>) -> Result<()> {
    let missing = || Failure::new("a disk is to be slowed down, but the run has no control group");
    let throttle = cluster.throttle.as_ref().ok_or_else(missing)?;
    throttle.limit(cluster.nodes[node].disk.device()?, writes_per_second)
}

fn all_well(cluster: &mut Cluster) -> Result<()> {
    cluster.excused().into_iter().try_for_each(|node| cluster.expect_again(node))
}
