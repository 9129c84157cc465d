//! PodTemplate: a description of pods that nothing is made from yet.
//!
//! Source: `pkg/apis/core/validation`, `pkg/registry/core/podtemplate`.

use super::{
    pod::{self, template},
    workload::{differs, is_new_generation},
};
use crate::{
    columns::{self, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of PodTemplates.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Containers", "string", |object, _| each_container(object, "name").into()),
    Column::new("Images", "string", |object, _| each_container(object, "image").into()),
    Column::new("Pod Labels", "string", |object, _| {
        columns::labels(object.map(&["template", "metadata", "labels"])).into()
    }),
];

fn each_container(object: &Object, field: &str) -> String {
    let containers = object.list(&["template", "spec", "containers"]).iter();
    containers.filter_map(|container| container[field].as_str()).collect::<Vec<_>>().join(",")
}

/// The rules of PodTemplates.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        template::drop_disabled(object, None, &["template", "spec"]);
        object.set(&["metadata", "generation"], 1);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        template::drop_disabled(object, Some(old), &["template", "spec"]);
        let changed = differs(object, old, &["template"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn default(&self, object: &mut Object) {
        if object.get(&["template"]).is_some()
            && let Some(pods) = object.slot(&["template"])
        {
            template::default(pods);
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        template::validate(&Place::at(object, &["template"]), &mut errors);
        errors
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        if is_new_generation(object, old) {
            pod::warnings::of_template(&Place::at(object, &["template"]))
        } else {
            Vec::new()
        }
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn it_is_what_pods_could_be_made_from() {
        let pods = json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        });
        let mut old = Object(json!({"metadata": {"name": "web"}, "template": pods}));
        Rules.default(&mut old);
        Rules.prepare_create(&mut old);
        assert_eq!(old.text(&["template", "spec", "restartPolicy"]), "Always");
        assert_eq!(Rules.validate(&old), []);
        let row = [1, 2, 3].map(|at| (COLUMNS[at].cell)(&old, OffsetDateTime::UNIX_EPOCH));
        assert_eq!(row, ["web", "web:1", "app=web"].map(|text| json!(text)));
        let mut new = old.clone();
        new.set(&["template", "spec", "containers"], json!([]));
        Rules.prepare_update(&mut new, &old);
        assert_eq!(new.generation(), 2);
        assert_eq!(Rules.validate(&new)[0].to_string(), "template.spec.containers: Required value");
    }
}
