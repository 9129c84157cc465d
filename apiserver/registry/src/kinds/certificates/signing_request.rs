//! CertificateSigningRequest: a wish for a certificate, what was decided about it, and the certificate.
//!
//! Deliberately absent: who asks, which admission writes into the object; clocks: times of conditions are stamped
//! by whoever has one ([`stamp`]).
//!
//! Source: `pkg/apis/certificates/validation`, `pkg/registry/certificates/certificates`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use time::Duration;
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

use super::{bytes, certificates, check_request_pem, check_signer, first_block};
use crate::{
    columns::{AGE, NAME, NONE, human_duration},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{Strategy, keep, keep_all_but_status},
};

/// What a certificate can be used for.
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// A signer that only an older version of the API has.
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";

/// How short a certificate can be asked for, in seconds.
const SECONDS_MIN: i64 = 600;

/// Decisions, of which the last is the signer's.
const APPROVED: &str = "Approved";
const DENIED: &str = "Denied";
const FAILED: &str = "Failed";

const CONDITIONS: [&str; 2] = ["status", "conditions"];
const CERTIFICATE: [&str; 2] = ["status", "certificate"];

/// The columns of CertificateSigningRequests.
pub const COLUMNS: &[Column] = &[
    NAME,
    AGE,
    Column::new("SignerName", "string", |object, _| object.text(&["spec", "signerName"]).into()),
    Column::new("Requestor", "string", |object, _| object.text(&["spec", "username"]).into()),
    Column::new("RequestedDuration", "string", |object, _| {
        let seconds = object.integer(&["spec", "expirationSeconds"]);
        seconds.map_or_else(|| NONE.into(), |seconds| human_duration(Duration::seconds(seconds)).into())
    }),
    Column::new("Condition", "string", |object, _| state(object).into()),
];

fn state(object: &Object) -> String {
    let is = |kind: &str| object.list(&CONDITIONS).iter().any(|condition| condition["type"] == kind);
    let decided = match (is(DENIED), is(APPROVED)) {
        (true, _) => DENIED,
        (false, true) => APPROVED,
        (false, false) => "Pending",
    };
    let failed = if is(FAILED) { ",Failed" } else { "" };
    let issued = if object.text(&CERTIFICATE).is_empty() { "" } else { ",Issued" };
    format!("{decided}{failed}{issued}")
}

/// The rules of CertificateSigningRequests, and of their status, which is the signer's.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], Value::Object(Map::new()));
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        keep(object, old, &["spec"]);
        keep(object, old, &["status"]);
    }

    fn prepare_status_update(&self, object: &mut Object, old: &Object) {
        keep_all_but_status(object, old);
        keep_decision(object, old, APPROVED);
        keep_decision(object, old, DENIED);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        let request = spec.child("request");
        if let Err(why) = check_request_pem(&bytes(&request)) {
            errors.push(request.invalid(why));
        }
        check_usages(&spec.child("usages"), &mut errors);
        let signer = spec.child("signerName");
        check_signer(&signer, &mut errors);
        if signer.text() == LEGACY_SIGNER {
            errors.push(signer.invalid("the legacy signerName is not allowed via this API version"));
        }
        let seconds = spec.child("expirationSeconds");
        if seconds.integer().is_some_and(|seconds| seconds < SECONDS_MIN) {
            errors.push(seconds.invalid("may not specify a duration less than 600 seconds (10 minutes)"));
        }
        errors
    }

    fn validate_status_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_status(object, &mut errors);
        check_decisions(object, old, &[APPROVED, DENIED], &mut errors);
        let (now, before) = (Place::at(object, &CERTIFICATE), old.text(&CERTIFICATE));
        if !before.is_empty() && now.text() != before {
            errors.push(now.forbidden("updates may not modify existing certificate content"));
        }
        errors
    }
}

/// The rules of `approval`, where nothing but what was decided changes.
pub struct Approval;

impl Strategy for Approval {
    fn prepare_status_update(&self, object: &mut Object, old: &Object) {
        let wanted = object.get(&CONDITIONS).cloned();
        keep_all_but_status(object, old);
        keep(object, old, &["status"]);
        match wanted {
            Some(conditions) => object.set(&CONDITIONS, conditions),
            None => drop(object.remove(&CONDITIONS)),
        }
    }

    fn validate_status_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_status(object, &mut errors);
        check_decisions(object, old, &[], &mut errors);
        errors
    }

    fn field_value(&self, object: &Object, field: &str) -> String {
        Rules.field_value(object, field)
    }
}

