//! The FlowSchemas and PriorityLevelConfigurations that every cluster has, and what both kinds have in common.
//!
//! Two of each are mandatory: their specs are what they are, always. The others are suggested: an operator who says so
//! by [`AUTO_UPDATE`] keeps their own.
//!
//! Source: `k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap`, `pkg/registry/flowcontrol/ensurer`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{field::FieldError, object::Object, place::Place, strategy::keep};

/// The annotation of an object whose spec follows the server's: `"true"`.
pub const AUTO_UPDATE: &str = "apf.kubernetes.io/autoupdate-spec";

/// The level, and the schema, of requests that are never held back.
pub(super) const EXEMPT: &str = "exempt";

/// The level, and the schema, of all that nothing else says anything about.
const CATCH_ALL: &str = "catch-all";

const API_VERSION: &str = "flowcontrol.apiserver.k8s.io/v1";

/// A level before it is an object: name, shares, percentage that may be lent, queues and hand (`None`: rejects).
type Level = (&'static str, i64, i64, Option<(i64, i64)>);

const LEVELS: [Level; 7] = [
    (CATCH_ALL, 5, 0, None),
    ("system", 30, 33, Some((64, 6))),
    ("node-high", 40, 25, Some((64, 6))),
    ("leader-election", 10, 0, Some((16, 4))),
    ("workload-high", 40, 50, Some((128, 6))),
    ("workload-low", 100, 90, Some((128, 6))),
    ("global-default", 20, 50, Some((128, 6))),
];

/// Which requests a schema is about.
#[derive(Clone, Copy)]
enum About {
    /// All.
    Everything,
    /// Questions about health.
    Probes,
    /// Nodes, and their Leases.
    NodesAndLeases,
    /// The Leases of elections.
    Elections,
}

/// A schema before it is an object.
struct Schema {
    name: &'static str,
    level: &'static str,
    precedence: i64,
    /// `ByUser`, `ByNamespace`, or empty.
    method: &'static str,
    subjects: &'static [(&'static str, &'static str)],
    about: About,
}

const EVERYBODY: &[(&str, &str)] = &[("Group", "system:unauthenticated"), ("Group", "system:authenticated")];
const SYSTEM_ACCOUNTS: (&str, &str) = ("ServiceAccount", "*");
const CONTROLLER_MANAGER: (&str, &str) = ("User", "system:kube-controller-manager");
const SCHEDULER: (&str, &str) = ("User", "system:kube-scheduler");
const NODES: &[(&str, &str)] = &[("Group", "system:nodes")];

const SCHEMAS: [Schema; 11] = [
    schema(EXEMPT, EXEMPT, 1, "", &[("Group", "system:masters")], About::Everything),
    schema(CATCH_ALL, CATCH_ALL, 10_000, "ByUser", EVERYBODY, About::Everything),
    schema("probes", EXEMPT, 2, "", EVERYBODY, About::Probes),
    schema(
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        &[CONTROLLER_MANAGER, SCHEDULER, SYSTEM_ACCOUNTS],
        About::Elections,
    ),
    schema("system-node-high", "node-high", 400, "ByUser", NODES, About::NodesAndLeases),
    schema("system-nodes", "system", 500, "ByUser", NODES, About::Everything),
    schema(
        "kube-controller-manager",
        "workload-high",
        800,
        "ByNamespace",
        &[CONTROLLER_MANAGER],
        About::Everything,
    ),
    schema("kube-scheduler", "workload-high", 800, "ByNamespace", &[SCHEDULER], About::Everything),
    schema(
        "kube-system-service-accounts",
        "workload-high",
        900,
        "ByNamespace",
        &[SYSTEM_ACCOUNTS],
        About::Everything,
    ),
    schema(
        "service-accounts",
        "workload-low",
        9000,
        "ByUser",
        &[("Group", "system:serviceaccounts")],
        About::Everything,
    ),
    schema("global-default", "global-default", 9900, "ByUser", EVERYBODY, About::Everything),
];

const fn schema(
    name: &'static str,
    level: &'static str,
    precedence: i64,
    method: &'static str,
    subjects: &'static [(&'static str, &'static str)],
    about: About,
) -> Schema {
    Schema { name, level, precedence, method, subjects, about }
}

/// The objects that every cluster begins with, levels first.
pub fn objects() -> Vec<Object> {
    let exempt = json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}});
    let levels = LEVELS.iter().map(|(name, shares, lent, queues)| {
        let response = match queues {
            None => json!({"type": "Reject"}),
            Some((queues, hand)) => {
                let queuing = json!({"queues": queues, "handSize": hand, "queueLengthLimit": 50});
                json!({"type": "Queue", "queuing": queuing})
            }
        };
        let limited = json!({
            "nominalConcurrencyShares": shares, "lendablePercent": lent, "limitResponse": response,
        });
        object("PriorityLevelConfiguration", name, &json!({"type": "Limited", "limited": limited}))
    });
    let schemas = SCHEMAS.iter().map(|schema| object("FlowSchema", schema.name, &schema.spec()));
    [object("PriorityLevelConfiguration", EXEMPT, &exempt)].into_iter().chain(levels).chain(schemas).collect()
}

