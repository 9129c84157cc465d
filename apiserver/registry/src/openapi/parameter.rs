//! The parameters of operations.

use keelson_api_schema::{Shape, builtin};
use serde_json::{Value, json};

use crate::resources::ResourceInfo;

/// A query parameter: name, type, what it does.
type Query = (&'static str, &'static str, &'static str);

/// For operations that write.
const WRITE: &[Query] = &[
    ("dryRun", "string", "All: do everything but store the result."),
    ("fieldManager", "string", "The name of the program that makes the change."),
    (
        "fieldValidation",
        "string",
        "What happens to unknown and duplicate fields: Ignore drops them, Warn drops them with a warning, Strict \
         refuses the request.",
    ),
];

/// For patches, beside those of writes.
const PATCH: &[Query] =
    &[("force", "boolean", "Take over fields that another manager owns. Only for server-side apply.")];

/// For deletions.
const DELETE: &[Query] = &[
    ("dryRun", "string", "All: do everything but delete."),
    ("gracePeriodSeconds", "integer", "How long the object may take to end; 0 ends it at once."),
    ("orphanDependents", "boolean", "Superseded by propagationPolicy: whether dependents are kept."),
    ("propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground."),
];

/// For reads and deletions of collections.
const SELECT: &[Query] = &[
    ("continue", "string", "The token with which the page before ended."),
    ("fieldSelector", "string", "Only objects whose fields match."),
    ("labelSelector", "string", "Only objects whose labels match."),
    ("limit", "integer", "How many objects a page may have."),
    ("resourceVersion", "string", "From which state on the answer may be."),
    ("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    ("sendInitialEvents", "boolean", "Whether a watch begins with the objects that there are."),
    ("timeoutSeconds", "integer", "How long the request may last."),
];

/// For lists, beside those of collections.
const WATCH: &[Query] = &[
    ("allowWatchBookmarks", "boolean", "Whether a watch may send events that only tell how far it has come."),
    ("watch", "boolean", "Send changes as they happen instead of a list."),
];

/// Which parameters an operation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameters {
    None,
    Write,
    Patch,
    Delete,
    DeleteCollection,
    List,
}

impl Parameters {
    /// As OpenAPI has them, by name.
    pub(super) fn values(self) -> Vec<Value> {
        let groups: &[&[Query]] = match self {
            Self::None => &[],
            Self::Write => &[WRITE],
            Self::Patch => &[WRITE, PATCH],
            Self::Delete => &[DELETE],
            Self::DeleteCollection => &[DELETE, SELECT],
            Self::List => &[SELECT, WATCH],
        };
        let mut parameters: Vec<&Query> = groups.iter().copied().flatten().collect();
        parameters.sort_unstable();
        parameters.into_iter().map(query).collect()
    }
}

/// What every path has, and the parts of its own.
pub(super) fn of_path(namespaced: bool, named: bool) -> Vec<Value> {
    let mut parameters = Vec::new();
    if named {
        parameters.push(part("name", "The object's name."));
    }
    if namespaced {
        parameters.push(part("namespace", "The namespace in which the objects live."));
    }
    parameters.push(query(&("pretty", "string", "true: write the answer for the human eye.")));
    parameters
}

/// The fields of a kind of options, by name.
pub(super) fn of_options(resource: &ResourceInfo, kind: &str) -> Vec<Value> {
    let schema = builtin();
    let options = schema.lookup_kind(resource.group, resource.version, kind);
    let fields = options.and_then(|id| schema.get(id).as_struct()).map_or(&[][..], |options| &options.fields);
    let own = fields.iter().filter(|field| !matches!(field.name.as_ref(), "kind" | "apiVersion"));
    let mut parameters: Vec<Value> = own
        .map(|field| {
            let shape = &schema.get(field.ty).shape;
            // A list is one parameter, given several times.
            let shape = if let Shape::List { item, .. } = shape { &schema.get(*item).shape } else { shape };
            let kind = match shape {
                Shape::Bool => "boolean",
                Shape::Int32 | Shape::Int64 => "integer",
                _ => "string",
            };
            let schema = json!({"type": kind, "uniqueItems": true});
            json!({"name": field.name, "in": "query", "schema": schema})
        })
        .collect();
    parameters.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    parameters
}

fn part(name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "description": description,
        "required": true,
        "schema": {"type": "string", "uniqueItems": true},
    })
}

fn query((name, kind, description): &Query) -> Value {
    json!({
        "name": name,
        "in": "query",
        "description": description,
        "schema": {"type": kind, "uniqueItems": true},
    })
}
