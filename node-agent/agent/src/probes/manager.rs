//! The probes of all pods: one task for each probe of each instance that runs.
//!
//! In: pods with what the runtime has of them, again and again. Out: verdicts; whoever is interested is told when one
//! changes. Verdicts of an earlier agent are taken over from the status that the API has, so that a restart makes no
//! container unready.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus, Probe};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::EventRecorder;
use keelson_cri::Runtime;
use tokio::sync::watch;

use super::ask::{self, Outcome, Target};
use super::judge::{Answer, Judge, Thresholds};
use super::verdicts::{Kind, Verdict, Verdicts};
use crate::pod::spec;
use crate::runtime::observed::{Instance, InstanceState, Observed};
use crate::task::Task;

/// How often a container is asked again at once that could not be asked.
const TRIES: u32 = 3;

/// Told of each pod, by its uid, of which a verdict has changed.
type OnChange = Arc<dyn Fn(&str) + Send + Sync>;

/// The probes of all pods.
pub(crate) struct Probes {
    runtime: Runtime,
    recorder: EventRecorder,
    on_change: OnChange,
    pods: Mutex<HashMap<String, PodProbes>>,
}

struct PodProbes {
    verdicts: watch::Sender<Verdicts>,
    /// By probe and instance.
    tasks: HashMap<(Kind, String), Task>,
}

impl PodProbes {
    fn new() -> Self {
        Self { verdicts: watch::Sender::new(Verdicts::default()), tasks: HashMap::new() }
    }
}

/// What a pod looks like at the moment.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) pod: &'a Arc<Pod>,
    pub(crate) observed: &'a Observed,
    /// The status that was told last: what it says of an instance holds until the first answer.
    pub(crate) told: &'a PodStatus,
    /// Whether the pod is being stopped: then nothing of it is restarted any more.
    pub(crate) is_ending: bool,
    /// Where a pod on the node's network is reached.
    pub(crate) node_address: &'a str,
}

impl Probes {
    /// Of nobody yet.
    pub(crate) fn new(
        runtime: Runtime,
        recorder: EventRecorder,
        on_change: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        Self { runtime, recorder, on_change: Arc::new(on_change), pods: Mutex::default() }
    }

    /// What is known about a pod's instances.
    pub(crate) fn verdicts(&self, uid: &str) -> Verdicts {
        self.pods().get(uid).map(|pod| pod.verdicts.borrow().clone()).unwrap_or_default()
    }

    /// Begins to probe what has begun to run, and ends with what has ended.
    pub(crate) fn follow(&self, view: View<'_>) {
        let mut pods = self.pods();
        let probes = pods.entry(spec::uid(view.pod).to_owned()).or_insert_with(PodProbes::new);
        let wanted = wanted(view);
        let is_wanted =
            |kind: Kind, id: &str| wanted.iter().any(|it| it.kind == kind && it.instance.id == id);
        probes.tasks.retain(|(kind, id), _| is_wanted(*kind, id));
        probes.verdicts.send_if_modified(|verdicts| verdicts.retain(is_wanted));
        for probe in wanted {
            let key = (probe.kind, probe.instance.id.clone());
            if !probes.tasks.contains_key(&key) {
                let task = self.begin(view, &probe, &probes.verdicts);
                probes.tasks.insert(key, task);
            }
        }
    }

    /// Forgets a pod.
    pub(crate) fn forget(&self, uid: &str) {
        self.pods().remove(uid);
    }

    fn begin(&self, view: View<'_>, wanted: &Wanted<'_>, verdicts: &watch::Sender<Verdicts>) -> Task {
        let Wanted { kind, container, probe, instance, running_since } = *wanted;
        let initial = taken_over(view.told, kind, instance).unwrap_or_else(|| Judge::initial(kind));
        verdicts.send_if_modified(|verdicts| verdicts.set(kind, &instance.id, initial));
        let address = view.observed.addresses().first().map_or(view.node_address, String::as_str);
        let prober = Prober {
            runtime: self.runtime.clone(),
            recorder: self.recorder.clone(),
            on_change: self.on_change.clone(),
            pod: view.pod.clone(),
            kind,
            probe: probe.clone(),
            target: Target {
                container: container.clone(),
                instance: instance.id.clone(),
                address: address.to_owned(),
            },
            running_since,
            verdicts: verdicts.clone(),
        };
        Task::spawn(prober.run())
    }

    fn pods(&self) -> MutexGuard<'_, HashMap<String, PodProbes>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A probe that has somebody to ask.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    kind: Kind,
    container: &'a Container,
    probe: &'a Probe,
    instance: &'a Instance,
    running_since: Timestamp,
}

