//! DefaultBinder: POST to `pods/<name>/binding`.
//!
//! A refusal is a refusal. But an answer that was lost says nothing: the pod may have its node. Giving the room away then
//! would promise it twice. So the binder asks until it knows, and the room stays taken meanwhile.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::{Binding, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keelson_controller_runtime::pod::Pod;
use kube::api::PostParams;
use kube::{Api, core::Status};
use tokio::time::{Instant, sleep};

use crate::framework::{Bind, BindError, Place, Plugin};
use crate::pod_info::{PodInfo, Uid};

/// The pause before asking again; it doubles
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// After so long the pod goes back to the queue. If it is bound after all, the informer will tell.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct DefaultBinder;

/// What an answer to a POST says.
enum Answer {
    Bound,
    /// The API did not do it, and will not.
    Refused(String),
    /// The pod is no longer as it was.
    Conflict(String),
    /// It may have been done or not.
    Unknown(String),
}

impl Plugin for DefaultBinder {
    fn name(&self) -> &'static str {
        "DefaultBinder"
    }
}

impl Bind for DefaultBinder {
    fn bind(&self, place: Place) -> BoxFuture<'static, Result<(), BindError>> {
        bind(place).boxed()
    }
}

async fn bind(place: Place) -> Result<(), BindError> {
    let Place { client, pod, node } = place;
    let pods: Api<Pod> = Api::namespaced(client, &pod.key.namespace);
    let give_up = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        let (why, is_final) = match post(&pods, &pod, &node).await {
            Answer::Bound => return Ok(()),
            Answer::Refused(why) => return Err(BindError::Failed(why)),
            Answer::Conflict(why) => (why, true),
            Answer::Unknown(why) => (why, Instant::now() >= give_up),
        };
        match pods.get_opt(&pod.key.name).await {
            Ok(found) => {
                if let Some(result) = settled(found.as_ref(), &pod.uid, &node) {
                    return result;
                }
                if is_final {
                    return Err(BindError::Failed(why));
                }
            }
            Err(error) if Instant::now() >= give_up => return Err(BindError::Failed(error.to_string())),
            Err(error) => tracing::debug!(pod = %pod.key, %error, "cannot tell whether a pod is bound"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn post(pods: &Api<Pod>, pod: &PodInfo, node: &str) -> Answer {
    let metadata = ObjectMeta {
        namespace: Some(pod.key.namespace.clone()),
        name: Some(pod.key.name.clone()),
        uid: pod.pod.metadata.uid.clone(),
        ..ObjectMeta::default()
    };
    let target =
        ObjectReference { kind: Some("Node".into()), name: Some(node.into()), ..ObjectReference::default() };
    let binding = Binding { metadata, target };
    let params = PostParams::default();
    match pods.create_subresource::<_, Status>("binding", &pod.key.name, &params, &binding).await {
        Ok(_) => Answer::Bound,
        Err(kube::Error::Api(status)) => match status.code {
            404 | 409 => Answer::Conflict(status.message.clone()),
            400..500 if status.code != 408 && status.code != 429 => Answer::Refused(status.message.clone()),
            _ => Answer::Unknown(status.message.clone()),
        },
        Err(error) => Answer::Unknown(error.to_string()),
    }
}

/// What the pod itself says; `None` if it still waits.
fn settled(found: Option<&Pod>, uid: &Uid, node: &str) -> Option<Result<(), BindError>> {
    let Some(pod) = found.filter(|pod| Uid::of(pod) == *uid) else { return Some(Err(BindError::Settled)) };
    let its_node = pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())?;
    Some(if its_node == node { Ok(()) } else { Err(BindError::Settled) })
}

#[cfg(test)]
mod tests;
