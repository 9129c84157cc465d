//! An API with one Job and its pods, and controllers that see it late.

use std::{
    cell::Cell,
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use http::{Request, Response};
use k8s_openapi::{api::batch::v1::JobSpec, apimachinery::pkg::apis::meta::v1::Time};
use keelson_controller_runtime::Scope;
use keelson_controller_runtime::pod::PodStatus;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::task::yield_now;

use super::*;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// A controller gets as far as its next request, beginning a round if it has none under way.
    Step { leader: usize },
    /// A cache shows the next change.
    Show { leader: usize, kind: Kind },
    /// A controller stops; another one that knows nothing takes its place.
    Crash { leader: usize },
    /// A pod ends.
    End { pod: usize, succeeds: bool },
    /// A user deletes a pod.
    Delete { pod: usize },
    /// A user has the Job run so many pods at a time; none: suspends it.
    Scale { parallelism: i32 },
    /// A controller's next request comes to nothing.
    Fail { leader: usize, how: Failing },
}

/// What becomes of a request that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// It has no effect.
    Refused,
    /// It has its effect.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Job,
    Pods,
}

/// What the API has stored.
struct Stored {
    job: Job,
    pods: BTreeMap<usize, Pod>,
    version: u64,
    created: usize,
    /// All that the pods have been through: `Err` is the last of one that is gone.
    pod_changes: Vec<Result<Pod, Pod>>,
    job_changes: Vec<Job>,
    /// Uids of pods that have ended, or were deleted while they waited to be counted.
    succeeded: Vec<String>,
    ended: Vec<String>,
    /// Uids of pods that a controller deleted, which it only does if it takes them for running.
    taken: Vec<String>,
    requests: usize,
}

type Round = Pin<Box<dyn Future<Output = Result<Next, Error>>>>;

/// One controller and what it has seen.
struct Leader {
    controller: Arc<Controller>,
    queues: (WorkQueue<ObjectKey>, WorkQueue<ObjectKey>),
    events: mpsc::Receiver<RecordedEvent>,
    seen_pods: Cell<usize>,
    seen_jobs: Cell<usize>,
    round: Option<Round>,
    gate: Arc<Gate>,
    /// Ends the handlers of the caches, which hold these.
    _scope: Arc<Scope>,
}

/// Holds requests up, before and after they take effect, and may let one fail.
struct Gate {
    passes: AtomicUsize,
    failing: Mutex<Option<Failing>>,
}

impl Gate {
    const OPEN: usize = usize::MAX;

    fn new() -> Self {
        Self { passes: AtomicUsize::new(Self::OPEN), failing: Mutex::default() }
    }

    /// Whether the request fails in this way.
    fn fails(&self, how: Failing) -> bool {
        self.failing.lock().unwrap().take_if(|it| *it == how).is_some()
    }

    fn set(&self, passes: usize) {
        self.passes.store(passes, Ordering::Relaxed);
    }

    fn is_used_up(&self) -> bool {
        self.passes.load(Ordering::Relaxed) == 0
    }

    async fn pass(&self) {
        poll_fn(|context| match self.passes.load(Ordering::Relaxed) {
            0 => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::OPEN => Poll::Ready(()),
            passes => {
                self.set(passes - 1);
                Poll::Ready(())
            }
        })
        .await;
    }
}

pub(super) struct World {
    stored: Arc<Mutex<Stored>>,
    leaders: Vec<Leader>,
}

fn key() -> ObjectKey {
    ObjectKey::new("shop", "once")
}

impl World {
    pub(super) fn new(job: Job, leaders: usize) -> Self {
        let stored = Stored {
            job_changes: vec![job.clone()],
            job,
            pods: BTreeMap::new(),
            version: 1,
            created: 0,
            pod_changes: Vec::new(),
            succeeded: Vec::new(),
            ended: Vec::new(),
            taken: Vec::new(),
            requests: 0,
        };
        let stored = Arc::new(Mutex::new(stored));
        let leaders = (0..leaders).map(|_| Leader::new(&stored)).collect();
        Self { stored, leaders }
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap()
    }

