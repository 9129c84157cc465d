//! Every active namespace has the ConfigMap `kube-root-ca.crt`, by which its pods recognise the API server.
//!
//! In: namespaces, the ConfigMaps of that name, and the certificates. Out: ConfigMaps made where they are missing, and
//! put right where somebody changed them.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keelson_controller_runtime::{Change, Informer, Next, ObjectKey, Reconcile, WorkQueue, work};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::context::Context;
use crate::namespace::{is_active, is_no_place_to_create};

/// The name of the ConfigMap.
const NAME: &str = "kube-root-ca.crt";

/// The key of the certificates in it.
const DATA_KEY: &str = "ca.crt";

/// The annotation that says what it is for, and its text: upstream's.
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the \
     internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes \
     clusters.",
);

/// The controller.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let (namespaces, config_maps) = (context.namespaces(), context.config_maps_named_kube_root_ca_crt());
    let queue = WorkQueue::new("root_ca_cert_publisher");
    let enqueue = queue.clone();
    namespaces.on_change(move |change| match change {
        Change::Added(namespace) | Change::Updated { new: namespace, .. } => {
            enqueue.add(ObjectKey::of(namespace.as_ref()).name);
        }
        Change::Deleted(_) => {}
    });
    let enqueue = queue.clone();
    config_maps.on_change(move |change| match change {
        Change::Added(object) | Change::Updated { new: object, .. } | Change::Deleted(object) => {
            enqueue.add(ObjectKey::of(object.as_ref()).namespace);
        }
    });
    namespaces.synced().await;
    config_maps.synced().await;
    let root_ca_pem = context.options().root_ca_pem.clone();
    let publisher = Publisher { client, namespaces, config_maps, root_ca_pem };
    work("root-ca-certificate-publisher-controller", queue, 1, Arc::new(publisher)).await;
}

struct Publisher {
    client: Client,
    namespaces: Informer<Namespace>,
    config_maps: Informer<ConfigMap>,
    root_ca_pem: String,
}

impl Reconcile for Publisher {
    /// A namespace's name.
    type Key = String;
    type Error = kube::Error;

    async fn reconcile(&self, namespace: &String) -> Result<Next, kube::Error> {
        if !self.namespaces.get(&ObjectKey::new("", namespace)).is_some_and(|it| is_active(&it)) {
            return Ok(Next::Done);
        }
        let observed = self.config_maps.get(&ObjectKey::new(namespace, NAME));
        let config_maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let params = PostParams::default();
        match plan(namespace, observed.as_deref(), &self.root_ca_pem) {
            Action::Nothing => Ok(Next::Done),
            Action::Replace(wanted) => config_maps.replace(NAME, &params, &wanted).await.map(|_| Next::Done),
            Action::Create(wanted) => match config_maps.create(&params, &wanted).await {
                Ok(_) => Ok(Next::Done),
                Err(error) if is_no_place_to_create(&error) => Ok(Next::Done),
                Err(error) => Err(error),
            },
        }
    }
}

#[derive(Debug, PartialEq)]
enum Action {
    Nothing,
    Create(ConfigMap),
    /// On the version that was seen.
    Replace(ConfigMap),
}

/// What has to be done for the ConfigMap to hold these certificates and nothing else.
fn plan(namespace: &str, observed: Option<&ConfigMap>, root_ca_pem: &str) -> Action {
    let data = Some(BTreeMap::from([(DATA_KEY.to_owned(), root_ca_pem.to_owned())]));
    let (key, text) = DESCRIPTION;
    let Some(observed) = observed else {
        let metadata = ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(NAME.to_owned()),
            annotations: Some(BTreeMap::from([(key.to_owned(), text.to_owned())])),
            ..ObjectMeta::default()
        };
        return Action::Create(ConfigMap { metadata, data, ..ConfigMap::default() });
    };
    let described = observed
        .metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(key))
        .is_some_and(|it| !it.is_empty());
    if observed.data == data && described {
        return Action::Nothing;
    }
    let mut wanted = observed.clone();
    wanted.data = data;
    wanted.metadata.annotations.get_or_insert_default().insert(key.to_owned(), text.to_owned());
    Action::Replace(wanted)
}

#[cfg(test)]
mod tests;
