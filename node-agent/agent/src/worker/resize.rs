//! Other sizes for containers that run.
//!
//! In: a pod that asks for another size than it was told to have. Out: whether the node has room for that; the runtime
//! and the pod's control group told. A pod for which there is no room is kept, and restarted, in the size that it has.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus, ResourceRequirements};
use keelson_cri::RuntimeError;

use super::{Next, Worker};
use crate::admission;
use crate::config::resources;
use crate::pod::plan::Resize;
use crate::pod::spec;
use crate::status::PendingSize;

/// Pause before a pod that has to wait for room is judged again.
const ROOM_PAUSE: Duration = Duration::from_secs(5);

impl Worker {
    /// The pod in the size that the node has room for: what it asks for, or what it has.
    pub(super) fn with_room(&self, pod: &Arc<Pod>) -> Arc<Pod> {
        let told = self.record.view().told.clone();
        let former = in_former_size(pod, &told);
        let pending = former.as_ref().and_then(|_| self.lacks_room(pod));
        let is_pending = pending.is_some();
        let before = std::mem::replace(&mut self.record.view().pending, pending.clone());
        if before != pending {
            // The next status that is told is of this size.
            self.shared.report(&self.record);
        }
        former.filter(|_| is_pending).map_or_else(|| pod.clone(), Arc::new)
    }

    /// When to look again whether there is room: nobody tells when another pod leaves.
    pub(super) fn look_for_room(&self) -> Next {
        match self.record.view().pending.as_ref().map(|pending| pending.reason) {
            Some(PendingSize::DEFERRED) => Next::after(ROOM_PAUSE),
            Some(_) | None => Next::Woken,
        }
    }

    fn lacks_room(&self, pod: &Pod) -> Option<PendingSize> {
        let node = self.shared.node()?;
        let others = self.shared.registry.active_besides(spec::uid(pod));
        admission::judge_size(pod, &node, &others.iter().map(AsRef::as_ref)).err()
    }

    /// Gives instances that run the size that the pod asks for.
    pub(super) async fn resize(&self, pod: &Pod, resize: &[Resize]) -> Result<(), RuntimeError> {
        if resize.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        shared.cgroups.loosen_pod(pod);
        for Resize { id, container } in resize {
            let Some(container) = spec::long_running(pod).find(|it| it.name == *container) else { continue };
            let size = resources::of_container(pod, container, shared.node_memory, shared.cgroups.version());
            shared.runtime.update_container_resources(id, size).await?;
            self.record.view().resized.insert(id.clone(), resources::bounds(container));
        }
        if let Err(error) = shared.cgroups.set_up_pod(pod) {
            tracing::warn!(pod = spec::described(pod), %error, "the pod as a whole keeps bounds that it had");
        }
        Ok(())
    }
}

/// The pod as its containers were told to be, if it asks for something else now.
fn in_former_size(pod: &Pod, told: &PodStatus) -> Option<Pod> {
    let mut former = pod.clone();
    let spec = former.spec.as_mut()?;
    let main = shrink(&mut spec.containers, told.container_statuses.as_deref());
    let init = spec.init_containers.as_deref_mut();
    let init = init.is_some_and(|all| shrink(all, told.init_container_statuses.as_deref()));
    (main || init).then_some(former)
}

/// Whether any of the containers was told to have another size, which it then gets.
fn shrink(containers: &mut [Container], told: Option<&[ContainerStatus]>) -> bool {
    let mut has_changed = false;
    for container in containers {
        let status = told.into_iter().flatten().find(|status| status.name == container.name);
        let Some(had) = status.and_then(|status| status.resources.clone()) else { continue };
        let wants = container.resources.clone().unwrap_or_default();
        let sizes = |of: &ResourceRequirements| (of.requests.clone(), of.limits.clone());
        if sizes(&wants) != sizes(&had) {
            container.resources = Some(ResourceRequirements { claims: wants.claims, ..had });
            has_changed = true;
        }
    }
    has_changed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::pod;

    #[test]
    fn a_pod_that_asks_for_what_it_has_is_in_no_other_size() {
        let pod = pod(json!({"containers": [
            {"name": "a", "resources": {"requests": {"cpu": "2"}}}, {"name": "b"},
        ]}));
        let told = |cpu: &str| -> PodStatus {
            serde_json::from_value(json!({"containerStatuses": [
                {"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                 "resources": {"requests": {"cpu": cpu}}},
                {"name": "b", "image": "", "imageID": "", "ready": true, "restartCount": 0},
            ]}))
            .unwrap()
        };
        assert_eq!(in_former_size(&pod, &PodStatus::default()), None);
        assert_eq!(in_former_size(&pod, &told("2")), None);
        let former = in_former_size(&pod, &told("1")).unwrap();
        let requests = spec::containers(&former)[0].resources.as_ref().unwrap().requests.as_ref().unwrap();
        assert_eq!(requests["cpu"].0, "1");
    }
}
