//! Cached objects in the form that a client asked for.

use bytes::Bytes;
use keelson_api_registry::{
    resources::{ResourceInfo, Storage},
    status::ApiError,
};
use time::OffsetDateTime;

use super::{Form, Include, Wanted, partial, table};
use crate::{cache::CachedObject, storage};

/// How the objects of one request are shown.
#[derive(Clone, Copy)]
pub(crate) struct Rendering {
    resource: &'static ResourceInfo,
    form: Form,
    now: OffsetDateTime,
}

impl Rendering {
    /// `now` is what ages are counted from.
    pub(crate) fn new(resource: &'static ResourceInfo, wanted: &Wanted, now: OffsetDateTime) -> Self {
        Self { resource, form: wanted.form, now }
    }

    /// Whether objects go out as they lie in the cache.
    pub(crate) fn is_verbatim(&self) -> bool {
        let stored = matches!(self.resource.storage, Storage::Stored(_));
        stored && self.form == Form::Object
    }

    /// The same with another moment to count ages from.
    pub(crate) fn at(self, now: OffsetDateTime) -> Self {
        Self { now, ..self }
    }

    /// What the form is.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// The entry of the table that is served.
    pub(crate) fn resource(&self) -> &'static ResourceInfo {
        self.resource
    }

    /// An object as an item of a list, or a row of a Table.
    ///
    /// # Errors
    /// 500 for an object that cannot be converted to the version that is served.
    pub(crate) fn item(&self, object: &CachedObject) -> Result<Bytes, ApiError> {
        match self.form {
            Form::Object => self.json(object),
            Form::Partial => Ok(partial(&object.metadata())),
            Form::Table(include) => self.row(object, include),
        }
    }

    /// An object as a document of its own: a Table has one row.
    ///
    /// # Errors
    /// As [`Self::item`].
    pub(crate) fn document(&self, object: &CachedObject, with_columns: bool) -> Result<Bytes, ApiError> {
        let item = self.item(object)?;
        match self.form {
            Form::Object | Form::Partial => Ok(item),
            Form::Table(_) => {
                let meta = table::ListMeta::at(object.revision.to_string());
                let head = table::head(self.resource, &meta, with_columns);
                Ok([&head[..], &item, table::TAIL].concat().into())
            }
        }
    }

    fn json(&self, object: &CachedObject) -> Result<Bytes, ApiError> {
        match self.resource.storage {
            Storage::Stored(_) | Storage::Question => Ok(object.json().clone()),
            Storage::Converted { .. } => {
                let converted = storage::from_storage(self.resource, object.object())?;
                Ok(storage::encode(self.resource, &converted))
            }
        }
    }

    fn row(&self, cached: &CachedObject, include: Include) -> Result<Bytes, ApiError> {
        let object = storage::from_storage(self.resource, cached.object())?;
        let json = if include == Include::Object { self.json(cached)? } else { Bytes::new() };
        let item = table::Item { object: &object, json: &json, metadata: &cached.metadata() };
        Ok(table::row(self.resource, &item, include, self.now).into())
    }
}
