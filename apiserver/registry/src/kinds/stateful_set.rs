//! StatefulSet: pods that are numbered, each with storage of its own.
//!
//! Deliberately absent: making them, which is the stateful set controller's.
//!
//! Source: `pkg/apis/apps/{v1,validation}`, `pkg/registry/apps/statefulset`.

use keelson_api_schema::{format::check_dns1123_label, selector::LabelSelector};
use serde_json::{Value, json};

use super::{
    metadata, persistent_volume_claim,
    pod::template,
    workload::{
        CONTAINERS, IMAGES, advance, begin, bound_is_zero, default_template, differs, drop_disabled,
        selects_template, template_warnings, validate_at_most_all, validate_bound, validate_collisions,
        validate_replica_status,
    },
};
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The fields of a spec that may change.
const MUTABLE: &[&str] = &[
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

/// The columns of StatefulSets.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Ready", "string", |object, _| {
        let ready = object.integer(&["status", "readyReplicas"]).unwrap_or(0);
        format!("{ready}/{}", object.integer(&["spec", "replicas"]).unwrap_or(0)).into()
    }),
    AGE,
    CONTAINERS,
    IMAGES,
];

/// The rules of StatefulSets.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        begin(object);
        // Go writes these also where they are zero.
        object.set(&["status"], json!({"replicas": 0, "availableReplicas": 0}));
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        drop_disabled(object, Some(old));
        let changed = differs(object, old, &["spec"]);
        advance(object, old, changed);
    }

    fn default(&self, object: &mut Object) {
        object.set_default(&["spec", "replicas"], 1);
        object.set_default(&["spec", "revisionHistoryLimit"], 10);
        default_text(object, &["spec", "podManagementPolicy"], "OrderedReady");
        default_text(object, &["spec", "updateStrategy", "type"], "RollingUpdate");
        if object.text(&["spec", "updateStrategy", "type"]) == "RollingUpdate" {
            for (bound, value) in [("partition", 0), ("maxUnavailable", 1)] {
                object.set_default(&["spec", "updateStrategy", "rollingUpdate", bound], value);
            }
        }
        for when in ["whenDeleted", "whenScaled"] {
            default_text(object, &["spec", "persistentVolumeClaimRetentionPolicy", when], "Retain");
        }
        default_template(object);
        default_claims(object);
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        validate_policies(&spec, &mut errors);
        spec.child("replicas").non_negative(&mut errors);
        spec.child("minReadySeconds").non_negative(&mut errors);
        spec.child("ordinals").child("start").non_negative(&mut errors);
        validate_selector(&spec, &mut errors);
        let pods = with_claims(object);
        let pods = Place::root(&pods).child("template").shown_as("spec.template");
        selects_template(&spec.child("selector"), &pods, &mut errors);
        template::validate(&pods, &mut errors);
        let restart = pods.child("spec").child("restartPolicy");
        restart.one_of(&["Always"], &mut errors);
        let deadline = pods.child("spec").child("activeDeadlineSeconds");
        if deadline.is_set() {
            errors.push(deadline.forbidden("activeDeadlineSeconds in StatefulSet is not Supported"));
        }
        errors
    }

    /// What cannot change any more is judged once: older sets may break the rule.
    fn validate_create(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        let service = spec.child("serviceName");
        if !service.text().is_empty() {
            errors.extend(service.each_invalid(check_dns1123_label(service.text())));
        }
        for claim in spec.child("volumeClaimTemplates").items() {
            persistent_volume_claim::validate_spec(&claim.child("spec"), &mut errors);
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let fixed = |object: &Object| {
            let mut object = object.clone();
            for field in MUTABLE {
                object.remove(&["spec", field]);
            }
            object
        };
        if !differs(&fixed(object), &fixed(old), &["spec"]) {
            return Vec::new();
        }
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                      'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                      'minReadySeconds' are forbidden";
        vec![FieldError::forbidden("spec", detail)]
    }

    fn validate_status_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let status = Place::at(object, &["status"]);
        let parts = ["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
        validate_replica_status(&status, &parts, &mut errors);
        validate_collisions(&status, old, &mut errors);
        errors
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        let mut warnings = template_warnings(object, old);
        let claims = Place::at(object, &["spec", "volumeClaimTemplates"]);
        for claim in claims.items() {
            // Upstream's paths: the field has a capital letter when a set is changed, and is left out when it is new.
            let path = format!("{}{}", claim.path(), if old.is_some() { ".Spec" } else { "" });
            persistent_volume_claim::warn_spec(&claim.child("spec").shown_as(&path), &mut warnings);
        }
        let limit = Place::at(object, &["spec", "revisionHistoryLimit"]);
        if limit.integer().is_some_and(|limit| limit < 0) {
            let what = "a negative value retains all historical revisions; a value >= 0 is recommended";
            warnings.push(format!("{}: {what}", limit.path()));
        }
        warnings
    }

    /// Pods' names and host names begin with it.
    fn check_name(&self, name: &str) -> Vec<String> {
        check_dns1123_label(name)
    }
}

