//! Pods keep the standard that their namespace's labels name; templates of pods that would not are warned about.
//!
//! Deliberately absent: the standards themselves ([`keelson_api_registry::pod_security`]), exemptions, and records for
//! audit, of which this server keeps none.
//!
//! Source: `k8s.io/pod-security-admission/admission`.

use keelson_api_registry::{
    field::FieldError,
    object::Object,
    pod_security::{Level, violations},
    status::ApiError,
};
use serde_json::Value;

use super::{Attributes, Operation, Validate, Verdict, known};

/// How the labels begin.
const PREFIX: &str = "pod-security.kubernetes.io/";

/// What can be done about a violation.
const MODES: [&str; 3] = ["enforce", "audit", "warn"];

/// The levels that a label can name.
const LEVELS: [Level; 3] = [Level::Privileged, Level::Baseline, Level::Restricted];

/// The admission step.
pub(super) struct PodSecurity;

impl Validate for PodSecurity {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        let is_part_of_pod = write.resource.plural == "pods" && write.subresource == "ephemeralcontainers";
        write.operation != Operation::Delete
            && (write.is_core("namespaces")
                || is_part_of_pod
                || write.subresource.is_empty() && template_path(write).is_some())
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, object: Option<&'a Object>) -> Verdict<'a> {
        Box::pin(async move {
            let Some(object) = object else { return Ok(()) };
            match template_path(write) {
                None => check_labels(write, object),
                Some(path) => judge(write, object, path).await,
            }
        })
    }
}

/// Where in an object a pod's metadata and spec are; `None` for objects without pods.
fn template_path(write: &Attributes<'_>) -> Option<&'static [&'static str]> {
    Some(match (write.resource.group, write.resource.plural) {
        ("", "pods") => &[],
        ("", "podtemplates") => &["template"],
        ("", "replicationcontrollers")
        | ("apps", "daemonsets" | "deployments" | "replicasets" | "statefulsets")
        | ("batch", "jobs") => &["spec", "template"],
        ("batch", "cronjobs") => &["spec", "jobTemplate", "spec", "template"],
        _ => return None,
    })
}

async fn judge(write: &Attributes<'_>, object: &Object, path: &[&str]) -> Result<(), ApiError> {
    if unchanged(write, object, path) {
        return Ok(());
    }
    let namespace = namespace(write).await?;
    let Some(pod) = (if path.is_empty() { Some(&object.0) } else { object.get(path) }) else { return Ok(()) };
    let broken = |mode: &str| {
        let (level, version) = standard(&namespace, mode);
        let what = violations(level, &pod["metadata"], &pod["spec"])?;
        Some(format!("violate PodSecurity \"{}:{version}\": {what}", level.name()))
    };
    if path.is_empty()
        && let Some(what) = broken("enforce")
    {
        return Err(write.forbidden(what.replacen("violate", "violates", 1)));
    }
    if let Some(what) = broken("warn") {
        write.warnings.add(format!("would {what}"));
    }
    Ok(())
}

/// Whether a change leaves the pod as it was: whoever is there already may stay.
fn unchanged(write: &Attributes<'_>, object: &Object, path: &[&str]) -> bool {
    let spec = [path, &["spec"]].concat();
    write.old.is_some_and(|old| old.get(&spec) == object.get(&spec))
}

async fn namespace(write: &Attributes<'_>) -> Result<Object, ApiError> {
    let (objects, namespaces) = (&write.server.objects, known("", "namespaces"));
    if let Some(namespace) = objects.cached_object(namespaces, "", write.namespace) {
        return Ok(namespace.object());
    }
    Ok(objects.get(namespaces, "", write.namespace).await?.map(|stored| stored.object).unwrap_or_default())
}

/// The level and its version that the namespace's labels name.
fn standard(namespace: &Object, mode: &str) -> (Level, String) {
    let label = |key: String| namespace.text(&["metadata", "labels", &key]).to_owned();
    let version = label(format!("{PREFIX}{mode}-version"));
    let version = if version.is_empty() { "latest".to_owned() } else { version };
    (Level::parse(&label(format!("{PREFIX}{mode}"))), version)
}

/// Refuses labels that mean nothing.
fn check_labels(write: &Attributes<'_>, namespace: &Object) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    for mode in MODES {
        for (key, is_good) in [
            (format!("{PREFIX}{mode}"), is_level as fn(&str) -> bool),
            (format!("{PREFIX}{mode}-version"), is_version),
        ] {
            let path = ["metadata", "labels", key.as_str()];
            let Some(value) = namespace.get(&path).and_then(Value::as_str) else { continue };
            let is_new = write.old.is_none_or(|old| old.text(&path) != value);
            if is_new && !is_good(value) {
                let detail = if key.ends_with("-version") {
                    "must be \"latest\" or \"v1.x\""
                } else {
                    "must be one of privileged, baseline, restricted"
                };
                errors.push(FieldError::invalid(format!("metadata.labels[{key}]"), value, detail));
            }
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(ApiError::invalid("", "Namespace", namespace.name(), &errors)),
    }
}

fn is_level(text: &str) -> bool {
    LEVELS.iter().any(|level| level.name() == text)
}

fn is_version(text: &str) -> bool {
    let minor = text.strip_prefix("v1.");
    text == "latest"
        || minor.is_some_and(|minor| minor.parse::<u16>().is_ok_and(|it| it.to_string() == minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_levels_and_versions() {
        assert!(is_level("baseline") && !is_level("Baseline") && !is_level(""));
        for (text, good) in
            [("latest", true), ("v1.30", true), ("v1.", false), ("v1.030", false), ("1.30", false)]
        {
            assert_eq!(is_version(text), good, "{text}");
        }
    }
}
