//! Reads all objects that match: linearizable, in pages where the client wants them, sent piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::CONTENT_LENGTH};
use keelson_api_registry::status::ApiError;

use super::Call;
use crate::{
    answer::{self, Response},
    cache::CachedObject,
    codec::{
        CollectionWriter, Count, Form, Media, Rendering, Wanted,
        protobuf::{self, PROTOBUF},
        table::{self, ListMeta},
    },
    selection::Selection,
    server::Server,
    write::body,
};

pub(crate) mod options;
pub(super) mod page;
mod token;

pub(crate) use page::range_of;

use page::Page;

/// Roughly how many bytes are made and sent at once.
const PIECE: usize = 64 << 10;

/// What is set aside for the object that goes beyond a piece.
const SLACK: usize = 8 << 10;

/// After how many messages others get their turn: the first list makes all of them, and elections must not wait for it.
const MESSAGES_AT_ONCE: usize = 64;

/// Answers with the objects that the call means.
///
/// # Errors
/// 400 and 422 for a query that makes no sense; 406 for forms that are not known; 410 for a revision that is
/// gone; 503 and 504 without a quorum.
pub async fn list(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let wanted = Wanted::of(&call.headers, &call.info)?;
    let options = options::ListOptions::parse(&call.info)?;
    let resource = call.request.resource;
    let parameter = |name| call.info.parameter(name);
    let selection = Selection::parse(resource, parameter("labelSelector"), parameter("fieldSelector"))?;
    let page = page::read(&server.objects, &call.request, &options, &selection).await?;
    respond(call, &wanted, page).await
}

/// Answers with these objects.
///
/// # Errors
/// 406 for a form that is one object's; 500 for an object that cannot be converted.
pub(super) async fn respond(call: &Call, wanted: &Wanted, page: Page) -> Result<Response, ApiError> {
    let resource = call.request.resource;
    wanted.check_count(Count::Many, body::Wanted::of(resource))?;
    let rendering = Rendering::new(resource, wanted, call.now);
    if wanted.media == Media::Protobuf {
        return in_protobuf(&rendering, &page.meta, &page.objects).await;
    }
    stream(Pieces {
        head: Some(head(&rendering, &page.meta)),
        type_of_items: rendering.type_of_items(),
        objects: page.objects.into_iter(),
        rendering,
        writer: CollectionWriter::new(wanted),
        is_done: false,
        failure: None,
    })
}

/// A collection in protobuf, whose length stands in front of it; so it is sent once all messages are made, which the
/// cache keeps.
async fn in_protobuf(
    rendering: &Rendering,
    meta: &ListMeta,
    objects: &[Arc<CachedObject>],
) -> Result<Response, ApiError> {
    let mut items = Vec::with_capacity(objects.len());
    for (at, object) in objects.iter().enumerate() {
        items.push(rendering.message(object)?);
        if at % MESSAGES_AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
    }
    let (api_version, kind) = rendering.kind();
    let kind = match rendering.form() {
        Form::Object => rendering.resource().list_kind(),
        Form::Partial(_) | Form::Table(_) => format!("{kind}List"),
    };
    let (length, pieces) = protobuf::list((&api_version, &kind), &meta.json(), items);
    let mut response = answer::streamed(StatusCode::OK, PROTOBUF, tokio_stream::iter(pieces));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

fn stream(mut pieces: Pieces) -> Result<Response, ApiError> {
    let (length, content_type) = (pieces.length(), pieces.writer.content_type());
    let Some(first) = pieces.next() else { unreachable!("the head is a piece") };
    if let Some(error) = pieces.failure {
        return Err(error);
    }
    if pieces.is_done {
        return Ok(answer::object_bytes(StatusCode::OK, content_type, first));
    }
    let rest = tokio_stream::iter(std::iter::once(first).chain(pieces));
    // Others get their turn between pieces: one of a large object in YAML takes a while to make.
    let rest = futures_util::StreamExt::then(rest, async |piece| {
        tokio::task::yield_now().await;
        piece
    });
    let mut response = answer::streamed(StatusCode::OK, content_type, rest);
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

fn head(rendering: &Rendering, meta: &ListMeta) -> Vec<u8> {
    let resource = rendering.resource();
    match rendering.form() {
        Form::Object => table::list_head(&resource.api_version(), &resource.list_kind(), meta),
        Form::Partial(_) => table::list_head("meta.k8s.io/v1", "PartialObjectMetadataList", meta),
        Form::Table(_) => table::head(table::columns_of(resource), meta, true),
    }
}

/// A collection, in pieces that are made when they are wanted.
struct Pieces {
    head: Option<Vec<u8>>,
    /// What is left out of each item.
    type_of_items: String,
    objects: std::vec::IntoIter<Arc<CachedObject>>,
    rendering: Rendering,
    writer: CollectionWriter,
    /// Whether there are no further pieces.
    is_done: bool,
    /// Why the pieces end where no collection ends.
    failure: Option<ApiError>,
}

impl Pieces {
    /// How long the whole is, where that is known without making it.
    fn length(&self) -> Option<usize> {
        let objects = self.objects.as_slice();
        let length = |object: &Arc<CachedObject>| {
            let (start, rest) = without(&self.type_of_items, object.json());
            start.len() + rest.len()
        };
        let items: usize = objects.iter().map(length).sum();
        let commas = objects.len().saturating_sub(1);
        let head = self.head.as_ref().map_or(0, Vec::len);
        let is_verbatim = self.rendering.is_verbatim() && self.writer.is_verbatim();
        is_verbatim.then_some(head + items + commas + table::TAIL.len() + 1)
    }
}

/// An object's JSON without what it begins with, in two parts.
fn without<'i>(type_of_items: &str, item: &'i [u8]) -> (&'static [u8], &'i [u8]) {
    match item.strip_prefix(type_of_items.as_bytes()) {
        Some(rest) if !type_of_items.is_empty() => (b"{", rest),
        _ => (b"", item),
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.is_done {
            return None;
        }
        let mut piece = Vec::with_capacity(PIECE + SLACK);
        if let Some(head) = self.head.take() {
            self.writer.head(&head, &mut piece);
        }
        while piece.len() < PIECE {
            let Some(object) = self.objects.next() else {
                self.is_done = true;
                self.writer.end(&mut piece);
                break;
            };
            let item = match self.rendering.item(&object) {
                Ok(item) => item,
                Err(error) => {
                    // Once the head has been sent, all that is left is to end where no collection ends.
                    tracing::error!(name = object.name, message = error.message, "a list is cut short");
                    (self.is_done, self.failure) = (true, Some(error));
                    break;
                }
            };
            self.writer.item(without(&self.type_of_items, &item), &mut piece);
        }
        Some(piece.into())
    }
}

#[cfg(test)]
mod tests;
