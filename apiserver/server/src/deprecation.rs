//! Kinds that clients should no longer use, and what they are told about it with every answer.
//!
//! In: the resource of a request. Out: the warning, in upstream's words.
//!
//! Source: `APILifecycleDeprecated` of Kubernetes' types.

use keelson_api_registry::resources::ResourceInfo;

/// Group, version, kind and warning.
const DEPRECATED: [(&str, &str, &str, &str); 2] = [
    ("", "v1", "ComponentStatus", "v1 ComponentStatus is deprecated in v1.19+"),
    ("", "v1", "Endpoints", "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
];

/// What to tell the clients of a resource.
pub(crate) fn warning(resource: &ResourceInfo) -> Option<&'static str> {
    let is_meant = |(group, version, kind, _): &&(&str, &str, &str, &str)| {
        (resource.group, resource.version, resource.kind) == (*group, *version, *kind)
    };
    DEPRECATED.iter().find(is_meant).map(|(.., warning)| *warning)
}

#[cfg(test)]
mod tests {
    use keelson_api_registry::resources;

    use super::*;

    #[test]
    fn every_row_names_a_resource_and_nobody_else_is_warned() {
        let warned = resources::RESOURCES.iter().filter(|resource| warning(resource).is_some()).count();
        assert_eq!(warned, DEPRECATED.len());
    }
}
