//! The objects that pods name, as the API has them now.
//!
//! In: names. Out: ConfigMaps and Secrets, each watched from the first question on until no pod names it any more;
//! Services; tokens. Whoever is interested is told when one of them changes. Deliberately absent: reading objects that no
//! pod of this node names, and writing any.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use keelson_controller_runtime::{Informer, ObjectKey};
use keelson_node_volumes::{ObjectSource, SourceError, Token};
use kube::api::PostParams;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::pod::spec;
use crate::references::References;
use crate::task::Task;

/// How long the first question about an object may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Told of the key of each object that has changed.
type OnChange = Arc<dyn Fn(&Changed) + Send + Sync>;

/// An object that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    ConfigMap(ObjectKey),
    Secret(ObjectKey),
}

impl Changed {
    /// Whether a pod names it.
    pub(crate) fn is_named_by(&self, pod: &Pod) -> bool {
        let in_namespace = |key: &ObjectKey| key.namespace == spec::namespace(pod);
        match self {
            Self::ConfigMap(key) => in_namespace(key) && References::of(pod).config_maps.contains(&key.name),
            Self::Secret(key) => in_namespace(key) && References::of(pod).secrets.contains(&key.name),
        }
    }
}

/// The objects that pods name.
pub(crate) struct ApiSource {
    client: Client,
    config_maps: Watched<ConfigMap>,
    secrets: Watched<Secret>,
    services: Informer<Service>,
}

impl ApiSource {
    /// Asks through `client`; `services` is kept by somebody else.
    pub(crate) fn new(
        client: Client,
        services: Informer<Service>,
        on_change: impl Fn(&Changed) + Send + Sync + 'static,
    ) -> Self {
        let on_change: OnChange = Arc::new(on_change);
        Self {
            config_maps: Watched::new(client.clone(), "configmap", Changed::ConfigMap, on_change.clone()),
            secrets: Watched::new(client.clone(), "secret", Changed::Secret, on_change),
            client,
            services,
        }
    }

    /// Forgets what none of these pods names.
    pub(crate) fn retain<'a>(&self, pods: impl Iterator<Item = &'a Arc<Pod>>) {
        let (mut config_maps, mut secrets) = (Vec::new(), Vec::new());
        for pod in pods {
            let references = References::of(pod);
            let key = |name: String| ObjectKey::new(spec::namespace(pod), name);
            config_maps.extend(references.config_maps.into_iter().map(key));
            secrets.extend(references.secrets.into_iter().map(key));
        }
        self.config_maps.retain(&config_maps);
        self.secrets.retain(&secrets);
    }
}

impl ObjectSource for ApiSource {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<Arc<ConfigMap>>, SourceError> {
        self.config_maps.get(&ObjectKey::new(namespace, name)).await
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Arc<Secret>>, SourceError> {
        self.secrets.get(&ObjectKey::new(namespace, name)).await
    }

    async fn token(
        &self,
        pod: &Pod,
        audience: Option<&str>,
        expiration_seconds: i64,
    ) -> Result<Token, SourceError> {
        let account = spec::spec(pod).service_account_name.as_deref().unwrap_or("default");
        let request =
            TokenRequest { spec: Some(token_spec(pod, audience, expiration_seconds)), ..Default::default() };
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), spec::namespace(pod));
        let answer = api.create_token_request(account, &PostParams::default(), &request).await;
        let status = answer.map_err(|error| failure(&error))?.status;
        let parts = status.and_then(|status| Some((status.token?, status.expiration_timestamp?)));
        let Some((value, expires)) = parts else {
            return Err(SourceError::Refused("the API gave no token".to_owned()));
        };
        let expires = OffsetDateTime::from_unix_timestamp(expires.0.as_second())
            .map_err(|error| SourceError::Refused(error.to_string()))?;
        Ok(Token { value, expires })
    }

    fn services(&self, namespace: &str) -> Result<Vec<Arc<Service>>, SourceError> {
        if self.services.synced().now_or_never().is_none() {
            let text = "services have not yet been read at least once, cannot construct envs";
            return Err(SourceError::Unavailable(text.to_owned()));
        }
        Ok(self.services.in_namespace(namespace))
    }
}

/// A token that holds as long as the pod is there.
fn token_spec(pod: &Pod, audience: Option<&str>, expiration_seconds: i64) -> TokenRequestSpec {
    TokenRequestSpec {
        audiences: Some(audience.map(str::to_owned).into_iter().collect()),
        expiration_seconds: Some(expiration_seconds),
        bound_object_ref: Some(BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
        }),
        ..TokenRequestSpec::default()
    }
}

fn failure(error: &kube::Error) -> SourceError {
    match error {
        kube::Error::Api(status) if status.code < 500 && status.code != 429 => {
            SourceError::Refused(status.message.clone())
        }
        other => SourceError::Unavailable(other.to_string()),
    }
}

/// Objects of one kind, each with a watch of its own: a node may read what its pods name, not all there is.
struct Watched<K> {
    client: Client,
    /// The kind, as upstream writes it in messages.
    word: &'static str,
    changed: fn(ObjectKey) -> Changed,
    on_change: OnChange,
    objects: Mutex<HashMap<ObjectKey, Object<K>>>,
}

struct Object<K> {
    informer: Informer<K>,
    _following: Task,
}

impl<K> Watched<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    fn new(
        client: Client,
        word: &'static str,
        changed: fn(ObjectKey) -> Changed,
        on_change: OnChange,
    ) -> Self {
        Self { client, word, changed, on_change, objects: Mutex::default() }
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Arc<K>>, SourceError> {
        let informer = self.follow(key);
        match tokio::time::timeout(PATIENCE, informer.synced()).await {
            Ok(()) => Ok(informer.get(key)),
            Err(_) => Err(SourceError::Unavailable(format!(
                "failed to sync {} cache: timed out waiting for the condition",
                self.word
            ))),
        }
    }

    fn follow(&self, key: &ObjectKey) -> Informer<K> {
        let mut objects = self.objects();
        let object = objects.entry(key.clone()).or_insert_with(|| {
            let api = Api::namespaced(self.client.clone(), &key.namespace);
            let config = watcher::Config::default().fields(&format!("metadata.name={}", key.name));
            let informer = Informer::new(api, config);
            let (changed, on_change) = ((self.changed)(key.clone()), self.on_change.clone());
            informer.on_change(move |_| on_change(&changed));
            Object { informer: informer.clone(), _following: Task::spawn(informer.run()) }
        });
        object.informer.clone()
    }

    fn retain(&self, named: &[ObjectKey]) {
        self.objects().retain(|key, _| named.contains(key));
    }

    fn objects(&self) -> MutexGuard<'_, HashMap<ObjectKey, Object<K>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
