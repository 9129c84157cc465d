//! FlowSchema: which requests are of which level of priority.
//!
//! Deliberately absent: acting on it. This server gives requests room by rules of its own; these objects are kept for
//! clients that manage them.
//!
//! Source: `pkg/apis/flowcontrol/{v1/defaults,validation}`, `pkg/registry/flowcontrol/flowschema`.

use keelson_api_schema::format::{check_dns1123_label, check_dns1123_subdomain};

use super::{
    flow_control,
    workload::{advance, begin, differs},
};
use crate::{
    columns::{AGE, NAME, NONE},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{StatusMetadata, Strategy},
};

/// The latest a schema can be asked, and when one is asked that does not say it.
const LAST_PRECEDENCE: i64 = 10_000;
const USUAL_PRECEDENCE: i64 = 1000;

const PRECEDENCE: [&str; 2] = ["spec", "matchingPrecedence"];
const VERBS: [&str; 10] =
    ["*", "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// The columns of FlowSchemas.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("PriorityLevel", "string", |object, _| {
        object.text(&["spec", "priorityLevelConfiguration", "name"]).into()
    }),
    Column::new("MatchingPrecedence", "integer", |object, _| object.integer(&PRECEDENCE).unwrap_or(0).into()),
    Column::new("DistinguisherMethod", "string", |object, _| {
        let method = object.get(&["spec", "distinguisherMethod", "type"]);
        method.cloned().unwrap_or_else(|| NONE.into())
    }),
    AGE,
    Column::new("MissingPL", "string", |object, _| {
        let mut conditions = object.list(&["status", "conditions"]).iter();
        let dangling = conditions.rfind(|condition| condition["type"] == "Dangling");
        dangling.map_or_else(|| "?".into(), |condition| condition["status"].clone())
    }),
];

