//! Strategic merge patch: a merge patch that knows the type, so that lists merge item by item.
//!
//! In: an object, a patch, and their type. Out: the patched object, or why the patch is none. As upstream:
//!
//! - `$patch: replace` takes the patch's object or list as it is, `$patch: delete` empties an object or deletes an item;
//! - `$retainKeys` drops every other field of the object;
//! - `$setElementOrder/x` orders the list `x`, `$deleteFromPrimitiveList/x` deletes scalars from it;
//! - a list with the patch strategy `merge` merges, objects by their merge key and scalars as a set;
//! - null deletes.
//!
//! Unlike upstream, which fails there, objects in maps and in untyped fields merge too. Everything is linear in object
//! and patch but for the sorting of lists.

mod list;

use serde_json::{Map, Value};

use super::PatchError;
use crate::go_text::{print, quote};
use crate::model::{PatchStrategy, Schema, Shape, TypeId};
use list::Lists;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList";

const BAD_PRIMITIVE_LIST: &str = "invalid patch format of primitive list";
const BAD_RETAIN_KEYS: &str = "invalid patch format of retainKeys";
const BAD_ELEMENT_ORDER: &str = "invalid patch format of setElementOrder list";

/// Applies a patch.
///
/// # Errors
/// [`PatchError::Malformed`] for a patch that is no object or has directives of a wrong form,
/// [`PatchError::Unprocessable`] for lists of lists, [`PatchError::Failed`] where object and patch do not fit otherwise.
pub fn apply(schema: &Schema, ty: TypeId, object: Value, patch: Value) -> Result<Value, PatchError> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(PatchError::malformed("invalid JSON document"));
    };
    Merger { schema }.merge(object, patch, Place::Typed(ty)).map(Value::Object)
}

/// What is known about the values that are being merged.
#[derive(Debug, Clone, Copy)]
enum Place {
    Typed(TypeId),
    Untyped,
}

/// What is known about a field.
struct Target<'s> {
    place: Place,
    strategy: PatchStrategy,
    merge_key: Option<&'s str>,
}

/// What both sides of a merge are.
enum Both {
    Objects(Map<String, Value>, Map<String, Value>),
    Lists(Vec<Value>, Vec<Value>),
    /// Different kinds, or scalars: the patch wins.
    Other(Value),
}

#[derive(Clone, Copy)]
struct Merger<'s> {
    schema: &'s Schema,
}

impl<'s> Merger<'s> {
    /// Merges two objects.
    fn merge(
        self,
        mut object: Map<String, Value>,
        mut patch: Map<String, Value>,
        place: Place,
    ) -> Result<Map<String, Value>, PatchError> {
        if let Some(directive) = patch.remove(PATCH) {
            return match directive.as_str() {
                Some("replace") => Ok(patch),
                Some("delete") => Ok(Map::new()),
                _ => Err(unknown_directive(&directive, patch)),
            };
        }
        retain_keys(&mut object, &mut patch)?;
        self.set_element_orders(&mut object, &mut patch, place)?;
        for (key, value) in patch {
            self.merge_field(&mut object, &key, value, place)?;
        }
        Ok(object)
    }

    fn merge_field(
        self,
        object: &mut Map<String, Value>,
        key: &str,
        value: Value,
        place: Place,
    ) -> Result<(), PatchError> {
        if key.starts_with(DELETE_FROM_PRIMITIVE_LIST) {
            return delete_from_primitive_list(object, key, value);
        }
        if value.is_null() {
            object.remove(key);
            return Ok(());
        }
        let Some(old) = object.remove(key) else {
            if let Some(value) = clean(value) {
                object.insert(key.to_owned(), value);
            }
            return Ok(());
        };
        let merged = match both(old, value) {
            Both::Objects(old, new) => {
                let target = self.target(place, key)?;
                match target.strategy.replace {
                    true => Some(Value::Object(new)),
                    false => Some(Value::Object(self.merge(old, new, target.place)?)),
                }
            }
            Both::Lists(old, new) => {
                let target = self.target(place, key)?;
                let lists =
                    Lists { merger: self, item: self.item(target.place), merge_key: target.merge_key };
                match target.strategy.merge {
                    true => Some(Value::Array(lists.merge(old, new)?)),
                    false => Some(Value::Array(new)),
                }
            }
            Both::Other(new) => clean(new),
        };
        if let Some(merged) = merged {
            object.insert(key.to_owned(), merged);
        }
        Ok(())
    }

