//! An API for tests: each request comes to the test, which answers it when and how it likes.

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tower::BoxError;

/// The server's side.
pub(crate) struct Server {
    requests: mpsc::UnboundedReceiver<Asked>,
}

/// A request that waits for its answer.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// The media types that would do.
    pub(crate) accept: String,
    pub(crate) body: Value,
    answer: oneshot::Sender<Result<Answer, BoxError>>,
}

/// A body that goes on for as long as the test likes.
pub(crate) struct Stream {
    pieces: mpsc::UnboundedSender<Result<Bytes, BoxError>>,
}

struct Answer {
    code: u16,
    pieces: mpsc::UnboundedReceiver<Result<Bytes, BoxError>>,
}

/// A client, and the server that it talks to.
pub(crate) fn api() -> (Client, Server) {
    let (sender, requests) = mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: Request<Body>| {
        let sender = sender.clone();
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect_bytes().await?;
            let (answer, answered) = oneshot::channel();
            let asked = Asked {
                method: head.method.to_string(),
                path: head.uri.path().to_owned(),
                accept: head
                    .headers
                    .get("accept")
                    .map(|it| it.to_str().unwrap().to_owned())
                    .unwrap_or_default(),
                query: head.uri.query().unwrap_or_default().to_owned(),
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
                answer,
            };
            sender.send(asked).map_err(|_| "the server is gone")?;
            let answer = answered.await.map_err(|_| BoxError::from("the connection broke"))??;
            let frames = stream::unfold(answer.pieces, async |mut pieces| {
                let piece = pieces.recv().await?;
                Some((piece.map(Frame::data), pieces))
            });
            let body = StreamBody::new(Box::pin(frames));
            Ok::<_, BoxError>(Response::builder().status(answer.code).body(body).unwrap())
        }
    });
    (Client::new(service, "default"), Server { requests })
}

/// Until `holds`; a test fails if that does not come about by itself.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("what the test waits for does not come about");
}

impl Server {
    /// The next request.
    pub(crate) async fn asked(&mut self) -> Asked {
        self.requests.recv().await.unwrap()
    }
}

impl Asked {
    /// `METHOD path`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Answers with this status code and body.
    pub(crate) fn answer(self, code: u16, body: &Value) {
        self.begin(code).send(body.to_string());
    }

    /// Answers with a `Status` of this code and reason.
    pub(crate) fn refuse(self, code: u16, reason: &str) {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": code, "reason": reason, "message": reason,
        });
        self.answer(code, &status);
    }

    /// Begins an answer that goes on.
    pub(crate) fn stream(self) -> Stream {
        self.begin(200)
    }

    /// Never answers: the connection is gone.
    pub(crate) fn hang_up(self) {}

    fn begin(self, code: u16) -> Stream {
        let (sender, pieces) = mpsc::unbounded_channel();
        // A client that gave up waiting does not mind.
        let _ = self.answer.send(Ok(Answer { code, pieces }));
        Stream { pieces: sender }
    }
}

impl Stream {
    /// One more event of a watch.
    pub(crate) fn event(&self, kind: &str, object: &Value) {
        self.send(format!("{}\n", json!({"type": kind, "object": object})));
    }

    /// The connection breaks.
    pub(crate) fn break_off(self) {
        let _ = self.pieces.send(Err("the connection broke".into()));
    }

    fn send(&self, text: String) {
        let _ = self.pieces.send(Ok(text.into()));
    }
}
