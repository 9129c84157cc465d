//! What the user who asks may do in a namespace: `SelfSubjectRulesReview`.

use keelson_api_registry::{object::Object, status::ApiError};
use serde_json::{Value, json};

use crate::{
    authn::User,
    authz::{Authorizer, nodes::node_of, rbac::Rule},
};

/// All rules that hold. What `system:masters` may do without any rule is not among them, as upstream has it.
pub(super) fn status(authorizer: &Authorizer, question: &Object, user: &User) -> Result<Value, ApiError> {
    let namespace = question.text(&["spec", "namespace"]);
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let policy = authorizer.policy();
    let (rules, missing) = policy.rules_for(user, namespace);
    let why_not_all = match node_of(user) {
        Some(_) => "node authorizer does not support user rule resolution".to_owned(),
        None => missing,
    };
    let (resources, paths): (Vec<&Rule>, Vec<&Rule>) =
        rules.into_iter().partition(|rule| rule.is_about_resources());
    let shown = |rules: &[&Rule]| rules.iter().map(|rule| rule.review()).collect::<Vec<_>>();
    let mut status = json!({
        "resourceRules": shown(&resources),
        "nonResourceRules": shown(&paths),
        "incomplete": !why_not_all.is_empty(),
    });
    if !why_not_all.is_empty() {
        status["evaluationError"] = why_not_all.into();
    }
    Ok(status)
}
