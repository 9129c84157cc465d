//! Pods that wait for a node.
//!
//! In: pods without a node, what became of attempts, and events. Out: the next pod to try. Every pod is in one place:
//!
//! ```text
//!                   add                      pop
//!   (new pod) ──────────────► active ───────────────────► (a cycle)
//!       │                       ▲                            │
//!       │ held back             │ time is up                 │ rejected        failed
//!       ▼          let go       │                            ▼                   │
//!     gated ───────────────►    │                      unschedulable             │
//!                               │    event that may help,    │                   │
//!                            backoff ◄───────────────────────┘                   │
//!                               ▲    or five minutes                             │
//!                               └────────────────────────────────────────────────┘
//! ```
//!
//! A pod whose pause has passed already goes to `active` at once. Nothing here is asked again on a timer but for the
//! five minutes, which are a safety net under plugins that say no to an event where they should have said yes.
//!
//! Deliberately absent: pods that are in a cycle or being bound. A cycle is not interrupted, so no event happens during
//! it; of a pod that is being bound the cache knows.
//!
//! Source: `pkg/scheduler/backend/queue` of Kubernetes.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster_event::{ClusterEvent, OwnChange, own_changes};
use crate::framework::{Framework, PluginSet};
use crate::pod_info::{PodInfo, Uid};

mod ordered;
mod parked;

use ordered::Ordered;
use parked::Parked;

/// The pause after the first attempt that came to nothing; it doubles with every further one,
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);

/// up to this.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// A pod that no event has helped for so long is tried again.
const LEFTOVER: Duration = Duration::from_secs(300);

/// See the module.
pub(crate) struct Queue {
    framework: Framework,
    active: Ordered<Rank>,
    /// By the end of their pause.
    backoff: Ordered<Instant>,
    unschedulable: Parked,
    gated: HashMap<Uid, QueuedPod>,
}

/// What comes first: the lowest urgency, then the earliest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) urgency: Reverse<i64>,
    pub(crate) since: Instant,
}

/// A pod that waits, and its history.
#[derive(Clone, Debug)]
pub(crate) struct QueuedPod {
    pub(crate) info: Arc<PodInfo>,
    /// Since when it waits, counted anew after every attempt.
    pub(crate) since: Instant,
    /// How often it fitted nowhere.
    rejections: u32,
    /// How often in a row something went wrong.
    errors: u32,
    waits_for: WaitsFor,
}

/// What has to happen before another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// Nothing in particular.
    Time,
    /// An event of which one of these plugins, that rejected it, takes it to be of help.
    Plugins(PluginSet),
    /// There was no node at all.
    AnyNode,
}

/// The words of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg(test)]
pub(crate) enum Whereabouts {
    Active,
    Backoff,
    Unschedulable,
    Gated,
    Nowhere,
}

impl QueuedPod {
    fn new(info: Arc<PodInfo>, now: Instant) -> Self {
        Self { info, since: now, rejections: 0, errors: 0, waits_for: WaitsFor::Time }
    }

    /// When it may be tried again.
    fn pause_ends(&self) -> Instant {
        let attempts = if self.errors > 0 { self.errors } else { self.rejections };
        let Some(doublings) = attempts.checked_sub(1) else { return self.since };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.since + INITIAL_BACKOFF.saturating_mul(factor).min(MAX_BACKOFF)
    }

    fn may_be_helped_by(&self, event: &ClusterEvent<'_>, framework: Framework, listeners: PluginSet) -> bool {
        match self.waits_for {
            WaitsFor::Time => true,
            WaitsFor::AnyNode => matches!(event, ClusterEvent::NodeAdded(_)),
            WaitsFor::Plugins(plugins) => {
                let asked = plugins.intersection(listeners);
                !asked.is_empty() && framework.may_help(asked, event, &self.info)
            }
        }
    }
}

impl Queue {
    pub(crate) fn new(framework: Framework) -> Self {
        Self {
            framework,
            active: Ordered::new(),
            backoff: Ordered::new(),
            unschedulable: Parked::new(),
            gated: HashMap::new(),
        }
    }

    /// A newer version of a pod that waits. One that is not here begins to.
    pub(crate) fn update(&mut self, new: Arc<PodInfo>, now: Instant) {
        let uid = &new.uid;
        if let Some(pod) = self.active.get_mut(uid).or_else(|| self.backoff.get_mut(uid)) {
            pod.info = new;
        } else if let Some(mut pod) = self.gated.remove(uid) {
            pod.info = new;
            self.enter(pod, now);
        } else if let Some(pod) = self.unschedulable.get(uid) {
            let changes = own_changes(&pod.info, &new);
            let uid = uid.clone();
            self.unschedulable.renew(new);
            if changes.into_iter().any(|change| self.is_helped_by_own(&uid, change)) {
                self.let_go(&uid, now);
            }
        } else {
            self.enter(QueuedPod::new(new, now), now);
        }
    }

