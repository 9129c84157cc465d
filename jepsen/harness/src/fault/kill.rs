//! Processes that end: killed without a word, or asked to stop.
//!
//! Nodes that a fault ended run again when it is healed. Disks keep all that was written, synced or not:
//! [`super::disk`] has the faults that do not.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;

use super::{Fault, Injected};
use crate::cluster::{Cluster, Whom};
use crate::failure::Result;

/// `kill -9`.
pub(super) struct Kill(pub(super) Whom);

/// All nodes are asked to stop.
pub(super) struct RestartAll;

/// One node after the other is asked to stop, and started before the next one is asked.
pub(super) struct RestartRolling;

impl Fault for Kill {
    fn inject<'a>(
        &'a self,
        cluster: &'a mut Cluster,
        random: &'a mut StdRng,
    ) -> BoxFuture<'a, Result<Injected>> {
        async {
            let victims = cluster.pick(self.0, random).await;
            if victims.is_empty() {
                return Ok(Injected::NotNow("no node runs".to_owned()));
            }
            for victim in &victims {
                cluster.nodes[*victim].kill().await?;
            }
            Ok(Injected::Until { targets: cluster.named(&victims) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { cluster.start_all() }.boxed()
    }
}

impl Fault for RestartAll {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, _: &'a mut StdRng) -> BoxFuture<'a, Result<Injected>> {
        async {
            for node in &mut cluster.nodes {
                node.stop().await?;
            }
            Ok(Injected::Until { targets: cluster.names.clone() })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { cluster.start_all() }.boxed()
    }
}

impl Fault for RestartRolling {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, _: &'a mut StdRng) -> BoxFuture<'a, Result<Injected>> {
        async {
            for node in cluster.at_home() {
                cluster.nodes[node].stop().await?;
                cluster.start_node(node)?;
                cluster.wait_for(node).await;
            }
            Ok(Injected::Struck { targets: cluster.names.clone() })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, _: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }
}
