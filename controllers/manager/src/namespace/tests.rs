//! The controller against a small cluster of its own.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::samples::namespace;
use super::*;
use crate::fake_api::{Call, Calls, fake_api, refusal};

const PODS: &str = "/api/v1/namespaces/shop/pods";
const CONFIG_MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const JOBS: &str = "/apis/batch/v1/namespaces/shop/jobs";

/// What the API server holds.
#[derive(Clone)]
struct World(Arc<Mutex<Held>>);

struct Held {
    namespace: Option<Value>,
    /// Metadata of objects, by path.
    objects: BTreeMap<String, Value>,
    /// Paths at which every request fails.
    broken: Vec<String>,
}

impl World {
    fn with(objects: &[(&str, Value)]) -> Self {
        let namespace = serde_json::to_value(namespace("shop", "Terminating")).unwrap();
        let named = objects.iter().map(|(path, meta)| {
            let mut meta = meta.clone();
            let name = path.rsplit('/').next().unwrap();
            meta["name"] = name.into();
            meta["uid"] = format!("uid-{name}").into();
            ((*path).to_owned(), meta)
        });
        let held = Held { namespace: Some(namespace), objects: named.collect(), broken: Vec::new() };
        Self(Arc::new(Mutex::new(held)))
    }

    fn emptier(&self) -> (Emptier, Calls) {
        let world = self.clone();
        let (client, calls) = fake_api(move |call| world.0.lock().unwrap().answer(call));
        (Emptier { client }, calls)
    }

    fn objects(&self) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().cloned().collect()
    }

    /// The condition's status, reason and message.
    fn condition(&self, type_: &str) -> [String; 3] {
        let held = self.0.lock().unwrap();
        let conditions = held.namespace.as_ref().unwrap()["status"]["conditions"].clone();
        let conditions = conditions.as_array().unwrap();
        let found = conditions.iter().find(|condition| condition["type"] == type_).unwrap();
        ["status", "reason", "message"].map(|field| found[field].as_str().unwrap().to_owned())
    }
}

impl Held {
    fn answer(&mut self, call: &Call) -> (u16, Value) {
        if self.broken.iter().any(|path| call.path.starts_with(path)) {
            return refusal(500, "InternalError", "it is broken");
        }
        match (call.method.as_str(), call.path.as_str()) {
            ("GET", "/api") => (200, json!({"items": [group("", &["pods", "configmaps"])]})),
            ("GET", "/apis") => (200, json!({"items": [group("batch", &["jobs"])]})),
            (_, path) if path.starts_with("/api/v1/namespaces/shop") && path.matches('/').count() < 6 => {
                self.answer_namespace(call)
            }
            _ => self.answer_contents(call),
        }
    }

    fn answer_namespace(&mut self, call: &Call) -> (u16, Value) {
        if call.path == PODS || call.path == CONFIG_MAPS {
            return self.answer_contents(call);
        }
        if call.method == "PUT" {
            self.namespace = Some(call.body.clone());
        }
        match &self.namespace {
            Some(namespace) => (200, namespace.clone()),
            None => refusal(404, "NotFound", "no such namespace"),
        }
    }

