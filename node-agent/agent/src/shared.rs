//! What all workers share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::{EventRecorder, Informer, ObjectKey};
use keelson_cri::{Runtime, RuntimeError};
use keelson_node_volumes::{self as volumes, ClusterDns};
use kube::Client;
use tokio::sync::watch;

use crate::cgroups::Cgroups;
use crate::config::resources::Bounds;
use crate::images::pull::Images;
use crate::node::health::RuntimeHealth;
use crate::pod::backoff::Backoff;
use crate::pod::spec;
use crate::probes::manager::{self, Probes};
use crate::registry::{Record, Registry};
use crate::runtime::observed::{InstanceState, Observed, Size};
use crate::runtime::observer::Observer;
use crate::source::ApiSource;
use crate::status::{self, writer::Statuses};

/// Which container of which pod has to wait before it is started again; with its hash: another image starts anew.
pub(crate) type RestartKey = (String, String, String);

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) node_name: String,
    pub(crate) node_addresses: Vec<IpAddr>,
    pub(crate) root: PathBuf,
    pub(crate) pod_logs: PathBuf,
    pub(crate) dns: ClusterDns,
    pub(crate) node_memory: i64,
    pub(crate) client: Client,
    pub(crate) node: Informer<Node>,
    pub(crate) runtime: Runtime,
    pub(crate) health: watch::Receiver<RuntimeHealth>,
    pub(crate) recorder: EventRecorder,
    pub(crate) observer: Observer,
    pub(crate) registry: Arc<Registry>,
    pub(crate) source: ApiSource,
    pub(crate) images: Images,
    pub(crate) probes: Probes,
    pub(crate) statuses: Statuses,
    pub(crate) cgroups: Cgroups,
    pub(crate) restarts: Mutex<Backoff<RestartKey>>,
}

impl Shared {
    /// The Node object, once the API has it.
    pub(crate) fn node(&self) -> Option<Arc<Node>> {
        self.node.get(&ObjectKey::new("", self.node_name.as_str()))
    }

    /// What pods may ask about the node.
    pub(crate) fn node_facts(&self) -> volumes::Node {
        let allocatable = self.node().and_then(|node| node.status.as_ref()?.allocatable.clone());
        volumes::Node { addresses: self.node_addresses.clone(), allocatable: allocatable.unwrap_or_default() }
    }

    /// The runtime's name, which prefixes the ids of containers.
    fn runtime_name(&self) -> String {
        let health = self.health.borrow();
        health.version.as_ref().map_or_else(|| "containerd".to_owned(), |(name, _)| name.clone())
    }

    /// Looks at the pod in the runtime, follows its probes, and tells what there is.
    pub(crate) async fn observe(&self, record: &Record) -> Result<(), RuntimeError> {
        self.look(record).await?;
        if self.registry.holds(record) {
            self.report(record);
        }
        Ok(())
    }

    /// Looks at the pod in the runtime, and follows its probes.
    pub(crate) async fn look(&self, record: &Record) -> Result<(), RuntimeError> {
        let look = record.begin_look();
        let mut observed = self.observer.observe(spec::uid(&record.pod())).await?;
        if !self.registry.holds(record) {
            // Nothing of it is left meanwhile: nobody would forget what is noted now.
            return Ok(());
        }
        let pod = record.pod();
        let mut view = record.view();
        self.measure(&pod, &mut observed, &mut view.resized);
        view.take_in(look, observed);
        self.probes.follow(manager::View {
            pod: &pod,
            observed: &view.observed,
            told: &view.told,
            is_ending: view.state.is_ending(),
            node_address: &self.node_addresses.first().map(ToString::to_string).unwrap_or_default(),
        });
        Ok(())
    }

    /// Notes how large the instances are that run.
    fn measure(&self, pod: &Pod, observed: &mut Observed, resized: &mut HashMap<String, Bounds>) {
        resized.retain(|id, _| observed.instances.iter().any(|instance| instance.id == *id));
        for instance in &mut observed.instances {
            if matches!(instance.state, InstanceState::Running { .. }) {
                let told = resized.get(&instance.id).copied();
                instance.size = self.cgroups.given(pod, &instance.id).map(|given| Size { given, told });
            }
        }
    }

    /// Tells the API how the pod is.
    pub(crate) fn report(&self, record: &Record) {
        let pod = record.pod();
        let verdicts = self.probes.verdicts(spec::uid(&pod));
        let runtime = self.runtime_name();
        let status = {
            let mut view = record.view();
            let status = status::compute(&status::Input {
                pod: &pod,
                observed: &view.observed,
                old: &view.told,
                verdicts: &verdicts,
                troubles: &view.troubles,
                hooked: &view.hooked,
                pending: view.pending.as_ref(),
                state: &view.state,
                runtime: &runtime,
                node_addresses: &self.node_addresses,
                now: Timestamp::now(),
            });
            view.told = status.clone();
            status
        };
        self.statuses.set(&pod, status);
    }

    /// Forgets everything about a pod of which nothing is left.
    pub(crate) fn forget(&self, pod: &Pod) {
        let uid = spec::uid(pod);
        self.probes.forget(uid);
        self.statuses.forget(uid);
        self.images.forget(|it| it == uid);
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner).forget(|(it, _, _)| it == uid);
        self.registry.forget(uid);
    }
}
