//! Stops containers, and pods as a whole.
//!
//! In: what the runtime has of the pod, and how long it may take. Out: nothing that runs. Containers are stopped side by
//! side; sidecars after all others, in the order opposite to that of their start. Every container gets a moment, even if
//! the time is up.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use k8s_openapi::api::core::v1::{Container, Pod};
use keelson_controller_runtime::reference_to;
use keelson_cri::RuntimeError;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::{Next, SOON, Worker, hooks};
use crate::pod::plan::{Stop, Why};
use crate::pod::spec;
use crate::pod::state::{Cause, Event};
use crate::runtime::observed::{Instance, Observed};
use crate::shared::Shared;

/// What every container gets between being asked and being killed.
const MIN_GRACE: Duration = Duration::from_secs(2);

/// How long a pod has for its end.
pub(super) fn grace(pod: &Pod, cause: &Cause) -> Duration {
    let seconds = match cause {
        Cause::Deleted | Cause::Removed => spec::grace_seconds(pod),
        Cause::Ended | Cause::Rejected(_) | Cause::Overdue(_) => {
            spec::spec(pod).termination_grace_period_seconds.unwrap_or_else(|| spec::grace_seconds(pod))
        }
    };
    Duration::from_secs(seconds.try_into().unwrap_or(0)).max(Duration::from_secs(1))
}

/// How long a single container has that is to be restarted or replaced: its probe may say something of its own.
pub(super) fn grace_of_container(pod: &Pod, container: Option<&Container>, why: Why) -> Duration {
    let probe = match why {
        Why::Startup => container.and_then(|it| it.startup_probe.as_ref()),
        Why::Liveness => container.and_then(|it| it.liveness_probe.as_ref()),
        Why::Other => None,
    };
    let own = probe.and_then(|probe| probe.termination_grace_period_seconds);
    let seconds = own.unwrap_or_else(|| spec::grace_seconds(pod));
    Duration::from_secs(seconds.try_into().unwrap_or(0))
}

/// One container to stop.
struct One<'a> {
    shared: &'a Shared,
    pod: &'a Pod,
    instance: &'a Instance,
    address: &'a str,
    message: String,
    grace: Duration,
}

impl One<'_> {
    /// Stops it. `turn` ends when those are stopped that this one serves.
    async fn stop(&self, turn: impl Future<Output = ()>) -> Result<(), RuntimeError> {
        let begin = Instant::now();
        let reference = spec::container_reference(self.pod, &self.instance.name);
        self.shared.recorder.normal(&reference, "Killing", self.message.clone());
        self.pre_stop().await;
        let left = || self.grace.saturating_sub(begin.elapsed());
        // Whoever it serves has had the same time.
        let _ = timeout(left(), turn).await;
        self.shared.runtime.stop_container(&self.instance.id, left().max(MIN_GRACE)).await
    }

    async fn pre_stop(&self) {
        let container = spec::container(self.pod, &self.instance.name);
        let handler = container.and_then(|it| it.lifecycle.as_ref()?.pre_stop.as_ref());
        let (Some(container), Some(handler)) = (container, handler) else { return };
        if self.grace.is_zero() {
            return;
        }
        let run =
            hooks::run(&self.shared.runtime, handler, container, &self.instance.id, self.address, self.grace);
        let failure = match timeout(self.grace, run).await {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_) => "it did not end within the grace period".to_owned(),
        };
        tracing::info!(
            pod = spec::described(self.pod),
            container = container.name,
            failure,
            "preStop failed"
        );
        let reference = spec::container_reference(self.pod, &container.name);
        self.shared.recorder.warning(&reference, "FailedPreStopHook", "PreStopHook failed");
    }
}

/// Stops everything of a pod.
pub(super) async fn stop_all(
    shared: &Shared,
    pod: &Pod,
    observed: &Observed,
    grace: Duration,
) -> Result<(), RuntimeError> {
    let address = observed.addresses().first().map_or("", String::as_str);
    let (sidecars, others) = in_order(pod, observed);
    let stopped = watch::Sender::new(0);
    let stops = others
        .iter()
        .map(|it| (*it, 0))
        .chain(sidecars.iter().enumerate().map(|(index, it)| (*it, others.len() + index)));
    let stops = stops.map(|(instance, before)| {
        let one = One {
            shared,
            pod,
            instance,
            address,
            message: format!("Stopping container {}", instance.name),
            grace,
        };
        let stopped = &stopped;
        async move {
            let done = one.stop(after(stopped, before)).await;
            stopped.send_modify(|count| *count += 1);
            done
        }
    });
    join_all(stops).await.into_iter().collect::<Result<(), _>>()?;
    try_join_all(observed.sandboxes.iter().map(|sandbox| shared.runtime.stop_pod_sandbox(&sandbox.id)))
        .await?;
    Ok(())
}

