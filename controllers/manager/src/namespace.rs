//! Empties namespaces that are being deleted, and lets them go.
//!
//! In: namespaces with a deletion time. Out: their contents deleted, pods first; conditions that say what is in the
//! way; at the end the finalizer `kubernetes` removed. Every kind counts that the API server names, and that can be listed
//! and deleted.
//!
//! A namespace may be gone and made again while a replica that no longer leads still works on the old one. So what is
//! deleted is deleted by uid, and only when the old namespace was still there after the list that named it.

mod conditions;
mod contents;
mod discovery;
#[cfg(test)]
pub(crate) mod samples;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{Change, Informer, Next, ObjectKey, Reconcile, WorkQueue, explain, work};
use kube::api::PostParams;
use kube::{Api, Client};

use self::conditions::with_conditions;
use self::contents::{Contents, Findings};
use self::discovery::Discovered;
use crate::context::Context;
use crate::pod_control::is_namespace_terminating;

/// What this controller removes when a namespace is empty.
const FINALIZER: &str = "kubernetes";

/// How long to wait before looking into a namespace: creations that were let in just before the deletion arrive by then.
const SETTLING: Duration = Duration::from_secs(1);

const WORKERS: usize = 10;

/// The controller.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let (namespaces, pods) = (context.namespaces(), context.pods());
    let queue = WorkQueue::new("namespace");
    watch_namespaces(&namespaces, &queue);
    watch_pods(&pods, &namespaces, &queue);
    namespaces.synced().await;
    work("namespace-controller", queue, WORKERS, Arc::new(Emptier { client })).await;
}

fn watch_namespaces(namespaces: &Informer<Namespace>, queue: &WorkQueue<String>) {
    let queue = queue.clone();
    namespaces.on_change(move |change| match change {
        Change::Added(namespace) | Change::Updated { new: namespace, .. } if is_terminating(namespace) => {
            queue.add_after(ObjectKey::of(namespace.as_ref()).name, SETTLING);
        }
        Change::Added(_) | Change::Updated { .. } | Change::Deleted(_) => {}
    });
}

/// Everything else waits for the pods.
fn watch_pods(pods: &Informer<Pod>, namespaces: &Informer<Namespace>, queue: &WorkQueue<String>) {
    let (queue, namespaces, left) = (queue.clone(), namespaces.clone(), pods.clone());
    pods.on_change(move |change| match change {
        Change::Deleted(pod) => {
            let namespace = ObjectKey::of(pod.as_ref()).namespace;
            let known = namespaces.get(&ObjectKey::new("", &namespace));
            if known.is_some_and(|it| is_terminating(&it)) && !left.any_in_namespace(&namespace) {
                queue.add(namespace);
            }
        }
        Change::Added(_) | Change::Updated { .. } => {}
    });
}

/// Whether things may be created in the namespace.
pub(crate) fn is_active(namespace: &Namespace) -> bool {
    let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Active") && !is_terminating(namespace)
}

/// Whether an answer says that nothing can be created in this namespace because it is going or gone.
pub(crate) fn is_no_place_to_create(error: &kube::Error) -> bool {
    let is_not_found = matches!(error, kube::Error::Api(status) if status.is_not_found());
    is_not_found || is_namespace_terminating(error)
}

fn is_terminating(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
}

/// An error as conditions tell it: what the API said, if it did.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => explain(other),
    }
}

struct Emptier {
    client: Client,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the API gave no answer to go on with")]
    Api(#[from] kube::Error),
    #[error("not everything could be deleted: {}", .0.join(", "))]
    Content(Vec<String>),
}

impl Reconcile for Emptier {
    /// A namespace's name.
    type Key = String;
    type Error = Failure;

    async fn reconcile(&self, name: &String) -> Result<Next, Failure> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let Some(namespace) = namespaces.get_opt(name).await? else { return Ok(Next::Done) };
        if !is_terminating(&namespace) || !finalizers(&namespace).any(|it| it == FINALIZER) {
            return Ok(Next::Done);
        }
        let discovered = discovery::discover(&self.client).await;
        let contents = Contents::of(&self.client, &namespace);
        let findings = contents.delete(&discovered.kinds).await?;
        let namespace = self.publish(&namespaces, namespace, &discovered, &findings).await?;
        if !discovered.failures.is_empty() || !findings.failures.is_empty() {
            let failures = discovered.failures.into_iter().chain(findings.failures);
            return Err(Failure::Content(failures.collect()));
        }
        match findings.patience() {
            Some(patience) => Ok(Next::After(patience)),
            None => finalize(&namespaces, namespace).await.map(|()| Next::Done),
        }
    }
}

impl Emptier {
    /// Says in the namespace's conditions what is in the way.
    async fn publish(
        &self,
        namespaces: &Api<Namespace>,
        namespace: Namespace,
        discovered: &Discovered,
        findings: &Findings,
    ) -> Result<Namespace, Failure> {
        match with_conditions(&namespace, discovered, findings, Timestamp::now()) {
            None => Ok(namespace),
            Some(told) => {
                let name = ObjectKey::of(&told).name;
                Ok(namespaces.replace_status(&name, &PostParams::default(), &told).await?)
            }
        }
    }
}

fn finalizers(namespace: &Namespace) -> impl Iterator<Item = &String> {
    namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten())
}

async fn finalize(namespaces: &Api<Namespace>, mut namespace: Namespace) -> Result<(), Failure> {
    let name = ObjectKey::of(&namespace).name;
    let others = finalizers(&namespace).filter(|it| *it != FINALIZER).cloned().collect();
    namespace.spec.get_or_insert_default().finalizers = Some(others);
    let written: kube::Result<Namespace> =
        namespaces.replace_subresource("finalize", &name, &PostParams::default(), &namespace).await;
    match written {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
