//! ResourceQuota: how much a namespace may have of something.
//!
//! Deliberately absent: counting, and refusing what is too much: those belong to the controller and to admission.
//!
//! Source: `pkg/apis/core/{v1/defaults,validation}`, `pkg/registry/core/resourcequota`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::pod::{self, resources};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of ResourceQuotas.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Request", "string", |object, _| amounts(object, false).into()),
    Column::new("Limit", "string", |object, _| amounts(object, true).into()),
    AGE,
];

/// `pods: 1/10, services: 0/5`, of limits or of everything else.
fn amounts(object: &Object, limits: bool) -> String {
    let used = |name: &str| object.get(&["status", "used", name]).and_then(Value::as_str).unwrap_or("0");
    let hard = object.map(&["status", "hard"]).into_iter().flatten();
    let hard = hard.filter(|(name, _)| name.starts_with("limits.") == limits);
    let shown =
        hard.map(|(name, most)| format!("{name}: {}/{}", used(name), most.as_str().unwrap_or_default()));
    shown.collect::<Vec<_>>().join(", ")
}

/// What kind of thing a scope narrows down, and what may be counted within it.
#[derive(Clone, Copy)]
enum Counted {
    /// Pods, and what they ask for.
    PodsAndCompute,
    /// Pods alone.
    Pods,
    /// Claims, and what they ask for.
    Claims,
}

/// The scopes that there are.
const SCOPES: [(&str, Counted); 7] = [
    ("Terminating", Counted::PodsAndCompute),
    ("NotTerminating", Counted::PodsAndCompute),
    ("BestEffort", Counted::Pods),
    ("NotBestEffort", Counted::PodsAndCompute),
    ("PriorityClass", Counted::PodsAndCompute),
    ("CrossNamespacePodAffinity", Counted::PodsAndCompute),
    ("VolumeAttributesClass", Counted::Claims),
];

/// Scopes that have no values.
const PLAIN_SCOPES: [&str; 5] =
    ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"];

