//! Takes the tracking finalizer from pods that no Job will count any more, so that they can go.
//!
//! In: keys of pods. Out: patches, each of the very version of the pod that was judged: one that has been adopted
//! meanwhile keeps its finalizer.

use k8s_openapi::api::batch::v1::Job;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Informer, Next, ObjectKey, Reconcile, controller_of};
use serde_json::{Value, json};

use super::{
    Error,
    pods::{TRACKING, has_finalizer, uid},
    terms::is_managed_elsewhere,
    verdict::is_finished,
};
use crate::{claim::kin, pod_control::PodControl};

/// Releases orphaned pods.
pub(super) struct Orphans {
    pub(super) jobs: Informer<Job>,
    pub(super) pods: Informer<Pod>,
    pub(super) control: PodControl,
}

impl Reconcile for Orphans {
    type Key = ObjectKey;
    type Error = Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, Error> {
        let Some(pod) = self.pods.get(key).filter(|pod| self.is_orphan(pod)) else { return Ok(Next::Done) };
        match self
            .control
            .patch(&pod, &without_finalizer(&pod, pod.metadata.resource_version.as_deref()))
            .await
        {
            Ok(_) => Ok(Next::Done),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Next::Done),
            Err(error) => Err(Error::Release(error)),
        }
    }
}

impl Orphans {
    fn is_orphan(&self, pod: &Pod) -> bool {
        if !has_finalizer(pod) {
            return false;
        }
        let Some(controller) = controller_of(&pod.metadata) else { return true };
        if controller.kind != "Job" || controller.api_version != "batch/v1" {
            return false;
        }
        kin::owner_of(&self.jobs, &pod.metadata).is_none_or(|job| {
            let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref());
            !is_managed_elsewhere(&job) && is_finished(conditions.unwrap_or_default())
        })
    }
}

/// The patch that takes the finalizer from this pod and no other, if it still has this version.
pub(super) fn without_finalizer(pod: &Pod, version: Option<&str>) -> Value {
    let mut metadata = json!({"uid": uid(pod), "$deleteFromPrimitiveList/finalizers": [TRACKING]});
    if let Some(version) = version {
        metadata["resourceVersion"] = version.into();
    }
    json!({ "metadata": metadata })
}
