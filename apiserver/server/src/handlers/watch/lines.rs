//! The lines of a watch in JSON, the frames of one in protobuf.

use bytes::Bytes;
use keelson_api_registry::{resources::ResourceInfo, status::ApiError};
use keelson_api_schema::{builtin, decode_value};
use keelson_store_core::id::Revision;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    cache::{CacheEvent, CachedObject, EventType, line},
    codec::{
        Form, Media, Rendering, canonical, protobuf,
        table::{self, ListMeta},
    },
};

/// The annotation of the bookmark that ends the initial additions.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// Writes the lines of one watch.
pub(super) struct Lines {
    rendering: Rendering,
    clock: fn() -> OffsetDateTime,
    /// Whether the client has the columns of its Tables already.
    has_columns: bool,
}

impl Lines {
    /// `clock` is what ages are counted from: a line is written long after the request came.
    pub(super) fn new(rendering: Rendering, clock: fn() -> OffsetDateTime) -> Self {
        Self { rendering, clock, has_columns: false }
    }

    /// A change.
    ///
    /// # Errors
    /// 500 for an object that cannot be converted.
    pub(super) fn change(&mut self, kind: EventType, event: &CacheEvent) -> Result<Bytes, ApiError> {
        if self.rendering.is_verbatim() {
            return Ok(event.line(kind));
        }
        self.object(kind, &event.shown(kind))
    }

    /// An object that is there already.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub(super) fn addition(&mut self, object: &CachedObject) -> Result<Bytes, ApiError> {
        self.object(EventType::Added, object)
    }

    fn object(&mut self, kind: EventType, object: &CachedObject) -> Result<Bytes, ApiError> {
        if self.is_protobuf() {
            return Ok(protobuf::watch_frame(kind.name(), &self.rendering.framed(object)?).into());
        }
        let rendering = self.rendering.at((self.clock)());
        let with_columns = !std::mem::replace(&mut self.has_columns, true);
        Ok(kind.line(&rendering.document(object, with_columns)?))
    }

    fn is_protobuf(&self) -> bool {
        self.rendering.media() == Media::Protobuf
    }

    /// What is no object of the collection, from its JSON.
    fn other(&self, kind: &str, json: &[u8]) -> Bytes {
        let message = if self.is_protobuf() { protobuf::document(json) } else { None };
        message.map_or_else(|| line(kind, json), |message| protobuf::watch_frame(kind, &message).into())
    }

    /// Says that the client has seen everything up to a revision; and perhaps that this is all there was at first.
    pub(super) fn bookmark(&self, revision: Revision, ends_initial: bool) -> Bytes {
        let resource = self.rendering.resource();
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if ends_initial {
            metadata["annotations"] = json!({ INITIAL_END: "true" });
        }
        let json = match self.rendering.form() {
            Form::Object => empty(resource, &metadata),
            Form::Partial(_) => {
                let metadata = metadata.to_string();
                return self.other("BOOKMARK", &crate::codec::partial(metadata.as_bytes()));
            }
            Form::Table(_) => {
                let meta = ListMeta::at(revision.to_string());
                let head = table::head(table::columns_of(resource), &meta, false);
                [&head[..], &bookmark_row(&metadata, ends_initial), table::TAIL].concat()
            }
        };
        self.other("BOOKMARK", &json)
    }

    /// The end of a watch that failed.
    pub(super) fn failure(&self, error: &ApiError) -> Bytes {
        self.other("ERROR", &canonical(&error.status()))
    }
}

/// An object that has nothing but metadata, with what Go writes of the rest: typed clients look for it.
fn empty(resource: &ResourceInfo, metadata: &Value) -> Vec<u8> {
    let object = json!({"metadata": metadata});
    let decoded = decode_value(builtin(), resource.schema(), object);
    let mut object = decoded.expect("metadata alone make an object of every kind").value;
    object["kind"] = resource.kind.into();
    object["apiVersion"] = resource.api_version().into();
    canonical(&object)
}

/// The row of a Table's bookmark, where there is something to say that the Table's own metadata cannot hold.
fn bookmark_row(metadata: &Value, ends_initial: bool) -> Vec<u8> {
    if !ends_initial {
        return Vec::new();
    }
    let object = crate::codec::partial(metadata.to_string().as_bytes());
    [b"{\"cells\":[],\"object\":", &object[..], b"}"].concat()
}

#[cfg(test)]
mod tests {
    use keelson_api_registry::resources::{RESOURCES, find};

    use super::*;

    #[test]
    fn bookmarks_have_every_field_that_clients_require() {
        let bookmark = |resource: &ResourceInfo| -> Value {
            serde_json::from_slice(&empty(resource, &json!({"resourceVersion": "7"}))).unwrap()
        };
        for resource in RESOURCES {
            let bookmark = bookmark(resource);
            let of_kind = (bookmark["kind"].as_str(), bookmark["apiVersion"].as_str());
            assert_eq!(of_kind, (Some(resource.kind), Some(resource.api_version().as_str())));
            assert_eq!(bookmark["metadata"], json!({"resourceVersion": "7"}), "{}", resource.kind);
        }
        let bindings = find("rbac.authorization.k8s.io", "v1", "rolebindings").unwrap();
        assert_eq!(bookmark(bindings)["roleRef"], json!({"apiGroup": "", "kind": "", "name": ""}));
    }
}
