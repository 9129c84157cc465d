//! The defaults that types declare.
//!
//! In: a canonical value. Out: the same value with every declared default in place of what is unset.
//!
//! Deliberately absent: the defaults that upstream computes (of a Pod's restart policy, a Service's type): they are rules
//! of a kind and belong to the resource registry, which applies them before these, as upstream does.

use serde_json::Value;

use crate::decode::omitted;
use crate::model::{Schema, Shape, Struct, TypeId};

/// Fills in a value's defaults; what is not of the type's form is left alone.
pub fn apply(schema: &Schema, ty: TypeId, value: &mut Value) {
    if !schema.has_defaults(ty) {
        return;
    }
    match (&schema.get(ty).shape, value) {
        (Shape::Struct(fields), value @ Value::Object(_)) => structure(schema, fields, value),
        (Shape::Map { value: inner, .. }, Value::Object(object)) => {
            object.values_mut().for_each(|value| apply(schema, *inner, value));
        }
        (Shape::List { item, .. } | Shape::ListOr(item), Value::Array(items)) => {
            items.iter_mut().for_each(|value| apply(schema, *item, value));
        }
        (Shape::BoolOr(other) | Shape::ListOr(other) | Shape::StringsOr(other), value @ Value::Object(_)) => {
            apply(schema, *other, value);
        }
        _ => {}
    }
}

fn structure(schema: &Schema, fields: &Struct, value: &mut Value) {
    let Value::Object(object) = value else { return };
    for field in &fields.fields {
        match (object.get_mut(field.name.as_ref()), &field.default) {
            (None | Some(Value::Null), Some(default)) => {
                if field.pointer || !omitted(schema, field, default) {
                    object.insert(field.name.to_string(), default.clone());
                }
            }
            (Some(value), _) => apply(schema, field.ty, value),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{builtin, decode_value};

    fn defaulted(name: &str, value: Value) -> Value {
        let ty = builtin().lookup(name).unwrap();
        let mut value = decode_value(builtin(), ty, value).unwrap().value;
        apply(builtin(), ty, &mut value);
        let again = decode_value(builtin(), ty, value.clone()).unwrap().value;
        assert_eq!(again, value, "defaults keep a value canonical");
        value
    }

    #[test]
    fn unset_fields_get_their_defaults_at_any_depth() {
        let pod = json!({"spec": {
            "containers": [{"name": "a", "ports": [{"containerPort": 1}, {"containerPort": 2, "protocol": "UDP"}]}],
            "volumes": [{"name": "v", "rbd": {"monitors": [], "image": "i", "user": "me"}}]
        }});
        let spec = &defaulted("core/v1.Pod", pod)["spec"];
        let ports = json!([{"containerPort": 1, "protocol": "TCP"}, {"containerPort": 2, "protocol": "UDP"}]);
        assert_eq!(spec["containers"][0]["ports"], ports);
        let rbd = &spec["volumes"][0]["rbd"];
        assert_eq!((&rbd["pool"], &rbd["user"]), (&json!("rbd"), &json!("me")));
    }

    #[test]
    fn pointers_keep_a_zero_default_and_plain_fields_leave_it_out() {
        let pod = |volume| {
            defaulted("core/v1.Pod", json!({"spec": {"volumes": [volume]}}))["spec"]["volumes"][0].take()
        };
        let disk = pod(json!({"azureDisk": {"diskName": "d", "diskURI": "u"}}));
        assert_eq!(
            disk["azureDisk"],
            json!({"diskName": "d", "diskURI": "u", "cachingMode": "ReadWrite", "fsType": "ext4",
                   "readOnly": false, "kind": "Shared"})
        );
        assert_eq!(pod(json!({"configMap": {}}))["configMap"], json!({}));
    }

    #[test]
    fn types_without_defaults_are_not_walked() {
        let schema = builtin();
        assert!(!schema.has_defaults(schema.lookup("core/v1.ConfigMap").unwrap()));
        assert!(schema.has_defaults(schema.lookup("apps/v1.Deployment").unwrap()));
    }
}
