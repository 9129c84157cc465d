//! The watches of one stream.
//!
//! In: the client's requests, in order. Out: a reply to each creation, cancellation and progress request,
//! between the events of the watches. Ids are etcd's: chosen by the client, or counted up from 0.
//!
//! * **S1** After the reply to a cancellation, no event of that watch follows.
//! * **S2** A progress reply for the whole stream (watch id -1) comes after every matching event, of every
//!   watch that was created before it, up to its revision, and that revision is not below any event before it:
//!   clients go on from the last revision that they were told.

use std::{collections::BTreeMap, future::pending};

use bytes::Bytes;
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{AbortHandle, Abortable, BoxFuture, join_all},
    stream::FuturesUnordered,
};
use keelson_proto::etcd::rpc::{
    WatchCancelRequest, WatchCreateRequest, WatchRequest, watch_create_request::FilterType,
    watch_request::RequestUnion,
};
use keelson_store_core::{command::KeyRange, id::Revision, watch::Interest};
use tokio::sync::{mpsc, oneshot};
use tonic::{Code, Status, Streaming};

use super::{
    Gone, Replies,
    forward::{Delivered, Forward, Options, Sync},
    reply,
};
use crate::{
    error::ReadError,
    grpc::{Front, convert, error, identity::Credentials},
    store::Consistency,
};

/// One stream's state.
pub(super) struct Session {
    front: Front,
    who: Credentials,
    replies: Replies,
    delivered: Delivered,
    watches: BTreeMap<i64, Control>,
    running: FuturesUnordered<BoxFuture<'static, Ended>>,
    next_id: i64,
    syncing: Syncing,
}

/// How a running watch is reached. Its [`Forward`] runs until this is gone.
struct Control {
    abort: AbortHandle,
    syncs: mpsc::UnboundedSender<Sync>,
}

/// A watch that runs no more.
enum Ended {
    /// The client was told, or the stream is broken.
    ByItself { id: i64, result: Result<(), Status> },
    /// The client has canceled it; its id may be in use again.
    Aborted,
}

/// Whether the client waits for a progress reply.
enum Syncing {
    No,
    /// Until every watch is complete up to the revision.
    Until {
        revision: Revision,
        reached: BoxFuture<'static, ()>,
        /// Another request came meanwhile, and wants a newer revision.
        again: bool,
    },
}

/// What a stream waits for.
enum Event {
    Request(Option<Result<WatchRequest, Status>>),
    Ended(Ended),
    Synced(Revision),
}

/// Why a watch is not created. The texts are etcd's, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("mvcc: duplicate watch ID provided on the WatchStream")]
    DuplicateId,
    #[error("mvcc: watcher range is empty")]
    EmptyRange,
    #[error("mvcc: watch ID is negative")]
    NegativeId,
    #[error("mvcc: unknown watch filter {0}")]
    UnknownFilter(i32),
}

/// Why a session ends: the status to end the stream with, unless the client has gone.
struct Over(Option<Status>);

impl From<Gone> for Over {
    fn from(_: Gone) -> Self {
        Self(None)
    }
}

/// A watch that cannot be created for want of a quorum ends the stream: that is what makes the client try
/// again, here or elsewhere, while a refusal would be final.
impl From<ReadError> for Over {
    fn from(error: ReadError) -> Self {
        Self(Some(error::read(error)))
    }
}

impl Session {
    pub(super) fn new(front: Front, who: Credentials, replies: Replies) -> Self {
        Self {
            front,
            who,
            replies,
            delivered: Delivered::default(),
            watches: BTreeMap::new(),
            running: FuturesUnordered::new(),
            next_id: 0,
            syncing: Syncing::No,
        }
    }

    /// Runs until the client is gone or the stream is broken. A client that only stops asking keeps its
    /// watches.
    pub(super) async fn run(mut self, mut requests: Streaming<WatchRequest>) {
        let mut asking = true;
        loop {
            let done = match self.next(&mut requests, asking).await {
                Event::Request(Some(Ok(request))) => self.handle(request).await,
                Event::Request(Some(Err(_broken))) => Err(Over(None)),
                Event::Request(None) => {
                    asking = false;
                    Ok(())
                }
                Event::Ended(ended) => self.ended(ended),
                Event::Synced(revision) => self.synced(revision).await,
            };
            match done {
                Ok(()) => {}
                Err(Over(Some(status))) => {
                    // The client may have gone.
                    let _ = self.replies.send(Err(status)).await;
                    return;
                }
                Err(Over(None)) => return,
            }
        }
    }

    async fn next(&mut self, requests: &mut Streaming<WatchRequest>, asking: bool) -> Event {
        tokio::select! {
            Some(ended) = self.running.next() => Event::Ended(ended),
            revision = self.syncing.reached() => Event::Synced(revision),
            request = requests.next(), if asking => Event::Request(request),
        }
    }

    async fn handle(&mut self, request: WatchRequest) -> Result<(), Over> {
        match request.request_union {
            Some(RequestUnion::CreateRequest(request)) => self.create(request).await,
            Some(RequestUnion::CancelRequest(WatchCancelRequest { watch_id })) => self.cancel(watch_id).await,
            Some(RequestUnion::ProgressRequest(_)) => {
                self.progress();
                Ok(())
            }
            // As etcd: a request of a kind that is not known here is passed over.
            None => Ok(()),
        }
    }

