//! Pods and nodes for tests, with a test's own words only: `MakePod::named("a").container("1", "1Gi").pod()`.
//!
//! What a test does not say is what the API server fills in, or nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Affinity, ContainerImage, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
    NodeSpec, NodeStatus, PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, PodAffinityTerm,
    PodCondition, PodSchedulingGate, PreferredSchedulingTerm, Taint, Toleration, TopologySpreadConstraint,
    WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::{
    Container, ContainerPort, ContainerStatus, Pod, PodSpec, PodStatus, ResourceRequirements, Volume,
};
use tokio::time::Instant;

use crate::cycle::{Attempt, Core};
use crate::framework::Framework;
use crate::observe::{Observation, Version};
use crate::plugins;
use crate::pod_info::{PodInfo, Uid};
use crate::queue::Whereabouts;

pub(crate) mod api;

/// Builds a pod.
#[derive(Clone)]
pub(crate) struct MakePod {
    pod: Pod,
}

/// Builds a node.
#[derive(Clone)]
pub(crate) struct MakeNode {
    node: Node,
}

/// A time, in seconds of the epoch.
pub(crate) fn at(seconds: i64) -> Time {
    Time(Timestamp::from_second(seconds).expect("it is a time"))
}

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn quantities(pairs: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    pairs.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect()
}

fn requesting(requests: &[(&str, &str)]) -> Option<ResourceRequirements> {
    Some(ResourceRequirements { requests: Some(quantities(requests).into()) })
}

/// A requirement such as `("zone", "In", &["a"])`.
pub(crate) fn requirement((key, operator, values): (&str, &str, &[&str])) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
    }
}

/// A selector of pods or namespaces by exact labels.
pub(crate) fn selector(labels: &[(&str, &str)]) -> LabelSelector {
    LabelSelector { match_labels: Some(strings(labels)), match_expressions: None }
}

/// Pods with these labels in the own namespace, and within what they count.
pub(crate) fn pod_term(topology_key: &str, labels: &[(&str, &str)]) -> PodAffinityTerm {
    PodAffinityTerm {
        label_selector: Some(selector(labels)),
        topology_key: topology_key.into(),
        ..PodAffinityTerm::default()
    }
}

/// A constraint on pods with these labels.
pub(crate) fn spread(
    topology_key: &str,
    max_skew: i32,
    unsatisfiable: &str,
    labels: &[(&str, &str)],
) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        label_selector: Some(selector(labels)),
        max_skew,
        topology_key: topology_key.into(),
        when_unsatisfiable: unsatisfiable.into(),
        ..TopologySpreadConstraint::default()
    }
}

/// One alternative of a node affinity, by labels.
pub(crate) fn term(requirements: &[(&str, &str, &[&str])]) -> NodeSelectorTerm {
    NodeSelectorTerm {
        match_expressions: Some(requirements.iter().copied().map(requirement).collect()),
        match_fields: None,
    }
}

/// One alternative of a node affinity, by the node's name.
pub(crate) fn name_term(operator: &str, names: &[&str]) -> NodeSelectorTerm {
    NodeSelectorTerm {
        match_expressions: None,
        match_fields: Some(vec![requirement(("metadata.name", operator, names))]),
    }
}

impl MakePod {
    /// In the namespace `default`, with its name as its uid.
    pub(crate) fn named(name: &str) -> Self {
        let metadata = ObjectMeta {
            namespace: Some("default".into()),
            name: Some(name.into()),
            uid: Some(name.into()),
            generation: Some(1),
            resource_version: Some("1".into()),
            ..ObjectMeta::default()
        };
        let spec = PodSpec { scheduler_name: Some("default-scheduler".into()), ..PodSpec::default() };
        Self { pod: Pod { metadata, spec: Some(spec), status: Some(PodStatus::default()) } }
    }

    pub(crate) fn pod(self) -> Pod {
        self.pod
    }

    pub(crate) fn info(self) -> Arc<PodInfo> {
        PodInfo::of(Arc::new(self.pod))
    }

    fn spec(&mut self) -> &mut PodSpec {
        self.pod.spec.get_or_insert_default()
    }

    fn status(&mut self) -> &mut PodStatus {
        self.pod.status.get_or_insert_default()
    }

    pub(crate) fn plain_container(mut self) -> Self {
        let name = format!("c{}", self.spec().containers.len());
        self.spec().containers.push(Container { name, ..Container::default() });
        self
    }

