//! Where an informer learns: a list, then watches, one after the other.
//!
//! In: answers of the API. Out: objects for the cache. The place in history is kept over everything but a 410.

use std::fmt::Debug;
use std::future::ready;
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::{AsyncBufReadExt, Stream, StreamExt};
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use kube::api::{ListParams, ObjectList, WatchEvent, WatchParams};
use kube::core::{ObjectMeta, Request};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use super::Informer;
use super::decoded::{self, Decoded};
use crate::backoff::Backoff;
use crate::explain::explain;
use crate::key::ObjectKey;

/// A watch ends after so many seconds, more or less, and the next begins: an even load, and another server's turn.
const WATCH_SECONDS: std::ops::Range<u32> = 240..290;

/// How long a server may take for one page of a list, or to begin a watch.
const ANSWER: Duration = Duration::from_secs(30);

/// How long a watch may be silent. Servers say every minute how far they have come.
const SILENCE: Duration = Duration::from_secs(90);

/// A watch that ends sooner than this, by itself, has not gone well.
const SHORT: Duration = Duration::from_secs(1);

/// How often a list starts again because its pages had expired, before it is asked for in one piece.
const EXPIRED_LISTS: u32 = 1;

/// Objects of one kind. What is asked is what [`Api`] asks, but for the type of the answers.
pub(super) struct Source<K> {
    client: Client,
    request: Request,
    config: watcher::Config,
    kind: PhantomData<fn() -> K>,
}

/// How far an informer has come.
enum Position {
    /// Nothing is known, or history has gone on without us.
    Nowhere,
    /// Everything up to this `resourceVersion`.
    At(String),
}

/// Why a list or watch ended.
enum Interruption {
    /// The revision is too old: only a list helps.
    Expired,
    /// The watch was over; its time, as agreed.
    Ended,
    /// It did not work; perhaps it does the next time.
    Failed(Failure),
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the API refused")]
    Refused(#[source] Box<kube::Error>),
    #[error("the API server said nothing for too long")]
    Silent,
    #[error("the watch ended as soon as it had begun")]
    Short,
    #[error("the API server gave no resourceVersion")]
    NoVersion,
}

impl<K> Source<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    pub(super) fn new(api: Api<K>, config: watcher::Config) -> Self {
        let request = Request::new(api.resource_url());
        Self { client: api.into_client(), request, config, kind: PhantomData }
    }

