//! A pod, read once.
//!
//! In: a pod as the API has it. Out: what every cycle wants to know of it, as numbers and small lists, so that nothing
//! is parsed while nodes are compared.

use std::fmt;
use std::sync::{Arc, OnceLock};

use k8s_openapi::api::core::v1::Toleration;
use keelson_controller_runtime::ObjectKey;
use keelson_controller_runtime::pod::{Pod, PodSpec};

use crate::cache::Labels;
use crate::host_ports::{self, HostPort};
use crate::pod_terms::{PodTerms, SpreadConstraint, spread_constraints};
use crate::resources::{ComputeResources, Resources, requests, scoring_requests};

/// What tells a pod from an earlier one of the same name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Uid(Arc<str>);

/// How much a pod matters; more is more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Priority(pub(crate) i32);

/// A pod and what was read from it.
#[derive(Debug)]
pub(crate) struct PodInfo {
    pub(crate) pod: Arc<Pod>,
    pub(crate) uid: Uid,
    pub(crate) key: ObjectKey,
    pub(crate) priority: Priority,
    pub(crate) requests: Resources,
    /// What scoring takes it to use.
    pub(crate) scoring_requests: ComputeResources,
    pub(crate) host_ports: Vec<HostPort>,
    /// What it says of other pods.
    pub(crate) terms: PodTerms,
    /// Read when it is asked for the first time: most pods have a node and will never look for one.
    spread: OnceLock<Vec<SpreadConstraint>>,
}

impl PodInfo {
    pub(crate) fn of(pod: Arc<Pod>) -> Arc<Self> {
        let key = ObjectKey::of(&*pod);
        let spec = pod.spec.as_ref();
        Arc::new(Self {
            uid: Uid::of(&pod),
            priority: Priority(spec.and_then(|spec| spec.priority).unwrap_or_default()),
            requests: requests(&pod),
            scoring_requests: scoring_requests(&pod),
            host_ports: spec.map(host_ports::of).unwrap_or_default(),
            terms: PodTerms::of(&pod),
            spread: OnceLock::new(),
            key,
            pod,
        })
    }

    pub(crate) fn spec(&self) -> Option<&PodSpec> {
        self.pod.spec.as_ref()
    }

    pub(crate) fn tolerations(&self) -> &[Toleration] {
        self.spec().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default()
    }

    /// How it is to be spread.
    pub(crate) fn spread(&self) -> &[SpreadConstraint] {
        self.spread
            .get_or_init(|| self.spec().map(|spec| spread_constraints(&self.pod, spec)).unwrap_or_default())
    }

    pub(crate) fn labels(&self) -> Option<&Labels> {
        self.pod.metadata.labels.as_ref()
    }

    pub(crate) fn is_being_deleted(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }
}

impl Uid {
    /// A pod that was never stored has no uid; its key stands in.
    pub(crate) fn of(pod: &Pod) -> Self {
        match &pod.metadata.uid {
            Some(uid) => Self(uid.as_str().into()),
            None => Self(ObjectKey::of(pod).to_string().into()),
        }
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