    pub(crate) fn container(self, cpu: &str, memory: &str) -> Self {
        let mut pod = self.plain_container();
        let container = pod.spec().containers.last_mut().expect("it was just added");
        container.resources = requesting(&[("cpu", cpu), ("memory", memory)]);
        pod
    }

    /// One more container that asks for this and nothing else.
    pub(crate) fn request(self, name: &str, amount: &str) -> Self {
        let mut pod = self.plain_container();
        let container = pod.spec().containers.last_mut().expect("it was just added");
        container.resources = requesting(&[(name, amount)]);
        pod
    }

    pub(crate) fn image(self, image: &str) -> Self {
        let mut pod = self.plain_container();
        pod.spec().containers.last_mut().expect("it was just added").image = Some(image.into());
        pod
    }

    pub(crate) fn init_container(mut self, cpu: &str, memory: &str) -> Self {
        let containers = self.spec().init_containers.get_or_insert_default();
        let resources = requesting(&[("cpu", cpu), ("memory", memory)]);
        containers.push(Container {
            name: format!("i{}", containers.len()),
            resources,
            ..Container::default()
        });
        self
    }

    /// An init container that keeps running.
    pub(crate) fn sidecar(self, cpu: &str, memory: &str) -> Self {
        let mut pod = self.init_container(cpu, memory);
        let containers = pod.spec().init_containers.get_or_insert_default();
        containers.last_mut().expect("it was just added").restart_policy = Some("Always".into());
        pod
    }

    /// A port of the container that was added last.
    pub(crate) fn host_port(mut self, protocol: &str, address: &str, port: i32) -> Self {
        let spec = self.spec();
        let container = spec
            .containers
            .last_mut()
            .or_else(|| spec.init_containers.as_mut().and_then(|all| all.last_mut()));
        container.expect("there is a container").ports.get_or_insert_default().push(ContainerPort {
            container_port: port,
            host_ip: Some(address.into()),
            host_port: Some(port),
            protocol: Some(protocol.into()),
            ..ContainerPort::default()
        });
        self
    }

    pub(crate) fn pod_level(mut self, name: &str, amount: &str) -> Self {
        self.spec().resources = requesting(&[(name, amount)]);
        self
    }

    pub(crate) fn overhead(mut self, name: &str, amount: &str) -> Self {
        self.spec().overhead = Some(quantities(&[(name, amount)]).into());
        self
    }

    /// What the node says that it gives to the first container.
    pub(crate) fn resources_of_first(mut self, cpu: &str, memory: &str) -> Self {
        let resources = requesting(&[("cpu", cpu), ("memory", memory)]);
        let status = ContainerStatus { name: "c0".into(), resources, ..ContainerStatus::default() };
        self.status().container_statuses = Some(vec![status]);
        self
    }

    pub(crate) fn condition(mut self, kind: &str, status: &str, reason: &str) -> Self {
        self.status().conditions.get_or_insert_default().push(PodCondition {
            type_: kind.into(),
            status: status.into(),
            reason: Some(reason.into()),
            ..PodCondition::default()
        });
        self
    }

    pub(crate) fn priority(mut self, priority: i32) -> Self {
        self.spec().priority = Some(priority);
        self
    }

    pub(crate) fn never_preempting(mut self) -> Self {
        self.spec().preemption_policy = Some("Never".into());
        self
    }

    pub(crate) fn node(mut self, name: &str) -> Self {
        self.spec().node_name = Some(name.into());
        self
    }

    pub(crate) fn nominated(mut self, node: &str) -> Self {
        self.status().nominated_node_name = Some(node.into());
        self
    }

    pub(crate) fn phase(mut self, phase: &str) -> Self {
        self.status().phase = Some(phase.into());
        self
    }

    pub(crate) fn started(mut self, seconds: i64) -> Self {
        self.status().start_time = Some(at(seconds));
        self
    }

    pub(crate) fn deleted(mut self) -> Self {
        self.pod.metadata.deletion_timestamp = Some(at(1));
        self
    }

    pub(crate) fn uid(mut self, uid: &str) -> Self {
        self.pod.metadata.uid = Some(uid.into());
        self
    }

    pub(crate) fn version(mut self, version: u64) -> Self {
        self.pod.metadata.resource_version = Some(version.to_string());
        self
    }

    pub(crate) fn labels(mut self, labels: &[(&str, &str)]) -> Self {
        self.pod.metadata.labels = Some(strings(labels));
        self
    }

