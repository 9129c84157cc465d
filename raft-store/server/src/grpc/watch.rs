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

use std::future::ready;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use keelson_proto::etcd::rpc::{WatchRequest, WatchResponse, watch_server::Watch};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use self::session::Session;
use super::{Front, ending, identity::Credentials};

/// Replies that may wait for the client to take them.
const REPLIES: usize = 8;

/// Where replies go. The client takes them in the order in which they were put in.
type Replies = mpsc::Sender<Result<WatchResponse, Status>>;

#[tonic::async_trait]
impl Watch for Front {
    type WatchStream = BoxStream<WatchResponse>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let ended = ending::of_stream(self.clone(), request.metadata());
        let (who, requests) = Credentials::split(request);
        let (replies, taken) = mpsc::channel(REPLIES);
        let session = Session::new(self.clone(), who, replies).run(requests);
        // The session says nothing by itself; it has to be polled for the replies to come.
        let driven = session.into_stream().filter_map(|()| ready(None));
        let answers = stream::select(ReceiverStream::new(taken), driven);
        Ok(Response::new(Box::pin(ending::until(ended, answers))))
    }
}
