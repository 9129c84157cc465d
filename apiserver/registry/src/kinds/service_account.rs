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

/// The annotation that lets pods mount only the secrets that the account lists.
const MOUNTABLE_SECRETS: [&str; 3] = ["metadata", "annotations", "kubernetes.io/enforce-mountable-secrets"];

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

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        let is_marked = |object: &Object| object.get(&MOUNTABLE_SECRETS).is_some();
        if !is_marked(object) || old.is_some_and(is_marked) {
            return Vec::new();
        }
        let what = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
        vec![format!("metadata.annotations[{}]: {what}", MOUNTABLE_SECRETS[2])]
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

    #[test]
    fn whoever_newly_restricts_mounts_is_warned() {
        let plain = Object(json!({"metadata": {"name": "a"}}));
        let mut marked = plain.clone();
        marked.set(&MOUNTABLE_SECRETS, "true");
        let what = "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer \
                    separate namespaces to isolate access to mounted secrets";
        assert_eq!(Rules.warnings(&marked, None), [what]);
        assert_eq!(Rules.warnings(&marked, Some(&plain)), [what]);
        assert_eq!(Rules.warnings(&marked, Some(&marked)), [""; 0]);
        assert_eq!(Rules.warnings(&plain, None), [""; 0]);
    }
}
