//! One round of a pod that shall run.
//!
//! In: the pod, what the runtime has. Out: one plan carried out, and when to look again.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use keelson_controller_runtime::reference_to;
use keelson_cri::RuntimeError;
use keelson_node_volumes::VolumeError;
use keelson_proto::cri::v1::PodSandboxConfig;
use time::OffsetDateTime;

use super::start::{Job, Place};
use super::{Next, SOON, Worker, stop};
use crate::log_rotation;
use crate::pod::plan::{Plan, Start, plan};
use crate::pod::spec;
use crate::pod::state::{Event, Failure};
use crate::runtime::observed::{Instance, Observed};

/// Pause after a sandbox could not be made.
const SANDBOX_PAUSE: Duration = Duration::from_secs(10);

/// Pause after volumes could not be set up; it doubles with each failure in a row.
const VOLUME_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_VOLUME_PAUSE: Duration = Duration::from_secs(120);

/// What the pod's volumes have come to.
#[derive(Clone, Debug)]
pub(super) enum Mounts {
    /// This worker has not set them up.
    Missing,
    /// They are there, with what the pod said then; to be refreshed at that time.
    There { pod: Arc<Pod>, refresh: Option<OffsetDateTime> },
}

/// A round did not come to its end; the next is then.
pub(super) struct Setback(Next);

impl Worker {
    /// One round.
    pub(super) async fn sync(&mut self, pod: &Arc<Pod>) -> Next {
        let deadline = match self.deadline(pod) {
            Some(at) if at <= Timestamp::now() => return self.overdue(pod),
            Some(at) => Next::at(at),
            None => Next::Woken,
        };
        match self.carry_out(pod).await {
            Ok(next) | Err(Setback(next)) => next.or(deadline).or(self.look_for_room()),
        }
    }

    /// When the pod has run as long as it may.
    fn deadline(&self, pod: &Pod) -> Option<Timestamp> {
        let seconds = spec::spec(pod).active_deadline_seconds?;
        let start = self.record.view().told.start_time.as_ref()?.0;
        start.checked_add(SignedDuration::from_secs(seconds)).ok()
    }

    fn overdue(&self, pod: &Pod) -> Next {
        let failure = Failure {
            reason: "DeadlineExceeded".to_owned(),
            message: "Pod was active on the node longer than the specified deadline".to_owned(),
        };
        self.shared.recorder.normal(&reference_to(pod), "DeadlineExceeded", failure.message.clone());
        self.happens(Event::Overdue(failure));
        Next::Now
    }

    async fn carry_out(&mut self, pod: &Arc<Pod>) -> Result<Next, Setback> {
        self.observe(pod).await?;
        let observed = self.record.view().observed.clone();
        self.clear_away(&observed).await;
        let pod = &self.with_room(pod);
        match plan(pod, &observed, &self.shared.probes.verdicts(spec::uid(pod))) {
            Plan::End => {
                self.happens(Event::Ended);
                Ok(Next::Now)
            }
            Plan::Renew { attempt, replaced, start } => {
                self.prepare(pod, true).await?;
                self.leave(pod, &observed, replaced.as_deref()).await?;
                let (sandbox, config) = self.new_sandbox(pod, attempt).await?;
                self.observe(pod).await?;
                Ok(self.start_all(Place { pod, sandbox: &sandbox, config: &config }, &start).await)
            }
            Plan::Keep { sandbox, stop, resize, start } => {
                let has_changed = !stop.is_empty() || !resize.is_empty();
                self.stop_some(pod, &observed, &stop).await.map_err(|error| failed(pod, &error))?;
                self.resize(pod, &resize).await.map_err(|error| failed(pod, &error))?;
                if start != Start::default() {
                    self.prepare(pod, false).await?;
                    let attempt = observed.sandboxes.first().map_or(0, |sandbox| sandbox.attempt);
                    let config =
                        self.sandbox_config(pod, attempt).map_err(|why| self.no_sandbox(pod, &why))?;
                    // What was stopped only to be started again is told of when it runs.
                    self.shared.look(&self.record).await.map_err(|error| failed(pod, &error))?;
                    return Ok(self
                        .start_all(Place { pod, sandbox: &sandbox, config: &config }, &start)
                        .await);
                }
                if has_changed { Ok(Next::Now) } else { Ok(self.keep_fresh(pod).await) }
            }
        }
    }

