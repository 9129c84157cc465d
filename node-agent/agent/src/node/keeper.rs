//! Keeps the Node object true: registers it, tells its status, sets up the network that it names.
//!
//! In: the machine and the runtime as they are. Out: one Node in the API. A Node of that name that exists is taken over;
//! one that somebody deletes is made again; conditions that somebody else has written (a control plane that did not hear
//! of the node for a while) are put right at once. With an unreachable API this waits and tries; nothing else waits for
//! it. A runtime that hangs does not hold it up: that is what the API has to hear of.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerImage, Node, NodeStatus, ObjectReference};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::{EventRecorder, Informer, ObjectKey};
use keelson_cri::Runtime;
use keelson_proto::cri::v1::{NetworkConfig, RuntimeConfig};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::conditions::{Health, Turn};
use super::facts::Facts;
use super::health::RuntimeHealth;
use super::pressure::{Gauge, Pressure};
use super::registration::Registration;
use super::status::{self, REPORT_PERIOD};
use crate::cni::{self, Configured};
use crate::images::inventory;
use crate::options::Options;
use crate::version;

/// Pause after the API could not be reached.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the runtime may take to say what the Node object only describes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps the Node object true.
pub(crate) struct Keeper {
    pub(crate) options: Arc<Options>,
    pub(crate) facts: Facts,
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
    pub(crate) recorder: EventRecorder,
    pub(crate) health: watch::Receiver<RuntimeHealth>,
    /// The Node as the API has it.
    pub(crate) node: Informer<Node>,
    /// Told when the Node object has changed.
    pub(crate) changed: Arc<Notify>,
    /// The ranges of pods' addresses that the runtime knows; none at first.
    pub(crate) ranges_told: Vec<String>,
}

/// What was told last, and when.
struct Told {
    status: NodeStatus,
    at: Instant,
    /// The uid of the Node that was told.
    uid: Option<String>,
    /// The revision in which the API has it.
    version: u64,
}

impl Told {
    /// What a Node that was registered or taken over says.
    fn of(node: Node) -> Self {
        let version = version::of(&node.metadata);
        Self { status: node.status.unwrap_or_default(), at: Instant::now(), uid: node.metadata.uid, version }
    }

    /// Takes in the Node as the API has it: somebody else may have written conditions or resources. `false` if it is another Node
    /// than the one that was told.
    fn hear(&mut self, node: &Node) -> bool {
        let version = version::of(&node.metadata);
        if version <= self.version {
            return true;
        }
        self.version = version;
        let status = node.status.clone().unwrap_or_default();
        self.status.conditions = status.conditions;
        self.status.capacity = status.capacity;
        self.status.allocatable = status.allocatable;
        node.metadata.uid == self.uid
    }
}

impl Keeper {
    /// Registers the node and keeps it true for ever.
    pub(crate) async fn run(mut self) -> Infallible {
        let mut gauge = Gauge::new(self.options.eviction_hard);
        self.recorder.normal(&self.reference(), "Starting", "Starting kubelet.");
        loop {
            let node = self.register(&mut gauge).await;
            self.configure_network(&node).await;
            let mut told = Told::of(node);
            let mut was_seen = false;
            while self.tell(&mut told, &mut gauge).await {
                self.wait().await;
                match self.node.get(&self.key()) {
                    Some(node) => {
                        was_seen = true;
                        if !told.hear(&node) {
                            break;
                        }
                        self.configure_network(&node).await;
                    }
                    // Somebody has deleted it.
                    None if was_seen => break,
                    None => {}
                }
            }
            tracing::warn!(
                node = self.options.node_name,
                "the API does not have this node: registering it again"
            );
        }
    }

    /// Until it is time to look again: now and then, and when the runtime or the Node has changed.
    async fn wait(&mut self) {
        tokio::select! {
            () = sleep(self.options.heartbeat.status_period) => {}
            () = self.changed.notified() => {}
            () = turned(&mut self.health) => {}
        }
    }

    /// Makes the Node, or takes over the one that is there.
    async fn register(&self, gauge: &mut Gauge) -> Node {
        let api: Api<Node> = Api::all(self.client.clone());
        loop {
            match self.try_register(&api, gauge).await {
                Ok(node) => {
                    tracing::info!(node = self.options.node_name, "registered");
                    return node;
                }
                Err(error) => tracing::warn!(%error, "cannot register the node"),
            }
            sleep(PAUSE).await;
        }
    }

    async fn try_register(&self, api: &Api<Node>, gauge: &mut Gauge) -> Result<Node, kube::Error> {
        let registration = Registration {
            name: &self.options.node_name,
            architecture: self.facts.architecture,
            labels: &self.options.registration.labels,
            taints: &self.options.registration.taints,
        };
        let (status, _) = self.status(&NodeStatus::default(), gauge).await;
        match api.create(&PostParams::default(), &registration.node(status)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            made => return made,
        }
        let existing = api.get(&self.options.node_name).await?;
        match registration.mending(&existing) {
            Some(patch) => {
                api.patch(&self.options.node_name, &PatchParams::default(), &Patch::Merge(&patch)).await
            }
            None => Ok(existing),
        }
    }

