//! Which kinds the API serves, and which of them the collector watches: pure.
//!
//! In: aggregated discovery documents. Out: a [`Catalogue`].
//!
//! Deliberately absent from what is watched: events, of which there are many and which own nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kube::core::discovery::{
    ApiResource,
    v2::{APIGroupDiscovery, APIGroupDiscoveryList, APIResourceDiscovery},
    verbs,
};

use super::collector::Kind;

/// What a resource must allow to be watched: it is pointless to know what cannot be deleted.
const WATCHED_VERBS: [&str; 3] = [verbs::DELETE, verbs::LIST, verbs::WATCH];

/// Resources that are never watched: group and plural.
const IGNORED: [(&str, &str); 2] = [("", "events"), ("events.k8s.io", "events")];

/// All kinds of all versions that are served.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Catalogue {
    /// By `apiVersion` and `kind`.
    kinds: HashMap<(String, String), (ApiResource, Kind)>,
}

impl Catalogue {
    /// Of what `/api` and `/apis` say.
    pub(super) fn new(documents: &[APIGroupDiscoveryList]) -> Self {
        let mut catalogue = Self::default();
        for group in documents.iter().flat_map(|document| &document.items) {
            catalogue.add(group);
        }
        catalogue
    }

    /// A kind, if it is served.
    pub(super) fn find(&self, api_version: &str, kind: &str) -> Option<&(ApiResource, Kind)> {
        self.kinds.get(&(api_version.to_owned(), kind.to_owned()))
    }

    /// Those to watch, by `apiVersion` and `kind`: each resource once, in the version that its group prefers.
    pub(super) fn watched(&self) -> BTreeMap<(String, String), ApiResource> {
        let watched = self.kinds.iter().filter(|(_, (_, kind))| kind.is_watched);
        watched.map(|(name, (resource, _))| (name.clone(), resource.clone())).collect()
    }

    fn add(&mut self, group: &APIGroupDiscovery) {
        let name = group.metadata.as_ref().and_then(|it| it.name.as_deref()).unwrap_or_default();
        let mut seen = BTreeSet::new();
        // Preferred versions come first.
        for version in &group.versions {
            let number = version.version.as_deref().unwrap_or_default();
            for resource in &version.resources {
                let Some((api, kind)) = describe(name, number, resource) else { continue };
                let is_new = seen.insert(api.plural.clone());
                let kind = Kind { is_watched: kind.is_watched && is_new, ..kind };
                self.kinds.insert((api.api_version.clone(), api.kind.clone()), (api, kind));
            }
        }
    }
}

fn describe(group: &str, version: &str, resource: &APIResourceDiscovery) -> Option<(ApiResource, Kind)> {
    let plural = resource.resource.clone()?;
    let kind = resource.response_kind.as_ref()?.kind.clone().filter(|kind| !kind.is_empty())?;
    let allows = |verb: &&str| resource.verbs.iter().any(|it| it == verb);
    if !allows(&verbs::GET) {
        return None;
    }
    let is_watched = WATCHED_VERBS.iter().all(allows) && !IGNORED.contains(&(group, &plural));
    let is_namespaced = resource.scope.as_deref() == Some("Namespaced");
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let api = ApiResource { group: group.to_owned(), version: version.to_owned(), api_version, kind, plural };
    Some((api, Kind { is_namespaced, is_watched }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn catalogue(groups: &Value) -> Catalogue {
        Catalogue::new(&[serde_json::from_value(json!({ "items": groups })).unwrap()])
    }

    fn resource(plural: &str, kind: &str, scope: &str, verbs: &[&str]) -> Value {
        json!({"resource": plural, "responseKind": {"kind": kind}, "scope": scope, "verbs": verbs})
    }

    const ALL: [&str; 4] = ["get", "list", "watch", "delete"];

    #[test]
    fn a_resource_is_watched_once_in_its_preferred_version_and_known_in_all() {
        let widgets = || resource("widgets", "Widget", "Namespaced", &ALL);
        let old_only = resource("gadgets", "Gadget", "Cluster", &ALL);
        let catalogue = catalogue(&json!([{"metadata": {"name": "shop.example"}, "versions": [
            {"version": "v2", "resources": [widgets()]},
            {"version": "v1", "resources": [widgets(), old_only]},
        ]}]));
        let watched: Vec<_> = catalogue.watched().into_keys().collect();
        let name = |version: &str, kind: &str| (format!("shop.example/{version}"), kind.to_owned());
        assert_eq!(watched, [name("v1", "Gadget"), name("v2", "Widget")]);
        let (api, kind) = catalogue.find("shop.example/v1", "Widget").unwrap();
        assert_eq!((api.plural.as_str(), kind.is_namespaced, kind.is_watched), ("widgets", true, false));
    }

    #[test]
    fn what_cannot_be_deleted_or_only_tells_what_happened_is_not_watched() {
        let catalogue = catalogue(&json!([
            {"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": [
                resource("events", "Event", "Namespaced", &ALL),
                resource("componentstatuses", "ComponentStatus", "Cluster", &["get", "list"]),
                resource("bindings", "Binding", "Namespaced", &["create"]),
                resource("nodes", "Node", "Cluster", &ALL),
            ]}]},
            {"metadata": {"name": "events.k8s.io"}, "versions": [{"version": "v1", "resources": [
                resource("events", "Event", "Namespaced", &ALL),
            ]}]},
        ]));
        assert_eq!(catalogue.watched().into_keys().collect::<Vec<_>>(), [("v1".into(), "Node".into())]);
        assert!(catalogue.find("v1", "Event").is_some(), "an event can own something, oddly");
        assert!(catalogue.find("v1", "Binding").is_none(), "there is nothing to get");
    }
}