    pub(super) fn job(&self) -> Job {
        self.stored().job.clone()
    }

    pub(super) fn pods(&self) -> Vec<Pod> {
        self.stored().pods.values().cloned().collect()
    }

    pub(super) fn requests(&self) -> usize {
        self.stored().requests
    }

    pub(super) fn controller(&self, leader: usize) -> Arc<Controller> {
        Arc::clone(&self.leaders[leader].controller)
    }

    pub(super) fn queues(&self, leader: usize) -> (WorkQueue<ObjectKey>, WorkQueue<ObjectKey>) {
        self.leaders[leader].queues.clone()
    }

    pub(super) fn events(&mut self, leader: usize) -> &mut mpsc::Receiver<RecordedEvent> {
        &mut self.leaders[leader].events
    }

    pub(super) fn change_spec(&self, change: impl FnOnce(&mut JobSpec)) {
        let mut stored = self.stored();
        change(stored.job.spec.as_mut().unwrap());
        stored.job_written();
    }

    pub(super) fn change_pod(&self, pod: usize, change: impl FnOnce(&mut Pod)) {
        let mut stored = self.stored();
        if let Some(pod) = stored.pods.get_mut(&pod) {
            change(pod);
        }
        stored.pod_written(pod);
    }

    /// Stores a pod, in the place of one with its uid if there is one.
    pub(super) fn put(&self, pod: Pod) {
        let mut stored = self.stored();
        let place =
            stored.pods.iter().find(|(_, it)| pods::uid(it) == pods::uid(&pod)).map(|(place, _)| *place);
        let place = place.unwrap_or(100 + stored.pods.len());
        stored.pods.insert(place, pod);
        stored.pod_written(place);
    }

    pub(super) async fn act(&mut self, act: &Act) {
        match *act {
            Act::Step { leader } => self.leaders[leader].step().await,
            Act::Show { leader, kind } => drop(self.show(leader, kind)),
            Act::Crash { leader } => self.leaders[leader] = Leader::new(&self.stored),
            Act::End { pod, succeeds } => self.end(pod, succeeds),
            Act::Delete { pod } => self.stored().delete(pod),
            Act::Scale { parallelism } => self.change_spec(|spec| {
                spec.suspend = Some(parallelism == 0);
                spec.parallelism = Some(parallelism.max(1));
            }),
            Act::Fail { leader, how } => *self.leaders[leader].gate.failing.lock().unwrap() = Some(how),
        }
    }

    /// Ends a pod that runs.
    pub(super) fn end(&self, pod: usize, succeeds: bool) {
        self.change_pod(pod, |pod| {
            if crate::pod_state::is_terminal(pod) {
                return;
            }
            // One that is being deleted counts as failed, and whether it had been counted by now would matter.
            let succeeds = succeeds && pod.metadata.deletion_timestamp.is_none();
            // Long ago, so that nobody waits before it is replaced.
            *pod = testing::exited(pod.clone(), i32::from(!succeeds), 0);
            let phase = if succeeds { "Succeeded" } else { "Failed" };
            pod.status.get_or_insert_default().phase = Some(phase.into());
        });
    }

    pub(super) async fn round(&self, leader: usize) -> Result<Next, Error> {
        self.leaders[leader].controller.reconcile(&key()).await
    }

    fn show(&self, leader: usize, kind: Kind) -> bool {
        self.leaders[leader].show(&self.stored, kind)
    }

    pub(super) fn show_all(&self, leader: usize) {
        while self.show(leader, Kind::Job) || self.show(leader, Kind::Pods) {}
    }

    /// No count may ever be higher than what has ended.
    pub(super) fn check(&self) {
        let (counted, ended) = (self.counted(), self.ended());
        assert!(counted.0 <= ended.0 && counted.1 <= ended.1, "counted {counted:?} of {ended:?}");
    }