    /// Keeps `informer` true, for ever.
    pub(super) async fn follow(&self, informer: &Informer<K>) {
        let mut position = Position::Nowhere;
        let mut backoff = Backoff::default();
        loop {
            let interruption = match &mut position {
                Position::Nowhere => match self.list().await {
                    Ok((objects, version)) => {
                        informer.replace(objects);
                        position = Position::At(version);
                        continue;
                    }
                    Err(interruption) => interruption,
                },
                Position::At(version) => self.watch(informer, version, &mut backoff).await,
            };
            match interruption {
                Interruption::Expired => {
                    position = Position::Nowhere;
                    // Nothing that was watched has reset the back-off if it happens again and again.
                    let delay = backoff.next_delay();
                    let resource = &self.request.url_path;
                    match backoff.is_persistent() {
                        true => tracing::warn!(resource, ?delay, "history is always gone; will list again"),
                        false => tracing::debug!(resource, ?delay, "history is gone; will list again"),
                    }
                    tokio::time::sleep(delay).await;
                }
                Interruption::Ended => {}
                Interruption::Failed(failure) => {
                    let delay = backoff.next_delay();
                    self.complain(&failure, delay, backoff.is_persistent());
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    fn complain(&self, failure: &Failure, delay: Duration, persistent: bool) {
        let (resource, error) = (&self.request.url_path, explain(failure));
        if persistent {
            tracing::warn!(resource, error, ?delay, "cannot follow; will try again");
        } else {
            tracing::debug!(resource, error, ?delay, "interrupted; will try again");
        }
    }

    /// All objects, and where a watch goes on from them. All pages are of one revision.
    async fn list(&self) -> Result<(Vec<K>, String), Interruption> {
        let mut expired = 0;
        loop {
            let page_size = self.config.page_size.filter(|_| expired <= EXPIRED_LISTS);
            match self.list_pages(page_size).await {
                Err(Interruption::Expired) if page_size.is_some() => expired += 1,
                other => return other,
            }
        }
    }

    async fn list_pages(&self, limit: Option<u32>) -> Result<(Vec<K>, String), Interruption> {
        let mut params = ListParams {
            label_selector: self.config.label_selector.clone(),
            field_selector: self.config.field_selector.clone(),
            limit,
            ..ListParams::default()
        };
        let mut objects = Vec::new();
        loop {
            let page = match timeout(ANSWER, self.page(&params)).await {
                Ok(answer) => answer.map_err(interruption)?,
                Err(_elapsed) => return Err(Interruption::Failed(Failure::Silent)),
            };
            for object in page.items {
                match object {
                    Decoded::Whole(object) => objects.push(object),
                    Decoded::Unreadable { metadata, why } => drop(self.cannot_read(&metadata, &why)),
                }
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                let version = page.metadata.resource_version.filter(|version| !version.is_empty());
                return match version {
                    Some(version) => Ok((objects, version)),
                    None => Err(Interruption::Failed(Failure::NoVersion)),
                };
            }
        }
    }

    /// One watch, from `version`, which moves along with it.
    async fn watch(
        &self,
        informer: &Informer<K>,
        version: &mut String,
        backoff: &mut Backoff,
    ) -> Interruption {
        let params = WatchParams {
            label_selector: self.config.label_selector.clone(),
            field_selector: self.config.field_selector.clone(),
            timeout: Some(rand::random_range(WATCH_SECONDS)),
            bookmarks: true,
            send_initial_events: false,
        };
        let begun = Instant::now();
        let events = match timeout(ANSWER, self.events(&params, version)).await {
            Ok(Ok(events)) => std::pin::pin!(events),
            Ok(Err(error)) => return interruption(error),
            Err(_elapsed) => return Interruption::Failed(Failure::Silent),
        };
        match self.take_in(events, informer, version, backoff).await {
            Interruption::Ended if begun.elapsed() < SHORT => Interruption::Failed(Failure::Short),
            other => other,
        }
    }

    async fn page(&self, params: &ListParams) -> kube::Result<ObjectList<Decoded<K>>> {
        let request = match K::metadata_api() {
            true => self.request.list_metadata(params),
            false => self.request.list(params),
        };
        let text = self.client.request_text(request.map_err(kube::Error::BuildRequest)?).await?;
        decoded::page(&text).map_err(kube::Error::SerdeError)
    }

    /// The events of a watch. It ends when its connection does, for whatever reason: the next goes on there.
    async fn events(
        &self,
        params: &WatchParams,
        version: &str,
    ) -> kube::Result<impl Stream<Item = kube::Result<WatchEvent<Decoded<K>>>> + use<K>> {
        let request = match K::metadata_api() {
            true => self.request.watch_metadata(params, version),
            false => self.request.watch(params, version),
        };
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        // Events that are compressed one by one are not decompressed on the way here.
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let lines = self.client.request_stream(request).await?.lines();
        let lines = lines.take_while(|line| ready(line.is_ok())).filter_map(|line| ready(line.ok()));
        Ok(lines.filter_map(|line| {
            ready(match decoded::event(&line) {
                // The connection broke within a line.
                Err(error) if error.is_eof() => None,
                event => Some(event.map_err(kube::Error::SerdeError)),
            })
        }))
    }

    /// Takes in a watch's events, until it ends.
    async fn take_in(
        &self,
        mut events: impl Stream<Item = kube::Result<WatchEvent<Decoded<K>>>> + Unpin,
        informer: &Informer<K>,
        version: &mut String,
        backoff: &mut Backoff,
    ) -> Interruption {
        loop {
            let event = match timeout(SILENCE, events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => return interruption(error),
                Ok(None) => return Interruption::Ended,
                Err(_elapsed) => return Interruption::Failed(Failure::Silent),
            };
            match event {
                WatchEvent::Added(Decoded::Whole(object)) | WatchEvent::Modified(Decoded::Whole(object)) => {
                    advance(version, object.meta().resource_version.as_deref());
                    informer.apply(object);
                }
                WatchEvent::Deleted(Decoded::Whole(object)) => {
                    advance(version, object.meta().resource_version.as_deref());
                    informer.remove(object);
                }
                WatchEvent::Added(Decoded::Unreadable { metadata, why })
                | WatchEvent::Modified(Decoded::Unreadable { metadata, why })
                | WatchEvent::Deleted(Decoded::Unreadable { metadata, why }) => {
                    advance(version, metadata.resource_version.as_deref());
                    informer.forget(&self.cannot_read(&metadata, &why));
                }
                WatchEvent::Bookmark(bookmark) => advance(version, Some(&bookmark.metadata.resource_version)),
                WatchEvent::Error(status) => return interruption(kube::Error::Api(status)),
            }
            backoff.reset();
        }
    }

    fn cannot_read(&self, metadata: &ObjectMeta, why: &str) -> ObjectKey {
        let key = ObjectKey::of_metadata(metadata);
        tracing::warn!(resource = self.request.url_path, object = %key, why, "an object cannot be read, and is passed over");
        key
    }
}

fn advance(version: &mut String, to: Option<&str>) {
    if let Some(to) = to.filter(|to| !to.is_empty()) {
        to.clone_into(version);
    }
}

fn interruption(error: kube::Error) -> Interruption {
    match error {
        kube::Error::Api(status) if status.code == 410 => Interruption::Expired,
        other => Interruption::Failed(Failure::Refused(Box::new(other))),
    }
}