    pub(crate) fn scheduler(mut self, name: &str) -> Self {
        self.spec().scheduler_name = Some(name.into());
        self
    }

    pub(crate) fn gate(mut self, name: &str) -> Self {
        self.spec().scheduling_gates.get_or_insert_default().push(PodSchedulingGate { name: name.into() });
        self
    }

    pub(crate) fn node_selector(mut self, labels: &[(&str, &str)]) -> Self {
        self.spec().node_selector = Some(strings(labels));
        self
    }

    pub(crate) fn requires(mut self, terms: &[NodeSelectorTerm]) -> Self {
        let selector = NodeSelector { node_selector_terms: terms.to_vec() };
        self.node_affinity().required_during_scheduling_ignored_during_execution = Some(selector);
        self
    }

    pub(crate) fn prefers(mut self, weight: i32, preference: NodeSelectorTerm) -> Self {
        let term = PreferredSchedulingTerm { weight, preference };
        let preferred = &mut self.node_affinity().preferred_during_scheduling_ignored_during_execution;
        preferred.get_or_insert_default().push(term);
        self
    }

    pub(crate) fn namespace(mut self, namespace: &str) -> Self {
        self.pod.metadata.namespace = Some(namespace.into());
        self
    }

    pub(crate) fn owned_by(mut self, kind: &str, uid: &str) -> Self {
        self.pod.metadata.owner_references.get_or_insert_default().push(OwnerReference {
            kind: kind.into(),
            uid: uid.into(),
            controller: Some(true),
            ..OwnerReference::default()
        });
        self
    }

    pub(crate) fn near(mut self, term: PodAffinityTerm) -> Self {
        let affinity = self.affinity().pod_affinity.get_or_insert_default();
        affinity.required_during_scheduling_ignored_during_execution.get_or_insert_default().push(term);
        self
    }

    pub(crate) fn apart(mut self, term: PodAffinityTerm) -> Self {
        let affinity = self.affinity().pod_anti_affinity.get_or_insert_default();
        affinity.required_during_scheduling_ignored_during_execution.get_or_insert_default().push(term);
        self
    }

    /// A weight below zero prefers to be apart.
    pub(crate) fn prefers_near(mut self, weight: i32, pod_affinity_term: PodAffinityTerm) -> Self {
        let term = WeightedPodAffinityTerm { weight: weight.abs(), pod_affinity_term };
        let affinity = self.affinity();
        let preferred = match weight < 0 {
            true => {
                let apart = affinity.pod_anti_affinity.get_or_insert_default();
                &mut apart.preferred_during_scheduling_ignored_during_execution
            }
            false => {
                let near = affinity.pod_affinity.get_or_insert_default();
                &mut near.preferred_during_scheduling_ignored_during_execution
            }
        };
        preferred.get_or_insert_default().push(term);
        self
    }

    pub(crate) fn spreads(mut self, constraint: TopologySpreadConstraint) -> Self {
        self.spec().topology_spread_constraints.get_or_insert_default().push(constraint);
        self
    }

    fn node_affinity(&mut self) -> &mut NodeAffinity {
        self.affinity().node_affinity.get_or_insert_default()
    }

    fn affinity(&mut self) -> &mut Affinity {
        self.spec().affinity.get_or_insert_default()
    }

    pub(crate) fn claim(mut self, name: &str) -> Self {
        let source = PersistentVolumeClaimVolumeSource { claim_name: name.into(), ..Default::default() };
        let volume = Volume { name: name.into(), persistent_volume_claim: Some(source), ..Volume::default() };
        self.spec().volumes.get_or_insert_default().push(volume);
        self
    }

    /// An empty value asks for the key alone, an empty effect means all.
    pub(crate) fn tolerates(mut self, key: &str, value: &str, effect: &str) -> Self {
        let operator = if value.is_empty() { "Exists" } else { "Equal" };
        self.spec().tolerations.get_or_insert_default().push(Toleration {
            key: Some(key.into()),
            operator: Some(operator.into()),
            value: Some(value.into()),
            effect: Some(effect.into()),
            toleration_seconds: None,
        });
        self
    }
}

impl MakeNode {
    /// With room for 110 pods and for nothing else.
    pub(crate) fn named(name: &str) -> Self {
        let metadata =
            ObjectMeta { name: Some(name.into()), uid: Some(name.into()), ..ObjectMeta::default() };
        let allocatable = Some(quantities(&[("pods", "110")]));
        let status = NodeStatus { allocatable, ..NodeStatus::default() };
        let spec = NodeSpec::default();
        Self { node: Node { metadata, spec: Some(spec), status: Some(status) } }
    }