/// What `existing` becomes so that its spec is the server's again; `None` where it is, or where it is the operator's.
pub fn reconciled(existing: &Object, wanted: &Object) -> Option<Object> {
    let follows = existing.text(&["metadata", "annotations", AUTO_UPDATE]) == "true";
    let same = existing.get(&["spec"]) == wanted.get(&["spec"]);
    if same || !(follows || is_mandatory(existing.name())) {
        return None;
    }
    let mut result = existing.clone();
    keep(&mut result, wanted, &["spec"]);
    result.set(&["metadata", "generation"], existing.generation() + 1);
    Some(result)
}

impl Schema {
    fn spec(&self) -> Value {
        let subjects: Vec<Value> = self.subjects.iter().map(|(kind, name)| subject(kind, name)).collect();
        let mut rule = self.about.rules();
        rule["subjects"] = subjects.into();
        let mut spec = json!({
            "priorityLevelConfiguration": {"name": self.level},
            "matchingPrecedence": self.precedence,
            "rules": [rule],
        });
        if !self.method.is_empty() {
            spec["distinguisherMethod"] = json!({"type": self.method});
        }
        spec
    }
}

impl About {
    fn rules(self) -> Value {
        let of = |group: &str, resources: &[&str], cluster: bool| {
            let mut rule = json!({
                "verbs": ["*"], "apiGroups": [group], "resources": resources, "namespaces": ["*"],
            });
            if cluster {
                rule["clusterScope"] = true.into();
            }
            rule
        };
        let leases = of("coordination.k8s.io", &["leases"], false);
        match self {
            Self::Everything => json!({
                "resourceRules": [of("*", &["*"], true)],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }),
            Self::Probes => json!({
                "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}],
            }),
            Self::NodesAndLeases => {
                json!({"resourceRules": [of("", &["nodes", "nodes/status"], true), leases]})
            }
            Self::Elections => {
                let mut rule = leases;
                rule["verbs"] = json!(["get", "create", "update"]);
                json!({"resourceRules": [rule]})
            }
        }
    }
}

fn subject(kind: &str, name: &str) -> Value {
    match kind {
        "User" => json!({"kind": kind, "user": {"name": name}}),
        "Group" => json!({"kind": kind, "group": {"name": name}}),
        _ => json!({"kind": kind, "serviceAccount": {"namespace": "kube-system", "name": name}}),
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> Object {
    Object(json!({
        "kind": kind,
        "apiVersion": API_VERSION,
        "metadata": {"name": name, "annotations": {AUTO_UPDATE: "true"}},
        "spec": spec,
    }))
}

fn is_mandatory(name: &str) -> bool {
    matches!(name, EXEMPT | CATCH_ALL)
}

/// A mandatory object is what it is.
pub(super) fn check_fixed(object: &Object, errors: &mut Vec<FieldError>) {
    if !is_mandatory(object.name()) {
        return;
    }
    let same = |fixed: &Object| fixed.name() == object.name() && fixed.0["kind"] == object.0["kind"];
    let Some(fixed) = objects().into_iter().find(same) else { return };
    // The shares of the exempt level are the operator's.
    let shares = |object: &Object| {
        let mut object = object.clone();
        object.remove(&["spec", EXEMPT]);
        object.remove(&["spec"])
    };
    if shares(&fixed) != shares(object) {
        let place = Place::at(object, &["spec"]);
        errors.push(place.invalid(format!("spec of '{}' must equal the fixed value", object.name())));
    }
}

/// Conditions of a type each, of which one says what it is.
pub(super) fn check_conditions(conditions: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for condition in conditions.items() {
        let kind = condition.child("type");
        if kind.text().is_empty() {
            errors.push(kind.required(""));
        } else if !seen.insert(kind.text()) {
            errors.push(kind.duplicate());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources;

    #[test]
    fn what_a_cluster_begins_with_keeps_the_rules() {
        for mut object in objects() {
            let resource = resources::find_kind(API_VERSION, object.text(&["kind"])).unwrap();
            let before = object.clone();
            resource.strategy.default(&mut object);
            assert_eq!(object, before, "nothing is left to default, so that nothing differs for ever");
            assert_eq!(resource.strategy.validate(&object), [], "{}", object.name());
            let level = object.text(&["spec", "priorityLevelConfiguration", "name"]);
            assert!(level.is_empty() || objects().iter().any(|other| other.name() == level), "{level}");
        }
    }

    #[test]
    fn mandatory_objects_are_fixed_and_suggested_ones_follow_unless_told_otherwise() {
        let find = |name: &str| objects().into_iter().find(|object| object.name() == name).unwrap();
        let changed = |name: &str| {
            let mut object = find(name);
            object.set(&["spec", "limited", "nominalConcurrencyShares"], 7);
            object
        };
        let mut errors = Vec::new();
        check_fixed(&changed("system"), &mut errors);
        assert_eq!(errors, []);
        check_fixed(&changed(CATCH_ALL), &mut errors);
        assert!(errors[0].to_string().ends_with("spec of 'catch-all' must equal the fixed value"));
        assert_eq!(reconciled(&find("system"), &find("system")), None);
        let mut own = changed("system");
        assert_eq!(reconciled(&own, &find("system")).unwrap().0["spec"], find("system").0["spec"]);
        own.set(&["metadata", "annotations", AUTO_UPDATE], "false");
        assert_eq!(reconciled(&own, &find("system")), None);
    }
}
