//! A pod gets what its runtime class says: what it costs to run it, and where that can be.
//!
//! Source: `plugin/pkg/admission/runtimeclass` of Kubernetes.

use keelson_api_registry::{
    object::Object,
    pod_resources::{Amounts, amounts},
    status::ApiError,
};
use serde_json::Value;

use super::{Attributes, Mutate, Validate, Verdict, known};

const OVERHEAD: [&str; 2] = ["spec", "overhead"];
const POD_FIXED: [&str; 2] = ["overhead", "podFixed"];
const NODE_SELECTOR: [&str; 2] = ["spec", "nodeSelector"];
const TOLERATIONS: [&str; 2] = ["spec", "tolerations"];

/// The admission step.
pub(super) struct RuntimeClass;

impl Mutate for RuntimeClass {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.creates_pod()
    }

    fn mutate<'a>(&'a self, write: &'a Attributes<'a>, pod: &'a mut Object) -> Verdict<'a> {
        Box::pin(async move {
            let Some(class) = find(write, pod).await? else { return Ok(()) };
            apply(pod, &class).map_err(|why| write.forbidden(why))
        })
    }
}

impl Validate for RuntimeClass {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.creates_pod()
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, pod: Option<&'a Object>) -> Verdict<'a> {
        let unfounded = pod.is_some_and(|pod| {
            pod.get(&OVERHEAD).is_some() && pod.text(&["spec", "runtimeClassName"]).is_empty()
        });
        let why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
        Box::pin(std::future::ready(if unfounded { Err(write.forbidden(why)) } else { Ok(()) }))
    }
}

/// The class that the pod names.
async fn find(write: &Attributes<'_>, pod: &Object) -> Result<Option<Object>, ApiError> {
    let name = pod.text(&["spec", "runtimeClassName"]);
    if name.is_empty() {
        return Ok(None);
    }
    let classes = known("node.k8s.io", "runtimeclasses");
    if let Some(class) = write.server.objects.cached_object(classes, "", name) {
        return Ok(Some(class.object()));
    }
    // The cache may be behind somebody who has just made the class.
    match write.server.objects.get(classes, "", name).await? {
        Some(class) => Ok(Some(class.object)),
        None => Err(write.forbidden(format_args!("pod rejected: RuntimeClass {name:?} not found"))),
    }
}

/// Gives a pod what its class says, or says why the pod contradicts it.
fn apply(pod: &mut Object, class: &Object) -> Result<(), String> {
    let list =
        |object: &Object, path: &[&str]| -> Amounts { amounts(object.get(path).unwrap_or(&Value::Null)) };
    let cost = class.get(&POD_FIXED).cloned();
    match (pod.get(&OVERHEAD).is_some(), cost) {
        (true, _) if list(pod, &OVERHEAD) != list(class, &POD_FIXED) => {
            return Err(
                "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead".to_owned()
            );
        }
        (false, Some(cost)) => pod.set(&OVERHEAD, cost),
        (true, _) | (false, None) => {}
    }
    for (key, value) in class.map(&["scheduling", "nodeSelector"]).into_iter().flatten() {
        let path = [NODE_SELECTOR[0], NODE_SELECTOR[1], key];
        match pod.get(&path) {
            Some(other) if other != value => {
                let shown = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                return Err(format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {}, conflicts with pod.spec.nodeSelector[{key}] = {}",
                    shown(value),
                    shown(other)
                ));
            }
            Some(_) => {}
            None => pod.set(&path, value.clone()),
        }
    }
    let mut tolerations = pod.list(&TOLERATIONS).to_vec();
    let added = class.list(&["scheduling", "tolerations"]).iter();
    let added: Vec<Value> = added.filter(|toleration| !tolerations.contains(toleration)).cloned().collect();
    if !added.is_empty() {
        tolerations.extend(added);
        pod.set(&TOLERATIONS, tolerations);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class() -> Object {
        Object(json!({
            "metadata": {"name": "vm"}, "handler": "kata", "overhead": {"podFixed": {"cpu": "100m"}},
            "scheduling": {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]},
        }))
    }

    #[test]
    fn a_pod_gets_cost_and_place() {
        let mut pod = Object(json!({"spec": {"runtimeClassName": "vm", "nodeSelector": {"zone": "a"}}}));
        apply(&mut pod, &class()).unwrap();
        apply(&mut pod, &class()).unwrap();
        assert_eq!(pod.0["spec"]["overhead"], json!({"cpu": "100m"}));
        assert_eq!(pod.0["spec"]["nodeSelector"], json!({"zone": "a", "vm": "yes"}));
        assert_eq!(pod.0["spec"]["tolerations"], json!([{"key": "vm", "operator": "Exists"}]));
    }

    #[test]
    fn a_pod_that_contradicts_is_refused() {
        let mut dear = Object(json!({"spec": {"overhead": {"cpu": "1"}}}));
        assert_eq!(
            apply(&mut dear, &class()).unwrap_err(),
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
        );
        let mut elsewhere = Object(json!({"spec": {"nodeSelector": {"vm": "no"}}}));
        assert!(
            apply(&mut elsewhere, &class()).unwrap_err().starts_with("conflict: runtimeClass.scheduling.")
        );
    }
}
