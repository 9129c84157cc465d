//! Creates, deletes and patches pods for their controllers.
//!
//! In: what a controller wants done to one pod. Out: the request to the API, and an event on the controller's object
//! that tells users what became of it. Deliberately absent: which pods, and what to do after a failure; that is the
//! controller's plan.

mod slow_start;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ObjectReference, Pod as WholePod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{EventRecorder, new_controller_ref};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource};
use serde_json::Value;

pub(crate) use self::slow_start::slow_start;
use crate::refusals::is_gone;

/// How many requests a controller has under way at once for one of its objects. A client has a connection for each.
pub(crate) const IN_FLIGHT: usize = 32;

/// The longest name that an object can have.
const LONGEST_NAME: usize = 253;

/// Why an object cannot be created in a namespace that is being deleted.
const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";

/// What became of a deletion that did not fail.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deletion {
    /// The pod is being deleted, or gone, because of it; the pod as it is, or was last, if the API says so.
    Accepted(Option<Box<Pod>>),
    /// The pod had gone already.
    WasGone,
}

/// Acts on pods with a controller's own identity.
#[derive(Clone)]
pub(crate) struct PodControl {
    client: Client,
    events: EventRecorder,
}

impl PodControl {
    /// With the controller's own client.
    pub(crate) fn new(client: Client, events: EventRecorder) -> Self {
        Self { client, events }
    }

    /// Creates `pod` in its namespace, for the object `owner`. An error does not always mean that no pod was created.
    pub(crate) async fn create(&self, owner: &ObjectReference, pod: &WholePod) -> Result<(), kube::Error> {
        match self.pods::<WholePod>(&pod.metadata).create(&PostParams::default(), pod).await {
            Ok(created) => {
                let name = created.metadata.name.as_deref().unwrap_or_default();
                self.events.normal(owner, "SuccessfulCreate", format!("Created pod: {name}"));
                Ok(())
            }
            Err(error) => {
                // That a namespace ends is no news to whoever ended it.
                if !is_namespace_terminating(&error) {
                    let message = format!("Error creating: {}", message_of(&error));
                    self.events.warning(owner, "FailedCreate", message);
                }
                Err(error)
            }
        }
    }

    /// Deletes this very pod, not another that got its name meanwhile, for the object `owner`.
    pub(crate) async fn delete(&self, owner: &ObjectReference, pod: &Pod) -> Result<Deletion, kube::Error> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let only_this = Preconditions { uid: pod.metadata.uid.clone(), ..Preconditions::default() };
        let params = DeleteParams { preconditions: Some(only_this), ..DeleteParams::default() };
        match self.pods::<Pod>(&pod.metadata).delete(name, &params).await {
            Ok(answer) => {
                self.events.normal(owner, "SuccessfulDelete", format!("Deleted pod: {name}"));
                Ok(Deletion::Accepted(answer.left().map(Box::new)))
            }
            Err(error) if is_gone(&error) => Ok(Deletion::WasGone),
            Err(error) => {
                let message = format!("Error deleting: {}", message_of(&error));
                self.events.warning(owner, "FailedDelete", message);
                Err(error)
            }
        }
    }

    /// Changes `pod` by a strategic merge patch. No event tells of it. A patch that names `metadata.uid` can hit no
    /// other pod of the same name.
    pub(crate) async fn patch(&self, pod: &Pod, patch: &Value) -> Result<Pod, kube::Error> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        self.pods(&pod.metadata).patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await
    }

    fn pods<K>(&self, meta: &ObjectMeta) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), meta.namespace.as_deref().unwrap_or_default())
    }
}

/// A new pod of a template, controlled by `owner` and named after it.
pub(crate) fn pod_from_template<O>(template: &PodTemplateSpec, owner: &O) -> WholePod
where
    O: Resource<DynamicType = ()>,
{
    let wanted = template.metadata.as_ref();
    let metadata = ObjectMeta {
        namespace: owner.meta().namespace.clone(),
        generate_name: Some(name_prefix(owner.meta().name.as_deref().unwrap_or_default())),
        labels: wanted.and_then(|meta| meta.labels.clone()),
        annotations: wanted.and_then(|meta| meta.annotations.clone()),
        finalizers: wanted.and_then(|meta| meta.finalizers.clone()),
        owner_references: Some(vec![new_controller_ref(owner)]),
        ..ObjectMeta::default()
    };
    WholePod { metadata, spec: template.spec.clone(), status: None }
}

/// Whether the request failed because its namespace is being deleted: then every other creation there will fail too.
pub(crate) fn is_namespace_terminating(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    causes.iter().any(|cause| cause.reason == NAMESPACE_TERMINATING)
}

/// What an error is for a user: the server's own words where it spoke.
pub(crate) fn message_of(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

/// The dash makes names readable; a name that is at its limit does without.
fn name_prefix(owner: &str) -> String {
    let dash = if owner.len() < LONGEST_NAME { "-" } else { "" };
    format!("{owner}{dash}")
}

#[cfg(test)]
mod tests;
