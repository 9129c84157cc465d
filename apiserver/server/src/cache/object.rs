//! An object as the cache keeps it: bytes that are ready to be sent, and what selectors look at.

use std::sync::OnceLock;

use bytes::Bytes;
use keelson_api_registry::{object::Object, resources::ResourceInfo};
use keelson_store_core::{command::KeyValue, id::Revision};

use crate::envelope::{self, EnvelopeError, Spliced};

/// An object at a revision. Never changes; shared by the cache, lists and watches.
#[derive(Debug)]
pub struct CachedObject {
    /// Its key in the store.
    pub key: Bytes,
    /// Empty for objects of the whole cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The revision that wrote it, which is also its resourceVersion.
    pub revision: Revision,
    /// `metadata.labels`, by key.
    pub labels: Box<[(String, String)]>,
    /// The fields that a selector may name,
    selectable: &'static [&'static str],
    /// and their values.
    fields: Box<[String]>,
    spliced: Spliced,
    /// Made when the first client wants it.
    protobuf: OnceLock<Bytes>,
}

/// Why a stored value is no object.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("its JSON is damaged: {0}")]
    Json(String),
}

impl CachedObject {
    /// Reads a stored value.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub(crate) fn read(resource: &'static ResourceInfo, kv: &KeyValue) -> Result<Self, Unreadable> {
        let spliced = envelope::decode(&kv.value)?.at(kv.mod_revision);
        let object = parse(&spliced.json).map_err(|error| Unreadable::Json(error.to_string()))?;
        let labels = object.map(&["metadata", "labels"]).into_iter().flatten();
        let label = |(key, value): (&String, &serde_json::Value)| {
            (key.clone(), value.as_str().unwrap_or_default().to_owned())
        };
        Ok(Self {
            // The store's buffer may hold more than this key.
            key: Bytes::copy_from_slice(&kv.key),
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            revision: kv.mod_revision,
            labels: labels.map(label).collect(),
            selectable: resource.selectable,
            fields: resource.selectable.iter().map(|field| resource.field_value(&object, field)).collect(),
            spliced,
            protobuf: OnceLock::new(),
        })
    }

    /// The same object, told with the revision that deleted it.
    pub(crate) fn deleted_at(&self, revision: Revision) -> Self {
        Self {
            key: self.key.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            revision,
            labels: self.labels.clone(),
            selectable: self.selectable,
            fields: self.fields.clone(),
            spliced: self.spliced.moved_to(revision),
            protobuf: OnceLock::new(),
        }
    }

    /// Its JSON in the storage version, with its resourceVersion.
    pub fn json(&self) -> &Bytes {
        &self.spliced.json
    }

    /// Its protobuf message in the storage version, which `make` makes of its JSON.
    pub(crate) fn protobuf(&self, make: impl FnOnce(&[u8]) -> Vec<u8>) -> &Bytes {
        self.protobuf.get_or_init(|| make(&self.spliced.json).into())
    }

    /// The JSON of its metadata.
    pub fn metadata(&self) -> Bytes {
        self.spliced.metadata()
    }

    /// The object, parsed anew.
    pub fn object(&self) -> Object {
        parse(&self.spliced.json).expect("it was parsed when it came into the cache")
    }

    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The value of a field that a selector may name, in the words of the storage version.
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "metadata.name" => Some(&self.name),
            "metadata.namespace" => Some(&self.namespace),
            _ => {
                let at = self.selectable.iter().position(|field| *field == name)?;
                self.fields.get(at).map(String::as_str)
            }
        }
    }

    /// Roughly how many bytes it takes in memory.
    pub(crate) fn size(&self) -> usize {
        let protobuf = self.protobuf.get().map_or(0, Bytes::len);
        size_of::<Self>() + self.key.len() + self.spliced.json.len() + protobuf
    }
}

fn parse(json: &[u8]) -> Result<Object, serde_json::Error> {
    serde_json::from_slice(json).map(Object)
}
