//! The version in which objects are stored, and the way to and from the others.
//!
//! Most resources are stored as they are served. A [`Storage::Converted`] one is another version of a thing that
//! is stored under its own entry of the table; here, and nowhere else, one becomes the other.

use std::borrow::Cow;

use bytes::Bytes;
use keelson_api_registry::{
    conversion,
    object::Object,
    resources::{Conversion, RESOURCES, ResourceInfo, Storage},
    status::ApiError,
};

/// The entry whose version is stored, for any entry that is stored at all.
pub(crate) fn storage_of(resource: &'static ResourceInfo) -> Option<&'static ResourceInfo> {
    match resource.storage {
        Storage::Stored(_) => Some(resource),
        Storage::Converted { prefix, .. } => {
            RESOURCES.iter().find(|other| other.storage == Storage::Stored(prefix))
        }
        Storage::Question => None,
    }
}

/// How the storage version calls a field that `resource` calls `field`.
pub(crate) fn storage_field(resource: &ResourceInfo, field: &str) -> String {
    match resource.storage {
        Storage::Converted { conversion: Conversion::Event, .. } => match field.split_once('.') {
            Some(("regarding", rest)) => format!("involvedObject.{rest}"),
            _ if field == "reportingController" => "reportingComponent".to_owned(),
            _ => field.to_owned(),
        },
        Storage::Converted { conversion: Conversion::HorizontalPodAutoscaler, .. }
        | Storage::Stored(_)
        | Storage::Question => field.to_owned(),
    }
}

/// An object in the version in which it is stored, and that version's entry.
///
/// # Errors
/// 404 for what is not stored; 500 for an object that is not of its kind, which decoding has ruled out.
pub(crate) fn to_storage<'o>(
    resource: &'static ResourceInfo,
    object: &'o Object,
) -> Result<(&'static ResourceInfo, Cow<'o, Object>), ApiError> {
    let owner = storage_of(resource).ok_or_else(ApiError::no_such_path)?;
    let object = match resource.storage {
        Storage::Stored(_) | Storage::Question => Cow::Borrowed(object),
        Storage::Converted { conversion: Conversion::Event, .. } => {
            Cow::Owned(conversion::event::to_core(object.clone()).map_err(ApiError::internal)?)
        }
        Storage::Converted { conversion: Conversion::HorizontalPodAutoscaler, .. } => {
            Cow::Owned(conversion::horizontal_pod_autoscaler::to_v2(object).map_err(ApiError::internal)?)
        }
    };
    Ok((owner, object))
}

/// A stored object in the version of `resource`.
///
/// # Errors
/// 500 for what is no object of the stored kind.
pub(crate) fn from_storage(resource: &ResourceInfo, stored: Object) -> Result<Object, ApiError> {
    match resource.storage {
        Storage::Stored(_) | Storage::Question => Ok(stored),
        Storage::Converted { conversion: Conversion::Event, .. } => {
            conversion::event::from_core(stored).map_err(ApiError::internal)
        }
        Storage::Converted { conversion: Conversion::HorizontalPodAutoscaler, .. } => {
            conversion::horizontal_pod_autoscaler::to_v1(&stored).map_err(ApiError::internal)
        }
    }
}

/// The JSON of `object`, in the version of `resource`, of which the storage version is `stored`.
pub(super) fn json_of(resource: &ResourceInfo, object: &Object, stored: Bytes) -> Bytes {
    match resource.storage {
        Storage::Stored(_) | Storage::Question => stored,
        Storage::Converted { .. } => encode(resource, object),
    }
}

/// An object of `resource` as canonical JSON.
pub(crate) fn encode(resource: &ResourceInfo, object: &Object) -> Bytes {
    keelson_api_schema::encode(keelson_api_schema::builtin(), resource.schema(), &object.0).into()
}
