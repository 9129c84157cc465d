//! As much of a Kubernetes API as a node agent needs: objects in memory, lists, watches, patches.
//!
//! In: requests over plain HTTP. Out: what a server would answer, without any judgement. Tests look at the objects and
//! change them directly.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::stream;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::merge;
use crate::wait::PATIENCE;

/// Where an object is: resource, namespace, name.
type Key = (String, String, String);

/// What happened to an object, and in which revision.
#[derive(Clone)]
struct Happened {
    revision: u64,
    kind: &'static str,
    resource: String,
    object: Value,
}

#[derive(Default)]
struct State {
    revision: u64,
    objects: BTreeMap<Key, Value>,
    history: Vec<Happened>,
    /// Whether requests are answered.
    is_away: bool,
    /// How many more requests for tokens get none, because the server cannot make any just now.
    tokenless: u32,
}

/// The API. Clones are the same.
#[derive(Clone)]
pub(crate) struct Api {
    state: Arc<(Mutex<State>, Condvar)>,
    revision: watch::Sender<u64>,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), revision: watch::Sender::new(0) }
    }

    /// Makes the API answer nothing, or answer again.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.lock().is_away = is_away;
    }

    /// Gives no token to so many requests from now on.
    pub(crate) fn refuse_tokens(&self, times: u32) {
        self.lock().tokenless = times;
    }

    /// Puts an object there, as somebody else than the agent.
    pub(crate) fn put(&self, resource: &str, object: Value) -> Value {
        let mut state = self.lock();
        let object = state.write(resource, object);
        self.tell(&state);
        object
    }

    /// Binds a pod with this spec to the node.
    pub(crate) fn run(&self, name: &str, mut spec: Value) {
        spec["nodeName"] = json!("n1");
        let metadata = json!({"namespace": "shop", "name": name, "generation": 1});
        self.put("pods", json!({"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}));
    }

    /// Changes an object, as somebody else than the agent.
    pub(crate) fn patch(&self, resource: &str, namespace: &str, name: &str, patch: &Value) {
        let mut object = self.get(resource, namespace, name).unwrap();
        merge::apply(&mut object, patch);
        self.put(resource, object);
    }

    /// Wants a pod gone.
    pub(crate) fn delete(&self, name: &str, grace: i64) {
        let deletion =
            json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace});
        self.patch("pods", "shop", name, &json!({"metadata": deletion}));
    }

    /// Takes an object away without asking anybody.
    pub(crate) fn remove(&self, resource: &str, namespace: &str, name: &str) {
        let mut state = self.lock();
        state.remove(&(resource.to_owned(), namespace.to_owned(), name.to_owned()));
        self.tell(&state);
    }

    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        self.lock().objects.get(&key).cloned()
    }

    /// A pod of the namespace `shop`.
    pub(crate) fn pod(&self, name: &str) -> Option<Value> {
        self.get("pods", "shop", name)
    }

    /// The reasons and messages of the events about an object, with its field's path.
    pub(crate) fn events(&self, name: &str) -> Vec<(String, String, String)> {
        let state = self.lock();
        let of_object = state.objects.iter().filter(|((resource, ..), object)| {
            resource == "events" && object["involvedObject"]["name"] == name
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let facts = of_object.map(|(_, event)| {
            (text(&event["reason"]), text(&event["message"]), text(&event["involvedObject"]["fieldPath"]))
        });
        facts.collect()
    }

    /// Waits until `look` finds something in what the API has.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = self.lock().revision;
            if let Some(found) = look(self) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain until {what}{}", self.describe());
            let (state, changed) = (&self.state.0, &self.state.1);
            let state = state.lock().unwrap();
            drop(
                changed
                    .wait_timeout_while(state, left.min(Duration::from_secs(1)), |it| it.revision == before)
                    .unwrap(),
            );
        }
    }

    /// Waits until a pod is as `holds` says; the pod.
    pub(crate) fn until_pod(&self, what: &str, name: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        self.until(what, |api| api.pod(name).filter(|pod| holds(pod)))
    }

    /// Waits until a pod is ready; the pod.
    pub(crate) fn until_ready(&self, name: &str) -> Value {
        self.until_pod(&format!("{name} is ready"), name, |pod| condition(pod, "Ready")["status"] == "True")
    }

    /// Waits until the API does not have a pod any more; the pod as it was at its end, where it was there.
    pub(crate) fn until_gone(&self, name: &str) -> Option<Value> {
        self.until(&format!("{name} is gone"), |api| api.pod(name).is_none().then_some(()));
        let state = self.lock();
        let is_it = |it: &&Happened| it.resource == "pods" && it.object["metadata"]["name"] == name;
        state.history.iter().rev().find(is_it).map(|it| it.object.clone())
    }

    /// Waits until an event about an object has this reason; its message.
    pub(crate) fn until_event(&self, name: &str, reason: &str) -> String {
        self.until(&format!("{name} has an event {reason}"), |api| {
            api.events(name).into_iter().find(|(it, ..)| it == reason).map(|(_, message, _)| message)
        })
    }

    /// Waits until an event about an object has this reason and message.
    pub(crate) fn until_told(&self, name: &str, reason: &str, message: &str) {
        self.until(&format!("{name} has an event {reason}: {message}"), |api| {
            let is_it = |(it, said, _): &(String, String, String)| it == reason && said == message;
            api.events(name).iter().any(is_it).then_some(())
        });
    }

    fn describe(&self) -> String {
        let state = self.lock();
        let lines =
            state.objects.iter().filter_map(|((resource, _, name), object)| match resource.as_str() {
                "pods" => Some(format!("\n{name}: {}", object["status"])),
                "events" => Some(format!("\n{}: {}", object["involvedObject"]["name"], object["message"])),
                _ => None,
            });
        lines.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }

    fn tell(&self, state: &State) {
        self.state.1.notify_all();
        self.revision.send_replace(state.revision);
    }

    /// Serves for ever.
    pub(crate) async fn serve(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let api = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { api.answer(request).await }
                });
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                drop(served.await);
            });
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<BoxBody<Bytes, Infallible>>, std::io::Error> {
        if self.lock().is_away {
            return Err(std::io::Error::other("away"));
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let asked = Asked::new(&head.uri);
        if asked.is_watch {
            return Ok(self.watch(asked));
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = self.act(&head.method, &asked, body);
        let body = Full::new(Bytes::from(answer.to_string())).boxed();
        Ok(Response::builder().status(status).header("content-type", "application/json").body(body).unwrap())
    }

    fn act(&self, method: &Method, asked: &Asked, body: Value) -> (StatusCode, Value) {
        let mut state = self.lock();
        let answer = state.act(method, asked, body);
        self.tell(&state);
        answer
    }

    /// What happened since the revision that was asked for, and what happens from now on.
    fn watch(&self, asked: Asked) -> Response<BoxBody<Bytes, Infallible>> {
        let begin = (self.clone(), asked.revision, asked, self.revision.subscribe());
        let events = stream::unfold(begin, async |(api, mut seen, asked, mut revision)| {
            loop {
                let next =
                    api.lock().history.iter().find(|it| it.revision > seen && asked.wants(it)).cloned();
                if let Some(next) = next {
                    seen = next.revision;
                    let line = format!("{}\n", json!({"type": next.kind, "object": next.object}));
                    let frame = Ok::<_, Infallible>(Frame::data(Bytes::from(line)));
                    return Some((frame, (api, seen, asked, revision)));
                }
                if api.lock().is_away || revision.changed().await.is_err() {
                    return None;
                }
            }
        });
        let body = BodyExt::boxed(StreamBody::new(Box::pin(events)));
        Response::builder().header("content-type", "application/json").body(body).unwrap()
    }
}

impl State {
    fn write(&mut self, resource: &str, mut object: Value) -> Value {
        self.revision += 1;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key =
            (resource.to_owned(), text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        let is_new = !self.objects.contains_key(&key);
        if is_new {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.revision));
            object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let kind = if is_new { "ADDED" } else { "MODIFIED" };
        self.happened(kind, resource, &object);
        self.objects.insert(key, object.clone());
        object
    }

    fn remove(&mut self, key: &Key) {
        if let Some(mut object) = self.objects.remove(key) {
            self.revision += 1;
            object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
            self.happened("DELETED", &key.0, &object);
        }
    }

    fn happened(&mut self, kind: &'static str, resource: &str, object: &Value) {
        let (revision, resource, object) = (self.revision, resource.to_owned(), object.clone());
        self.history.push(Happened { revision, kind, resource, object });
    }

    fn act(&mut self, method: &Method, asked: &Asked, body: Value) -> (StatusCode, Value) {
        if asked.subresource == "token" && self.tokenless > 0 {
            self.tokenless -= 1;
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
        }
        if asked.subresource == "token" {
            let status = json!({"token": "a-token", "expirationTimestamp": "2036-01-01T00:00:00Z"});
            return (
                StatusCode::CREATED,
                json!({"metadata": {}, "spec": {"audiences": []}, "status": status}),
            );
        }
        let key = asked.key(&body);
        let known = self.objects.get(&key).cloned();
        match (method.as_str(), known) {
            ("GET", _) if asked.name.is_empty() => (StatusCode::OK, self.list(asked)),
            ("GET", Some(object)) => (StatusCode::OK, object),
            ("POST", None) => {
                let mut object = body;
                object["metadata"]["namespace"] = json!(asked.namespace);
                (StatusCode::CREATED, self.write(&asked.resource, object))
            }
            ("POST", Some(_)) => refusal(StatusCode::CONFLICT, "AlreadyExists"),
            ("PUT", Some(_)) => (StatusCode::OK, self.write(&asked.resource, body)),
            ("PATCH", Some(object)) => {
                let mut patched = object.clone();
                merge::apply(&mut patched, &body);
                match patched == object {
                    true => (StatusCode::OK, object),
                    false => (StatusCode::OK, self.write(&asked.resource, patched)),
                }
            }
            ("DELETE", Some(object)) => {
                assert_eq!(
                    body["preconditions"]["uid"], object["metadata"]["uid"],
                    "pods are deleted by uid"
                );
                self.remove(&key);
                (StatusCode::OK, object)
            }
            _ => refusal(StatusCode::NOT_FOUND, "NotFound"),
        }
    }

    fn list(&self, asked: &Asked) -> Value {
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|((resource, ..), object)| *resource == asked.resource && asked.selects(object))
            .map(|(_, object)| object)
            .collect();
        json!({"metadata": {"resourceVersion": self.revision.to_string()}, "items": items})
    }
}

