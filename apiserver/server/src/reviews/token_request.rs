//! A token for a service account, as long-lived as wished, and ending with the object that it is bound to.
//!
//! Deliberately absent: upstream's extension of an hour to a year for clients that never read their token again.
//!
//! Source: `k8s.io/kubernetes/pkg/registry/core/serviceaccount/storage/token.go`.

use std::time::Duration;

use http::StatusCode;
use keelson_api_registry::{
    field::FieldError,
    object::Object,
    resources::{self, ResourceInfo},
    status::ApiError,
};
use serde_json::{Value, json};

use super::texts;
use crate::{
    admission,
    authn::{
        jwt::{Holder, Reference},
        service_account::TokenRequest,
    },
    handlers::Call,
    server::Server,
    storage::ObjectStore,
    write::{body::Wanted, identity::timestamp},
};

/// What the body must be.
pub(super) const WANTED: Wanted<'static> =
    Wanted { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" };

/// How long a token lives when nobody says.
const DEFAULT_SECONDS: i64 = 3600;

/// The shortest life.
const MIN_SECONDS: i64 = 600;

/// The longest life.
const MAX_SECONDS: i64 = 1 << 32;

/// The token, and what was left out of the question.
pub(super) async fn status(server: &Server, question: &mut Object, call: &Call) -> Result<Value, ApiError> {
    let (namespace, name) = (call.request.namespace.as_str(), call.request.name.as_str());
    let account = get(&server.objects, "serviceaccounts", namespace, name).await?;
    complete(server, question, &account, call)?;
    let seconds = lifetime(question)?;
    let mut holder =
        Holder { namespace: namespace.to_owned(), serviceaccount: reference(&account), ..Holder::default() };
    bind(&server.objects, question, &mut holder).await?;
    admission::check_token(&call.user, &holder)?;
    let time_to_live = Duration::from_secs(seconds.unsigned_abs());
    let audiences = texts(question.list(&["spec", "audiences"]));
    let token = server.tokens.issue(TokenRequest { holder, audiences, time_to_live }, call.now);
    Ok(json!({"token": token, "expirationTimestamp": timestamp(call.now + time_to_live)}))
}

/// Fills in what the question leaves open.
fn complete(server: &Server, question: &mut Object, account: &Object, call: &Call) -> Result<(), ApiError> {
    let (name, namespace) = (question.name(), question.namespace());
    if !name.is_empty() && name != account.name() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            account.name()
        )));
    }
    if !namespace.is_empty() && namespace != account.namespace() {
        let text = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(text));
    }
    question.set(&["metadata", "name"], account.name());
    question.set(&["metadata", "namespace"], account.namespace());
    question.set(&["metadata", "creationTimestamp"], timestamp(call.now));
    if question.list(&["spec", "audiences"]).is_empty() {
        question.set(&["spec", "audiences"], json!(server.tokens.audiences()));
    }
    if question.get(&["spec", "expirationSeconds"]).is_none() {
        question.set(&["spec", "expirationSeconds"], DEFAULT_SECONDS);
    }
    Ok(())
}

