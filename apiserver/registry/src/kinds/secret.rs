//! Secret: types and the keys that they need, `stringData`, immutability.

mod key_pair;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::config_map::{MAX_TOTAL, check_immutable, check_key, decoded_len},
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of Secrets.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Type", "string", |object, _| object.text(&["type"]).into()),
    Column::new("Data", "string", |object, _| object.map(&["data"]).map_or(0, serde_json::Map::len).into()),
    AGE,
];

/// The rules of Secrets.
pub struct Rules;

impl Strategy for Rules {
    fn default(&self, object: &mut Object) {
        fold_string_data(object);
        if object.text(&["type"]).is_empty() {
            object.set(&["type"], "Opaque");
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let data = Place::at(object, &["data"]);
        let mut errors = Vec::new();
        let mut total = 0;
        for (key, entry) in data.entries() {
            check_key(key, &entry, &mut errors);
            total += decoded_len(entry.text());
        }
        if total > MAX_TOTAL {
            errors.push(FieldError::too_long(data.path(), MAX_TOTAL));
        }
        check_type(object, &data, &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Place::at(object, &["type"]).unchanged(&Place::at(old, &["type"]), &mut errors);
        errors.extend(check_immutable(object, old, &["data"]));
        errors
    }

    fn warnings(&self, object: &Object, _old: Option<&Object>) -> Vec<String> {
        if object.text(&["type"]) != "kubernetes.io/tls" {
            return Vec::new();
        }
        // The schema has decoded it once: whatever is there is base64.
        let part = |key: &str| STANDARD.decode(object.text(&["data", key])).unwrap_or_default();
        key_pair::check(&part("tls.crt"), &part("tls.key")).err().into_iter().collect()
    }
}

/// Moves what was written as text to where it is kept; it wins over data of the same key.
fn fold_string_data(object: &mut Object) {
    let Some(Value::Object(texts)) = object.remove(&["stringData"]) else { return };
    for (key, text) in texts {
        let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
        object.set(&["data", &key], encoded);
    }
}

/// What a Secret of its type must have.
fn check_type(object: &Object, data: &Place<'_>, errors: &mut Vec<FieldError>) {
    match object.text(&["type"]) {
        "kubernetes.io/service-account-token" => {
            let annotations = Place::at(object, &["metadata", "annotations"]);
            let account = annotations.key("kubernetes.io/service-account.name");
            if account.text().is_empty() {
                errors.push(account.required(""));
            }
        }
        "kubernetes.io/dockercfg" => check_json(&data.key(".dockercfg"), errors),
        "kubernetes.io/dockerconfigjson" => check_json(&data.key(".dockerconfigjson"), errors),
        "kubernetes.io/basic-auth" => {
            let (user, password) = (data.key("username"), data.key("password"));
            // Either may be empty, but one of them must be there.
            if !user.is_set() && !password.is_set() {
                errors.extend([user.required(""), password.required("")]);
            }
        }
        "kubernetes.io/ssh-auth" => {
            let key = data.key("ssh-privatekey");
            if key.text().is_empty() {
                errors.push(key.required(""));
            }
        }
        "kubernetes.io/tls" => {
            let parts = [data.key("tls.crt"), data.key("tls.key")];
            errors.extend(parts.iter().filter(|part| !part.is_set()).map(|part| part.required("")));
        }
        _ => {}
    }
}

/// An entry that must be there, and be a JSON object.
fn check_json(entry: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !entry.is_set() {
        errors.push(entry.required(""));
        return;
    }
    let bytes = STANDARD.decode(entry.text()).unwrap_or_default();
    if let Err(error) = serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes) {
        errors.push(FieldError::invalid(entry.path(), "<secret contents redacted>", error.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(secret: Value) -> Vec<String> {
        let mut object = Object(secret);
        Rules.default(&mut object);
        Rules.validate(&object).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn text_becomes_data_and_wins() {
        let mut object =
            Object(json!({"data": {"a": "eA==", "b": "eQ=="}, "stringData": {"a": "new", "c": ""}}));
        Rules.default(&mut object);
        assert_eq!(object.0, json!({"type": "Opaque", "data": {"a": "bmV3", "b": "eQ==", "c": ""}}));
    }

    #[test]
    fn types_need_their_keys() {
        assert_eq!(wrong(json!({"data": {"any": "eA=="}})), Vec::<String>::new());
        assert_eq!(
            wrong(json!({"type": "kubernetes.io/tls", "stringData": {"tls.crt": "x"}})),
            ["data[tls.key]: Required value"]
        );
        assert_eq!(
            wrong(json!({"type": "kubernetes.io/basic-auth"})),
            ["data[username]: Required value", "data[password]: Required value"]
        );
        assert_eq!(
            wrong(json!({"type": "kubernetes.io/service-account-token"})),
            ["metadata.annotations[kubernetes.io/service-account.name]: Required value"]
        );
        let config = |text: &str| json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": text}});
        assert_eq!(wrong(config("{}")), Vec::<String>::new());
        assert!(
            wrong(config("x"))[0]
                .starts_with("data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": ")
        );
    }

    #[test]
    fn the_type_does_not_change() {
        let old = Object(json!({"type": "Opaque"}));
        let new = Object(json!({"type": "example.com/other"}));
        let texts: Vec<_> = Rules.validate_update(&new, &old).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["type: Invalid value: \"example.com/other\": field is immutable"]);
    }
}
