//! One page of a list: which objects, at which revision, and where it goes on.
//!
//! Every page shows the state at one revision. The first one shows the newest state; those that follow show the
//! revision of the first: from the cache while nothing has changed since, else from the store's history.

use std::sync::Arc;

use bytes::Bytes;
use keelson_api_registry::{request::ResourceRequest, resources::ResourceInfo, status::ApiError};
use keelson_store::{ReadError, state::StateView, store::Consistency};
use keelson_store_core::{
    command::{CommandError, KeyRange, RangeRequest},
    id::Revision,
};

use super::{
    options::{self, ListOptions},
    token::Token,
};
use crate::{
    answer::store_read_error,
    cache::{CachedObject, Shard},
    codec::table::ListMeta,
    selection::Selection,
    storage::{ObjectKey, ObjectStore, collection, storage_of},
};

/// How many objects are read from the store at once.
const BATCH: u64 = 500;

/// Upstream's words for a list that cannot be finished as it was begun.
const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can \
    start a new list without the continue parameter, or use the continue token in this response to retrieve the \
    remainder of the results. Continuing with the provided token results in an inconsistent list - objects that \
    were created, modified, or deleted between the time the first chunk was returned and now may show up in the \
    list.";
/// Upstream's words for a revision that was named and is gone.
const GONE: &str = "The resourceVersion for the provided list is too old.";

/// A page.
#[derive(Debug)]
pub(in crate::handlers) struct Page {
    pub(in crate::handlers) objects: Vec<Arc<CachedObject>>,
    pub(super) meta: ListMeta,
}

/// What is listed.
struct Query<'q> {
    resource: &'static ResourceInfo,
    /// The folder's own range, or the only key that can match.
    range: KeyRange,
    /// Keys in tokens count from here.
    folder: Bytes,
    selection: &'q Selection,
    limit: Option<usize>,
}

/// Which keys a list or watch looks at: a namespace's, everybody's, or one where only one can match.
///
/// # Errors
/// 404 for resources that are not stored.
pub(crate) fn range_of(request: &ResourceRequest, selection: &Selection) -> Result<KeyRange, ApiError> {
    let namespace = match (request.namespace.as_str(), selection.namespace()) {
        ("", Some(namespace)) => namespace,
        (namespace, _) => namespace,
    };
    let one = selection.name().map(|name| ObjectKey::new(request.resource, namespace, name));
    match one {
        Some(Ok(key)) => Ok(KeyRange::Single(key.bytes())),
        // A name without a namespace, or one that no object can have.
        Some(Err(_)) | None => collection(request.resource, &request.namespace),
    }
}

/// Reads a page.
///
/// # Errors
/// 410 for a revision that is gone, 504 for one that is yet to come, 400 for a token that is none.
pub(in crate::handlers) async fn read(
    objects: &ObjectStore,
    request: &ResourceRequest,
    options: &ListOptions,
    selection: &Selection,
) -> Result<Page, ApiError> {
    let query = Query {
        resource: request.resource,
        range: range_of(request, selection)?,
        folder: collection(request.resource, &request.namespace)?.start().clone(),
        selection,
        limit: options.limit,
    };
    let (shard, _) = objects.fresh(request.resource).await?;
    match &options.token {
        Some(Token { revision: None, start }) => query.newest(&shard, Some(start)),
        Some(Token { revision: Some(revision), start }) => {
            query.at(objects, &shard, *revision, Some(start)).await
        }
        None => match options.exact() {
            Some(revision) => query.at(objects, &shard, revision, None).await,
            None => {
                options::check_reached(options.version, shard.revision())?;
                query.newest(&shard, None)
            }
        },
    }
}

