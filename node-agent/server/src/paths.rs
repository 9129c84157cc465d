//! Which paths there are, and who answers them.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::{
    answer::{self, Refusal, Response},
    chain::Node,
    logs, stats, streams,
};

/// What a path is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/healthz`
    Health,
    /// `/pods`
    Pods,
    /// `/metrics`
    Metrics,
    /// `/stats/summary`
    Summary,
    /// `/containerLogs/<namespace>/<pod>/<container>`
    Logs(ContainerName),
    /// `/exec/<namespace>/<pod>/<container>`
    Exec(ContainerName),
    /// `/attach/<namespace>/<pod>/<container>`
    Attach(ContainerName),
    /// `/portForward/<namespace>/<pod>`
    PortForward {
        /// The pod's namespace.
        namespace: String,
        /// Its name.
        pod: String,
    },
}

/// A container as a path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerName {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

impl Target {
    /// Reads a path; `None` for one that there is not.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let segments = path.strip_prefix('/')?.split('/').map(unescape);
        let segments: Vec<String> = segments.collect::<Option<_>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if segments.contains(&"") {
            return None;
        }
        match *segments.as_slice() {
            ["healthz"] => Some(Self::Health),
            ["pods"] => Some(Self::Pods),
            ["metrics"] => Some(Self::Metrics),
            ["stats", "summary"] => Some(Self::Summary),
            ["containerLogs", namespace, pod, container] => {
                Some(Self::Logs(ContainerName::of(namespace, pod, container)))
            }
            ["exec", namespace, pod, container] => {
                Some(Self::Exec(ContainerName::of(namespace, pod, container)))
            }
            ["attach", namespace, pod, container] => {
                Some(Self::Attach(ContainerName::of(namespace, pod, container)))
            }
            ["portForward", namespace, pod] => {
                Some(Self::PortForward { namespace: namespace.to_owned(), pod: pod.to_owned() })
            }
            _ => None,
        }
    }
}

impl ContainerName {
    fn of(namespace: &str, pod: &str, container: &str) -> Self {
        let own = str::to_owned;
        Self { namespace: own(namespace), pod: own(pod), container: own(container) }
    }
}

fn unescape(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}

/// Answers a request that the chain let pass.
pub(crate) async fn answer(
    node: &Arc<Node>,
    target: Target,
    request: Request<Incoming>,
) -> Result<Response, Refusal> {
    match target {
        Target::Health => Ok(answer::text(StatusCode::OK, "ok")),
        Target::Pods => Ok(pods(node)),
        Target::Metrics => Ok(answer::text(StatusCode::OK, node.pods.metrics())),
        Target::Logs(name) => logs::answer(node, &name, request).await,
        Target::Exec(name) => streams::exec(node, &name, request).await,
        Target::Attach(name) => streams::attach(node, &name, request).await,
        Target::PortForward { namespace, pod } => {
            streams::port_forward(node, &namespace, &pod, request).await
        }
        Target::Summary => stats::summary(node).await,
    }
}

fn pods(node: &Node) -> Response {
    let pods = node.pods.list();
    let items: Vec<_> = pods.iter().map(|pod| &**pod).collect();
    answer::json(&json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
}
