//! What is wrong with containers: names, images, ports, and what hangs on them.

use std::collections::BTreeSet;

use keelson_api_schema::format::{check_dns1123_label, check_port_name, check_port_number};

use super::{env, mount, probe, resources, security, spec::Context};
use crate::{field::FieldError, kinds::service, place::Place};

/// The restart rules of one container are at most this many.
const MAX_RESTART_RULES: usize = 20;
/// The exit codes of one rule are at most this many.
const MAX_EXIT_CODES: usize = 255;

/// What ephemeral containers may not have, in the order in which Go has it.
const NOT_EPHEMERAL: &[&str] = &[
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

/// All containers of a pod's spec.
pub(super) fn all(spec: &Place<'_>, context: &Context<'_>, errors: &mut Vec<FieldError>) {
    let (main, init) = (spec.child("containers"), spec.child("initContainers"));
    if main.is_empty() {
        errors.push(main.required(""));
    }
    let mut names = BTreeSet::new();
    for container in main.items() {
        shared(&container, context, errors);
        unique(&container, &mut names, errors);
        probe::of_container(&container, context, errors);
    }
    host_ports(main.items(), errors);
    for container in init.items() {
        shared(&container, context, errors);
        unique(&container, &mut names, errors);
        host_ports(std::iter::once(container.clone()), errors);
        init_only(&container, context, errors);
    }
    let targets = names.clone();
    for container in spec.child("ephemeralContainers").items() {
        shared(&container, context, errors);
        unique(&container, &mut names, errors);
        ephemeral_only(&container, &targets, errors);
    }
}

/// What every container must be like.
fn shared(container: &Place<'_>, context: &Context<'_>, errors: &mut Vec<FieldError>) {
    let (name, image) = (container.child("name"), container.child("image"));
    if name.text().is_empty() {
        errors.push(name.required(""));
    } else {
        errors.extend(name.each_invalid(check_dns1123_label(name.text())));
    }
    if image.text().is_empty() {
        errors.push(image.required(""));
    } else if context.is_pod && image.text().trim() != image.text() {
        errors.push(image.invalid("must not have leading or trailing whitespace"));
    }
    let known: [(&str, &[&str]); 2] = [
        ("terminationMessagePolicy", &["FallbackToLogsOnError", "File"]),
        ("imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ];
    for (field, values) in known {
        let policy = container.child(field);
        match policy.text() {
            "" => errors.push(policy.required("")),
            _ => policy.one_of(values, errors),
        }
    }
    ports(&container.child("ports"), errors);
    env::variables(&container.child("env"), errors);
    env::sources(&container.child("envFrom"), errors);
    mount::mounts(container, context, errors);
    mount::devices(container, context, errors);
    let resources = container.child("resources");
    resources::requirements(&resources, resources::container_resource, errors);
    resources::claims(&resources.child("claims"), &context.claims, errors);
    resize(&container.child("resizePolicy"), context.never_restarts, errors);
    restart(container, errors);
    security::container(&container.child("securityContext"), context.host_users, errors);
}

fn unique<'v>(container: &Place<'v>, names: &mut BTreeSet<&'v str>, errors: &mut Vec<FieldError>) {
    let name = container.child("name");
    if !name.text().is_empty() && !names.insert(name.text()) {
        errors.push(name.duplicate());
    }
}

/// Init containers end before the others start, unless they are sidecars.
fn init_only(container: &Place<'_>, context: &Context<'_>, errors: &mut Vec<FieldError>) {
    if container.child("restartPolicy").text() == "Always" {
        probe::of_container(container, context, errors);
        return;
    }
    for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        let field = container.child(field);
        if field.is_set() {
            errors.push(field.forbidden("may not be set for init containers without restartPolicy=Always"));
        }
    }
    for policy in container.child("resizePolicy").items().map(|policy| policy.child("restartPolicy")) {
        if policy.text() == "RestartContainer" {
            let detail = "must not be set to 'RestartContainer' for non-sidecar initContainers";
            errors.push(policy.invalid(detail));
        }
    }
}

/// Ephemeral containers are for looking around, not for being relied on.
fn ephemeral_only(container: &Place<'_>, targets: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let target = container.child("targetContainerName");
    if !target.text().is_empty() && !targets.contains(target.text()) {
        errors.push(target.not_found());
    }
    for name in NOT_EPHEMERAL {
        let field = container.child(name);
        let is_there = match *name {
            "ports" | "resources" | "resizePolicy" | "restartPolicyRules" => !field.is_empty(),
            _ => field.is_set(),
        };
        if is_there {
            errors.push(field.forbidden("cannot be set for an Ephemeral Container"));
        }
    }
    for mount in container.child("volumeMounts").items() {
        for field in ["subPath", "subPathExpr"] {
            if !mount.child(field).text().is_empty() {
                errors.push(mount.child(field).forbidden("cannot be set for an Ephemeral Container"));
            }
        }
    }
}

fn ports(ports: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut names = BTreeSet::new();
    for port in ports.items() {
        let name = port.child("name");
        if !name.text().is_empty() {
            let wrong = check_port_name(name.text());
            if wrong.is_empty() && !names.insert(name.text()) {
                errors.push(name.duplicate());
            }
            errors.extend(name.each_invalid(wrong));
        }
        let (inside, outside) = (port.child("containerPort"), port.child("hostPort"));
        match inside.integer().unwrap_or(0) {
            0 => errors.push(inside.required("")),
            number => errors.extend(inside.each_invalid(check_port_number(number))),
        }
        if let Some(number) = outside.integer().filter(|number| *number != 0) {
            errors.extend(outside.each_invalid(check_port_number(number)));
        }
        service::protocol(&port.child("protocol"), errors);
    }
}

/// Two containers that run at once cannot have the same port of the node.
fn host_ports<'v>(containers: impl Iterator<Item = Place<'v>>, errors: &mut Vec<FieldError>) {
    let mut taken = BTreeSet::new();
    for container in containers {
        for port in container.child("ports").items() {
            let number = port.child("hostPort");
            let Some(value) = number.integer().filter(|value| *value != 0) else { continue };
            let key = format!("{}/{}/{value}", port.child("protocol").text(), port.child("hostIP").text());
            if !taken.insert(key.clone()) {
                errors.push(FieldError::duplicate(number.path(), key));
            }
        }
    }
}

