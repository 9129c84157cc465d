//! What controllers share: one informer per kind, the recorder of events, the options.
//!
//! In: requests for an informer. Out: the informer, made, indexed and started when somebody first asks for it. A row
//! below is all that a new kind needs.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, ReplicationController, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storagemigration::v1::StorageVersionMigration;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{EventRecorder, Informer, Pool, Scope};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::backends;
use crate::claim::kin;
use crate::endpoint_slice;
use crate::options::Options;

/// The index of pods by the node that they are given to.
pub(crate) const BY_NODE: &str = "node";

/// Starts an informer's work; once more if it broke.
pub(crate) type Follow = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What all controllers share.
pub(crate) struct Shared {
    source: Source,
    recorder: EventRecorder,
    options: Options,
    pods: Pool<Pod>,
    informers: Mutex<Informers>,
}

/// By kind and field selector, each an [`Informer`] of that kind.
type Informers = HashMap<(TypeId, &'static str), Box<dyn Any + Send>>;

/// Where informers learn.
enum Source {
    /// From the API; what they do has to be run by whoever holds the other end.
    Api { client: Client, start: mpsc::UnboundedSender<Follow> },
    /// From tests, by hand.
    #[cfg(test)]
    Detached,
}

/// What one controller has to do with. Handlers that it registers live as long as the context.
pub(crate) struct Context {
    shared: Arc<Shared>,
    scope: Arc<Scope>,
}

impl Shared {
    /// Shared by controllers that read as `client`. Informers that are asked for come out of the receiver, to be run.
    pub(crate) fn new(
        client: Client,
        recorder: EventRecorder,
        options: Options,
        pods: Pool<Pod>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Follow>) {
        let (start, informers) = mpsc::unbounded_channel();
        (Arc::new(Self::of(Source::Api { client, start }, recorder, options, pods)), informers)
    }

    fn of(source: Source, recorder: EventRecorder, options: Options, pods: Pool<Pod>) -> Self {
        Self { source, recorder, options, pods, informers: Mutex::default() }
    }

    fn informer<K>(&self, fields: &'static str, prepare: impl FnOnce(&Informer<K>)) -> Informer<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let mut informers = self.informers.lock().unwrap_or_else(PoisonError::into_inner);
        let made = informers.entry((TypeId::of::<K>(), fields)).or_insert_with(|| {
            let informer = self.make(fields);
            prepare(&informer);
            Box::new(informer)
        });
        made.downcast_ref::<Informer<K>>().expect("each informer lies under the type of its kind").clone()
    }

    fn make<K>(&self, fields: &'static str) -> Informer<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        match &self.source {
            Source::Api { client, start } => {
                let field_selector = (!fields.is_empty()).then(|| fields.to_owned());
                let config = watcher::Config { field_selector, ..watcher::Config::default() };
                let informer = Informer::new(Api::all(client.clone()), config);
                let following = informer.clone();
                // The receiver is gone only when the controllers are being dropped.
                let _ = start.send(Box::new(move || Box::pin(following.clone().run())));
                informer
            }
            #[cfg(test)]
            Source::Detached => Informer::detached(),
        }
    }
}

impl Context {
    /// For one run of one controller.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, scope: Arc::default() }
    }

    /// With informers that a test fills by hand, and a receiver of what is told to users.
    #[cfg(test)]
    pub(crate) fn detached(
        options: Options,
    ) -> (Arc<Self>, mpsc::Receiver<keelson_controller_runtime::RecordedEvent>) {
        let (recorder, events) = EventRecorder::detached();
        let shared = Arc::new(Shared::of(Source::Detached, recorder, options, Pool::default()));
        (Arc::new(Self::new(shared)), events)
    }

    /// What the administrator has decided.
    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Tells users, in the name of `component`: upstream's, for instance `replicaset-controller`.
    pub(crate) fn recorder(&self, component: &'static str) -> EventRecorder {
        self.shared.recorder.of_component(component)
    }

    pub(crate) fn namespaces(&self) -> Informer<Namespace> {
        self.informer(|_| {})
    }

    pub(crate) fn nodes(&self) -> Informer<Node> {
        self.informer(|_| {})
    }

    /// The Leases by which nodes say that they live.
    pub(crate) fn node_leases(&self) -> Informer<Lease> {
        self.some("metadata.namespace=kube-node-lease")
    }

    pub(crate) fn pods(&self) -> Informer<Pod> {
        self.informer(|pods| {
            pods.share(&self.shared.pods);
            kin::index(pods);
            pods.add_index(BY_NODE, node_of);
        })
    }

    pub(crate) fn services(&self) -> Informer<Service> {
        self.informer(|services| services.add_index(backends::BY_SELECTOR_PAIR, backends::selector_pair))
    }

    pub(crate) fn endpoints(&self) -> Informer<Endpoints> {
        self.informer(|_| {})
    }

    pub(crate) fn endpoint_slices(&self) -> Informer<EndpointSlice> {
        self.informer(|slices| slices.add_index(endpoint_slice::BY_SERVICE, endpoint_slice::service_of))
    }

    pub(crate) fn replica_sets(&self) -> Informer<ReplicaSet> {
        self.informer(kin::index)
    }

    pub(crate) fn jobs(&self) -> Informer<Job> {
        self.informer(|_| {})
    }

    pub(crate) fn deployments(&self) -> Informer<Deployment> {
        self.informer(|_| {})
    }

    pub(crate) fn stateful_sets(&self) -> Informer<StatefulSet> {
        self.informer(|_| {})
    }

    pub(crate) fn replication_controllers(&self) -> Informer<ReplicationController> {
        self.informer(kin::index)
    }

    pub(crate) fn disruption_budgets(&self) -> Informer<PodDisruptionBudget> {
        self.informer(|_| {})
    }

    pub(crate) fn service_cidrs(&self) -> Informer<ServiceCIDR> {
        self.informer(|_| {})
    }

    pub(crate) fn storage_version_migrations(&self) -> Informer<StorageVersionMigration> {
        self.informer(|_| {})
    }

    /// The ConfigMaps with this name, of all namespaces.
    pub(crate) fn config_maps_named_kube_root_ca_crt(&self) -> Informer<ConfigMap> {
        self.some("metadata.name=kube-root-ca.crt")
    }

    /// The ServiceAccounts with this name, of all namespaces.
    pub(crate) fn service_accounts_named_default(&self) -> Informer<ServiceAccount> {
        self.some("metadata.name=default")
    }

    /// The one informer of a kind. `prepare` adds its indexes; it is called before anything is known.
    fn informer<K>(&self, prepare: impl FnOnce(&Informer<K>)) -> Informer<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        self.shared.informer("", prepare).scoped(&self.scope)
    }

    /// The one informer of those objects of a kind that a field selector selects.
    fn some<K>(&self, fields: &'static str) -> Informer<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        self.shared.informer(fields, |_| {}).scoped(&self.scope)
    }
}

fn node_of(pod: &Pod) -> Vec<String> {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.node_name.clone())
        .filter(|name| !name.is_empty())
        .into_iter()
        .collect()
}