    /// In the end all are counted that nobody holds back any more. As a Job fails, it takes pods for failed that may
    /// just have succeeded; and one that has all it wanted does not count the pods that it takes away.
    pub(super) fn check_end(&self) -> Result<(), TestCaseError> {
        let (counted, ended, waiting) = (self.counted(), self.ended(), self.waiting());
        if verdict::holding(conditions(&self.job()), "Failed").is_some() {
            prop_assert_eq!(counted.1 + waiting.1, ended.1);
            return Ok(());
        }
        let taken = self.taken();
        let told = format!("counted {counted:?}, waiting {waiting:?}, taken {taken:?} of {ended:?}");
        let are_all = |counted: usize, waiting: usize, taken: usize, ended: usize| {
            (counted + waiting..=counted + waiting + taken).contains(&ended)
        };
        prop_assert!(are_all(counted.0, waiting.0, taken.0, ended.0), "{}", told);
        prop_assert!(are_all(counted.1, waiting.1, taken.1, ended.1), "{}", told);
        Ok(())
    }

    /// How many pods have been deleted by controllers: those that had succeeded, and all.
    fn taken(&self) -> (usize, usize) {
        let stored = self.stored();
        (stored.taken.iter().filter(|uid| stored.succeeded.contains(uid)).count(), stored.taken.len())
    }

    /// How many pods have ended and have not been released: those that succeeded, and all.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let stored = self.stored();
        let waiting = |uids: &[String]| {
            let is_held =
                |pod: &&Pod| pods::has_finalizer(pod) && uids.iter().any(|uid| uid == pods::uid(pod));
            stored.pods.values().filter(is_held).count()
        };
        (waiting(&stored.succeeded), waiting(&stored.ended))
    }

    /// How many pods the status counts: those that succeeded, and all.
    pub(super) fn counted(&self) -> (usize, usize) {
        let status = self.job().status.unwrap_or_default();
        let (succeeded, failed) = (view::count(status.succeeded), view::count(status.failed));
        (succeeded, succeeded + failed)
    }

    /// How many pods have succeeded, and how many have ended.
    pub(super) fn ended(&self) -> (usize, usize) {
        let stored = self.stored();
        (stored.succeeded.len(), stored.ended.len())
    }

    /// Lets pods succeed and controllers see and do everything until the Job has ended.
    pub(super) async fn settle(&mut self) {
        self.act(&Act::Scale { parallelism: 3 }).await;
        for leader in &mut self.leaders {
            *leader.gate.failing.lock().unwrap() = None;
            leader.gate.set(Gate::OPEN);
            if let Some(round) = leader.round.take() {
                let _ = round.await;
            }
        }
        for turn in 0..100 {
            for leader in 0..self.leaders.len() {
                self.show_all(leader);
                let _ = self.round(leader).await;
            }
            if verdict::is_finished(conditions(&self.job())) {
                return;
            }
            let running = |pod: &&usize| !crate::pod_state::is_terminal(&self.stored().pods[*pod]);
            let places: Vec<_> = self.stored().pods.keys().copied().collect();
            if let Some(&pod) = places.iter().find(running)
                && turn % 3 == 0
            {
                self.end(pod, true);
            }
        }
        panic!("the Job never ends: {:?}", self.job().status);
    }
}

impl Leader {
    /// One that has just listed everything.
    fn new(stored: &Arc<Mutex<Stored>>) -> Self {
        let gate = Arc::new(Gate::new());
        let client = client(Arc::clone(stored), Arc::clone(&gate));
        let (recorder, events) = EventRecorder::detached();
        let scope = Arc::default();
        let (jobs, pods) = (Informer::detached().scoped(&scope), Informer::detached().scoped(&scope));
        kin::index(&pods);
        let controller = Controller {
            control: PodControl::new(client.clone(), recorder.clone()),
            client,
            jobs,
            pods,
            events: recorder,
            expectations: Arc::default(),
            ledger: Arc::default(),
        };
        let queues = (WorkQueue::new("test"), WorkQueue::new("test_orphans"));
        controller.watch(&queues.0, &queues.1);
        let stored = stored.lock().unwrap();
        controller.jobs.apply(stored.job.clone());
        stored.pods.values().for_each(|pod| controller.pods.apply(pod.clone()));
        let (seen_pods, seen_jobs) = (stored.pod_changes.len(), stored.job_changes.len());
        Self {
            controller: Arc::new(controller),
            queues,
            events,
            seen_pods: Cell::new(seen_pods),
            seen_jobs: Cell::new(seen_jobs),
            round: None,
            gate,
            _scope: scope,
        }
    }