    fn answer_contents(&mut self, call: &Call) -> (u16, Value) {
        if call.method == "GET" {
            let prefix = format!("{}/", call.path);
            let found = self.objects.iter().filter(|(path, _)| path.starts_with(&prefix));
            let items: Vec<Value> = found.map(|(_, meta)| json!({"metadata": meta})).collect();
            return (200, json!({"metadata": {"resourceVersion": "1"}, "items": items}));
        }
        let Some(meta) = self.objects.get_mut(&call.path) else {
            return refusal(404, "NotFound", "no such object");
        };
        assert_eq!(call.body["preconditions"]["uid"], meta["uid"], "what is deleted is what was seen");
        assert_eq!(call.body["propagationPolicy"], "Background");
        meta["deletionTimestamp"] = "2020-01-01T00:00:01Z".into();
        let lingers = meta["finalizers"].is_array() || meta["deletionGracePeriodSeconds"].is_number();
        if !lingers {
            self.objects.remove(&call.path);
        }
        (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
    }
}

fn group(name: &str, resources: &[&str]) -> Value {
    let resources = resources.iter().map(|plural| {
        json!({"resource": plural, "scope": "Namespaced", "verbs": ["list", "delete"], "responseKind": {"kind": "K"}})
    });
    json!({"metadata": {"name": name}, "versions": [{"version": "v1", "resources": resources.collect::<Vec<_>>()}]})
}

fn at(collection: &str, name: &str) -> String {
    format!("{collection}/{name}")
}

async fn reconcile(emptier: &Emptier) -> Result<Next, Failure> {
    emptier.reconcile(&"shop".to_owned()).await
}

#[tokio::test]
async fn everything_is_deleted_and_then_the_namespace_is_let_go() {
    let world = World::with(&[
        (&at(PODS, "web"), json!({})),
        (&at(CONFIG_MAPS, "colors"), json!({})),
        (&at(JOBS, "once"), json!({})),
    ]);
    let (emptier, calls) = world.emptier();
    assert_eq!(reconcile(&emptier).await.unwrap(), Next::Done);
    assert!(world.objects().is_empty());
    let lines = calls.lines();
    assert_eq!(lines.last().unwrap(), "PUT /api/v1/namespaces/shop/finalize");
    assert_eq!(calls.all().last().unwrap().body["spec"]["finalizers"], json!([]));
    let place = |line: String| lines.iter().position(|it| *it == line).unwrap();
    assert!(place(format!("DELETE {PODS}/web")) < place(format!("GET {CONFIG_MAPS}")), "pods go first");
    for (type_, reason) in [
        ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered"),
        ("NamespaceDeletionContentFailure", "ContentDeleted"),
        ("NamespaceContentRemaining", "ContentRemoved"),
        ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers"),
    ] {
        assert_eq!(world.condition(type_)[..2], ["False", reason], "{type_}");
    }
}

#[tokio::test]
async fn a_pod_that_takes_its_time_keeps_everything_else_there() {
    let pod = json!({"deletionGracePeriodSeconds": 30});
    let world = World::with(&[(&at(PODS, "web"), pod), (&at(CONFIG_MAPS, "colors"), json!({}))]);
    let (emptier, _) = world.emptier();
    assert_eq!(reconcile(&emptier).await.unwrap(), Next::After(Duration::from_secs(16)));
    assert_eq!(world.objects(), [at(CONFIG_MAPS, "colors"), at(PODS, "web")]);
    assert_eq!(
        world.condition("NamespaceContentRemaining"),
        ["True", "SomeResourcesRemain", "Some resources are remaining: pods. has 1 resource instances"]
    );
    world.0.lock().unwrap().objects.remove(&at(PODS, "web"));
    assert_eq!(reconcile(&emptier).await.unwrap(), Next::Done);
    assert!(world.objects().is_empty());
}

#[tokio::test]
async fn finalizers_are_named_and_waited_for() {
    let held = json!({"finalizers": ["example.com/a", "example.com/b"]});
    let world = World::with(&[(&at(JOBS, "one"), held.clone()), (&at(JOBS, "two"), held)]);
    let (emptier, calls) = world.emptier();
    assert_eq!(reconcile(&emptier).await.unwrap(), Next::After(Duration::from_secs(8)));
    assert_eq!(
        world.condition("NamespaceFinalizersRemaining"),
        [
            "True",
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: example.com/a in 2 resource instances, \
             example.com/b in 2 resource instances"
        ]
    );
    let before = calls.lines().len();
    reconcile(&emptier).await.unwrap();
    let again = &calls.lines()[before..];
    assert!(again.iter().all(|line| !line.starts_with("PUT") && !line.starts_with("DELETE")), "{again:?}");
}

#[tokio::test]
async fn what_cannot_be_looked_at_holds_the_namespace_and_is_said() {
    let world = World::with(&[(&at(CONFIG_MAPS, "colors"), json!({}))]);
    world.0.lock().unwrap().broken.push(JOBS.into());
    let (emptier, calls) = world.emptier();
    reconcile(&emptier).await.unwrap_err();
    let [status, reason, message] = world.condition("NamespaceDeletionContentFailure");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "ContentDeletionFailed"));
    assert_eq!(message, "Failed to delete all resource types, 1 remaining: it is broken");
    assert!(!calls.lines().iter().any(|line| line.contains("finalize")));
    assert!(world.objects().is_empty(), "what can be deleted is");
}

