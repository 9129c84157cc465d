//! Mirrors Endpoints that somebody wrote for a Service without a selector into EndpointSlices, for everybody who reads
//! only those.
//!
//! In: Endpoints, Services, and the slices there are. Out: slices created, updated and deleted. Deliberately absent: the
//! other direction.

mod plan;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keelson_controller_runtime::{
    Change, EventRecorder, Informer, Next, ObjectKey, Reconcile, WorkQueue, reference_to, work,
};
use kube::Client;
use tokio::time::Instant;

use self::plan::{LIMIT, MANAGER, Plan, asks_for_mirror, plan};
use crate::changes::newest;
use crate::context::Context;
use crate::endpoint_slice::act::Writer;
use crate::endpoint_slice::pack::Changes;
use crate::endpoint_slice::tracker::Tracker;
use crate::endpoint_slice::{CACHE_PATIENCE, owners_to_plan, slices_of};

const NAME: &str = "endpointslice-mirroring-controller";

/// Who tells events, upstream's name.
const COMPONENT: &str = "endpoint-slice-mirroring-controller";

/// How many Endpoints are worked on at once, as upstream.
const WORKERS: usize = 5;

/// Reconciles the mirror of one Endpoints object at a time.
struct Controller {
    services: Informer<Service>,
    endpoints: Informer<Endpoints>,
    slices: Informer<EndpointSlice>,
    events: EventRecorder,
    tracker: Arc<Tracker>,
    writer: Writer,
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let tracker = Arc::new(Tracker::default());
    let controller = Controller {
        services: context.services(),
        endpoints: context.endpoints(),
        slices: context.endpoint_slices(),
        events: context.recorder(COMPONENT),
        writer: Writer::new(client, Arc::clone(&tracker)),
        tracker,
    };
    let Controller { services, endpoints, slices, .. } = &controller;
    tokio::join!(services.synced(), endpoints.synced(), slices.synced());
    let queue = WorkQueue::new(NAME);
    controller.watch(&queue);
    work(NAME, queue, WORKERS, Arc::new(controller)).await;
}

impl Controller {
    fn watch(&self, queue: &WorkQueue<ObjectKey>) {
        let due = queue.clone();
        self.services.on_change(move |change| {
            let concerns_mirror = match change {
                Change::Added(service) | Change::Deleted(service) => !has_selector(service),
                Change::Updated { old, new } => has_selector(old) != has_selector(new),
            };
            if concerns_mirror {
                due.add(ObjectKey::of(&**newest(change)));
            }
        });
        let due = queue.clone();
        self.endpoints.on_change(move |change| {
            let is_mirrored = match change {
                Change::Added(endpoints) | Change::Deleted(endpoints) => asks_for_mirror(endpoints),
                Change::Updated { old, new } => asks_for_mirror(old) || asks_for_mirror(new),
            };
            if is_mirrored {
                due.add(ObjectKey::of(&**newest(change)));
            }
        });
        let (due, tracker) = (queue.clone(), Arc::clone(&self.tracker));
        self.slices.on_change(move |change| {
            owners_to_plan(&tracker, change, MANAGER).into_iter().for_each(|owner| due.add(owner));
        });
    }

    /// The Endpoints of this name, if they are to be mirrored.
    fn original(&self, key: &ObjectKey) -> Option<Arc<Endpoints>> {
        let endpoints = self.endpoints.get(key).filter(|endpoints| asks_for_mirror(endpoints))?;
        let service = self.services.get(key)?;
        (!has_selector(&service)).then_some(endpoints)
    }

    fn tell(&self, endpoints: &Endpoints, plan: &Plan) {
        let object = reference_to(endpoints);
        if plan.invalid > 0 {
            let message =
                format!("Skipped {} invalid IP addresses when mirroring to EndpointSlices", plan.invalid);
            self.events.warning(&object, "InvalidIPAddress", message);
        }
        if plan.excess > 0 {
            let message = format!(
                "A max of {LIMIT} addresses can be mirrored to EndpointSlices per Endpoints subset. {} addresses were \
                 skipped",
                plan.excess
            );
            self.events.warning(&object, "TooManyAddressesToMirror", message);
        }
    }
}

fn has_selector(service: &Service) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| !selector.is_empty())
}

impl Reconcile for Controller {
    type Key = ObjectKey;
    type Error = kube::Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, kube::Error> {
        let slices = slices_of(&self.slices, key, MANAGER);
        let Some(endpoints) = self.original(key) else {
            self.tracker.forget(key);
            let changes = Changes { delete: slices, ..Changes::default() };
            self.writer.carry_out(key, &changes).await?;
            return Ok(Next::Done);
        };
        if !self.tracker.is_current(key, &slices, Instant::now()) {
            return Ok(Next::After(CACHE_PATIENCE));
        }
        let plan = plan(&endpoints, &slices);
        self.tell(&endpoints, &plan);
        self.writer.carry_out(key, &plan.changes).await?;
        Ok(Next::Done)
    }
}

#[cfg(test)]
mod tests;
