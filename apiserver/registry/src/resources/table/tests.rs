//! Walks the whole table: what it promises must exist.

use std::collections::BTreeSet;

use keelson_api_schema::{Schema, Shape, TypeId, builtin};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{RESOURCES, ResourceInfo, Storage};
use crate::{kinds::metadata, object::Object};

/// Selectable fields that are no field of the kind's own, but derived by its rules.
const DERIVED: &[(&str, &str)] = &[("Namespace", "name"), ("Pod", "spec.host"), ("Job", "status.successful")];

#[test]
fn every_kind_its_list_and_its_parts_have_a_schema() {
    let schema = builtin();
    for resource in RESOURCES {
        let exists = |group: &str, version: &str, kind: &str| {
            assert!(schema.lookup_kind(group, version, kind).is_some(), "{group}/{version} {kind}");
        };
        exists(resource.group, resource.version, resource.kind);
        if resource.storage != Storage::Question {
            exists(resource.group, resource.version, &resource.list_kind());
        }
        for part in resource.subresources {
            let (group, version) = part.group_version.unwrap_or((resource.group, resource.version));
            exists(group, version, part.kind);
        }
    }
}

#[test]
fn names_are_unique() {
    let mut seen = BTreeSet::new();
    let mut prefixes = BTreeSet::new();
    for resource in RESOURCES {
        let key = |name: &str| format!("{}/{}/{name}", resource.group, resource.version);
        // Endpoints are one and many by the same name.
        let names = BTreeSet::from([resource.plural, resource.singular]);
        let names = names.iter().chain(resource.short_names).chain([&resource.kind]);
        for name in names {
            assert!(seen.insert(key(name)), "{name}");
        }
        if let Storage::Stored(prefix) = resource.storage {
            assert!(prefixes.insert(prefix), "{prefix}");
        }
    }
}

#[test]
fn groups_stand_together() {
    let groups: Vec<_> = RESOURCES.iter().map(|resource| (resource.group, resource.version)).collect();
    let runs = groups.chunk_by(|a, b| a == b).count();
    assert_eq!(runs, groups.iter().collect::<BTreeSet<_>>().len());
}

#[test]
fn what_is_stored_elsewhere_is_stored_by_another() {
    for resource in RESOURCES {
        if let Storage::Converted { prefix, .. } = resource.storage {
            let stored = RESOURCES.iter().filter(|other| other.storage == Storage::Stored(prefix));
            assert_eq!(stored.count(), 1, "{prefix}");
        }
    }
}

