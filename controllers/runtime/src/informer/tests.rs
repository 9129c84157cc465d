//! The cache and its handlers, and how an informer follows an API.

use futures_util::FutureExt;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::PartialObjectMetaExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::testing::{Server, Stream, api, until};

fn config_map(name: &str, version: u64) -> ConfigMap {
    serde_json::from_value(object(name, version)).unwrap()
}

fn object(name: &str, version: u64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"color": "blue"},
        "metadata": {"namespace": "x", "name": name, "uid": format!("uid-{name}"), "resourceVersion": version.to_string(),
                     "managedFields": [{"manager": "m"}]},
    })
}

fn list(version: u64, objects: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": version.to_string()},
           "items": objects})
}

/// What handlers heard, as words.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn by(&self, informer: &Informer<ConfigMap>) {
        let heard = self.clone();
        informer.on_change(move |change| heard.0.lock().unwrap().push(words(change)));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn words(change: &Change<ConfigMap>) -> String {
    let version = |object: &ConfigMap| object.metadata.resource_version.clone().unwrap_or_default();
    match change {
        Change::Added(new) => format!("+{}@{}", ObjectKey::of(new.as_ref()), version(new)),
        Change::Updated { old, new } => {
            format!("~{}@{}>{}", ObjectKey::of(new.as_ref()), version(old), version(new))
        }
        Change::Deleted(last) => format!("-{}@{}", ObjectKey::of(last.as_ref()), version(last)),
    }
}

#[tokio::test]
async fn handlers_hear_every_change_with_what_was_before() {
    let (informer, heard) = (Informer::detached(), Heard::default());
    informer.synced().await;
    heard.by(&informer);
    informer.apply(config_map("a", 1));
    informer.apply(config_map("a", 1));
    informer.apply(config_map("a", 2));
    informer.remove(config_map("a", 3));
    informer.remove(config_map("a", 3));
    assert_eq!(heard.take(), ["+x/a@1", "~x/a@1>2", "-x/a@3"]);
    assert!(informer.is_empty());
}

#[test]
fn another_object_of_the_same_name_means_that_the_first_is_gone() {
    let (informer, heard) = (Informer::detached(), Heard::default());
    informer.apply(config_map("a", 1));
    heard.by(&informer);
    let mut other = config_map("a", 9);
    other.metadata.uid = Some("another".into());
    informer.apply(other);
    assert_eq!(heard.take(), ["+x/a@1", "-x/a@1", "+x/a@9"], "who comes late hears what is known first");
}

#[test]
fn a_list_removes_what_it_does_not_name_and_repeats_nothing() {
    let (informer, heard) = (Informer::detached(), Heard::default());
    for name in ["a", "b", "c"] {
        informer.apply(config_map(name, 1));
    }
    heard.by(&informer);
    heard.take();
    informer.replace(vec![config_map("a", 1), config_map("c", 5), config_map("d", 6)]);
    assert_eq!(heard.take(), ["-x/b@1", "~x/c@1>5", "+x/d@6"]);
}

#[test]
fn handlers_end_with_their_scope_and_do_not_harm_each_other() {
    let (informer, heard, scope) = (Informer::detached(), Heard::default(), Arc::default());
    let scoped = informer.scoped(&scope);
    scoped.on_change(|_| panic!("a bug in a handler"));
    heard.by(&scoped);
    let outlives = Heard::default();
    outlives.by(&informer);
    informer.apply(config_map("a", 1));
    assert_eq!(heard.take(), ["+x/a@1"]);
    drop(scope);
    informer.apply(config_map("a", 2));
    assert_eq!((heard.take().len(), outlives.take().len()), (0, 2));
}

#[test]
fn a_handler_that_holds_its_informer_does_not_keep_it_for_ever() {
    let (informer, scope) = (Informer::<ConfigMap>::detached(), Arc::default());
    let held = informer.clone();
    informer.scoped(&scope).on_change(move |_| drop(held.list()));
    let shared = Arc::downgrade(&informer.shared);
    drop(informer);
    assert!(shared.upgrade().is_some());
    drop(scope);
    assert!(shared.upgrade().is_none());
}

#[test]
fn indexes_follow_the_objects() {
    fn node(pod: &Pod) -> Vec<String> {
        pod.spec.iter().filter_map(|spec| spec.node_name.clone()).collect()
    }
    let pod = |name: &str, namespace: &str, node: Option<&str>| -> Pod {
        let mut pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": name, "namespace": namespace}})).unwrap();
        pod.spec.get_or_insert_default().node_name = node.map(Into::into);
        pod
    };
    let names = |pods: Vec<Arc<Pod>>| -> Vec<String> {
        pods.iter().map(|pod| ObjectKey::of(pod.as_ref()).to_string()).collect()
    };
    let informer = Informer::detached();
    informer.apply(pod("a", "x", Some("n1")));
    informer.add_index("node", node);
    informer.apply(pod("b", "x", Some("n1")));
    informer.apply(pod("c", "xx", Some("n1")));
    assert_eq!(names(informer.by_index("node", "n1")), ["x/a", "x/b", "xx/c"]);
    informer.apply(pod("b", "x", Some("n2")));
    informer.remove(pod("a", "x", None));
    assert_eq!(names(informer.by_index("node", "n1")), ["xx/c"]);
    assert_eq!(names(informer.by_index("node", "n2")), ["x/b"]);
    assert_eq!(names(informer.in_namespace("x")), ["x/b"]);
    assert_eq!(["w", "x", "xx", "xxx"].map(|it| informer.any_in_namespace(it)), [false, true, true, false]);
    assert_eq!(informer.len(), 2);
    assert!(informer.by_index("node", "n3").is_empty());
}