/// Gives conditions that have none the time of now, or of when they became what they are.
pub fn stamp(object: &mut Object, old: &Object, now: &str) {
    if object.list(&CONDITIONS).is_empty() {
        return;
    }
    let conditions = object.slot(&CONDITIONS).and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten().filter(|condition| condition.is_object()) {
        let unset = |condition: &Value, field: &str| condition[field].as_str().is_none_or(str::is_empty);
        if unset(condition, "lastUpdateTime") {
            condition["lastUpdateTime"] = now.into();
        }
        if unset(condition, "lastTransitionTime") {
            let same = |before: &&Value| {
                before["type"] == condition["type"] && before["status"] == condition["status"]
            };
            let before = old.list(&CONDITIONS).iter().find(same);
            let since = before.and_then(|before| before["lastTransitionTime"].as_str()).unwrap_or(now);
            condition["lastTransitionTime"] = since.into();
        }
    }
}

/// As whose the certificate would be known: the organizations in the request's subject. Empty for a request that
/// cannot be read.
pub fn organizations(object: &Object) -> Vec<String> {
    let text = bytes(&Place::at(object, &["spec", "request"]));
    let Some(pem) = first_block(&text) else { return Vec::new() };
    let Ok((_, request)) = X509CertificationRequest::from_der(&pem.contents) else { return Vec::new() };
    let names = request.certification_request_info.subject.iter_organization();
    names.filter_map(|name| name.as_str().ok().map(str::to_owned)).collect()
}

fn of_type<'o>(object: &'o Object, kind: &'o str) -> impl Iterator<Item = (usize, &'o Value)> {
    object.list(&CONDITIONS).iter().enumerate().filter(move |(_, condition)| condition["type"] == kind)
}

/// Takes a decision as it was, unless one came or went, which is complained about later.
fn keep_decision(object: &mut Object, old: &Object, kind: &str) {
    let now: Vec<usize> = of_type(object, kind).map(|(at, _)| at).collect();
    let before: Vec<Value> = of_type(old, kind).map(|(_, condition)| condition.clone()).collect();
    if now.is_empty() || now.len() != before.len() {
        return;
    }
    let Some(conditions) = object.slot(&CONDITIONS).and_then(Value::as_array_mut) else { return };
    for (at, condition) in now.into_iter().zip(before) {
        conditions[at] = condition;
    }
}

fn check_usages(usages: &Place<'_>, errors: &mut Vec<FieldError>) {
    if usages.is_empty() {
        errors.push(usages.required(""));
    }
    let mut seen = BTreeSet::new();
    for usage in usages.items() {
        usage.one_of(&USAGES, errors);
        if !seen.insert(usage.text()) {
            errors.push(usage.duplicate());
        }
    }
}

fn check_status(object: &Object, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for condition in Place::at(object, &CONDITIONS).items() {
        let (kind, status) = (condition.child("type"), condition.child("status"));
        match kind.text() {
            "" => errors.push(kind.required("")),
            APPROVED | DENIED | FAILED => match status.text() {
                "" => errors.push(status.required("")),
                _ => status.one_of(&["True"], errors),
            },
            _ => match status.text() {
                "" => errors.push(status.required("")),
                _ => status.one_of(&["False", "True", "Unknown"], errors),
            },
        }
        let opposite = match kind.text() {
            APPROVED => Some(DENIED),
            DENIED => Some(APPROVED),
            _ => None,
        };
        if opposite.is_some_and(|opposite| seen.contains(opposite)) {
            errors.push(kind.invalid("Approved and Denied conditions are mutually exclusive"));
        }
        if !seen.insert(kind.text()) {
            errors.push(kind.duplicate());
        }
    }
    let certificate = Place::at(object, &CERTIFICATE);
    if certificate.text().is_empty() {
        return;
    }
    if let Err(why) = certificates(&bytes(&certificate)) {
        errors.push(FieldError::invalid(certificate.path(), "<certificate data>", why));
    }
}

/// Decisions stay; those of `closed` do not come either.
fn check_decisions(object: &Object, old: &Object, closed: &[&str], errors: &mut Vec<FieldError>) {
    for kind in [APPROVED, DENIED, FAILED] {
        let (now, before) = (of_type(object, kind).count(), of_type(old, kind).count());
        let what = match () {
            () if now < before => "remove",
            () if now > before && closed.contains(&kind) => "add",
            () => continue,
        };
        let detail = format!("updates may not {what} a condition of type {kind:?}");
        errors.push(FieldError::forbidden(CONDITIONS.join("."), detail));
    }
}

#[cfg(test)]
mod tests;
