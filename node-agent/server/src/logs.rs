//! Logs of containers.
//!
//! In: a request for a container's log, and what the agent knows of the pod. Out: the lines that are wanted, without
//! the marks that the runtime has put around them, as text or over a WebSocket; with `follow` until the container has
//! ended.
//!
//! Stations: [`options`] (what is wanted) → [`target`] (of which container) → [`tail`] (from where) → [`reader`] (the
//! file as it grows and is replaced) → [`shape`] (which bytes).
//!
//! Deliberately absent: files that were moved aside before the request came, as upstream has it, and the moving.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::Request;
use hyper::body::Incoming;
use time::OffsetDateTime;

use crate::{
    answer::{self, Refusal, Response},
    chain::Node,
    paths::ContainerName,
    query::Query,
    streams::messages,
};

mod line;

mod options;

mod reader;

mod shape;

mod tail;

pub(crate) mod target;

use self::{options::LogOptions, reader::LogReader};

/// Answers a request for a log.
pub(crate) async fn answer(
    node: &Arc<Node>,
    name: &ContainerName,
    request: Request<Incoming>,
) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    let options = LogOptions::parse(&query, OffsetDateTime::now_utc())?;
    let reader = open(node, name, &options).await?;
    if messages::is_wanted(request.headers()) {
        return messages::answer(node, request, pieces(reader));
    }
    Ok(answer::streamed(pieces(reader)))
}

async fn open(node: &Arc<Node>, name: &ContainerName, options: &LogOptions) -> Result<LogReader, Refusal> {
    let pod = node.pods.find(&name.namespace, &name.pod);
    let pod = pod.ok_or_else(|| Refusal::not_found("pod does not exist"))?;
    let id = target::find(&pod, &name.container, options.previous)?;
    let unable =
        |why: &str| Refusal::bad_request(format!("unable to retrieve container logs for {id}: {why}"));
    let bare = target::bare(&id).to_owned();
    let found = node.containers.container(&bare).await;
    let found = found.map_err(|error| Refusal::internal(error.to_string()))?;
    let found = found.ok_or_else(|| unable("the runtime has no such container"))?;
    let follow = options.follow.then(|| reader::Follow::new(node.containers.clone(), bare));
    LogReader::open(found.log_path, options, follow).await.map_err(|error| unable(&error.to_string()))
}

/// What is wanted of the log, as it comes.
fn pieces(reader: LogReader) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold(reader, async |mut reader| {
        let piece = reader.next().await?;
        Some((piece, reader))
    })
}
