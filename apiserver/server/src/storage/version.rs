//! The version in which objects are stored, and the way to and from the others.
//!
//! Most resources are stored as they are served. A [`Storage::Converted`] one is another version of a thing that
//! is stored under its own entry of the table; here, and nowhere else, one becomes the other.

use bytes::Bytes;
use keelson_api_registry::{
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
        Storage::Stored(_) | Storage::Question => field.to_owned(),
    }
}
