//! PodCertificateRequest: a node's wish for a certificate for one of its pods.
//!
//! Source: `pkg/apis/certificates/validation`, `pkg/registry/certificates/podcertificaterequest`.

use keelson_api_schema::format::check_dns1123_subdomain;
use serde_json::{Map, Value};

use super::{bytes, certificates, check_request, check_signer};
use crate::{
    columns::NAME,
    field::FieldError,
    kinds::condition,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{StatusMetadata, Strategy, keep},
};

/// How long a certificate may be asked for, in seconds: at least; at most of Kubernetes' own signers; of others.
const SECONDS_MIN: i64 = 3600;
const SECONDS_MAX_OWN: i64 = 86_400;
const SECONDS_MAX: i64 = 7_862_400;

/// The longest uid, in bytes.
const UID_MAX: usize = 128;

/// How a request ends. It ends once.
const ENDS: [&str; 3] = ["Denied", "Failed", "Issued"];

/// The columns of PodCertificateRequests.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("PodName", "string", |object, _| object.text(&["spec", "podName"]).into()),
    Column::new("ServiceAccountName", "string", |object, _| {
        object.text(&["spec", "serviceAccountName"]).into()
    }),
    Column::new("NodeName", "string", |object, _| object.text(&["spec", "nodeName"]).into()),
    Column::new("SignerName", "string", |object, _| object.text(&["spec", "signerName"]).into()),
    Column::new("State", "string", |object, _| end(object).unwrap_or("Pending").into()),
];

fn end(object: &Object) -> Option<&str> {
    let conditions = object.list(&["status", "conditions"]).iter();
    conditions.filter_map(|condition| condition["type"].as_str()).find(|kind| ENDS.contains(kind))
}

/// The rules of PodCertificateRequests.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], Value::Object(Map::new()));
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        keep(object, old, &["status"]);
    }

    fn status_metadata(&self) -> StatusMetadata {
        StatusMetadata::Stays
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        check_signer(&spec.child("signerName"), &mut errors);
        for name in ["podName", "serviceAccountName", "nodeName"] {
            let place = spec.child(name);
            errors.extend(place.each_invalid(check_dns1123_subdomain(place.text())));
        }
        for uid in ["podUID", "serviceAccountUID", "nodeUID"] {
            let place = spec.child(uid);
            match place.text().len() {
                0 => errors.push(place.required("must not be empty")),
                long if long > UID_MAX => errors.push(FieldError::too_long(place.path(), UID_MAX)),
                _ => {}
            }
        }
        check_seconds(&spec, &mut errors);
        let request = spec.child("stubPKCS10Request");
        if request.text().is_empty() {
            errors.push(request.required(""));
        } else if let Err(why) = check_request(&bytes(&request)) {
            errors.push(request.invalid(why));
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Place::at(object, &["spec"]).unchanged(&Place::at(old, &["spec"]), &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let conditions = Place::at(object, &["status", "conditions"]);
        condition::validate(&conditions, &mut errors);
        let mut ends = 0;
        for condition in conditions.items() {
            let (kind, status) = (condition.child("type"), condition.child("status"));
            if ENDS.contains(&kind.text()) {
                status.one_of(&["True"], &mut errors);
                ends += 1;
            } else {
                errors.push(kind.not_supported(&ENDS));
            }
        }
        if ends > 1 {
            errors.push(
                conditions.invalid(
                    r#"There may be at most one condition with type "Issued", "Denied", or "Failed""#,
                ),
            );
        }
        let (now, before) = (Place::at(object, &["status"]), Place::at(old, &["status"]));
        if end(old).is_some() && now.value() != before.value() {
            errors.push(now.forbidden("immutable after a terminal condition is set"));
        }
        check_chain(object, &mut errors);
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

fn check_seconds(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let seconds = spec.child("maxExpirationSeconds");
    let is_own = spec.child("signerName").text().starts_with("kubernetes.io/");
    let most = if is_own { SECONDS_MAX_OWN } else { SECONDS_MAX };
    match seconds.integer() {
        None => errors.push(seconds.required("must be set")),
        Some(wish) if !(SECONDS_MIN..=most).contains(&wish) => {
            errors.push(seconds.invalid(format!("must be in the range [{SECONDS_MIN}, {most}]")));
        }
        Some(_) => {}
    }
}

/// A chain is there where a certificate was issued, and nowhere else.
fn check_chain(object: &Object, errors: &mut Vec<FieldError>) {
    let chain = Place::at(object, &["status", "certificateChain"]);
    match (end(object) == Some("Issued"), chain.text()) {
        (true, text) => {
            if let Err(why) = certificates(text.as_bytes()) {
                errors.push(FieldError::invalid(chain.path(), "<value omitted>", why));
            }
        }
        (false, "") => {}
        (false, _) => errors.push(chain.forbidden("must be empty unless an Issued condition is set")),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::json;

    use super::*;
    use crate::field::texts;
    use crate::kinds::certificates::first_block;

    fn request(fields: &Value) -> Object {
        let der = first_block(include_bytes!("testing/request.pem")).unwrap().contents;
        let mut object = Object(json!({
            "metadata": {"name": "a", "namespace": "shop"},
            "spec": {
                "signerName": "example.com/pods", "podName": "web", "podUID": "p", "serviceAccountName": "default",
                "serviceAccountUID": "s", "nodeName": "n1", "nodeUID": "n", "maxExpirationSeconds": 86400,
                "stubPKCS10Request": STANDARD.encode(der),
            },
        }));
        for (name, value) in fields.as_object().unwrap() {
            object.set(&["spec", name], value.clone());
        }
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn a_request_is_for_a_pod_on_a_node_and_stays() {
        let old = request(&json!({}));
        assert_eq!(texts(&Rules.validate(&old)), [""; 0]);
        let cases = [
            (json!({"podUID": ""}), "spec.podUID: Required value: must not be empty"),
            (
                json!({"maxExpirationSeconds": 60}),
                "spec.maxExpirationSeconds: Invalid value: 60: must be in the range [3600, 7862400]",
            ),
            (json!({"stubPKCS10Request": ""}), "spec.stubPKCS10Request: Required value"),
        ];
        for (fields, text) in cases {
            assert_eq!(texts(&Rules.validate(&request(&fields))), [text]);
        }
        let moved = request(&json!({"nodeName": "n2"}));
        assert!(texts(&Rules.validate_update(&moved, &old))[0].ends_with("field is immutable"));
    }

    #[test]
    fn a_request_ends_once() {
        let old = request(&json!({}));
        let ended = |kinds: &[&str]| {
            let condition = |kind: &&str| {
                json!({
                    "type": kind, "status": "True", "reason": "So", "lastTransitionTime": "2026-01-01T00:00:00Z",
                })
            };
            let mut object = old.clone();
            object.set(&["status", "conditions"], kinds.iter().map(condition).collect::<Vec<_>>());
            object
        };
        let denied = ended(&["Denied"]);
        assert_eq!(Rules.validate_status_update(&denied, &old), []);
        assert_eq!((COLUMNS[5].cell)(&denied, time::OffsetDateTime::UNIX_EPOCH), "Denied");
        assert_eq!(Rules.validate_status_update(&ended(&["Denied", "Failed"]), &old).len(), 1);
        assert_eq!(
            texts(&Rules.validate_status_update(&ended(&["Failed"]), &denied)),
            ["status: Forbidden: immutable after a terminal condition is set"]
        );
        assert_eq!(Rules.validate_status_update(&ended(&["Issued"]), &old).len(), 1, "without a certificate");
        assert_eq!(Rules.validate_status_update(&ended(&["Bored"]), &old).len(), 1);
    }
}
