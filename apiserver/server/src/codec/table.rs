//! Collections on the wire: lists of objects, of metadata, and Tables, piece by piece.
//!
//! In: what each item is. Out: the JSON before the items, of an item, and after them, so that a collection of any
//! size is sent without being held in memory as a whole.

use keelson_api_registry::{
    columns,
    object::Object,
    resources::{Column, ResourceInfo},
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Include;

/// After the last item of any collection.
pub(crate) const TAIL: &[u8] = b"]}";

/// The metadata of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListMeta {
    /// The resourceVersion.
    pub(crate) revision: String,
    /// Where the next page begins; empty on the last one.
    pub(crate) next: String,
    /// How many objects come after this page, where that is known.
    pub(crate) remaining: Option<u64>,
}

/// An object that becomes a row.
pub(crate) struct Item<'i> {
    /// The object.
    pub(crate) object: &'i Object,
    /// Its JSON.
    pub(crate) json: &'i [u8],
    /// The JSON of its metadata.
    pub(crate) metadata: &'i [u8],
}

impl ListMeta {
    /// A whole collection at a revision.
    pub(crate) fn at(revision: impl Into<String>) -> Self {
        Self { revision: revision.into(), ..Self::default() }
    }

    /// As JSON.
    pub(crate) fn json(&self) -> String {
        let mut members = Vec::new();
        for (name, text) in [("resourceVersion", &self.revision), ("continue", &self.next)] {
            if !text.is_empty() {
                members.push(format!("\"{name}\":{}", Value::from(text.as_str())));
            }
        }
        members.extend(self.remaining.map(|count| format!("\"remainingItemCount\":{count}")));
        format!("{{{}}}", members.join(","))
    }
}

/// What comes before the items of a list of a kind.
pub(crate) fn list_head(api_version: &str, list_kind: &str, meta: &ListMeta) -> Vec<u8> {
    let meta = meta.json();
    format!(r#"{{"kind":"{list_kind}","apiVersion":"{api_version}","metadata":{meta},"items":["#).into()
}

/// What comes before the rows of a Table. Without columns where the client has them already.
pub(crate) fn head(columns: &[Column], meta: &ListMeta, with_columns: bool) -> Vec<u8> {
    let meta = meta.json();
    let columns: Vec<Value> = columns.iter().map(definition).filter(|_| with_columns).collect();
    let columns = Value::from(columns);
    let start = r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":"#;
    format!(r#"{start}{meta},"columnDefinitions":{columns},"rows":["#).into()
}

/// An object's row.
pub(crate) fn row(columns: &[Column], item: &Item<'_>, include: Include, now: OffsetDateTime) -> Vec<u8> {
    let cells: Vec<Value> = columns.iter().map(|column| (column.cell)(item.object, now)).collect();
    let mut out = format!(r#"{{"cells":{}"#, Value::from(cells)).into_bytes();
    match include {
        Include::None => {}
        Include::Metadata => {
            out.extend_from_slice(b",\"object\":");
            out.extend_from_slice(&super::partial(item.metadata));
        }
        Include::Object => {
            out.extend_from_slice(b",\"object\":");
            out.extend_from_slice(item.json);
        }
    }
    out.push(b'}');
    out
}

/// The columns of a resource's objects.
pub(crate) fn columns_of(resource: &ResourceInfo) -> &'static [Column] {
    if resource.columns.is_empty() { columns::DEFAULT } else { resource.columns }
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.kind,
        "format": column.format(),
        "description": "",
        "priority": column.priority,
    })
}
