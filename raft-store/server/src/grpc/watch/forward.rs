//! One watch: from its watcher to the client.
//!
//! In: what the watcher has, when it has something. Out: events, in order; where asked for, the revisions
//! they replaced and how far the watch is. Ends when the watch can go no further, having told the client, or
//! with the status that ends the stream.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keelson_proto::etcd::{
    kv::{Event, event::EventType},
    rpc::WatchResponse,
};
use keelson_store_core::{
    command::KeyValue,
    id::Revision,
    watch::{Change, ChangeKind, previous_kv},
};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::{Replies, reply};
use crate::{
    grpc::{Front, convert, error, identity::Guard},
    runtime::clock::{Instant, sleep_until},
    state::StateView,
    store::Consistency,
    watch::{WatchError, Watched, WatchedChanges, Watcher},
};

/// What the client wants of a watch besides its events.
pub(super) struct Options {
    /// Whether its client may see events, still.
    pub(super) guard: Guard,
    /// With each event, what was there before.
    pub(super) prev_kv: bool,
    /// A revision that is too large for one message may come in several.
    pub(super) fragment: bool,
    /// After so long without events, how far the watch is.
    pub(super) progress_every: Option<Duration>,
}

/// A question: when is the watch complete up to here?
pub(super) struct Sync {
    pub(super) revision: Revision,
    /// Answered when it is, after all events up to there were put into the stream; dropped when the watch
    /// ends.
    pub(super) reached: oneshot::Sender<()>,
}

/// The newest revision whose events any watch of a stream has put, or is about to put, into it. Clones are the
/// same.
#[derive(Clone, Default)]
pub(super) struct Delivered(Arc<AtomicU64>);

/// Carries one watch's events.
pub(super) struct Forward {
    front: Front,
    replies: Replies,
    delivered: Delivered,
    id: i64,
    options: Options,
    watcher: Watcher,
    asked: mpsc::UnboundedReceiver<Sync>,
    waiting: Vec<Sync>,
    progress_due: Option<Instant>,
}

/// What an idle watch waits for.
enum Woken {
    Changed,
    ProgressDue,
    Asked(Sync),
    /// Nobody can ask any more: the session is over.
    Abandoned,
}

impl Delivered {
    /// As far as it is.
    pub(super) fn revision(&self) -> Revision {
        Revision::new(self.0.load(Ordering::Relaxed))
    }

    fn reaches(&self, revision: Revision) {
        self.0.fetch_max(revision.get(), Ordering::Relaxed);
    }
}

impl Forward {
    pub(super) fn new(
        front: Front,
        (replies, delivered): (Replies, Delivered),
        id: i64,
        options: Options,
        watcher: Watcher,
        asked: mpsc::UnboundedReceiver<Sync>,
    ) -> Self {
        let (waiting, progress_due) = (Vec::new(), None);
        let mut forward =
            Self { front, replies, delivered, id, options, watcher, asked, waiting, progress_due };
        forward.postpone_progress();
        forward
    }

    /// Runs until the watch ends. Nobody is told of what users and roles do not permit any more.
    pub(super) async fn run(mut self) -> Result<(), Status> {
        loop {
            match self.watcher.poll() {
                Ok(Watched::Changes(changes)) => {
                    if let Err(denied) = self.options.guard.check(&self.front) {
                        let reason = reply::denial(&error::auth(denied));
                        self.put(reply::ended(self.front.header_now(), self.id, reason)).await;
                        return Ok(());
                    }
                    self.send(&changes).await?;
                }
                Ok(Watched::Idle { progress }) => {
                    self.answer(progress);
                    self.report(progress).await;
                    match self.idle().await {
                        Woken::Changed | Woken::ProgressDue => {}
                        Woken::Asked(sync) => self.waiting.push(sync),
                        Woken::Abandoned => return Ok(()),
                    }
                }
                Err(WatchError::Compacted { compacted }) => {
                    let reply = reply::compacted(self.front.header_now(), self.id, compacted);
                    self.put(reply).await;
                    return Ok(());
                }
                Err(WatchError::Broken(broken)) => return Err(error::broken(&broken)),
            }
        }
    }

    async fn idle(&mut self) -> Woken {
        let due = self.progress_due;
        let progress = async {
            match due {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.watcher.changed() => Woken::Changed,
            asked = self.asked.recv() => asked.map_or(Woken::Abandoned, Woken::Asked),
            () = progress => Woken::ProgressDue,
        }
    }

    async fn send(&mut self, changes: &WatchedChanges) -> Result<(), Status> {
        let mut revisions = Vec::new();
        let view = self.view_for_previous().await?;
        for (revision, changes) in changes.revisions() {
            let events: Result<Vec<_>, _> =
                changes.into_iter().map(|change| event(view.as_ref(), change)).collect();
            revisions.push((revision, events?));
        }
        for (revision, response) in reply::events(self.id, revisions, self.options.fragment) {
            let header = Some(self.front.header(revision));
            self.delivered.reaches(revision);
            self.put(WatchResponse { header, ..response }).await;
        }
        self.postpone_progress();
        Ok(())
    }

    /// Where replaced versions are looked up: one view for all changes at hand, if the client wants them at
    /// all.
    async fn view_for_previous(&self) -> Result<Option<StateView>, Status> {
        if !self.options.prev_kv {
            return Ok(None);
        }
        self.front.store.view(Consistency::Local).await.map(Some).map_err(error::read)
    }

    fn answer(&mut self, progress: Option<Revision>) {
        let Some(progress) = progress else { return };
        for sync in self.waiting.extract_if(.., |sync| sync.revision <= progress) {
            // The session may have begun anew, with another question.
            let _ = sync.reached.send(());
        }
    }

    /// Says how far the watch is, when it is time to.
    async fn report(&mut self, progress: Option<Revision>) {
        if self.progress_due.is_none_or(|due| Instant::now() < due) {
            return;
        }
        self.postpone_progress();
        if let Some(revision) = progress {
            self.put(reply::progress(self.front.header(revision), self.id)).await;
        }
    }

    fn postpone_progress(&mut self) {
        self.progress_due = self.options.progress_every.map(|after| Instant::now() + after);
    }

    async fn put(&self, reply: WatchResponse) {
        // A client that is gone takes the whole stream with it, this watch included.
        let _ = self.replies.send(Ok(reply)).await;
    }
}

fn event(view: Option<&StateView>, change: &Change) -> Result<Event, Status> {
    let kind = match change.kind {
        ChangeKind::Put => EventType::Put,
        ChangeKind::Delete => EventType::Delete,
    };
    let previous: Option<KeyValue> = match view {
        Some(view) => previous_kv(view.read(), change).map_err(|failed| error::broken(&failed))?,
        None => None,
    };
    Ok(Event {
        r#type: kind.into(),
        kv: Some(convert::key_value(change.kv.clone())),
        prev_kv: previous.map(convert::key_value),
    })
}
