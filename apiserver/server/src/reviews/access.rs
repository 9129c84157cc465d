//! May somebody do something: `SubjectAccessReview` and its kin.
//!
//! Source: `k8s.io/kubernetes/pkg/apis/authorization/validation`.

use keelson_api_registry::{field::FieldError, object::Object, status::ApiError};
use serde_json::{Value, json};

use super::texts;
use crate::{
    authn::User,
    authz::{
        Authorizer,
        attributes::{self, Attributes, ResourceAttributes},
        policy::Decision,
    },
};

mod selection;

const GROUP: &str = "authorization.k8s.io";

/// May the user of the spec.
pub(super) fn subject(authorizer: &Authorizer, question: &Object) -> Result<Value, ApiError> {
    let mut errors = what_is_asked(question);
    errors.extend(who_is_meant(question));
    errors.extend(selection::errors(question));
    errors.extend(has_metadata(question, &[], "must be empty"));
    refuse("SubjectAccessReview", &errors)?;
    Ok(status(authorizer, &meant(question), question))
}

/// May the user of the spec, in the namespace of the path.
pub(super) fn local(authorizer: &Authorizer, question: &Object, namespace: &str) -> Result<Value, ApiError> {
    let own = question.namespace();
    if !own.is_empty() && own != namespace {
        let text = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(text));
    }
    let mut errors = what_is_asked(question);
    errors.extend(who_is_meant(question));
    errors.extend(selection::errors(question));
    errors.extend(has_metadata(question, &["namespace"], "must be empty except for namespace"));
    let asked = question.text(&["spec", "resourceAttributes", "namespace"]);
    if question.get(&["spec", "resourceAttributes"]).is_some() && asked != namespace {
        errors.push(FieldError::invalid(
            "spec.resourceAttributes.namespace",
            asked,
            "must match metadata.namespace",
        ));
    }
    if let Some(path) = question.get(&["spec", "nonResourceAttributes"]) {
        errors.push(FieldError::invalid(
            "spec.nonResourceAttributes",
            path.clone(),
            "disallowed on this kind of request",
        ));
    }
    refuse("LocalSubjectAccessReview", &errors)?;
    Ok(status(authorizer, &meant(question), question))
}

/// May the user who asks.
pub(super) fn own(authorizer: &Authorizer, question: &Object, user: &User) -> Result<Value, ApiError> {
    let mut errors = what_is_asked(question);
    errors.extend(selection::errors(question));
    errors.extend(has_metadata(question, &[], "must be empty"));
    refuse("SelfSubjectAccessReview", &errors)?;
    Ok(status(authorizer, user, question))
}

fn what_is_asked(question: &Object) -> Vec<FieldError> {
    let resource = question.get(&["spec", "resourceAttributes"]);
    let path = question.get(&["spec", "nonResourceAttributes"]);
    match (resource, path) {
        (Some(_), Some(path)) => vec![FieldError::invalid(
            "spec.nonResourceAttributes",
            path.clone(),
            "cannot be specified in combination with resourceAttributes",
        )],
        (None, None) => vec![FieldError::invalid(
            "spec.resourceAttributes",
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )],
        (Some(_), None) | (None, Some(_)) => Vec::new(),
    }
}

fn who_is_meant(question: &Object) -> Option<FieldError> {
    let is_somebody =
        !question.text(&["spec", "user"]).is_empty() || !question.list(&["spec", "groups"]).is_empty();
    let nobody = || FieldError::invalid("spec.user", "", "at least one of user or group must be specified");
    (!is_somebody).then(nobody)
}

/// A question is no object that has a name: it has no metadata but what is in `expected`.
fn has_metadata(question: &Object, expected: &[&str], detail: &str) -> Option<FieldError> {
    let mut metadata = question.map(&["metadata"])?.clone();
    // Messages of protobuf carry zeros, too.
    metadata.retain(|_, value| !is_empty(value));
    let is_expected = |field: &String| field == "managedFields" || expected.contains(&field.as_str());
    let has_more = !metadata.keys().all(is_expected);
    has_more.then(|| FieldError::invalid("metadata", metadata, detail))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn refuse(kind: &str, errors: &[FieldError]) -> Result<(), ApiError> {
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(GROUP, kind, "", errors)) }
}

fn meant(question: &Object) -> User {
    let extra = question.map(&["spec", "extra"]).into_iter().flatten();
    let extra = extra.map(|(key, values)| (key.clone(), texts(values.as_array().map_or(&[], Vec::as_slice))));
    User {
        name: question.text(&["spec", "user"]).to_owned(),
        uid: question.text(&["spec", "uid"]).to_owned(),
        groups: texts(question.list(&["spec", "groups"])),
        extra: extra.collect(),
    }
}

