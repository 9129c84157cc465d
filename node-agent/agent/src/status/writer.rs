//! Brings the statuses of pods to the API, and takes from it the pods that have come to their end.
//!
//! In: the status that each pod shall have. Out: patches, one pod at a time, only of what the API does not say yet; and
//! deletions of pods that the API wants gone and that are. With an unreachable API everything waits here, and nobody
//! else waits for it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use keelson_controller_runtime::{Informer, Next, ObjectKey, Reconcile, WorkQueue, work};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};

use super::patch::patch;
use crate::pod::spec;
use crate::version;

/// How many pods are written at once.
const WORKERS: usize = 4;

/// Pause after the API could not be reached.
const PAUSE: Duration = Duration::from_secs(2);

/// The statuses of all pods.
#[derive(Clone)]
pub(crate) struct Statuses {
    shared: Arc<Writer>,
}

struct Writer {
    client: Client,
    pods: Informer<Pod>,
    queue: WorkQueue<String>,
    /// By uid.
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Clone)]
struct Entry {
    key: ObjectKey,
    wanted: PodStatus,
    /// The pod as the API answered the last time.
    answer: Option<Arc<Pod>>,
    end: End,
}

/// Whether a pod may be taken from the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Something of it may be there still.
    NotYet,
    /// Nothing of it is left on the node.
    Reached,
    /// The API knows.
    Told,
}

impl Statuses {
    /// Written through `client`; `pods` is what the API has, kept by somebody else.
    pub(crate) fn new(client: Client, pods: &Informer<Pod>) -> Self {
        let queue = WorkQueue::new("pod statuses");
        let shared = Arc::new(Writer { client, pods: pods.clone(), queue, entries: Mutex::default() });
        let writer = Arc::downgrade(&shared);
        // Somebody may have written what is the node's to write, or wants the pod gone.
        pods.on_change(move |change| {
            use keelson_controller_runtime::Change::{Added, Deleted, Updated};
            if let (Updated { new: pod, .. } | Added(pod) | Deleted(pod), Some(writer)) =
                (change, writer.upgrade())
            {
                writer.queue.add(spec::uid(pod).to_owned());
            }
        });
        Self { shared }
    }

    /// The status that a pod shall have from now on.
    pub(crate) fn set(&self, pod: &Pod, wanted: PodStatus) {
        let uid = spec::uid(pod).to_owned();
        let mut entries = self.shared.entries();
        let entry = entries.entry(uid.clone()).or_insert_with(|| Entry {
            key: ObjectKey::of(pod),
            wanted: PodStatus::default(),
            answer: None,
            end: End::NotYet,
        });
        entry.wanted = wanted;
        drop(entries);
        self.shared.queue.add(uid);
    }

    /// Nothing of the pod is left on the node: if the API wants it gone, it may go.
    pub(crate) fn finish(&self, uid: &str) {
        if let Some(entry) = self.shared.entries().get_mut(uid).filter(|entry| entry.end == End::NotYet) {
            entry.end = End::Reached;
        }
        self.shared.queue.add(uid.to_owned());
    }

    /// Forgets a pod that the API does not have any more.
    pub(crate) fn forget(&self, uid: &str) {
        self.shared.entries().remove(uid);
    }

    /// Writes until dropped.
    pub(crate) async fn run(self) -> Infallible {
        loop {
            work("pod statuses", self.shared.queue.clone(), WORKERS, self.shared.clone()).await;
        }
    }
}

