//! What is wrong with a change of a pod's status, which its node reports.

use std::{collections::BTreeSet, net::IpAddr};

use keelson_api_schema::format::{check_dns1123_subdomain, check_qualified_name};
use serde_json::Value;

use super::update;
use crate::{field::FieldError, kinds::address::check_ip, object::Object, place::Place};

/// What is wrong with it.
pub(super) fn validate(object: &Object, old: &Object) -> Vec<FieldError> {
    let (status, before) = (Place::at(object, &["status"]), Place::at(old, &["status"]));
    let mut errors = Vec::new();
    update::annotations(object, old, &mut errors);
    for condition in Place::at(object, &["status", "conditions"]).shown_as("metadata.conditions").items() {
        let kind = condition.child("type").shown_as(condition.child("Type").path());
        errors.extend(kind.each_invalid(check_qualified_name(kind.text())));
    }
    let nominated = status.child("nominatedNodeName");
    if !nominated.text().is_empty() && nominated.text() != before.child("nominatedNodeName").text() {
        errors.extend(nominated.each_invalid(check_dns1123_subdomain(nominated.text())));
    }
    status.child("qosClass").unchanged(&before.child("qosClass"), &mut errors);
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        transitions(list, object, old, &mut errors);
    }
    addresses(&status.child("podIPs"), &mut errors);
    host_addresses(&status, &mut errors);
    errors
}

/// What has ended for good does not start again.
fn transitions(list: &str, object: &Object, old: &Object, errors: &mut Vec<FieldError>) {
    let ephemeral = list == "ephemeralContainerStatuses";
    let policy = if ephemeral { "Never" } else { old.text(&["spec", "restartPolicy"]) };
    for before in Place::at(old, &["status", list]).items() {
        let ended = before.child("state").child("terminated");
        let name = before.child("name").text();
        if !ended.is_set() || restarts(old, list, name, policy, ended.child("exitCode").integer()) {
            continue;
        }
        let now = object.list(&["status", list]).iter().find(|status| status["name"] == name);
        if now.is_some_and(|status| !status["state"]["terminated"].is_object()) {
            errors.push(before.child("state").forbidden("may not be transitioned to non-terminated state"));
        }
    }
}

fn restarts(old: &Object, list: &str, name: &str, policy: &str, exit_code: Option<i64>) -> bool {
    let specs = match list {
        "containerStatuses" => old.list(&["spec", "containers"]),
        "initContainerStatuses" => old.list(&["spec", "initContainers"]),
        _ => &[],
    };
    let spec = specs.iter().find(|container| container["name"] == name).unwrap_or(&Value::Null);
    if spec["restartPolicyRules"].as_array().is_some_and(|rules| !rules.is_empty()) {
        return true;
    }
    match spec["restartPolicy"].as_str().unwrap_or(policy) {
        "Always" => true,
        "OnFailure" => exit_code.unwrap_or(0) != 0,
        _ => false,
    }
}

fn addresses(ips: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (mut families, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for ip in ips.items() {
        let address = ip.child("ip");
        check_ip(&address.clone().shown_as(ip.path()), errors);
        families.insert(address.text().parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()));
        if !seen.insert(address.text()) {
            errors.push(ip.duplicate());
        }
    }
    if ips.len() > families.len() {
        errors.push(ips.invalid("may specify no more than one IP for each IP family"));
    }
}

fn host_addresses(status: &Place<'_>, errors: &mut Vec<FieldError>) {
    let ips = status.child("hostIPs");
    let Some(first) = ips.items().next() else { return };
    if first.child("ip").text() != status.child("hostIP").text() {
        errors.push(first.child("ip").invalid("must be equal to `hostIP`"));
    }
    addresses(&ips, errors);
}
