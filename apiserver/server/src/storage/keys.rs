//! Where an object lies: `/registry/<prefix>/[<namespace>/]<name>`.

use bytes::Bytes;
use keelson_api_registry::{
    object::Object,
    resources::{ResourceInfo, Storage},
    status::ApiError,
};
use keelson_store_core::command::KeyRange;

/// The key of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectKey(String);

impl ObjectKey {
    /// The key of an object by its name.
    ///
    /// # Errors
    /// 404 for a resource that is not stored; 400 for names that would lie elsewhere.
    pub(crate) fn new(resource: &ResourceInfo, namespace: &str, name: &str) -> Result<Self, ApiError> {
        let folder = folder(resource)?;
        let fits = |text: &str| !text.is_empty() && !text.contains('/');
        let namespaced = resource.is_namespaced();
        if !fits(name) || (namespaced && !fits(namespace)) {
            return Err(ApiError::bad_request(format!("{name:?} in {namespace:?} cannot name an object")));
        }
        let key = if namespaced { format!("{folder}{namespace}/{name}") } else { format!("{folder}{name}") };
        Ok(Self(key))
    }

    /// The key under which an object is to lie.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn of(resource: &ResourceInfo, object: &Object) -> Result<Self, ApiError> {
        Self::new(resource, object.namespace(), object.name())
    }

    /// As the store takes it.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.0.as_bytes())
    }
}

/// The keys of a resource's objects in a namespace, or in all of them where it is empty.
///
/// # Errors
/// 404 for a resource that is not stored.
pub(crate) fn collection(resource: &ResourceInfo, namespace: &str) -> Result<KeyRange, ApiError> {
    let mut folder = folder(resource)?;
    if resource.is_namespaced() && !namespace.is_empty() {
        folder = format!("{folder}{namespace}/");
    }
    Ok(within(&folder))
}

/// All keys that begin with `folder`, which ends in a slash.
pub(crate) fn within(folder: &str) -> KeyRange {
    debug_assert!(folder.ends_with('/'), "a folder ends in a slash");
    let start = Bytes::copy_from_slice(folder.as_bytes());
    // `0` is the byte after the slash.
    let end = [&folder.as_bytes()[..folder.len() - 1], b"0"].concat().into();
    KeyRange::Span { start, end }
}

/// Where a prefix's objects begin.
pub(crate) fn root(prefix: &str) -> String {
    format!("/registry/{prefix}/")
}

fn folder(resource: &ResourceInfo) -> Result<String, ApiError> {
    match resource.storage {
        Storage::Stored(prefix) | Storage::Converted { prefix, .. } => Ok(root(prefix)),
        Storage::Question => Err(ApiError::no_such_path()),
    }
}
