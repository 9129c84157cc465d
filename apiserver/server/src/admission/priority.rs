//! Pods name a class of priority; here it becomes a number.
//!
//! Source: `plugin/pkg/admission/priority` of Kubernetes.

use keelson_api_registry::{object::Object, status::ApiError};

use super::{Attributes, Mutate, Operation, Validate, Verdict, known};

/// The group of PriorityClasses.
const GROUP: &str = "scheduling.k8s.io";

/// What a pod without a class may do where there is no default class.
const PREEMPT_LOWER_PRIORITY: &str = "PreemptLowerPriority";

/// The admission step.
pub(super) struct Priority;

/// What a class gives a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Class {
    name: String,
    value: i64,
    preemption_policy: String,
}

impl Class {
    fn of(class: &Object) -> Self {
        Self {
            name: class.name().to_owned(),
            value: class.integer(&["value"]).unwrap_or(0),
            preemption_policy: class.text(&["preemptionPolicy"]).to_owned(),
        }
    }

    /// What a pod has that names no class, where no class is the default.
    fn none() -> Self {
        Self { name: String::new(), value: 0, preemption_policy: PREEMPT_LOWER_PRIORITY.to_owned() }
    }
}

impl Mutate for Priority {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.operation != Operation::Delete && write.is_core("pods")
    }

    fn mutate<'a>(&'a self, write: &'a Attributes<'a>, pod: &'a mut Object) -> Verdict<'a> {
        Box::pin(async move {
            if let Some(old) = write.old {
                keep(pod, old);
                return Ok(());
            }
            let class = match pod.text(&["spec", "priorityClassName"]) {
                "" => default_class(write).map_or_else(Class::none, |class| Class::of(&class)),
                name => named_class(write, name).await?,
            };
            apply(pod, &class).map_err(|why| write.forbidden(why))
        })
    }
}

impl Validate for Priority {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        let classes = write.resource.group == GROUP && write.resource.plural == "priorityclasses";
        write.operation != Operation::Delete && classes
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, class: Option<&'a Object>) -> Verdict<'a> {
        Box::pin(async move {
            let Some(class) = class.filter(|class| is_default(class)) else { return Ok(()) };
            match default_class(write) {
                Some(other) if write.operation == Operation::Create || other.name() != class.name() => {
                    Err(write.forbidden(format_args!(
                        "PriorityClass {} is already marked as default. Only one default can exist",
                        other.name()
                    )))
                }
                _ => Ok(()),
            }
        })
    }
}

/// A pod keeps the priority that it got when it was created.
fn keep(pod: &mut Object, old: &Object) {
    for field in ["priority", "preemptionPolicy"] {
        let path = ["spec", field];
        if let (None, Some(value)) = (pod.get(&path), old.get(&path)) {
            pod.set(&path, value.clone());
        }
    }
}

/// Gives a pod what its class says, or says why the pod contradicts it.
fn apply(pod: &mut Object, class: &Class) -> Result<(), String> {
    if let Some(given) = pod.integer(&["spec", "priority"]).filter(|given| *given != class.value) {
        return Err(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {} from the given PriorityClass name",
            class.value
        ));
    }
    let policy = pod.text(&["spec", "preemptionPolicy"]);
    if !policy.is_empty() && !class.preemption_policy.is_empty() && policy != class.preemption_policy {
        return Err(format!(
            "the string value of PreemptionPolicy ({policy}) must not be provided in pod spec; priority admission \
             controller computed {} from the given PriorityClass name",
            class.preemption_policy
        ));
    }
    if !class.name.is_empty() {
        pod.set(&["spec", "priorityClassName"], class.name.as_str());
    }
    pod.set(&["spec", "priority"], class.value);
    if !class.preemption_policy.is_empty() {
        pod.set(&["spec", "preemptionPolicy"], class.preemption_policy.as_str());
    }
    Ok(())
}

async fn named_class(write: &Attributes<'_>, name: &str) -> Result<Class, ApiError> {
    let classes = known(GROUP, "priorityclasses");
    if let Some(class) = write.server.objects.cached_object(classes, "", name) {
        return Ok(Class::of(&class.object()));
    }
    // The cache may be behind somebody who has just made the class.
    match write.server.objects.get(classes, "", name).await? {
        Some(class) => Ok(Class::of(&class.object)),
        None => Err(write.forbidden(format_args!("no PriorityClass with name {name} was found"))),
    }
}

/// The class of pods that name none: of several, which only a race can bring about, the lowest.
fn default_class(write: &Attributes<'_>) -> Option<Object> {
    let classes = write.server.objects.cached(known(GROUP, "priorityclasses"));
    let defaults = classes.iter().map(|class| class.object()).filter(is_default);
    defaults.min_by_key(|class| class.integer(&["value"]).unwrap_or(0))
}

fn is_default(class: &Object) -> bool {
    class.get(&["globalDefault"]).and_then(serde_json::Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn high() -> Class {
        Class { name: "high".to_owned(), value: 1000, preemption_policy: "Never".to_owned() }
    }

    #[test]
    fn a_class_becomes_a_number() {
        let mut pod = Object(json!({"spec": {"priorityClassName": "high"}}));
        apply(&mut pod, &high()).unwrap();
        let spec = json!({"priorityClassName": "high", "priority": 1000, "preemptionPolicy": "Never"});
        assert_eq!(pod.0, json!({"spec": spec}));
        let mut pod = Object(json!({"spec": {}}));
        apply(&mut pod, &Class::none()).unwrap();
        assert_eq!(pod.0, json!({"spec": {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}}));
    }

    #[test]
    fn a_pod_that_says_another_number_is_refused_in_upstreams_words() {
        let mut pod = Object(json!({"spec": {"priority": 5}}));
        assert_eq!(
            apply(&mut pod, &high()).unwrap_err(),
            "the integer value of priority (5) must not be provided in pod spec; priority admission controller \
             computed 1000 from the given PriorityClass name"
        );
        let mut pod = Object(json!({"spec": {"preemptionPolicy": "PreemptLowerPriority"}}));
        assert!(apply(&mut pod, &high()).unwrap_err().starts_with("the string value of PreemptionPolicy (P"));
    }

    #[test]
    fn a_pod_keeps_its_priority_on_update() {
        let old = Object(json!({"spec": {"priority": 7, "preemptionPolicy": "Never"}}));
        let mut pod = Object(json!({"spec": {}}));
        keep(&mut pod, &old);
        assert_eq!(pod, old);
    }
}
