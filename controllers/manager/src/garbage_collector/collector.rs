//! Carries attempts out: asks the API, lets `plan.rs` decide, and does what it says, provided that the object has not
//! changed since.
//!
//! In: what informers see, as [`Todo`]s of the graph. Out: requests through [`Objects`], and new knowledge for the
//! graph. Nothing is deleted, and no owner taken from an object, on the word of a cache: the object and every owner
//! that it names are read from the API first.
//!
//! Deliberately absent: HTTP (`objects.rs`), informers (`monitors.rs`).

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::OwnerReference};
use keelson_controller_runtime::{EventRecorder, Next, Reconcile, WorkQueue};
use tokio::sync::watch;

use super::{
    graph::{Graph, Misplaced, Sight, Todo},
    identity::{Coordinates, FOREGROUND, ORPHAN, Owner, Seen, Standing, Uid},
    plan::{self, Dependents, Fate, Interest, Live, Propagation, Step},
};

/// How soon to look again for an object that is there, but that its informer has not shown yet.
const UNSEEN: Duration = Duration::from_secs(5);

/// How soon to look again for an object of a kind that no informer shows.
const UNWATCHED: Duration = Duration::from_secs(600);

/// How soon to try again what waits for discovery, or for informers to have seen everything.
const UNKNOWN: Duration = Duration::from_secs(5);

/// How many dependents of one owner are let go at a time.
const ORPHANED_AT_ONCE: usize = 16;

/// How often a dependent is let go anew because somebody else changed it meanwhile.
const ORPHAN_TRIES: u32 = 5;

/// What the collector needs of the API.
pub(super) trait Objects: Send + Sync + 'static {
    /// A kind, if the API serves it.
    fn kind(&self, api_version: &str, kind: &str) -> Option<Kind>;

    /// The object of this name, whatever its uid.
    fn get(&self, at: &Coordinates) -> impl Future<Output = Result<Option<Live>, RequestError>> + Send;

    /// Replaces the owners of an object of this uid and version.
    fn set_owners(
        &self,
        at: &Coordinates,
        resource_version: &str,
        owners: &[OwnerReference],
    ) -> impl Future<Output = Result<Written, RequestError>> + Send;

    /// Replaces the finalizers of an object of this uid and version.
    fn set_finalizers(
        &self,
        at: &Coordinates,
        resource_version: &str,
        finalizers: &[String],
    ) -> impl Future<Output = Result<Written, RequestError>> + Send;

    /// Deletes an object of this uid and version.
    fn delete(
        &self,
        at: &Coordinates,
        resource_version: &str,
        propagation: Propagation,
    ) -> impl Future<Output = Result<(), RequestError>> + Send;
}

/// What the collector needs to know of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) is_namespaced: bool,
    /// Whether an informer shows its objects.
    pub(super) is_watched: bool,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It was done, and the object has this version now.
    As(String),
    /// The object was not there.
    Gone,
}

/// Why a request was not answered as hoped.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the object has changed since it was read")]
    Conflict(#[source] kube::Error),
    #[error("the API did not answer as hoped")]
    Api(#[source] kube::Error),
    #[error("the API serves no {kind} in {api_version}")]
    UnknownKind { api_version: String, kind: String },
}

/// What is to be tried.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Attempt {
    /// To delete the object if no owner is left, or to finish its deletion.
    Delete(Uid),
    /// To look whether an object is there that no informer has shown yet.
    Verify(Uid),
    /// To let the object's dependents go, and then it.
    Orphan(Uid),
}

/// The graph, and what is to be tried because of it.
pub(super) struct Collector<O> {
    graph: Mutex<Graph>,
    /// Whether the graph holds all there is. Until then, that an object has no dependents there means nothing.
    is_complete: watch::Sender<bool>,
    queue: WorkQueue<Attempt>,
    objects: Arc<O>,
    recorder: EventRecorder,
}

impl<O: Objects> Collector<O> {
    pub(super) fn new(objects: Arc<O>, recorder: EventRecorder) -> Self {
        Self {
            graph: Mutex::new(Graph::new()),
            is_complete: watch::Sender::new(false),
            queue: WorkQueue::new("garbage-collector"),
            objects,
            recorder,
        }
    }

    /// Where attempts wait.
    pub(super) fn queue(&self) -> &WorkQueue<Attempt> {
        &self.queue
    }

    /// Says whether the graph holds all there is.
    pub(super) fn set_complete(&self, is_complete: bool) {
        self.is_complete.send_replace(is_complete);
    }

    /// Until the graph holds all there is.
    pub(super) async fn completed(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.is_complete.subscribe().wait_for(|is_complete| *is_complete).await;
    }

