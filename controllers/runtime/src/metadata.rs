//! Metadata of objects that are kept in large numbers: what somebody reads of them.
//!
//! In: `metadata` in JSON. Out: [`ObjectMeta`] without `managedFields`, which are half of an object, without annotations
//! that nobody reads, and without room for more than there is. What is left out is passed over while reading.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::pod::ANNOTATIONS;

/// What is read of metadata.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields {
    #[serde(deserialize_with = "annotations")]
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    uid: Option<String>,
}

/// All that controllers read of a pod's metadata.
pub(crate) fn of_pod<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let fields = Option::<Fields>::deserialize(deserializer)?.unwrap_or_default();
    let mut metadata = ObjectMeta {
        annotations: fields.annotations,
        creation_timestamp: fields.creation_timestamp,
        deletion_grace_period_seconds: fields.deletion_grace_period_seconds,
        deletion_timestamp: fields.deletion_timestamp,
        finalizers: fields.finalizers,
        generation: fields.generation,
        labels: fields.labels,
        name: fields.name,
        namespace: fields.namespace,
        owner_references: fields.owner_references,
        resource_version: fields.resource_version,
        uid: fields.uid,
        generate_name: None,
        managed_fields: None,
        self_link: None,
    };
    shrink(&mut metadata);
    Ok(metadata)
}

/// Who an object is, whose, and whether it goes: no labels and no annotations.
pub(crate) fn of_outline<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let metadata = of_pod(deserializer)?;
    Ok(ObjectMeta { annotations: None, labels: None, ..metadata })
}

/// Gives back room that lists do not need: they grow as they are read.
pub(crate) fn shrink(metadata: &mut ObjectMeta) {
    metadata.finalizers.iter_mut().for_each(Vec::shrink_to_fit);
    metadata.owner_references.iter_mut().for_each(Vec::shrink_to_fit);
}

/// The annotations that somebody reads; `None` if there is none of them.
fn annotations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let kept = Option::<Read>::deserialize(deserializer)?;
    Ok(kept.map(|Read(annotations)| annotations).filter(|annotations| !annotations.is_empty()))
}

struct Read(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadVisitor)
    }
}

struct ReadVisitor;

impl<'de> Visitor<'de> for ReadVisitor {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("annotations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        let mut kept = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            if ANNOTATIONS.contains(&key.as_str()) {
                kept.insert(key, map.next_value::<Option<String>>()?.unwrap_or_default());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Read(kept))
    }
}
