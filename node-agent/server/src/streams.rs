//! Commands in containers, their streams, and ports of pods.
//!
//! In: a request whose connection is to carry something else than HTTP. Out: that connection, joined to the container
//! runtime's streaming server.
//!
//! ```text
//!   kubectl ──WebSocket, channels──► [`translate`] ──SPDY/3.1, streams──► runtime
//!   kubectl ──SPDY in WebSocket────► [`unwrap`] ─────SPDY/3.1───────────► runtime     (ports)
//!   kubectl ──SPDY/3.1─────────────► bytes as they are ─────────────────► runtime     (older clients)
//! ```
//!
//! Runtimes speak WebSocket, too, but containerd 1.6 none that can end a process's input.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use keelson_proto::cri::v1::{AttachRequest, ExecRequest, PortForwardRequest};
use tokio::io::copy_bidirectional;

use crate::{
    answer::{self, Refusal, Response},
    chain::Node,
    containers::RuntimeFailure,
    logs::target,
    paths::ContainerName,
    query::Query,
};

mod channels;

mod dial;

pub(crate) mod messages;

mod translate;

mod unwrap;

mod websocket;

use self::{
    channels::{Protocol, Wanted},
    dial::RuntimeSocket,
};

/// Which protocol the streams of a SPDY connection speak.
const VERSION_HEADER: &str = "x-stream-protocol-version";

/// The protocol towards runtimes: the error stream bears a Status.
const V4: &str = "v4.channel.k8s.io";

/// The protocol of a SPDY connection that carries ports.
const PORT_FORWARD: &str = "portforward.k8s.io";

/// Runs a command in a container.
pub(crate) async fn exec(
    node: &Arc<Node>,
    name: &ContainerName,
    request: Request<Incoming>,
) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    let wanted = Wanted::parse(&query)?;
    let cmd: Vec<String> = query.all("command").map(str::to_owned).collect();
    if cmd.is_empty() {
        return Err(Refusal::bad_request("you must specify a command"));
    }
    let container_id = running(node, name)?;
    let Wanted { stdin, stdout, stderr, tty } = wanted;
    let prepare = async || {
        let request = ExecRequest { container_id, cmd, tty, stdin, stdout, stderr };
        node.containers.exec(request).await
    };
    connect(node, wanted, request, prepare).await
}

/// Joins the streams of a container's own process.
pub(crate) async fn attach(
    node: &Arc<Node>,
    name: &ContainerName,
    request: Request<Incoming>,
) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    let wanted = Wanted::parse(&query)?;
    let container_id = running(node, name)?;
    let Wanted { stdin, stdout, stderr, tty } = wanted;
    let prepare = async || {
        let request = AttachRequest { container_id, stdin, tty, stdout, stderr };
        node.containers.attach(request).await
    };
    connect(node, wanted, request, prepare).await
}

/// Connects to ports of a pod.
pub(crate) async fn port_forward(
    node: &Arc<Node>,
    namespace: &str,
    pod: &str,
    mut request: Request<Incoming>,
) -> Result<Response, Refusal> {
    let way = Way::of(request.headers(), unwrap::accept_port_forward)?;
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    let ports: Result<Vec<i32>, _> =
        query.all("port").flat_map(|ports| ports.split(',')).map(str::parse).collect();
    let port = ports.map_err(|_| Refusal::bad_request("a port is no number"))?;
    let found = find(node, namespace, pod)?;
    let uid = found.metadata.uid.as_deref().unwrap_or_default();
    let sandbox = node.containers.ready_sandbox(uid).await.map_err(failed)?;
    let missing = || Refusal::internal(format!("failed to find sandboxID for pod {pod}_{namespace}({uid})"));
    let pod_sandbox_id = sandbox.ok_or_else(missing)?;
    let request_to_runtime = PortForwardRequest { pod_sandbox_id, port };
    let url = node.containers.port_forward(request_to_runtime).await.map_err(failed)?;
    let client = hyper::upgrade::on(&mut request);
    match way {
        Way::WebSocket(accepted) => {
            let (runtime, _) = dial::dial(&url, &[HeaderValue::from_static(PORT_FORWARD)]).await?;
            node.spawn(async move { unwrap::run(client, runtime).await });
            Ok(accepted.response())
        }
        Way::Spdy(versions) => as_it_is(node, client, &url, &versions).await,
    }
}

/// How a client wants to be connected.
enum Way<A> {
    /// By a WebSocket, the handshake of which is agreed on.
    WebSocket(A),
    /// By SPDY, with these protocols to choose from.
    Spdy(Vec<HeaderValue>),
}

impl<A> Way<A> {
    fn of(
        headers: &HeaderMap,
        accept: impl FnOnce(&HeaderMap) -> Result<A, Refusal>,
    ) -> Result<Self, Refusal> {
        if websocket::is_wanted(headers) {
            return accept(headers).map(Self::WebSocket);
        }
        if websocket::wants(headers, "spdy/3.1") {
            return Ok(Self::Spdy(headers.get_all(VERSION_HEADER).iter().cloned().collect()));
        }
        Err(Refusal::bad_request("unable to upgrade: missing upgrade headers in request"))
    }
}

/// Connects a client to the streams that a runtime has prepared.
async fn connect(
    node: &Arc<Node>,
    wanted: Wanted,
    mut request: Request<Incoming>,
    prepare: impl AsyncFnOnce() -> Result<String, RuntimeFailure>,
) -> Result<Response, Refusal> {
    let way = Way::of(request.headers(), Protocol::accept)?;
    let url = prepare().await.map_err(failed)?;
    let client = hyper::upgrade::on(&mut request);
    match way {
        Way::WebSocket((protocol, accepted)) => {
            let (runtime, _) = dial::dial(&url, &[HeaderValue::from_static(V4)]).await?;
            node.spawn(async move { translate::run(client, runtime, wanted, protocol).await });
            Ok(accepted.response())
        }
        Way::Spdy(versions) => as_it_is(node, client, &url, &versions).await,
    }
}

/// Hands bytes on as they are: the client speaks what the runtime speaks.
async fn as_it_is(
    node: &Arc<Node>,
    client: OnUpgrade,
    url: &str,
    versions: &[HeaderValue],
) -> Result<Response, Refusal> {
    let (mut runtime, headers): (RuntimeSocket, HeaderMap) = dial::dial(url, versions).await?;
    node.spawn(async move {
        let Ok(client) = client.await else { return };
        if let Err(error) = copy_bidirectional(&mut TokioIo::new(client), &mut runtime).await {
            tracing::debug!(%error, "a connection to the container runtime broke");
        }
    });
    let mut response = answer::switching("SPDY/3.1");
    if let Some(version) = headers.get(VERSION_HEADER) {
        response.headers_mut().insert(VERSION_HEADER, version.clone());
    }
    Ok(response)
}

fn find(node: &Node, namespace: &str, pod: &str) -> Result<Arc<Pod>, Refusal> {
    node.pods.find(namespace, pod).ok_or_else(|| Refusal::not_found("pod does not exist"))
}

/// The id of a container that was started. Whether it runs just now, the runtime knows better.
fn running(node: &Node, name: &ContainerName) -> Result<String, Refusal> {
    let pod = find(node, &name.namespace, &name.pod)?;
    let status = target::status(&pod, &name.container);
    let id = status.and_then(|status| status.container_id.as_deref()).filter(|id| !id.is_empty());
    let missing = || Refusal::internal(format!("container not found ({:?})", name.container));
    Ok(target::bare(id.ok_or_else(missing)?).to_owned())
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn failed(error: RuntimeFailure) -> Refusal {
    Refusal::internal(error.to_string())
}