impl Query<'_> {
    fn newest(&self, shard: &Shard, start: Option<&str>) -> Result<Page, ApiError> {
        let snapshot = shard.snapshot(&self.starting(start))?;
        Ok(self.cut(snapshot.objects, snapshot.revision))
    }

    /// The state at `revision`, no newer and no older.
    async fn at(
        &self,
        objects: &ObjectStore,
        shard: &Shard,
        revision: Revision,
        start: Option<&str>,
    ) -> Result<Page, ApiError> {
        let snapshot = shard.snapshot(&self.starting(start))?;
        if revision > snapshot.revision {
            return Err(options::too_large(revision, snapshot.revision));
        }
        if snapshot.changed <= revision {
            return Ok(self.cut(snapshot.objects, revision));
        }
        // Newer than the barrier that the shard has waited for, so no second one is needed.
        let view = objects.store().view(Consistency::Local).await.map_err(store_read_error)?;
        self.in_history(&view, revision, start).await
    }

    async fn in_history(
        &self,
        view: &StateView,
        revision: Revision,
        start: Option<&str>,
    ) -> Result<Page, ApiError> {
        let owner = storage_of(self.resource).ok_or_else(ApiError::no_such_path)?;
        let mut range = self.starting(start);
        let mut page = Page { objects: Vec::new(), meta: ListMeta::at(revision.to_string()) };
        loop {
            let request = RangeRequest { revision, limit: BATCH, ..RangeRequest::new(range.clone()) };
            let read = view.range(&request).map_err(|error| gone(error, start))?;
            let mut seen = 0;
            for kv in &read.kvs {
                seen += 1;
                let object = CachedObject::read(owner, kv).map_err(ApiError::internal)?;
                if self.selection.matches(&object) {
                    page.objects.push(Arc::new(object));
                }
                let more = seen < read.count;
                if more && self.limit == Some(page.objects.len()) {
                    page.meta.next = self.token_after(&kv.key, revision);
                    page.meta.remaining = self.selection.is_everything().then(|| read.count - seen);
                    return Ok(page);
                }
            }
            let Some(last) = read.kvs.last().filter(|_| read.more) else { return Ok(page) };
            range = after(&range, &last.key);
            // A long list must not keep the thread.
            tokio::task::yield_now().await;
        }
    }

    /// The first page's worth of what is left.
    fn cut(&self, candidates: Vec<Arc<CachedObject>>, revision: Revision) -> Page {
        let mut matching = candidates.into_iter().filter(|object| self.selection.matches(object));
        let limit = self.limit.unwrap_or(usize::MAX);
        let objects: Vec<_> = matching.by_ref().take(limit).collect();
        let mut meta = ListMeta::at(revision.to_string());
        let left = matching.count() as u64;
        if let Some(last) = objects.last().filter(|_| left > 0) {
            meta.next = self.token_after(&last.key, revision);
            meta.remaining = self.selection.is_everything().then_some(left);
        }
        Page { objects, meta }
    }

    /// The range without what comes before `start`, which counts from the folder.
    fn starting(&self, start: Option<&str>) -> KeyRange {
        let Some(start) = start else { return self.range.clone() };
        from_key(&self.range, [&self.folder[..], start.as_bytes()].concat().into())
    }

    fn token_after(&self, key: &[u8], revision: Revision) -> String {
        let below = &key[self.folder.len()..];
        let start = format!("{}\0", String::from_utf8_lossy(below));
        Token { revision: Some(revision), start }.encode()
    }
}

fn after(range: &KeyRange, key: &[u8]) -> KeyRange {
    from_key(range, [key, &[0]].concat().into())
}

/// The part of a range that begins at `key`.
fn from_key(range: &KeyRange, key: Bytes) -> KeyRange {
    let (start, end) = range.span();
    let start = start.max(key);
    match end {
        Some(end) => KeyRange::Span { start, end },
        None => KeyRange::From(start),
    }
}

/// Why history could not be read, in the words for a list.
fn gone(error: ReadError, start: Option<&str>) -> ApiError {
    match (error, start) {
        (ReadError::Refused(CommandError::Compacted { .. }), Some(start)) => {
            let mut error = ApiError::expired(TOO_OLD);
            error.details.next_page = Token { revision: None, start: start.to_owned() }.encode();
            error
        }
        (ReadError::Refused(CommandError::Compacted { .. }), None) => ApiError::expired(GONE),
        (other, _) => store_read_error(other),
    }
}
