//! Access to devices that others use: who wants it, and who was given it.
//!
//! In: a claim or a template. Out: the error that it is where the namespace does not have the label.
//!
//! Deliberately absent: whether it has, which the server looks up.
//!
//! Source: `AuthorizedForAdmin` in `pkg/registry/resource`.

use super::ADMIN_ACCESS_LABEL;
use crate::{field::FieldError, object::Object, place::Place};

/// Complains about the first request for devices that others use. Upstream's path lacks `exactly`, and in templates
/// the outer `spec`.
pub(super) fn wanted(object: &Object, requests: &[&str]) -> Option<FieldError> {
    let requests = Place::at(object, requests).shown_as("spec.devices.requests");
    let wanted = |request: &Place<'_>| request.child("exactly").child("adminAccess").flag();
    requests.items().find(wanted).map(|request| needs_label(&request.child("adminAccess")))
}

/// Complains about the first device that is given although others use it.
pub(super) fn given(object: &Object) -> Option<FieldError> {
    let results = Place::at(object, &["status", "allocation", "devices", "results"]);
    let accesses = results.items().map(|result| result.child("adminAccess"));
    accesses.into_iter().find(Place::flag).map(|access| needs_label(&access))
}

fn needs_label(access: &Place<'_>) -> FieldError {
    access.forbidden(format!(
        "admin access to devices requires the `{ADMIN_ACCESS_LABEL}: true` label on the containing namespace"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_that_asks_for_it_is_named() {
        let requests = json!([
            {"name": "a", "exactly": {"adminAccess": false}},
            {"name": "b", "exactly": {"adminAccess": true}},
        ]);
        let template = Object(json!({"spec": {"spec": {"devices": {"requests": requests}}}}));
        let wanted = wanted(&template, &["spec", "spec", "devices", "requests"]);
        assert_eq!(
            wanted.map(|error| error.to_string()).as_deref(),
            Some(
                "spec.devices.requests[1].adminAccess: Forbidden: admin access to devices requires the \
                 `resource.kubernetes.io/admin-access: true` label on the containing namespace"
            )
        );
        assert_eq!(given(&template), None);
    }
}
