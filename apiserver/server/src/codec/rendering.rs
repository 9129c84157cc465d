//! Cached objects in the form that a client asked for.

use bytes::Bytes;
use keelson_api_registry::{
    resources::{ResourceInfo, Storage},
    status::ApiError,
};
use time::OffsetDateTime;

use super::{Form, Include, Media, Wanted, partial, protobuf, table};
use crate::{cache::CachedObject, storage};

/// How the objects of one request are shown.
#[derive(Clone, Copy)]
pub(crate) struct Rendering {
    resource: &'static ResourceInfo,
    media: Media,
    form: Form,
    now: OffsetDateTime,
}

impl Rendering {
    /// `now` is what ages are counted from.
    pub(crate) fn new(resource: &'static ResourceInfo, wanted: &Wanted, now: OffsetDateTime) -> Self {
        Self { resource, media: wanted.media, form: wanted.form, now }
    }

    /// Whether objects go out as their JSON lies in the cache.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.is_stored() && self.form == Form::Object && self.media != Media::Protobuf
    }

    /// Whether what is served is what is stored.
    fn is_stored(&self) -> bool {
        match self.resource.storage {
            Storage::Stored(_) | Storage::Question => true,
            Storage::Converted { .. } => false,
        }
    }

    /// The same with another moment to count ages from.
    pub(crate) fn at(self, now: OffsetDateTime) -> Self {
        Self { now, ..self }
    }

    /// How it is written.
    pub(crate) fn media(&self) -> Media {
        self.media
    }

    /// What the form is.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// The entry of the table that is served.
    pub(crate) fn resource(&self) -> &'static ResourceInfo {
        self.resource
    }

    /// The version and kind of what is written for one object.
    pub(crate) fn kind(&self) -> (String, String) {
        match self.form {
            Form::Object => (self.resource.api_version(), self.resource.kind.to_owned()),
            Form::Partial(_) => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata".to_owned()),
            Form::Table(_) => ("meta.k8s.io/v1".to_owned(), "Table".to_owned()),
        }
    }

    /// An object's message, without a frame.
    ///
    /// # Errors
    /// As [`Self::item`].
    pub(crate) fn message(&self, object: &CachedObject) -> Result<Bytes, ApiError> {
        let of_kind = |json: &[u8]| protobuf::message(self.resource.schema(), json);
        match self.form {
            Form::Object if self.is_stored() => Ok(object.protobuf(of_kind).clone()),
            Form::Object => Ok(of_kind(&self.json(object)?).into()),
            Form::Partial(_) => Ok(protobuf::partial_message(&object.metadata()).into()),
            Form::Table(_) => unreachable!("a Table in protobuf is refused before anything is read"),
        }
    }

    /// An object's message in the frame that names its kind.
    ///
    /// # Errors
    /// As [`Self::item`].
    pub(crate) fn framed(&self, object: &CachedObject) -> Result<Bytes, ApiError> {
        let (api_version, kind) = self.kind();
        Ok(keelson_api_schema::protobuf_frame(&api_version, &kind, &self.message(object)?).into())
    }

    /// An object as an item of a list, or a row of a Table.
    ///
    /// # Errors
    /// 500 for an object that cannot be converted to the version that is served.
    pub(crate) fn item(&self, object: &CachedObject) -> Result<Bytes, ApiError> {
        match self.form {
            Form::Object => self.json(object),
            Form::Partial(_) => Ok(partial(&object.metadata())),
            Form::Table(include) => self.row(object, include),
        }
    }

    /// What an object's own JSON begins with, and an item's of a list does not: there the list says which kind it is. Empty
    /// for forms that say it of every item.
    pub(crate) fn type_of_items(&self) -> String {
        match self.form {
            Form::Object => {
                let (api_version, kind) = self.kind();
                format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","#)
            }
            Form::Partial(_) | Form::Table(_) => String::new(),
        }
    }

    /// An object as a document of its own: a Table has one row.
    ///
    /// # Errors
    /// As [`Self::item`].
    pub(crate) fn document(&self, object: &CachedObject, with_columns: bool) -> Result<Bytes, ApiError> {
        let item = self.item(object)?;
        match self.form {
            Form::Object | Form::Partial(_) => Ok(item),
            Form::Table(_) => {
                let meta = table::ListMeta::at(object.revision.to_string());
                let head = table::head(table::columns_of(self.resource), &meta, with_columns);
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
        Ok(table::row(table::columns_of(self.resource), &item, include, self.now).into())
    }
}
