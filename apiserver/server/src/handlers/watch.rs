//! Streams changes as they happen.
//!
//! In: a query with the revision to begin after. Out: one line of JSON, or one frame of protobuf, per change, in the order of revisions, the
//! changes of one revision together, each as the client's selectors see it.
//!
//! A watch pulls: what is recent it takes from the cache, what is older from the store. It keeps nothing but its
//! place, so a client that reads slowly harms nobody; it falls back to the store, and ends with 410 when even that
//! has forgotten.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use keelson_api_registry::status::ApiError;
use keelson_store_core::id::Revision;

use super::{
    Call,
    list::{
        options::{ResourceVersion, WatchOptions, check_reached},
        range_of,
    },
};
use crate::{
    answer::{self, Response},
    codec::{Media, Rendering, Wanted, protobuf::PROTOBUF_WATCH},
    selection::Selection,
    server::Server,
    web_socket,
};

mod history;
mod lines;
mod messages;
mod place;
mod stream;

use lines::Lines;
use place::Place;
use stream::Stream;

/// Watches without a wish of the client's end after this time or up to twice as much, at random, so that clients
/// spread over the servers.
const SHORTEST: Duration = Duration::from_secs(30 * 60);
/// However long a client wishes to watch, it is no longer than this: a day.
const LONGEST_SECONDS: u64 = 24 * 60 * 60;

/// Answers with a stream of changes.
///
/// # Errors
/// 400 and 422 for a query that makes no sense; 406 for forms that cannot be streamed; 503 and 504 without a
/// quorum. What goes wrong later is a line of the stream.
pub async fn watch(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let wanted = Wanted::of(&call.headers, &call.info)?.streamed()?;
    let options = WatchOptions::parse(&call.info, call.request.resource)?;
    let resource = call.request.resource;
    let parameter = |name| call.info.parameter(name);
    let selection = Selection::parse(resource, parameter("labelSelector"), parameter("fieldSelector"))?;
    let range = range_of(&call.request, &selection)?;
    let (shard, reached) = server.objects.fresh(resource).await?;
    let begin = begin(&options);
    let lines = Lines::new(Rendering::new(resource, &wanted, call.now), server.options.clock);
    if begin == Begin::WithWhatIs
        && let Err(error) = check_reached(options.version, reached)
    {
        // As upstream: once a watch is understood, all that goes wrong is told in it.
        return respond(call, wanted.media, tokio_stream::once(lines.failure(&error)));
    }
    let place = Place::new(server.objects.store().clone(), shard, range, selection);
    let stream = Stream::open(server.clone(), place, lines, begin, &options)?;
    respond(call, wanted.media, stream.pieces())
}

/// Pieces as the body of an answer, or, for who wants a WebSocket, as its messages.
fn respond<P>(call: &Call, media: Media, pieces: P) -> Result<Response, ApiError>
where
    P: futures_util::Stream<Item = Bytes> + Send + 'static,
{
    if let Some(client) = call.upgrade.clone().filter(|_| web_socket::is_wanted(&call.headers)) {
        return web_socket::answer(&call.headers, client, messages::of(media, pieces));
    }
    let content_type = match media {
        Media::Protobuf => PROTOBUF_WATCH,
        Media::Json | Media::Yaml => answer::JSON,
    };
    Ok(answer::streamed(StatusCode::OK, content_type, pieces))
}

/// With what a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// With everything that is there, as additions.
    WithWhatIs,
    /// With what changes after a revision.
    After(Revision),
    /// With what changes from now on.
    Now,
}

fn begin(options: &WatchOptions) -> Begin {
    match (options.initial, options.version) {
        (Some(true), _) | (None, ResourceVersion::Unset | ResourceVersion::Any) => Begin::WithWhatIs,
        (Some(false), ResourceVersion::Unset | ResourceVersion::Any) => Begin::Now,
        (Some(false) | None, ResourceVersion::At(revision)) => Begin::After(revision),
    }
}

fn lifetime(options: &WatchOptions) -> Duration {
    match options.timeout {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.min(LONGEST_SECONDS)),
        _ => SHORTEST + SHORTEST.mul_f64(rand::random::<f64>()),
    }
}

#[cfg(test)]
mod tests;
