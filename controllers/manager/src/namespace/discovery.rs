//! Which kinds there may be in a namespace.
//!
//! In: what the API server says that it serves. Out: every namespaced kind that can be listed and deleted, each in the
//! version that the server prefers, and what the server could not say.

use kube::Client;
use kube::api::ApiResource;
use kube::core::discovery::v2::{APIGroupDiscovery, APIGroupDiscoveryList, APIResourceDiscovery};

use super::said;

/// What the API server said.
#[derive(Debug, Default)]
pub(super) struct Discovered {
    pub(super) kinds: Vec<ApiResource>,
    /// Groups and versions about which it could not be asked; upstream's words.
    pub(super) failures: Vec<String>,
    /// Whether it could be asked at all.
    pub(super) answered: bool,
}

pub(super) async fn discover(client: &Client) -> Discovered {
    let (core, groups) =
        futures_util::join!(client.list_core_api_versions_aggregated(), client.list_api_groups_aggregated());
    match (core, groups) {
        (Ok(core), Ok(groups)) => deletable(&[core, groups]),
        (Err(error), _) | (_, Err(error)) => {
            Discovered { failures: vec![said(&error)], ..Discovered::default() }
        }
    }
}

fn deletable(lists: &[APIGroupDiscoveryList]) -> Discovered {
    let mut discovered = Discovered { answered: true, ..Discovered::default() };
    for group in lists.iter().flat_map(|list| &list.items) {
        add_group(group, &mut discovered);
    }
    discovered
}

fn add_group(group: &APIGroupDiscovery, discovered: &mut Discovered) {
    let name = group.metadata.as_ref().and_then(|meta| meta.name.as_deref()).unwrap_or_default();
    for version in &group.versions {
        let version_name = version.version.as_deref().unwrap_or_default();
        if version.freshness.as_deref() == Some("Stale") {
            let version = joined(name, version_name);
            discovered.failures.push(format!("{version}: stale GroupVersion discovery: {version}"));
        }
        for resource in version.resources.iter().filter(|resource| is_deletable(resource)) {
            let plural = resource.resource.as_deref().unwrap_or_default();
            // Versions come in the server's order of preference.
            if !discovered.kinds.iter().any(|known| known.group == name && known.plural == plural) {
                discovered.kinds.push(api_resource(name, version_name, plural, resource));
            }
        }
    }
}

fn is_deletable(resource: &APIResourceDiscovery) -> bool {
    let can = |verb: &str| resource.verbs.iter().any(|known| known == verb);
    resource.scope.as_deref() == Some("Namespaced") && can("delete") && can("list")
}

fn api_resource(group: &str, version: &str, plural: &str, resource: &APIResourceDiscovery) -> ApiResource {
    let kind = resource.response_kind.as_ref().and_then(|kind| kind.kind.clone());
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: joined(group, version),
        kind: kind.unwrap_or_default(),
        plural: plural.to_owned(),
    }
}

fn joined(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resource(plural: &str, scope: &str, verbs: &[&str]) -> serde_json::Value {
        json!({"resource": plural, "scope": scope, "verbs": verbs, "responseKind": {"kind": "Some"}})
    }

    #[test]
    fn kinds_are_namespaced_listable_and_deletable_in_their_preferred_version() {
        let all = ["create", "delete", "list"];
        let lists = json!([
            {"items": [{"versions": [{"version": "v1", "freshness": "Current", "resources": [
                resource("pods", "Namespaced", &all), resource("nodes", "Cluster", &all),
                resource("bindings", "Namespaced", &["create"])]}]}]},
            {"items": [{"metadata": {"name": "autoscaling"}, "versions": [
                {"version": "v2", "resources": [resource("horizontalpodautoscalers", "Namespaced", &all)]},
                {"version": "v1", "resources": [resource("horizontalpodautoscalers", "Namespaced", &all),
                                                resource("old", "Namespaced", &all)]}]}]},
        ]);
        let lists: Vec<APIGroupDiscoveryList> = serde_json::from_value(lists).unwrap();
        let discovered = deletable(&lists);
        let names: Vec<String> =
            discovered.kinds.iter().map(|kind| format!("{} {}", kind.api_version, kind.plural)).collect();
        assert_eq!(names, ["v1 pods", "autoscaling/v2 horizontalpodautoscalers", "autoscaling/v1 old"]);
        assert!(discovered.failures.is_empty());
    }

    #[test]
    fn a_stale_version_is_a_failure() {
        let lists = json!([{"items": [{"metadata": {"name": "x.io"}, "versions": [
            {"version": "v1", "freshness": "Stale", "resources": []}]}]}]);
        let lists: Vec<APIGroupDiscoveryList> = serde_json::from_value(lists).unwrap();
        assert_eq!(deletable(&lists).failures, ["x.io/v1: stale GroupVersion discovery: x.io/v1"]);
    }
}