/// The rules of FlowSchemas.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
    }

    fn default(&self, object: &mut Object) {
        if object.integer(&PRECEDENCE).unwrap_or(0) == 0 {
            object.set(&PRECEDENCE, USUAL_PRECEDENCE);
        }
    }

    fn status_metadata(&self) -> StatusMetadata {
        StatusMetadata::Stays
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        check_precedence(object.name(), &spec.child("matchingPrecedence"), &mut errors);
        let method = spec.child("distinguisherMethod");
        if method.is_set() {
            method.child("type").one_of(&["ByNamespace", "ByUser"], &mut errors);
        }
        let level = spec.child("priorityLevelConfiguration").child("name");
        match level.text() {
            "" => errors.push(level.required("must reference a priority level")),
            name => errors.extend(level.each_invalid(check_dns1123_subdomain(name))),
        }
        spec.child("rules").items().for_each(|rule| check_rule(&rule, &mut errors));
        flow_control::check_fixed(object, &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        flow_control::check_conditions(&Place::at(object, &["status", "conditions"]), &mut errors);
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

fn check_precedence(name: &str, precedence: &Place<'_>, errors: &mut Vec<FieldError>) {
    match precedence.integer().unwrap_or(0) {
        ..=0 => errors.push(precedence.invalid("must be a positive value")),
        1 if name != flow_control::EXEMPT => {
            errors.push(precedence.invalid("only the schema named 'exempt' may have matchingPrecedence 1"));
        }
        late if late > LAST_PRECEDENCE => {
            errors.push(precedence.invalid(format!("must not be greater than {LAST_PRECEDENCE}")));
        }
        _ => {}
    }
}

fn check_rule(rule: &Place<'_>, errors: &mut Vec<FieldError>) {
    let subjects = rule.child("subjects");
    if subjects.is_empty() {
        errors.push(subjects.required("subjects must contain at least one value"));
    }
    subjects.items().for_each(|subject| check_subject(&subject, errors));
    let (resources, paths) = (rule.child("resourceRules"), rule.child("nonResourceRules"));
    if resources.is_empty() && paths.is_empty() {
        errors.push(rule.required("at least one of resourceRules and nonResourceRules has to be non-empty"));
    }
    resources.items().for_each(|rule| check_resource_rule(&rule, errors));
    paths.items().for_each(|rule| check_path_rule(&rule, errors));
}

fn check_subject(subject: &Place<'_>, errors: &mut Vec<FieldError>) {
    const KINDS: [(&str, &str); 3] =
        [("Group", "group"), ("ServiceAccount", "serviceAccount"), ("User", "user")];
    let kind = subject.child("kind");
    if !KINDS.iter().any(|(name, _)| *name == kind.text()) {
        errors.push(kind.not_supported(&KINDS.map(|(name, _)| name)));
        return;
    }
    for (name, field) in KINDS {
        let place = subject.child(field);
        match (name == kind.text(), place.is_set()) {
            (true, true) => check_named(field, &place, errors),
            (true, false) => {
                errors.push(place.required(format!("{field} is required when subject kind is '{name}'")));
            }
            (false, true) => {
                errors
                    .push(place.forbidden(format!("{field} is forbidden when subject kind is not '{name}'")));
            }
            (false, false) => {}
        }
    }
}

fn check_named(field: &str, subject: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (name, namespace) = (subject.child("name"), subject.child("namespace"));
    if name.text().is_empty() {
        errors.push(name.required(""));
    } else if field == "serviceAccount" && name.text() != "*" {
        errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
    }
    if field == "serviceAccount" {
        match namespace.text() {
            "" => errors.push(namespace.required("must specify namespace for service account")),
            text => errors.extend(namespace.each_invalid(check_dns1123_label(text))),
        }
    }
}

/// A list that is not empty; if it has everything in it, then nothing else.
fn check_words(list: &Place<'_>, needed: &str, what: &str, errors: &mut Vec<FieldError>) {
    if list.is_empty() {
        errors.push(list.required(needed));
    } else if list.len() > 1 && list.items().any(|word| word.text() == "*") {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {what}")));
    }
}

fn check_verbs(verbs: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_words(verbs, "verbs must contain at least one value", "verbs", errors);
    if !verbs.items().all(|verb| VERBS.contains(&verb.text())) {
        errors.push(verbs.not_supported(&VERBS));
    }
}

fn check_resource_rule(rule: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_verbs(&rule.child("verbs"), errors);
    let lists = [
        ("apiGroups", "resource rules must supply at least one api group", "api groups"),
        ("resources", "resource rules must supply at least one resource", "resources"),
    ];
    for (list, needed, what) in lists {
        check_words(&rule.child(list), needed, what, errors);
    }
    let namespaces = rule.child("namespaces");
    if namespaces.is_empty() && rule.child("clusterScope").flag() {
        return;
    }
    let needed = "resource rules that are not cluster scoped must supply at least one namespace";
    check_words(&namespaces, needed, "namespaces", errors);
    for namespace in namespaces.items().filter(|namespace| namespace.text() != "*") {
        errors.extend(namespace.each_invalid(check_dns1123_label(namespace.text())));
    }
}

fn check_path_rule(rule: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_verbs(&rule.child("verbs"), errors);
    let paths = rule.child("nonResourceURLs");
    check_words(&paths, "nonResourceURLs must contain at least one value", "non-resource URLs", errors);
    for path in paths.items().filter(|path| path.text() != "*") {
        let text = path.text();
        let stem = text.strip_suffix("/*").unwrap_or(text);
        let wrong = match () {
            () if text.is_empty() => "must not be empty",
            () if text == "/" => continue,
            () if !text.starts_with('/') => "must start with slash",
            () if text.contains(' ') => "must not contain white-space",
            () if text.contains("//") => "must not contain double slash",
            () if stem.contains('*') => "wildcard can only do suffix matching",
            () => continue,
        };
        errors.push(path.invalid(wrong));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn schema(name: &str, fields: &Value) -> Object {
        let mut object = Object(json!({
            "metadata": {"name": name}, "spec": {"priorityLevelConfiguration": {"name": "high"}},
        }));
        for (field, value) in fields.as_object().unwrap() {
            object.set(&["spec", field], value.clone());
        }
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    fn rule(subject: &Value, resource: &Value) -> Value {
        json!({"rules": [{"subjects": [subject], "resourceRules": [resource]}]})
    }

    #[test]
    fn a_schema_says_whose_requests_for_what() {
        let user = json!({"kind": "User", "user": {"name": "alice"}});
        let pods =
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["shop"]});
        let good = schema("mine", &rule(&user, &pods));
        assert_eq!(Rules.validate(&good), []);
        assert_eq!(good.integer(&PRECEDENCE), Some(1000));
        let cases = [
            (
                json!({"matchingPrecedence": 1}),
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
            ),
            (
                json!({"matchingPrecedence": 10_001}),
                "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000",
            ),
            (
                json!({"priorityLevelConfiguration": {"name": ""}}),
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
            ),
            (
                rule(&json!({"kind": "User"}), &pods),
                "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
            ),
            (
                rule(&user, &json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]})),
                "spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace",
            ),
            (
                rule(
                    &user,
                    &json!({"verbs": ["*", "get"], "apiGroups": [""], "resources": ["pods"], "clusterScope": true}),
                ),
                "spec.rules[0].resourceRules[0].verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other verbs",
            ),
            (
                json!({"rules": [{"subjects": [user]}]}),
                "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
            ),
            (
                json!({"rules": [{"subjects": [user], "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/a*"]}]}]}),
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"/a*\": wildcard can only do suffix matching",
            ),
        ];
        for (fields, text) in cases {
            assert_eq!(texts(&Rules.validate(&schema("mine", &fields))), [text]);
        }
    }

    #[test]
    fn rows_are_upstreams() {
        let mut object = schema("mine", &json!({}));
        let row = |object: &Object| -> Vec<Value> {
            [1, 2, 3, 5].map(|at: usize| (COLUMNS[at].cell)(object, OffsetDateTime::UNIX_EPOCH)).to_vec()
        };
        assert_eq!(row(&object), [json!("high"), json!(1000), json!("<none>"), json!("?")]);
        object.set(&["status", "conditions"], json!([{"type": "Dangling", "status": "False"}]));
        object.set(&["spec", "distinguisherMethod", "type"], "ByUser");
        assert_eq!(row(&object)[2..], ["ByUser", "False"]);
    }
}