#[test]
fn informers_of_a_pool_keep_what_is_alike_once_and_nothing_longer_than_it_is_there() {
    let pool = Pool::default();
    let of_pool = || {
        let informer = Informer::<ConfigMap>::detached();
        informer.share(&pool);
        informer
    };
    let (one, other, key) = (of_pool(), of_pool(), ObjectKey::new("x", "a"));
    let both = || [one.get(&key).unwrap(), other.get(&key).unwrap()];
    let are_one = |both: &[Arc<ConfigMap>; 2]| Arc::ptr_eq(&both[0], &both[1]);
    one.apply(config_map("a", 1));
    other.apply(config_map("a", 1));
    assert!(are_one(&both()));
    one.apply(config_map("a", 2));
    assert!(!are_one(&both()), "one of them is behind");
    other.apply(config_map("a", 2));
    assert!(are_one(&both()));
    one.apply(config_map("b", 3));
    other.apply(ConfigMap { data: None, ..config_map("b", 3) });
    let data = |informer: &Informer<ConfigMap>| informer.get(&ObjectKey::new("x", "b")).unwrap().data.clone();
    assert!(data(&one).is_some() && data(&other).is_none(), "what is not alike is not shared");
    let last = Arc::downgrade(&both()[0]);
    one.remove(config_map("a", 4));
    assert!(last.upgrade().is_some());
    drop(other);
    assert_eq!((last.upgrade(), last.strong_count()), (None, 0));
    drop(one);
    assert_eq!(format!("{pool:?}"), "Pool { known: 0, .. }");
}

/// An informer that follows an API of the test's.
struct Following {
    informer: Informer<ConfigMap>,
    heard: Heard,
    server: Server,
    _task: tokio::task::JoinHandle<()>,
}

impl Following {
    fn start() -> Self {
        let (client, server) = api();
        let informer = Informer::new(Api::all(client), watcher::Config::default().labels("app=a"));
        let heard = Heard::default();
        heard.by(&informer);
        let task = tokio::spawn(informer.clone().run());
        Self { informer, heard, server, _task: task }
    }

    /// Answers the list that has to come next.
    async fn list(&mut self, version: u64, objects: &[Value]) {
        let asked = self.server.asked().await;
        assert_eq!(asked.line(), "GET /api/v1/configmaps");
        assert!(asked.query.contains("labelSelector=app%3Da"), "{}", asked.query);
        assert!(!asked.query.contains("watch=true"), "{}", asked.query);
        asked.answer(200, &list(version, objects));
    }

    /// Begins the watch that has to come next, from this version.
    async fn watch(&mut self, version: u64) -> Stream {
        let asked = self.server.asked().await;
        assert!(asked.query.contains("watch=true"), "{}", asked.query);
        assert!(asked.query.contains(&format!("resourceVersion={version}")), "{}", asked.query);
        assert!(asked.query.contains("allowWatchBookmarks=true"), "{}", asked.query);
        asked.stream()
    }

