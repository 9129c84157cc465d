//! The OpenAPI documents: an index at `/openapi/v3`, below it one document for each group and version and for each path that
//! is no resource, and all in one at `/openapi/v2`.
//!
//! In: entries of the resource table, and the schema. Out: ready documents. `kubectl apply` and `kubectl explain`
//! begin with them: they look for the parameters of PATCH, for patch strategies, and for fields.
//!
//! Deliberately absent: caching headers. The index names every document with its hash; a URL with the current hash may be
//! cached for ever.
//!
//! Source: `k8s.io/kube-openapi/pkg/handler3`, `k8s.io/apiserver/pkg/endpoints/installer.go`,
//! `k8s.io/apiserver/pkg/server/routes/openapi.go`.

mod accept;
mod descriptions;
mod operation;
mod page;
mod parameter;
mod v2;
mod v3;
mod wire;

use std::{collections::BTreeMap, sync::OnceLock};

use accept::Form;
use descriptions::Descriptions;
use keelson_api_schema::{
    TypeId,
    openapi::{Components, GroupVersion},
};
use page::Page;
use serde_json::{Map, Value, json};

use crate::{
    document::Document,
    resources::{RESOURCES, ResourceInfo, Scope, Verb},
};

/// The version that the documents give as theirs.
const VERSION: &str = "v1.37.0";

/// Where the documents are.
const ROOT: &str = "/openapi/v3";

/// Where the document of version 2 is.
const V2: &str = "/openapi/v2";

/// JSON's media type.
const JSON: &str = "application/json";

/// The OpenAPI documents of a set of resources.
pub struct OpenApi {
    /// The index of version 3.
    index: Document,
    /// By path.
    parts: BTreeMap<String, Part>,
    /// All groups and versions.
    shared: Vec<GroupVersion>,
    v2: OnceLock<V2Documents>,
}

/// Why there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing is at this path.
    NotFound,
    /// It has no form that the client accepts.
    NotAcceptable,
}

/// A document of the index. It is written again when somebody asks for it: few clients do, and all together are large.
struct Part {
    topic: Topic,
    hash: String,
    json: OnceLock<Document>,
    protobuf: OnceLock<Document>,
}

/// What a document is about.
enum Topic {
    /// A group and version, with its resources, which are never none.
    Resources(Vec<&'static ResourceInfo>),
    /// A path that is no resource.
    Page(Page),
}

/// The document of version 2 in its two forms.
struct V2Documents {
    json: Document,
    protobuf: Document,
}

/// The documents of the built-in resources. The first call writes all of them, to know their hashes: a tenth of a second.
pub fn builtin() -> &'static OpenApi {
    static OPENAPI: OnceLock<OpenApi> = OnceLock::new();
    OPENAPI.get_or_init(|| OpenApi::of(&RESOURCES.iter().collect::<Vec<_>>()))
}

impl OpenApi {
    /// Of these resources.
    pub fn of(resources: &[&'static ResourceInfo]) -> Self {
        let topics = topics(resources);
        let shared: Vec<GroupVersion> = topics.iter().filter_map(Topic::group_version).collect();
        let mut parts = BTreeMap::new();
        let mut index = Map::new();
        for topic in topics {
            let part = Part::new(topic, &shared);
            let path = part.topic.path();
            let url = format!("{ROOT}{path}?hash={}", part.hash);
            index.insert(path.trim_start_matches('/').to_owned(), json!({"serverRelativeURL": url}));
            parts.insert(format!("{ROOT}{path}"), part);
        }
        let index = Document::new(JSON, json!({"paths": index}).to_string().into());
        Self { index, parts, shared, v2: OnceLock::new() }
    }

    /// The document at a path, a slash at its end or not, for a client with this `Accept` header. May take a tenth of a
    /// second.
    ///
    /// # Errors
    /// Where there is none, or none that the client accepts.
    pub fn document(&self, path: &str, accept: Option<&str>) -> Result<&Document, Missing> {
        let form = |protobuf: &[&str]| Form::accepted(accept, protobuf).ok_or(Missing::NotAcceptable);
        match path.trim_end_matches('/') {
            // Upstream does not look at what is accepted here.
            ROOT => Ok(&self.index),
            V2 => Ok(self.v2().document(form(&v2::wire::MEDIA_TYPES)?)),
            path => {
                let part = self.parts.get(path).ok_or(Missing::NotFound)?;
                Ok(part.document(form(&v3::MEDIA_TYPES)?, &self.shared))
            }
        }
    }

    /// The hash that names the newest document at a path.
    pub fn hash(&self, path: &str) -> Option<&str> {
        self.parts.get(path.trim_end_matches('/')).map(|part| part.hash.as_str())
    }

    fn v2(&self) -> &V2Documents {
        self.v2.get_or_init(|| {
            let documents = self.parts.values().map(|part| part.topic.document(&self.shared));
            let document = v2::of(documents, VERSION);
            let [media_type, _] = v2::wire::MEDIA_TYPES;
            V2Documents {
                json: Document::new(JSON, document.to_string().into()),
                protobuf: Document::new(media_type, v2::wire::encode(&document).into()),
            }
        })
    }
}

impl Part {
    fn new(topic: Topic, shared: &[GroupVersion]) -> Self {
        let hash = json_document(&topic.document(shared)).hash;
        Self { topic, hash, json: OnceLock::new(), protobuf: OnceLock::new() }
    }

