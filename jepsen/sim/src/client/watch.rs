//! Watches: a task at the replica that says what its watcher has, and a stream that carries it to the client.
//!
//! In: a request, and questions for progress. Out: messages in order. The task says what the store's gRPC front would
//! say, in the same order: it is created, events revision by revision, progress only when nothing is left before it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use keelson_checkers::history::{Revision, WatchEvent};
use keelson_store::{
    ReadError, Store,
    store::Consistency,
    watch::{WatchError, Watched, WatchedChanges, Watcher},
};
use keelson_store_core::{id, watch::previous_kv};
use keelson_workloads::{WatchMessage, WatchRequest, WatchStream};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{SimClient, convert};
use crate::{
    ghost::{Broken, Ghost},
    invariant::Invariant,
};

/// How often a watch that wants it is told of its progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(700);

type Sent = (Instant, WatchMessage);

/// The client's end.
pub(super) struct Stream {
    messages: mpsc::UnboundedReceiver<WatchMessage>,
    questions: mpsc::UnboundedSender<()>,
}

impl Stream {
    pub(super) fn open(client: &SimClient, request: WatchRequest) -> Self {
        let (delivered, messages) = mpsc::unbounded_channel();
        let (questions, asked) = mpsc::unbounded_channel();
        tokio::spawn(connect(client.clone(), request, asked, delivered));
        Self { messages, questions }
    }
}

impl WatchStream for Stream {
    fn next(&mut self) -> BoxFuture<'_, WatchMessage> {
        Box::pin(async { self.messages.recv().await.unwrap_or_else(|| broken("the connection was reset")) })
    }

    fn ask_progress(&mut self) {
        // A stream that has ended is asked in vain.
        let _ = self.questions.send(());
    }
}

/// Carries the request there, and what comes of it back.
async fn connect(
    client: SimClient,
    request: WatchRequest,
    asked: mpsc::UnboundedReceiver<()>,
    delivered: mpsc::UnboundedSender<WatchMessage>,
) {
    let network = client.cluster.network();
    network.travel(client.from, client.to).await;
    let (sent, mut arriving) = mpsc::unbounded_channel();
    let ghost = client.cluster.ghost().clone();
    if !client.cluster.visit(client.to, |store| serve(store, request, asked, sent, ghost)) {
        network.travel(client.to, client.from).await;
        let _ = delivered.send(broken("the connection was refused"));
        return;
    }
    let mut last = Instant::now();
    while let Some((at, message)) = arriving.recv().await {
        last = network.arrive(client.to, client.from, at, last).await;
        if delivered.send(message).is_err() {
            return;
        }
    }
    network.travel(client.to, client.from).await;
}

/// The replica's end.
async fn serve(
    store: Store,
    request: WatchRequest,
    asked: mpsc::UnboundedReceiver<()>,
    sent: mpsc::UnboundedSender<Sent>,
    ghost: Ghost,
) {
    let out = Out { sent };
    match begin(&store, &request, &out).await {
        Ok(watcher) => {
            Session { store, watcher, asked, owed: None, out, request, ghost, slept: false }.run().await;
        }
        Err(error) => out.say(broken(&error.to_string())),
    }
}

/// "Now" is after everything that was acknowledged before the client asked, and right after the revision that the
/// client is told.
async fn begin(store: &Store, request: &WatchRequest, out: &Out) -> Result<Watcher, ReadError> {
    let (now, start) = match request.start.told() {
        Some(start) => (store.status().revision, id::Revision::new(start.0)),
        None => {
            let now = store.view(Consistency::Linearizable).await?.header().revision;
            (now, now.next())
        }
    };
    let watcher = store.watch(convert::interest(&request.range, request.filters), start).await?;
    out.say(WatchMessage { header_revision: convert::revision(now), what: WatchEvent::Created });
    Ok(watcher)
}

