//! Sees to it that objects are there, however many servers do so at once.

use futures_util::future::try_join_all;
use keelson_api_registry::{
    object::Object,
    resources::{self, ResourceInfo},
    status::ApiError,
};
use keelson_api_schema::{builtin, default};
use time::OffsetDateTime;

use crate::{
    allocation,
    storage::{ClaimChange, ObjectStore, Stored, WriteFailure},
    uid,
    write::identity::timestamp,
};

/// An object that is to be there.
pub(super) struct Wanted {
    /// What it is when it is made.
    pub(super) object: Object,
    /// What becomes of one that is there; `None` when it may stay as it is.
    pub(super) merge: fn(existing: &Object, wanted: &Object) -> Option<Object>,
}

impl Wanted {
    /// An object that may be anything once it is there.
    pub(super) fn once(object: Object) -> Self {
        Self { object, merge: |_, _| None }
    }
}

/// Makes or amends objects, all at the same time.
pub(super) async fn all(
    objects: &ObjectStore,
    wanted: &[Wanted],
    now: OffsetDateTime,
) -> Result<(), ApiError> {
    try_join_all(wanted.iter().map(|wanted| one(objects, wanted, now))).await.map(drop)
}

/// Makes or amends one object. Where somebody else was faster it was another server with the same intent, or the next
/// round sees it.
pub(super) async fn one(objects: &ObjectStore, wanted: &Wanted, now: OffsetDateTime) -> Result<(), ApiError> {
    let resource = resource(&wanted.object)?;
    let existing = objects.get(resource, wanted.object.namespace(), wanted.object.name()).await?;
    amend(objects, existing.as_ref(), wanted, now).await.map(drop)
}

/// Makes what is not there, or amends what was found. Says `false` when it was not so any more: nothing is written then.
pub(super) async fn amend(
    objects: &ObjectStore,
    found: Option<&Stored>,
    wanted: &Wanted,
    now: OffsetDateTime,
) -> Result<bool, ApiError> {
    let Wanted { object, merge } = wanted;
    let resource = resource(object)?;
    let Some(found) = found else {
        return create(objects, resource, object, now).await;
    };
    match merge(&found.object, object) {
        Some(merged) => {
            let written = objects.replace(resource, &merged, found.revision, ClaimChange::default()).await?;
            Ok(written.is_some())
        }
        None => Ok(true),
    }
}

fn resource(object: &Object) -> Result<&'static ResourceInfo, ApiError> {
    resources::find_kind(object.text(&["apiVersion"]), object.text(&["kind"]))
        .ok_or_else(|| ApiError::internal(format!("there is no kind for {}", object.name())))
}

/// Says `false` when another server has made it meanwhile.
async fn create(
    objects: &ObjectStore,
    resource: &'static ResourceInfo,
    wanted: &Object,
    now: OffsetDateTime,
) -> Result<bool, ApiError> {
    let object = born(resource, wanted, now);
    let claims = allocation::claims(resource, &object, now);
    match objects.create(resource, &object, &claims).await {
        Ok(_) => Ok(true),
        Err(WriteFailure::Answer(error)) if error.reason == "AlreadyExists" => Ok(false),
        // Somebody gave its address to something else. That is theirs to undo: this server's work must go on.
        Err(WriteFailure::Taken { told, .. }) => {
            tracing::warn!(kind = resource.kind, name = object.name(), error = told.message, "not made");
            Ok(true)
        }
        Err(failure) => Err(failure.into()),
    }
}

/// The object as the API would have made it for a client. A status that is wanted stays.
pub(super) fn born(resource: &ResourceInfo, wanted: &Object, now: OffsetDateTime) -> Object {
    let mut object = wanted.clone();
    object.set(&["metadata", "uid"], uid::random());
    object.set(&["metadata", "creationTimestamp"], timestamp(now));
    resource.strategy.default(&mut object);
    default::apply(builtin(), resource.schema(), &mut object.0);
    resource.strategy.prepare_create(&mut object);
    if let Some(status) = wanted.get(&["status"]) {
        object.set(&["status"], status.clone());
    }
    object
}