    async fn create(&mut self, request: WatchCreateRequest) -> Result<(), Over> {
        let interest = match interest(&request) {
            Ok(interest) => interest,
            Err(refusal) => return self.refuse(refusal.to_string()).await,
        };
        let guard = match self.front.guard(&self.who, interest.range.clone()).await {
            Ok(guard) => guard,
            // What only another try can mend ends the stream.
            Err(status) if status.code() == Code::Unavailable => return Err(Over(Some(status))),
            Err(denied) => return self.refuse(reply::denial(&denied)).await,
        };
        let id = match self.take_id(request.watch_id) {
            Ok(id) => id,
            Err(refusal) => return self.refuse(refusal.to_string()).await,
        };
        let (now, start) = start(&self.front, request.start_revision).await?;
        let watcher = self.front.store.watch(interest, start).await?;
        self.replies.send(Ok(reply::created(self.front.header(now), id))).await?;

        let options = Options {
            guard,
            prev_kv: request.prev_kv,
            fragment: request.fragment,
            progress_every: request.progress_notify.then_some(self.front.watch_progress_interval),
        };
        let (syncs, asked) = mpsc::unbounded_channel();
        let stream = (self.replies.of_watch(), self.delivered.clone());
        let forward = Forward::new(self.front.clone(), stream, id, options, watcher, asked);
        let (abort, registration) = AbortHandle::new_pair();
        let running = Abortable::new(forward.run(), registration);
        self.running.push(
            running
                .map(move |ran| ran.map_or(Ended::Aborted, |result| Ended::ByItself { id, result }))
                .boxed(),
        );
        self.watches.insert(id, Control { abort, syncs });
        self.include_in_progress();
        Ok(())
    }

    async fn refuse(&mut self, reason: String) -> Result<(), Over> {
        let reply = reply::refused(self.front.header_now(), reason);
        Ok(self.replies.send(Ok(reply)).await?)
    }

    /// The id that the client wants, or the next one that is free.
    fn take_id(&mut self, wanted: i64) -> Result<i64, Refusal> {
        if wanted < 0 {
            return Err(Refusal::NegativeId);
        }
        if wanted != 0 {
            return if self.watches.contains_key(&wanted) { Err(Refusal::DuplicateId) } else { Ok(wanted) };
        }
        while self.watches.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        let id = self.next_id;
        self.next_id += 1;
        Ok(id)
    }

    async fn cancel(&mut self, id: i64) -> Result<(), Over> {
        // As etcd: nothing is said about a watch that is not there.
        let Some(control) = self.watches.remove(&id) else { return Ok(()) };
        control.abort.abort();
        let reply = reply::canceled(self.front.header_now(), id);
        Ok(self.replies.send(Ok(reply)).await?)
    }

    fn ended(&mut self, ended: Ended) -> Result<(), Over> {
        match ended {
            Ended::Aborted => Ok(()),
            Ended::ByItself { id, result } => {
                self.watches.remove(&id);
                result.map_err(|status| Over(Some(status)))
            }
        }
    }

    /// As etcd: a stream without watches has no progress.
    fn progress(&mut self) {
        match &mut self.syncing {
            Syncing::Until { again, .. } => *again = true,
            Syncing::No if self.watches.is_empty() => {}
            Syncing::No => self.begin_sync(self.front.store.status().revision),
        }
    }

    /// A watch that was created while the client waits for progress has to be complete as well.
    fn include_in_progress(&mut self) {
        if let Syncing::Until { revision, again, .. } = self.syncing {
            self.begin_sync(revision);
            if again {
                self.progress();
            }
        }
    }

    fn begin_sync(&mut self, revision: Revision) {
        let ask = |control: &Control| {
            let (reached, waiting) = oneshot::channel();
            // A watch that has just ended is asked in vain, and needs not be waited for.
            let _ = control.syncs.send(Sync { revision, reached });
            waiting
        };
        let waiting: Vec<_> = self.watches.values().map(ask).collect();
        let reached = join_all(waiting).map(drop).boxed();
        self.syncing = Syncing::Until { revision, reached, again: false };
    }

    async fn synced(&mut self, revision: Revision) -> Result<(), Over> {
        let was = std::mem::replace(&mut self.syncing, Syncing::No);
        let again = matches!(was, Syncing::Until { again: true, .. });
        let delivered = self.delivered.revision();
        if delivered > revision {
            // Some watch was told of more while another caught up: a report below that would be a step back.
            self.begin_sync(delivered);
            if again {
                self.progress();
            }
            return Ok(());
        }
        self.replies.send(Ok(reply::progress(self.front.header(revision), reply::WHOLE_STREAM))).await?;
        if again {
            self.progress();
        }
        Ok(())
    }
}

impl Syncing {
    async fn reached(&mut self) -> Revision {
        match self {
            Self::No => pending().await,
            Self::Until { revision, reached, .. } => {
                reached.await;
                *revision
            }
        }
    }
}

/// The store's revision, and where a watch starts. "Now" is after everything that was acknowledged anywhere
/// before the client asked, and right after the revision that the client is told.
async fn start(front: &Front, wanted: i64) -> Result<(Revision, Revision), ReadError> {
    if wanted != 0 {
        let start = convert::revision(wanted).max(Revision::FIRST);
        return Ok((front.store.status().revision, start));
    }
    let now = front.store.view(Consistency::Linearizable).await?.header().revision;
    Ok((now, now.next()))
}

/// What a watch wants to see. As etcd: an empty key is the smallest there is.
fn interest(request: &WatchCreateRequest) -> Result<Interest, Refusal> {
    let key = if request.key.is_empty() { Bytes::from_static(&[0]) } else { request.key.clone() };
    let range = convert::key_range(key, request.range_end.clone());
    if matches!(&range, KeyRange::Span { start, end } if start >= end) {
        return Err(Refusal::EmptyRange);
    }
    let mut interest = Interest::all_of(range);
    for &filter in &request.filters {
        match FilterType::try_from(filter).map_err(|_| Refusal::UnknownFilter(filter))? {
            FilterType::Noput => interest.no_put = true,
            FilterType::Nodelete => interest.no_delete = true,
        }
    }
    Ok(interest)
}
