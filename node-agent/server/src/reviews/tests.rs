//! An API that answers reviews, on loopback.

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

/// What the API was asked.
type Asked = Arc<Mutex<Vec<Value>>>;

/// An API that knows one token, and lets its owner do one thing. What is called `down` makes it fail.
async fn api() -> (kube::Client, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            let service = service_fn(move |request| answer(request, seen.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    let mut config = kube::Config::new(url.parse().unwrap());
    // Else a failure is asked for again, for minutes.
    config.default_retry = false;
    (kube::Client::try_from(config).unwrap(), asked)
}

async fn answer(request: Request<Incoming>, asked: Asked) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut review: Value = serde_json::from_slice(&body).unwrap();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(review["spec"].clone());
    let spec = review["spec"].clone();
    let is_down = spec["token"] == "down" || spec["user"] == "down";
    review["status"] = match spec.get("token") {
        Some(token) if token == "good" => json!({
            "authenticated": true,
            "user": {"username": "prometheus", "uid": "u", "groups": ["g"]},
        }),
        Some(_) => json!({"authenticated": false}),
        None => json!({
            "allowed": spec["resourceAttributes"]["subresource"] == "metrics", "reason": "no such role",
        }),
    };
    let status = if is_down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::CREATED };
    let mut response = Response::new(Full::from(review.to_string()));
    *response.status_mut() = status;
    Ok(response)
}

fn prometheus() -> User {
    User { name: "prometheus".into(), uid: "u".into(), groups: vec!["g".into()] }
}

#[tokio::test]
async fn the_api_is_asked_once_for_what_it_has_answered() {
    let (client, asked) = api().await;
    let reviews = ApiReviews::new(client, "n1");
    for _ in 0..2 {
        assert_eq!(reviews.authenticate("good").await, Ok(Some(prometheus())));
        assert_eq!(reviews.authenticate("bad").await, Ok(None));
        let access = Access { verb: "get", subresource: "metrics" };
        assert_eq!(reviews.allowed(&prometheus(), &access).await, Ok(Decision::Allowed));
        let access = Access { verb: "create", subresource: "proxy" };
        let denied = Decision::Denied("no such role".into());
        assert_eq!(reviews.allowed(&prometheus(), &access).await, Ok(denied));
    }
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!(
        asked[2],
        json!({
            "user": "prometheus", "uid": "u", "groups": ["g"],
            "resourceAttributes":
                {"verb": "get", "version": "v1", "resource": "nodes", "subresource": "metrics", "name": "n1"},
        })
    );
}

#[tokio::test]
async fn an_api_that_fails_has_neither_allowed_nor_denied() {
    let (client, asked) = api().await;
    let reviews = ApiReviews::new(client, "n1");
    let down = User { name: "down".into(), ..User::default() };
    let access = Access { verb: "get", subresource: "metrics" };
    for _ in 0..2 {
        assert!(reviews.authenticate("down").await.is_err());
        assert!(reviews.allowed(&down, &access).await.is_err());
    }
    assert_eq!(asked.lock().unwrap().len(), 4, "nothing of it is remembered");
}