    /// Until so many objects are known.
    async fn holds(&self, count: usize) {
        until(|| self.informer.len() == count).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_informer_lists_and_then_watches_from_there() {
    let mut it = Following::start();
    assert!(it.informer.synced().now_or_never().is_none());
    it.list(7, &[object("a", 3)]).await;
    it.informer.synced().await;
    let watch = it.watch(7).await;
    watch.event("ADDED", &object("b", 8));
    it.holds(2).await;
    watch.event("DELETED", &object("a", 9));
    it.holds(1).await;
    assert_eq!(it.heard.take(), ["+x/a@3", "+x/b@8", "-x/a@9"]);
    let kept = it.informer.get(&ObjectKey::new("x", "b")).unwrap();
    assert_eq!(kept.metadata.managed_fields, None);
}

#[tokio::test(start_paused = true)]
async fn one_object_that_cannot_be_read_keeps_no_other_from_being_known() {
    let unreadable = |name, version| {
        let mut object = object(name, version);
        object["data"] = json!(["no map"]);
        object
    };
    let mut it = Following::start();
    it.list(7, &[object("a", 3), unreadable("b", 4)]).await;
    it.informer.synced().await;
    let watch = it.watch(7).await;
    watch.event("MODIFIED", &unreadable("a", 8));
    watch.event("ADDED", &object("c", 9));
    watch.event("DELETED", &unreadable("b", 10));
    watch.event("MODIFIED", &object("a", 11));
    it.holds(2).await;
    assert_eq!(it.heard.take(), ["+x/a@3", "-x/a@3", "+x/c@9", "+x/a@11"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_goes_on_where_it_was_and_soon() {
    let mut it = Following::start();
    it.list(7, &[]).await;
    let watch = it.watch(7).await;
    watch.event("ADDED", &object("a", 8));
    watch.event(
        "BOOKMARK",
        &json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": "20"}}),
    );
    it.holds(1).await;
    watch.break_off();
    let broken = Instant::now();
    for _ in 0..3 {
        it.server.asked().await.hang_up();
    }
    let watch = it.watch(20).await;
    assert!(broken.elapsed().as_millis() < 2000, "{:?}", broken.elapsed());
    watch.event("ADDED", &object("b", 21));
    it.holds(2).await;
    assert_eq!(it.heard.take(), ["+x/a@8", "+x/b@21"]);
}

#[tokio::test(start_paused = true)]
async fn only_history_that_is_gone_makes_it_list_again() {
    let mut it = Following::start();
    it.list(7, &[object("a", 3), object("b", 4)]).await;
    let asked = it.server.asked().await;
    asked.refuse(410, "Expired");
    it.list(90, &[object("b", 4), object("c", 80)]).await;
    it.holds(2).await;
    let watch = it.watch(90).await;
    let gone =
        json!({"kind": "Status", "apiVersion": "v1", "code": 410, "reason": "Expired", "message": "too old"});
    watch.event("ERROR", &gone);
    it.list(95, &[]).await;
    it.holds(0).await;
    assert_eq!(it.heard.take(), ["+x/a@3", "+x/b@4", "-x/a@3", "+x/c@80", "-x/b@4", "-x/c@80"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_history_is_always_gone_is_not_asked_for_everything_without_end() {
    let mut it = Following::start();
    let begun = Instant::now();
    for _ in 0..10 {
        it.list(7, &[]).await;
        it.server.asked().await.refuse(410, "Expired");
    }
    let waited = begun.elapsed();
    assert!((30..60).contains(&waited.as_secs()), "{waited:?}");
    it.list(7, &[]).await;
    let watch = it.watch(7).await;
    watch.event("ADDED", &object("a", 8));
    it.holds(1).await;
    watch.break_off();
    let broken = Instant::now();
    let _watch = it.watch(8).await;
    assert!(broken.elapsed().as_millis() < 100, "what is watched is a new beginning");
}

#[tokio::test(start_paused = true)]
async fn pages_are_put_together_and_a_list_whose_pages_expire_is_asked_for_again() {
    let mut it = Following::start();
    let page = |objects: &[Value]| {
        let mut page = list(7, objects);
        page["metadata"]["continue"] = "next".into();
        page
    };
    let first = it.server.asked().await;
    assert!(first.query.contains("limit=500"), "{}", first.query);
    first.answer(200, &page(&[object("a", 1)]));
    let second = it.server.asked().await;
    assert!(second.query.contains("continue=next"), "{}", second.query);
    second.refuse(410, "Expired");
    it.server.asked().await.answer(200, &page(&[object("a", 1)]));
    it.list(7, &[object("b", 2)]).await;
    it.holds(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_left() {
    let mut it = Following::start();
    it.list(7, &[]).await;
    let silent = it.watch(7).await;
    let begun = Instant::now();
    let _watch = it.watch(7).await;
    assert!((90..100).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_asked_about_again_and_again_but_not_in_haste() {
    let mut it = Following::start();
    let begun = Instant::now();
    for _ in 0..12 {
        it.server.asked().await.refuse(403, "Forbidden");
    }
    let waited = begun.elapsed();
    assert!((90..200).contains(&waited.as_secs()), "{waited:?}");
    it.list(7, &[object("a", 3)]).await;
    it.informer.synced().await;
}

#[tokio::test(start_paused = true)]
async fn an_informer_of_outlines_asks_for_no_more() {
    let (client, mut server) = api();
    let resource = ApiResource::erase::<ConfigMap>(&());
    let informer = Informer::outlines(client, &resource, watcher::Config::default());
    tokio::spawn(informer.clone().run());
    let partial = config_map("a", 1).metadata.into_response_partial::<ConfigMap>();
    let items = [serde_json::to_value(&partial).unwrap()];
    let asked = server.asked().await;
    assert!(asked.accept.contains("as=PartialObjectMetadataList"), "{}", asked.accept);
    asked.answer(200, &list(7, &items));
    informer.synced().await;
    assert_eq!(informer.list()[0].metadata.name.as_deref(), Some("a"));
    let watch = server.asked().await;
    assert!(watch.accept.contains("as=PartialObjectMetadata"), "{}", watch.accept);
}
