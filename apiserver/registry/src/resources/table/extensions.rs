//! The group `apiextensions.k8s.io`: there are no custom resources, and whoever looks is told so.
//!
//! kubectl looks before it validates what it does not find in OpenAPI (reviews), and takes a 404 for a failure.

use super::{
    super::{ResourceInfo, Verb},
    Names, of_cluster,
};

pub(super) const CUSTOM_RESOURCE_DEFINITIONS: ResourceInfo = ResourceInfo {
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    verbs: &[Verb::Get, Verb::List, Verb::Watch],
    ..of_cluster(
        "apiextensions.k8s.io",
        "v1",
        Names("CustomResourceDefinition", "customresourcedefinitions", "customresourcedefinition"),
    )
};