/// Scopes of which nothing is in both.
const OPPOSITES: [(&str, &str); 2] = [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")];

impl Counted {
    fn has(self, resource: &str) -> bool {
        const COMPUTE: [&str; 6] =
            ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
        match self {
            Self::PodsAndCompute => resource == "pods" || COMPUTE.contains(&resource),
            Self::Pods => resource == "pods",
            Self::Claims => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        }
    }
}

/// The rules of ResourceQuotas.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], Value::Object(Map::new()));
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        match old.get(&["status"]) {
            Some(status) => object.set(&["status"], status.clone()),
            None => drop(object.remove(&["status"])),
        }
    }

    fn default(&self, object: &mut Object) {
        for (owner, list) in [("spec", "hard"), ("status", "hard"), ("status", "used")] {
            if object.get(&[owner]).is_some()
                && let Some(owner) = object.slot(&[owner])
            {
                pod::round_up(owner, list);
            }
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        limits(&spec.child("hard"), &mut errors);
        scopes(&spec, &mut errors);
        selector(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let path = ["spec", "scopes"];
        let set = |object: &Object| -> BTreeSet<String> {
            object.list(&path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut errors = Vec::new();
        if set(object) != set(old) {
            let shown = object.list(&path).to_vec();
            errors.push(FieldError::invalid("spec.scopes", shown, "field is immutable"));
        }
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for list in ["hard", "used"] {
            limits(&Place::at(object, &["status", list]), &mut errors);
        }
        errors
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

fn limits(limits: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (name, amount) in limits.entries() {
        resources::resource_name(name, &amount, errors);
        if !name.contains('/') && !is_standard(name) {
            errors.push(FieldError::invalid(amount.path(), name, "must be a standard resource for quota"));
        }
        resources::quantity(name, &amount, errors);
    }
}

/// Whether quotas know it. Storage as such they do not: it is requested.
fn is_standard(name: &str) -> bool {
    let mut unknown = Vec::new();
    let object = Object::default();
    resources::resource_name(name, &Place::root(&object), &mut unknown);
    unknown.is_empty() && name != "storage"
}

fn scope(name: &str) -> Option<Counted> {
    SCOPES.iter().find(|(known, _)| *known == name).map(|(_, counted)| *counted)
}

/// The limits of what a scope does not have.
fn misplaced(spec: &Place<'_>, scope: Option<Counted>) -> usize {
    let hard = spec.child("hard");
    let misplaced = |name: &str| is_standard(name) && scope.is_some_and(|scope| !scope.has(name));
    hard.entries().filter(|(name, _)| misplaced(name)).count()
}

fn scopes(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let scopes = spec.child("scopes");
    let names: Vec<&str> = scopes.items().map(|scope| scope.text()).collect();
    for name in &names {
        let counted = scope(name);
        if counted.is_none() {
            errors.push(scopes.invalid("unsupported scope"));
        }
        for _ in 0..misplaced(spec, counted) {
            errors.push(scopes.invalid("unsupported scope applied to resource"));
        }
    }
    conflicts(&names, &scopes, errors);
}

fn conflicts(names: &[&str], scopes: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (one, other) in OPPOSITES {
        if names.contains(&one) && names.contains(&other) {
            errors.push(scopes.invalid("conflicting scopes"));
        }
    }
}

fn selector(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let selector = spec.child("scopeSelector");
    let all = selector.child("matchExpressions");
    let mut names = Vec::new();
    for requirement in all.items() {
        // Upstream's paths do not say which requirement it is.
        let field = |name: &str| requirement.child(name).shown_as(all.child(name).path());
        let name = field("scopeName");
        let counted = scope(name.text());
        if counted.is_none() {
            errors.push(name.invalid("unsupported scope"));
        }
        for _ in 0..misplaced(spec, counted) {
            errors
                .push(selector.clone().shown_as(all.path()).invalid("unsupported scope applied to resource"));
        }
        operator(name.text(), &field("operator"), &field("values"), errors);
        names.push(name.text());
    }
    conflicts(&names, &spec.child("scopes"), errors);
}

fn operator(scope: &str, operator: &Place<'_>, values: &Place<'_>, errors: &mut Vec<FieldError>) {
    if PLAIN_SCOPES.contains(&scope) && operator.text() != "Exists" {
        errors.push(operator.invalid(
            "must be 'Exist' only operator when scope is any of ResourceQuotaScopeTerminating, \
             ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or \
             ResourceQuotaScopeCrossNamespacePodAffinity",
        ));
    }
    match operator.text() {
        "In" | "NotIn" if values.is_empty() => errors
            .push(values.required(
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            )),
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(
            values
                .invalid("must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"),
        ),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn quota(spec: &Value) -> Object {
        let mut object = Object(json!({"metadata": {"name": "most", "namespace": "shop"}, "spec": spec}));
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn limits_are_of_what_quotas_know() {
        let good = json!({"hard": {
            "pods": "10", "requests.storage": "1Gi", "count/deployments.apps": "3", "requests.hugepages-2Mi": "4Mi",
            "gold.storageclass.storage.k8s.io/requests.storage": "5Gi", "cpu": "100u",
        }});
        let object = quota(&good);
        assert_eq!(texts(&Rules.validate(&object)), [""; 0]);
        assert_eq!(object.0["spec"]["hard"]["cpu"], "1m");
        let cases = [
            (
                json!({"hard": {"pods": "1500m"}}),
                "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
            ),
            (
                json!({"hard": {"storage": "1Gi"}}),
                "spec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota",
            ),
            (
                json!({"hard": {"memory": "-1"}}),
                "spec.hard[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
            ),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&Rules.validate(&quota(&spec))), [text]);
        }
    }

    #[test]
    fn scopes_narrow_down_what_they_know() {
        let requirement = |operator: &str, values: &[&str]| json!({"scopeName": "PriorityClass", "operator": operator, "values": values});
        let selecting = |requirement: Value| json!({"scopeSelector": {"matchExpressions": [requirement]}});
        assert_eq!(texts(&Rules.validate(&quota(&selecting(requirement("In", &["high"]))))), [""; 0]);
        let cases = [
            (json!({"scopes": ["Often"]}), "spec.scopes: Invalid value: [\"Often\"]: unsupported scope"),
            (
                json!({"scopes": ["BestEffort"], "hard": {"cpu": "1"}}),
                "spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource",
            ),
            (
                json!({"scopes": ["Terminating", "NotTerminating"]}),
                "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting scopes",
            ),
            (
                selecting(requirement("In", &[])),
                "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            ),
            (
                selecting(requirement("Exists", &["a"])),
                "spec.scopeSelector.matchExpressions.values: Invalid value: [\"a\"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            ),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&Rules.validate(&quota(&spec))), [text]);
        }
    }

    #[test]
    fn scopes_stay_and_status_is_counted_elsewhere() {
        let old = quota(&json!({"scopes": ["BestEffort"], "hard": {"pods": "1"}}));
        let mut new = quota(&json!({"scopes": ["NotBestEffort"], "hard": {"pods": "2"}}));
        assert_eq!(
            texts(&Rules.validate_update(&new, &old)),
            ["spec.scopes: Invalid value: [\"NotBestEffort\"]: field is immutable"]
        );
        new.set(&["status", "used", "pods"], "1");
        Rules.prepare_update(&mut new, &old);
        assert_eq!(new.0["status"], json!({}));
        new.set(&["status", "used", "gpu"], "1");
        assert_eq!(Rules.validate_status_update(&new, &old).len(), 2);
    }

    #[test]
    fn rows_are_upstreams() {
        let mut object = quota(&json!({}));
        object.set(
            &["status"],
            json!({"hard": {"pods": "2", "limits.cpu": "4", "services": "5"}, "used": {"pods": "1"}}),
        );
        let cell = |at: usize| (COLUMNS[at].cell)(&object, OffsetDateTime::UNIX_EPOCH);
        assert_eq!((cell(1), cell(2)), (json!("pods: 1/2, services: 0/5"), json!("limits.cpu: 0/4")));
    }
}
