//! The end of a pod of which nothing runs any more.
//!
//! In: the pod. Out: no volumes, no control groups; then the API may forget it, and when it has, no sandbox, no container
//! and no log of it is left.

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use keelson_node_volumes::tear_down;
use tokio::fs;

use super::{Next, SOON, Worker};
use crate::pod::spec;
use crate::pod::state::Event;
use crate::registry::Desired;

impl Worker {
    /// Removes what is left; returns when there is nothing more to do until the API has forgotten the pod.
    pub(super) async fn finish(&mut self, desired: &Desired) -> Next {
        let pod = &desired.pod;
        self.shared.report(&self.record);
        if let Err(error) = tear_down(self.volumes.folders()).await {
            tracing::warn!(pod = spec::described(pod), %error, "the pod's volumes are still there");
            return Next::after(SOON);
        }
        if let Err(error) = self.shared.cgroups.remove_pod(spec::uid(pod)).await {
            tracing::warn!(pod = spec::described(pod), %error, "the pod's control group is still there");
            return Next::after(SOON);
        }
        if !desired.is_removed {
            self.shared.statuses.finish(spec::uid(pod));
            return Next::Woken;
        }
        if !self.remove_from_runtime(pod).await {
            return Next::after(SOON);
        }
        if let Err(error) = fs::remove_dir_all(self.logs.pod()).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(pod = spec::described(pod), %error, "the pod's logs are still there");
        }
        self.happens(Event::Cleared);
        self.shared.forget(pod);
        Next::Never
    }

    /// Whether the runtime has nothing of the pod any more. Its containers go with their sandboxes; what has lost its own
    /// goes alone.
    async fn remove_from_runtime(&self, pod: &Pod) -> bool {
        let observed = match self.shared.observer.observe(spec::uid(pod)).await {
            Ok(observed) => observed,
            Err(error) => {
                tracing::debug!(pod = spec::described(pod), %error, "the runtime may still have the pod");
                return false;
            }
        };
        let runtime = &self.shared.runtime;
        let removed = join_all(observed.sandboxes.iter().map(|it| runtime.remove_pod_sandbox(&it.id))).await;
        let stray = join_all(observed.stray().into_iter().map(|it| runtime.remove_container(&it.id))).await;
        removed
            .into_iter()
            .chain(stray)
            .filter_map(Result::err)
            .inspect(|error| {
                tracing::warn!(pod = spec::described(pod), %error, "the runtime still has something of the pod");
            })
            .count()
            == 0
    }
}