    async fn observe(&self, pod: &Pod) -> Result<(), Setback> {
        self.shared.observe(&self.record).await.map_err(|error| failed(pod, &error))
    }

    /// Removes instances and sandboxes that are of no use any more. What does not go now goes later.
    async fn clear_away(&self, observed: &Observed) {
        let runtime = &self.shared.runtime;
        let instances = observed.superfluous();
        instances.iter().for_each(|instance| self.remove_files(instance));
        let instances = join_all(instances.iter().map(|it| runtime.remove_container(&it.id))).await;
        let abandoned = observed.abandoned();
        let sandboxes = join_all(abandoned.iter().map(|it| runtime.remove_pod_sandbox(&it.id))).await;
        for error in instances.into_iter().chain(sandboxes).filter_map(Result::err) {
            tracing::debug!(%error, "something of the pod that is of no use any more is still there");
        }
    }

    /// Removes what an instance has written: a container that keeps ending would fill the disk.
    fn remove_files(&self, instance: &Instance) {
        let log = Path::new(&instance.log_path);
        if log.starts_with(self.logs.pod())
            && let Err(error) = log_rotation::remove(log)
        {
            tracing::debug!(log = instance.log_path, %error, "the log of a former instance is still there");
        }
        let attempt = instance.marks.restart_count;
        // There may be none: a container may have no such file, or may never have been started.
        let _ = fs::remove_file(self.volumes.folders().termination_log(&instance.name, attempt));
    }

    /// What has to be there before anything of the pod is started.
    async fn prepare(&mut self, pod: &Arc<Pod>, is_new: bool) -> Result<(), Setback> {
        if is_new && !spec::is_host_network(pod) {
            self.check_network(pod)?;
        }
        if let Err(error) = self.shared.cgroups.set_up_pod(pod) {
            let message = format!("Failed to create pod sandbox: {error}");
            self.shared.recorder.warning(&reference_to(pod.as_ref()), "FailedCreatePodSandBox", message);
            return Err(Setback(Next::after(SANDBOX_PAUSE)));
        }
        self.set_up_volumes(pod).await
    }

    fn check_network(&self, pod: &Pod) -> Result<(), Setback> {
        let Some(obstacle) = self.shared.health.borrow().network_obstacle() else { return Ok(()) };
        let message = format!("network is not ready: {obstacle}");
        self.shared.recorder.warning(&reference_to(pod), "NetworkNotReady", message);
        Err(Setback(Next::after(SOON)))
    }

    async fn set_up_volumes(&mut self, pod: &Arc<Pod>) -> Result<(), Setback> {
        // Ephemeral containers come later than the others, and may use volumes that nobody has used before.
        if let Mounts::There { pod: known, .. } = &self.mounts
            && spec::ephemeral_containers(known) == spec::ephemeral_containers(pod)
        {
            return Ok(());
        }
        let node = self.shared.node_facts();
        let now = OffsetDateTime::now_utc();
        match self.volumes.set_up(pod, &self.shared.source, &node, now).await {
            Ok(refresh) => {
                self.failures = 0;
                self.mounts = Mounts::There { pod: pod.clone(), refresh };
                Ok(())
            }
            Err(errors) => {
                self.tell_volume_errors(pod, &errors.0);
                Err(Setback(Next::after(self.volume_pause())))
            }
        }
    }

