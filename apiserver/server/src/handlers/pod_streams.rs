//! Logs of pods, commands in their containers, and their streams and ports: handed on to the node that runs the pod.
//!
//! In: a request that the chain let pass. Out: what the node sends, as it comes. Nothing is kept back, and nothing
//! but the end of either side, or of this server, ends it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response as HttpResponse, StatusCode};
use http_body_util::{BodyExt, BodyStream};
use hyper::body::Incoming;
use keelson_api_registry::{
    object::Object,
    pod_streams::{
        self, ExecOptions, LogOptions, NodePlace, PortForwardOptions, container_of, container_path,
    },
    resources::{self, Verb},
    status::ApiError,
};
use tokio_stream::{Stream, StreamExt};

use super::Call;
use crate::{
    answer::{self, Response},
    authz::attributes::{Attributes, Object as Asked, ResourceAttributes},
    nodes::{NodeClient, refusal, upgrade},
    server::Server,
    web_socket,
};

/// A container's log.
///
/// # Errors
/// 400 and 422 for options that make no sense; 404 where there is no such pod; whatever the node has against it.
pub(super) async fn log(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let options = LogOptions::parse(&call.info)?;
    options.validate(&call.request.name)?;
    let pod = pod(server, call).await?;
    let container = container_of(&pod, &options.container)?;
    // Nothing runs there yet, so nothing has been written.
    let Some(place) = place_of(server, &pod).await? else { return Ok(answer::empty(StatusCode::NO_CONTENT)) };
    let path = format!("{}?{}", container_path("containerLogs", &pod, &container), options.node_query());
    if web_socket::is_wanted(&call.headers) {
        return tunnel(server, call, &place, &path).await;
    }
    let answer = send(server, call, &place, &path).await?;
    if answer.status() == StatusCode::OK {
        Ok(answer::streamed(StatusCode::OK, "text/plain", pieces(server, answer)))
    } else {
        Err(refusal::status(answer, &call.request).await)
    }
}

/// A command in a container.
///
/// # Errors
/// 400 for a request that makes no sense; 403; 404 where there is no such pod.
pub(super) async fn exec(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    container_streams(server, call, "exec").await
}

/// The streams of a container's own process.
///
/// # Errors
/// As [`exec`].
pub(super) async fn attach(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    container_streams(server, call, "attach").await
}

/// Connections to a pod's ports.
///
/// # Errors
/// As [`exec`].
pub(super) async fn port_forward(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let options = PortForwardOptions::parse(&call.info)?;
    may_create(server, call)?;
    let pod = pod(server, call).await?;
    let place = place_of(server, &pod).await?.ok_or_else(|| homeless(&pod))?;
    let path = format!("{}?{}", pod_streams::port_forward_path(&pod), options.node_query());
    tunnel(server, call, &place, &path).await
}

async fn container_streams(server: &Arc<Server>, call: &Call, what: &str) -> Result<Response, ApiError> {
    let options = ExecOptions::parse(&call.info);
    may_create(server, call)?;
    let pod = pod(server, call).await?;
    let container = container_of(&pod, &options.container)?;
    let place = place_of(server, &pod).await?.ok_or_else(|| homeless(&pod))?;
    let path = format!("{}?{}", container_path(what, &pod, &container), options.node_query());
    tunnel(server, call, &place, &path).await
}

/// WebSockets begin with a GET, which the chain has taken for a read. Who may only read must not run anything.
fn may_create(server: &Server, call: &Call) -> Result<(), ApiError> {
    let request = &call.request;
    let wanted = ResourceAttributes {
        group: request.resource.group,
        resource: request.resource.plural,
        subresource: request.subresource.map_or("", |subresource| subresource.name),
        namespace: &request.namespace,
        name: &request.name,
        selector: None,
    };
    let wanted = Attributes { verb: Verb::Create.name(), object: Asked::Resource(wanted) };
    server.authorizer.authorize(&call.user, &wanted).map(drop)
}

async fn pod(server: &Server, call: &Call) -> Result<Object, ApiError> {
    let request = &call.request;
    let found = server.objects.get(request.resource, &request.namespace, &request.name).await?;
    found.map(|found| found.object).ok_or_else(|| ApiError::not_found(request.resource, &request.name))
}

/// Where the pod's node is; `None` for a pod that has none yet.
async fn place_of(server: &Server, pod: &Object) -> Result<Option<NodePlace>, ApiError> {
    let name = pod.text(&["spec", "nodeName"]);
    if name.is_empty() {
        return Ok(None);
    }
    let nodes = resources::find("", "v1", "nodes").expect("a test over the table finds it");
    let node = server.objects.get(nodes, "", name).await?;
    let node = node.ok_or_else(|| ApiError::not_found(nodes, name))?;
    NodePlace::of(&node.object).map(Some)
}

fn homeless(pod: &Object) -> ApiError {
    ApiError::bad_request(format!("pod {} does not have a host assigned", pod.name()))
}

async fn send(
    server: &Server,
    call: &Call,
    place: &NodePlace,
    path: &str,
) -> Result<HttpResponse<Incoming>, ApiError> {
    let no_client = || ApiError::internal("this server has no certificate for calls to nodes");
    let client: &NodeClient = server.options.node_client.as_ref().ok_or_else(no_client)?;
    let method = if call.request.verb == Verb::Create { Method::POST } else { Method::GET };
    client.send(place, upgrade::request_to_node(place, method, path, &call.headers)?).await
}

async fn tunnel(
    server: &Arc<Server>,
    call: &Call,
    place: &NodePlace,
    path: &str,
) -> Result<Response, ApiError> {
    let client = call.upgrade.clone().filter(|_| upgrade::is_wanted(&call.headers));
    let client = client.ok_or_else(|| ApiError::bad_request("Upgrade request required"))?;
    let answer = send(server, call, place, path).await?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        Ok(upgrade::tunnel(server, client, answer))
    } else {
        Ok(refusal::as_it_is(answer).await)
    }
}

/// The pieces of a log as they come. A node that breaks off ends the log: its beginning is on its way already.
fn pieces(server: &Server, answer: HttpResponse<Incoming>) -> impl Stream<Item = Bytes> + Send + 'static {
    let frames = BodyStream::new(answer.into_body().map_err(|error| {
        tracing::debug!(%error, "a node broke off a log");
    }));
    let pieces = frames.map_while(Result::ok).filter_map(|frame| frame.into_data().ok());
    futures_util::StreamExt::take_until(pieces, Box::pin(server.stopped()))
}

#[cfg(test)]
mod tests;
