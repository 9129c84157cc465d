//! Processes that get no processor time for a while, and then go on as if nothing had been.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;

use super::{Fault, Felt, Hit, Injected, Injection, Since};
use crate::cluster::node::Node;
use crate::cluster::{Cluster, Whom};
use crate::failure::Result;

/// SIGSTOP, later SIGCONT.
pub(super) struct Pause(pub(super) Whom);

impl Fault for Pause {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = cluster.pick(self.0, random).await?;
            for victim in &victims {
                cluster.nodes[*victim].pause().await?;
            }
            Ok(Injected::Until(Hit::seen(victims, "stopped, says the kernel")))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, _: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async {
            cluster.nodes.iter_mut().try_for_each(Node::resume)?;
            Ok(Felt::AtOnce)
        }
        .boxed()
    }
}
