//! The groups `apiextensions.k8s.io` and `apiregistration.k8s.io`: there are no custom resources and no servers beside
//! this one, and whoever looks is told so.
//!
//! kubectl looks before it validates what it does not find in OpenAPI (reviews), and takes a 404 for a failure. Upstream's
//! conformance suite expects both groups of every server.

use super::{
    super::{ResourceInfo, Verb},
    Names, of_cluster,
};

const READ: &[Verb] = &[Verb::Get, Verb::List, Verb::Watch];

pub(super) const API_SERVICES: ResourceInfo = ResourceInfo {
    categories: &["api-extensions"],
    verbs: READ,
    ..of_cluster("apiregistration.k8s.io", "v1", Names("APIService", "apiservices", "apiservice"))
};

pub(super) const CUSTOM_RESOURCE_DEFINITIONS: ResourceInfo = ResourceInfo {
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    verbs: READ,
    ..of_cluster(
        "apiextensions.k8s.io",
        "v1",
        Names("CustomResourceDefinition", "customresourcedefinitions", "customresourcedefinition"),
    )
};
