//! Looks at the runtime: at one pod when asked, and at all of them again and again.
//!
//! In: the runtime. Out: [`Observed`] pods, and whoever is interested is told of each pod in which something has changed.
//! A runtime that tells of events (containerd from 1.7 on) is listed when it does, any other one every second.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::future::try_join_all;
use keelson_cri::{Runtime, RuntimeError};
use keelson_proto::cri::v1::{Container, ContainerFilter, PodSandbox, PodSandboxFilter};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::labels::{self, Owner, POD_UID};
use super::observed::{Instance, InstanceState, Observed, Sandbox};
use super::termination;

/// How often a runtime is listed that tells of nothing.
const RELIST: Duration = Duration::from_secs(1);

/// How often one is listed that does: in case that something gets lost.
const SAFETY_NET: Duration = Duration::from_secs(30);

/// Pause before a runtime that has gone is asked for its events again.
const RECONNECT: Duration = Duration::from_secs(1);

/// Looks at the runtime.
pub(crate) struct Observer {
    runtime: Runtime,
    seen: Mutex<HashMap<Owner, Seen>>,
    /// Told when it is time to list.
    news: Notify,
    has_events: watch::Sender<bool>,
    has_listed: watch::Sender<bool>,
}

/// What was last seen of a pod: ids and states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen(BTreeMap<String, i32>);

