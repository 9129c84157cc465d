//! The second half of the corridor: what a cycle has decided becomes true.
//!
//! In: a pod that is assumed to be on a node. Out: whether the API says so too. Permit → PreBind → Bind, in a task of its
//! own, so that the next cycle does not wait for it; whatever fails is undone by [`crate::cycle::Core::bind_failed`].

use std::sync::Arc;

use kube::Client;
use tokio::sync::Semaphore;

use crate::cycle::Assumed;
use crate::framework::{BindError, Framework, Place};
use crate::queue::QueuedPod;

/// How many pods are bound at once. More would wait in the API server instead of here, each on a connection of its own.
const AT_ONCE: usize = 32;

/// What all bindings share.
#[derive(Clone)]
pub(crate) struct Binder {
    client: Client,
    framework: Framework,
    room: Arc<Semaphore>,
}

/// A binding that came to its end.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) queued: QueuedPod,
    pub(crate) node: Arc<str>,
    pub(crate) result: Result<(), BindError>,
}

impl Binder {
    pub(crate) fn new(client: Client, framework: Framework) -> Self {
        Self { client, framework, room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub(crate) async fn bind(self, assumed: Assumed) -> Binding {
        let Assumed { queued, node, permits } = assumed;
        let place = Place { client: self.client, pod: Arc::clone(&queued.info), node: Arc::clone(&node) };
        let result = async {
            for permit in permits {
                permit.await.map_err(BindError::Rejected)?;
            }
            let _room = self.room.acquire().await.expect("nobody closes it");
            for (_, plugin) in self.framework.at(|row| row.pre_bind) {
                plugin.pre_bind(place.clone()).await?;
            }
            let plugin = self.framework.bind();
            plugin.bind(place).await.map_err(|error| match error {
                BindError::Failed(why) => {
                    BindError::Failed(format!("running Bind plugin {:?}: {why}", plugin.name()))
                }
                BindError::Settled | BindError::Rejected(_) => error,
            })
        };
        let result = result.await;
        Binding { queued, node, result }
    }
}