struct Session {
    store: Store,
    watcher: Watcher,
    asked: mpsc::UnboundedReceiver<()>,
    /// A client waits to be told when this much is delivered.
    owed: Option<id::Revision>,
    out: Out,
    request: WatchRequest,
    ghost: Ghost,
    /// Whether nobody has woken it since it last saw that there is nothing new.
    slept: bool,
}

enum Woken {
    Changed,
    Asked,
    ProgressDue,
    Abandoned,
}

impl Session {
    async fn run(mut self) {
        loop {
            match self.watcher.poll() {
                Ok(Watched::Changes(changes)) => {
                    self.check_awake(&changes);
                    if let Err(error) = self.tell(&changes).await {
                        return self.out.say(broken(&error.to_string()));
                    }
                }
                Ok(Watched::Idle { progress }) => {
                    self.answer(progress);
                    let woken = self.idle().await;
                    self.slept = !matches!(woken, Woken::Changed);
                    match woken {
                        Woken::Changed => {}
                        Woken::Asked => self.owed = Some(self.store.status().revision),
                        Woken::ProgressDue => self.report(progress),
                        Woken::Abandoned => return,
                    }
                }
                Err(error) => return self.out.say(ended(&self.store, &error)),
            }
        }
    }

    async fn idle(&mut self) -> Woken {
        let next = async {
            tokio::select! {
                biased;
                () = self.watcher.changed() => Woken::Changed,
                asked = self.asked.recv() => if asked.is_some() { Woken::Asked } else { Woken::Abandoned },
                () = self.out.sent.closed() => Woken::Abandoned,
            }
        };
        match self.request.progress {
            true => timeout(PROGRESS_EVERY, next).await.unwrap_or(Woken::ProgressDue),
            false => next.await,
        }
    }

    /// Whoever did something else than wait for changes must not find any.
    fn check_awake(&mut self, changes: &WatchedChanges) {
        if std::mem::take(&mut self.slept) {
            let revisions: Vec<_> = changes.revisions().iter().map(|(revision, _)| *revision).collect();
            let text = format!("a watcher was not told of {revisions:?}");
            self.ghost.report(Broken(Invariant::WatchersWake, text));
        }
    }

    async fn tell(&self, changes: &WatchedChanges) -> Result<(), ReadError> {
        let view = match self.request.prev_kv {
            true => Some(self.store.view(Consistency::Local).await?),
            false => None,
        };
        for (revision, changes) in changes.revisions() {
            let mut events = Vec::new();
            for change in changes {
                let previous = match &view {
                    Some(view) => previous_kv(view.read(), change)?,
                    None => None,
                };
                events.push(convert::event(revision, change, previous.as_ref()));
            }
            let header_revision = convert::revision(revision);
            self.out.say(WatchMessage { header_revision, what: WatchEvent::Events(events) });
        }
        Ok(())
    }

    fn answer(&mut self, progress: Option<id::Revision>) {
        if let (Some(owed), Some(progress)) = (self.owed, progress)
            && owed <= progress
        {
            self.owed = None;
            self.report(Some(progress));
        }
    }

    fn report(&self, progress: Option<id::Revision>) {
        if let Some(progress) = progress {
            let header_revision = convert::revision(progress);
            self.out.say(WatchMessage { header_revision, what: WatchEvent::Progress });
        }
    }
}

struct Out {
    sent: mpsc::UnboundedSender<Sent>,
}

impl Out {
    fn say(&self, message: WatchMessage) {
        // The client may be gone.
        let _ = self.sent.send((Instant::now(), message));
    }
}

fn ended(store: &Store, error: &WatchError) -> WatchMessage {
    match error {
        WatchError::Compacted { compacted } => WatchMessage {
            header_revision: convert::revision(store.status().revision),
            what: WatchEvent::Canceled {
                compact_revision: convert::revision(*compacted),
                reason: error.to_string(),
            },
        },
        WatchError::Broken(_) => broken(&error.to_string()),
    }
}

fn broken(why: &str) -> WatchMessage {
    WatchMessage { header_revision: Revision::ZERO, what: WatchEvent::Broken(why.to_owned()) }
}