fn default_text(object: &mut Object, path: &[&str], text: &str) {
    if object.text(path).is_empty() {
        object.set(path, text);
    }
}

/// Templates of claims look like claims.
fn default_claims(object: &mut Object) {
    if object.list(&["spec", "volumeClaimTemplates"]).is_empty() {
        return;
    }
    let claims = object.slot(&["spec", "volumeClaimTemplates"]).and_then(Value::as_array_mut);
    for claim in claims.into_iter().flatten().filter(|claim| claim.is_object()) {
        claim["apiVersion"] = "v1".into();
        claim["kind"] = "PersistentVolumeClaim".into();
        persistent_volume_claim::default(claim);
    }
}

/// The template with the volumes that each pod gets of its own, which containers may mount.
fn with_claims(object: &Object) -> Object {
    let mut pods = Object(json!({"template": object.get(&["spec", "template"])}));
    let names = object.list(&["spec", "volumeClaimTemplates"]).iter();
    let names: Vec<&str> = names.filter_map(|claim| claim["metadata"]["name"].as_str()).collect();
    if names.is_empty() || pods.get(&["template", "spec"]).is_none() {
        return pods;
    }
    let path = ["template", "spec", "volumes"];
    let hidden = |volume: &&Value| volume["name"].as_str().is_none_or(|name| !names.contains(&name));
    let mut volumes: Vec<Value> = pods.list(&path).iter().filter(hidden).cloned().collect();
    volumes
        .extend(names.iter().map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}})));
    pods.set(&path, volumes);
    pods
}

fn validate_policies(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (order, strategy) = (spec.child("podManagementPolicy"), spec.child("updateStrategy"));
    if !matches!(order.text(), "OrderedReady" | "Parallel") {
        errors.push(order.invalid("must be 'OrderedReady' or 'Parallel'"));
    }
    let rolling = strategy.child("rollingUpdate");
    match strategy.child("type").text() {
        "OnDelete" if rolling.is_set() => {
            errors.push(rolling.invalid("only allowed for updateStrategy 'RollingUpdate'"));
        }
        "OnDelete" => {}
        "RollingUpdate" => validate_rolling(&rolling, errors),
        _ => errors.push(strategy.invalid("must be 'RollingUpdate' or 'OnDelete'")),
    }
    let retention = spec.child("persistentVolumeClaimRetentionPolicy");
    for when in ["whenDeleted", "whenScaled"] {
        retention.child(when).one_of(&["Delete", "Retain"], errors);
    }
}

fn validate_rolling(rolling: &Place<'_>, errors: &mut Vec<FieldError>) {
    rolling.child("partition").non_negative(errors);
    let unavailable = rolling.child("maxUnavailable");
    if !unavailable.is_set() {
        return;
    }
    validate_bound(&unavailable, errors);
    if bound_is_zero(&unavailable) {
        errors.push(unavailable.invalid("cannot be 0"));
    }
    validate_at_most_all(&unavailable, errors);
}

