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

mod descriptions;
mod operation;
mod parameter;
mod v2;

use std::{collections::BTreeMap, sync::OnceLock};

use descriptions::Descriptions;
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
    /// The index of version 3.
    index: Document,
    /// By path.
    versions: BTreeMap<String, Version>,
    v2: OnceLock<V2Documents>,
}

/// One group and version. Its document is written again when somebody asks for it: few clients do, and all together
/// are large.
struct Version {
    resources: Vec<&'static ResourceInfo>,
    hash: String,
    document: OnceLock<Document>,
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
        let mut by_version: BTreeMap<(&str, &str), Vec<&'static ResourceInfo>> = BTreeMap::new();
        for resource in resources {
            by_version.entry((resource.group, resource.version)).or_default().push(resource);
        }
        let mut versions = BTreeMap::new();
        let mut index = Map::new();
        let shared = group_versions(by_version.keys().copied());
        for resources in by_version.into_values() {
            let root = root(resources[0]);
            let hash = Version::write(&resources, &shared).hash;
            index.insert(
                root[1..].to_owned(),
                json!({"serverRelativeURL": format!("{ROOT}{root}?hash={hash}")}),
            );
            versions.insert(format!("{ROOT}{root}"), Version { resources, hash, document: OnceLock::new() });
        }
        let index = Document::new("application/json", json!({"paths": index}).to_string().into());
        Self { index, versions, v2: OnceLock::new() }
    }

    /// The document at a path, a slash at its end or not, for a client with this `Accept` header. May take a tenth of a
    /// second.
    pub fn document(&self, path: &str, accept: Option<&str>) -> Option<&Document> {
        match path.trim_end_matches('/') {
            ROOT => Some(&self.index),
            V2 if v2::wire::is_accepted(accept) => Some(&self.v2().protobuf),
            V2 => Some(&self.v2().json),
            path => {
                let version = self.versions.get(path)?;
                Some(version.document.get_or_init(|| Version::write(&version.resources, &self.shared())))
            }
        }
    }

    /// The hash that names the newest document at a path.
    pub fn hash(&self, path: &str) -> Option<&str> {
        self.versions.get(path.trim_end_matches('/')).map(|version| version.hash.as_str())
    }

    fn shared(&self) -> Vec<GroupVersion> {
        group_versions(
            self.versions.values().map(|version| (version.resources[0].group, version.resources[0].version)),
        )
    }

    fn v2(&self) -> &V2Documents {
        self.v2.get_or_init(|| {
            let shared = self.shared();
            let of_versions =
                self.versions.values().map(|version| group_version(&version.resources, &shared));
            let document = v2::of(of_versions, VERSION);
            V2Documents {
                json: Document::new("application/json", document.to_string().into()),
                protobuf: Document::new(v2::wire::MEDIA_TYPE, v2::wire::encode(&document).into()),
            }
        })
    }
}

impl Version {
    fn write(resources: &[&ResourceInfo], shared: &[GroupVersion]) -> Document {
        Document::new("application/json", group_version(resources, shared).to_string().into())
    }
}

fn group_versions<'n>(names: impl Iterator<Item = (&'n str, &'n str)>) -> Vec<GroupVersion> {
    let owned = |(group, version): (&str, &str)| GroupVersion {
        group: group.to_owned(),
        version: version.to_owned(),
    };
    names.map(owned).collect()
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
    let components = Components::new(schema, shared, &describe).closure(&roots);
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
