//! DeviceClass: a name for devices of a kind, and how their driver is to set them up.
//!
//! Source: `pkg/apis/resource/validation`, `pkg/registry/resource/deviceclass`.

use keelson_api_schema::format::check_qualified_name;

use super::{ITEMS_MAX, check_configuration, check_length, check_selectors};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::workload::differs,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of DeviceClasses.
pub const COLUMNS: &[Column] = &[NAME, AGE];

/// The rules of DeviceClasses.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["metadata", "generation"], 1);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        check_selectors(&spec.child("selectors"), &mut errors);
        let config = spec.child("config");
        check_length(&config, ITEMS_MAX, &mut errors);
        config.items().for_each(|item| check_configuration(&item, &mut errors));
        let extended = spec.child("extendedResourceName");
        if extended.is_set() {
            let text = extended.text();
            let mut wrong = check_qualified_name(text);
            let is_own = !text.contains('/') || text.contains("kubernetes.io/");
            if wrong.is_empty() && (is_own || text.starts_with("requests.")) {
                wrong.push("must be a valid extended resource name".to_owned());
            }
            errors.extend(extended.each_invalid(wrong));
        }
        errors
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_class_selects_and_configures() {
        let texts = |spec: Value| -> Vec<String> {
            let object = Object(json!({"metadata": {"name": "gpu"}, "spec": spec}));
            Rules.validate(&object).iter().map(ToString::to_string).collect()
        };
        let cel = json!({"cel": {"expression": "device.driver == \"gpu.example.com\""}});
        let opaque = json!({"opaque": {"driver": "gpu.example.com", "parameters": {"kind": "X"}}});
        let good = json!({"selectors": [cel], "config": [opaque], "extendedResourceName": "example.com/gpu"});
        assert_eq!(texts(good), [""; 0]);
        assert_eq!(texts(json!({"selectors": [{}]})), ["spec.selectors[0].cel: Required value"]);
        assert_eq!(texts(json!({"config": [{}]})), ["spec.config[0].opaque: Required value"]);
        assert_eq!(
            texts(json!({"extendedResourceName": "cpu"})),
            ["spec.extendedResourceName: Invalid value: \"cpu\": must be a valid extended resource name"]
        );
        assert_eq!(
            texts(json!({"selectors": vec![cel; 33]})),
            ["spec.selectors: Too many: 33: must have at most 32 items"]
        );
    }
}