impl Observer {
    /// Of this runtime.
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            seen: Mutex::default(),
            news: Notify::new(),
            has_events: watch::Sender::new(false),
            has_listed: watch::Sender::new(false),
        }
    }

    /// What the runtime has of a pod now.
    pub(crate) async fn observe(&self, uid: &str) -> Result<Observed, RuntimeError> {
        let (sandboxes, containers) = self.list_pod(uid).await?;
        let sandboxes = try_join_all(sandboxes.iter().map(|sandbox| self.sandbox(&sandbox.id)));
        let instances = try_join_all(containers.iter().map(|container| self.instance(container)));
        let (sandboxes, instances) = tokio::try_join!(sandboxes, instances)?;
        Ok(Observed::new(
            sandboxes.into_iter().flatten().collect(),
            instances.into_iter().flatten().collect(),
        ))
    }

    /// The pod as its containers' annotations tell it: for one that nobody else knows.
    pub(crate) async fn restore(
        &self,
        owner: &Owner,
    ) -> Result<k8s_openapi::api::core::v1::Pod, RuntimeError> {
        let (_, containers) = self.list_pod(&owner.uid).await?;
        let named = containers.iter().filter_map(|container| {
            let name = container.labels.get(labels::CONTAINER_NAME)?;
            Some((name.as_str(), &container.annotations))
        });
        Ok(labels::restored(owner, named))
    }

    /// Whose sandboxes and containers the runtime has, as far as was seen last.
    pub(crate) fn owners(&self) -> Vec<Owner> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Until the runtime has told once what it has.
    pub(crate) async fn listed(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.has_listed.subscribe().wait_for(|listed| *listed).await;
    }

    /// Looks at all pods again and again; tells of each in which something has changed, at first of all.
    pub(crate) async fn watch(&self, on_change: impl Fn(&Owner)) -> Infallible {
        tokio::select! {
            never = self.relist(on_change) => never,
            never = self.hear() => never,
        }
    }

    async fn relist(&self, on_change: impl Fn(&Owner)) -> Infallible {
        loop {
            match self.list_all().await {
                Ok(now) => {
                    let changed = {
                        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                        let changed = differences(&seen, &now);
                        *seen = now;
                        changed
                    };
                    self.has_listed.send_replace(true);
                    changed.iter().for_each(&on_change);
                }
                Err(error) => tracing::debug!(%error, "cannot list what the container runtime has"),
            }
            let period = if *self.has_events.borrow() { SAFETY_NET } else { RELIST };
            // That the time is up is as good a reason to look as any other.
            let _ = timeout(period, self.news.notified()).await;
        }
    }

    /// Follows the runtime's events, if it has any.
    async fn hear(&self) -> Infallible {
        loop {
            match self.hear_once().await {
                Err(error) if error.is_unimplemented() => {
                    tracing::info!("the container runtime tells of no events: listing it every second");
                    // Another one may take its place some day.
                    sleep(Duration::from_secs(300)).await;
                }
                Err(error) => tracing::debug!(%error, "no events from the container runtime"),
                Ok(()) => {}
            }
            self.has_events.send_replace(false);
            self.news.notify_one();
            sleep(RECONNECT).await;
        }
    }

    async fn hear_once(&self) -> Result<(), RuntimeError> {
        let mut events = self.runtime.events().await?;
        self.has_events.send_replace(true);
        // What happened before is not told.
        self.news.notify_one();
        while events.next().await?.is_some() {
            self.news.notify_one();
        }
        Ok(())
    }

    async fn list_pod(&self, uid: &str) -> Result<(Vec<PodSandbox>, Vec<Container>), RuntimeError> {
        let selector = HashMap::from([(POD_UID.to_owned(), uid.to_owned())]);
        let of_pod = PodSandboxFilter { label_selector: selector.clone(), ..PodSandboxFilter::default() };
        let in_pod = ContainerFilter { label_selector: selector, ..ContainerFilter::default() };
        tokio::try_join!(
            self.runtime.list_pod_sandbox(Some(of_pod)),
            self.runtime.list_containers(Some(in_pod))
        )
    }

    async fn list_all(&self) -> Result<HashMap<Owner, Seen>, RuntimeError> {
        let (sandboxes, containers) =
            tokio::try_join!(self.runtime.list_pod_sandbox(None), self.runtime.list_containers(None))?;
        let mut all: HashMap<Owner, Seen> = HashMap::new();
        let sandboxes = sandboxes.into_iter().map(|it| (it.labels, it.id, it.state));
        for (labels, id, state) in
            sandboxes.chain(containers.into_iter().map(|it| (it.labels, it.id, it.state)))
        {
            if let Some(owner) = Owner::read(&labels) {
                all.entry(owner).or_default().0.insert(id, state);
            }
        }
        Ok(all)
    }

    /// `None` if it is gone meanwhile.
    async fn sandbox(&self, id: &str) -> Result<Option<Sandbox>, RuntimeError> {
        match self.runtime.pod_sandbox_status(id).await {
            Ok(status) => Ok(Some(Sandbox::from(&status))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None` if it is gone meanwhile.
    async fn instance(&self, container: &Container) -> Result<Option<Instance>, RuntimeError> {
        let status = match self.runtime.container_status(&container.id).await {
            Ok(status) => status,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut instance = Instance::from(&status);
        instance.sandbox.clone_from(&container.pod_sandbox_id);
        if matches!(instance.state, InstanceState::Exited { .. }) {
            instance.message = termination::message(&status, &instance.marks);
        }
        Ok(Some(instance))
    }
}

/// The pods of which something was made, changed or removed.
fn differences(before: &HashMap<Owner, Seen>, now: &HashMap<Owner, Seen>) -> Vec<Owner> {
    let changed = now.iter().filter(|(owner, seen)| before.get(owner) != Some(seen));
    let gone = before.keys().filter(|owner| !now.contains_key(owner));
    changed.map(|(owner, _)| owner).chain(gone).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(uid: &str) -> Owner {
        Owner { namespace: "shop".into(), name: "web".into(), uid: uid.into() }
    }

    fn seen(ids: &[(&str, i32)]) -> Seen {
        Seen(ids.iter().map(|(id, state)| ((*id).to_owned(), *state)).collect())
    }

    #[test]
    fn pods_in_which_something_came_changed_or_went_are_told() {
        let before = HashMap::from([
            (owner("same"), seen(&[("a", 0)])),
            (owner("changed"), seen(&[("b", 0)])),
            (owner("less"), seen(&[("c", 0), ("d", 0)])),
            (owner("gone"), seen(&[("e", 0)])),
        ]);
        let now = HashMap::from([
            (owner("same"), seen(&[("a", 0)])),
            (owner("changed"), seen(&[("b", 1)])),
            (owner("less"), seen(&[("c", 0)])),
            (owner("new"), seen(&[("f", 0)])),
        ]);
        let mut uids: Vec<String> = differences(&before, &now).into_iter().map(|it| it.uid).collect();
        uids.sort();
        assert_eq!(uids, ["changed", "gone", "less", "new"]);
        assert_eq!(differences(&now, &now), []);
    }
}
