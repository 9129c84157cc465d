//! The scheduler at work: a loop around the pure [`Core`].
//!
//! In: what informers tell, and what became of bindings and evictions. Out: bindings, events and conditions, each in a
//! task of its own. Everything is taken in before the next cycle, so a cycle never decides on what is known to be old.
//! Dropping the loop ends all tasks: who no longer leads writes nothing more.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolumeClaim};
use keelson_controller_runtime::pod::Pod;
use keelson_controller_runtime::{EventRecorder, Informer, reference_to};
use kube::Client;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::bind::{Binder, Binding};
use crate::cycle::{Attempt, Core, Failure};
use crate::evict::evict;
use crate::framework::Nomination;
use crate::observe::{Observation, Version};
use crate::pod_info::{PodInfo, Uid};
use crate::preemption::Preemption;
use crate::status::{self, Audience, Condition, NominatedNode, Said};

/// How many pods' statuses are written at once. More would keep the API server from more urgent things.
const STATUSES_AT_ONCE: usize = 8;

/// How long the message of an event may be, in bytes.
const EVENT_MESSAGE: usize = 1024;

/// See the module.
pub(crate) struct Scheduler {
    core: Core,
    client: Client,
    events: EventRecorder,
    binder: Binder,
    statuses: Arc<Semaphore>,
    /// Who is writing which pod's status.
    writing: HashMap<Uid, AbortHandle>,
    inbox: UnboundedReceiver<Observation>,
    tasks: JoinSet<Done>,
}

/// What the scheduler knows of the cluster comes from these.
pub(crate) struct Informers {
    pub(crate) nodes: Informer<Node>,
    pub(crate) pods: Informer<Pod>,
    pub(crate) namespaces: Informer<Namespace>,
    pub(crate) claims: Informer<PersistentVolumeClaim>,
}

/// What a task brings back.
enum Done {
    Bound(Binding),
    EvictionFailed(Arc<PodInfo>, Preemption),
    Said(Uid),
    Evicted,
}

/// Lets the informers tell everything that they learn. To be called before they run.
pub(crate) fn listen(informers: &Informers) -> UnboundedReceiver<Observation> {
    let (sender, inbox) = mpsc::unbounded_channel();
    let (for_pods, for_namespaces, for_claims) = (sender.clone(), sender.clone(), sender.clone());
    // A receiver that is gone is a scheduler that no longer leads.
    informers.nodes.on_change(move |change| drop(sender.send(Observation::Node(Version::from(change)))));
    informers.pods.on_change(move |change| drop(for_pods.send(Observation::Pod(Version::from(change)))));
    let tell = move |change: &_| drop(for_namespaces.send(Observation::Namespace(Version::from(change))));
    informers.namespaces.on_change(tell);
    let tell = move |change: &_| drop(for_claims.send(Observation::Claim(Version::from(change))));
    informers.claims.on_change(tell);
    inbox
}

impl Scheduler {
    pub(crate) fn new(
        core: Core,
        client: Client,
        events: EventRecorder,
        inbox: UnboundedReceiver<Observation>,
    ) -> Self {
        let binder = Binder::new(client.clone(), core.framework);
        let statuses = Arc::new(Semaphore::new(STATUSES_AT_ONCE));
        let (writing, tasks) = (HashMap::new(), JoinSet::new());
        Self { core, client, events, binder, statuses, writing, inbox, tasks }
    }

    /// Schedules until it is dropped. What exists already must have been told before.
    pub(crate) async fn run(mut self) {
        loop {
            self.take_in();
            match self.core.schedule_one(Instant::now()) {
                Some(attempt) => {
                    self.act(attempt);
                    // Others have work too, and only one thread for it.
                    tokio::task::yield_now().await;
                }
                None => self.wait().await,
            }
        }
    }

    /// All that has been told, without waiting.
    fn take_in(&mut self) {
        while let Ok(observation) = self.inbox.try_recv() {
            self.core.observe(observation, Instant::now());
        }
        while let Some(done) = self.tasks.try_join_next() {
            self.settle(done);
        }
    }

