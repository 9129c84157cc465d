//! CSIStorageCapacity: how much of a class of storage there is for nodes in some place.
//!
//! Source: `pkg/apis/storage/validation`, `pkg/registry/storage/csistoragecapacity`.

use keelson_api_schema::format::check_dns1123_subdomain;

use super::{metadata, node_label, pod::resources};
use crate::{
    columns::NAME, field::FieldError, object::Object, place::Place, resources::Column, strategy::Strategy,
};

/// The columns of CSIStorageCapacities.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("StorageClassName", "string", |object, _| object.text(&["storageClassName"]).into()),
    Column::new("Capacity", "string", |object, _| {
        object.get(&["capacity"]).cloned().unwrap_or_else(|| "<unset>".into())
    }),
];

/// The rules of CSIStorageCapacities.
pub struct Rules;

impl Strategy for Rules {
    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        metadata::label_selector(&Place::at(object, &["nodeTopology"]), &mut errors);
        let class = Place::at(object, &["storageClassName"]);
        errors.extend(class.each_invalid(check_dns1123_subdomain(class.text())));
        for field in ["capacity", "maximumVolumeSize"] {
            let amount = Place::at(object, &[field]);
            if amount.is_set() {
                resources::quantity("storage", &amount, &mut errors);
            }
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for field in ["nodeTopology", "storageClassName"] {
            Place::at(object, &[field]).unchanged(&Place::at(old, &[field]), &mut errors);
        }
        errors
    }

    fn warnings(&self, object: &Object, _old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        node_label::warn_selector(&Place::at(object, &["nodeTopology"]), &mut warnings);
        warnings
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_change_and_what_they_are_of_does_not() {
        let texts =
            |errors: Vec<FieldError>| -> Vec<String> { errors.iter().map(ToString::to_string).collect() };
        let capacity = |class: &str, amount: &str| {
            Object(json!({"metadata": {"name": "a"}, "storageClassName": class, "capacity": amount}))
        };
        let old = capacity("fast", "1Gi");
        assert_eq!(Rules.validate(&old), []);
        assert_eq!(Rules.validate_update(&capacity("fast", "2Gi"), &old), []);
        assert_eq!(
            texts(Rules.validate(&capacity("fast", "-1"))),
            ["capacity: Invalid value: \"-1\": must be greater than or equal to 0"]
        );
        assert_eq!(
            texts(Rules.validate_update(&capacity("slow", "1Gi"), &old)),
            ["storageClassName: Invalid value: \"slow\": field is immutable"]
        );
    }

    #[test]
    fn older_labels_of_nodes_are_warned_of() {
        let expression = json!({"key": "beta.kubernetes.io/os", "operator": "Exists"});
        let labels = json!({"beta.kubernetes.io/arch": "x", "kubernetes.io/os": "linux"});
        let topology = json!({"matchExpressions": [expression], "matchLabels": labels});
        assert_eq!(
            Rules.warnings(&Object(json!({ "nodeTopology": topology })), None),
            [
                "nodeTopology.matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14; use \
                 \"kubernetes.io/os\" instead",
                "nodeTopology.matchLabels.beta.kubernetes.io/arch: deprecated since v1.14; use \
                 \"kubernetes.io/arch\" instead",
            ]
        );
    }
}
