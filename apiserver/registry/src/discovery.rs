//! Which groups, versions and resources there are, as `/api`, `/apis` and below tell it.
//!
//! In: entries of the resource table. Out: ready documents, each with an `ETag` that depends on the content alone,
//! so that every server of a cluster gives the same one.
//!
//! Deliberately absent: content negotiation beyond plain or aggregated, and conditional requests: they are HTTP's.
//! Also `serverAddressByClientCIDRs`: a client knows the address by which it came.
//!
//! Source: `k8s.io/apiserver/pkg/endpoints/discovery`.

use std::{collections::HashMap, sync::OnceLock};

use bytes::Bytes;
use keelson_api_schema::Encoding;
use serde_json::{Map, Value, json};

use crate::{
    document::{Document, base64, sha256},
    resources::{Conversion, RESOURCES, ResourceInfo, Storage, Subresource, Verb},
};

/// The media type of plain documents.
const JSON: &str = "application/json";

/// The media type of aggregated documents; clients look at its parameters.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Which of the two ways of telling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A small document per group and version: `APIGroupList`, `APIResourceList`, …
    Plain,
    /// Everything at once at `/api` and `/apis`: `APIGroupDiscoveryList` of `apidiscovery.k8s.io/v2`.
    Aggregated,
}

impl Form {
    /// The form that an `Accept` header asks for, and how it is to be written: the first media type that is known here. A
    /// form that is not known counts as the plain one, as does a missing header; `None`: nothing that is written here.
    pub fn accepted(accept: Option<&str>) -> Option<(Self, Encoding)> {
        let accept = accept.map(str::trim).filter(|accept| !accept.is_empty()).unwrap_or(JSON);
        let ranges = || accept.split(',').filter_map(|range| Some((range, encoding(range)?)));
        let exact = ranges().find_map(|(range, encoding)| Some((Self::of_media_type(range)?, encoding)));
        exact.or_else(|| ranges().next().map(|(_, encoding)| (Self::Plain, encoding)))
    }

    /// The parameters of its media type.
    pub fn parameters(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Aggregated => AGGREGATED.trim_start_matches(JSON),
        }
    }

    fn of_media_type(range: &str) -> Option<Self> {
        let parts = range.split(';').map(str::trim).skip(1);
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let value = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        match (value("g"), value("v"), value("as")) {
            (None, None, None) => Some(Self::Plain),
            (Some("apidiscovery.k8s.io"), Some("v2"), Some("APIGroupDiscoveryList")) => {
                Some(Self::Aggregated)
            }
            _ => None,
        }
    }
}

/// How what a media type names is written.
fn encoding(range: &str) -> Option<Encoding> {
    match range.split(';').next().unwrap_or_default().trim() {
        JSON | "application/*" | "*/*" => Some(Encoding::Json),
        "application/yaml" => Some(Encoding::Yaml),
        "application/vnd.kubernetes.protobuf" => Some(Encoding::Protobuf),
        _ => None,
    }
}

/// All discovery documents of a set of resources.
pub struct Discovery {
    documents: HashMap<(String, Form), Document>,
}

/// The discovery documents of the built-in resources.
pub fn builtin() -> &'static Discovery {
    static DISCOVERY: OnceLock<Discovery> = OnceLock::new();
    DISCOVERY.get_or_init(|| Discovery::of(&RESOURCES.iter().collect::<Vec<_>>()))
}

impl Discovery {
    /// Writes the documents of these resources. Groups and versions keep the order of `resources`.
    pub fn of(resources: &[&ResourceInfo]) -> Self {
        let groups = grouped(resources);
        let (core, named): (Vec<&Group<'_>>, Vec<&Group<'_>>) =
            groups.iter().partition(|group| group.name.is_empty());
        let mut discovery = Self { documents: HashMap::new() };
        discovery.add("/api", Form::Aggregated, &aggregated(&core));
        discovery.add("/apis", Form::Aggregated, &aggregated(&named));
        discovery.add("/api", Form::Plain, &api_versions(&core));
        discovery.add("/apis", Form::Plain, &group_list(&named));
        for group in &groups {
            if !group.name.is_empty() {
                discovery.add(&format!("/apis/{}", group.name), Form::Plain, &group.document());
            }
            for version in &group.versions {
                let group_version = api_version(group.name, version.name);
                let root = if group.name.is_empty() { "api" } else { "apis" };
                let list = version.resource_list(&group_version);
                discovery.add(&format!("/{root}/{group_version}"), Form::Plain, &list);
            }
        }
        discovery
    }

    /// The document at a path, a slash at its end or not. Where there is no aggregated document, the plain one.
    pub fn document(&self, path: &str, form: Form) -> Option<(&Document, Form)> {
        let find = |form| Some((self.documents.get(&(path.trim_end_matches('/').to_owned(), form))?, form));
        find(form).or_else(|| find(Form::Plain))
    }

    fn add(&mut self, path: &str, form: Form, content: &Value) {
        let media_type = match form {
            Form::Plain => JSON,
            Form::Aggregated => AGGREGATED,
        };
        let document = Document::new(media_type, Bytes::from(content.to_string()));
        self.documents.insert((path.to_owned(), form), document);
    }
}

/// A group with its versions, the preferred one first.
struct Group<'r> {
    name: &'static str,
    versions: Vec<Version<'r>>,
}

/// A version of a group with its resources, by name.
struct Version<'r> {
    name: &'static str,
    resources: Vec<&'r ResourceInfo>,
}