    /// Until something is told, or time makes a pod ready.
    async fn wait(&mut self) {
        let deadline = self.core.queue.next_deadline();
        let ready = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(observation) = self.inbox.recv() => self.core.observe(observation, Instant::now()),
            Some(done) = self.tasks.join_next() => self.settle(done),
            () = ready => {}
        }
    }

    fn settle(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Evicted) => {}
            Ok(Done::Said(uid)) => {
                if self.writing.get(&uid).is_some_and(AbortHandle::is_finished) {
                    self.writing.remove(&uid);
                }
            }
            Ok(Done::Bound(Binding { queued, node, result: Ok(()) })) => {
                let pod = &queued.info;
                let message = format!("Successfully assigned {} to {node}", pod.key);
                self.events.normal(&reference_to(&*pod.pod), "Scheduled", message);
                tracing::debug!(pod = %pod.key, %node, "bound");
            }
            Ok(Done::Bound(Binding { queued, node, result: Err(error) })) => {
                if let Some(failure) = self.core.bind_failed(queued, &node, &error, Instant::now()) {
                    tracing::warn!(pod = %failure.pod.key, %node, %error, "cannot bind");
                    self.tell_failure(failure);
                }
            }
            Ok(Done::EvictionFailed(preemptor, preemption)) => {
                self.core.eviction_failed(&preemption, &preemptor.uid, Instant::now());
            }
            // Something newer was to be said.
            Err(error) if error.is_cancelled() => {}
            Err(error) => tracing::error!(%error, "a task of the scheduler panicked"),
        }
    }

    fn act(&mut self, attempt: Attempt) {
        match attempt {
            Attempt::Skipped(pod) => {
                let message = format!("skip schedule deleting pod: {}", pod.key);
                self.events.warning(&reference_to(&*pod.pod), "FailedScheduling", message);
            }
            Attempt::Assumed(assumed) => {
                let binding = self.binder.clone().bind(assumed);
                self.tasks.spawn(async { Done::Bound(binding.await) });
            }
            Attempt::Failed(failure) => {
                tracing::debug!(pod = %failure.pod.key, message = failure.message, "unschedulable");
                self.tell_failure(failure);
            }
        }
    }

    /// Tells users, and those who have to make room.
    fn tell_failure(&mut self, failure: Failure) {
        let Failure { pod, reason, message, nomination, displaced } = failure;
        let event = shortened(&message).into_owned();
        self.events.warning(&reference_to(&*pod.pod), "FailedScheduling", event);
        let condition = Condition { kind: "PodScheduled", status: "False", reason: reason.word(), message };
        let nominated_node = match &nomination {
            Nomination::Keep => NominatedNode::Keep,
            Nomination::Clear => NominatedNode::None,
            Nomination::For(preemption) => NominatedNode::Named(Arc::clone(&preemption.node)),
        };
        self.say(Arc::clone(&pod), Said { condition: Some(condition), nominated_node });
        for pod in displaced {
            self.say(pod, Said { condition: None, nominated_node: NominatedNode::None });
        }
        if let Nomination::For(preemption) = nomination {
            self.make_room(pod, preemption);
        }
    }

    /// What was to be said of the pod before and is not yet is not said any more.
    fn say(&mut self, pod: Arc<PodInfo>, said: Said) {
        let (client, statuses, uid) = (self.client.clone(), Arc::clone(&self.statuses), pod.uid.clone());
        let task = self.tasks.spawn(async move {
            let _room = statuses.acquire().await.expect("nobody closes it");
            if let Err(error) = status::write(&client, &pod.pod, &said, Audience::Waiting).await {
                tracing::warn!(pod = %pod.key, %error, "cannot write the status of a pod");
            }
            Done::Said(pod.uid.clone())
        });
        if let Some(earlier) = self.writing.insert(uid, task) {
            earlier.abort();
        }
    }

    fn make_room(&mut self, preemptor: Arc<PodInfo>, preemption: Preemption) {
        let (client, events) = (self.client.clone(), self.events.clone());
        self.tasks.spawn(async move {
            match evict(&client, &events, &preemptor, &preemption).await {
                Ok(()) => Done::Evicted,
                Err(error) => {
                    tracing::warn!(pod = %preemptor.key, %error, "cannot make room");
                    Done::EvictionFailed(preemptor, preemption)
                }
            }
        });
    }
}

/// As much of a message as an event has room for.
fn shortened(message: &str) -> std::borrow::Cow<'_, str> {
    const MORE: &str = " ...";
    if message.len() <= EVENT_MESSAGE {
        return message.into();
    }
    let end = message.floor_char_boundary(EVENT_MESSAGE - MORE.len());
    format!("{}{MORE}", &message[..end]).into()
}

#[cfg(test)]
mod tests;
