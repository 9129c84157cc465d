//! What the kinds have in common when they are written, and the interface to what each has of its own.
//!
//! A kind's rules are pure: an object in, the same object changed or a list of what is wrong with it out.
//! Whatever needs the store (allocations, lookups) is declared, and done by the transaction of the write.

use crate::{field::FieldError, kinds::address::forgive_what_was_there, object::Object};

/// A kind's own rules. Every method has the default of a kind without any.
///
/// Order of a write, upstream's: decode → [`Self::default`] → the schema's defaults → mutating admission →
/// [`Self::prepare_create`] or [`Self::prepare_update`] → [`Self::validate`] and [`Self::validate_create`] or
/// [`Self::validate_update`] → validating admission → store. So preparation compares defaulted objects.
pub trait Strategy: Send + Sync {
    /// Resets what a client may not set on creation (status, for most kinds with one).
    fn prepare_create(&self, _object: &mut Object) {}

    /// Resets what a client may not change through the main resource; bumps `metadata.generation` when the
    /// desired state has changed.
    fn prepare_update(&self, _object: &mut Object, _old: &Object) {}

    /// Keeps from `old` what the status subresource may not change. Usual: everything but status, and the metadata
    /// that [`Self::status_metadata`] leaves open.
    fn prepare_status_update(&self, object: &mut Object, old: &Object) {
        keep_all_but_status(object, old);
        self.status_metadata().keep(object, old);
    }

    /// What the status subresource may do to the metadata.
    fn status_metadata(&self) -> StatusMetadata {
        StatusMetadata::Open
    }

    /// Sees to what must be true of the object whichever way it is written; run where `finalize` writes it.
    fn prepare_finalize(&self, _object: &mut Object) {}

    /// Sets defaults that the schema's table does not have. Also run on what is read from older storage.
    fn default(&self, _object: &mut Object) {}

    /// What is wrong with a new object, beside what [`Self::validate`] says.
    fn validate_create(&self, _object: &Object) -> Vec<FieldError> {
        Vec::new()
    }

    /// What is wrong with an object, on create and update alike. Metadata has been checked already.
    fn validate(&self, _object: &Object) -> Vec<FieldError> {
        Vec::new()
    }

    /// What is wrong with a change.
    fn validate_update(&self, _object: &Object, _old: &Object) -> Vec<FieldError> {
        Vec::new()
    }

    /// What is wrong with a change of status.
    fn validate_status_update(&self, _object: &Object, _old: &Object) -> Vec<FieldError> {
        Vec::new()
    }

    /// Takes away what is wrong with a changed object and was wrong with it before: rules have become stricter since.
    /// Usual: addresses and ranges that it had. There may be as many errors as the object has items, and as many old items.
    fn forgive(&self, errors: &mut Vec<FieldError>, _object: &Object, old: &Object) {
        forgive_what_was_there(errors, old);
    }

    /// What is wrong with the object, or with its change, unless its namespace lets claims have devices that are in use:
    /// who may label namespaces decides that, not who may write claims.
    fn admin_access(&self, _object: &Object, _old: Option<&Object>) -> Option<FieldError> {
        None
    }

    /// Things to tell the writer that are no errors (`Warning:` headers): of a new object, or of a change of an old
    /// one through the main resource. Both have been prepared and found valid.
    fn warnings(&self, _object: &Object, _old: Option<&Object>) -> Vec<String> {
        Vec::new()
    }

    /// The same of a new object as it came, where [`Self::prepare_create`] mends what there is to warn of.
    fn draft_warnings(&self, _object: &Object) -> Vec<String> {
        Vec::new()
    }

    /// The same of a change of status.
    fn status_warnings(&self, _object: &Object) -> Vec<String> {
        Vec::new()
    }

    /// How long a deletion of `object` waits for its agent, in seconds: the wish of the request, or the kind's
    /// own. `None`: the kind knows no graceful deletion.
    fn grace_period(&self, _object: &Object, _wish: Option<i64>) -> Option<i64> {
        None
    }

    /// What becomes of dependents when a deletion does not say it: kept if true, else collected.
    fn orphans_dependents(&self) -> bool {
        false
    }

    /// What those are told whose deletion does not say it, if that may surprise them.
    fn silent_deletion_warning(&self) -> Option<&'static str> {
        None
    }

    /// Whether a DELETE answers with the object as it was, rather than with a Status.
    fn returns_deleted_object(&self) -> bool {
        false
    }

    /// The value of one of the fields that the resource's entry offers to field selectors. Booleans are `true`
    /// and `false`; an absent field is empty, so kinds with selectable zero values write them out.
    fn field_value(&self, object: &Object, field: &str) -> String {
        let path: Vec<&str> = field.split('.').collect();
        match object.get(&path) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }

    /// How a name must be made: what is wrong with this one.
    fn check_name(&self, name: &str) -> Vec<String> {
        keelson_api_schema::format::check_dns1123_subdomain(name)
    }

    /// Whether a PUT to a name that does not exist creates it.
    fn creates_on_update(&self) -> bool {
        false
    }

    /// Whether an update needs no resourceVersion.
    fn updates_unconditionally(&self) -> bool {
        true
    }

    /// How long an object lives after it was last written, in seconds. `None`: until somebody deletes it.
    fn time_to_live(&self) -> Option<u32> {
        None
    }

    /// Which keys the object claims for itself beside its own: a ClusterIP, a node port. They are created and
    /// deleted in the same transaction as the object.
    fn claims(&self, _object: &Object) -> Vec<Claim> {
        Vec::new()
    }
}

