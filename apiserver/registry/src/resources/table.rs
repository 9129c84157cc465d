//! The entries.

use super::{
    ResourceInfo,
    Scope::{Cluster, Namespaced},
    Storage::Stored,
    Subresource,
    Verb::{self, Create, Delete, DeleteCollection, Get, List, Patch, Update, Watch},
};
use crate::strategy::Plain;

/// What can be done with an ordinary resource.
const ALL: &[Verb] = &[Create, Delete, DeleteCollection, Get, List, Patch, Update, Watch];

/// The entries, grouped by group and version.
pub static RESOURCES: &[ResourceInfo] = &[ResourceInfo {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    categories: &[],
    scope: Namespaced,
    verbs: ALL,
    subresources: &[],
    storage: Stored("configmaps"),
    columns: &[],
    selectable: &[],
    strategy: &Plain,
}];
