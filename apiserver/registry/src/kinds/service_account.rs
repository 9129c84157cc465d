//! ServiceAccount: what it refers to is referred to by name alone.
//!
//! Deliberately absent: tokens, which are the server's.

use serde_json::{Value, json};

use crate::{
    columns::{AGE, NAME},
    object::Object,
    resources::Column,
    strategy::Strategy,
};

/// The columns of ServiceAccounts.
pub const COLUMNS: &[Column] =
    &[NAME, Column::new("Secrets", "string", |object, _| object.list(&["secrets"]).len().into()), AGE];

/// The rules of ServiceAccounts.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        keep_names_of_secrets(object);
    }

    fn prepare_update(&self, object: &mut Object, _old: &Object) {
        keep_names_of_secrets(object);
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

fn keep_names_of_secrets(object: &mut Object) {
    if object.list(&["secrets"]).is_empty() {
        return;
    }
    let name_of = |secret: &Value| match secret.get("name") {
        Some(Value::String(name)) if !name.is_empty() => json!({ "name": name }),
        _ => json!({}),
    };
    let names: Vec<Value> = object.list(&["secrets"]).iter().map(name_of).collect();
    object.set(&["secrets"], names);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_secrets_are_names() {
        let mut object = Object(json!({"secrets": [{"name": "a", "namespace": "other", "uid": "1"}]}));
        Rules.prepare_create(&mut object);
        assert_eq!(object.0, json!({"secrets": [{"name": "a"}]}));
    }
}
