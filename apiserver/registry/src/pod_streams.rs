//! Requests to a pod's log, its containers' streams and its ports: what they ask, and in which words a node is asked
//! for it.
//!
//! In: a request's query, and the pod and the node as they are stored. Out: the path and query at the node's own
//! API, and where that is. Pure; whoever connects is elsewhere.
//!
//! Source: `pkg/registry/core/pod/strategy.go`, `pkg/kubelet/client`.

use keelson_api_schema::go_text::parse_int;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::{object::Object, request::RequestInfo, status::ApiError};

mod log;

mod options;

mod place;

pub use self::{
    log::LogOptions,
    options::{ExecOptions, PortForwardOptions},
    place::NodePlace,
};

/// Which container of a pod is the default for requests that name none; kubectl's annotation.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The path of a container's `what` at its node: `/exec/<namespace>/<pod>/<container>`.
pub fn container_path(what: &str, pod: &Object, container: &str) -> String {
    format!("/{what}/{}/{}/{container}", pod.namespace(), pod.name())
}

/// The path of a pod's ports at its node.
pub fn port_forward_path(pod: &Object) -> String {
    format!("/portForward/{}/{}", pod.namespace(), pod.name())
}

/// The container that is meant: the one of that name, or, where `wanted` is empty, the only one or the one that the
/// pod's author has marked as the default.
///
/// # Errors
/// 400: there is no such container, or nothing says which one is meant.
pub fn container_of(pod: &Object, wanted: &str) -> Result<String, ApiError> {
    let names = |field: &str| -> Vec<&str> {
        let containers = pod.list(&["spec", field]).iter();
        containers.filter_map(|container| container.get("name").and_then(Value::as_str)).collect()
    };
    let (main, init) = (names("containers"), names("initContainers"));
    if !wanted.is_empty() {
        let known = main.contains(&wanted)
            || init.contains(&wanted)
            || names("ephemeralContainers").contains(&wanted);
        let refusal = || format!("container {wanted} is not valid for pod {}", pod.name());
        return if known { Ok(wanted.to_owned()) } else { Err(ApiError::bad_request(refusal())) };
    }
    let marked = pod.text(&["metadata", "annotations", DEFAULT_CONTAINER]);
    match main.as_slice() {
        [only] => Ok((*only).to_owned()),
        several if several.contains(&marked) => Ok(marked.to_owned()),
        several => {
            let mut text = format!("a container name must be specified for pod {}", pod.name());
            if !several.is_empty() {
                text += &format!(", choose one of: [{}]", several.join(" "));
            }
            if !init.is_empty() {
                text += &format!(" or one of the init containers: [{}]", init.join(" "));
            }
            Err(ApiError::bad_request(text))
        }
    }
}

/// Query parameters in the order in which they are written.
#[derive(Debug, Default)]
struct Query(String);

impl Query {
    fn add(&mut self, name: &str, value: &str) {
        let separator = if self.0.is_empty() { "" } else { "&" };
        self.0 += &format!("{separator}{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    }

    fn add_flag(&mut self, name: &str, value: &str, is_set: bool) {
        if is_set {
            self.add(name, value);
        }
    }
}

/// A boolean parameter as upstream reads one: everything but `0` and `false` is true, nothing at all included.
fn flag(info: &RequestInfo, name: &str) -> bool {
    info.parameter(name).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
}

/// A number, if it is given.
fn number(info: &RequestInfo, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = info.parameter(name) else { return Ok(None) };
    parse_int(text).map(Some).map_err(ApiError::bad_request)
}

#[cfg(test)]
mod tests;