fn refusal(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
        "reason": reason, "code": code.as_u16()});
    (code, status)
}

/// What a request is about.
#[derive(Default)]
struct Asked {
    resource: String,
    namespace: String,
    name: String,
    subresource: String,
    is_watch: bool,
    revision: u64,
    /// The field selector: path and value.
    selector: Option<(String, String)>,
}

impl Asked {
    fn new(uri: &Uri) -> Self {
        let mut parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        parts.drain(..if parts[0] == "api" { 2 } else { 3 });
        let namespace = match parts[..] {
            ["namespaces", namespace, _, ..] => namespace.to_owned(),
            _ => String::new(),
        };
        if !namespace.is_empty() {
            parts.drain(..2);
        }
        let part = |at: usize| parts.get(at).copied().unwrap_or_default().to_owned();
        let mut asked =
            Self { resource: part(0), namespace, name: part(1), subresource: part(2), ..Self::default() };
        for (key, value) in uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='))
        {
            match key {
                "watch" => asked.is_watch = true,
                "resourceVersion" => asked.revision = value.parse().unwrap_or(0),
                "fieldSelector" => {
                    let selector = value.replace("%3D", "=").replace("%2E", ".").replace("%2D", "-");
                    asked.selector =
                        selector.split_once('=').map(|(path, value)| (path.into(), value.into()));
                }
                _ => {}
            }
        }
        asked
    }

    fn key(&self, body: &Value) -> Key {
        let name = if self.name.is_empty() {
            body["metadata"]["name"].as_str().unwrap_or_default()
        } else {
            &self.name
        };
        (self.resource.clone(), self.namespace.clone(), name.to_owned())
    }

    fn selects(&self, object: &Value) -> bool {
        let in_namespace =
            self.namespace.is_empty() || object["metadata"]["namespace"] == self.namespace.as_str();
        let is_selected = self.selector.as_ref().is_none_or(|(path, wanted)| {
            let value = path.split('.').fold(object, |value, field| &value[field]);
            value == wanted.as_str()
        });
        in_namespace && is_selected
    }

    fn wants(&self, happened: &Happened) -> bool {
        happened.resource == self.resource && self.selects(&happened.object)
    }
}

/// A condition of an object.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let all = object["status"]["conditions"].as_array();
    all.into_iter().flatten().find(|it| it["type"] == kind).unwrap_or(&Value::Null)
}

/// The status of a pod's container.
pub(crate) fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let all = lists.iter().filter_map(|list| pod["status"][list].as_array()).flatten();
    all.into_iter().find(|it| it["name"] == name).unwrap_or(&Value::Null)
}
