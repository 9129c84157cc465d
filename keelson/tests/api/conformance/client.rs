//! Requests as upstream's typed clients send them, in JSON or in protobuf, one at a time.
//!
//! In: a verb, a path and an object as JSON. Out: the code and what was answered, as JSON again.
//!
//! Deliberately absent: retries, and any opinion about what a right answer is.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use http::{Method, Request};
use keelson_api_schema::{Document, Encoding, TypeId, builtin, decode_value, encode_protobuf};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::watch::Watch;
use crate::direct::{self, Asking};
use crate::servers::Servers;

pub(crate) const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// In what a client writes objects, and would like to read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Json,
    Protobuf,
}

/// One client of the cluster. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    runtime: Arc<Runtime>,
    wire: Wire,
    /// Sent with every request: whom to act as.
    headers: HeaderMap,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// `null` where it was no object.
    pub(crate) object: Value,
    /// As it came.
    pub(crate) bytes: Vec<u8>,
}

impl Api {
    /// The cluster's administrator, at whichever server is alive.
    pub(crate) fn admin(servers: &Servers, wire: Wire) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime
            .block_on(async { Client::try_from(direct::config(servers, Asking::Admin).await).unwrap() });
        Self { client, runtime: Arc::new(runtime), wire, headers: HeaderMap::new() }
    }

    /// The same client, with a header in all its requests.
    pub(crate) fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.append(name, value.parse().unwrap());
        other
    }

    /// The same client, which speaks JSON: upstream's dynamic client, and kubectl.
    pub(crate) fn in_json(&self) -> Self {
        Self { wire: Wire::Json, ..self.clone() }
    }

    fn accept(&self) -> String {
        match self.wire {
            Wire::Json => JSON.to_owned(),
            Wire::Protobuf => format!("{PROTOBUF},{JSON}"),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &self.accept(), JSON, Vec::new())
    }

    /// GET with an `Accept` header of its own.
    pub(crate) fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send(Method::GET, path, accept, JSON, Vec::new())
    }

    pub(crate) fn post(&self, path: &str, object: &Value) -> Answer {
        self.write(Method::POST, path, object)
    }

    pub(crate) fn put(&self, path: &str, object: &Value) -> Answer {
        self.write(Method::PUT, path, object)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &self.accept(), JSON, Vec::new())
    }

    pub(crate) fn delete_with(&self, path: &str, options: &Value) -> Answer {
        let mut options = options.clone();
        options["apiVersion"] = "v1".into();
        options["kind"] = "DeleteOptions".into();
        self.write(Method::DELETE, path, &options)
    }

    pub(crate) fn merge(&self, path: &str, patch: &Value) -> Answer {
        self.send(Method::PATCH, path, &self.accept(), MERGE, patch.to_string().into_bytes())
    }

    pub(crate) fn strategic(&self, path: &str, patch: &Value) -> Answer {
        self.send(Method::PATCH, path, &self.accept(), STRATEGIC, patch.to_string().into_bytes())
    }

    pub(crate) fn json_patch(&self, path: &str, patch: &Value) -> Answer {
        self.send(Method::PATCH, path, &self.accept(), JSON_PATCH, patch.to_string().into_bytes())
    }

    /// Server-side apply of a document in YAML or JSON.
    pub(crate) fn apply(&self, path: &str, document: &str) -> Answer {
        self.send(Method::PATCH, path, &self.accept(), APPLY, document.as_bytes().to_vec())
    }

    /// POST of bytes of the caller's own.
    pub(crate) fn post_bytes(&self, path: &str, (accept, content): (&str, &str), bytes: &str) -> Answer {
        self.send(Method::POST, path, accept, content, bytes.as_bytes().to_vec())
    }

    fn write(&self, method: Method, path: &str, object: &Value) -> Answer {
        let (content, bytes) = match self.wire {
            Wire::Json => (JSON, object.to_string().into_bytes()),
            Wire::Protobuf => (PROTOBUF, protobuf(object)),
        };
        self.send(method, path, &self.accept(), content, bytes)
    }

    fn send(&self, method: Method, path: &str, accept: &str, content: &str, body: Vec<u8>) -> Answer {
        let request = self.request(method, path, accept, content, body);
        self.runtime.block_on(async {
            let (parts, body) = self.client.send(request).await.expect("an answer comes").into_parts();
            let bytes = body.collect_bytes().await.expect("all of it comes").to_vec();
            Answer { code: parts.status.as_u16(), object: object(&bytes), bytes }
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        content: &str,
        body: Vec<u8>,
    ) -> Request<Body> {
        let request = Request::builder().method(method).uri(path);
        let mut request = request.header(ACCEPT, accept).header(CONTENT_TYPE, content);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Body::from(body)).unwrap()
    }

    /// A watch; `path` has its parameters but `watch`.
    pub(crate) fn watch(&self, path: &str) -> Watch {
        let join = if path.contains('?') { '&' } else { '?' };
        let accept = match self.wire {
            Wire::Json => format!("{JSON};stream=watch"),
            Wire::Protobuf => format!("{PROTOBUF};stream=watch,{JSON};stream=watch"),
        };
        let request =
            self.request(Method::GET, &format!("{path}{join}watch=true"), &accept, JSON, Vec::new());
        let response = self.runtime.block_on(self.client.send(request)).expect("an answer comes");
        assert_eq!(response.status(), 200, "{path}");
        Watch::new(self.runtime.clone(), self.wire, response.into_body())
    }
}

impl Answer {
    /// The object, if it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        let text = String::from_utf8_lossy(&self.bytes);
        assert!((200..300).contains(&self.code), "it should have succeeded: {}: {text}", self.code);
        self.object
    }

    /// The message, if it was refused with this code.
    #[track_caller]
    pub(crate) fn refused(self, code: u16) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!(self.code, code, "{text}");
        assert_eq!(self.object["kind"], "Status", "{text}");
        self.object["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// The type of what says which kind it is.
fn type_of(api_version: &str, kind: &str) -> TypeId {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let own = builtin().lookup_kind(group, version, kind);
    own.or_else(|| builtin().lookup_kind("meta.k8s.io", version, kind))
        .unwrap_or_else(|| panic!("no type {api_version} {kind}"))
}

fn protobuf(object: &Value) -> Vec<u8> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let ty = type_of(text("apiVersion"), text("kind"));
    let canonical = decode_value(builtin(), ty, object.clone()).unwrap().value;
    encode_protobuf(builtin(), ty, &canonical)
}

/// What bytes hold in either form.
pub(super) fn object(bytes: &[u8]) -> Value {
    if !bytes.starts_with(b"k8s\0") {
        return serde_json::from_slice(bytes).unwrap_or_default();
    }
    let document = Document::parse(bytes, Encoding::Protobuf).unwrap();
    let meta = document.type_meta().unwrap();
    document.decode(builtin(), type_of(&meta.api_version, &meta.kind)).unwrap().value
}
