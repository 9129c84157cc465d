//! What is wrong with environment variables and where they come from.

use keelson_api_schema::format::{
    check_config_map_key, check_dns1123_label, check_dns1123_subdomain, check_env_var_name,
    check_qualified_name,
};

use super::spec::each_container;
use crate::{field::FieldError, kinds::local_path::has_backsteps, place::Place};

/// Fields of the pod that a variable may show.
const VARIABLE_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields of the pod that a file may show.
pub(super) const FILE_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Fields of the pod that the API knows by name at all.
const KNOWN_FIELDS: &[&str] = &["spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host"];

const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const SIZES: &[&str] = &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// `env`.
pub(super) fn variables(variables: &Place<'_>, errors: &mut Vec<FieldError>) {
    for variable in variables.items() {
        let name = variable.child("name");
        if name.text().is_empty() {
            errors.push(name.required(""));
        } else {
            errors.extend(name.each_invalid(check_env_var_name(name.text())));
        }
        let source = variable.child("valueFrom");
        if source.is_set() {
            value_from(&source, variable.child("value").text().is_empty(), errors);
        }
    }
}

fn value_from(source: &Place<'_>, valueless: bool, errors: &mut Vec<FieldError>) {
    let kinds = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let sources: Vec<Place<'_>> = kinds.iter().map(|kind| source.child(kind)).filter(Place::is_set).collect();
    for (kind, place) in kinds.iter().map(|kind| (*kind, source.child(kind))).filter(|(_, it)| it.is_set()) {
        match kind {
            "fieldRef" => field(&place, VARIABLE_FIELDS, errors),
            "resourceFieldRef" => resource(&place, false, errors),
            "fileKeyRef" => file_key(&place, errors),
            _ => key(&place, errors),
        }
    }
    let rule = match sources.len() {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if !valueless => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(source.path(), "", rule));
}

/// `envFrom`.
pub(super) fn sources(sources: &Place<'_>, errors: &mut Vec<FieldError>) {
    for source in sources.items() {
        let prefix = source.child("prefix");
        if !prefix.text().is_empty() {
            errors.extend(prefix.each_invalid(check_env_var_name(prefix.text())));
        }
        let references = [source.child("configMapRef"), source.child("secretRef")];
        let set: Vec<_> = references.iter().filter(|reference| reference.is_set()).collect();
        for reference in &set {
            let name = reference.child("name");
            if name.text().is_empty() {
                errors.push(name.required(""));
            } else {
                errors.extend(name.each_invalid(check_dns1123_subdomain(name.text())));
            }
        }
        match set.len() {
            0 => errors.push(FieldError::invalid(
                sources.path(),
                "",
                "must specify one of: `configMapRef` or `secretRef`",
            )),
            1 => {}
            _ => errors.push(FieldError::invalid(
                sources.path(),
                "",
                "may not have more than one field specified at a time",
            )),
        }
    }
}

fn key(selector: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (name, key) = (selector.child("name"), selector.child("key"));
    let wrong = check_dns1123_subdomain(name.text()).into_iter();
    errors.extend(wrong.map(|detail| FieldError::invalid(name.path(), name.text(), detail)));
    if key.text().is_empty() {
        errors.push(key.required(""));
    } else {
        errors.extend(key.each_invalid(check_config_map_key(key.text())));
    }
}

fn file_key(selector: &Place<'_>, errors: &mut Vec<FieldError>) {
    let checks: [(&str, Check); 3] = [
        ("key", check_env_var_name),
        ("volumeName", check_dns1123_label),
        (
            "path",
            |path| if has_backsteps(path) { vec!["must not contain '..'".to_owned()] } else { Vec::new() },
        ),
    ];
    for (field, check) in checks {
        let field = selector.child(field);
        match field.text() {
            "" => errors.push(field.required("")),
            text => errors.extend(field.each_invalid(check(text))),
        }
    }
}

/// What is wrong with a text.
type Check = fn(&str) -> Vec<String>;

