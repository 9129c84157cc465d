//! etcd's service Watch: many watches over one stream.
//!
//! ```text
//!  requests ──► Session ──── created, canceled, progress ────► replies
//!                  │                                             ▲
//!                  └─ one Forward per watch ── events ───────────┘
//! ```
//!
//! A [`session::Session`] lives as long as its stream and owns everything in it; a [`forward::Forward`]
//! carries one watch's events to the client as fast as the client takes them. Watchers pull, so a slow client
//! costs the store nothing, and nothing is dropped. No tasks: all of a stream is polled where its replies
//! are.

mod forward;
mod reply;
mod session;

use std::{future::ready, sync::Arc};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use keelson_proto::etcd::rpc::{WatchRequest, WatchResponse, watch_server::Watch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use self::session::Session;
use super::{Front, ending, identity::Credentials};

/// Where the replies of one stream go. The client takes them in the order in which they were put in.
type Stream = mpsc::UnboundedSender<Reply>;

/// A reply, and the turn of whoever has put it in: it is over when the client has taken it.
type Reply = (Result<WatchResponse, Status>, OwnedSemaphorePermit);

/// Where somebody puts replies, so many at a time: the next when the client has taken one. So what waits for a client is
/// bounded, and nobody waits for another one's turn.
struct Replies {
    stream: Stream,
    turns: Arc<Semaphore>,
}

/// Replies to requests that may wait for the client to take them. Of each watch one may.
const REPLIES: usize = 8;

/// The client is gone, and takes nothing any more.
struct Gone;

impl Replies {
    fn new(stream: Stream, turns: usize) -> Self {
        Self { stream, turns: Arc::new(Semaphore::new(turns)) }
    }

    /// For a watch on the same stream.
    fn of_watch(&self) -> Self {
        Self::new(self.stream.clone(), 1)
    }

    async fn send(&self, reply: Result<WatchResponse, Status>) -> Result<(), Gone> {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Gone)?;
        self.stream.send((reply, turn)).map_err(|_| Gone)
    }
}

#[tonic::async_trait]
impl Watch for Front {
    type WatchStream = BoxStream<WatchResponse>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let ended = ending::of_stream(self.clone(), request.metadata());
        let (who, requests) = Credentials::split(request);
        let (replies, taken) = mpsc::unbounded_channel();
        let session = Session::new(self.clone(), who, Replies::new(replies, REPLIES)).run(requests);
        // The session says nothing by itself; it has to be polled for the replies to come.
        let driven = session.into_stream().filter_map(|()| ready(None));
        let taken = UnboundedReceiverStream::new(taken).map(|(reply, _turn)| reply);
        let answers = stream::select(taken, driven);
        Ok(Response::new(Box::pin(ending::until(ended, answers))))
    }
}