    /// Tells what is new; `false` if the API does not have the node.
    async fn tell(&self, told: &mut Told, gauge: &mut Gauge) -> bool {
        let (status, turns) = self.status(&told.status, gauge).await;
        let is_due = told.at.elapsed() >= REPORT_PERIOD;
        let Some(patch) = status::patch(&told.status, &status, is_due) else { return true };
        let api: Api<Node> = Api::all(self.client.clone());
        let name = &self.options.node_name;
        match api.patch_status(name, &PatchParams::default(), &Patch::Strategic(&patch)).await {
            Ok(node) => {
                *told = Told { status, ..Told::of(node) };
                self.tell_turns(&turns);
                true
            }
            Err(kube::Error::Api(status)) if status.code == 404 => false,
            Err(error) => {
                tracing::warn!(%error, "the API cannot be told of the node");
                true
            }
        }
    }

    fn tell_turns(&self, turns: &[Turn]) {
        for turn in turns {
            let message = format!("Node {} status is now: {turn}", self.options.node_name);
            self.recorder.normal(&self.reference(), turn, message);
        }
    }

    async fn status(&self, old: &NodeStatus, gauge: &mut Gauge) -> (NodeStatus, Vec<Turn>) {
        let images = images(&self.runtime, old).await;
        let health = self.health.borrow().clone();
        let obstacles = health.obstacles(Instant::now());
        let pressure = gauge.read(&self.options.root, Instant::now()).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot tell whether the machine runs short of something");
            Pressure::default()
        });
        status::compute(&status::Input {
            name: &self.options.node_name,
            addresses: &self.options.node_addresses,
            port: self.options.serving.address.port(),
            facts: &self.facts,
            max_pods: self.options.max_pods,
            reserved: &self.options.reserved,
            thresholds: &self.options.eviction_hard,
            runtime: health.version.as_ref(),
            images: &images,
            health: Health { pressure, obstacles: &obstacles },
            old,
            now: Timestamp::now(),
        })
    }

    /// Gives the runtime a network in the ranges that the Node names.
    async fn configure_network(&mut self, node: &Node) {
        let spec = node.spec.as_ref();
        let all = spec.and_then(|spec| spec.pod_cidrs.clone()).unwrap_or_default();
        let ranges: Vec<String> = match all.is_empty() {
            true => spec.and_then(|spec| spec.pod_cidr.clone()).into_iter().collect(),
            false => all,
        };
        if ranges.is_empty() {
            return;
        }
        match cni::configure(&self.options.cni_configurations, &self.options.root, &ranges) {
            Ok(Configured::Ours) => {}
            Ok(Configured::Foreign(file)) => {
                tracing::debug!(file = %file.display(), "the pods' network is somebody else's");
            }
            Err(error) => tracing::warn!(%error, "cannot configure the pods' network"),
        }
        if self.ranges_told == ranges {
            return;
        }
        let network = NetworkConfig { pod_cidr: ranges.join(",") };
        let config = RuntimeConfig { network_config: Some(network) };
        match timeout(PATIENCE, self.runtime.update_runtime_config(config)).await {
            Ok(Ok(())) => self.ranges_told = ranges,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the container runtime is not told of the pods' range");
            }
            Err(_) => tracing::debug!("the container runtime does not take the pods' range"),
        }
    }

    fn key(&self) -> ObjectKey {
        ObjectKey::new("", self.options.node_name.as_str())
    }

    /// Events about a node name it instead of its uid, as upstream's do.
    fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(self.options.node_name.clone()),
            uid: Some(self.options.node_name.clone()),
            ..ObjectReference::default()
        }
    }
}

/// Until what keeps pods from running has changed.
async fn turned(health: &mut watch::Receiver<RuntimeHealth>) {
    let before = health.borrow_and_update().obstacles(Instant::now());
    // The sender lives as long as the agent.
    let _ = health.wait_for(|health| health.obstacles(Instant::now()) != before).await;
}

/// The images that the runtime has; those that were told before, if it does not say: they still hold, as far as anybody
/// knows.
async fn images(runtime: &Runtime, old: &NodeStatus) -> Vec<ContainerImage> {
    match timeout(PATIENCE, runtime.list_images(None)).await {
        Ok(Ok(images)) => inventory::told(images),
        Ok(Err(_)) | Err(_) => old.images.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::net::UnixListener;

    use super::*;

    fn node(uid: &str, version: u32, ready: &str) -> Node {
        let metadata = json!({"name": "n1", "uid": uid, "resourceVersion": version.to_string()});
        let conditions = json!([{"type": "Ready", "status": ready}]);
        serde_json::from_value(json!({"metadata": metadata, "status": {"conditions": conditions}})).unwrap()
    }

    fn ready(told: &Told) -> &str {
        &told.status.conditions.as_ref().unwrap()[0].status
    }

    #[test]
    fn what_somebody_else_wrote_later_counts_and_what_is_older_does_not() {
        let mut told = Told::of(node("1", 9, "True"));
        assert!(told.hear(&node("1", 10, "Unknown")));
        assert_eq!(ready(&told), "Unknown");
        assert!(told.hear(&node("1", 8, "True")));
        assert_eq!(ready(&told), "Unknown");
    }

    #[test]
    fn another_node_of_the_same_name_is_noticed() {
        let mut told = Told::of(node("2", 9, "True"));
        assert!(told.hear(&node("1", 8, "True")), "the one before may still be seen for a moment");
        assert!(!told.hear(&node("3", 10, "True")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_that_hangs_does_not_hold_up_the_status() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("hangs.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        let known = vec![ContainerImage { names: Some(vec!["a".to_owned()]), size_bytes: None }];
        let old = NodeStatus { images: Some(known.clone()), ..NodeStatus::default() };
        let begin = Instant::now();
        assert_eq!(images(&Runtime::at(&socket), &old).await, known);
        assert!(begin.elapsed() <= PATIENCE * 2, "{:?}", begin.elapsed());
    }
}