/// A write that the API refused.
#[derive(Debug, thiserror::Error)]
#[error("the status of pod {0} was not written")]
struct WriteError(ObjectKey, #[source] Box<kube::Error>);

impl Writer {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest that is known of the pod: what the API answered last, or what it told since.
    fn newest(&self, uid: &str, entry: &Entry) -> Option<Arc<Pod>> {
        let told = self.pods.get(&entry.key).filter(|pod| spec::uid(pod) == uid)?;
        match &entry.answer {
            Some(answer) if version::of(&answer.metadata) > version::of(&told.metadata) => {
                Some(answer.clone())
            }
            Some(_) | None => Some(told),
        }
    }

    async fn write(&self, uid: &str, entry: &Entry) -> Result<(), kube::Error> {
        let Some(mut pod) = self.newest(uid, entry) else { return Ok(()) };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &entry.key.namespace);
        let empty = PodStatus::default();
        if let Some(change) = patch(uid, pod.status.as_ref().unwrap_or(&empty), &entry.wanted) {
            let change = Patch::Strategic(&change);
            pod = Arc::new(api.patch_status(&entry.key.name, &PatchParams::default(), &change).await?);
            let answered = pod.status.as_ref().unwrap_or(&empty);
            if let Some(left) = patch(uid, answered, &entry.wanted) {
                // Telling it again would not help.
                tracing::warn!(pod = %entry.key, left = %left, "the API keeps a part of the status to itself");
            }
            if let Some(entry) = self.entries().get_mut(uid) {
                entry.answer = Some(pod.clone());
            }
        }
        if entry.end == End::Reached && spec::is_deleting(&pod) {
            self.delete(&api, uid, entry).await?;
        }
        Ok(())
    }

    async fn delete(&self, api: &Api<Pod>, uid: &str, entry: &Entry) -> Result<(), kube::Error> {
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        api.delete(&entry.key.name, &params).await?;
        if let Some(entry) = self.entries().get_mut(uid) {
            entry.end = End::Told;
        }
        Ok(())
    }
}

impl Reconcile for Writer {
    type Key = String;
    type Error = WriteError;

    async fn reconcile(&self, uid: &String) -> Result<Next, WriteError> {
        let Some(entry) = self.entries().get(uid).cloned() else { return Ok(Next::Done) };
        match self.write(uid, &entry).await {
            Ok(()) => Ok(Next::Done),
            // The pod is gone, or another one has its name.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Next::Done),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                tracing::debug!(pod = %entry.key, reason = status.reason, "the pod has changed");
                Ok(Next::After(PAUSE))
            }
            Err(error) if is_refusal(&error) => Err(WriteError(entry.key, Box::new(error))),
            Err(error) => {
                tracing::warn!(pod = %entry.key, %error, "the API cannot be told of the pod");
                Ok(Next::After(PAUSE))
            }
        }
    }
}

/// Whether the API does not want what it was told: trying again helps little, and less each time. A server that cannot
/// answer, or has too much to do, says nothing about the pod; when it can again, it has to hear of it soon.
fn is_refusal(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code < 500 && status.code != 429,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::testing::pod;

    /// An API that answers with this code so often, and then takes everything.
    fn api(code: u16, times: u32, asked: Arc<AtomicU32>) -> Client {
        let service = tower::service_fn(move |_: Request<Body>| {
            let is_well = asked.fetch_add(1, Ordering::Relaxed) >= times;
            async move {
                let (code, body) = if is_well {
                    let metadata = json!({"name": "web", "namespace": "shop", "uid": "uid-1"});
                    (200, json!({"metadata": metadata, "status": {"phase": "Running"}}))
                } else {
                    let text = "no leader";
                    (code, json!({"kind": "Status", "status": "Failure", "code": code, "message": text}))
                };
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, std::convert::Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        Client::new(service, "default")
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_long_outage_the_api_hears_of_the_pod_within_seconds() {
        for code in [429, 500, 503, 504] {
            let asked = Arc::new(AtomicU32::new(0));
            let informer = Informer::detached();
            let pod = pod(json!({"containers": []}));
            informer.apply(pod.clone());
            let statuses = Statuses::new(api(code, 60, asked.clone()), &informer);
            statuses.set(&pod, PodStatus { phase: Some("Running".into()), ..PodStatus::default() });
            let begin = Instant::now();
            let told = async {
                while asked.load(Ordering::Relaxed) <= 60 {
                    tokio::time::sleep(PAUSE / 2).await;
                }
            };
            tokio::select! {
                never = statuses.clone().run() => match never {},
                done = timeout(PAUSE * 100, told) => done.unwrap(),
            }
            assert!(begin.elapsed() >= PAUSE * 59, "it is not asked all the time");
        }
    }
}