    /// Goes on until a request is about to take effect, or has taken it, beginning a round if there is none.
    async fn step(&mut self) {
        let controller = Arc::clone(&self.controller);
        let round =
            self.round.get_or_insert_with(|| Box::pin(async move { controller.reconcile(&key()).await }));
        self.gate.set(1);
        // The client hands requests to a task of its own, which needs its turns.
        for _ in 0..8 {
            let is_over = poll_fn(|context| Poll::Ready(round.as_mut().poll(context).is_ready())).await;
            if is_over {
                self.round = None;
                return;
            }
            if self.gate.is_used_up() {
                return;
            }
            yield_now().await;
        }
    }

    fn show(&self, stored: &Mutex<Stored>, kind: Kind) -> bool {
        let stored = stored.lock().unwrap();
        let Controller { jobs, pods, .. } = &*self.controller;
        match kind {
            Kind::Job => {
                let Some(job) = stored.job_changes.get(self.seen_jobs.get()).cloned() else { return false };
                self.seen_jobs.set(self.seen_jobs.get() + 1);
                drop(stored);
                jobs.apply(job);
            }
            Kind::Pods => {
                let Some(pod) = stored.pod_changes.get(self.seen_pods.get()).cloned() else { return false };
                self.seen_pods.set(self.seen_pods.get() + 1);
                drop(stored);
                match pod {
                    Ok(pod) => pods.apply(pod),
                    Err(pod) => pods.remove(pod),
                }
            }
        }
        true
    }
}

impl Stored {
    fn next_version(&mut self) -> Option<String> {
        self.version += 1;
        Some(self.version.to_string())
    }

    fn job_written(&mut self) {
        self.job.metadata.resource_version = self.next_version();
        self.job_changes.push(self.job.clone());
    }

    /// Gives the pod a new version, or lets it go if it waited for this change.
    fn pod_written(&mut self, place: usize) {
        let version = self.next_version();
        let Some(pod) = self.pods.get_mut(&place) else { return };
        pod.metadata.resource_version = version;
        let uid = pods::uid(pod).to_owned();
        let is_leaving = pod.metadata.deletion_timestamp.is_some();
        if pods::has_finalizer(pod) {
            if pods::has_succeeded(pod) && !self.succeeded.contains(&uid) {
                self.succeeded.push(uid.clone());
            }
            if (is_leaving || crate::pod_state::is_terminal(pod)) && !self.ended.contains(&uid) {
                self.ended.push(uid);
            }
        } else if is_leaving {
            let gone = self.pods.remove(&place);
            self.pod_changes.extend(gone.map(Err));
            return;
        }
        let pod = pod.clone();
        self.pod_changes.push(Ok(pod));
    }

    fn delete(&mut self, place: usize) {
        let Some(pod) = self.pods.get_mut(&place) else { return };
        if pod.metadata.deletion_timestamp.is_none() {
            pod.metadata.deletion_timestamp = Some(Time(at(0)));
            self.pod_written(place);
        }
    }