    pub(crate) fn node(self) -> Arc<Node> {
        Arc::new(self.node)
    }

    pub(crate) fn room(mut self, name: &str, amount: &str) -> Self {
        let status = self.node.status.get_or_insert_default();
        status.allocatable.get_or_insert_default().insert(name.into(), Quantity(amount.into()));
        self
    }

    pub(crate) fn capacity(self, cpu: &str, memory: &str) -> Self {
        self.room("cpu", cpu).room("memory", memory)
    }

    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.node.metadata.labels.get_or_insert_default().insert(key.into(), value.into());
        self
    }

    pub(crate) fn taint(mut self, key: &str, value: &str, effect: &str) -> Self {
        let taint =
            Taint { key: key.into(), value: Some(value.into()), effect: effect.into(), time_added: None };
        self.node.spec.get_or_insert_default().taints.get_or_insert_default().push(taint);
        self
    }

    pub(crate) fn unschedulable(mut self) -> Self {
        self.node.spec.get_or_insert_default().unschedulable = Some(true);
        self
    }

    pub(crate) fn image(mut self, name: &str, size: i64) -> Self {
        let image = ContainerImage { names: Some(vec![name.into()]), size_bytes: Some(size) };
        self.node.status.get_or_insert_default().images.get_or_insert_default().push(image);
        self
    }
}

/// A scheduler's head with a cluster in it, and a clock that moves when a test says so.
pub(crate) struct Cluster {
    pub(crate) core: Core,
    pub(crate) now: Instant,
    versions: HashMap<Uid, Arc<Pod>>,
}

impl Cluster {
    pub(crate) fn new(nodes: impl IntoIterator<Item = MakeNode>) -> Self {
        Self::with(plugins::DEFAULT, nodes)
    }

    pub(crate) fn with(framework: Framework, nodes: impl IntoIterator<Item = MakeNode>) -> Self {
        let core = Core::new(framework, "default-scheduler", None, 1);
        let mut cluster = Self { core, now: Instant::now(), versions: HashMap::new() };
        nodes.into_iter().for_each(|node| cluster.node(node));
        cluster
    }

    /// The informer tells of a node, new or newer.
    pub(crate) fn node(&mut self, node: MakeNode) {
        self.core.observe(Observation::Node(Version { old: None, new: Some(node.node()) }), self.now);
    }

    pub(crate) fn remove_node(&mut self, node: MakeNode) {
        self.core.observe(Observation::Node(Version { old: Some(node.node()), new: None }), self.now);
    }

    /// The informer tells of a pod, new or newer.
    pub(crate) fn pod(&mut self, pod: MakePod) {
        let new = Arc::new(pod.pod());
        let old = self.versions.insert(Uid::of(&new), Arc::clone(&new));
        self.core.observe(Observation::Pod(Version { old, new: Some(new) }), self.now);
    }

    /// A claim of this name appears or changes, in the namespace of pods that name none.
    pub(crate) fn claim(&mut self, claim: PersistentVolumeClaim) {
        let version = Version { old: None, new: Some(Arc::new(claim)) };
        self.core.observe(Observation::Claim(version), self.now);
    }

    /// The informer tells that a pod is gone.
    pub(crate) fn remove_pod(&mut self, uid: &str) {
        let old = self.versions.remove(&Self::uid(uid));
        self.core.observe(Observation::Pod(Version { old, new: None }), self.now);
    }

    pub(crate) fn uid(uid: &str) -> Uid {
        Uid::of(&MakePod::named("any").uid(uid).pod())
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn attempt(&mut self) -> Option<Attempt> {
        self.core.schedule_one(self.now)
    }

    /// The next pod's turn: `pod -> node`, or `pod: message`.
    pub(crate) fn turn(&mut self) -> String {
        match self.attempt() {
            Some(Attempt::Assumed(assumed)) => {
                format!("{} -> {}", assumed.queued.info.key.name, assumed.node)
            }
            Some(Attempt::Failed(failure)) => format!("{}: {}", failure.pod.key.name, failure.message),
            Some(Attempt::Skipped(pod)) => format!("{}: skipped", pod.key.name),
            None => "nobody's turn".to_owned(),
        }
    }

    pub(crate) fn whereabouts(&mut self, uid: &str) -> Whereabouts {
        self.core.queue.whereabouts(&Self::uid(uid))
    }
}
