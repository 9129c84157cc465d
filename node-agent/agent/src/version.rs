//! Which of two states of an object is the newer one. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The API's revision in which the object was written; 0 if it does not say.
pub(crate) fn of(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|it| it.parse().ok()).unwrap_or(0)
}
