//! The controller against an API of its own.

use serde_json::json;

use super::*;
use crate::fake_api::{Calls, fake_api, refusal};
use crate::namespace::samples::namespace;

const CREATION: &str = "POST /api/v1/namespaces/shop/serviceaccounts";

/// A controller that knows this namespace and this account, and an API that answers so.
fn reconciler(
    phase: &str,
    account_is_there: bool,
    answer: impl Fn() -> (u16, serde_json::Value) + Send + Sync + 'static,
) -> (Reconciler, Calls) {
    let (client, calls) = fake_api(move |_| answer());
    let it = Reconciler { client, namespaces: Informer::detached(), accounts: Informer::detached() };
    it.namespaces.apply(namespace("shop", phase));
    if account_is_there {
        it.accounts.apply(account("shop"));
    }
    (it, calls)
}

#[tokio::test]
async fn an_active_namespace_gets_the_account_that_it_lacks() {
    let (it, calls) = reconciler("Active", false, || (201, json!({"metadata": {"name": "default"}})));
    assert_eq!(it.reconcile(&"shop".into()).await.unwrap(), Next::Done);
    assert_eq!(calls.lines(), [CREATION]);
    assert_eq!(calls.all()[0].body["metadata"]["name"], "default");
}

#[tokio::test]
async fn nothing_is_made_twice_or_where_it_does_not_belong() {
    for (phase, is_there) in [("Active", true), ("Terminating", false)] {
        let (it, calls) = reconciler(phase, is_there, || refusal(500, "InternalError", "not to be asked"));
        it.reconcile(&"shop".into()).await.unwrap();
        it.reconcile(&"unknown".into()).await.unwrap();
        assert!(calls.all().is_empty(), "{phase}");
    }
}

#[tokio::test]
async fn a_namespace_that_is_going_is_left_alone_and_anything_else_is_tried_again() {
    let (it, _) = reconciler("Active", false, || refusal(409, "AlreadyExists", "there is one"));
    it.reconcile(&"shop".into()).await.unwrap();
    let (it, _) = reconciler("Active", false, || {
        let (code, mut status) = refusal(403, "Forbidden", "going");
        status["details"] = json!({"causes": [{"reason": "NamespaceTerminating", "message": "going"}]});
        (code, status)
    });
    it.reconcile(&"shop".into()).await.unwrap();
    let (it, _) = reconciler("Active", false, || refusal(403, "Forbidden", "not you"));
    it.reconcile(&"shop".into()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_deleted_comes_back() {
    let (client, calls) = fake_api(|_| (201, json!({"metadata": {"name": "default"}})));
    let (context, _) = Context::detached(crate::Options::new("PEM"));
    context.namespaces().apply(namespace("shop", "Active"));
    context.service_accounts_named_default().apply(account("shop"));
    let running = tokio::spawn(run(Arc::clone(&context), client));
    context.service_accounts_named_default().remove(account("shop"));
    calls.wait_for(1).await;
    assert_eq!(calls.lines(), [CREATION]);
    running.abort();
}