fn validate_selector(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let selector = spec.child("selector");
    let Some(value) = selector.value() else {
        errors.push(selector.required(""));
        return;
    };
    metadata::label_selector(&selector, errors);
    if LabelSelector::from_object(value).is_ok_and(|parsed| parsed.is_empty()) {
        errors.push(selector.invalid("empty selector is invalid for statefulset"));
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn stateful_set(spec: &Value) -> Object {
        let mount = json!({"name": "data", "mountPath": "/data"});
        let pods = json!({
            "metadata": {"labels": {"app": "db"}},
            "spec": {"containers": [{"name": "db", "image": "db:1", "volumeMounts": [mount]}]},
        });
        let claim = json!({
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        });
        let mut object = Object(json!({
            "metadata": {"name": "db", "namespace": "shop"},
            "spec": {
                "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": pods,
                "volumeClaimTemplates": [claim],
            },
        }));
        for (field, value) in spec.as_object().into_iter().flatten() {
            object.set(&["spec", field], value.clone());
        }
        Rules.default(&mut object);
        keelson_api_schema::default::apply(
            keelson_api_schema::builtin(),
            crate::resources::find_kind("apps/v1", "StatefulSet").unwrap().schema(),
            &mut object.0,
        );
        Rules.prepare_create(&mut object);
        object
    }

    fn texts(object: &Object) -> Vec<String> {
        let errors = [Rules.validate(object), Rules.validate_create(object)].concat();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_are_upstreams_and_containers_may_mount_the_claims() {
        let object = stateful_set(&json!({}));
        let spec = &object.0["spec"];
        assert_eq!(spec["podManagementPolicy"], "OrderedReady");
        let rolling = json!({"partition": 0, "maxUnavailable": 1});
        assert_eq!(spec["updateStrategy"], json!({"type": "RollingUpdate", "rollingUpdate": rolling}));
        let retention = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
        assert_eq!(spec["persistentVolumeClaimRetentionPolicy"], retention);
        assert_eq!((&spec["replicas"], &spec["revisionHistoryLimit"]), (&json!(1), &json!(10)));
        let claim = &spec["volumeClaimTemplates"][0];
        assert_eq!((&claim["kind"], &claim["apiVersion"]), (&json!("PersistentVolumeClaim"), &json!("v1")));
        assert_eq!(
            (&claim["status"]["phase"], &claim["spec"]["volumeMode"]),
            (&json!("Pending"), &json!("Filesystem"))
        );
        assert_eq!(object.0["status"], json!({"replicas": 0, "availableReplicas": 0}));
        assert_eq!(texts(&object), [""; 0]);
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let strategy = |strategy: Value| json!({"updateStrategy": strategy});
        let cases = [
            (
                json!({"podManagementPolicy": "Chaos"}),
                "spec.podManagementPolicy: Invalid value: \"Chaos\": must be 'OrderedReady' or 'Parallel'",
            ),
            (
                strategy(json!({"type": "OnDelete", "rollingUpdate": {"partition": 1}})),
                "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy 'RollingUpdate'",
            ),
            (
                strategy(json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "0%"}})),
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": cannot be 0",
            ),
            (
                json!({"selector": {}}),
                "spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
            ),
            (
                json!({"ordinals": {"start": -1}}),
                "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                json!({"volumeClaimTemplates": []}),
                "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\"",
            ),
            (
                json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Sell"}}),
                "spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: \"Sell\": supported values: \"Delete\", \"Retain\"",
            ),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&stateful_set(&spec)), [text]);
        }
        let service = texts(&stateful_set(&json!({"serviceName": "Not_A_Label"})));
        assert!(service[0].starts_with("spec.serviceName: Invalid value: \"Not_A_Label\": "), "{service:?}");
        assert!(!Rules.check_name("a.b").is_empty());
    }

    #[test]
    fn who_it_is_stays_and_what_its_pods_do_may_change() {
        let old = stateful_set(&json!({}));
        let mut new = old.clone();
        new.set(&["spec", "replicas"], 3);
        new.set(&["spec", "template", "metadata", "labels", "tier"], "back");
        new.set(&["spec", "revisionHistoryLimit"], 2);
        assert_eq!(Rules.validate_update(&new, &old), []);
        Rules.prepare_update(&mut new, &old);
        assert_eq!(new.generation(), 2);
        new.set(&["spec", "serviceName"], "other");
        let refused = Rules.validate_update(&new, &old);
        assert_eq!(
            refused[0].to_string(),
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
             'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' \
             are forbidden"
        );
    }

    #[test]
    fn rows_and_status_add_up() {
        let mut object = stateful_set(&json!({"replicas": 3}));
        object.set(&["status"], json!({"replicas": 2, "readyReplicas": 1, "currentReplicas": 3}));
        assert_eq!((COLUMNS[1].cell)(&object, OffsetDateTime::UNIX_EPOCH), json!("1/3"));
        let refused = Rules.validate_status_update(&object, &object);
        assert_eq!(
            refused[0].to_string(),
            "status.currentReplicas: Invalid value: 3: cannot be greater than status.replicas"
        );
    }

    #[test]
    fn parts_of_bytes_and_endless_histories_are_warned_of() {
        let mut object = stateful_set(&json!({}));
        assert_eq!(Rules.warnings(&object, None), [""; 0]);
        object.set(&["spec", "revisionHistoryLimit"], -1);
        let requests = json!({"spec": {"resources": {"requests": {"storage": "1500m"}}}});
        object.set(&["spec", "volumeClaimTemplates"], json!([requests]));
        let limit = "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is \
                     recommended";
        let claim = |spec: &str| {
            let path = format!("spec.volumeClaimTemplates[0]{spec}.resources.requests[storage]");
            format!("{path}: fractional byte value \"1500m\" is invalid, must be an integer")
        };
        assert_eq!(Rules.warnings(&object, None), [claim(""), limit.to_owned()]);
        assert_eq!(Rules.warnings(&object, Some(&object)), [claim(".Spec"), limit.to_owned()]);
    }
}
