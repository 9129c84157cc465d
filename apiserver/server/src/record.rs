//! From a finished request to the labels under which it is counted.

use std::time::Duration;

use http::{Method, StatusCode};
use keelson_api_registry::{
    request::{RequestInfo, Target},
    resources::Verb,
};

use crate::metrics::{Metrics, RequestLabels};

/// Counts a finished request; `info` is `None` where its path makes no sense.
pub fn observe(
    metrics: &Metrics,
    method: &Method,
    info: Option<&RequestInfo>,
    status: StatusCode,
    took: Duration,
) {
    metrics.observe(labels(method, info), status.as_u16(), took);
}

fn labels(method: &Method, info: Option<&RequestInfo>) -> RequestLabels {
    let Some(Target::Resource(request)) = info.map(|info| &info.target) else {
        let verb = method_label(method);
        return RequestLabels { verb, group: "", version: "", resource: "", subresource: "", scope: "" };
    };
    let scope = match (request.name.is_empty(), request.namespace.is_empty()) {
        (false, _) => "resource",
        (true, false) => "namespace",
        (true, true) => "cluster",
    };
    RequestLabels {
        verb: verb_label(request.verb),
        group: request.resource.group,
        version: request.resource.version,
        resource: request.resource.plural,
        subresource: request.subresource.map_or("", |subresource| subresource.name),
        scope,
    }
}

const fn verb_label(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "POST",
        Verb::Delete => "DELETE",
        Verb::DeleteCollection => "DELETECOLLECTION",
        Verb::Get => "GET",
        Verb::List => "LIST",
        Verb::Patch => "PATCH",
        Verb::Update => "PUT",
        Verb::Watch => "WATCH",
    }
}

/// A client may invent methods; labels must not grow with them.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &Method, uri: &str) -> RequestLabels {
        let info = RequestInfo::parse(method, &uri.parse().unwrap()).unwrap();
        labels(method, Some(&info))
    }

    #[test]
    fn labels_say_what_and_how_wide() {
        let list = of(&Method::GET, "/api/v1/configmaps");
        assert_eq!((list.verb, list.resource, list.scope), ("LIST", "configmaps", "cluster"));
        let watch = of(&Method::GET, "/api/v1/namespaces/a/configmaps?watch=1");
        assert_eq!((watch.verb, watch.scope), ("WATCH", "namespace"));
        let put = of(&Method::PUT, "/api/v1/namespaces/a/configmaps/b");
        assert_eq!((put.verb, put.scope), ("PUT", "resource"));
    }

    #[test]
    fn what_a_client_invents_is_no_label() {
        let method = Method::from_bytes(b"SPLICE").unwrap();
        assert_eq!(labels(&method, None).verb, "other");
        assert_eq!(of(&Method::GET, "/no/such/path").resource, "");
    }
}