#[tokio::test]
async fn an_api_that_does_not_say_what_there_is_holds_the_namespace() {
    let world = World::with(&[]);
    world.0.lock().unwrap().broken.push("/apis".into());
    let (emptier, calls) = world.emptier();
    reconcile(&emptier).await.unwrap_err();
    assert_eq!(
        world.condition("NamespaceDeletionDiscoveryFailure"),
        ["True", "DiscoveryFailed", "it is broken"]
    );
    assert!(!calls.lines().iter().any(|line| line.contains("finalize")));
}

#[tokio::test]
async fn something_that_stays_for_no_reason_is_a_failure() {
    // It is being deleted already, and has neither finalizer nor grace.
    let world =
        World::with(&[(&at(CONFIG_MAPS, "odd"), json!({"deletionTimestamp": "2020-01-01T00:00:00Z"}))]);
    let (emptier, _) = world.emptier();
    let error = reconcile(&emptier).await.unwrap_err();
    let text = "unexpected items still remain in namespace: shop for gvr: /v1, Resource=configmaps";
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(
        world.condition("NamespaceDeletionContentFailure")[2],
        format!("Failed to delete all resource types, 1 remaining: {text}")
    );
}

#[tokio::test]
async fn a_new_namespace_of_the_same_name_is_not_emptied() {
    let world = World::with(&[(&at(CONFIG_MAPS, "colors"), json!({}))]);
    let (emptier, calls) = world.emptier();
    let old = namespace("shop", "Terminating");
    world.0.lock().unwrap().namespace.as_mut().unwrap()["metadata"]["uid"] = "another".into();
    let discovered = discovery::discover(&emptier.client).await;
    Contents::of(&emptier.client, &old).delete(&discovered.kinds).await.unwrap();
    assert!(!calls.lines().iter().any(|line| line.starts_with("DELETE")), "{:?}", calls.lines());
    assert_eq!(world.objects().len(), 1);
}

#[tokio::test]
async fn active_namespaces_and_those_held_by_others_alone_are_none_of_its_business() {
    for namespace in [
        Some(json!({"metadata": {"name": "shop"}, "spec": {"finalizers": ["kubernetes"]}})),
        Some(json!({"metadata": {"name": "shop", "deletionTimestamp": "2020-01-01T00:00:00Z"},
                    "spec": {"finalizers": ["example.com/mine"]}})),
        None,
    ] {
        let world = World::with(&[(&at(CONFIG_MAPS, "colors"), json!({}))]);
        world.0.lock().unwrap().namespace = namespace;
        let (emptier, calls) = world.emptier();
        assert_eq!(reconcile(&emptier).await.unwrap(), Next::Done);
        assert_eq!(calls.lines(), ["GET /api/v1/namespaces/shop"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_pod_to_go_brings_the_namespace_up_again() {
    let namespaces = Informer::detached();
    let pods: Informer<Pod> = Informer::detached();
    let queue = WorkQueue::new("test");
    watch_namespaces(&namespaces, &queue);
    watch_pods(&pods, &namespaces, &queue);
    let pod = |namespace: &str, name: &str| -> Pod {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": namespace}})).unwrap()
    };
    namespaces.apply(namespace("alive", "Active"));
    namespaces.apply(namespace("shop", "Terminating"));
    let begun = tokio::time::Instant::now();
    assert_eq!(queue.next().await, "shop");
    assert!(begun.elapsed() >= SETTLING);
    queue.done(&"shop".to_owned());
    for namespace in ["alive", "shop"] {
        pods.apply(pod(namespace, "web"));
        pods.apply(pod(namespace, "db"));
        pods.remove(pod(namespace, "web"));
    }
    assert!(queue.is_empty(), "there are pods left");
    for namespace in ["alive", "shop"] {
        pods.remove(pod(namespace, "db"));
    }
    assert_eq!((queue.next().await.as_str(), queue.len()), ("shop", 0));
}