    /// Pause after one more failure in a row.
    fn volume_pause(&mut self) -> Duration {
        let pause = VOLUME_PAUSE.saturating_mul(1 << self.failures.min(20)).min(LONGEST_VOLUME_PAUSE);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    fn tell_volume_errors(&self, pod: &Pod, errors: &[VolumeError]) {
        for error in errors {
            self.shared.recorder.warning(&reference_to(pod), VolumeError::REASON, error.to_string());
        }
    }

    /// Leaves a sandbox behind that is of no use: everything in it ends, and init containers are forgotten.
    async fn leave(&self, pod: &Pod, observed: &Observed, replaced: Option<&str>) -> Result<(), Setback> {
        if replaced.is_none() {
            return Ok(());
        }
        let message = "Pod sandbox changed, it will be killed and re-created.";
        self.shared.recorder.normal(&reference_to(pod), "SandboxChanged", message);
        let grace = stop::grace_of_container(pod, None, crate::pod::plan::Why::Other);
        stop::stop_all(&self.shared, pod, observed, grace).await.map_err(|error| failed(pod, &error))?;
        let is_init = |name: &str| spec::init_containers(pod).iter().any(|it| it.name == name);
        for instance in observed.instances.iter().filter(|instance| is_init(&instance.name)) {
            let removed = self.shared.runtime.remove_container(&instance.id).await;
            removed.map_err(|error| failed(pod, &error))?;
        }
        Ok(())
    }

    async fn new_sandbox(&self, pod: &Pod, attempt: u32) -> Result<(String, PodSandboxConfig), Setback> {
        let config = self.sandbox_config(pod, attempt).map_err(|why| self.no_sandbox(pod, &why))?;
        let id = self.make_sandbox(pod, config.clone()).await.map_err(|why| self.no_sandbox(pod, &why))?;
        Ok((id, config))
    }

    fn no_sandbox(&self, pod: &Pod, why: &str) -> Setback {
        let message = format!("Failed to create pod sandbox: {why}");
        self.shared.recorder.warning(&reference_to(pod), "FailedCreatePodSandBox", message);
        Setback(Next::after(SANDBOX_PAUSE))
    }

    /// Starts containers one after the other. An init container that cannot be started holds up what comes after it.
    async fn start_all(&mut self, place: Place<'_>, start: &Start) -> Next {
        let pod = place.pod;
        let mut next = Next::Woken;
        let mut has_started = false;
        let mut take_in = |done: Result<(), Next>| match done {
            Ok(()) => {
                has_started = true;
                true
            }
            Err(at) => {
                next = next.or(at);
                false
            }
        };
        for index in &start.ephemeral {
            let Some(ephemeral) = spec::ephemeral_containers(pod).get(*index) else { continue };
            let container = spec::as_container(ephemeral);
            take_in(self.start(place, Job { container: &container, ephemeral: Some(ephemeral) }).await);
        }
        for container in start.init.iter().filter_map(|index| spec::init_containers(pod).get(*index)) {
            let is_started = take_in(self.start(place, Job { container, ephemeral: None }).await);
            if !is_started && !spec::is_sidecar(container) {
                break;
            }
        }
        for container in start.main.iter().filter_map(|index| spec::containers(pod).get(*index)) {
            take_in(self.start(place, Job { container, ephemeral: None }).await);
        }
        if has_started {
            // The next round begins with a look, and tells what it sees.
            return Next::Now;
        }
        self.shared.report(&self.record);
        next
    }

    /// Brings volumes up to date, if there is a reason to.
    async fn keep_fresh(&mut self, pod: &Arc<Pod>) -> Next {
        let now = OffsetDateTime::now_utc();
        let has_news = self.record.take_news();
        let is_stale = match &self.mounts {
            // An earlier agent has set them up: this one has to know the pod's objects and tokens again.
            Mounts::Missing => true,
            Mounts::There { pod: known, refresh } => {
                let has_changed = known.metadata.labels != pod.metadata.labels
                    || known.metadata.annotations != pod.metadata.annotations;
                has_news || has_changed || refresh.is_some_and(|at| at <= now)
            }
        };
        if is_stale {
            let node = self.shared.node_facts();
            let done = self.volumes.refresh(pod, &self.shared.source, &node, now).await;
            self.tell_volume_errors(pod, &done.errors);
            if !done.changed.is_empty() {
                tracing::debug!(pod = spec::described(pod), volumes = ?done.changed, "volumes have other contents now");
            }
            let retry = if done.errors.is_empty() {
                self.failures = 0;
                None
            } else {
                Some(now + self.volume_pause())
            };
            let refresh = done.next.into_iter().chain(retry).min();
            self.mounts = Mounts::There { pod: pod.clone(), refresh };
        }
        match &self.mounts {
            Mounts::There { refresh: Some(at), .. } => {
                let at = (*at).max(now + SOON).unix_timestamp();
                Next::at(Timestamp::from_second(at).unwrap_or(Timestamp::MAX))
            }
            Mounts::There { refresh: None, .. } | Mounts::Missing => Next::Woken,
        }
    }
}

/// The runtime did not do what it was asked.
fn failed(pod: &Pod, error: &RuntimeError) -> Setback {
    tracing::debug!(pod = spec::described(pod), %error, "a round for the pod has failed");
    Setback(Next::after(SOON))
}
