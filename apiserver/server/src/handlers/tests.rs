//! Writes as a client sees them, on a server over a store in memory. Texts are upstream's.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use keelson_api_registry::{
    request::{RequestInfo, Target},
    status::ApiError,
};
use keelson_store::Store;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};

use super::{Call, handle};
use crate::{
    server::{Allowed, Server, ServerOptions, ServiceAccountKeys, User},
    testing::with_store,
};

mod bindings;
mod certificates;
mod classes;
mod component_statuses;
mod creation;
mod deletion;
mod devices;
mod dry_runs;
mod events;
mod evictions;
mod namespaces;
mod nodes;
mod patches;
mod pods;
mod quotas;
mod scales;
mod services;
mod standards;
mod updates;

const NOW: OffsetDateTime = datetime!(2026-11-23 01:02:03 UTC);
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const CONFIG_MAPS: &str = "/api/v1/namespaces/shop/configmaps";

/// A server with the namespace `shop`.
struct Cluster {
    server: Arc<Server>,
}

/// What a client gets.
#[derive(Debug)]
struct Answer {
    code: u16,
    warnings: Vec<String>,
    body: Value,
}

/// Runs a test against a fresh server.
fn with_cluster(test: impl AsyncFnOnce(Cluster)) {
    with_store(async |store| {
        let cluster = Cluster { server: open(store) };
        cluster.post("/api/v1/namespaces", json!({"metadata": {"name": "shop"}})).await;
        test(cluster).await;
    });
}

fn open(store: Store) -> Arc<Server> {
    open_with(store, |_| ())
}

fn open_with(store: Store, adjust: impl FnOnce(&mut ServerOptions)) -> Arc<Server> {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = authority.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let signing = KeyPair::generate().unwrap().serialize_pem();
    let keys = ServiceAccountKeys { signing, earlier: String::new() };
    let mut options = ServerOptions::new("a".to_owned(), [127, 0, 0, 1].into(), 6443, authority);
    adjust(&mut options);
    Server::open(store, &keys, options).unwrap()
}

impl Cluster {
    /// Makes a request as a member of `system:masters`.
    async fn ask(&self, method: Method, path: &str, form: &str, body: &str) -> Result<Answer, ApiError> {
        let admin = User {
            name: "admin".to_owned(),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
            ..User::default()
        };
        self.ask_as(admin, method, path, form, body).await
    }

    async fn ask_as(
        &self,
        user: User,
        method: Method,
        path: &str,
        form: &str,
        body: &str,
    ) -> Result<Answer, ApiError> {
        let info = RequestInfo::parse(&method, &path.parse().unwrap())?;
        let Target::Resource(request) = info.target.clone() else { panic!("{path} is no resource") };
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, form.parse().unwrap())]);
        let allowed = Allowed::for_test();
        let body = body.to_owned().into();
        let call = Call { request, info, user, headers, body, allowed, now: NOW, upgrade: None };
        let response = handle(&self.server, call).await?;
        let code = response.status().as_u16();
        let warnings = response.headers().get_all(HeaderName::from_static("warning"));
        let warnings = warnings.iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Ok(Answer { code, warnings, body: serde_json::from_slice(&bytes).unwrap() })
    }

    /// Creates an object.
    async fn post(&self, path: &str, object: Value) -> Value {
        let answer = self.ask(Method::POST, path, JSON, &object.to_string()).await.unwrap();
        assert_eq!(answer.code, 201);
        answer.body
    }

    /// Fails to create an object.
    async fn post_refused(&self, path: &str, object: Value) -> ApiError {
        self.ask(Method::POST, path, JSON, &object.to_string()).await.unwrap_err()
    }

    /// Replaces an object.
    async fn put(&self, path: &str, object: &Value) -> Result<Answer, ApiError> {
        self.ask(Method::PUT, path, JSON, &object.to_string()).await
    }

    /// Changes an object by a merge patch.
    async fn merge(&self, path: &str, patch: Value) -> Result<Answer, ApiError> {
        self.ask(Method::PATCH, path, MERGE_PATCH, &patch.to_string()).await
    }

    /// Deletes.
    async fn delete(&self, path: &str, options: Value) -> Result<Answer, ApiError> {
        let body = if options.is_null() { String::new() } else { options.to_string() };
        self.ask(Method::DELETE, path, JSON, &body).await
    }

    /// An object as it is now.
    async fn get(&self, path: &str) -> Option<Value> {
        match self.ask(Method::GET, path, JSON, "").await {
            Ok(answer) => Some(answer.body),
            Err(error) => {
                assert_eq!(error.reason, "NotFound", "{error:?}");
                None
            }
        }
    }

    /// A pod's account, and the pod.
    async fn pod(&self, name: &str) -> Value {
        let accounts = "/api/v1/namespaces/shop/serviceaccounts";
        if self.get(&format!("{accounts}/default")).await.is_none() {
            self.post(accounts, json!({"metadata": {"name": "default"}})).await;
        }
        self.post("/api/v1/namespaces/shop/pods", pod(name)).await
    }
}

fn config_map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"x": "1"}})
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}})
}

/// Code, reason and message of a refusal.
#[track_caller]
fn assert_refused(error: &ApiError, code: u16, reason: &str, message: &str) {
    assert_eq!((error.code.as_u16(), error.reason, error.message.as_str()), (code, reason, message));
}

/// The one refusal among many answers.
#[track_caller]
fn refused(answer: Result<Answer, ApiError>) -> ApiError {
    answer.expect_err("it should be refused")
}
