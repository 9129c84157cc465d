//! Processes that end: killed without a word, or asked to stop.
//!
//! Nodes that a fault ended run again when it is healed. Disks keep all that was written, synced or not:
//! [`super::disk`] has the faults that do not.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;

use super::{Fault, Felt, Hit, Injected, Injection, Since};
use crate::cluster::{Cluster, NO_NODE_RUNS, Whom};
use crate::failure::Result;

/// `kill -9`.
pub(super) struct Kill(pub(super) Whom);

/// All nodes are asked to stop.
pub(super) struct RestartAll;

/// One node after the other is asked to stop, and started before the next one is asked.
pub(super) struct RestartRolling;

impl Fault for Kill {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = cluster.pick(self.0, random).await?;
            for victim in &victims {
                cluster.kill(*victim).await?;
            }
            Ok(Injected::Until(Hit::seen(victims, "killed")))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { cluster.start_all().map(|()| Felt::AtOnce) }.boxed()
    }
}

impl Fault for RestartAll {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let running = cluster.pick(Whom::All, random).await?;
            for node in &running {
                cluster.stop(*node).await?;
            }
            Ok(Injected::Until(Hit::seen(running, "stopped")))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { cluster.start_all().map(|()| Felt::AtOnce) }.boxed()
    }
}

impl Fault for RestartRolling {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, _: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let mut restarted = Vec::new();
            for node in cluster.at_home() {
                if cluster.nodes[node].runs() {
                    cluster.stop(node).await?;
                    cluster.start_node(node)?;
                    cluster.wait_for(node).await;
                    restarted.push(node);
                }
            }
            if restarted.is_empty() {
                return Err(NO_NODE_RUNS.into());
            }
            Ok(Injected::Struck(Hit::seen(restarted, "stopped, and started again")))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, _: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { Ok(Felt::AtOnce) }.boxed()
    }
}
