//! What controllers share: one informer per kind, the recorder of events, the options.
//!
//! In: requests for an informer. Out: the informer, made, indexed and started when somebody first asks for it. A row
//! below is all that a new kind needs.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use keelson_controller_runtime::{EventRecorder, Informer, Scope};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::claim::kin;
use crate::options::Options;

/// An informer's work.
pub(crate) type Following = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What all controllers share.
pub(crate) struct Shared {
    source: Source,
    recorder: EventRecorder,
    options: Options,
    /// By kind and field selector.
    informers: Mutex<HashMap<(TypeId, &'static str), Box<dyn Any + Send>>>,
}

/// Where informers learn.
enum Source {
    /// From the API; what they do has to be run by whoever holds the other end.
    Api { client: Client, start: mpsc::UnboundedSender<Following> },
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
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Following>) {
        let (start, informers) = mpsc::unbounded_channel();
        (Arc::new(Self::of(Source::Api { client, start }, recorder, options)), informers)
    }

    fn of(source: Source, recorder: EventRecorder, options: Options) -> Self {
        Self { source, recorder, options, informers: Mutex::default() }
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
                let mut config = watcher::Config::default();
                config.field_selector = (!fields.is_empty()).then(|| fields.to_owned());
                let informer = Informer::new(Api::all(client.clone()), config);
                // The receiver is gone only when the controllers are being dropped.
                let _ = start.send(Box::pin(informer.clone().run()));
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
        let shared = Arc::new(Shared::of(Source::Detached, recorder, options));
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

    pub(crate) fn pods(&self) -> Informer<Pod> {
        self.informer(kin::index)
    }

    pub(crate) fn replica_sets(&self) -> Informer<ReplicaSet> {
        self.informer(kin::index)
    }

    pub(crate) fn deployments(&self) -> Informer<Deployment> {
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
