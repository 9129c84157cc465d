//! Keeps a ServiceCIDR until no Service has an address of it, and says of each whether it is in force.
//!
//! In: ServiceCIDRs; of one that is to go, also the IPAddresses. Out: its finalizer, put on and taken off; its condition
//! `Ready`. Deliberately absent: giving addresses out, which the API server does; it takes none of a ServiceCIDR that is
//! to go.
//!
//! Source: `pkg/controller/servicecidrs` of Kubernetes, KEP-1880.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures_util::try_join;
use k8s_openapi::{
    api::networking::v1::{IPAddress, ServiceCIDR},
    jiff::{SignedDuration, Timestamp},
};
use keelson_controller_runtime::{Informer, Next, ObjectKey, Reconcile, WorkQueue, work};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    changes::{newest, this_second},
    context::Context,
    node_ipam::cidr::Cidr,
};

/// The controller's name in logs.
const NAME: &str = "service-cidr-controller";

/// How many ServiceCIDRs are worked on at once.
const WORKERS: usize = 5;

/// What keeps a ServiceCIDR.
const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";

/// How long one that is to go stays at least, so that every API server has seen it and takes no address of it any more.
const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// How often it is looked whether addresses of one that is to go are still in use.
const PAUSE: Duration = Duration::from_secs(5);

/// What did not work; it is worth another try.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot list ranges and addresses")]
    List(#[source] kube::Error),
    #[error("cannot write the finalizer")]
    Finalizer(#[source] kube::Error),
    #[error("cannot write the status")]
    Status(#[source] kube::Error),
}

/// Reconciles one ServiceCIDR at a time.
struct Controller {
    api: Api<ServiceCIDR>,
    addresses: Api<IPAddress>,
    ranges: Informer<ServiceCIDR>,
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let controller = Controller::new(client, context.service_cidrs());
    let queue = WorkQueue::new("servicecidrs");
    let enqueue = queue.clone();
    controller.ranges.on_change(move |change| enqueue.add(ObjectKey::of(&**newest(change))));
    controller.ranges.synced().await;
    work(NAME, queue, WORKERS, Arc::new(controller)).await;
}

/// What is to be done about a ServiceCIDR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    /// It gets the finalizer.
    Hold,
    /// It is in force, and nobody has said so.
    SayReady,
    /// It is to go, and addresses of it are in use.
    SayTerminating,
    /// It is to go, and may once so much time has passed.
    Wait(SignedDuration),
    /// It may go.
    Release,
}

impl Reconcile for Controller {
    type Key = ObjectKey;
    type Error = Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, Error> {
        let Some(range) = self.ranges.get(key) else { return Ok(Next::Done) };
        match self.plan(&range).await? {
            Plan::Nothing => Ok(Next::Done),
            Plan::Hold => self.set_finalizers(&range, finalizers(&range).chain([FINALIZER]).collect()).await,
            Plan::Release => {
                let others = finalizers(&range).filter(|finalizer| *finalizer != FINALIZER).collect();
                self.set_finalizers(&range, others).await
            }
            Plan::SayReady => self.tell(&range, &ready()).await,
            Plan::SayTerminating => {
                if !has_condition(&range, "False") {
                    self.tell(&range, &terminating()).await?;
                }
                Ok(Next::After(PAUSE))
            }
            Plan::Wait(left) => Ok(Next::After(Duration::try_from(left).unwrap_or(PAUSE))),
        }
    }
}

impl Controller {
    fn new(client: Client, ranges: Informer<ServiceCIDR>) -> Self {
        Self { api: Api::all(client.clone()), addresses: Api::all(client), ranges }
    }

    async fn plan(&self, range: &ServiceCIDR) -> Result<Plan, Error> {
        let is_held = finalizers(range).any(|finalizer| finalizer == FINALIZER);
        let Some(since) = &range.metadata.deletion_timestamp else {
            return Ok(match (is_held, has_condition(range, "True")) {
                (false, _) => Plan::Hold,
                (true, false) => Plan::SayReady,
                (true, true) => Plan::Nothing,
            });
        };
        if !is_held {
            return Ok(Plan::Nothing);
        }
        let all = ListParams::default();
        let (ranges, addresses) =
            try_join!(self.api.list(&all), self.addresses.list_metadata(&all)).map_err(Error::List)?;
        let addresses =
            addresses.items.iter().filter_map(|address| address.metadata.name.as_deref()?.parse().ok());
        if is_needed(range, &ranges.items, addresses) {
            return Ok(Plan::SayTerminating);
        }
        let left = GRACE - Timestamp::now().duration_since(since.0);
        Ok(if left > SignedDuration::ZERO { Plan::Wait(left) } else { Plan::Release })
    }

    /// Writes the finalizers, if nobody has changed the object since it was seen.
    async fn set_finalizers(&self, range: &ServiceCIDR, finalizers: Vec<&str>) -> Result<Next, Error> {
        let seen = range.metadata.resource_version.as_deref();
        let patch = json!({"metadata": {"resourceVersion": seen, "finalizers": finalizers}});
        let written = self.api.patch(name(range), &PatchParams::default(), &Patch::Merge(patch)).await;
        settled(written.map(drop), Error::Finalizer)
    }

    async fn tell(&self, range: &ServiceCIDR, condition: &Value) -> Result<Next, Error> {
        let patch = json!({"status": {"conditions": [condition]}});
        let written = self.api.patch_status(name(range), &PatchParams::default(), &Patch::Merge(patch)).await;
        settled(written.map(drop), Error::Status)
    }
}

/// What has gone meanwhile needs nothing any more.
fn settled(written: kube::Result<()>, failed: fn(kube::Error) -> Error) -> Result<Next, Error> {
    match written {
        Ok(()) => Ok(Next::Done),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Next::Done),
        Err(error) => Err(failed(error)),
    }
}

fn name(range: &ServiceCIDR) -> &str {
    range.metadata.name.as_deref().unwrap_or_default()
}

fn finalizers(range: &ServiceCIDR) -> impl Iterator<Item = &str> {
    range.metadata.finalizers.iter().flatten().map(String::as_str)
}

fn cidrs(range: &ServiceCIDR) -> impl Iterator<Item = Cidr> {
    let texts = range.spec.iter().flat_map(|spec| spec.cidrs.iter().flatten());
    texts.filter_map(|text| text.parse().ok())
}

/// Whether an address of a range is in use that no other range has which stays.
fn is_needed(range: &ServiceCIDR, all: &[ServiceCIDR], addresses: impl Iterator<Item = IpAddr>) -> bool {
    let own: Vec<Cidr> = cidrs(range).collect();
    let staying = all.iter().filter(|other| other.metadata.deletion_timestamp.is_none());
    let others: Vec<Cidr> = staying.filter(|other| name(other) != name(range)).flat_map(cidrs).collect();
    let within = |cidrs: &[Cidr], address: IpAddr| cidrs.iter().any(|cidr| cidr.contains(address));
    let mut addresses = addresses;
    addresses.any(|address| within(&own, address) && !within(&others, address))
}

fn has_condition(range: &ServiceCIDR, status: &str) -> bool {
    let conditions = range.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == status)
}

fn ready() -> Value {
    condition("True", "", "Kubernetes Service CIDR is ready")
}

fn terminating() -> Value {
    let message = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
    condition("False", "Terminating", message)
}

fn condition(status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": this_second().to_string(),
    })
}

#[cfg(test)]
mod tests;
