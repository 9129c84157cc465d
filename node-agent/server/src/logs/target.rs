//! Of which container a log is wanted: the present one, or the one before it.
//!
//! Pure. Source of the rules and the texts: `validateContainerLogStatus` in `pkg/kubelet/kubelet_pods.go`.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};

use crate::answer::Refusal;

/// The id of the container, with its runtime's name in front: `containerd://<id>`.
pub(super) fn find(pod: &Pod, container: &str, previous: bool) -> Result<String, Refusal> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let what = format!("container {container:?} in pod {name:?}");
    if !is_in_spec(pod, container) {
        return Err(Refusal::not_found(format!("container {container:?} not found in pod {name:?}\n")));
    }
    let status =
        status(pod, container).ok_or_else(|| Refusal::bad_request(format!("{what} is not available")))?;
    let last = terminated_id(status.last_state.as_ref().and_then(|last| last.terminated.as_ref()));
    if previous {
        let missing = || Refusal::bad_request(format!("previous terminated {what} not found"));
        return last.map(str::to_owned).ok_or_else(missing);
    }
    let id = present_id(status).or(last);
    id.map(str::to_owned).ok_or_else(|| Refusal::bad_request(format!("{what} is {}", why_none(status))))
}

/// An id without its runtime's name.
pub(crate) fn bare(id: &str) -> &str {
    id.split_once("://").map_or(id, |(_, bare)| bare)
}

fn is_in_spec(pod: &Pod, container: &str) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let init = spec.init_containers.iter().flatten();
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let mut names = spec.containers.iter().chain(init).map(|container| &container.name);
    names.any(|name| name == container)
        || ephemeral.map(|container| &container.name).any(|name| name == container)
}

/// What the agent says of a container.
pub(crate) fn status<'p>(pod: &'p Pod, container: &str) -> Option<&'p ContainerStatus> {
    let status = pod.status.as_ref()?;
    let kinds =
        [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    kinds.into_iter().flatten().flatten().find(|status| status.name == container)
}

/// The container that runs, or has run without another after it.
fn present_id(status: &ContainerStatus) -> Option<&str> {
    let state = status.state.as_ref()?;
    if state.running.is_some() {
        return status.container_id.as_deref().filter(|id| !id.is_empty());
    }
    terminated_id(state.terminated.as_ref())
}

fn terminated_id(state: Option<&ContainerStateTerminated>) -> Option<&str> {
    state?.container_id.as_deref().filter(|id| !id.is_empty())
}

fn why_none(status: &ContainerStatus) -> String {
    let state = status.state.as_ref();
    let last_ended = status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
    if last_ended || state.is_some_and(|state| state.terminated.is_some()) {
        return "terminated".to_owned();
    }
    let waiting = state.and_then(|state| state.waiting.as_ref());
    match waiting.map(|waiting| waiting.reason.as_deref().unwrap_or_default()) {
        Some("ErrImagePull") => "waiting to start: image can't be pulled".to_owned(),
        Some("ImagePullBackOff") => "waiting to start: trying and failing to pull image".to_owned(),
        Some(reason) => format!("waiting to start: {reason}"),
        None => "waiting to start - no logs yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn find_with(status: &Value, previous: bool) -> Result<String, String> {
        let pod = json!({
            "metadata": {"name": "web"},
            "spec": {"containers": [{"name": "app"}]},
            "status": {"containerStatuses": [status]},
        });
        find(&serde_json::from_value(pod).unwrap(), "app", previous).map_err(|refusal| refusal.text)
    }

    fn app(state: &Value, last_state: &Value) -> Value {
        json!({
            "name": "app", "ready": false, "restartCount": 0, "image": "", "imageID": "",
            "containerID": "containerd://now", "state": state, "lastState": last_state,
        })
    }

    fn ended(id: &str) -> Value {
        json!({"terminated": {"exitCode": 1, "containerID": id}})
    }

    #[test]
    fn the_present_container_is_meant_or_the_one_before_it() {
        let now = Ok("containerd://now".to_owned());
        let before = Ok("containerd://before".to_owned());
        let (ended_before, nothing) = (ended("containerd://before"), json!({}));
        let running = app(&json!({"running": {}}), &ended_before);
        assert_eq!(find_with(&running, false), now);
        assert_eq!(find_with(&running, true), before);
        assert_eq!(find_with(&app(&ended("containerd://now"), &nothing), false), now);
        // Between two attempts, and when the next one could not even be made.
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(find_with(&app(&waiting, &ended_before), false), before);
        assert_eq!(find_with(&app(&ended(""), &ended_before), false), before);
        assert_eq!(bare("containerd://before"), "before");
    }

    #[test]
    fn what_has_no_log_is_told_in_upstreams_words() {
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let what = "container \"app\" in pod \"web\"";
        for (state, expected) in [
            (waiting("ContainerCreating"), "is waiting to start: ContainerCreating"),
            (waiting("ErrImagePull"), "is waiting to start: image can't be pulled"),
            (waiting("ImagePullBackOff"), "is waiting to start: trying and failing to pull image"),
            (json!({}), "is waiting to start - no logs yet"),
            (ended(""), "is terminated"),
        ] {
            assert_eq!(find_with(&app(&state, &json!({})), false).unwrap_err(), format!("{what} {expected}"));
        }
        let never_ended = find_with(&app(&json!({"running": {}}), &json!({})), true).unwrap_err();
        assert_eq!(never_ended, format!("previous terminated {what} not found"));
        let other = json!({"name": "other", "ready": false, "restartCount": 0, "image": "", "imageID": ""});
        assert_eq!(find_with(&other, false).unwrap_err(), format!("{what} is not available"));
    }

    #[test]
    fn a_container_that_the_pod_does_not_have_is_not_found() {
        let refusal = find(&Pod::default(), "app", false).unwrap_err();
        assert_eq!(
            (refusal.code.as_u16(), refusal.text.as_str()),
            (404, "container \"app\" not found in pod \"\"\n")
        );
    }
}
