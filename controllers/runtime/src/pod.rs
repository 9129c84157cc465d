//! Pods as controllers and the scheduler keep them: what anybody of them reads, and nothing else.
//!
//! In: pods in JSON, as the API gives them. Out: [`Pod`], with upstream's names and upstream's types where those are
//! small. There are more pods than anything else, and upstream's type takes several times the room of a pod's JSON: it
//! has a place for each kind of volume, probe and hook, whether used or not. Here lists are as long as they have to be,
//! what is rare lies elsewhere, and what nobody reads is passed over while reading, as are fields that are null.
//!
//! Whoever wants to read another field adds it here. Deliberately absent: a way back into JSON, but for tests, which
//! play the API. A pod that is written whole is made from a template, with upstream's type; one that is kept is changed
//! by patches.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{
    Affinity, PersistentVolumeClaimVolumeSource, PodCondition, PodIP, PodSchedulingGate, Toleration,
    TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer};

use crate::metadata;

/// The annotation that says what a pod is worth, relative to the others of its set: pods of lower cost go first.
pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The annotation, and label, with the completion index of a Job's pod.
pub const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// The annotation that says how often pods of this index have failed before this one.
pub const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

/// The annotation that says how often pods of this index have failed without it counting.
pub const INDEX_IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// The annotations that somebody reads.
pub(crate) const ANNOTATIONS: &[&str] =
    &[DELETION_COST, COMPLETION_INDEX, INDEX_FAILURES, INDEX_IGNORED_FAILURES];

/// A pod. Of its metadata only the annotations above are kept, and no `managedFields`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
pub struct Pod {
    /// Who it is, and whose.
    #[serde(default, deserialize_with = "metadata::of_pod")]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<PodSpec>,
    /// What is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<PodStatus>,
}

/// What is wanted of a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are upstream's")]
pub struct PodSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Box<Affinity>>,
    #[serde(deserialize_with = "list_or_null")]
    pub containers: Vec<Container>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Option::is_none")]
    pub init_containers: Option<Vec<Container>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overhead: Option<Amounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preemption_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Option::is_none")]
    pub scheduling_gates: Option<Vec<PodSchedulingGate>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subdomain: Option<String>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Option::is_none")]
    pub tolerations: Option<Vec<Toleration>>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Option::is_none")]
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    /// Those that stand for claims; no others.
    #[serde(deserialize_with = "claiming", skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<Volume>>,
}

/// A container, also one that runs before the others.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are upstream's")]
pub struct Container {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(deserialize_with = "or_zero")]
    pub name: String,
    #[serde(deserialize_with = "list", skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<ContainerPort>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<String>,
}

/// A port of a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are upstream's")]
pub struct ContainerPort {
    #[serde(deserialize_with = "or_zero")]
    pub container_port: i32,
    #[serde(rename = "hostIP", skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_port: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// What a pod or container asks for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are upstream's")]
pub struct ResourceRequirements {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Amounts>,
}

/// Amounts of resources, by their names and in the order of these. Most name two, where a map has room for eleven.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(
    any(test, feature = "testing"),
    derive(serde::Serialize),
    serde(into = "BTreeMap<String, Quantity>")
)]
#[serde(from = "BTreeMap<String, Quantity>")]
pub struct Amounts(Box<[(String, Quantity)]>);

/// A volume that stands for a claim.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are upstream's")]
pub struct Volume {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<EphemeralVolumeSource>,
    #[serde(deserialize_with = "or_zero")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<PersistentVolumeClaimVolumeSource>,
}

/// That a claim is made for the pod alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
pub struct EphemeralVolumeSource {}

/// What is known of a pod.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are upstream's")]
pub struct PodStatus {
    #[serde(deserialize_with = "list", skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<PodCondition>>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Option::is_none")]
    pub container_statuses: Option<Vec<ContainerStatus>>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Option::is_none")]
    pub init_container_statuses: Option<Vec<ContainerStatus>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nominated_node_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    #[serde(rename = "podIP", skip_serializing_if = "Option::is_none")]
    pub pod_ip: Option<String>,
    #[serde(rename = "podIPs", deserialize_with = "list", skip_serializing_if = "Option::is_none")]
    pub pod_ips: Option<Vec<PodIP>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
}

/// What is known of a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are upstream's")]
pub struct ContainerStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocated_resources: Option<Amounts>,
    #[serde(deserialize_with = "or_zero")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    #[serde(deserialize_with = "or_zero")]
    pub restart_count: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ContainerState>,
}

/// Whether a container has ended.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are upstream's")]
pub struct ContainerState {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated: Option<ContainerStateTerminated>,
}

/// How a container has ended.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(any(test, feature = "testing"), derive(serde::Serialize))]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are upstream's")]
pub struct ContainerStateTerminated {
    #[serde(deserialize_with = "or_zero")]
    pub exit_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
}

impl Amounts {
    /// What is named, and how much of it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Quantity)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), amount))
    }

    /// Whether a resource is named.
    pub fn names(&self, resource: &str) -> bool {
        self.iter().any(|(name, _)| name == resource)
    }
}

impl From<BTreeMap<String, Quantity>> for Amounts {
    fn from(amounts: BTreeMap<String, Quantity>) -> Self {
        Self(amounts.into_iter().collect())
    }
}

#[cfg(any(test, feature = "testing"))]
impl From<Amounts> for BTreeMap<String, Quantity> {
    fn from(amounts: Amounts) -> Self {
        amounts.0.into_iter().collect()
    }
}

impl Resource for Pod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A list that takes no more room than its items need.
fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    let mut items = Option::<Vec<T>>::deserialize(deserializer)?;
    items.iter_mut().for_each(Vec::shrink_to_fit);
    Ok(items)
}

/// The same of a list that upstream's type always has.
fn list_or_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    list(deserializer).map(Option::unwrap_or_default)
}

/// What upstream's type always has, and reads so where it is null.
fn or_zero<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn claiming<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Volume>>, D::Error> {
    let mut volumes = Option::<Vec<Volume>>::deserialize(deserializer)?.unwrap_or_default();
    volumes.retain(|volume| volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some());
    volumes.shrink_to_fit();
    Ok((!volumes.is_empty()).then_some(volumes))
}

#[cfg(test)]
mod tests;