/// In the node's network a container's ports are the node's.
pub(super) fn host_network(spec: &Place<'_>, is_pod: bool, errors: &mut Vec<FieldError>) {
    if !spec.child("hostNetwork").flag() {
        return;
    }
    for container in spec.child("containers").items() {
        for port in container.child("ports").items() {
            let number = port.child("hostPort");
            let outside = number.integer().unwrap_or(0);
            let differs = outside != port.child("containerPort").integer().unwrap_or(0);
            if differs && (is_pod || outside != 0) {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                errors.push(FieldError::invalid(number.path(), outside, detail));
            }
        }
    }
}

fn resize(policies: &Place<'_>, never_restarts: bool, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for policy in policies.items() {
        let (resource, restart) = (policy.child("resourceName"), policy.child("restartPolicy"));
        if !seen.insert(resource.text()) {
            errors.push(FieldError::duplicate(policy.path(), resource.text()));
        }
        let known: [(&Place<'_>, &[&str]); 2] =
            [(&resource, &["cpu", "memory"]), (&restart, &["NotRequired", "RestartContainer"])];
        for (field, values) in known {
            match field.text() {
                "" => errors.push(policies.required("")),
                text if values.contains(&text) => {}
                text => errors.push(FieldError::not_supported(policies.path(), text, values)),
            }
        }
        if never_restarts && restart.text() != "NotRequired" {
            let detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.push(FieldError::invalid(policies.path(), restart.text(), detail));
        }
    }
}

/// A container's own restart policy and the rules that go with it.
fn restart(container: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (policy, rules) = (container.child("restartPolicy"), container.child("restartPolicyRules"));
    if policy.is_set() {
        policy.one_of(&["Always", "Never", "OnFailure"], errors);
    } else if !rules.is_empty() {
        errors.push(policy.required("must specify restartPolicy when restart rules are used"));
    }
    if rules.len() > MAX_RESTART_RULES {
        errors.push(FieldError::too_many(rules.path(), rules.len(), MAX_RESTART_RULES));
    }
    for rule in rules.items() {
        rule.child("action").one_of(&["Restart", "RestartAllContainers"], errors);
        let codes = rule.child("exitCodes");
        if codes.is_set() {
            codes.child("operator").one_of(&["In", "NotIn"], errors);
            let values = codes.child("values");
            if values.len() > MAX_EXIT_CODES {
                errors.push(FieldError::too_many(values.path(), values.len(), MAX_EXIT_CODES));
            }
        } else {
            errors.push(codes.required("must be specified"));
        }
    }
}
