//! Processes that get no processor time for a while, and then go on as if nothing had been.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;

use super::{Fault, Injected};
use crate::cluster::{Cluster, Whom};
use crate::failure::Result;

/// SIGSTOP, later SIGCONT.
pub(super) struct Pause(pub(super) Whom);

impl Fault for Pause {
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
                cluster.nodes[*victim].pause()?;
            }
            Ok(Injected::Until { targets: cluster.named(&victims) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { cluster.nodes.iter_mut().try_for_each(crate::cluster::node::Node::resume) }.boxed()
    }
}
