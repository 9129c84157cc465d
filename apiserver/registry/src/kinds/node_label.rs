//! Labels of nodes that have newer names, wherever nodes are selected by them.
//!
//! Source: `pkg/api/node/util.go`.

use keelson_api_schema::format::check_label_value;

use crate::place::Place;

/// The labels, and what to do instead.
const DEPRECATED: [(&str, &str); 8] = [
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
    ),
    (
        "beta.kubernetes.io/instance-type",
        "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
    ),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    (
        "scheduler.alpha.kubernetes.io/preferAvoidPods",
        "deprecated since v1.22; use Taints and Tolerations instead",
    ),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// What the values of a requirement may be without a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Whatever validation lets through.
    Any,
    /// Only what a label can have as its value: nothing else can match.
    OfLabels,
}

/// Why a label should not be used any more, if so.
pub(super) fn deprecated(label: &str) -> Option<&'static str> {
    DEPRECATED.iter().find(|(old, _)| *old == label).map(|(_, why)| *why)
}

/// Warns of a key that is such a label.
pub(super) fn warn_key(key: &Place<'_>, warnings: &mut Vec<String>) {
    if let Some(why) = deprecated(key.text()) {
        warnings.push(format!("{}: {} is {why}", key.path(), key.text()));
    }
}

/// Warns of a `NodeSelectorTerm` that selects by such labels, or by values that no label has.
pub(super) fn warn_term(term: &Place<'_>, values: Values, warnings: &mut Vec<String>) {
    for requirement in term.child("matchExpressions").items() {
        warn_key(&requirement.child("key"), warnings);
        let listed = requirement.child("values");
        for value in listed.items().filter(|_| values == Values::OfLabels) {
            for wrong in check_label_value(value.text()) {
                warnings.push(format!("{}: {} is invalid, {wrong}", value.path(), value.text()));
            }
        }
    }
}

/// Warns of a `LabelSelector` that selects nodes by such labels.
pub(super) fn warn_selector(selector: &Place<'_>, warnings: &mut Vec<String>) {
    for requirement in selector.child("matchExpressions").items() {
        warn_key(&requirement.child("key"), warnings);
    }
    let labels = selector.child("matchLabels");
    for (label, _) in labels.entries() {
        if let Some(why) = deprecated(label) {
            warnings.push(format!("{}.{label}: {why}", labels.path()));
        }
    }
}