    /// An informer shows an object.
    pub(super) fn observe(&self, seen: &Seen) {
        let todo = self.graph().observe(seen);
        self.carry(todo);
    }

    /// An informer saw an object go.
    pub(super) fn gone(&self, uid: &Uid) {
        let todo = self.graph().gone(uid);
        self.carry(todo);
    }

    /// No informer shows this kind any more.
    pub(super) fn lose_sight(&self, api_version: &str, kind: &str) {
        let todo = self.graph().lose_sight(api_version, kind);
        self.carry(todo);
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(&self, todo: Vec<Todo>) {
        for todo in todo {
            match todo {
                Todo::Delete(uid) => self.queue.add(Attempt::Delete(uid)),
                Todo::Verify(uid) => self.queue.add(Attempt::Verify(uid)),
                Todo::VerifyLater(uid) => self.queue.add_after(Attempt::Verify(uid), UNKNOWN),
                Todo::Orphan(uid) => self.queue.add(Attempt::Orphan(uid)),
                Todo::Report(misplaced) => self.report(&misplaced),
            }
        }
    }

    fn report(&self, Misplaced { dependent, owner }: &Misplaced) {
        let object = ObjectReference {
            api_version: Some(dependent.api_version.clone()),
            kind: Some(dependent.kind.clone()),
            namespace: Some(dependent.namespace.clone()).filter(|it| !it.is_empty()),
            name: Some(dependent.name.clone()),
            uid: Some(dependent.uid.to_string()),
            ..ObjectReference::default()
        };
        let message = format!("ownerRef {owner} does not exist in namespace {:?}", dependent.namespace);
        self.recorder.warning(&object, "OwnerRefInvalidNamespace", message);
    }

    fn is_assumed(&self, uid: &Uid) -> bool {
        self.graph().find(uid).is_some_and(|(_, sight)| sight == Sight::Assumed)
    }

    async fn attempt_delete(&self, uid: &Uid) -> Result<Next, RequestError> {
        let Some((mut at, sight)) = self.graph().find(uid).map(|(at, sight)| (at.clone(), sight)) else {
            return Ok(Next::Done);
        };
        let interest = plan::interest(sight);
        if interest == Interest::None {
            return Ok(Next::Done);
        }
        let Some(kind) = self.objects.kind(&at.api_version, &at.kind) else {
            tracing::debug!(object = %at, "the API does not serve this kind; it will be looked for again");
            return Ok(Next::After(UNKNOWN));
        };
        if !kind.is_namespaced {
            at = at.without_namespace();
        } else if at.namespace.is_empty() {
            let todo = self.graph().impossible(&at);
            self.carry(todo);
            return Ok(Next::Done);
        }
        let Some(live) = self.objects.get(&at).await?.filter(|live| live.uid == at.uid) else {
            let todo = self.graph().absent(&at);
            self.carry(todo);
            return Ok(Next::Done);
        };
        match interest {
            Interest::None => Ok(Next::Done),
            Interest::Existence if kind.is_watched => Ok(Next::After(UNSEEN)),
            Interest::Existence => Ok(Next::After(UNWATCHED)),
            Interest::Dependents => self.finish_foreground(&at, &live).await,
            // It is on its way out, which its informer has yet to show. Another wish would replace the one that holds.
            Interest::Owners if live.standing != Standing::Living => Ok(Next::Done),
            Interest::Owners => self.judge(&at, &live).await,
        }
    }

    /// Lets an object go that waited for its dependents, if the last that blocked it is gone.
    async fn finish_foreground(&self, at: &Coordinates, live: &Live) -> Result<Next, RequestError> {
        if !*self.is_complete.borrow() {
            return Ok(Next::After(UNKNOWN));
        }
        let blocking = self.graph().blocking(&at.uid);
        if blocking.is_empty() {
            self.remove_finalizer(at, live, FOREGROUND).await?;
        }
        for it in blocking.into_iter().filter(|it| !it.awaits_dependents) {
            self.queue.add(Attempt::Delete(it.dependent));
        }
        Ok(Next::Done)
    }

    /// Does what follows from the fate of the object's owners.
    async fn judge(&self, at: &Coordinates, live: &Live) -> Result<Next, RequestError> {
        let mut fates = Vec::with_capacity(live.owners.len());
        for owner in &live.owners {
            match self.fate(&Owner::from(owner), &at.namespace).await? {
                Some(fate) => fates.push(fate),
                None => return Ok(Next::After(UNKNOWN)),
            }
        }
        let mut version = live.resource_version.clone();
        for step in plan::plan(live, &fates, self.dependents(&at.uid)) {
            tracing::debug!(object = %at, ?step, "collecting");
            match step {
                Step::SetOwners(owners) => match self.objects.set_owners(at, &version, &owners).await? {
                    Written::As(now) => version = now,
                    Written::Gone => return Ok(Next::Done),
                },
                Step::Delete(propagation) => self.objects.delete(at, &version, propagation).await?,
            }
        }
        Ok(Next::Done)
    }

    /// What became of an owner; `None` as long as the API does not serve its kind.
    async fn fate(&self, owner: &Owner, namespace: &str) -> Result<Option<Fate>, RequestError> {
        let mut place = owner.seen_from(namespace);
        let kind = self.objects.kind(&owner.api_version, &owner.kind);
        match kind {
            Some(kind) if kind.is_namespaced && namespace.is_empty() => return Ok(Some(Fate::Impossible)),
            Some(kind) if !kind.is_namespaced => place = place.without_namespace(),
            Some(_) | None => {}
        }
        // Known also of a kind that is not served any more.
        if self.graph().is_absent(&place) {
            return Ok(Some(self.fate_of_absent(&owner.uid)));
        }
        if kind.is_none() {
            return Ok(None);
        }
        let fate = match self.objects.get(&place).await?.filter(|live| live.uid == owner.uid) {
            None => {
                self.graph().note_absent(place);
                self.fate_of_absent(&owner.uid)
            }
            Some(live) if live.standing == Standing::AwaitingDependents => Fate::AwaitingDependents,
            Some(_) => Fate::Solid,
        };
        Ok(Some(fate))
    }

    fn fate_of_absent(&self, owner: &Uid) -> Fate {
        match self.graph().is_orphaned(owner) {
            true => Fate::LetGo,
            false => Fate::Dangling,
        }
    }

    fn dependents(&self, uid: &Uid) -> Dependents {
        let graph = self.graph();
        match graph.dependents(uid).is_empty() {
            true => Dependents::None,
            false if graph.has_awaiting_dependent(uid) => Dependents::SomeAwaiting,
            false => Dependents::Some,
        }
    }

    /// Lets all dependents go, and then the object itself.
    async fn attempt_orphan(&self, uid: &Uid) -> Result<Next, RequestError> {
        let Some((at, _)) = self.graph().find(uid).map(|(at, sight)| (at.clone(), sight)) else {
            return Ok(Next::Done);
        };
        if !*self.is_complete.borrow() {
            return Ok(Next::After(UNKNOWN));
        }
        let live = self.objects.get(&at).await?.filter(|live| live.uid == at.uid);
        let Some(live) = live.filter(|live| live.standing == Standing::Orphaning) else {
            return Ok(Next::Done);
        };
        let dependents = {
            let mut graph = self.graph();
            graph.note_orphaned(uid.clone());
            graph.dependents(uid)
        };
        stream::iter(dependents)
            .map(|dependent| async move { self.let_go(&dependent, uid).await })
            .buffer_unordered(ORPHANED_AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.remove_finalizer(&at, &live, ORPHAN).await?;
        Ok(Next::Done)
    }

    /// Takes the owner from the dependent's owners.
    async fn let_go(&self, dependent: &Coordinates, owner: &Uid) -> Result<(), RequestError> {
        let mut tries = 1;
        loop {
            let live = self.objects.get(dependent).await?.filter(|live| live.uid == dependent.uid);
            let Some(live) = live else { return Ok(()) };
            let Some(owners) = plan::without_owner(&live, owner) else { return Ok(()) };
            match self.objects.set_owners(dependent, &live.resource_version, &owners).await {
                Err(RequestError::Conflict(_)) if tries < ORPHAN_TRIES => tries += 1,
                written => return written.map(drop),
            }
        }
    }

    async fn remove_finalizer(
        &self,
        at: &Coordinates,
        live: &Live,
        finalizer: &str,
    ) -> Result<(), RequestError> {
        match plan::without_finalizer(live, finalizer) {
            Some(rest) => self.objects.set_finalizers(at, &live.resource_version, &rest).await.map(drop),
            None => Ok(()),
        }
    }
}

impl<O: Objects> Reconcile for Collector<O> {
    type Key = Attempt;
    type Error = RequestError;

    async fn reconcile(&self, attempt: &Attempt) -> Result<Next, RequestError> {
        match attempt {
            Attempt::Delete(uid) => self.attempt_delete(uid).await,
            Attempt::Verify(uid) if self.is_assumed(uid) => self.attempt_delete(uid).await,
            Attempt::Verify(_) => Ok(Next::Done),
            Attempt::Orphan(uid) => self.attempt_orphan(uid).await,
        }
    }
}

impl<O> fmt::Debug for Collector<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
