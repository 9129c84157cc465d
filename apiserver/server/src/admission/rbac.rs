//! Nobody gives away rights that they do not have.

use keelson_api_registry::object::Object;

use super::{Attributes, Operation, Validate, Verdict};
use crate::authz::escalation::{self, Change};

/// The admission step.
pub(super) struct Escalation;

impl Validate for Escalation {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.operation != Operation::Delete && write.resource.group == "rbac.authorization.k8s.io"
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, object: Option<&'a Object>) -> Verdict<'a> {
        Box::pin(async move {
            let Some(object) = object else { return Ok(()) };
            let change = Change { resource: write.resource, object, old: write.old };
            escalation::check(&write.server.authorizer, write.user, change)
        })
    }
}
