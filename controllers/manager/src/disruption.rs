//! Disruption: says of every PodDisruptionBudget how many of its pods may be evicted now.
//!
//! In: budgets, pods, and the controllers that pods have. Out: the budgets' status, which the eviction of a pod reads
//! and counts down; events about what cannot be counted; and, of pods that were to be evicted and were not, the
//! condition that says so taken back. Deliberately absent: evictions, which are the API server's.
//!
//! - `scale.rs`: how many pods their controllers want
//! - `plan.rs`: what a budget's status is to say (pure)
//! - `stale_target.rs`: pods that were not evicted after all
//!
//! A cache that is behind can only show an eviction that was counted later than it was: every status names the
//! `resourceVersion` that it replaces, and so never undoes a count.

mod plan;
mod scale;
mod stale_target;

use std::sync::Arc;

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{
    Change, EventRecorder, Informer, Next, ObjectKey, Reconcile, WorkQueue, reference_to, work,
};
use kube::api::PostParams;
use kube::core::{Selector, SelectorExt};
use kube::{Api, Client};

use self::plan::{Demand, Plan, demand, failed, plan};
use self::scale::{Scales, UnknownScale};
use self::stale_target::{StaleTargets, Staleness, staleness};
use crate::changes::newest;
use crate::context::Context;

/// The controller's name in logs.
const NAME: &str = "disruption-controller";

/// Who tells events, upstream's name.
const COMPONENT: &str = "controllermanager";

/// How many budgets are worked on at once, as upstream.
const WORKERS: usize = 1;

/// Reconciles one budget at a time.
struct Controller {
    client: Client,
    events: EventRecorder,
    budgets: Informer<PodDisruptionBudget>,
    pods: Informer<Pod>,
    scales: Scales,
}

/// What did not work; it is worth another try.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot write the status")]
    Status(#[source] kube::Error),
    #[error("cannot count what pods there should be")]
    Scale(#[source] UnknownScale),
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let controller = Controller {
        client: client.clone(),
        events: context.recorder(COMPONENT),
        budgets: context.disruption_budgets(),
        pods: context.pods(),
        scales: Scales::new(&context),
    };
    let targets = StaleTargets { client, pods: context.pods() };
    let (queue, stale) = (WorkQueue::new(NAME), WorkQueue::new("disruption-stale-targets"));
    controller.watch(&queue, &stale);
    tokio::join!(controller.budgets.synced(), controller.pods.synced(), controller.scales.synced());
    tokio::join!(
        work(NAME, queue, WORKERS, Arc::new(controller)),
        work(NAME, stale, WORKERS, Arc::new(targets)),
    );
}

impl Reconcile for Controller {
    type Key = ObjectKey;
    type Error = Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, Error> {
        let Some(budget) = self.budgets.get(key) else { return Ok(Next::Done) };
        let mut pods = self.pods.in_namespace(&key.namespace);
        pods.retain(|pod| selects(&budget, pod));
        if pods.is_empty() {
            self.events.normal(&reference_to(&*budget), "NoPods", "No matching pods found");
        }
        let now = Timestamp::now();
        match self.demand(&budget, &pods) {
            Ok(demand) => {
                let Plan { status, again, not_deleted } = plan(&budget, &pods, demand, now);
                self.tell(&budget, status).await?;
                for pod in not_deleted {
                    let message = format!("Pod was expected by PDB {key} to be deleted but it wasn't");
                    self.events.warning(&reference_to(&*pod), "NotDeleted", message);
                }
                Ok(again.map_or(Next::Done, Next::After))
            }
            Err(unknown) => {
                let message = format!("Failed to calculate the number of expected pods: {unknown}");
                self.events.warning(&reference_to(&*budget), "CalculateExpectedPodCountFailed", message);
                self.tell(&budget, failed(&budget, unknown.to_string(), now)).await?;
                Err(Error::Scale(unknown))
            }
        }
    }
}

impl Controller {
    fn watch(&self, queue: &WorkQueue<ObjectKey>, stale: &WorkQueue<ObjectKey>) {
        let due = queue.clone();
        self.budgets.on_change(move |change| due.add(ObjectKey::of(&**newest(change))));
        let (due, stale, budgets) = (queue.clone(), stale.clone(), self.budgets.clone());
        self.pods.on_change(move |change| {
            let pod = newest(change);
            for budget in budgets.in_namespace(pod.metadata.namespace.as_deref().unwrap_or_default()) {
                if concerns(&budget, change) {
                    due.add(ObjectKey::of(&*budget));
                }
            }
            if staleness(pod, Timestamp::now()) != Staleness::None {
                stale.add(ObjectKey::of(&**pod));
            }
        });
    }

    fn demand(&self, budget: &PodDisruptionBudget, pods: &[Arc<Pod>]) -> Result<Demand, UnknownScale> {
        demand(budget, pods.len(), || {
            let scale = self.scales.of(pods)?;
            if !scale.unmanaged.is_empty() {
                let message = "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the \
                               status of the PDB cannot be calculated correctly, which may result in undefined \
                               behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB \
                               to an integer value.";
                self.events.warning(&reference_to(budget), "UnmanagedPods", message);
            }
            Ok(scale.wanted)
        })
    }

    /// Writes the status, if it says anything new.
    async fn tell(
        &self,
        budget: &PodDisruptionBudget,
        status: PodDisruptionBudgetStatus,
    ) -> Result<(), Error> {
        if budget.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let key = ObjectKey::of(budget);
        let budgets: Api<PodDisruptionBudget> = Api::namespaced(self.client.clone(), &key.namespace);
        let budget = PodDisruptionBudget { status: Some(status), ..budget.clone() };
        match budgets.replace_status(&key.name, &PostParams::default(), &budget).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(Error::Status(error)),
        }
    }
}

/// Whether a budget has to hear of a change of a pod: it selects the pod, or did.
fn concerns(budget: &PodDisruptionBudget, change: &Change<Pod>) -> bool {
    match change {
        Change::Added(pod) | Change::Deleted(pod) => selects(budget, pod),
        Change::Updated { old, new } => selects(budget, old) || selects(budget, new),
    }
}

/// Whether a budget is about a pod. An empty selector is about all of its namespace, none about nothing.
fn selects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.clone());
    let selector = selector.map(Selector::try_from);
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    matches!(selector, Some(Ok(selector)) if selector.matches(&labels))
}

#[cfg(test)]
mod tests;
