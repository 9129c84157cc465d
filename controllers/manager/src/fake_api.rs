//! An API for tests of what acts: it answers as the test says, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    /// `GET`, …
    pub(crate) method: String,
    /// The path, without the query.
    pub(crate) path: String,
    /// The JSON body; null if there is none.
    pub(crate) body: Value,
}

/// What was asked so far.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Call>>>, Arc<Notify>);

impl Calls {
    /// All calls, in order.
    pub(crate) fn all(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }

    /// Until there have been so many calls.
    pub(crate) async fn wait_for(&self, count: usize) {
        while self.all().len() < count {
            self.1.notified().await;
        }
    }

    /// The calls as `METHOD path`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.all().iter().map(|call| format!("{} {}", call.method, call.path)).collect()
    }
}

/// A client of an API that answers with the status code and body that `answer` gives.
pub(crate) fn fake_api(answer: impl Fn(&Call) -> (u16, Value) + Send + Sync + 'static) -> (Client, Calls) {
    let calls = Calls::default();
    let answer = Arc::new(answer);
    let log = calls.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (answer, log) = (Arc::clone(&answer), log.clone());
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect_bytes().await?;
            let call = Call {
                method: head.method.to_string(),
                path: head.uri.path().to_owned(),
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            };
            let (code, body) = answer(&call);
            log.0.lock().unwrap().push(call);
            log.1.notify_one();
            Ok::<_, kube::Error>(
                Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap(),
            )
        }
    });
    (Client::new(service, "default"), calls)
}

/// A refusal because another object has the name.
pub(crate) fn another_has_the_name() -> (u16, Value) {
    refusal(409, "Conflict", "Precondition failed: UID in precondition: u1, UID in object meta: u2")
}

/// A refusal.
pub(crate) fn refusal(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    (code, status)
}
