//! As much of the API server as the scheduler talks to, for tests: pods, their bindings and their status.
//!
//! It does what it is asked, or what a test has told it to answer instead. Informers that were handed to it hear of every
//! change.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use http::{Method, Request, Response, StatusCode};
use keelson_controller_runtime::Informer;
use keelson_controller_runtime::pod::Pod;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// An answer that a test wants.
#[derive(Clone)]
pub(crate) enum Answer {
    /// It is done, but the answer is a timeout.
    DoneButLost,
    /// It is not done.
    Unavailable,
    /// It is not done, for this reason.
    Refused(u16, &'static str),
}

/// See the module. Clones are the same API.
#[derive(Clone, Default)]
pub(crate) struct FakeApi {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    pods: BTreeMap<String, Value>,
    version: u64,
    requests: Vec<(String, Value)>,
    next: HashMap<&'static str, VecDeque<Answer>>,
    always: HashMap<&'static str, Answer>,
    informer: Option<Informer<Pod>>,
}

/// What was asked, by the last word of the path, or `pod` for the pod itself.
struct Asked {
    verb: Method,
    name: String,
    what: &'static str,
    body: Value,
}

impl FakeApi {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An API whose pods this informer follows.
    pub(crate) fn followed_by(informer: &Informer<Pod>) -> Self {
        let api = Self::default();
        api.state().informer = Some(informer.clone());
        api
    }

    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { api.serve(request).await }
        });
        Client::new(service, "default")
    }

    pub(crate) fn create(&self, pod: Pod) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        self.state().put(&name, serde_json::to_value(pod).expect("a pod is JSON"));
    }

    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.state().pods.get(name).cloned()
    }

    pub(crate) fn node_of(&self, name: &str) -> Option<String> {
        Some(self.get(name)?["spec"]["nodeName"].as_str()?.to_owned())
    }

    /// Bodies of what was asked of `binding`, `status` or `pod`.
    pub(crate) fn requests(&self, what: &str) -> Vec<Value> {
        let state = self.state();
        state.requests.iter().filter(|(known, _)| known == what).map(|(_, body)| body.clone()).collect()
    }

    /// The next request of `binding`, `status` or `pod` is answered so.
    pub(crate) fn next(&self, what: &'static str, answer: Answer) {
        self.state().next.entry(what).or_default().push_back(answer);
    }

    pub(crate) fn always(&self, what: &'static str, answer: Answer) {
        self.state().always.insert(what, answer);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds this")
    }

    async fn serve(&self, request: Request<Body>) -> Result<Response<Body>, std::convert::Infallible> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect_bytes().await.expect("bodies are at hand");
        let words: Vec<&str> = parts.uri.path().trim_start_matches('/').split('/').collect();
        let asked = Asked {
            verb: parts.method,
            name: words.get(5).copied().unwrap_or_default().to_owned(),
            what: match words.get(6) {
                Some(&"binding") => "binding",
                Some(&"status") => "status",
                _ => "pod",
            },
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        };
        let (code, answer) = self.state().answer(&asked);
        let response = Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
        Ok(response.expect("it is a response"))
    }
}

impl State {
    fn answer(&mut self, asked: &Asked) -> (StatusCode, Value) {
        if asked.verb != Method::GET {
            self.requests.push((asked.what.to_owned(), asked.body.clone()));
        }
        let scripted = self.next.get_mut(asked.what).and_then(VecDeque::pop_front);
        match scripted.or_else(|| self.always.get(asked.what).cloned()).filter(|_| asked.verb != Method::GET)
        {
            Some(Answer::Refused(code, why)) => failure(code, why),
            Some(Answer::Unavailable) => failure(503, "try again later"),
            Some(Answer::DoneButLost) => {
                self.carry_out(asked);
                failure(504, "nobody knows")
            }
            None => self.carry_out(asked),
        }
    }

    fn carry_out(&mut self, asked: &Asked) -> (StatusCode, Value) {
        let Some(pod) = self.pods.get(&asked.name).cloned() else {
            return failure(404, "there is no such pod");
        };
        for precondition in ["uid", "resourceVersion"] {
            let meta = if asked.verb == Method::DELETE { "preconditions" } else { "metadata" };
            let wanted = &asked.body[meta][precondition];
            if !wanted.is_null() && *wanted != pod["metadata"][precondition] {
                return failure(409, "it has changed");
            }
        }
        match (&asked.verb, asked.what) {
            (&Method::POST, "binding") if pod["spec"]["nodeName"].is_string() => {
                failure(409, "it has a node already")
            }
            (&Method::POST, "binding") => {
                let mut bound = pod;
                bound["spec"]["nodeName"] = asked.body["target"]["name"].clone();
                self.put(&asked.name, bound);
                (StatusCode::CREATED, json!({"kind": "Status", "status": "Success"}))
            }
            (&Method::PATCH, "status") => {
                let patched = with_status(pod, &asked.body["status"]);
                (StatusCode::OK, self.put(&asked.name, patched))
            }
            (&Method::DELETE, "pod") => {
                self.pods.remove(&asked.name);
                if let Some(informer) = &self.informer {
                    informer.remove(serde_json::from_value(pod.clone()).expect("it is a pod"));
                }
                (StatusCode::OK, pod)
            }
            (&Method::GET, "pod") => (StatusCode::OK, pod),
            (verb, what) => failure(405, &format!("{verb} {what}")),
        }
    }

    fn put(&mut self, name: &str, mut pod: Value) -> Value {
        self.version += 1;
        pod["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.pods.insert(name.to_owned(), pod.clone());
        if let Some(informer) = &self.informer {
            informer.apply(serde_json::from_value(pod.clone()).expect("it is a pod"));
        }
        pod
    }
}

/// The pod with a status that a strategic merge patch changes: conditions by type, all else as it says.
fn with_status(mut pod: Value, patch: &Value) -> Value {
    for (field, value) in patch.as_object().into_iter().flatten() {
        let known = &mut pod["status"][field];
        match (field.as_str(), value.as_array()) {
            ("conditions", Some(conditions)) => {
                let mut all = known.as_array().cloned().unwrap_or_default();
                for condition in conditions {
                    all.retain(|known| known["type"] != condition["type"]);
                    all.push(condition.clone());
                }
                *known = all.into();
            }
            _ => *known = value.clone(),
        }
    }
    pod
}

fn failure(code: u16, message: &str) -> (StatusCode, Value) {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "Other",
    };
    let status = json!({
        "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message,
    });
    (StatusCode::from_u16(code).expect("it is a code"), status)
}
