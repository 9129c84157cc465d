//! What types and their fields are for, in upstream's words.
//!
//! In: a group and version. Out: the descriptions of its kinds and of everything that they refer to, by component and
//! field. They come from the `k8s-openapi` crate while a document is written, and are not kept: THE table says which of
//! its types a group and version needs.
//!
//! Deliberately absent: what that crate does not describe, which are lists; they all read alike.

use std::collections::HashMap;

use k8s_openapi::{
    api,
    apiextensions_apiserver::pkg::apis::apiextensions,
    apimachinery::pkg::{apis::meta, version},
    kube_aggregator::pkg::apis::apiregistration,
    schemars::{SchemaGenerator, generate::SchemaSettings},
};
use serde_json::{Map, Value};

/// What a list says of itself and of its fields, where the crate has no type for it.
const LIST_FIELDS: [(&str, &str); 2] = [
    ("items", "The objects."),
    ("metadata", "Standard list metadata: the resourceVersion at which the list was read."),
];

/// A group, a version, and what reads its types.
type Row = (&'static str, &'static str, fn(&mut SchemaGenerator));

macro_rules! types {
    ($($group:literal $version:ident: $($module:ident)::+ { $($kind:ident)* })*) => {
        [$(($group, stringify!($version), |generator: &mut SchemaGenerator| {
            use $($module)::+ as types;
            $(generator.subschema_for::<types::$kind>();)*
        })),*]
    };
}

/// The types of each group and version.
static TYPES: &[Row] = &types! {
    "" v1: api::core::v1 {
        Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume
        PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount
    }
    "admissionregistration.k8s.io" v1: api::admissionregistration::v1 {
        MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
        ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration
    }
    "apiextensions.k8s.io" v1: apiextensions::v1 { CustomResourceDefinition }
    "apiregistration.k8s.io" v1: apiregistration::v1 { APIService }
    "apps" v1: api::apps::v1 { ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet }
    "authentication.k8s.io" v1: api::authentication::v1 { SelfSubjectReview TokenRequest TokenReview }
    "authorization.k8s.io" v1: api::authorization::v1 {
        LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview
    }
    "autoscaling" v1: api::autoscaling::v1 { HorizontalPodAutoscaler Scale }
    "autoscaling" v2: api::autoscaling::v2 { HorizontalPodAutoscaler }
    "batch" v1: api::batch::v1 { CronJob Job }
    "certificates.k8s.io" v1: api::certificates::v1 {
        CertificateSigningRequest ClusterTrustBundle PodCertificateRequest
    }
    "coordination.k8s.io" v1: api::coordination::v1 { Lease }
    "discovery.k8s.io" v1: api::discovery::v1 { EndpointSlice }
    "events.k8s.io" v1: api::events::v1 { Event }
    "flowcontrol.apiserver.k8s.io" v1: api::flowcontrol::v1 { FlowSchema PriorityLevelConfiguration }
    "networking.k8s.io" v1: api::networking::v1 { IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR }
    "node.k8s.io" v1: api::node::v1 { RuntimeClass }
    "policy" v1: api::policy::v1 { Eviction PodDisruptionBudget }
    "rbac.authorization.k8s.io" v1: api::rbac::v1 { ClusterRole ClusterRoleBinding Role RoleBinding }
    "resource.k8s.io" v1: api::resource::v1 {
        DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice
    }
    "scheduling.k8s.io" v1: api::scheduling::v1 { PriorityClass }
    "storage.k8s.io" v1: api::storage::v1 {
        CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass
    }
    "storagemigration.k8s.io" v1: api::storagemigration::v1 { StorageVersionMigration }
};

/// What every document refers to, and what is below objects of other groups.
fn shared(generator: &mut SchemaGenerator) {
    generator.subschema_for::<meta::v1::APIResourceList>();
    generator.subschema_for::<meta::v1::DeleteOptions>();
    generator.subschema_for::<meta::v1::ListMeta>();
    generator.subschema_for::<meta::v1::Patch>();
    generator.subschema_for::<meta::v1::Status>();
    generator.subschema_for::<meta::v1::WatchEvent<Value>>();
    generator.subschema_for::<api::authentication::v1::TokenRequest>();
    generator.subschema_for::<api::autoscaling::v1::Scale>();
    generator.subschema_for::<api::policy::v1::Eviction>();
}

/// The descriptions of one group and version.
pub(super) struct Descriptions {
    /// By component.
    types: HashMap<String, Described>,
}

#[derive(Default)]
struct Described {
    own: Option<String>,
    /// By field.
    fields: HashMap<String, String>,
}

impl Descriptions {
    /// Of what a group and version has.
    pub(super) fn of(group: &str, version: &str) -> Self {
        let mut generator = SchemaGenerator::new(SchemaSettings::default());
        shared(&mut generator);
        for (_, _, read) in TYPES.iter().filter(|row| (row.0, row.1) == (group, version)) {
            read(&mut generator);
        }
        Self::taken(generator)
    }

    /// Of what paths that are no resources answer with.
    pub(super) fn of_pages() -> Self {
        let mut generator = SchemaGenerator::new(SchemaSettings::default());
        generator.subschema_for::<meta::v1::APIGroupList>();
        generator.subschema_for::<meta::v1::APIVersions>();
        generator.subschema_for::<version::Info>();
        Self::taken(generator)
    }

    fn taken(mut generator: SchemaGenerator) -> Self {
        let definitions = generator.take_definitions(false);
        Self { types: definitions.into_iter().map(|(name, schema)| (name, Described::of(schema))).collect() }
    }

    /// Of a component, or of one of its fields.
    pub(super) fn get(&self, component: &str, field: Option<&str>) -> Option<String> {
        match (self.types.get(component), field) {
            (Some(known), None) => known.own.clone(),
            (Some(known), Some(field)) => known.fields.get(field).cloned(),
            (None, field) => self.of_list(component, field),
        }
    }

    /// A list speaks as its items do.
    fn of_list(&self, component: &str, field: Option<&str>) -> Option<String> {
        let item = component.strip_suffix("List")?;
        let known = self.types.get(item)?;
        let Some(field) = field else {
            let kind = item.rsplit('.').next().unwrap_or(item);
            return Some(format!("{kind}List is a list of objects of the kind {kind}."));
        };
        let own = LIST_FIELDS.iter().find(|(name, _)| *name == field);
        own.map(|(_, text)| (*text).to_owned()).or_else(|| known.fields.get(field).cloned())
    }
}

impl Described {
    fn of(schema: Value) -> Self {
        let Value::Object(mut schema) = schema else { return Self::default() };
        let Some(Value::Object(properties)) = schema.remove("properties") else {
            return Self { own: description(schema), fields: HashMap::new() };
        };
        let of_field = |(name, property): (String, Value)| match property {
            Value::Object(property) => Some((name, description(property)?)),
            _ => None,
        };
        Self { own: description(schema), fields: properties.into_iter().filter_map(of_field).collect() }
    }
}

fn description(mut schema: Map<String, Value>) -> Option<String> {
    match schema.remove("description") {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}
