//! What may be asked, what may be decided by whom, and how the row looks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use time::OffsetDateTime;

use super::*;
use crate::field::texts;

fn request(fields: &Value) -> Object {
    let mut object = Object(json!({
        "metadata": {"name": "alice"},
        "spec": {
            "request": STANDARD.encode(include_str!("../testing/request.pem")), "signerName": "example.com/people",
            "usages": ["client auth"],
        },
    }));
    for (name, value) in fields.as_object().unwrap() {
        object.set(&["spec", name], value.clone());
    }
    Rules.prepare_create(&mut object);
    object
}

fn with(object: &Object, conditions: &[&str]) -> Object {
    let mut object = object.clone();
    let condition = |kind: &&str| json!({"type": kind, "status": "True"});
    object.set(&CONDITIONS, conditions.iter().map(condition).collect::<Vec<_>>());
    object
}

#[test]
fn what_is_asked_is_signed_and_has_a_use() {
    let good = request(&json!({}));
    assert_eq!(texts(&Rules.validate(&good)), [""; 0]);
    assert_eq!(organizations(&good), ["developers"]);
    let pem = |text: &str| json!({"request": STANDARD.encode(text)});
    let not_a_request = include_str!("../testing/authority.pem");
    assert!(
        texts(&Rules.validate(&request(&pem(not_a_request))))[0]
            .ends_with(": PEM block type must be CERTIFICATE REQUEST")
    );
    // One letter of the signature is another one.
    let forged = include_str!("../testing/forged.pem");
    assert!(texts(&Rules.validate(&request(&pem(forged))))[0].contains("x509: "));
    let cases = [
        (json!({"usages": []}), "spec.usages: Required value"),
        (json!({"usages": ["any", "any"]}), "spec.usages[1]: Duplicate value: \"any\""),
        (
            json!({"expirationSeconds": 1}),
            "spec.expirationSeconds: Invalid value: 1: may not specify a duration less than 600 seconds (10 minutes)",
        ),
        (
            json!({"signerName": "people"}),
            "spec.signerName: Invalid value: \"people\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
        ),
        (
            json!({"signerName": LEGACY_SIGNER}),
            "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via this API version",
        ),
    ];
    for (fields, text) in cases {
        assert_eq!(texts(&Rules.validate(&request(&fields))), [text]);
    }
}

#[test]
fn nothing_changes_through_the_object_itself() {
    let old = with(&request(&json!({})), &[APPROVED]);
    let mut new = request(&json!({"usages": ["any"], "signerName": "example.com/other"}));
    Rules.prepare_update(&mut new, &old);
    assert_eq!(new, old);
}

#[test]
fn a_decision_is_one_and_stays() {
    let old = request(&json!({}));
    let mut decided = with(&old, &[APPROVED]);
    decided.set(&CERTIFICATE, "eA==");
    Approval.prepare_status_update(&mut decided, &old);
    assert_eq!(decided, with(&old, &[APPROVED]), "a certificate is not the approver's to write");
    assert_eq!(Approval.validate_status_update(&decided, &old), []);
    assert_eq!(
        texts(&Approval.validate_status_update(&with(&old, &[APPROVED, DENIED]), &old)),
        [
            "status.conditions[1].type: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive"
        ]
    );
    assert_eq!(
        texts(&Approval.validate_status_update(&old, &decided)),
        ["status.conditions: Forbidden: updates may not remove a condition of type \"Approved\""]
    );
    let mut vague = with(&old, &[DENIED]);
    vague.set(&CONDITIONS, json!([{"type": "Denied", "status": "False"}]));
    assert_eq!(
        texts(&Approval.validate_status_update(&vague, &old)),
        ["status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\""]
    );
}

#[test]
fn the_signer_adds_a_certificate_once_and_decides_nothing() {
    let old = with(&request(&json!({})), &[APPROVED]);
    let mut signed = old.clone();
    signed.set(&CERTIFICATE, STANDARD.encode(include_str!("../testing/authority.pem")));
    signed.set(&CONDITIONS, json!([{"type": "Approved", "status": "True", "reason": "Mine"}]));
    Rules.prepare_status_update(&mut signed, &old);
    assert_eq!(signed.list(&CONDITIONS), old.list(&CONDITIONS));
    assert_eq!(Rules.validate_status_update(&signed, &old), []);
    assert_eq!(
        texts(&Rules.validate_status_update(&old, &signed)),
        ["status.certificate: Forbidden: updates may not modify existing certificate content"]
    );
    assert_eq!(
        texts(&Rules.validate_status_update(&with(&old, &[APPROVED]), &request(&json!({})))),
        ["status.conditions: Forbidden: updates may not add a condition of type \"Approved\""]
    );
    let mut broken = old.clone();
    broken.set(&CERTIFICATE, STANDARD.encode("no certificate"));
    assert_eq!(
        texts(&Rules.validate_status_update(&broken, &old)),
        [
            "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block"
        ]
    );
}

#[test]
fn conditions_get_their_times() {
    let mut old = with(&request(&json!({})), &[APPROVED]);
    stamp(&mut old, &request(&json!({})), "then");
    let mut new = with(&old, &[APPROVED, FAILED]);
    stamp(&mut new, &old, "now");
    let times: Vec<(&Value, &Value)> = new
        .list(&CONDITIONS)
        .iter()
        .map(|condition| (&condition["lastUpdateTime"], &condition["lastTransitionTime"]))
        .collect();
    assert_eq!(times, [(&json!("now"), &json!("then")), (&json!("now"), &json!("now"))]);
}

#[test]
fn rows_are_upstreams() {
    let pending = request(&json!({"expirationSeconds": 3600, "username": "alice"}));
    let row = |object: &Object| -> Vec<Value> {
        COLUMNS[2..].iter().map(|column| (column.cell)(object, OffsetDateTime::UNIX_EPOCH)).collect()
    };
    assert_eq!(row(&pending), ["example.com/people", "alice", "60m", "Pending"]);
    let mut issued = with(&pending, &[APPROVED]);
    issued.set(&CERTIFICATE, "eA==");
    assert_eq!(row(&issued)[3], "Approved,Issued");
    assert_eq!(row(&with(&pending, &[DENIED, FAILED]))[3], "Denied,Failed");
}
