//! EndpointSlices: lists who is behind every Service with a selector, in pieces, so that a change of one pod is a small
//! message to every node.
//!
//! In: Services, pods, nodes, and the slices there are. Out: slices created, updated and deleted. Slices of others are
//! never touched; those whose Service is gone are the garbage collector's.
//!
//! - `plan.rs`: which endpoints there are (pure)
//! - `pack.rs`: in which slices they lie (pure; the mirroring of Endpoints packs its slices with it too)
//! - `tracker.rs`: whether the cache shows what was written
//! - `act.rs`: writes

pub(crate) mod act;
pub(crate) mod pack;
mod plan;
pub(crate) mod tracker;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{
    Change, EventRecorder, Informer, Next, ObjectKey, Reconcile, WorkQueue, reference_to, work,
};
use kube::Client;
use tokio::time::Instant;

use self::act::Writer;
use self::plan::{MANAGER, ZONE_LABEL, plan};
use self::tracker::Tracker;
use crate::backends::{
    self, concerned_services, is_of_the_servers, selects, services_of_pod, trigger::TriggerTimes,
};
use crate::changes::newest;
use crate::context::{BY_NODE, Context};
use crate::pod_control::message_of;

const NAME: &str = "endpointslice-controller";

/// Who tells events, upstream's name.
const COMPONENT: &str = "endpoint-slice-controller";

/// The label that names the Service of a slice.
pub(crate) const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// The label that names who writes a slice.
pub(crate) const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";

/// The index of slices by `namespace/service`.
pub(crate) const BY_SERVICE: &str = "service";

/// How many Services are worked on at once, as upstream.
const WORKERS: usize = 5;

/// How long changes of pods are gathered: a hundred pods that become ready together are few updates.
const BATCH: Duration = Duration::from_millis(50);

/// How long to wait for a cache that should have caught up before. It is woken when it has.
pub(crate) const CACHE_PATIENCE: Duration = Duration::from_secs(1);

/// The index keys of a slice: the Service that it belongs to.
pub(crate) fn service_of(slice: &EndpointSlice) -> Vec<String> {
    service_key(slice).map(|key| key.to_string()).into_iter().collect()
}

fn service_key(slice: &EndpointSlice) -> Option<ObjectKey> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_LABEL).filter(|name| !name.is_empty())?;
    Some(ObjectKey::new(slice.metadata.namespace.clone().unwrap_or_default(), name.clone()))
}

fn is_managed_by(slice: &EndpointSlice, manager: &str) -> bool {
    let labels = slice.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(MANAGED_BY_LABEL)).is_some_and(|value| value == manager)
}

/// The slices of a Service that this manager writes, without those that are being deleted.
pub(crate) fn slices_of(
    slices: &Informer<EndpointSlice>,
    service: &ObjectKey,
    manager: &str,
) -> Vec<Arc<EndpointSlice>> {
    let mut found = slices.by_index(BY_SERVICE, &service.to_string());
    found.retain(|slice| is_managed_by(slice, manager) && slice.metadata.deletion_timestamp.is_none());
    found
}

/// The Services whose slices have to be planned anew after this change of a slice, if that is not this manager's own.
pub(crate) fn owners_to_plan(
    tracker: &Tracker,
    change: &Change<EndpointSlice>,
    manager: &str,
) -> BTreeSet<ObjectKey> {
    let owner = |slice: &EndpointSlice| service_key(slice).filter(|_| is_managed_by(slice, manager));
    let now = owner(newest(change));
    let before = match change {
        Change::Updated { old, .. } => owner(old),
        Change::Added(_) | Change::Deleted(_) => None,
    };
    let seen = now.clone().filter(|owner| tracker.seen(owner, change));
    // Somebody has changed the labels: the slice belongs to another Service or manager now.
    let left = before.filter(|before| now.as_ref() != Some(before));
    seen.into_iter().chain(left).collect()
}

/// Reconciles the slices of one Service at a time.
struct Controller {
    services: Informer<Service>,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    slices: Informer<EndpointSlice>,
    events: EventRecorder,
    triggers: TriggerTimes,
    tracker: Arc<Tracker>,
    writer: Writer,
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let tracker = Arc::new(Tracker::default());
    let controller = Controller {
        services: context.services(),
        pods: context.pods(),
        nodes: context.nodes(),
        slices: context.endpoint_slices(),
        events: context.recorder(COMPONENT),
        triggers: TriggerTimes::default(),
        writer: Writer::new(client, Arc::clone(&tracker)),
        tracker,
    };
    let Controller { services, pods, nodes, slices, .. } = &controller;
    tokio::join!(services.synced(), pods.synced(), nodes.synced(), slices.synced());
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
        let (due, services, pods) = (queue.clone(), self.services.clone(), self.pods.clone());
        self.nodes.on_change(move |change| {
            if !changes_endpoints(change) {
                return;
            }
            let name = newest(change).metadata.name.as_deref().unwrap_or_default();
            for pod in pods.by_index(BY_NODE, name) {
                services_of_pod(&services, &pod)
                    .into_iter()
                    .for_each(|service| due.add_after(service, BATCH));
            }
        });
        let (due, tracker) = (queue.clone(), Arc::clone(&self.tracker));
        self.slices.on_change(move |change| {
            owners_to_plan(&tracker, change, MANAGER).into_iter().for_each(|service| due.add(service));
        });
    }
}

/// Whether endpoints on this node have to be planned anew: it has come or gone, or is in another zone.
fn changes_endpoints(change: &Change<Node>) -> bool {
    let zone = |node: &Node| node.metadata.labels.as_ref().and_then(|labels| labels.get(ZONE_LABEL).cloned());
    match change {
        Change::Added(_) | Change::Deleted(_) => true,
        Change::Updated { old, new } => zone(old) != zone(new),
    }
}

impl Reconcile for Controller {
    type Key = ObjectKey;
    type Error = kube::Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, kube::Error> {
        let Some(service) = self.services.get(key) else {
            self.triggers.forget(key);
            self.tracker.forget(key);
            return Ok(Next::Done);
        };
        let Some(selector) = backends::selector(&service) else { return Ok(Next::Done) };
        if is_of_the_servers(key) {
            return Ok(Next::Done);
        }
        let slices = slices_of(&self.slices, key, MANAGER);
        if !self.tracker.is_current(key, &slices, Instant::now()) {
            return Ok(Next::After(CACHE_PATIENCE));
        }
        let mut pods = self.pods.in_namespace(&key.namespace);
        pods.retain(|pod| pod.metadata.labels.as_ref().is_some_and(|labels| selects(selector, labels)));
        let trigger = self.triggers.look(&service, &pods);
        let node = |name: &str| self.nodes.get(&ObjectKey::new("", name));
        let changes = plan(&service, &pods, node, &slices, trigger);
        let written = self.writer.carry_out(key, &changes).await;
        if let Err(error) = &written {
            let is_late = matches!(error, kube::Error::Api(status) if status.is_conflict());
            if !is_late {
                let message =
                    format!("Error updating Endpoint Slices for Service {key}: {}", message_of(error));
                self.events.warning(&reference_to(&*service), "FailedToUpdateEndpointSlices", message);
            }
        }
        written.map(|()| Next::Done)
    }
}

#[cfg(test)]
mod tests;