fn status(authorizer: &Authorizer, user: &User, question: &Object) -> Value {
    let (allowed, reason) = match authorizer.decide(user, &asked(question)) {
        Decision::Allowed { reason } => (true, reason),
        Decision::Denied { reason } => (false, reason),
    };
    let mut status = json!({"allowed": allowed});
    if !reason.is_empty() {
        status["reason"] = reason.into();
    }
    status
}

fn asked(question: &Object) -> Attributes<'_> {
    if question.get(&["spec", "nonResourceAttributes"]).is_some() {
        let text = |field| question.text(&["spec", "nonResourceAttributes", field]);
        return Attributes { verb: text("verb"), object: attributes::Object::Path(text("path")) };
    }
    let text = |field| question.text(&["spec", "resourceAttributes", field]);
    Attributes {
        verb: text("verb"),
        object: attributes::Object::Resource(ResourceAttributes {
            group: text("group"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
            selector: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::{
        MASTERS,
        policy::{Binding, Policy, Role},
    };

    fn authorizer() -> Authorizer {
        let role = Role::parse(&json!({
            "metadata": {"name": "reader"},
            "rules": [
                {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
                {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
            ],
        }));
        let binding = Binding::parse(&json!({
            "metadata": {"name": "reading"},
            "roleRef": {"kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "User", "name": "jane"}],
        }));
        let authorizer = Authorizer::default();
        authorizer.set_policy(Policy::new([role.into()], [&binding]));
        authorizer
    }

    fn question(spec: &Value) -> Object {
        Object(json!({"spec": spec}))
    }

    #[test]
    fn answers_say_whether_and_why() {
        let pods = json!({"verb": "get", "resource": "pods", "namespace": "a"});
        let asked = question(&json!({"user": "jane", "resourceAttributes": pods}));
        let status = subject(&authorizer(), &asked).unwrap();
        let reason =
            r#"RBAC: allowed by ClusterRoleBinding "reading" of ClusterRole "reader" to User "jane""#;
        assert_eq!(status, json!({"allowed": true, "reason": reason}));
        let asked = question(&json!({"user": "joe", "resourceAttributes": pods}));
        assert_eq!(subject(&authorizer(), &asked).unwrap(), json!({"allowed": false}));
        let path = json!({"nonResourceAttributes": {"verb": "get", "path": "/metrics"}});
        let jane = User { name: "jane".into(), ..User::default() };
        assert_eq!(own(&authorizer(), &question(&path), &jane).unwrap()["allowed"], true);
    }

    #[test]
    fn groups_of_the_question_count() {
        let pods = json!({"verb": "delete", "resource": "nodes"});
        let asked = question(&json!({"groups": [MASTERS], "resourceAttributes": pods}));
        assert_eq!(subject(&authorizer(), &asked).unwrap(), json!({"allowed": true}));
    }

    #[test]
    fn questions_that_make_no_sense_are_refused() {
        let message = |result: Result<Value, ApiError>| result.unwrap_err().message;
        let nothing = message(own(&authorizer(), &question(&json!({})), &User::default()));
        assert!(nothing.ends_with(
            "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or \
             resourceAttributes must be specified"
        ));
        let nobody = question(&json!({"resourceAttributes": {"verb": "get", "resource": "pods"}}));
        assert!(message(subject(&authorizer(), &nobody)).contains("at least one of user or group"));
        let elsewhere = question(&json!({"user": "a", "resourceAttributes": {"namespace": "b"}}));
        assert!(message(local(&authorizer(), &elsewhere, "a")).contains("must match metadata.namespace"));
        let mut named = elsewhere;
        named.set(&["metadata", "name"], "x");
        assert!(
            message(subject(&authorizer(), &named))
                .ends_with(r#"metadata: Invalid value: {"name":"x"}: must be empty"#)
        );
        named.set(&["spec", "resourceAttributes", "namespace"], "a");
        named.set(&["metadata", "namespace"], "a");
        let refused = message(local(&authorizer(), &named, "a"));
        assert!(refused.ends_with(
            r#"metadata: Invalid value: {"name":"x","namespace":"a"}: must be empty except for namespace"#
        ));
        named.set(&["metadata", "name"], "");
        named.set(&["metadata", "generation"], 0);
        named.set(&["metadata", "creationTimestamp"], Value::Null);
        assert!(local(&authorizer(), &named, "a").is_ok());
    }
}
