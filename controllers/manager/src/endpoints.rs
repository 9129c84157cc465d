//! Endpoints: lists who is behind every Service with a selector.
//!
//! In: Services, pods, and the Endpoints there are. Out: Endpoints created, updated, and deleted when their Service is
//! gone. Endpoints that somebody else wrote for a Service without a selector are never touched, nor are those of the API
//! servers.
//!
//! - `subsets.rs`: how addresses and ports are packed (pure)
//! - `plan.rs`: what a Service's Endpoints should be (pure)
//!
//! A cache that is behind does no harm: every update names the `resourceVersion` that it replaces, and every change of
//! Endpoints, our own included, is a reason to look again.

mod plan;
mod subsets;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Endpoints, Service};
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{
    EventRecorder, Informer, Next, ObjectKey, Reconcile, WorkQueue, reference_to, work,
};
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client};

use self::plan::{Action, MANAGED_BY, plan};
use crate::backends::{self, concerned_services, is_of_the_servers, selects, trigger::TriggerTimes};
use crate::changes::newest;
use crate::context::Context;
use crate::pod_control::{is_namespace_terminating, message_of};
use crate::refusals::is_gone;

const NAME: &str = "endpoints-controller";

/// Who tells events, upstream's name.
const COMPONENT: &str = "endpoint-controller";

/// How many Services are worked on at once, as upstream.
const WORKERS: usize = 5;

/// How long changes of pods are gathered: a hundred pods that become ready together are one update.
const BATCH: Duration = Duration::from_millis(50);

/// Reconciles the Endpoints of one Service at a time.
struct Controller {
    client: Client,
    services: Informer<Service>,
    pods: Informer<Pod>,
    endpoints: Informer<Endpoints>,
    events: EventRecorder,
    triggers: TriggerTimes,
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let controller = Controller {
        services: context.services(),
        pods: context.pods(),
        endpoints: context.endpoints(),
        events: context.recorder(COMPONENT),
        triggers: TriggerTimes::default(),
        client,
    };
    tokio::join!(controller.services.synced(), controller.pods.synced(), controller.endpoints.synced());
    let queue = WorkQueue::new(NAME);
    controller.watch(&queue);
    work(NAME, queue, WORKERS, Arc::new(controller)).await;
}

impl Controller {
    fn watch(&self, queue: &WorkQueue<ObjectKey>) {
        let due = queue.clone();
        self.services.on_change(move |change| due.add(ObjectKey::of(&**newest(change))));
        let (due, services) = (queue.clone(), self.services.clone());
        self.pods.on_change(move |change| {
            for service in concerned_services(&services, change) {
                due.add_after(service, BATCH);
            }
        });
        let due = queue.clone();
        self.endpoints.on_change(move |change| due.add(ObjectKey::of(&**newest(change))));
    }

    fn api(&self, key: &ObjectKey) -> Api<Endpoints> {
        Api::namespaced(self.client.clone(), &key.namespace)
    }

    /// Deletes the Endpoints of a Service that is gone, if they are ours.
    async fn clean_up(&self, key: &ObjectKey) -> Result<(), kube::Error> {
        self.triggers.forget(key);
        let Some(endpoints) = self.endpoints.get(key).filter(|endpoints| is_ours(endpoints)) else {
            return Ok(());
        };
        let preconditions = Preconditions { uid: endpoints.metadata.uid.clone(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.api(key).delete(&key.name, &params).await {
            Ok(_) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn act(&self, key: &ObjectKey, action: Action) -> Result<(), kube::Error> {
        match action {
            Action::Nothing => Ok(()),
            Action::Create(endpoints) => {
                let created = self.api(key).create(&PostParams::default(), &endpoints).await;
                match created {
                    Ok(_) => Ok(()),
                    Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                    Err(error) if is_namespace_terminating(&error) => Ok(()),
                    Err(error) => {
                        let message =
                            format!("Failed to create endpoint for service {key}: {}", message_of(&error));
                        self.events.warning(&reference_to(&*endpoints), "FailedToCreateEndpoint", message);
                        Err(error)
                    }
                }
            }
            Action::Update(endpoints) => {
                match self.api(key).replace(&key.name, &PostParams::default(), &endpoints).await {
                    Ok(_) => Ok(()),
                    Err(kube::Error::Api(status)) if status.is_conflict() => Err(kube::Error::Api(status)),
                    Err(error) => {
                        let message = format!("Failed to update endpoint {key}: {}", message_of(&error));
                        self.events.warning(&reference_to(&*endpoints), "FailedToUpdateEndpoint", message);
                        Err(error)
                    }
                }
            }
        }
    }
}

impl Reconcile for Controller {
    type Key = ObjectKey;
    type Error = kube::Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, kube::Error> {
        if is_of_the_servers(key) {
            return Ok(Next::Done);
        }
        let Some(service) = self.services.get(key) else {
            self.clean_up(key).await?;
            return Ok(Next::Done);
        };
        let Some(selector) = backends::selector(&service) else { return Ok(Next::Done) };
        let mut pods = self.pods.in_namespace(&key.namespace);
        pods.retain(|pod| pod.metadata.labels.as_ref().is_some_and(|labels| selects(selector, labels)));
        let trigger = self.triggers.look(&service, &pods);
        let current = self.endpoints.get(key);
        self.act(key, plan(&service, &pods, current.as_deref(), trigger)).await?;
        Ok(Next::Done)
    }
}

fn is_ours(endpoints: &Endpoints) -> bool {
    let labels = endpoints.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(MANAGED_BY.0)).is_some_and(|manager| manager == MANAGED_BY.1)
}

#[cfg(test)]
mod tests;