/// Variables come from files of volumes that the pod's own containers write.
pub(super) fn file_volumes(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    for container in each_container(spec) {
        for variable in container.child("env").items() {
            let file = variable.child("valueFrom").child("fileKeyRef");
            // Upstream misses an empty name here, too.
            let name = file.child("volumeName");
            let mut volumes = spec.child("volumes").items().collect::<Vec<_>>().into_iter().rev();
            match volumes.find(|volume| volume.child("name").text() == name.text()) {
                _ if !file.is_set() => {}
                None => errors.push(FieldError::not_found(name.path(), name.text())),
                Some(volume) if volume.child("emptyDir").is_set() => {}
                Some(_) => errors.push(name.invalid("referenced volume must be of type emptyDir")),
            }
        }
    }
}

/// A field of the pod.
pub(super) fn field(selector: &Place<'_>, shown: &[&str], errors: &mut Vec<FieldError>) {
    let (version, path) = (selector.child("apiVersion"), selector.child("fieldPath"));
    if let Some(needed) = [&version, &path].into_iter().find(|field| field.text().is_empty()) {
        errors.push(needed.required(""));
        return;
    }
    if version.text() != "v1" {
        let why = format!("error converting fieldPath: unsupported pod version: {}", version.text());
        errors.push(path.invalid(why));
        return;
    }
    match path
        .text()
        .strip_suffix(']')
        .and_then(|text| text.split_once("['").or_else(|| text.split_once('[')))
    {
        Some((map, subscript)) => self::subscript(selector, map, subscript.trim_end_matches('\''), errors),
        None if shown.contains(&path.text()) => {}
        None if is_known(path.text()) => errors.push(path.not_supported(shown)),
        None => {
            let why = format!("error converting fieldPath: field label not supported: {}", path.text());
            errors.push(path.invalid(why));
        }
    }
}

fn is_known(path: &str) -> bool {
    [VARIABLE_FIELDS, FILE_FIELDS, KNOWN_FIELDS].iter().any(|fields| fields.contains(&path))
}

/// `metadata.labels['app']`.
fn subscript(selector: &Place<'_>, map: &str, key: &str, errors: &mut Vec<FieldError>) {
    let key = match map {
        "metadata.annotations" => key.to_lowercase(),
        "metadata.labels" => key.to_owned(),
        _ if is_known(map) => {
            errors.push(FieldError::invalid(selector.path(), map, "does not support subscript"));
            return;
        }
        _ => {
            let path = selector.child("fieldPath");
            let why = format!(
                "error converting fieldPath: field label does not support subscript: {}",
                path.text()
            );
            errors.push(path.invalid(why));
            return;
        }
    };
    let wrong = check_qualified_name(&key).into_iter();
    errors.extend(wrong.map(|detail| FieldError::invalid(selector.path(), key.as_str(), detail)));
}

/// A resource of a container; files must say of which.
pub(super) fn resource(selector: &Place<'_>, in_file: bool, errors: &mut Vec<FieldError>) {
    let (container, name) = (selector.child("containerName"), selector.child("resource"));
    let huge_pages =
        |name: &str| name.starts_with("limits.hugepages-") || name.starts_with("requests.hugepages-");
    if in_file && container.text().is_empty() {
        errors.push(container.required(""));
    } else if name.text().is_empty() {
        errors.push(name.required(""));
    } else if !RESOURCES.contains(&name.text()) && !huge_pages(name.text()) {
        errors.push(name.not_supported(RESOURCES));
    }
    let divisor = selector.child("divisor");
    if matches!(divisor.text(), "" | "0") {
        return;
    }
    let rest = name.text().split_once('.').map_or("", |(_, rest)| rest);
    let (allowed, of): (&[&str], _) = match rest {
        "cpu" => (&["1m", "1"], "cpu"),
        "memory" => (SIZES, "memory"),
        "ephemeral-storage" => (SIZES, "local ephemeral storage"),
        _ if rest.starts_with("hugepages-") => (SIZES, "hugepages"),
        _ => return,
    };
    if !allowed.contains(&divisor.text()) {
        let listed = if of == "cpu" { "1m and 1".to_owned() } else { allowed.join(", ") };
        let detail = format!("only divisor's values {listed} are supported with the {of} resource");
        errors.push(FieldError::invalid(divisor.path(), name.text(), detail));
    }
}