    fn answer(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.requests += 1;
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["api", "v1", "namespaces", "shop", "pods"]) => {
                let items: Vec<_> = self.pods.values().map(|pod| json!({"metadata": pod.metadata})).collect();
                (200, json!({"metadata": {"resourceVersion": self.version.to_string()}, "items": items}))
            }
            ("POST", ["api", "v1", "namespaces", "shop", "pods"]) => self.create(body),
            ("PATCH", ["api", "v1", "namespaces", "shop", "pods", name]) => self.patch(name, body),
            ("DELETE", ["api", "v1", "namespaces", "shop", "pods", name]) => {
                match self.place(name, body, "preconditions") {
                    Ok(place) => {
                        self.taken.push(pods::uid(&self.pods[&place]).to_owned());
                        self.delete(place);
                        (200, self.as_it_is(place))
                    }
                    Err(refusal) => refusal,
                }
            }
            ("PUT", ["apis", "batch", "v1", "namespaces", "shop", "jobs", "once", "status"]) => {
                self.tell(body)
            }
            _ => panic!("{method} {path}"),
        }
    }

    fn create(&mut self, body: &Value) -> (u16, Value) {
        let mut pod: Pod = serde_json::from_value(body.clone()).unwrap();
        let prefix = body["metadata"]["generateName"].as_str().unwrap();
        let name = format!("{prefix}{}", self.created);
        pod.metadata.uid = Some(name.clone());
        pod.metadata.name = Some(name);
        pod.status = Some(PodStatus { phase: Some("Running".into()), ..PodStatus::default() });
        let place = self.created;
        self.created += 1;
        self.pods.insert(place, pod);
        self.pod_written(place);
        (201, serde_json::to_value(&self.pods[&place]).unwrap())
    }

    /// Where the pod is, if it is the one that is meant.
    fn place(&self, name: &str, body: &Value, meant: &str) -> Result<usize, (u16, Value)> {
        let found = self.pods.iter().find(|(_, pod)| pod.metadata.name.as_deref() == Some(name));
        let Some((place, pod)) = found else { return Err(refusal(404, "NotFound")) };
        let is = |field: &str, value: &Option<String>| {
            body[meant][field].as_str().is_none_or(|wanted| Some(wanted) == value.as_deref())
        };
        match is("uid", &pod.metadata.uid) && is("resourceVersion", &pod.metadata.resource_version) {
            true => Ok(*place),
            false => Err(refusal(409, "Conflict")),
        }
    }

    fn patch(&mut self, name: &str, body: &Value) -> (u16, Value) {
        let place = match self.place(name, body, "metadata") {
            Ok(place) => place,
            Err(refusal) => return refusal,
        };
        let Some(pod) = self.pods.get_mut(&place) else { return refusal(404, "NotFound") };
        let finalizers = pod.metadata.finalizers.get_or_insert_default();
        if body["metadata"]["$deleteFromPrimitiveList/finalizers"].is_array() {
            finalizers.retain(|it| it != TRACKING);
        } else if pod.metadata.deletion_timestamp.is_some() {
            return refusal(422, "Invalid");
        } else if !finalizers.iter().any(|it| it == TRACKING) {
            finalizers.push(TRACKING.to_owned());
        }
        self.pod_written(place);
        (200, self.as_it_is(place))
    }

    /// The pod, or the last of it.
    fn as_it_is(&self, place: usize) -> Value {
        let gone = self.pod_changes.last().and_then(|change| change.as_ref().err());
        serde_json::to_value(self.pods.get(&place).or(gone)).unwrap()
    }

    fn tell(&mut self, body: &Value) -> (u16, Value) {
        let told: Job = serde_json::from_value(body.clone()).unwrap();
        if told.metadata.resource_version != self.job.metadata.resource_version {
            return refusal(409, "Conflict");
        }
        self.job.status = told.status;
        self.job_written();
        (200, serde_json::to_value(&self.job).unwrap())
    }
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    crate::fake_api::refusal(code, reason, "…")
}

fn client(stored: Arc<Mutex<Stored>>, gate: Arc<Gate>) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let (stored, gate) = (Arc::clone(&stored), Arc::clone(&gate));
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect_bytes().await?;
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            gate.pass().await;
            let (mut code, mut answer) = if gate.fails(Failing::Refused) {
                refusal(503, "ServiceUnavailable")
            } else {
                stored.lock().unwrap().answer(head.method.as_str(), head.uri.path(), &body)
            };
            gate.pass().await;
            if gate.fails(Failing::Unknown) {
                (code, answer) = refusal(504, "Timeout");
            }
            let answer = Body::from(answer.to_string().into_bytes());
            Ok::<_, kube::Error>(Response::builder().status(code).body(answer).unwrap())
        }
    });
    Client::new(service, "shop")
}
