//! Walks the whole table: what it promises must exist.

use std::collections::BTreeSet;

use keelson_api_schema::{Schema, Shape, TypeId, builtin};

use super::{RESOURCES, Storage};

/// Selectable fields that are no field of the kind's own, but derived by its rules.
const DERIVED: &[(&str, &str)] =
    &[("Namespace", "name"), ("Pod", "spec.host"), ("Job", "status.successful")];

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
