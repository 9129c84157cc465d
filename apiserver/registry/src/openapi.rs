//! The OpenAPI documents: an index at `/openapi/v3`, below it one document for each group and version, and all in one
//! at `/openapi/v2`.
//!
//! In: entries of the resource table, and the schema. Out: ready documents. `kubectl apply` and `kubectl explain`
//! begin with them: they look for the parameters of PATCH, for patch strategies, and for fields.
//!
//! Deliberately absent: v3 in protobuf, caching headers. The index names every document with its hash; a URL with the
//! current hash may be cached for ever.
//!
//! Source: `k8s.io/kube-openapi/pkg/handler3`, `k8s.io/apiserver/pkg/endpoints/installer.go`.

mod operation;
mod parameter;
mod v2;

use std::{collections::BTreeMap, sync::OnceLock};

use bytes::Bytes;
use keelson_api_schema::{
    TypeId,
    openapi::{Components, GroupVersion},
};
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

/// The OpenAPI documents of a set of resources.
pub struct OpenApi {
    documents: BTreeMap<String, Document>,
    /// Written when somebody asks for it: few clients do.
    v2: OnceLock<V2Documents>,
}

/// The document of version 2 in its two forms.
struct V2Documents {
    json: Document,
    protobuf: Document,
}

/// The documents of the built-in resources, written at first use.
pub fn builtin() -> &'static OpenApi {
    static OPENAPI: OnceLock<OpenApi> = OnceLock::new();
    OPENAPI.get_or_init(|| OpenApi::of(&RESOURCES.iter().collect::<Vec<_>>()))
}

impl OpenApi {
    /// Writes the documents of these resources.
    pub fn of(resources: &[&ResourceInfo]) -> Self {
        let mut versions: BTreeMap<(&str, &str), Vec<&ResourceInfo>> = BTreeMap::new();
        for resource in resources {
            versions.entry((resource.group, resource.version)).or_default().push(resource);
        }
        let shared: Vec<GroupVersion> = versions
            .keys()
            .map(|(group, version)| GroupVersion {
                group: (*group).to_owned(),
                version: (*version).to_owned(),
            })
            .collect();
        let mut documents = BTreeMap::new();
        let mut index = Map::new();
        for resources in versions.values() {
            let root = root(resources[0]);
            let content = Bytes::from(group_version(resources, &shared).to_string());
            let document = Document::new("application/json", content);
            let url = format!("{ROOT}{root}?hash={}", document.hash);
            index.insert(root[1..].to_owned(), json!({"serverRelativeURL": url}));
            documents.insert(format!("{ROOT}{root}"), document);
        }
        let index = Bytes::from(json!({"paths": index}).to_string());
        documents.insert(ROOT.to_owned(), Document::new("application/json", index));
        Self { documents, v2: OnceLock::new() }
    }

    /// The document at a path, a slash at its end or not, for a client with this `Accept` header.
    pub fn document(&self, path: &str, accept: Option<&str>) -> Option<&Document> {
        match path.trim_end_matches('/') {
            V2 if v2::wire::is_accepted(accept) => Some(&self.v2().protobuf),
            V2 => Some(&self.v2().json),
            path => self.documents.get(path),
        }
    }

    fn v2(&self) -> &V2Documents {
        self.v2.get_or_init(|| {
            let of_versions = self.documents.iter().filter(|(path, _)| *path != ROOT);
            let of_versions: Vec<Value> = of_versions
                .map(|(_, document)| serde_json::from_slice(&document.body).expect("it was written as JSON"))
                .collect();
            let document = v2::of(of_versions.iter(), VERSION);
            V2Documents {
                json: Document::new("application/json", document.to_string().into()),
                protobuf: Document::new(v2::wire::MEDIA_TYPE, v2::wire::encode(&document).into()),
            }
        })
    }
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
    let nothing = |_: &str, _: Option<&str>| None;
    let components = Components::new(schema, shared, &nothing).closure(&roots);
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