    /// Merges and orders every list that has a `$setElementOrder`; both are then gone from the patch.
    fn set_element_orders(
        self,
        object: &mut Map<String, Value>,
        patch: &mut Map<String, Value>,
        place: Place,
    ) -> Result<(), PatchError> {
        let keys: Vec<String> =
            patch.keys().filter(|key| key.starts_with(SET_ELEMENT_ORDER)).cloned().collect();
        for directive in keys {
            let order = list_of(patch.remove(&directive).unwrap_or_default())?;
            let key = directive.strip_prefix(SET_ELEMENT_ORDER).and_then(|rest| rest.strip_prefix('/'));
            let key = key.ok_or_else(|| PatchError::malformed(BAD_ELEMENT_ORDER))?;
            let old = object.remove(key).filter(|value| !value.is_null()).map(list_of).transpose()?;
            let new = patch.remove(key).map(list_of).transpose()?;
            let target = self.target(place, key)?;
            let lists = Lists { merger: self, item: self.item(target.place), merge_key: target.merge_key };
            if let Some(list) = lists.merge_in_order(old, new, &order, target.strategy.merge)? {
                object.insert(key.to_owned(), Value::Array(list));
            }
        }
        Ok(())
    }

    /// Looks a field up.
    fn target(self, place: Place, key: &str) -> Result<Target<'s>, PatchError> {
        let plain = |place| Target { place, strategy: PatchStrategy::default(), merge_key: None };
        let Place::Typed(ty) = place else { return Ok(plain(Place::Untyped)) };
        let ty = self.schema.get(ty);
        match &ty.shape {
            Shape::Struct(fields) => {
                let field = fields.field(key).ok_or_else(|| {
                    let name = ty.name.rsplit_once('.').map_or(&*ty.name, |(_, name)| name);
                    let message = format!(
                        "unable to find api field in struct {name} for the json field {}",
                        quote(key)
                    );
                    PatchError::failed(message)
                })?;
                let merge_key = field.merge_key.as_deref();
                Ok(Target { place: Place::Typed(field.ty), strategy: field.patch, merge_key })
            }
            Shape::Map { value, .. } => Ok(plain(Place::Typed(*value))),
            Shape::BoolOr(other) | Shape::ListOr(other) | Shape::StringsOr(other) => {
                self.target(Place::Typed(*other), key)
            }
            _ => Ok(plain(Place::Untyped)),
        }
    }

    /// The items of a list type.
    fn item(self, place: Place) -> Place {
        let Place::Typed(ty) = place else { return Place::Untyped };
        match &self.schema.get(ty).shape {
            Shape::List { item, .. } => Place::Typed(*item),
            _ => Place::Untyped,
        }
    }
}

fn both(old: Value, new: Value) -> Both {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => Both::Objects(old, new),
        (Value::Array(old), Value::Array(new)) => Both::Lists(old, new),
        (_, new) => Both::Other(new),
    }
}

/// Obeys `$retainKeys`: the object keeps the fields that it lists, which must be all that the patch sets.
fn retain_keys(object: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), PatchError> {
    let keys = match patch.remove(RETAIN_KEYS) {
        None => return Ok(()),
        Some(Value::Array(keys)) => keys,
        Some(_) => return Err(PatchError::malformed(BAD_RETAIN_KEYS)),
    };
    let keys: std::collections::HashSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    let directive =
        |key: &str| key.starts_with(DELETE_FROM_PRIMITIVE_LIST) || key.starts_with(SET_ELEMENT_ORDER);
    let set = patch.iter().filter(|(key, value)| !value.is_null() && !directive(key));
    if set.map(|(key, _)| key.as_str()).any(|key| !keys.contains(key)) {
        return Err(PatchError::malformed(BAD_RETAIN_KEYS));
    }
    object.retain(|key, _| keys.contains(key.as_str()));
    Ok(())
}

/// Obeys one `$deleteFromPrimitiveList/x`.
fn delete_from_primitive_list(
    object: &mut Map<String, Value>,
    directive: &str,
    value: Value,
) -> Result<(), PatchError> {
    let key = directive.strip_prefix(DELETE_FROM_PRIMITIVE_LIST).and_then(|rest| rest.strip_prefix('/'));
    let key = key.ok_or_else(|| PatchError::malformed(BAD_PRIMITIVE_LIST))?;
    match (object.get_mut(key), value) {
        (Some(Value::Array(items)), Value::Array(doomed)) => list::delete_scalars(items, &doomed),
        (_, Value::Null) => {
            object.remove(key);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A value of the patch that is taken over: without nulls and directives in it; `None` if it is a directive itself.
fn clean(value: Value) -> Option<Value> {
    match value {
        Value::Object(object) if object.contains_key(PATCH) => None,
        Value::Object(object) => {
            let fields = object.into_iter().filter(|(_, value)| !value.is_null());
            Some(Value::Object(fields.filter_map(|(key, value)| Some((key, clean(value)?))).collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(clean).collect())),
        scalar => Some(scalar),
    }
}

fn list_of(value: Value) -> Result<Vec<Value>, PatchError> {
    let found = match value {
        Value::Array(items) => return Ok(items),
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Object(_) => "map[string]interface {}",
    };
    Err(PatchError::failed(format!("expected a []interface {{}}, but received a {found}")))
}

fn unknown_directive(directive: &Value, mut map: Map<String, Value>) -> PatchError {
    map.insert(PATCH.to_owned(), directive.clone());
    let name = print(directive);
    PatchError::failed(format!("unknown patch type: {name} in map: {}", print(&Value::Object(map))))
}

#[cfg(test)]
mod tests;
