//! The worker of one pod: brings it to where the API wants it, from its first moment on the node to its last.
//!
//! In: the pod's [`Record`], woken by the API, the runtime, probes, and time. Out: a pod that runs, or nothing of it. A
//! worker goes in rounds: look, decide ([`crate::pod::plan`], [`crate::pod::state`]), act. It remembers nothing that
//! matters: after a restart of the agent a new one comes to the same decisions.

mod finish;
mod hooks;
mod resize;
mod sandbox;
mod start;
mod stop;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use keelson_node_volumes::{BadName, PodFolders, PodLogs, PodVolumes};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::admission;
use crate::pod::spec;
use crate::pod::state::{Cause, Event, Failure, State};
use crate::registry::{Desired, Record};
use crate::shared::Shared;

/// Pause after something failed that may work a moment later.
const SOON: Duration = Duration::from_secs(1);

/// No worker waits longer for a moment of the wall clock without looking at it again: that clock can be set, and the one
/// that is waited by stands still while the machine sleeps.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// When the next round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// At once.
    Now,
    /// Then, or when somebody wakes the worker.
    At(Instant),
    /// When somebody wakes the worker.
    Woken,
    /// Never: nothing of the pod is left.
    Never,
}

impl Next {
    fn after(pause: Duration) -> Self {
        Self::At(Instant::now() + pause)
    }

    /// At this moment of the wall clock, or earlier.
    fn at(moment: Timestamp) -> Self {
        let pause = moment.duration_since(Timestamp::now());
        Self::after(Duration::try_from(pause).unwrap_or(Duration::ZERO).min(LONGEST_WAIT))
    }

    /// The earlier of both.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (Self::At(at), Self::Woken) | (Self::Woken, Self::At(at)) => Self::At(at),
            (Self::Woken, Self::Woken) => Self::Woken,
        }
    }
}

/// The worker of one pod.
struct Worker {
    shared: Arc<Shared>,
    record: Arc<Record>,
    desires: watch::Receiver<Desired>,
    logs: PodLogs,
    volumes: PodVolumes,
    /// What the volumes have come to.
    mounts: sync::Mounts,
    /// How often in a row something failed that is tried again.
    failures: u32,
}

/// Works for a pod until nothing of it is left.
pub(crate) async fn run(shared: Arc<Shared>, record: Arc<Record>) {
    match Worker::new(shared, record) {
        Ok(mut worker) => worker.work().await,
        // The API does not accept such names: whoever made the pod went past it.
        Err(error) => tracing::error!(%error, "a pod cannot be worked for"),
    }
}

impl Worker {
    fn new(shared: Arc<Shared>, record: Arc<Record>) -> Result<Self, BadName> {
        let pod = record.pod();
        let folders = PodFolders::new(&shared.root, spec::uid(&pod))?;
        let logs = PodLogs::new(&shared.pod_logs, spec::namespace(&pod), spec::name(&pod), spec::uid(&pod))?;
        let desires = record.desires();
        let volumes = PodVolumes::new(folders);
        Ok(Self { shared, record, desires, logs, volumes, mounts: sync::Mounts::Missing, failures: 0 })
    }

    async fn work(&mut self) {
        loop {
            self.record.set_busy(true);
            let next = Box::pin(self.round()).await;
            self.record.set_busy(false);
            match next {
                Next::Now => {}
                Next::At(at) => self.woken_or(at).await,
                Next::Woken => self.woken().await,
                Next::Never => return,
            }
        }
    }

    async fn woken_or(&mut self, at: Instant) {
        tokio::select! {
            () = sleep_until(at) => {}
            () = self.woken() => {}
        }
    }

    async fn woken(&mut self) {
        tokio::select! {
            () = self.record.woken() => {}
            // The sender lives in the record, which the worker holds.
            _ = self.desires.changed() => {}
        }
    }

