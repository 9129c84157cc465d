//! Any object in outline: who it is, whose, and whether it goes.
//!
//! In: metadata of an object of any kind, as the API gives them when it is asked for no more. Out: [`Outline`], without
//! labels, annotations and `managedFields`: whoever follows all kinds follows a lot of objects.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::ApiResource;
use kube::core::DynamicResourceScope;
use serde::Deserialize;

use crate::metadata;

/// Some object.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Outline {
    /// What is kept of its metadata.
    #[serde(default, deserialize_with = "metadata::of_outline")]
    pub metadata: ObjectMeta,
}

impl Resource for Outline {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn metadata_api() -> bool {
        true
    }

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