fn wanted(view: View<'_>) -> Vec<Wanted<'_>> {
    let sidecars = spec::init_containers(view.pod).iter().filter(|it| spec::is_sidecar(it));
    let mut wanted = Vec::new();
    for container in sidecars.chain(spec::containers(view.pod)) {
        let Some(instance) = view.observed.newest(&container.name) else { continue };
        let InstanceState::Running { started_at } = instance.state else { continue };
        let probes = [
            (Kind::Startup, container.startup_probe.as_ref().filter(|_| !view.is_ending)),
            (Kind::Liveness, container.liveness_probe.as_ref().filter(|_| !view.is_ending)),
            (Kind::Readiness, container.readiness_probe.as_ref()),
        ];
        wanted.extend(probes.into_iter().filter_map(|(kind, probe)| {
            Some(Wanted { kind, container, probe: probe?, instance, running_since: started_at })
        }));
    }
    wanted
}

/// What an earlier agent found out about this very instance.
fn taken_over(told: &PodStatus, kind: Kind, instance: &Instance) -> Option<Verdict> {
    let all = told.container_statuses.iter().chain(&told.init_container_statuses).flatten();
    let is_it = |status: &&ContainerStatus| {
        status
            .container_id
            .as_deref()
            .and_then(|id| id.split_once("://"))
            .is_some_and(|(_, id)| id == instance.id)
    };
    let status = all.into_iter().find(is_it)?;
    let holds = match kind {
        Kind::Startup => status.started == Some(true),
        Kind::Readiness => status.ready,
        Kind::Liveness => false,
    };
    holds.then_some(Verdict::Success)
}

/// One probe of one instance.
struct Prober {
    runtime: Runtime,
    recorder: EventRecorder,
    on_change: OnChange,
    pod: Arc<Pod>,
    kind: Kind,
    probe: Probe,
    target: Target,
    running_since: Timestamp,
    verdicts: watch::Sender<Verdicts>,
}

impl Prober {
    async fn run(self) {
        if self.kind == Kind::Startup && self.has_come_up() {
            return;
        }
        self.comes_up().await;
        self.initial_delay().await;
        let period = Duration::from_secs(
            self.probe.period_seconds.and_then(|it| it.try_into().ok()).unwrap_or(10).max(1),
        );
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if self.kind == Kind::Liveness {
            // It counts as alive until it is asked, and one that has only just been started may not answer yet: upstream
            // asks within a period, not at once.
            ticks.reset();
        }
        let mut judge = Judge::new(self.kind, Thresholds::of(&self.probe));
        while !judge.is_done() {
            ticks.tick().await;
            if judge.asks(self.has_come_up())
                && let Some(answer) = self.answer().await
                && let Some(verdict) = judge.hear(answer)
            {
                self.tell(verdict);
            }
        }
    }

    /// Liveness and readiness are asked for after the start.
    async fn comes_up(&self) {
        match self.kind {
            Kind::Startup => {}
            Kind::Liveness | Kind::Readiness => {
                let mut verdicts = self.verdicts.subscribe();
                // The sender lives in `self`, so this cannot fail.
                let _ = verdicts.wait_for(|verdicts| self.has_come_up_by(verdicts)).await;
            }
        }
    }

    /// What is left of it. A clock that was set back since the start makes it no longer.
    async fn initial_delay(&self) {
        let seconds = self.probe.initial_delay_seconds.and_then(|it| it.try_into().ok()).unwrap_or(0);
        let elapsed = Timestamp::now().duration_since(self.running_since);
        let elapsed = Duration::try_from(elapsed).unwrap_or_default();
        tokio::time::sleep(Duration::from_secs(seconds).saturating_sub(elapsed)).await;
    }

    fn has_come_up(&self) -> bool {
        self.has_come_up_by(&self.verdicts.borrow())
    }

    fn has_come_up_by(&self, verdicts: &Verdicts) -> bool {
        self.target.container.startup_probe.is_none()
            || verdicts.get(Kind::Startup, &self.target.instance) == Some(Verdict::Success)
    }

    /// Asks; `None` if the container could not be asked, which says nothing about it.
    async fn answer(&self) -> Option<Answer> {
        let mut outcome = ask::ask(&self.runtime, &self.probe, &self.target).await;
        for _ in 1..TRIES {
            if !matches!(outcome, Outcome::Error(_)) {
                break;
            }
            outcome = ask::ask(&self.runtime, &self.probe, &self.target).await;
        }
        let word = self.kind.word();
        match outcome {
            Outcome::Success => Some(Answer::Success),
            Outcome::Failure(why) => {
                self.warn(format!("{word} probe failed: {why}"));
                Some(Answer::Failure)
            }
            Outcome::Error(why) => {
                self.warn(format!("{word} probe errored and resulted in unknown state: {why}"));
                None
            }
        }
    }

    fn warn(&self, message: String) {
        let reference = spec::container_reference(&self.pod, &self.target.container.name);
        self.recorder.warning(&reference, "Unhealthy", message);
    }

    fn tell(&self, verdict: Verdict) {
        let instance = &self.target.instance;
        if self.verdicts.send_if_modified(|verdicts| verdicts.set(self.kind, instance, verdict)) {
            (self.on_change)(spec::uid(&self.pod));
        }
    }
}

#[cfg(test)]
mod tests;