    fn is_helped_by_own(&self, uid: &Uid, change: OwnChange) -> bool {
        let (event, framework) = (ClusterEvent::Own(change), self.framework);
        let listeners = framework.listening_to(event.kind());
        let pod = self.unschedulable.get(uid);
        pod.is_some_and(|pod| pod.may_be_helped_by(&event, framework, listeners))
    }

    /// A pod that is gone or has its node.
    pub(crate) fn remove(&mut self, uid: &Uid) {
        let _ = self.active.remove(uid).or_else(|| self.backoff.remove(uid));
        let _ = self.unschedulable.remove(uid).or_else(|| self.gated.remove(uid));
    }

    /// A pod that came from here fitted nowhere.
    pub(crate) fn park(&mut self, mut pod: QueuedPod, waits_for: WaitsFor, now: Instant) {
        pod.since = now;
        pod.rejections += 1;
        pod.errors = 0;
        pod.waits_for = waits_for;
        self.unschedulable.insert(pod);
    }

    /// Something went wrong with a pod that came from here; `latest` is what it is as of now.
    pub(crate) fn retry(&mut self, mut pod: QueuedPod, latest: Arc<PodInfo>, now: Instant) {
        pod.info = latest;
        pod.since = now;
        pod.errors += 1;
        pod.waits_for = WaitsFor::Time;
        self.enter(pod, now);
    }

    /// Lets a pod be tried again that waits for events, whatever it waits for.
    pub(crate) fn activate(&mut self, uid: &Uid, now: Instant) {
        self.let_go(uid, now);
    }

    /// Something happened in the cluster. No pod is helped by what happens to itself: its own promise never bound it.
    pub(crate) fn on_event(&mut self, event: &ClusterEvent<'_>, now: Instant) {
        let framework = self.framework;
        let listeners = framework.listening_to(event.kind());
        if !self.unschedulable.any_waits_for(listeners) {
            return;
        }
        let others = self.unschedulable.iter();
        let others = others.filter(|pod| event.pod().is_none_or(|changed| changed.uid != pod.info.uid));
        let helped = others.filter(|pod| pod.may_be_helped_by(event, framework, listeners));
        let helped: Vec<Uid> = helped.map(|pod| pod.info.uid.clone()).collect();
        helped.iter().for_each(|uid| self.let_go(uid, now));
    }

    /// The next pod to try.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<QueuedPod> {
        self.flush(now);
        self.active.pop()
    }

    /// When something becomes ready by the passing of time alone.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let leftover = self.unschedulable.oldest().map(|since| since + LEFTOVER);
        [self.backoff.first_key(), leftover].into_iter().flatten().min()
    }

    /// Moves what has waited long enough.
    fn flush(&mut self, now: Instant) {
        while self.unschedulable.oldest().is_some_and(|since| since + LEFTOVER <= now) {
            if let Some(pod) = self.unschedulable.pop() {
                self.enter(pod, now);
            }
        }
        while self.backoff.first_key().is_some_and(|end| end <= now) {
            if let Some(pod) = self.backoff.pop() {
                self.active.insert(self.rank(&pod), pod);
            }
        }
    }

    fn let_go(&mut self, uid: &Uid, now: Instant) {
        if let Some(pod) = self.unschedulable.remove(uid) {
            self.enter(pod, now);
        }
    }

    /// Where a pod goes that nothing but time or its gates holds back.
    fn enter(&mut self, pod: QueuedPod, now: Instant) {
        if let Some(plugin) = self.framework.held_back_by(&pod.info) {
            tracing::debug!(pod = %pod.info.key, plugin = self.framework.name(plugin), "held back");
            self.gated.insert(pod.info.uid.clone(), pod);
        } else if pod.pause_ends() > now {
            self.backoff.insert(pod.pause_ends(), pod);
        } else {
            self.active.insert(self.rank(&pod), pod);
        }
    }

    fn rank(&self, pod: &QueuedPod) -> Rank {
        self.framework.queue_sort().rank(pod)
    }
}

#[cfg(test)]
impl Queue {
    pub(crate) fn whereabouts(&mut self, uid: &Uid) -> Whereabouts {
        if self.active.get_mut(uid).is_some() {
            Whereabouts::Active
        } else if self.backoff.get_mut(uid).is_some() {
            Whereabouts::Backoff
        } else if self.unschedulable.get(uid).is_some() {
            Whereabouts::Unschedulable
        } else if self.gated.contains_key(uid) {
            Whereabouts::Gated
        } else {
            Whereabouts::Nowhere
        }
    }
}

#[cfg(test)]
mod tests;