    fn document(&self, form: Form, shared: &[GroupVersion]) -> &Document {
        match form {
            Form::Json => self.json.get_or_init(|| json_document(&self.topic.document(shared))),
            Form::Protobuf => self.protobuf.get_or_init(|| {
                let [media_type, _] = v3::MEDIA_TYPES;
                let body = v3::encode(&self.topic.document(shared)).into();
                // The hash names the document in all its forms: it is part of its URL.
                Document { media_type, body, hash: self.hash.clone() }
            }),
        }
    }
}

impl Topic {
    fn path(&self) -> String {
        match self {
            Self::Resources(resources) => root(resources[0]),
            Self::Page(page) => page.path.clone(),
        }
    }

    fn group_version(&self) -> Option<GroupVersion> {
        match self {
            Self::Resources(resources) => {
                let (group, version) = (resources[0].group.to_owned(), resources[0].version.to_owned());
                Some(GroupVersion { group, version })
            }
            Self::Page(_) => None,
        }
    }

    fn document(&self, shared: &[GroupVersion]) -> Value {
        match self {
            Self::Resources(resources) => group_version(resources, shared),
            Self::Page(page) => page.document(shared),
        }
    }
}

impl V2Documents {
    fn document(&self, form: Form) -> &Document {
        match form {
            Form::Json => &self.json,
            Form::Protobuf => &self.protobuf,
        }
    }
}

fn json_document(document: &Value) -> Document {
    Document::new(JSON, document.to_string().into())
}

/// What there are documents about.
fn topics(resources: &[&'static ResourceInfo]) -> Vec<Topic> {
    let mut by_version: BTreeMap<(&str, &str), Vec<&'static ResourceInfo>> = BTreeMap::new();
    for resource in resources {
        by_version.entry((resource.group, resource.version)).or_default().push(resource);
    }
    let mut groups: Vec<&str> = by_version.keys().map(|(group, _)| *group).collect();
    groups.dedup();
    let pages = page::all(groups.into_iter());
    by_version.into_values().map(Topic::Resources).chain(pages.into_iter().map(Topic::Page)).collect()
}

/// `/api/v1`, `/apis/apps/v1`.
fn root(resource: &ResourceInfo) -> String {
    match resource.group {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    }
}

/// The document of one group and version; its resources are never none.
fn group_version(resources: &[&ResourceInfo], shared: &[GroupVersion]) -> Value {
    let schema = keelson_api_schema::builtin();
    let mut paths = Map::new();
    let mut roots: Vec<TypeId> = Vec::new();
    paths.insert(format!("{}/", root(resources[0])), operation::resources_path(resources[0]));
    roots.extend(schema.lookup("meta/v1.APIResourceList"));
    for resource in resources {
        for (path, item) in resource_paths(resource) {
            paths.insert(path, item);
        }
        roots.extend(operation::roots(resource));
    }
    let descriptions = Descriptions::of(resources[0].group, resources[0].version);
    let describe = |component: &str, field: Option<&str>| descriptions.get(component, field);
    frame(&paths, &Components::new(schema, shared, &describe).closure(&roots))
}

/// A document with these paths and types.
fn frame(paths: &Map<String, Value>, components: &Map<String, Value>) -> Value {
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey",
                    "description": "Bearer Token authentication",
                    "name": "authorization",
                    "in": "header",
                },
            },
        },
        "security": [{"BearerToken": []}],
    })
}

/// The paths of a resource, its collection's, its objects' and what is below them.
fn resource_paths(resource: &ResourceInfo) -> Vec<(String, Value)> {
    let root = root(resource);
    let everywhere = format!("{root}/{}", resource.plural);
    let collection = match resource.scope {
        Scope::Cluster => everywhere.clone(),
        Scope::Namespaced => format!("{root}/namespaces/{{namespace}}/{}", resource.plural),
    };
    let object = format!("{collection}/{{name}}");
    let mut paths = vec![(collection, operation::collection_path(resource))];
    if resource.is_namespaced() && resource.can(Verb::List) {
        paths.push((everywhere, operation::everywhere_path(resource)));
    }
    if resource.can(Verb::Get) {
        paths.push((object.clone(), operation::object_path(resource)));
    }
    for sub in resource.subresources {
        paths.push((format!("{object}/{}", sub.name), operation::subresource_path(resource, sub)));
    }
    paths
}

#[cfg(test)]
mod tests;