/// Upstream's strategies, one by one: who changes one of these says what the change is based on.
const CONDITIONAL: &[&str] = &[
    "CSIDriver",
    "CSINode",
    "CSIStorageCapacity",
    "ClusterTrustBundle",
    "DeviceTaintRule",
    "FlowSchema",
    "Lease",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "PodCertificateRequest",
    "PodDisruptionBudget",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageVersionMigration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

#[test]
fn some_kinds_are_not_changed_by_who_does_not_know_them() {
    let conditional = RESOURCES.iter().filter(|resource| !resource.strategy.updates_unconditionally());
    let kinds: BTreeSet<_> = conditional.map(|resource| resource.kind).collect();
    assert_eq!(kinds, CONDITIONAL.iter().copied().collect());
}

#[test]
fn selectable_fields_exist() {
    let schema = builtin();
    for resource in RESOURCES {
        for path in resource.selectable {
            let derived = DERIVED.contains(&(resource.kind, path));
            assert_eq!(has_field(schema, resource.schema(), path), !derived, "{} {path}", resource.kind);
        }
    }
}

fn has_field(schema: &Schema, start: TypeId, path: &str) -> bool {
    let step = |ty: TypeId, name: &str| match &schema.get(ty).shape {
        Shape::Struct(fields) => fields.field(name).map(|field| field.ty),
        _ => None,
    };
    path.split('.').try_fold(start, step).is_some()
}

/// Makes values of any type of the schema, with texts that rules look for.
struct Values {
    seed: u64,
}

impl Values {
    fn below(&mut self, most: usize) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % most
    }

    fn one_of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())].clone()
    }

    fn value(&mut self, schema: &Schema, ty: TypeId, depth: usize) -> Value {
        const TEXTS: &[&str] =
            &["", "a", "A b", "..", "None", "10.0.0.1", "1Gi", "-1", "é", "x/y", "metadata.labels['"];
        match &schema.get(ty).shape {
            Shape::Bool => json!(self.below(2) == 1),
            Shape::Int32 | Shape::Int64 => json!(self.one_of(&[0, 1, -1, 80, 65_536, i64::from(i32::MAX)])),
            Shape::IntOrString => self.one_of(&[json!(80), json!("http"), json!("50%"), json!("")]),
            Shape::Quantity => {
                self.one_of(&[json!("1"), json!("-5m"), json!("100u"), json!("1e28"), json!("2Gi")])
            }
            Shape::Time => self.one_of(&[json!("2026-01-01T00:00:00Z"), Value::Null]),
            Shape::MicroTime => self.one_of(&[json!("2026-01-01T00:00:00.000000Z"), Value::Null]),
            Shape::Bytes => self.one_of(&[json!(""), json!("e30="), json!("eA==")]),
            Shape::List { item, .. } if depth > 0 => {
                (0..self.below(3)).map(|_| self.value(schema, *item, depth - 1)).collect()
            }
            Shape::Map { value, .. } if depth > 0 => {
                let entries = (0..self.below(3))
                    .map(|_| (self.one_of(TEXTS).to_owned(), self.value(schema, *value, depth - 1)));
                Value::Object(entries.collect())
            }
            Shape::Struct(fields) if depth > 0 => {
                let mut object = serde_json::Map::new();
                for field in &fields.fields {
                    if self.below(3) > 0 {
                        object.insert(field.name.to_string(), self.value(schema, field.ty, depth - 1));
                    }
                }
                Value::Object(object)
            }
            Shape::String => json!(self.one_of(TEXTS)),
            _ => Value::Null,
        }
    }

    fn object(&mut self, resource: &ResourceInfo) -> Object {
        let schema = builtin();
        let value = self.value(schema, resource.schema(), 9);
        let decoded = keelson_api_schema::decode_value(schema, resource.schema(), value);
        let mut object = Object(decoded.unwrap().value);
        resource.strategy.default(&mut object);
        keelson_api_schema::default::apply(schema, resource.schema(), &mut object.0);
        object
    }
}

fn show(resource: &ResourceInfo, object: &Object) {
    for column in resource.columns {
        (column.cell)(object, time::OffsetDateTime::UNIX_EPOCH);
    }
    for field in resource.selectable {
        resource.field_value(object, field);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a client sends, rules answer and do not panic; what they made stays canonical.
    #[test]
    fn no_object_is_too_odd_for_the_rules(seed in any::<u64>()) {
        let mut values = Values { seed };
        for resource in RESOURCES {
            let rules = resource.strategy;
            let mut old = values.object(resource);
            rules.prepare_create(&mut old);
            rules.validate(&old);
            rules.validate_create(&old);
            metadata::validate(resource, &old);
            rules.claims(&old);
            rules.warnings(&old, None);
            rules.grace_period(&old, None);
            show(resource, &old);
            let mut new = values.object(resource);
            let mut status = new.clone();
            rules.prepare_update(&mut new, &old);
            rules.validate(&new);
            rules.validate_update(&new, &old);
            rules.warnings(&new, Some(&old));
            metadata::validate_update(&new, &old);
            rules.prepare_status_update(&mut status, &old);
            rules.validate_status_update(&status, &old);
            rules.status_warnings(&status);
            show(resource, &status);
            for made in [old, new, status] {
                let again = keelson_api_schema::decode_value(builtin(), resource.schema(), made.0.clone());
                prop_assert!(again.is_ok(), "{}: {again:?}", resource.kind);
            }
        }
    }

    /// An object that is written again without a change is accepted as an update of itself.
    #[test]
    fn an_object_is_an_update_of_itself(seed in any::<u64>()) {
        let mut values = Values { seed };
        for resource in RESOURCES {
            let mut old = values.object(resource);
            resource.strategy.prepare_create(&mut old);
            let mut new = old.clone();
            resource.strategy.prepare_update(&mut new, &old);
            prop_assert_eq!(&new.0["spec"], &old.0["spec"], "{}", resource.kind);
            prop_assert_eq!(new.generation(), old.generation(), "{}", resource.kind);
        }
    }
}
