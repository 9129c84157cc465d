//! What a namespace's conditions say of its deletion: pure, with upstream's words.

use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::contents::{Findings, Remaining};
use super::discovery::Discovered;

/// A condition's type, and its reason and message when nothing is in the way.
const FINE: [(&str, &str, &str); 5] = [
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
];

/// The namespace with the conditions as they are now; `None` if it has them already.
pub(super) fn with_conditions(
    namespace: &Namespace,
    discovered: &Discovered,
    findings: &Findings,
    now: Timestamp,
) -> Option<Namespace> {
    let mut told = namespace.clone();
    let status = told.status.get_or_insert_default();
    let mut changed = status.phase.as_deref() != Some("Terminating");
    status.phase = Some("Terminating".to_owned());
    let conditions = status.conditions.get_or_insert_default();
    for (type_, fine_reason, fine_message) in FINE {
        let (state, reason, message) = match trouble(type_, discovered, findings) {
            Some((reason, message)) => ("True", reason, message),
            None => ("False", fine_reason, fine_message.to_owned()),
        };
        changed |= set(conditions, type_, state, reason, message, now);
    }
    changed.then_some(told)
}

/// What is in the way, as one condition sees it: reason and message.
fn trouble(type_: &str, discovered: &Discovered, findings: &Findings) -> Option<(&'static str, String)> {
    match type_ {
        "NamespaceDeletionDiscoveryFailure" => discovery_trouble(discovered),
        "NamespaceDeletionContentFailure" => content_trouble(findings),
        "NamespaceContentRemaining" => {
            let parts = findings.remaining.iter().map(Remaining::described);
            listed(parts).map(|list| ("SomeResourcesRemain", format!("Some resources are remaining: {list}")))
        }
        "NamespaceFinalizersRemaining" => {
            let parts = findings.finalizers().into_iter();
            let parts = parts.map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"));
            listed(parts).map(|list| {
                let message = format!("Some content in the namespace has finalizers remaining: {list}");
                ("SomeFinalizersRemain", message)
            })
        }
        // Versions are parsed when the answer is read; there is nothing that could fail later.
        _ => None,
    }
}

fn discovery_trouble(discovered: &Discovered) -> Option<(&'static str, String)> {
    let texts = listed(discovered.failures.iter().cloned())?;
    let message = if discovered.answered {
        format!(
            "Discovery failed for some groups, {} failing: unable to retrieve the complete list of server APIs: {texts}",
            discovered.failures.len()
        )
    } else {
        texts
    };
    Some(("DiscoveryFailed", message))
}

fn content_trouble(findings: &Findings) -> Option<(&'static str, String)> {
    let texts = listed(findings.failures.iter().cloned())?;
    let count = findings.failures.len();
    Some((
        "ContentDeletionFailed",
        format!("Failed to delete all resource types, {count} remaining: {texts}"),
    ))
}

fn listed(parts: impl Iterator<Item = String>) -> Option<String> {
    let mut parts: Vec<String> = parts.collect();
    parts.sort();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Sets a condition; says whether that changed anything.
fn set(
    conditions: &mut Vec<NamespaceCondition>,
    type_: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> bool {
    let wanted = NamespaceCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: Some(Time(now)),
    };
    match conditions.iter_mut().find(|known| known.type_ == type_) {
        Some(known)
            if (&known.status, &known.reason, &known.message)
                == (&wanted.status, &wanted.reason, &wanted.message) =>
        {
            false
        }
        Some(known) => {
            *known = wanted;
            true
        }
        None => {
            conditions.push(wanted);
            true
        }
    }
}
