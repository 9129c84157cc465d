//! The rules of every kind, on objects that are of it by type and by nothing else.
//!
//! Promises: defaults, preparation, validation, warnings, columns and selectable fields are made of whatever can be
//! decoded, and nothing of that panics.

use keelson_api_registry::{columns, kinds::metadata, object::Object, resources::ResourceInfo};
use keelson_api_schema::{Encoding, builtin, decode_value, default};
use time::{OffsetDateTime, macros::datetime};

use crate::bodies::{chosen, read};

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

pub(crate) fn kinds(input: &[u8]) {
    let Some((resource, body)) = chosen(input) else { return };
    let Some(value) = read(body, Encoding::Json, resource.schema()) else { return };
    let old = Object(value);
    look_at(resource, &old);
    let Some(object) = create(resource, &old) else { return };
    look_at(resource, &object);
    update(resource, &object, &old);
    update(resource, &old, &object);
}

/// The object as a client that creates it gets it.
fn create(resource: &ResourceInfo, object: &Object) -> Option<Object> {
    let strategy = resource.strategy;
    let mut object = object.clone();
    strategy.default(&mut object);
    default::apply(builtin(), resource.schema(), &mut object.0);
    strategy.prepare_create(&mut object);
    drop(metadata::validate(resource, &object));
    drop(strategy.validate(&object));
    drop(strategy.validate_create(&object));
    drop(strategy.warnings(&object, None));
    drop(strategy.claims(&object));
    decode_value(builtin(), resource.schema(), object.0).ok().map(|decoded| Object(decoded.value))
}

fn update(resource: &ResourceInfo, old: &Object, new: &Object) {
    let strategy = resource.strategy;
    let mut object = new.clone();
    strategy.prepare_update(&mut object, old);
    drop(metadata::validate_update(&object, old));
    drop(strategy.validate_update(&object, old));
    drop(strategy.warnings(&object, Some(old)));
    let mut object = new.clone();
    strategy.prepare_status_update(&mut object, old);
    drop(strategy.validate_status_update(&object, old));
    drop(strategy.status_warnings(&object));
}

/// What lists and selectors make of an object.
fn look_at(resource: &ResourceInfo, object: &Object) {
    let columns = if resource.columns.is_empty() { columns::DEFAULT } else { resource.columns };
    for column in columns {
        drop((column.cell)(object, NOW));
    }
    for field in resource.selectable {
        drop(resource.field_value(object, field));
    }
    let _ = resource.strategy.grace_period(object, Some(-1));
}
