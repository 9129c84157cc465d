//! The collector's requests, as `kube` sends them.
//!
//! In: coordinates and what is wanted. Out: metadata, or what became of a write. Every write names the uid and the
//! version of the object that was judged. Patches are JSON merge patches, which every kind takes.

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy},
    core::Status,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{
    catalogue::Catalogue,
    collector::{Kind, Objects, RequestError, Written},
    identity::{Coordinates, Standing},
    plan::{Live, Propagation},
};

/// The API, and what it serves.
pub(super) struct ApiObjects {
    client: Client,
    catalogue: Mutex<Arc<Catalogue>>,
    /// Told when a kind was asked for that the catalogue does not have.
    pub(super) unknown_kind: Notify,
}

impl ApiObjects {
    pub(super) fn new(client: Client) -> Self {
        Self { client, catalogue: Mutex::default(), unknown_kind: Notify::new() }
    }

    /// Takes in what the API serves now.
    pub(super) fn set_catalogue(&self, catalogue: Catalogue) {
        *self.catalogue.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalogue);
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn api(&self, at: &Coordinates) -> Result<Api<DynamicObject>, RequestError> {
        let catalogue = self.catalogue();
        let Some((resource, kind)) = catalogue.find(&at.api_version, &at.kind) else {
            self.unknown_kind.notify_one();
            return Err(unknown(at));
        };
        Ok(match kind.is_namespaced {
            true => Api::namespaced_with(self.client.clone(), &at.namespace, resource),
            false => Api::all_with(self.client.clone(), resource),
        })
    }

    async fn patch(&self, at: &Coordinates, version: &str, change: Value) -> Result<Written, RequestError> {
        let mut metadata = json!({"uid": at.uid.as_str(), "resourceVersion": version});
        if let (Some(metadata), Value::Object(change)) = (metadata.as_object_mut(), change) {
            metadata.extend(change);
        }
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        match self.api(at)?.patch_metadata(&at.name, &PatchParams::default(), &patch).await {
            Ok(object) => Ok(Written::As(object.metadata.resource_version.unwrap_or_default())),
            Err(error) => failure(at, error).map(|()| Written::Gone),
        }
    }
}

impl Objects for ApiObjects {
    fn kind(&self, api_version: &str, kind: &str) -> Option<Kind> {
        let found = self.catalogue().find(api_version, kind).map(|(_, kind)| *kind);
        if found.is_none() {
            self.unknown_kind.notify_one();
        }
        found
    }

    async fn get(&self, at: &Coordinates) -> Result<Option<Live>, RequestError> {
        match self.api(at)?.get_metadata(&at.name).await {
            Ok(object) => Ok(Some(live(object.metadata))),
            Err(error) => failure(at, error).map(|()| None),
        }
    }

    async fn set_owners(
        &self,
        at: &Coordinates,
        resource_version: &str,
        owners: &[OwnerReference],
    ) -> Result<Written, RequestError> {
        self.patch(at, resource_version, json!({ "ownerReferences": owners })).await
    }

    async fn set_finalizers(
        &self,
        at: &Coordinates,
        resource_version: &str,
        finalizers: &[String],
    ) -> Result<Written, RequestError> {
        self.patch(at, resource_version, json!({ "finalizers": finalizers })).await
    }

    async fn delete(
        &self,
        at: &Coordinates,
        resource_version: &str,
        propagation: Propagation,
    ) -> Result<(), RequestError> {
        let params = DeleteParams {
            propagation_policy: Some(match propagation {
                Propagation::Background => PropagationPolicy::Background,
                Propagation::Foreground => PropagationPolicy::Foreground,
                Propagation::Orphan => PropagationPolicy::Orphan,
            }),
            preconditions: Some(Preconditions {
                uid: Some(at.uid.to_string()),
                resource_version: Some(resource_version.to_owned()),
            }),
            ..DeleteParams::default()
        };
        match self.api(at)?.delete(&at.name, &params).await {
            Ok(_) => Ok(()),
            Err(error) => failure(at, error),
        }
    }
}

fn live(metadata: ObjectMeta) -> Live {
    Live {
        standing: Standing::of(&metadata),
        uid: metadata.uid.as_deref().unwrap_or_default().into(),
        resource_version: metadata.resource_version.unwrap_or_default(),
        owners: metadata.owner_references.unwrap_or_default(),
        finalizers: metadata.finalizers.unwrap_or_default(),
    }
}

/// What an error says: `Ok` that there is no such object. That must not be confused with a kind that is not served
/// any more, which is answered with the same code but without the object's name.
fn failure(at: &Coordinates, error: kube::Error) -> Result<(), RequestError> {
    match error {
        kube::Error::Api(status) if status.is_not_found() => match is_about(&status, &at.name) {
            true => Ok(()),
            false => Err(unknown(at)),
        },
        kube::Error::Api(status) if status.is_conflict() => {
            Err(RequestError::Conflict(kube::Error::Api(status)))
        }
        error => Err(RequestError::Api(error)),
    }
}

fn is_about(status: &Status, name: &str) -> bool {
    status.details.as_ref().is_some_and(|details| details.name == name)
}

fn unknown(at: &Coordinates) -> RequestError {
    RequestError::UnknownKind { api_version: at.api_version.clone(), kind: at.kind.clone() }
}

#[cfg(test)]
mod tests {
    use kube::core::response::StatusDetails;

    use super::*;

    fn not_found(name: &str) -> kube::Error {
        let details = StatusDetails {
            name: name.to_owned(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: 0,
        };
        let status = Status::failure("not found", "NotFound").with_code(404).with_details(details);
        kube::Error::Api(status.boxed())
    }

    #[test]
    fn an_object_that_is_not_found_is_absent_but_a_kind_that_is_not_served_tells_nothing() {
        let at = Coordinates {
            api_version: "shop.example/v1".into(),
            kind: "Widget".into(),
            namespace: "shop".into(),
            name: "w".into(),
            uid: "u".into(),
        };
        assert!(failure(&at, not_found("w")).is_ok());
        assert!(matches!(failure(&at, not_found("")), Err(RequestError::UnknownKind { .. })));
        let page = kube::Error::Api(Status::failure("404 page not found", "NotFound").with_code(404).boxed());
        assert!(matches!(failure(&at, page), Err(RequestError::UnknownKind { .. })));
    }
}