async fn after(stopped: &watch::Sender<usize>, count: usize) {
    // The sender outlives this.
    let _ = stopped.subscribe().wait_for(|stopped| *stopped >= count).await;
}

/// What may run: sidecars, the last one that was started first; and the others.
fn in_order<'a>(pod: &Pod, observed: &'a Observed) -> (Vec<&'a Instance>, Vec<&'a Instance>) {
    let rank = |instance: &Instance| {
        spec::init_containers(pod).iter().position(|it| it.name == instance.name && spec::is_sidecar(it))
    };
    let (mut sidecars, others): (Vec<_>, Vec<_>) = observed.alive().partition(|it| rank(it).is_some());
    sidecars.sort_by_key(|instance| std::cmp::Reverse(rank(instance)));
    (sidecars, others)
}

impl Worker {
    /// Stops everything of the pod, which is ending.
    pub(super) async fn stop(&mut self, pod: &Pod, grace: Duration) -> Next {
        match self.try_stop(pod, grace).await {
            Ok(true) => {
                self.happens(Event::Stopped);
                Next::Now
            }
            Ok(false) => Next::after(SOON),
            Err(error) => {
                tracing::debug!(pod = spec::described(pod), %error, "the pod is not stopped yet");
                if !error.is_unreachable() {
                    let message = format!("error killing pod: {error}");
                    self.shared.recorder.warning(&reference_to(pod), "FailedKillPod", message);
                }
                Next::after(SOON)
            }
        }
    }

    /// Whether nothing of it runs any more.
    async fn try_stop(&self, pod: &Pod, grace: Duration) -> Result<bool, RuntimeError> {
        self.shared.observe(&self.record).await?;
        let observed = self.record.view().observed.clone();
        if observed.may_run() {
            stop_all(&self.shared, pod, &observed, grace).await?;
            self.shared.observe(&self.record).await?;
        }
        Ok(!self.record.view().observed.may_run())
    }

    /// Stops some containers of a pod that goes on.
    pub(super) async fn stop_some(
        &self,
        pod: &Pod,
        observed: &Observed,
        stops: &[Stop],
    ) -> Result<(), RuntimeError> {
        let address = observed.addresses().first().map_or("", String::as_str);
        let one = |stop: &Stop| {
            let instance = observed.instances.iter().find(|instance| instance.id == stop.id)?;
            let container = spec::container(pod, &stop.container);
            let grace = grace_of_container(pod, container, stop.why);
            let message = stop.message.clone();
            Some(One { shared: &self.shared, pod, instance, address, message, grace })
        };
        let all: Vec<One<'_>> = stops.iter().filter_map(one).collect();
        try_join_all(all.iter().map(|one| one.stop(std::future::ready(())))).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{exited, instance, observed, pod, running};

    #[test]
    fn the_deletion_says_how_long_a_pod_has_and_there_is_always_a_second() {
        let mut pod = pod(json!({"containers": [], "terminationGracePeriodSeconds": 20}));
        assert_eq!(grace(&pod, &Cause::Ended), Duration::from_secs(20));
        pod.metadata.deletion_grace_period_seconds = Some(5);
        assert_eq!(grace(&pod, &Cause::Deleted), Duration::from_secs(5));
        pod.metadata.deletion_grace_period_seconds = Some(0);
        assert_eq!(grace(&pod, &Cause::Removed), Duration::from_secs(1));
    }

    #[test]
    fn a_probe_may_have_a_grace_period_of_its_own() {
        let pod = pod(json!({"terminationGracePeriodSeconds": 20, "containers": [
            {"name": "a", "livenessProbe": {"terminationGracePeriodSeconds": 3}, "startupProbe": {}}]}));
        let container = spec::container(&pod, "a");
        let seconds = |why| grace_of_container(&pod, container, why).as_secs();
        assert_eq!((seconds(Why::Liveness), seconds(Why::Startup), seconds(Why::Other)), (3, 20, 20));
    }

    #[test]
    fn sidecars_are_stopped_last_and_backwards() {
        let pod = pod(json!({"containers": [{"name": "a"}], "initContainers": [
            {"name": "s", "restartPolicy": "Always"}, {"name": "i"}, {"name": "t", "restartPolicy": "Always"}]}));
        let observed = observed(vec![
            instance("s", 1, running(1)),
            instance("i", 2, exited(2, 0)),
            instance("t", 3, running(3)),
            instance("a", 4, running(4)),
        ]);
        let (sidecars, others) = in_order(&pod, &observed);
        let names = |list: Vec<&Instance>| list.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(sidecars), names(others)), (vec!["t".into(), "s".into()], vec!["a".into()]));
    }
}
