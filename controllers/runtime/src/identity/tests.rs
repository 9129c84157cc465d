//! Tokens asked for, renewed and refused.

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::testing::{Asked, Server, api};

const TOKENS: &str = "POST /api/v1/namespaces/kube-system/serviceaccounts/job-controller/token";

fn issuer() -> (Issuer, Server) {
    let (client, server) = api();
    (Issuer { accounts: Api::namespaced(client, NAMESPACE), name: "job-controller".into() }, server)
}

fn grant(asked: Asked, token: &str, seconds: i64) {
    assert_eq!(asked.line(), TOKENS);
    let answer = json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
        "spec": {"audiences": ["api"], "expirationSeconds": seconds},
        "status": {"token": token, "expirationTimestamp": "2020-01-01T00:00:00Z"},
    });
    asked.answer(201, &answer);
}

#[tokio::test]
async fn the_account_is_made_when_there_is_none() {
    let (issuer, mut server) = issuer();
    let issuing = tokio::spawn(async move { issuer.issue().await });
    server.asked().await.refuse(404, "NotFound");
    let creation = server.asked().await;
    assert_eq!(creation.line(), "POST /api/v1/namespaces/kube-system/serviceaccounts");
    assert_eq!(creation.body["metadata"]["name"], "job-controller");
    creation.refuse(409, "AlreadyExists");
    grant(server.asked().await, "t1", 600);
    let issued = issuing.await.unwrap().unwrap();
    assert_eq!((issued.text.as_str(), issued.life), ("t1", Duration::from_secs(600)));
}

#[tokio::test]
async fn a_refusal_says_what_was_asked_for() {
    let (issuer, mut server) = issuer();
    let issuing = tokio::spawn(async move { issuer.issue().await });
    server.asked().await.refuse(403, "Forbidden");
    let error = issuing.await.unwrap().err().unwrap();
    assert_eq!(error.to_string(), "cannot get a token of the service account kube-system/job-controller");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_in_good_time_and_when_it_is_refused() {
    let (issuer, mut server) = issuer();
    let source = TokenSource::new("t0").unwrap();
    let begun = Instant::now();
    tokio::spawn(issuer.keep_fresh(source.clone(), Duration::from_secs(1000)));
    server.asked().await.hang_up();
    assert_eq!(begun.elapsed().as_secs(), 800);
    grant(server.asked().await, "t1", 3600);
    source.is("Bearer t1").await;
    source.refuse();
    grant(server.asked().await, "t2", 3600);
    assert!(begun.elapsed().as_secs() < 810, "{:?}", begun.elapsed());
    source.is("Bearer t2").await;
}