/// What the status subresource may do to the metadata, beside what it never may.
///
/// Upstream decides it kind by kind: who may write a status of the stricter kinds can add no finalizers to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusMetadata {
    /// Labels, annotations and finalizers may change.
    Open,
    /// Labels stay.
    LabelsStay,
    /// All of it stays.
    Stays,
}

impl StatusMetadata {
    /// Takes from `old` what stays.
    pub(crate) fn keep(self, object: &mut Object, old: &Object) {
        let kept: &[&str] = match self {
            Self::Open => &[],
            Self::LabelsStay => &["labels"],
            Self::Stays => &["labels", "annotations", "finalizers"],
        };
        for field in kept {
            keep(object, old, &["metadata", field]);
        }
    }
}

/// Something of which there is one in the cluster, and which an object has for itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// What it is: `nodeports/30080`. Also its key in the store, below the prefix of claims, unless it is an object.
    pub key: String,
    /// What is wrong with an object that claims it when another one has it.
    pub taken: FieldError,
    /// The object that is the claim, an IPAddress: it lies under its own key, and to have it is to have made it.
    /// Whoever writes it sets its uid and its creation time.
    pub object: Option<Object>,
}

/// Takes everything from `old` but the status, and the metadata that the status subresource may change.
pub fn keep_all_but_status(object: &mut Object, old: &Object) {
    let status = object.remove(&["status"]);
    let metadata = object.remove(&["metadata"]);
    *object = old.clone();
    if let Some(status) = status {
        object.set(&["status"], status);
    }
    if let Some(metadata) = metadata {
        object.set(&["metadata"], metadata);
        for kept in ["deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "generation"] {
            keep(object, old, &["metadata", kept]);
        }
    }
}

/// Takes a field from `old`, set or not.
pub fn keep(object: &mut Object, old: &Object, path: &[&str]) {
    match old.get(path) {
        Some(value) => object.set(path, value.clone()),
        None => drop(object.remove(path)),
    }
}

/// Drops a field of a feature that is off, unless the object had it already: it may have been written while the feature
/// was on, and what is there is not lost by an update that is about something else.
pub(crate) fn drop_unless_used(object: &mut Object, old: Option<&Object>, path: &[&str]) {
    if old.is_none_or(|old| old.get(path).is_none()) {
        object.remove(path);
    }
}

/// A kind without rules of its own.
pub struct Plain;

impl Strategy for Plain {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources;

    #[test]
    fn a_status_brings_no_metadata_to_kinds_that_keep_theirs() {
        let old = json!({"metadata": {"name": "a", "labels": {"a": "1"}}, "spec": {"b": 1}});
        let new = json!({
            "metadata": {"name": "a", "labels": {"a": "2"}, "finalizers": ["q.r/s"], "annotations": {"c": "d"}},
            "spec": {"b": 2},
            "status": {"e": 1},
        });
        let prepared = |group: &str, plural: &str| {
            let resource = resources::find(group, "v1", plural).unwrap();
            let mut object = Object(new.clone());
            resource.strategy.prepare_status_update(&mut object, &Object(old.clone()));
            object
        };
        for (group, plural) in [
            ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
            ("certificates.k8s.io", "podcertificaterequests"),
            ("flowcontrol.apiserver.k8s.io", "flowschemas"),
            ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
            ("resource.k8s.io", "devicetaintrules"),
            ("resource.k8s.io", "resourceclaims"),
            ("storage.k8s.io", "volumeattachments"),
            ("storagemigration.k8s.io", "storageversionmigrations"),
        ] {
            let object = prepared(group, plural);
            assert_eq!(object.0["metadata"], old["metadata"], "{plural}");
            assert_eq!(object.0["spec"], old["spec"], "{plural}");
            assert_eq!(object.0["status"], new["status"], "{plural}");
        }
        let deployment = prepared("apps", "deployments");
        assert_eq!(deployment.0["metadata"]["labels"], old["metadata"]["labels"]);
        assert_eq!(deployment.0["metadata"]["annotations"], new["metadata"]["annotations"]);
        assert_eq!(prepared("apps", "daemonsets").0["metadata"], new["metadata"]);
    }
}
