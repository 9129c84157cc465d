//! MutatingWebhookConfiguration, ValidatingWebhookConfiguration: whom to ask about which writes.
//!
//! Source: `pkg/apis/admissionregistration/{v1/defaults,validation}`, `pkg/registry/admissionregistration`.

use std::collections::BTreeSet;

use keelson_api_schema::format::{
    check_dns1035_label, check_dns1123_label, check_dns1123_subdomain, check_port_number,
};
use serde_json::{Value, json};

use super::{
    FAILURE_POLICIES, MATCH_POLICIES, check_conditions, check_rule, default_scopes, fill, first_generation,
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    kinds::{metadata, workload::differs},
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// How long a webhook may take, in seconds.
const TIMEOUT_SECONDS_MAX: i64 = 30;
const USUAL_TIMEOUT_SECONDS: i64 = 10;

/// The port of a Service that says none.
const HTTPS: i64 = 443;

/// The versions of an AdmissionReview.
const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// The columns of both kinds.
pub const COLUMNS: &[Column] =
    &[NAME, Column::new("Webhooks", "integer", |object, _| object.list(&["webhooks"]).len().into()), AGE];

/// The rules of both kinds.
pub struct Rules {
    /// Whether the webhooks may change objects.
    pub mutating: bool,
}

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        first_generation(object);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["webhooks"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn default(&self, object: &mut Object) {
        if object.list(&["webhooks"]).is_empty() {
            return;
        }
        let webhooks = object.slot(&["webhooks"]).and_then(Value::as_array_mut);
        for webhook in webhooks.into_iter().flatten() {
            default(webhook, self.mutating);
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut seen = BTreeSet::new();
        for webhook in Place::at(object, &["webhooks"]).items() {
            let name = webhook.child("name");
            check(&webhook, &mut errors);
            if self.mutating {
                let policy = webhook.child("reinvocationPolicy");
                if policy.is_set() {
                    policy.one_of(&["IfNeeded", "Never"], &mut errors);
                }
            }
            if !seen.insert(name.text()) {
                errors.push(name.duplicate());
            }
        }
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

fn default(webhook: &mut Value, mutating: bool) {
    fill(webhook, "failurePolicy", "Fail".into());
    fill(webhook, "matchPolicy", "Equivalent".into());
    fill(webhook, "namespaceSelector", json!({}));
    fill(webhook, "objectSelector", json!({}));
    fill(webhook, "timeoutSeconds", USUAL_TIMEOUT_SECONDS.into());
    if mutating {
        fill(webhook, "reinvocationPolicy", "Never".into());
    }
    let service = webhook.get_mut("clientConfig").and_then(|client| client.get_mut("service"));
    if let Some(service) = service {
        fill(service, "port", HTTPS.into());
    }
    default_scopes(webhook.get_mut("rules"));
}

fn check(webhook: &Place<'_>, errors: &mut Vec<FieldError>) {
    check_name(&webhook.child("name"), errors);
    webhook.child("rules").items().for_each(|rule| check_rule(&rule, errors));
    for (field, values) in [("failurePolicy", FAILURE_POLICIES), ("matchPolicy", MATCH_POLICIES)] {
        let policy = webhook.child(field);
        if policy.is_set() {
            policy.one_of(&values, errors);
        }
    }
    let effects = webhook.child("sideEffects");
    if effects.is_set() {
        effects.one_of(&["None", "NoneOnDryRun"], errors);
    } else {
        errors.push(effects.required("must specify one of None, NoneOnDryRun"));
    }
    let timeout = webhook.child("timeoutSeconds");
    if timeout.integer().is_some_and(|seconds| !(1..=TIMEOUT_SECONDS_MAX).contains(&seconds)) {
        errors.push(timeout.invalid("the timeout value must be between 1 and 30 seconds"));
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        metadata::label_selector(&webhook.child(selector), errors);
    }
    check_client(&webhook.child("clientConfig"), errors);
    check_versions(&webhook.child("admissionReviewVersions"), errors);
    check_conditions(&webhook.child("matchConditions"), errors);
}

/// A name below somebody's domain.
fn check_name(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.text().is_empty() {
        errors.push(name.required(""));
        return;
    }
    errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
    if name.text().split('.').count() < 3 {
        errors.push(name.invalid("should be a domain with at least three segments separated by dots"));
    }
}

fn check_client(client: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (url, service) = (client.child("url"), client.child("service"));
    match (url.is_set(), service.is_set()) {
        (true, false) => check_url(&url, errors),
        (false, true) => check_service(&service, errors),
        _ => errors.push(client.required("exactly one of url or service is required")),
    }
}

fn check_url(url: &Place<'_>, errors: &mut Vec<FieldError>) {
    const FORM: &str = "; desired format: https://host[/path]";
    let text = url.text();
    let Some((scheme, rest)) = text.split_once("://") else {
        errors.push(url.required(format!("url must be a valid URL{FORM}")));
        return;
    };
    if scheme != "https" {
        errors.push(FieldError::invalid(
            url.path(),
            scheme,
            format!("'https' is the only allowed URL scheme{FORM}"),
        ));
    }
    let (address, query) = (rest.split(['/', '?', '#']).next().unwrap_or_default(), rest);
    let host = address.rsplit('@').next().unwrap_or_default();
    if host.is_empty() {
        errors.push(FieldError::invalid(url.path(), host, format!("host must be specified{FORM}")));
    }
    let forbidden = [
        (address.contains('@'), "user information is not permitted in the URL"),
        (query.contains('#'), "fragments are not permitted in the URL"),
        (query.contains('?'), "query parameters are not permitted in the URL"),
    ];
    for (_, detail) in forbidden.iter().filter(|(found, _)| *found) {
        errors.push(url.invalid(*detail));
    }
}

fn check_service(service: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (field, check) in
        [("name", check_dns1035_label as fn(&str) -> Vec<String>), ("namespace", check_dns1123_label)]
    {
        let place = service.child(field);
        match place.text() {
            "" => errors.push(place.required(format!("service {field} is required"))),
            text => errors.extend(place.each_invalid(check(text))),
        }
    }
    let (path, port) = (service.child("path"), service.child("port"));
    let parts = path.text().strip_prefix('/').map(|rest| rest.trim_end_matches('/'));
    match parts {
        _ if !path.is_set() => {}
        None => errors.push(path.invalid("must start with a '/'")),
        Some("") => {}
        Some(parts) => {
            for (at, part) in parts.split('/').enumerate() {
                let wrong =
                    if part.is_empty() { vec!["is empty".to_owned()] } else { check_dns1123_subdomain(part) };
                let details = wrong.into_iter().map(|detail| format!("segment[{at}]: {detail}"));
                errors.extend(path.each_invalid(details.collect()));
            }
        }
    }
    if let Some(number) = port.integer() {
        let wrong = check_port_number(number).into_iter();
        let details = wrong.map(|detail| format!("port is not valid: {detail}"));
        errors.extend(port.each_invalid(details.collect()));
    }
}

fn check_versions(versions: &Place<'_>, errors: &mut Vec<FieldError>) {
    if versions.is_empty() {
        errors.push(versions.required(format!("must specify one of {}", REVIEW_VERSIONS.join(", "))));
        return;
    }
    let mut seen = BTreeSet::new();
    for version in versions.items() {
        if !seen.insert(version.text()) {
            errors.push(FieldError::invalid(version.path(), version.text(), "duplicate version"));
            continue;
        }
        errors.extend(version.each_invalid(check_dns1035_label(version.text())));
    }
    if !versions.items().any(|version| REVIEW_VERSIONS.contains(&version.text())) {
        let detail = format!("must include at least one of {}", REVIEW_VERSIONS.join(", "));
        errors.push(versions.invalid(detail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::texts;

    const RULES: Rules = Rules { mutating: true };

    fn configuration(fields: &Value) -> Object {
        let mut webhook = json!({
            "name": "judge.example.com", "clientConfig": {"url": "https://judge.example.com/judge"},
            "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        });
        for (name, value) in fields.as_object().unwrap() {
            webhook[name] = value.clone();
        }
        let mut object = Object(json!({"metadata": {"name": "judge"}, "webhooks": [webhook]}));
        RULES.default(&mut object);
        RULES.prepare_create(&mut object);
        object
    }

    #[test]
    fn defaults_are_upstreams() {
        let object = configuration(&json!({"clientConfig": {"service": {"name": "a", "namespace": "b"}}}));
        assert_eq!(RULES.validate(&object), []);
        let webhook = &object.0["webhooks"][0];
        assert_eq!(webhook["failurePolicy"], "Fail");
        assert_eq!(
            (&webhook["timeoutSeconds"], &webhook["reinvocationPolicy"]),
            (&json!(10), &json!("Never"))
        );
        assert_eq!(webhook["clientConfig"]["service"]["port"], 443);
        assert_eq!(webhook["rules"][0]["scope"], "*");
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let rule = |field: &str, value: Value| {
            let mut rule = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]});
            rule[field] = value;
            json!({"rules": [rule]})
        };
        let cases = [
            (
                json!({"name": "judge"}),
                "webhooks[0].name: Invalid value: \"judge\": should be a domain with at least three segments separated by dots",
            ),
            (
                json!({"clientConfig": {}}),
                "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
            ),
            (
                json!({"clientConfig": {"url": "http://a"}}),
                "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
            ),
            (
                json!({"sideEffects": "Some"}),
                "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
            ),
            (
                json!({"timeoutSeconds": 31}),
                "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
            ),
            (
                json!({"admissionReviewVersions": ["v2"]}),
                "webhooks[0].admissionReviewVersions: Invalid value: [\"v2\"]: must include at least one of v1, v1beta1",
            ),
            (
                rule("operations", json!(["*", "CREATE"])),
                "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other operations",
            ),
            (
                rule("resources", json!(["*/*", "pods"])),
                "webhooks[0].rules[0].resources: Invalid value: [\"*/*\",\"pods\"]: if '*/*' is present, must not specify other resources",
            ),
            (
                rule("resources", json!(["pods/*", "pods/log"])),
                "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify pods/log",
            ),
            (
                json!({"matchConditions": [{"name": "a", "expression": " "}]}),
                "webhooks[0].matchConditions[0].expression: Required value",
            ),
        ];
        for (fields, text) in cases {
            assert_eq!(texts(&RULES.validate(&configuration(&fields))), [text]);
        }
    }

    #[test]
    fn the_generation_counts_webhooks() {
        let old = configuration(&json!({}));
        let mut new = configuration(&json!({"failurePolicy": "Ignore"}));
        RULES.prepare_update(&mut new, &old);
        assert_eq!(new.generation(), 2);
        let mut same = old.clone();
        same.set(&["metadata", "labels", "a"], "b");
        RULES.prepare_update(&mut same, &old);
        assert_eq!(same.generation(), 1);
    }
}
