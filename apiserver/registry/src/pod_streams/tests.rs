//! Queries of kubectl, and what a node is asked.

use http::Method;
use serde_json::json;

use super::*;

fn info(path_and_query: &str) -> RequestInfo {
    let uri = format!("/api/v1/namespaces/shop/pods/web/{path_and_query}");
    RequestInfo::parse(&Method::GET, &uri.parse().unwrap()).unwrap()
}

fn log(query: &str) -> Result<LogOptions, ApiError> {
    LogOptions::parse(&info(&format!("log?{query}")))
}

fn invalid(query: &str) -> String {
    let error = log(query).unwrap().validate("web").unwrap_err();
    assert_eq!((error.code.as_u16(), error.reason), (422, "Invalid"));
    error.message
}

fn pod(containers: &[&str], annotation: &str) -> Object {
    let named = |names: &[&str]| -> Vec<Value> { names.iter().map(|name| json!({"name": name})).collect() };
    let mut pod = Object(json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": named(containers), "ephemeralContainers": named(&["debug"])},
    }));
    if !annotation.is_empty() {
        pod.set(&["metadata", "annotations", DEFAULT_CONTAINER], annotation);
    }
    pod
}

#[test]
fn the_options_of_a_log_reach_the_node() {
    let options =
        log("container=app&follow=true&previous=0&timestamps&tailLines=10&limitBytes=5&pretty=true");
    let options = options.unwrap();
    assert_eq!((options.container.as_str(), options.follow), ("app", true));
    assert_eq!(options.validate("web"), Ok(()));
    assert_eq!(options.node_query(), "follow=true&timestamps=true&tailLines=10&limitBytes=5");
    let options = log("sinceTime=2026-01-02T03:04:05%2B01:00&stream=Stderr&follow=False").unwrap();
    assert_eq!(options.validate("web"), Ok(()));
    assert_eq!(options.node_query(), "sinceTime=2026%2D01%2D02T03%3A04%3A05%2B01%3A00&stream=Stderr");
    assert_eq!(log("sinceTime=null").unwrap(), LogOptions::default());
}

#[test]
fn options_of_a_log_that_make_no_sense_are_refused_in_upstreams_words() {
    assert_eq!(
        invalid("tailLines=-1"),
        "PodLogOptions \"web\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0"
    );
    assert_eq!(
        invalid("sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z"),
        "PodLogOptions \"web\" is invalid: []: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
    );
    assert_eq!(
        invalid("limitBytes=0&sinceSeconds=0"),
        "PodLogOptions \"web\" is invalid: [limitBytes: Invalid value: 0: must be greater than 0, sinceSeconds: \
         Invalid value: 0: must be greater than 0]"
    );
    assert!(invalid("stream=stdout").contains("supported values: \"All\", \"Stderr\", \"Stdout\""));
    assert!(invalid("stream=Stdout&tailLines=1").contains("mutually exclusive for now"));
    assert_eq!(log("tailLines=x").unwrap_err().message, "strconv.ParseInt: parsing \"x\": invalid syntax");
    assert_eq!(log("sinceTime=yesterday").unwrap_err().code, 400);
}

#[test]
fn commands_and_streams_reach_the_node_in_its_own_words() {
    let options =
        ExecOptions::parse(&info("exec?command=sh&command=-c&command=a+%26+b&stdin=true&stdout=true&tty"));
    assert_eq!(options.node_query(), "input=1&output=1&tty=1&command=sh&command=%2Dc&command=a%20%26%20b");
    assert_eq!(ExecOptions::parse(&info("attach?container=a&stderr=1")).node_query(), "error=1");
    let ports = |query: &str| PortForwardOptions::parse(&info(&format!("portforward?{query}")));
    assert_eq!(ports("ports=80&ports=8080,9090").unwrap().node_query(), "port=80%2C8080%2C9090");
    assert_eq!(ports("").unwrap().node_query(), "");
    for none in ["ports=0", "ports=65536", "ports=http", "ports="] {
        assert_eq!(ports(none).unwrap_err().code, 400, "{none}");
    }
}

#[test]
fn a_container_is_named_or_the_only_one_or_marked() {
    assert_eq!(container_of(&pod(&["app"], ""), ""), Ok("app".to_owned()));
    assert_eq!(container_of(&pod(&["app", "proxy"], "proxy"), ""), Ok("proxy".to_owned()));
    assert_eq!(container_of(&pod(&["app", "proxy"], ""), "debug"), Ok("debug".to_owned()));
    let text = |pod: &Object, wanted: &str| container_of(pod, wanted).unwrap_err().message;
    let two = pod(&["app", "proxy"], "gone");
    assert_eq!(text(&two, ""), "a container name must be specified for pod web, choose one of: [app proxy]");
    assert_eq!(text(&two, "nope"), "container nope is not valid for pod web");
    let mut with_init = two;
    with_init.set(&["spec", "initContainers"], json!([{"name": "setup"}]));
    assert_eq!(
        text(&with_init, ""),
        "a container name must be specified for pod web, choose one of: [app proxy] or one of the init containers: \
         [setup]"
    );
}

#[test]
fn a_node_is_found_at_its_preferred_address_and_its_own_port() {
    let mut node = Object(json!({
        "metadata": {"name": "n1"},
        "status": {"addresses": [
            {"type": "Hostname", "address": "n1.example"},
            {"type": "InternalIP", "address": "fd00::7"},
        ]},
    }));
    let place = NodePlace::of(&node).unwrap();
    assert_eq!((place.name.as_str(), place.authority().as_str()), ("n1", "[fd00::7]:10250"));
    node.set(&["status", "daemonEndpoints", "kubeletEndpoint", "Port"], 4194);
    node.set(&["status", "addresses"], json!([{"type": "Hostname", "address": "n1.example"}]));
    assert_eq!(NodePlace::of(&node).unwrap().authority(), "n1.example:4194");
    node.set(&["status", "addresses"], json!([]));
    assert_eq!(NodePlace::of(&node).unwrap_err().code, 500);
}
