//! Answers in Kubernetes' binary encoding.
//!
//! In: canonical JSON, or messages that were made of it before. Out: bodies, and the frames of a watch.
//!
//! Deliberately absent: Tables, for which upstream has no message either.
//!
//! Source: `k8s.io/apimachinery/pkg/runtime/serializer/protobuf`, and there `RawSerializer` for the frames of watches.

use bytes::Bytes;
use keelson_api_schema::{
    TypeId, builtin, encode_protobuf, protobuf_field, protobuf_field_head, protobuf_frame_around,
    protobuf_message,
};
use serde_json::Value;

/// Roughly how many bytes of a list are made and sent at once.
const PIECE: usize = 64 << 10;

/// The media type.
pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The media type of a watch.
pub(crate) const PROTOBUF_WATCH: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// An object's body from its canonical JSON; `None` for a kind that has no message.
pub(crate) fn document(json: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(json).ok()?;
    // The schema knows the type of Tables, which has no message.
    let ty = super::type_of(&value).filter(|_| value["kind"] != "Table")?;
    Some(encode_protobuf(builtin(), ty, &value))
}

/// The message of a part or an object of a type.
pub(crate) fn message(ty: TypeId, json: &[u8]) -> Vec<u8> {
    let value: Value = serde_json::from_slice(json).expect("canonical JSON is JSON");
    protobuf_message(builtin(), ty, &value)
}

/// The message of `PartialObjectMetadata` with this metadata.
pub(crate) fn partial_message(metadata: &[u8]) -> Vec<u8> {
    let partial = builtin().lookup("meta/v1.PartialObjectMetadata").expect("the table has it");
    message(partial, &super::partial(metadata))
}

/// A list's body from its metadata's JSON and the messages of its items: how long it is, and its pieces.
///
/// Lengths stand in front of what they count, so all are known before anything is written, and nothing is held twice.
pub(crate) fn list(
    (api_version, kind): (&str, &str),
    metadata: &str,
    items: Vec<Bytes>,
) -> (usize, impl Iterator<Item = Bytes> + Send + use<>) {
    let item_head = |item: &Bytes| {
        let mut head = Vec::with_capacity(8);
        protobuf_field_head(2, item.len(), &mut head);
        head
    };
    let mut list_head = Vec::new();
    let list_meta = builtin().lookup("meta/v1.ListMeta").expect("the table has it");
    protobuf_field(1, &message(list_meta, metadata.as_bytes()), &mut list_head);
    let of_items: usize = items.iter().map(|item| item_head(item).len() + item.len()).sum();
    let (mut before, behind) = protobuf_frame_around(api_version, kind, list_head.len() + of_items);
    before.append(&mut list_head);
    let length = before.len() + of_items + behind.len();
    let mut parts = std::iter::once(Bytes::from(before))
        .chain(items.into_iter().flat_map(move |item| [item_head(&item).into(), item]))
        .chain(std::iter::once(behind.into()));
    let piece = move || {
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            let Some(part) = parts.next() else { break };
            piece.extend_from_slice(&part);
        }
        (!piece.is_empty()).then(|| piece.into())
    };
    (length, std::iter::from_fn(piece))
}

/// A frame of a watch: its length in four bytes, then a `WatchEvent` without a frame of its own around an object that
/// has one.
pub(crate) fn watch_frame(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut extension = Vec::with_capacity(object.len() + 6);
    protobuf_field(1, object, &mut extension);
    let mut event = Vec::with_capacity(extension.len() + kind.len() + 8);
    protobuf_field(1, kind.as_bytes(), &mut event);
    protobuf_field(2, &extension, &mut event);
    let length = u32::try_from(event.len()).expect("an object is far smaller than 4 GiB");
    [&length.to_be_bytes()[..], &event].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_and_a_partial_object_have_messages_and_a_table_has_none() {
        let status = br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}"#;
        assert!(document(status).unwrap().starts_with(b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Status"));
        let partial =
            br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a"}}"#;
        assert!(document(partial).is_some());
        assert_eq!(document(br#"{"kind":"Table","apiVersion":"meta.k8s.io/v1"}"#), None);
    }

    #[test]
    fn a_frame_has_its_length_in_front() {
        assert_eq!(watch_frame("ADDED", b"k8s\0"), b"\0\0\0\x0f\x0a\x05ADDED\x12\x06\x0a\x04k8s\0");
    }

    #[test]
    fn a_list_has_its_metadata_and_its_items_as_messages() {
        let long = Bytes::from(vec![b'x'; PIECE]);
        let items = vec![Bytes::from_static(b"a"), Bytes::from_static(b"bc"), long.clone(), long.clone()];
        let (length, pieces) = list(("v1", "PodList"), r#"{"resourceVersion":"7"}"#, items);
        let pieces: Vec<Bytes> = pieces.collect();
        let list = pieces.concat();
        assert_eq!((list.len(), pieces.len()), (length, 3));
        let meta = b"\x0a\x07\x0a\x00\x12\x017\x1a\x00";
        let long = [b"\x12\x80\x80\x04", &long[..]].concat();
        let raw = [&meta[..], b"\x12\x01a\x12\x02bc", &long, &long].concat();
        assert!(list == keelson_api_schema::protobuf_frame("v1", "PodList", &raw));
    }
}