    /// One step towards what is wanted.
    async fn round(&mut self) -> Next {
        let desired = self.desires.borrow_and_update().clone();
        self.take_in(&desired);
        let state = self.state();
        match state {
            State::Waiting => self.judge(&desired.pod),
            State::Running => self.run_until_ending(&desired.pod).await,
            State::Terminating(cause) => self.stop_until_changed(&desired.pod, &cause).await,
            State::Terminated(_) => self.finish(&desired).await,
            State::Gone => Next::Never,
        }
    }

    /// What the API says moves the state.
    fn take_in(&self, desired: &Desired) {
        if spec::is_terminal_phase(spec::phase(&desired.pod)) {
            self.happens(Event::Ended);
        }
        if desired.is_removed {
            self.happens(Event::Removed);
        } else if spec::is_deleting(&desired.pod) {
            self.happens(Event::Deleted);
        }
    }

    fn state(&self) -> State {
        self.record.view().state.clone()
    }

    fn happens(&self, event: Event) {
        let mut view = self.record.view();
        let before = view.state.clone();
        view.state = before.clone().after(event);
        if view.state != before {
            let pod = self.record.pod();
            tracing::debug!(pod = spec::described(&pod), from = ?before, to = ?view.state, "the pod's state");
        }
    }

    /// Takes the pod, or does not. What was taken once is not judged again.
    fn judge(&self, pod: &Pod) -> Next {
        if spec::was_taken(pod) {
            self.happens(Event::Admitted);
            return Next::Now;
        }
        // Before the node is registered, and has said what it has, nobody knows.
        let has_told = |node: &Arc<Node>| node.status.as_ref().is_some_and(|it| it.allocatable.is_some());
        let Some(node) = self.shared.node().filter(has_told) else { return Next::after(SOON) };
        let others = self.shared.registry.active_besides(spec::uid(pod));
        match admission::judge(pod, &node, others.iter().map(AsRef::as_ref)) {
            Ok(()) => self.happens(Event::Admitted),
            Err(failure) => {
                self.tell_rejection(pod, &failure);
                self.happens(Event::Rejected(failure));
            }
        }
        Next::Now
    }

    fn tell_rejection(&self, pod: &Pod, failure: &Failure) {
        let message = failure.message.trim_start_matches(admission::REJECTED);
        let reference = keelson_controller_runtime::reference_to(pod);
        self.shared.recorder.warning(&reference, admission::event_reason(&failure.reason), message);
    }

    /// Works on a pod that shall run; gives up in the middle of it when the pod shall not run any more.
    async fn run_until_ending(&mut self, pod: &Arc<Pod>) -> Next {
        let mut desires = self.record.desires();
        tokio::select! {
            next = self.sync(pod) => next,
            _ = desires.wait_for(|desired| desired.is_removed || spec::is_deleting(&desired.pod)) => Next::Now,
        }
    }

    /// Stops what runs of the pod; begins anew when it has to be quicker.
    async fn stop_until_changed(&mut self, pod: &Arc<Pod>, cause: &Cause) -> Next {
        let grace = stop::grace(pod, cause);
        let mut desires = self.record.desires();
        let is_shorter = |desired: &Desired| {
            let cause = if desired.is_removed { &Cause::Removed } else { cause };
            stop::grace(&desired.pod, cause) < grace
        };
        tokio::select! {
            next = self.stop(pod, grace) => next,
            _ = desires.wait_for(is_shorter) => Next::Now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_looked_at_now_and_then() {
        let latest = Next::after(LONGEST_WAIT + SOON);
        let next = Next::at(Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_hours(24));
        assert_eq!(next.or(latest), next);
    }

    #[test]
    fn of_two_moments_the_earlier_one_counts() {
        let (soon, late) = (Next::after(SOON), Next::after(SOON * 9));
        assert_eq!(late.or(soon), soon);
        assert_eq!(Next::Woken.or(late), late);
        assert_eq!(late.or(Next::Now), Next::Now);
        assert_eq!(Next::Woken.or(Next::Woken), Next::Woken);
    }
}