/// Groups and versions in order of first appearance.
fn grouped<'r>(resources: &[&'r ResourceInfo]) -> Vec<Group<'r>> {
    let mut groups: Vec<Group<'r>> = Vec::new();
    for resource in resources {
        let group = position_or_push(
            &mut groups,
            |group| group.name == resource.group,
            || Group { name: resource.group, versions: Vec::new() },
        );
        let versions = &mut groups[group].versions;
        let version = position_or_push(
            versions,
            |version| version.name == resource.version,
            || Version { name: resource.version, resources: Vec::new() },
        );
        versions[version].resources.push(resource);
    }
    for version in groups.iter_mut().flat_map(|group| &mut group.versions) {
        version.resources.sort_by_key(|resource| resource.plural);
    }
    groups
}

fn position_or_push<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> usize {
    list.iter().position(is_it).unwrap_or_else(|| {
        list.push(make());
        list.len() - 1
    })
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn api_versions(core: &[&Group<'_>]) -> Value {
    let versions: Vec<&str> =
        core.iter().flat_map(|group| &group.versions).map(|version| version.name).collect();
    json!({
        "kind": "APIVersions",
        "apiVersion": "v1",
        "versions": versions,
        "serverAddressByClientCIDRs": [],
    })
}

fn group_list(named: &[&Group<'_>]) -> Value {
    let groups: Vec<Value> = named.iter().map(|group| group.value().into()).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn aggregated(groups: &[&Group<'_>]) -> Value {
    let items: Vec<Value> = groups.iter().map(|group| group.aggregated()).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

impl Group<'_> {
    /// As an item of an `APIGroupList`.
    fn value(&self) -> Map<String, Value> {
        let version = |version: &Version<'_>| json!({"groupVersion": api_version(self.name, version.name), "version": version.name});
        let versions: Vec<Value> = self.versions.iter().map(version).collect();
        let mut group = Map::new();
        group.insert("name".to_owned(), self.name.into());
        if let Some(preferred) = versions.first() {
            group.insert("preferredVersion".to_owned(), preferred.clone());
        }
        group.insert("versions".to_owned(), versions.into());
        group
    }

    /// As an `APIGroup` of its own.
    fn document(&self) -> Value {
        let mut group = self.value();
        group.insert("kind".to_owned(), "APIGroup".into());
        group.insert("apiVersion".to_owned(), "v1".into());
        group.into()
    }

    /// As an `APIGroupDiscovery`.
    fn aggregated(&self) -> Value {
        let version = |version: &Version<'_>| {
            let resources: Vec<Value> =
                version.resources.iter().map(|resource| aggregated_resource(resource)).collect();
            json!({"version": version.name, "resources": resources, "freshness": "Current"})
        };
        let versions: Vec<Value> = self.versions.iter().map(version).collect();
        let metadata = if self.name.is_empty() { json!({}) } else { json!({"name": self.name}) };
        json!({"metadata": metadata, "versions": versions})
    }
}

impl Version<'_> {
    /// As an `APIResourceList`: every resource followed by its subresources.
    fn resource_list(&self, group_version: &str) -> Value {
        let entries = self.resources.iter().flat_map(|resource| {
            let below = resource.subresources.iter().map(|sub| subresource_entry(resource, sub));
            std::iter::once(resource_entry(resource)).chain(below)
        });
        let mut entries: Vec<Value> = entries.collect();
        entries.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": group_version,
            "resources": entries,
        })
    }
}

/// A resource as an `APIResource`.
fn resource_entry(resource: &ResourceInfo) -> Value {
    let mut entry = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.is_namespaced(),
        "kind": resource.kind,
        "verbs": verbs(resource.verbs),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.into();
    }
    if let Some(hash) = storage_version_hash(resource) {
        entry["storageVersionHash"] = hash.into();
    }
    entry
}

/// A subresource as an `APIResource`.
fn subresource_entry(resource: &ResourceInfo, sub: &Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", resource.plural, sub.name),
        "singularName": "",
        "namespaced": resource.is_namespaced(),
        "kind": sub.kind,
        "verbs": verbs(sub.verbs),
    });
    if let Some((group, version)) = sub.group_version {
        entry["group"] = group.into();
        entry["version"] = version.into();
    }
    entry
}

/// A resource as an `APIResourceDiscovery`.
fn aggregated_resource(resource: &ResourceInfo) -> Value {
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": response_kind(resource.group, resource.version, resource.kind),
        "scope": if resource.is_namespaced() { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource.verbs),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.into();
    }
    if !resource.subresources.is_empty() {
        let below = resource.subresources.iter().map(|sub| {
            let (group, version) = sub.group_version.unwrap_or((resource.group, resource.version));
            json!({
                "subresource": sub.name,
                "responseKind": response_kind(group, version, sub.kind),
                "verbs": verbs(sub.verbs),
            })
        });
        entry["subresources"] = below.collect();
    }
    entry
}

fn response_kind(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

/// Names of verbs, sorted as upstream sorts them.
fn verbs(verbs: &[Verb]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = verbs.iter().map(|verb| verb.name()).collect();
    names.sort_unstable();
    names
}

/// By which clients see that a resource's stored form has changed; none for what is not stored.
///
/// Source: `k8s.io/apiserver/pkg/endpoints/discovery/storageversionhash.go`.
fn storage_version_hash(resource: &ResourceInfo) -> Option<String> {
    let (group, version, kind) = match resource.storage {
        Storage::Stored(_) => (resource.group, resource.version, resource.kind),
        Storage::Converted { conversion: Conversion::Event, .. } => ("", "v1", "Event"),
        Storage::Converted { conversion: Conversion::HorizontalPodAutoscaler, .. } => {
            ("autoscaling", "v2", "HorizontalPodAutoscaler")
        }
        Storage::Question => return None,
    };
    Some(base64(&sha256(format!("{group}/{version}/{kind}").as_bytes())[..8]))
}

#[cfg(test)]
mod tests;
