//! Pods that were to be disrupted, and were not: the condition that says so is taken back.
//!
//! In: a pod, and the time. Out: whether its condition `DisruptionTarget` is stale, or when it will be (pure); and the
//! request that takes it back.
//!
//! Source: `syncStalePodDisruption` in `pkg/controller/disruption/disruption.go` of Kubernetes.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Informer, Next, ObjectKey, Reconcile};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::plan::patience_left;
use crate::pod_state::is_terminal;
use crate::refusals::is_gone;

const CONDITION: &str = "DisruptionTarget";

/// Why a node's agent ends pods, which takes it as long as it takes.
const BY_THE_NODE: &str = "TerminationByKubelet";

/// Takes back the condition of one pod at a time.
pub(super) struct StaleTargets {
    pub(super) client: Client,
    pub(super) pods: Informer<Pod>,
}

impl Reconcile for StaleTargets {
    type Key = ObjectKey;
    type Error = kube::Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, kube::Error> {
        let Some(pod) = self.pods.get(key) else { return Ok(Next::Done) };
        match staleness(&pod, Timestamp::now()) {
            Staleness::None => Ok(Next::Done),
            Staleness::In(rest) => Ok(Next::After(rest)),
            Staleness::Now => self.take_back(key, &pod).await.map(|()| Next::Done),
        }
    }
}

impl StaleTargets {
    async fn take_back(&self, key: &ObjectKey, pod: &Pod) -> Result<(), kube::Error> {
        let condition = json!({"type": CONDITION, "status": "False", "lastTransitionTime": Timestamp::now()});
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}});
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        match pods.patch_status(&key.name, &PatchParams::default(), &Patch::Strategic(patch)).await {
            Ok(_) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// How the condition of a pod stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Staleness {
    /// It has none, or one that holds as long as the pod.
    None,
    /// It is stale after this time, if nothing happens.
    In(Duration),
    Now,
}

pub(super) fn staleness(pod: &Pod, now: Timestamp) -> Staleness {
    if pod.metadata.deletion_timestamp.is_some() || is_terminal(pod) {
        return Staleness::None;
    }
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let target = conditions.iter().find(|condition| condition.type_ == CONDITION);
    let target = target.filter(|it| it.status == "True" && it.reason.as_deref() != Some(BY_THE_NODE));
    let Some(target) = target else { return Staleness::None };
    let since = target.last_transition_time.as_ref().map_or(now, |time| time.0);
    patience_left(since, now).map_or(Staleness::Now, Staleness::In)
}