fn lifetime(question: &Object) -> Result<i64, ApiError> {
    let seconds = question.integer(&["spec", "expirationSeconds"]).unwrap_or(DEFAULT_SECONDS);
    let problem = match seconds {
        ..MIN_SECONDS => "may not specify a duration less than 10 minutes",
        MIN_SECONDS..=MAX_SECONDS => return Ok(seconds),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let error = FieldError::invalid("spec.expirationSeconds", seconds, problem);
    Err(ApiError::invalid(WANTED.group, WANTED.kind, "", &[error]))
}

/// Finds the object that the token is to end with.
async fn bind(objects: &ObjectStore, question: &Object, holder: &mut Holder) -> Result<(), ApiError> {
    let Some(wish) = question.get(&["spec", "boundObjectRef"]) else { return Ok(()) };
    let text = |field: &str| wish[field].as_str().unwrap_or_default();
    let (name, namespace) = (text("name"), holder.namespace.clone());
    let found = match (text("apiVersion"), text("kind")) {
        ("v1", "Pod") => {
            let pod = get(objects, "pods", &namespace, name).await?;
            check_account(&pod, &holder.serviceaccount.name)?;
            holder.node = node_of(objects, &pod).await?;
            holder.pod = Some(reference(&pod));
            pod
        }
        ("v1", "Secret") => {
            let secret = get(objects, "secrets", &namespace, name).await?;
            holder.secret = Some(reference(&secret));
            secret
        }
        ("v1", "Node") => {
            let node = get(objects, "nodes", "", name).await?;
            holder.node = Some(reference(&node));
            node
        }
        (version, kind) => {
            let text = format!("cannot bind token to object of type {version}, Kind={kind}");
            return Err(ApiError::bad_request(text));
        }
    };
    check_uid(&found, text("kind"), text("uid"))
}

fn check_account(pod: &Object, account: &str) -> Result<(), ApiError> {
    if pod.text(&["spec", "serviceAccountName"]) == account {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
    )))
}

fn check_uid(found: &Object, kind: &str, uid: &str) -> Result<(), ApiError> {
    if uid.is_empty() || found.uid() == uid {
        return Ok(());
    }
    let name = found.name();
    let message = format!(
        "Operation cannot be fulfilled on {kind} {name:?}: the UID in the bound object reference ({uid}) does not \
         match the UID in record. The object might have been deleted and then recreated"
    );
    Err(ApiError::new(StatusCode::CONFLICT, "Conflict", message).about("", kind, name))
}

/// The node of a pod that runs already; a node that is gone is not told.
async fn node_of(objects: &ObjectStore, pod: &Object) -> Result<Option<Reference>, ApiError> {
    let node = pod.text(&["spec", "nodeName"]);
    if node.is_empty() {
        return Ok(None);
    }
    let found = objects.get(core("nodes")?, "", node).await?;
    Ok(found.map(|found| reference(&found.object)))
}

async fn get(
    objects: &ObjectStore,
    plural: &'static str,
    namespace: &str,
    name: &str,
) -> Result<Object, ApiError> {
    let resource = core(plural)?;
    let found = objects.get(resource, namespace, name).await?;
    found.map(|found| found.object).ok_or_else(|| ApiError::not_found(resource, name))
}

fn core(plural: &'static str) -> Result<&'static ResourceInfo, ApiError> {
    resources::find("", "v1", plural)
        .ok_or_else(|| ApiError::internal(format!("there is no resource {plural}")))
}

fn reference(object: &Object) -> Reference {
    Reference { name: object.name().to_owned(), uid: object.uid().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime_of(seconds: i64) -> Result<i64, String> {
        let question = Object(json!({"spec": {"expirationSeconds": seconds}}));
        lifetime(&question).map_err(|error| error.message)
    }

    #[test]
    fn lives_have_bounds() {
        assert_eq!(lifetime_of(MIN_SECONDS), Ok(MIN_SECONDS));
        assert_eq!(lifetime_of(MAX_SECONDS), Ok(MAX_SECONDS));
        assert_eq!(
            lifetime_of(1).unwrap_err(),
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 1: may not \
             specify a duration less than 10 minutes"
        );
        assert!(lifetime_of(MAX_SECONDS + 1).unwrap_err().ends_with("larger than 2^32 seconds"));
    }

    #[test]
    fn a_token_is_bound_to_the_pod_that_was_meant() {
        let pod =
            Object(json!({"metadata": {"name": "a", "uid": "1"}, "spec": {"serviceAccountName": "till"}}));
        assert!(check_account(&pod, "till").is_ok());
        assert_eq!(check_account(&pod, "other").unwrap_err().code, 400);
        assert!(check_uid(&pod, "Pod", "1").is_ok() && check_uid(&pod, "Pod", "").is_ok());
        assert_eq!(check_uid(&pod, "Pod", "2").unwrap_err().code, 409);
    }
}
